//! ZMTP codec.
#![no_std]

extern crate alloc;

mod command;
mod error;
mod frame;
mod greeting;
mod heartbeat;
mod identity;
mod mechanism;
mod properties;
mod socket_type;
mod subscription;

pub use command::{Command, CommandName, ErrorReason, Group, RawCommand, UnknownCommand};
pub use error::{
    CommandError, FrameError, GreetingError, IdentityError, MechanismNameError, ParseSocketTypeError, PropertyError,
    PropertyPart, ResourceError, SocketTypeError,
};
pub use frame::{EncodedHeader, FrameHeader, FrameKind, LONG_HEADER_LEN, SHORT_BODY_MAX, SHORT_HEADER_LEN};
pub use greeting::{GREETING_LEN, Greeting, MechanismName, Version};
pub use heartbeat::{HeartbeatContext, Ping, Pong, Ttl};
pub use identity::Identity;
pub use mechanism::{
    AnyHandshake, AnyMechanism, Claim, ClearOpener, ClearSealer, Commands, Credentials, Handshake, HandshakeContext,
    Mechanism, MechanismError, OpenError, Opened, Opener, Progress, Refusal, Role, SealError, SealPlan, Sealer,
    Session, Verdict, WireCommand,
};
pub use properties::Properties;
pub use socket_type::SocketType;
pub use subscription::{Subscription, SubscriptionAction};
