//! PLAIN, the ZMTP mechanism of username and password (RFC 24).
//!
//! ```text
//! client                                server
//!   │  HELLO    username, password        │
//!   ├────────────────────────────────────►│  asks the application
//!   │  WELCOME                   or ERROR │
//!   │◄────────────────────────────────────┤
//!   │  INITIATE properties                │
//!   ├────────────────────────────────────►│
//!   │  READY    properties       or ERROR │
//!   │◄────────────────────────────────────┤
//! ```
//!
//! **Nothing is encrypted, the password neither**, and the server proves nothing: whoever is on the path reads it, and
//! whoever answers in the server's place is told it. It belongs on a network where all are trusted, on a local socket, or
//! inside TLS or SSH. Elsewhere use CURVE.
//!
//! A peer configured for another mechanism is refused by its greeting, so nobody is talked down from CURVE to this: the
//! password is sent only to a server whose greeting says PLAIN.
//!
//! The password is wiped where this crate and `PlainCredentials` keep it. The octets of HELLO lie in the buffers of the
//! connection for a moment, and in those of the operating system.
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

extern crate alloc;

mod client;
mod server;
mod wire;

pub use client::{ClientHandshake, PlainClient};
pub use server::{PlainServer, ServerHandshake};
pub use zmtp_codec::{CredentialsError, PlainCredentials};
