//! What can go wrong on a connection, split by whose doing it is.
//!
//! "More octets are needed" is never an error. Errors about what a peer sent never depend on what the caller did, and
//! the other way round.

use core::time::Duration;
use std::fmt;

use thiserror::Error;
use zmtp_codec::{
    CommandError, ErrorReason, FrameError, GreetingError, IdentityError, MechanismError, MechanismName, OpenError,
    SealError, SocketType, SocketTypeError, Version,
};

/// A connection that did not come about: at which stage, why, and whether to try again.
///
/// ```text
/// handshake failed at the greeting: the peer speaks CURVE, we speak NULL; configure the same mechanism on both sides
/// ```
#[derive(Debug)]
pub struct HandshakeError {
    stage: Stage,
    cause: HandshakeCause,
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "handshake failed at the {}: {}", self.stage, self.cause)?;
        self.hint().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

impl std::error::Error for HandshakeError {
    /// What is behind the cause; the cause itself is shown already.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.cause)
    }
}

impl HandshakeError {
    pub(crate) fn new(stage: Stage, cause: impl Into<HandshakeCause>) -> Self {
        Self { stage, cause: cause.into() }
    }

    /// How far the handshake had come.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        self.stage
    }

    /// What went wrong.
    #[must_use]
    pub const fn cause(&self) -> &HandshakeCause {
        &self.cause
    }

    /// What is most likely behind it, where the cause alone leaves the user to guess. It is part of what `Display` shows.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match (self.stage, &self.cause) {
            (Stage::Greeting, HandshakeCause::Closed) => {
                Some("its security mechanism may be another one: libzmq closes like this before it has named its own")
            }
            (Stage::Mechanism, HandshakeCause::Closed) => Some(
                "it may want us to come back later, or refuse us without saying why: a CURVE or BLAKE3 server does so when the \
                 client has another server key, and libzmq when the socket types do not fit, and as a PLAIN server without \
                 a ZAP handler",
            ),
            (_, HandshakeCause::Mechanism(MechanismError::Cryptographic { .. })) => {
                Some("does the client have the right server key? If so, octets were changed on the way")
            }
            (_, HandshakeCause::Mechanism(MechanismError::PeerError { .. })) => {
                Some("nothing proves that the peer said so: an ERROR can be forged by anyone on the path")
            }
            _ => None,
        }
    }

    /// What the peer gave as the reason for refusing us, if it sent an ERROR. Unauthenticated: an ERROR travels in
    /// the clear before any session is sealed, so anyone on the path can forge it.
    #[must_use]
    pub const fn peer_reason(&self) -> Option<&ErrorReason> {
        match &self.cause {
            HandshakeCause::Mechanism(MechanismError::PeerError { reason }) => Some(reason),
            _ => None,
        }
    }

    /// Whether connecting again with the same configuration makes sense (RFC 37): yes after a plain close, an I/O
    /// error, a timeout or a temporary refusal of ours (ZAP status 300); no after an ERROR (status 400 or 500, from either
    /// side), a mismatch, or a peer that breaks the protocol.
    ///
    /// An ERROR, like all that is not sealed yet, can be forged by anyone on the path, who could as well let nothing
    /// pass: whoever has to withstand that tries again even so, at long intervals.
    #[must_use]
    pub const fn may_reconnect(&self) -> bool {
        match &self.cause {
            HandshakeCause::Closed
            | HandshakeCause::TimedOut { .. }
            | HandshakeCause::Io(_)
            | HandshakeCause::Mechanism(MechanismError::Busy) => true,
            HandshakeCause::Mechanism(MechanismError::Refused(refusal)) => refusal.is_silent(),
            HandshakeCause::Greeting(_)
            | HandshakeCause::MechanismMismatch { .. }
            | HandshakeCause::Frame(_)
            | HandshakeCause::NotACommand
            | HandshakeCause::CommandSize { .. }
            | HandshakeCause::Mechanism(_)
            | HandshakeCause::SocketType(_)
            | HandshakeCause::Incompatible { .. }
            | HandshakeCause::Identity(_)
            | HandshakeCause::NoAuthenticator
            | HandshakeCause::TooManyCommands { .. } => false,
        }
    }
}

/// How far a handshake had come when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// The 64 octets by which the peers find out whether they can talk at all.
    Greeting,
    /// The commands of the security mechanism.
    Mechanism,
    /// The application's judgement of the peer.
    Authorization,
    /// The check of the peer's properties: socket type and identity.
    Properties,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Greeting => "greeting",
            Self::Mechanism => "mechanism's commands",
            Self::Authorization => "authorization of the peer",
            Self::Properties => "peer's properties",
        })
    }
}

/// Why a handshake failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HandshakeCause {
    /// The peer's first octets are no greeting of ZMTP 3.
    #[error(transparent)]
    Greeting(#[from] GreetingError),
    /// The peers are configured for different mechanisms.
    #[error("the peer speaks {theirs}, we speak {ours}; configure the same mechanism on both sides")]
    MechanismMismatch {
        /// What we announced.
        ours: MechanismName,
        /// What the peer announced.
        theirs: MechanismName,
    },
    /// The peer sent a frame outside the grammar.
    #[error("the peer sent a malformed frame")]
    Frame(#[from] FrameError),
    /// The peer sent a message before the handshake was over.
    #[error("the peer sent a message frame where only commands are allowed")]
    NotACommand,
    /// The peer announced a handshake command whose size cannot be right.
    #[error("the peer announced a handshake command of {size} octets, {least} to {most} are accepted here")]
    CommandSize {
        /// The size in the frame header.
        size: u64,
        /// The smallest size accepted.
        least: u64,
        /// The largest size accepted.
        most: u64,
    },
    /// The mechanism failed, the peer refused us, or the application refused the peer.
    ///
    /// That the peer has refused us ([`MechanismError::PeerError`]) is unauthenticated: its ERROR comes before a session
    /// is sealed, and anyone on the path can forge it.
    #[error(transparent)]
    Mechanism(#[from] MechanismError),
    /// The peer's Socket-Type is missing or unknown. It was told so.
    #[error("the peer's socket type cannot be used")]
    SocketType(#[from] SocketTypeError),
    /// The peer's socket type does not talk to ours. It was told so.
    #[error("a {ours} cannot talk to a {theirs}")]
    Incompatible {
        /// Our socket type.
        ours: SocketType,
        /// The peer's.
        theirs: SocketType,
    },
    /// The peer's Identity is too long.
    #[error("the peer's identity cannot be used")]
    Identity(#[from] IdentityError),
    /// The whole handshake took longer than was configured.
    #[error("the handshake was not complete after {after:?}")]
    TimedOut {
        /// The limit.
        after: Duration,
    },
    /// The mechanism asks whether to let the peer in, and nobody is there to answer. The peer was turned away, without a
    /// word: it may come back when this is mended.
    #[error(
        "the mechanism asks whether to let the peer in, and nobody is there to answer: \
         use handshake_with and an authenticator (AllowList, a closure, or AllowAny to let in everybody)"
    )]
    NoAuthenticator,
    /// The peer has sent more commands than any handshake takes.
    #[error("the peer has sent {limit} handshake commands, and the handshake is not complete")]
    TooManyCommands {
        /// The limit.
        limit: u32,
    },
    /// The peer closed the connection without a word. Temporary, by the convention of RFC 37; but at the greeting,
    /// libzmq closes like this on a peer whose mechanism is not its own, before it has sent the name of its own.
    #[error("the peer closed the connection without a word")]
    Closed,
    /// The stream failed.
    #[error("the connection failed")]
    Io(#[source] std::io::Error),
}

/// What the peer sent cannot be. The connection is over; what was complete before was delivered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// A frame outside the grammar.
    #[error("the peer sent a malformed frame")]
    Frame(#[from] FrameError),
    /// A frame of a message is larger than [`Limits::max_frame`](crate::Limits::max_frame).
    #[error("the peer sent a frame of {size} octets, the limit is {limit}; Limits::max_frame and max_message set it")]
    FrameTooLarge {
        /// What it announced, or what was in it if it was encrypted.
        size: u64,
        /// The limit.
        limit: usize,
    },
    /// The frames of a message are together larger than [`Limits::max_message`](crate::Limits::max_message).
    #[error(
        "the peer sent a message of at least {at_least} octets, the limit is {limit}; raise Limits::max_message to accept it"
    )]
    MessageTooLarge {
        /// What was received and announced of it so far.
        at_least: usize,
        /// The limit.
        limit: usize,
    },
    /// A message has more frames than [`Limits::max_parts`](crate::Limits::max_parts).
    #[error("the peer sent a message of more than {limit} parts; raise Limits::max_parts to accept it")]
    TooManyParts {
        /// The limit.
        limit: usize,
    },
    /// A command is larger than [`Limits::max_command`](crate::Limits::max_command).
    #[error("the peer sent a command of {size} octets, the limit is {limit}; raise Limits::max_command to accept it")]
    CommandTooLarge {
        /// What it announced, or what was in it if it was encrypted.
        size: u64,
        /// The limit.
        limit: usize,
    },
    /// A command breaks its grammar.
    #[error("the peer sent a malformed command")]
    Command(#[from] CommandError),
    /// A frame of an encrypted connection did not open.
    #[error("a frame from the peer cannot be opened")]
    Open(#[from] OpenError),
    /// READY belongs to the handshake.
    #[error("the peer sent READY after the handshake")]
    UnexpectedReady,
    /// The peer gave up on us. ERROR belongs to the handshake, but is taken as what it says.
    #[error("the peer ended the connection with the reason \"{reason}\"")]
    PeerError {
        /// What it said.
        reason: ErrorReason,
    },
    /// RADIO and DISH messages have two parts, the group (255 octets at most) and the body.
    #[error("the peer sent {parts} parts where a group (up to 255 octets) and a body were due")]
    NotAGroupMessage {
        /// How many came.
        parts: usize,
    },
    /// The stream ended inside a frame or between the frames of a message; that message is not delivered.
    #[error("the connection ended in the middle of a message")]
    Truncated,
    /// The caller read part of a message frame by frame: the rest of it comes frame by frame as well.
    #[error("a message was begun frame by frame; read it to its end with recv_frame first")]
    MidMessage,
    /// The connection failed before; the error then said why.
    #[error("the connection has failed before")]
    Poisoned,
}

/// What cannot be sent. Nothing of it was queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PushError {
    /// More waits than the high-water mark allows: flush, then try again.
    #[error("{pending} octets wait to be sent, the high-water mark is {limit}; flush first")]
    Full {
        /// Octets that wait.
        pending: usize,
        /// The high-water mark.
        limit: usize,
    },
    /// ZMTP has no message without parts; an empty part is possible.
    #[error("a message has at least one part (which may be empty)")]
    NoParts,
    /// Our socket type sends messages of one part only.
    #[error("this socket type sends messages of one part, not of {parts}")]
    SinglePartOnly {
        /// How many there were.
        parts: usize,
    },
    /// RADIO and DISH messages have two parts, the group (255 octets at most) and the body.
    #[error("this socket type sends a group (up to 255 octets) and a body, not {parts} parts")]
    NotAGroupMessage {
        /// How many there were.
        parts: usize,
    },
    /// READY and ERROR belong to the handshake.
    #[error("READY and ERROR cannot be sent after the handshake")]
    HandshakeCommand,
    /// Only a SUB or XSUB subscribes, and only a DISH joins groups.
    #[error("this socket type sends no such command: a SUB or XSUB subscribes, a DISH joins groups")]
    WrongSocketType,
    /// The peer's version of ZMTP does not know the command.
    #[error("a peer of ZMTP {version} does not know this command")]
    Unsupported {
        /// What the peer announced.
        version: Version,
    },
    /// A message encoded in advance is plaintext, and this connection seals its frames.
    #[error("this connection seals its frames: send the message itself, not its encoded form")]
    EncryptedLink,
    /// The mechanism can seal no more.
    #[error("the frame cannot be sealed")]
    Seal(#[from] SealError),
    /// Sending has failed before; the error then said why. What was queued is lost.
    #[error("the sending side has failed before")]
    Poisoned,
}

/// Why nothing more is received.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecvError {
    /// The peer broke the protocol, or the stream ended in the middle of a message.
    #[error(transparent)]
    Protocol(#[from] DecodeError),
    /// The peer was silent for too long.
    #[error(transparent)]
    Expired(#[from] Expired),
    /// The stream failed.
    #[error("the connection failed while receiving")]
    Io(#[source] std::io::Error),
}

/// A peer that was silent for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Expired {
    /// It sent nothing after our PING.
    #[error("the peer has sent nothing for {after:?} after our PING")]
    NoAnswer {
        /// The heartbeat timeout.
        after: Duration,
    },
    /// It asked, by the TTL of its PING, to be given up after this much silence.
    #[error("the peer has sent nothing for {ttl:?}, the time-to-live that it announced")]
    TimeToLive {
        /// What it announced.
        ttl: Duration,
    },
}

/// Why something was not sent.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SendError {
    /// It cannot be sent at all; nothing of it was queued.
    #[error(transparent)]
    Refused(#[from] PushError),
    /// The stream failed. What had been queued may or may not have arrived.
    #[error("the connection failed while sending")]
    Io(#[source] std::io::Error),
    /// The peer was silent for too long while we waited to send.
    #[error(transparent)]
    Expired(#[from] Expired),
    /// Receiving has failed, and whoever receives is told why: the peer broke the protocol, was silent for too long, or
    /// the stream failed. What had been queued may or may not have arrived.
    #[error("the connection is lost; receiving says why")]
    Lost,
}

/// What stopped [`feed_all`](crate::Connection::feed_all), and after how many messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the message after {queued} others cannot be sent")]
pub struct FeedAllError {
    queued: usize,
    source: PushError,
}

impl FeedAllError {
    #[cfg(feature = "net")]
    pub(crate) const fn new(queued: usize, source: PushError) -> Self {
        Self { queued, source }
    }

    /// How many messages were queued before it.
    #[must_use]
    pub const fn queued(&self) -> usize {
        self.queued
    }

    /// Why it cannot be sent.
    #[must_use]
    pub const fn cause(&self) -> PushError {
        self.source
    }
}

/// An error and all that is behind it, on one line.
#[cfg(all(feature = "net", any(feature = "tracing", feature = "zap")))]
pub(crate) struct Chain<'a>(pub(crate) &'a dyn std::error::Error);

#[cfg(all(feature = "net", any(feature = "tracing", feature = "zap")))]
impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}
