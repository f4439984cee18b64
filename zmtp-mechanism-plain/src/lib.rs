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
//! The password is wiped where `PlainCredentials` keeps it, and zmtp-connection overwrites the octets of HELLO in buffers of
//! its own once they were sent or judged, or when the handshake is given up. Out of their reach are the stack, what the
//! stream keeps (TLS, the operating system), and, on the client, a HELLO that was not yet sent when a server that speaks out
//! of turn has ended or gone on with the handshake.
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
