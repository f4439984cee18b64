//! ZAP, the ZeroMQ Authentication Protocol (RFC 27): the question whether a peer may come in, put to a handler elsewhere.
//!
//! An [`Authenticator`](crate::Authenticator) decides within this program. ZAP is for the case that the one who knows the
//! users is another program, whatever it is written in, or that a program with libzmq wants to ask one with this crate.
//!
//! ```text
//! peer ──handshake──► our server ──ZapClient──► a ZAP handler                   who: ZapClient
//! peer ──handshake──► libzmq ──inproc──► ROUTER/DEALER proxy ──► our program    who: serve
//! ```
//!
//! | to | use |
//! |---|---|
//! | have an external handler decide on our peers | [`ZapClient`] as the authenticator |
//! | decide for others, by an authenticator of ours | [`serve`] on each connection from them |
//! | speak ZAP over something else | [`ZapRequest`] and [`ZapReply`], which need no `net` |
//!
//! # What ZAP can say
//!
//! The four statuses are the four verdicts there are:
//!
//! | [`ZapStatus`] | [`Verdict`](crate::codec::Verdict) | the peer hears |
//! |---|---|---|
//! | 200 | `accept`, with user id and properties | READY |
//! | 300 | `try_later` | nothing; the connection is closed, and it may come back |
//! | 400 | `deny` | an ERROR, after which libzmq's never come back |
//! | 500 | `internal_error` | likewise |
//!
//! Whatever else a handler does (no answer, half of one, one to another question) lets nobody in, and counts as 300: a
//! handler that is restarted shall not turn peers away for good.
//!
//! # Cost and exposure
//!
//! One round trip to the handler for each handshake. Under PLAIN the request holds the peer's password in the clear; under
//! a mechanism with keys it holds a public key that has been proven, and nothing secret. And whoever can answer in the
//! handler's place lets in whom he likes. So the way to a handler outside of this machine belongs under CURVE.

#[cfg(feature = "net")]
mod client;
mod envelope;
mod error;
mod reply;
mod request;
#[cfg(feature = "net")]
mod server;

#[cfg(feature = "net")]
pub use client::{ZapClient, ZapClientError};
pub use envelope::Envelope;
pub use error::ZapError;
pub use reply::{ZapReply, ZapStatus};
pub use request::ZapRequest;
#[cfg(feature = "net")]
pub use server::{ServeError, serve};

/// The only version of ZAP there is.
const VERSION: &[u8] = b"1.0";
