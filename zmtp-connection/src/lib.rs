//! One ZMTP 3.1 (ZeroMQ) peer connection over any byte stream.
#![forbid(unsafe_code)]

mod config;
mod error;
mod message;
mod peer;
pub mod proto;

pub use config::{ConfigBuilder, ConfigError, ConnectionConfig, HeartbeatConfig, Limits};
pub use error::{DecodeError, Expired, HandshakeCause, HandshakeError, PushError, RecvError, SendError, Stage};
pub use message::{AsMessage, AsPart, EncodedMessage, LINK_FROM, Message, Part};
pub use peer::{Peer, PeerInfo};
pub use zmtp_codec as codec;
#[cfg(feature = "null")]
pub use zmtp_mechanism_null::Null;
