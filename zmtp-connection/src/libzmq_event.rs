//! Failed handshakes in the numbers of libzmq's socket monitor, for those who have dashboards and alarms made of them.

use std::fmt;

use zmtp_codec::{CommandError, CommandName, MechanismError};

use crate::error::{HandshakeCause, HandshakeError};

/// What libzmq's socket monitor would say of a failed handshake: the event and its value (`zmq_socket_monitor`).
///
/// It says less than a [`HandshakeError`], which is where it comes from
/// ([`HandshakeError::libzmq_event`]). Where libzmq reports nothing at all, this is the nearest to what it does; and a command
/// that is refused by its size alone, before it is received, has `ZMTP_MALFORMED_COMMAND_UNSPECIFIED` where libzmq knows
/// its name.
///
/// ```
/// use zmtp_connection::LibzmqEvent;
///
/// let event = LibzmqEvent::Auth { status: 400 };
/// assert_eq!((event.code(), event.value()), (0x4000, 400));
/// assert_eq!(event.to_string(), "HANDSHAKE_FAILED_AUTH 400");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LibzmqEvent {
    /// `ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL`: the connection or the time was over.
    NoDetail {
        /// An errno: the system's own where it gave one, else Linux's.
        errno: i32,
    },
    /// `ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL`: what the peer, or a ZAP handler, has sent breaks the protocol.
    Protocol(LibzmqProtocolError),
    /// `ZMQ_EVENT_HANDSHAKE_FAILED_AUTH`: the peer was refused, or has refused us.
    Auth {
        /// The status of ZAP: 300, 400 or 500.
        status: u16,
    },
}

macro_rules! protocol_errors {
    ($($(#[$doc:meta])* $name:ident = $value:literal $text:literal,)*) => {
        /// The values of `ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL`: `ZMQ_PROTOCOL_ERROR_…`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[repr(u32)]
        pub enum LibzmqProtocolError {
            $(#[doc = concat!("`ZMQ_PROTOCOL_ERROR_", $text, "`.")] $(#[$doc])* $name = $value,)*
        }

        impl fmt::Display for LibzmqProtocolError {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$name => $text,)* })
            }
        }
    };
}
protocol_errors! {
    /// Whatever has no number of its own.
    ZmtpUnspecified = 0x1000_0000 "ZMTP_UNSPECIFIED",
    ZmtpUnexpectedCommand = 0x1000_0001 "ZMTP_UNEXPECTED_COMMAND",
    ZmtpMalformedCommand = 0x1000_0011 "ZMTP_MALFORMED_COMMAND_UNSPECIFIED",
    ZmtpMalformedHello = 0x1000_0013 "ZMTP_MALFORMED_COMMAND_HELLO",
    ZmtpMalformedInitiate = 0x1000_0014 "ZMTP_MALFORMED_COMMAND_INITIATE",
    ZmtpMalformedError = 0x1000_0015 "ZMTP_MALFORMED_COMMAND_ERROR",
    ZmtpMalformedReady = 0x1000_0016 "ZMTP_MALFORMED_COMMAND_READY",
    ZmtpMalformedWelcome = 0x1000_0017 "ZMTP_MALFORMED_COMMAND_WELCOME",
    /// A socket type that does not fit is one of these.
    ZmtpInvalidMetadata = 0x1000_0018 "ZMTP_INVALID_METADATA",
    ZmtpCryptographic = 0x1100_0001 "ZMTP_CRYPTOGRAPHIC",
    ZmtpMechanismMismatch = 0x1100_0002 "ZMTP_MECHANISM_MISMATCH",
    ZapUnspecified = 0x2000_0000 "ZAP_UNSPECIFIED",
    ZapMalformedReply = 0x2000_0001 "ZAP_MALFORMED_REPLY",
    ZapBadRequestId = 0x2000_0002 "ZAP_BAD_REQUEST_ID",
    ZapBadVersion = 0x2000_0003 "ZAP_BAD_VERSION",
    ZapInvalidStatusCode = 0x2000_0004 "ZAP_INVALID_STATUS_CODE",
    ZapInvalidMetadata = 0x2000_0005 "ZAP_INVALID_METADATA",
}

/// Errnos of Linux, for what is not a failure of the system.
mod errno {
    /// Time is over; or no place is free.
    pub(super) const EAGAIN: i32 = 11;
    /// Nobody is there to authenticate.
    pub(super) const EFAULT: i32 = 14;
    /// We have made a mistake ourselves.
    pub(super) const EINVAL: i32 = 22;
    /// The peer has closed the connection.
    pub(super) const EPIPE: i32 = 32;
}

impl LibzmqEvent {
    /// The handshake was given up from outside, for want of a place or of time.
    #[cfg(all(feature = "net", feature = "tracing"))]
    pub(crate) const GIVEN_UP: Self = Self::NoDetail { errno: errno::EAGAIN };

    /// The number of the event: 0x0800, 0x2000 or 0x4000.
    #[must_use]
    pub const fn code(&self) -> u16 {
        match self {
            Self::NoDetail { .. } => 0x0800,
            Self::Protocol(_) => 0x2000,
            Self::Auth { .. } => 0x4000,
        }
    }

    /// The value of the event: an errno, a protocol error or a status.
    #[must_use]
    pub const fn value(&self) -> u32 {
        match self {
            Self::NoDetail { errno } => errno.cast_unsigned(),
            Self::Protocol(error) => *error as u32,
            Self::Auth { status } => *status as u32,
        }
    }

    /// The name of the event, without `ZMQ_EVENT_`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NoDetail { .. } => "HANDSHAKE_FAILED_NO_DETAIL",
            Self::Protocol(_) => "HANDSHAKE_FAILED_PROTOCOL",
            Self::Auth { .. } => "HANDSHAKE_FAILED_AUTH",
        }
    }
}

impl fmt::Display for LibzmqEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.name())?;
        match self {
            Self::NoDetail { errno } => write!(f, "{errno}"),
            Self::Protocol(error) => write!(f, "{error}"),
            Self::Auth { status } => write!(f, "{status}"),
        }
    }
}

impl HandshakeError {
    /// What libzmq's socket monitor would say of this failure.
    #[must_use]
    pub fn libzmq_event(&self) -> LibzmqEvent {
        use LibzmqEvent::{NoDetail, Protocol};
        use LibzmqProtocolError as P;
        match self.cause() {
            HandshakeCause::MechanismMismatch { .. } => Protocol(P::ZmtpMechanismMismatch),
            HandshakeCause::Greeting(_) | HandshakeCause::Frame(_) => Protocol(P::ZmtpUnspecified),
            HandshakeCause::NotACommand | HandshakeCause::TooManyCommands { .. } => Protocol(P::ZmtpUnexpectedCommand),
            HandshakeCause::CommandSize { .. } => Protocol(P::ZmtpMalformedCommand),
            HandshakeCause::SocketType(_) | HandshakeCause::Incompatible { .. } | HandshakeCause::Identity(_) => {
                Protocol(P::ZmtpInvalidMetadata)
            }
            HandshakeCause::Mechanism(error) => of_mechanism(error),
            HandshakeCause::TimedOut { .. } => NoDetail { errno: errno::EAGAIN },
            HandshakeCause::NoAuthenticator => NoDetail { errno: errno::EFAULT },
            HandshakeCause::Closed => NoDetail { errno: errno::EPIPE },
            HandshakeCause::Io(error) => NoDetail { errno: error.raw_os_error().unwrap_or(errno::EPIPE) },
        }
    }
}

fn of_mechanism(error: &MechanismError) -> LibzmqEvent {
    use LibzmqEvent::{Auth, NoDetail, Protocol};
    use LibzmqProtocolError as P;
    match error {
        MechanismError::UnexpectedCommand { .. } => Protocol(P::ZmtpUnexpectedCommand),
        MechanismError::Malformed { command, .. } => Protocol(match *command {
            "HELLO" => P::ZmtpMalformedHello,
            "WELCOME" => P::ZmtpMalformedWelcome,
            "INITIATE" => P::ZmtpMalformedInitiate,
            CommandName::READY => P::ZmtpMalformedReady,
            _ => P::ZmtpMalformedCommand,
        }),
        MechanismError::Command(CommandError::ReasonLengthMissing | CommandError::ReasonTruncated { .. }) => {
            Protocol(P::ZmtpMalformedError)
        }
        MechanismError::Command(_) => Protocol(P::ZmtpMalformedCommand),
        MechanismError::Properties { .. } => Protocol(P::ZmtpInvalidMetadata),
        MechanismError::Cryptographic { .. } => Protocol(P::ZmtpCryptographic),
        // libzmq is silent about an ERROR without a status.
        MechanismError::PeerError { reason } => {
            reason.status_code().map_or(Protocol(P::ZmtpUnspecified), |status| Auth { status })
        }
        MechanismError::Refused(refusal) => Auth { status: refusal.status_code() },
        MechanismError::Busy => NoDetail { errno: errno::EAGAIN },
        _ => NoDetail { errno: errno::EINVAL },
    }
}

#[cfg(feature = "zap")]
impl crate::zap::ZapError {
    /// What libzmq's socket monitor would say of a handshake that ends because a ZAP handler has replied like this.
    #[must_use]
    pub const fn libzmq_event(&self) -> LibzmqEvent {
        LibzmqEvent::Protocol(match self {
            Self::NoDelimiter | Self::FrameCount { .. } => LibzmqProtocolError::ZapMalformedReply,
            Self::Version { .. } => LibzmqProtocolError::ZapBadVersion,
            Self::RequestId => LibzmqProtocolError::ZapBadRequestId,
            Self::Status { .. } => LibzmqProtocolError::ZapInvalidStatusCode,
            Self::Metadata(_) => LibzmqProtocolError::ZapInvalidMetadata,
            _ => LibzmqProtocolError::ZapUnspecified,
        })
    }
}

#[cfg(all(feature = "zap", feature = "net"))]
impl crate::zap::ZapClientError {
    /// What libzmq's socket monitor would say of a handshake that ends because there is no answer from a ZAP handler.
    #[must_use]
    pub const fn libzmq_event(&self) -> LibzmqEvent {
        match self {
            Self::Reply(error) => error.libzmq_event(),
            Self::TimedOut { .. } => LibzmqEvent::NoDetail { errno: errno::EAGAIN },
            _ => LibzmqEvent::NoDetail { errno: errno::EFAULT },
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::io;

    use zmtp_codec::{
        ErrorReason, GreetingError, MechanismName, PropertyError, Refusal, SocketType, SocketTypeError, Verdict,
    };

    use super::*;
    use crate::error::Stage;

    fn event(cause: impl Into<HandshakeCause>) -> String {
        HandshakeError::new(Stage::Mechanism, cause).libzmq_event().to_string()
    }

    #[test]
    fn what_breaks_the_protocol_has_the_number_that_libzmq_gives_it() {
        let mismatch = HandshakeCause::MechanismMismatch { ours: MechanismName::CURVE, theirs: MechanismName::NULL };
        let malformed = |command| MechanismError::Malformed { command, problem: "" };
        for (cause, due) in [
            (mismatch, "ZMTP_MECHANISM_MISMATCH"),
            (GreetingError::NotZmtp { octet: b'G' }.into(), "ZMTP_UNSPECIFIED"),
            (HandshakeCause::NotACommand, "ZMTP_UNEXPECTED_COMMAND"),
            (MechanismError::unexpected("READY", b"HELLO").into(), "ZMTP_UNEXPECTED_COMMAND"),
            (HandshakeCause::CommandSize { size: 1, least: 2, most: 3 }, "ZMTP_MALFORMED_COMMAND_UNSPECIFIED"),
            (malformed("HELLO").into(), "ZMTP_MALFORMED_COMMAND_HELLO"),
            (malformed("INITIATE").into(), "ZMTP_MALFORMED_COMMAND_INITIATE"),
            (malformed("WELCOME").into(), "ZMTP_MALFORMED_COMMAND_WELCOME"),
            (malformed("READY").into(), "ZMTP_MALFORMED_COMMAND_READY"),
            (MechanismError::from(CommandError::ReasonLengthMissing).into(), "ZMTP_MALFORMED_COMMAND_ERROR"),
            (
                MechanismError::Properties { command: "READY", source: PropertyError::EmptyName { offset: 0 } }.into(),
                "ZMTP_INVALID_METADATA",
            ),
            (SocketTypeError::Missing.into(), "ZMTP_INVALID_METADATA"),
            (HandshakeCause::Incompatible { ours: SocketType::Pub, theirs: SocketType::Pull }, "ZMTP_INVALID_METADATA"),
            (MechanismError::Cryptographic { command: "HELLO" }.into(), "ZMTP_CRYPTOGRAPHIC"),
            (MechanismError::PeerError { reason: ErrorReason::new("no").unwrap() }.into(), "ZMTP_UNSPECIFIED"),
        ] {
            assert_eq!(event(cause), format!("HANDSHAKE_FAILED_PROTOCOL {due}"));
        }
    }

    #[test]
    fn every_refusal_has_its_status_on_both_sides() {
        for (verdict, status) in [(Verdict::try_later(), 300), (Verdict::deny(), 400), (Verdict::internal_error(), 500)]
        {
            let Verdict::Refuse(refusal) = verdict else { panic!("let in") };
            if let Some(reason) = refusal.reason() {
                let theirs = MechanismError::PeerError { reason: reason.clone() };
                assert_eq!(event(theirs), format!("HANDSHAKE_FAILED_AUTH {status}"));
            }
            assert_eq!(event(MechanismError::Refused(refusal)), format!("HANDSHAKE_FAILED_AUTH {status}"));
        }
        let other = Refusal::error(ErrorReason::new("no room").unwrap());
        assert_eq!(event(MechanismError::Refused(other)), "HANDSHAKE_FAILED_AUTH 400");
    }

    #[cfg(feature = "zap")]
    #[test]
    fn a_reply_that_is_none_has_the_number_that_libzmq_gives_it() {
        use crate::zap::ZapError;
        for (error, due) in [
            (ZapError::NoDelimiter, "ZAP_MALFORMED_REPLY"),
            (ZapError::FrameCount { frames: 6 }, "ZAP_MALFORMED_REPLY"),
            (ZapError::Version { version: "2.0".into() }, "ZAP_BAD_VERSION"),
            (ZapError::RequestId, "ZAP_BAD_REQUEST_ID"),
            (ZapError::Status { status: "201".into() }, "ZAP_INVALID_STATUS_CODE"),
            (ZapError::Metadata(PropertyError::EmptyName { offset: 0 }), "ZAP_INVALID_METADATA"),
            (ZapError::NotText { field: "domain" }, "ZAP_UNSPECIFIED"),
        ] {
            assert_eq!(error.libzmq_event().to_string(), format!("HANDSHAKE_FAILED_PROTOCOL {due}"));
        }
    }

    #[test]
    fn what_has_no_detail_has_an_errno() {
        for (cause, due) in [
            (HandshakeCause::TimedOut { after: Duration::ZERO }, 11),
            (MechanismError::Busy.into(), 11),
            (HandshakeCause::NoAuthenticator, 14),
            (MechanismError::Local("no entropy").into(), 22),
            (HandshakeCause::Closed, 32),
            (HandshakeCause::Io(io::Error::from_raw_os_error(104)), 104),
            (HandshakeCause::Io(io::ErrorKind::BrokenPipe.into()), 32),
        ] {
            assert_eq!(event(cause), format!("HANDSHAKE_FAILED_NO_DETAIL {due}"));
        }
    }

    #[test]
    fn codes_and_values_are_the_numbers_of_zmq_h() {
        let event = LibzmqEvent::Protocol(LibzmqProtocolError::ZmtpMechanismMismatch);
        assert_eq!((event.code(), event.value()), (0x2000, 0x1100_0002));
        let event = LibzmqEvent::NoDetail { errno: 11 };
        assert_eq!((event.code(), event.value()), (0x0800, 11));
        assert_eq!(LibzmqProtocolError::ZapInvalidMetadata as u32, 0x2000_0005);
    }
}
