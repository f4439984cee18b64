//! One ZMTP 3.1 (ZeroMQ, RFC 37) peer connection over any byte stream.
//!
//! [`Connection`] shakes hands with a ZeroMQ peer over anything that is [`AsyncRead`](tokio::io::AsyncRead) and
//! [`AsyncWrite`](tokio::io::AsyncWrite), then sends and receives messages and commands, and answers heartbeats. It is
//! not a socket: nothing reconnects, queues between peers or routes.
//!
#![cfg_attr(all(feature = "net", feature = "null"), doc = "```")]
#![cfg_attr(not(all(feature = "net", feature = "null")), doc = "```ignore")]
//! use zmtp_connection::codec::SocketType;
//! use zmtp_connection::{Connection, ConnectionConfig, Event, Null};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (ours, theirs) = tokio::io::duplex(4096);
//! # let echo = tokio::spawn(async move {
//! #     let mut rep = Connection::handshake(theirs, &ConnectionConfig::new(SocketType::Rep), &Null::new()).await.unwrap();
//! #     while let Some(Event::Message(message)) = rep.recv().await.unwrap() { rep.send(&message).await.unwrap(); }
//! # });
//! # let stream = ours;
//! let config = ConnectionConfig::new(SocketType::Req);
//! let mut connection = Connection::handshake(stream, &config, &Null::new()).await?;
//! connection.send(&["", "hello"]).await?;
//! let Some(Event::Message(reply)) = connection.recv().await? else { return Err("closed".into()) };
//! assert_eq!(reply.parts(), ["", "hello"]);
//! # Ok(())
//! # }
//! ```
//!
//! # Which method when
//!
//! | to | use |
//! |---|---|
//! | send one message now | [`send`](Connection::send) |
//! | send many in one write | [`feed`](Connection::feed) or [`feed_all`](Connection::feed_all), then [`flush`](Connection::flush) |
//! | send one to many peers | [`EncodedMessage::encode`], then [`feed_fan_out`](Connection::feed_fan_out) on each |
//! | receive and keep | [`recv`](Connection::recv), [`recv_batch`](Connection::recv_batch) |
//! | receive and look | [`recv_ref`](Connection::recv_ref) |
//! | receive a message too large to hold, frame by frame | [`recv_frame`](Connection::recv_frame) |
//! | send and receive on two tasks | [`into_split`](Connection::into_split) or [`split`](Connection::split) |
//! | decide who is let in | [`handshake_with`](Connection::handshake_with) and an [`Authenticator`] |
//! | have a ZAP handler decide that, or be one (RFC 27) | `zap::ZapClient`, `zap::serve` (feature `zap`) |
//! | accept peers in public, and not drown in those who never finish | [`HandshakeLimiter`] |
//! | do I/O in another way | [`proto`] |
//!
//! # What an operator is told
//!
//! With the feature `tracing`, what becomes of connections is said as events of that crate:
//!
//! | target | level | event | fields |
//! |---|---|---|---|
//! | `zmtp::handshake` | `INFO`, `WARN`, `ERROR` | `handshake failed`, `handshake given up` | `address`, `mechanism`, `stage`, `claim`, `cause`, `may_reconnect`, `libzmq` |
//! | `zmtp::handshake` | `INFO` | `handshake not begun`: displaced, or out of time, in a place of a [`HandshakeLimiter`] | `address`, `cause`, `may_reconnect`, `libzmq` |
//! | `zmtp::handshake` | `DEBUG` | `handshake complete` | `address`, `mechanism`, `socket_type`, `claim`, `user` |
//! | `zmtp::handshake` | `WARN` | `passwords travel in the clear …`, once | `address`, `mechanism` |
//! | `zmtp::zap` | `ERROR` | `no answer from the ZAP handler` | `address`, `mechanism`, `domain`, `claim`, `cause`, `libzmq` |
//! | `zmtp::zap` | `WARN`, `ERROR` | `a ZAP request was not judged` | `cause` |
//! | `zmtp::connection` | `INFO`, `WARN` | `receiving failed`, `sending failed` | `address`, `mechanism`, `user`, `cause` |
//!
//! `ERROR` is for what is wrong on our side, `INFO` for what any peer may do at any time (go away, be slow, speak HTTP), `WARN` for
//! the rest. `address` is what [`Authenticator::at`] was told, `claim` the username or public key that the peer shows, `libzmq`
//! the event of libzmq's socket monitor ([`LibzmqEvent`], there without `tracing` as well), and `user` the authenticator's
//! word for the peer. No field holds a password, a secret key or any of a message, and what a peer has chosen is escaped.
//! Events are said from within polls, some of them under a lock of the connection: a subscriber must not wait for, or use, the
//! connection that it is told of.
//!
//! # Features
//!
//! `net` (default): the tokio shell. `null` (default): the NULL mechanism. `plain`: the PLAIN mechanism. `curve`: the CURVE
//! mechanism and its keys. `blake3`: the BLAKE3-CHACHAPOLY mechanism, with keys of the same kind. `blake3zmq`: the BLAKE3
//! mechanism as well, the weaker suite, to talk to old peers that know no other. `zap`: ZAP, to ask an external handler
//! who may connect, or to be one. `tracing`: events. `futures`: `Stream` and `Sink`. A feature adds API and changes no
//! behaviour; which mechanism a connection uses is always said in the code.
#![cfg_attr(not(feature = "net"), expect(rustdoc::broken_intra_doc_links, reason = "the shell is not built"))]
#![forbid(unsafe_code)]

mod auth;
mod config;
mod error;
mod event;
mod libzmq_event;
mod message;
#[cfg(feature = "net")]
mod net;
mod peer;
pub mod proto;
#[cfg(feature = "zap")]
pub mod zap;

pub use auth::{AllowAny, AllowList, At, AuthRequest, Authenticator, CredentialList, PeerAddress, decide};
pub use config::{ConfigBuilder, ConfigError, ConnectionConfig, HeartbeatConfig, Limits};
pub use error::{
    DecodeError, Expired, FeedAllError, HandshakeCause, HandshakeError, PushError, RecvError, SendError, Stage,
};
pub use event::{Event, EventRef, Frame};
pub use libzmq_event::{LibzmqEvent, LibzmqProtocolError};
pub use message::{AsMessage, AsPart, EncodedMessage, IntoParts, LINK_FROM, Message, Part};
#[cfg(feature = "net")]
pub use net::{
    Connection, Flusher, HandshakeLimiter, HandshakePermit, IntoSplit, Joined, Limited, Outbox, Permit, Receiver,
    Sender,
};
pub use peer::{Peer, PeerInfo};
pub use zmtp_codec as codec;
pub use zmtp_codec::{CredentialsError, PlainCredentials};
#[cfg(any(feature = "curve", feature = "blake3"))]
pub use zmtp_codec::{
    Entropy,
    keys::{Certificate, CertificateError, KeyCountError, KeyError, KeyPair, PublicKey, SecretKey},
};
#[cfg(feature = "blake3")]
pub use zmtp_mechanism_blake3::{Blake3Client, Blake3Server};
#[cfg(feature = "blake3zmq")]
pub use zmtp_mechanism_blake3::{Blake3ZmqClient, Blake3ZmqServer};
#[cfg(feature = "curve")]
pub use zmtp_mechanism_curve::{CurveClient, CurveServer};
#[cfg(feature = "null")]
pub use zmtp_mechanism_null::Null;
#[cfg(feature = "plain")]
pub use zmtp_mechanism_plain::{PlainClient, PlainServer};

/// The pages beside the code, compiled and run as tests.
#[cfg(all(doctest, feature = "net", feature = "null", feature = "plain", feature = "curve", feature = "zap"))]
#[doc = include_str!("../../README.md")]
#[doc = include_str!("../../docs/who-gets-in.md")]
#[doc = include_str!("../../docs/writing-a-mechanism.md")]
struct Pages;
