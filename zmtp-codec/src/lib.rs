//! The wire language of ZMTP 3.1 (ZeroMQ, RFC 37): what two peers say to each other, octet for octet.
//!
//! | what | where |
//! |---|---|
//! | the 64 octets a connection begins with | [`Greeting`], [`Version`], [`MechanismName`] |
//! | frames | [`FrameHeader`], [`FrameKind`] |
//! | commands | [`Command`], [`RawCommand`], [`Subscription`], [`Ping`], [`Pong`], [`ErrorReason`] |
//! | metadata | [`Properties`], [`Identity`], [`SocketType`] |
//! | how a security mechanism plugs in | [`Mechanism`], [`Handshake`], [`Sealer`], [`Opener`], [`AnyMechanism`] |
//!
//! The crate does no I/O and reads no clock; it needs `alloc` and neither `std` nor an operating system. Every decoder
//! takes octets as they come: `Ok(None)` asks for more, an error is final and typed, and nothing that a peer sends
//! panics or allocates more than the octets received.
//!
//! ```
//! use zmtp_codec::{FrameHeader, FrameKind};
//!
//! let header = FrameHeader::new(FrameKind::Last, 5).encode();
//! assert_eq!(&*header, b"\x00\x05");
//! assert_eq!(FrameHeader::decode(b"\x00\x05hello"), Ok(Some((FrameHeader::new(FrameKind::Last, 5), 2))));
//! ```
//!
//! Feature `keys` adds, for mechanisms that have keys, the module `keys` (Curve25519 keys, their text and their certificate
//! files) and `Entropy`. Feature `tokio-util` adds the framing as a codec for `tokio_util::codec::Framed`. Both need `std`.
//! Feature `cipher` is for the mechanism crates of this workspace alone, and no part of the interface.
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

extern crate alloc;
#[cfg(any(feature = "keys", feature = "tokio-util"))]
extern crate std;

#[cfg(feature = "cipher")]
#[doc(hidden)]
pub mod cipher;
mod command;
#[cfg(feature = "keys")]
mod entropy;
mod error;
mod frame;
mod greeting;
#[cfg(feature = "keys")]
mod half_open;
mod heartbeat;
mod identity;
#[cfg(feature = "keys")]
pub mod keys;
mod mechanism;
mod properties;
mod socket_type;
mod subscription;
#[cfg(feature = "tokio-util")]
mod tokio_util;

pub use command::{Command, CommandName, ErrorReason, Group, RawCommand, UnknownCommand};
#[cfg(feature = "keys")]
pub use entropy::Entropy;
pub use error::{
    CommandError, FrameError, GreetingError, IdentityError, MechanismNameError, ParseSocketTypeError, PropertyError,
    PropertyPart, ResourceError, SocketTypeError,
};
pub use frame::{EncodedHeader, FrameHeader, FrameKind, LONG_HEADER_LEN, SHORT_BODY_MAX, SHORT_HEADER_LEN};
pub use greeting::{GREETING_LEN, Greeting, MechanismName, Version};
#[cfg(feature = "keys")]
pub use half_open::{HalfOpen, HalfOpenGuard};
pub use heartbeat::{HeartbeatContext, Ping, Pong, Ttl};
pub use identity::Identity;
pub use mechanism::{
    Admission, AnyHandshake, AnyMechanism, Claim, ClearOpener, ClearSealer, Commands, Credentials, CredentialsError,
    Handshake, HandshakeContext, Mechanism, MechanismError, OpenError, Opened, Opener, PlainCredentials, Progress,
    Refusal, Role, SealError, SealPlan, Sealer, Session, Verdict, WireCommand,
};
pub use properties::Properties;
pub use socket_type::SocketType;
pub use subscription::{Subscription, SubscriptionAction};
#[cfg(feature = "tokio-util")]
pub use tokio_util::{Frame, FrameCodec, FrameCodecError};
