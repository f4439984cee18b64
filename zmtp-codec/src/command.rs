//! Commands: what peers tell each other beside messages.

mod group;
mod reason;
#[cfg(test)]
mod tests;

pub use group::Group;
pub use reason::ErrorReason;

use bytes::{BufMut, Bytes};

use crate::error::CommandError;
use crate::{Ping, Pong, Properties};

/// The names of the commands, as they are on the wire. They compare octet by octet: `ping` is no PING.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommandName {}

impl CommandName {
    /// Ends a handshake and carries metadata.
    pub const READY: &'static str = "READY";
    /// Refuses a handshake and says why.
    pub const ERROR: &'static str = "ERROR";
    /// Begins a subscription (3.1).
    pub const SUBSCRIBE: &'static str = "SUBSCRIBE";
    /// Ends a subscription (3.1).
    pub const CANCEL: &'static str = "CANCEL";
    /// Joins a group.
    pub const JOIN: &'static str = "JOIN";
    /// Leaves a group.
    pub const LEAVE: &'static str = "LEAVE";
    /// Asks whether the peer is alive (3.1).
    pub const PING: &'static str = "PING";
    /// Answers a PING (3.1).
    pub const PONG: &'static str = "PONG";

    /// The names that [`Command`] has a variant of its own for.
    const KNOWN: [&'static str; 8] =
        [Self::READY, Self::ERROR, Self::SUBSCRIBE, Self::CANCEL, Self::JOIN, Self::LEAVE, Self::PING, Self::PONG];
}

/// The longest command name, in octets.
const MAX_NAME_LEN: usize = 255;

/// A command body taken apart into name and data, and no further: both borrow from the body.
///
/// This is what all commands have in common, those of a security mechanism included (RFC 37, *Commands*).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct RawCommand<'a> {
    /// 1 to 255 octets. Peers send letters; nothing is made of others, they are just no name that anybody knows.
    pub name: &'a [u8],
    /// Everything behind the name.
    pub data: &'a [u8],
}

impl<'a> RawCommand<'a> {
    /// Takes apart the whole body of a command frame, without copying.
    ///
    /// # Errors
    /// [`CommandError::EmptyBody`], [`CommandError::EmptyName`], or [`CommandError::NameTruncated`] if the name runs past
    /// the end. libzmq ignores all three; a peer that sends them has lost track of its own frames.
    pub fn decode(body: &'a [u8]) -> Result<Self, CommandError> {
        let (&name_len, rest) = body.split_first().ok_or(CommandError::EmptyBody)?;
        if name_len == 0 {
            return Err(CommandError::EmptyName);
        }
        let declared = usize::from(name_len);
        let (name, data) =
            rest.split_at_checked(declared).ok_or(CommandError::NameTruncated { declared, available: rest.len() })?;
        Ok(Self { name, data })
    }
}

/// A command with its meaning, owning its octets.
///
/// Whatever [`decode`](Self::decode) gives, and whatever can be built, encodes to a body that decodes to an equal value.
/// Which commands are legal when, and at which socket type, is the connection's business: READY and ERROR belong into the
/// handshake, all others behind it.
///
/// READY means the one of the NULL and PLAIN mechanisms here. CURVE and BLAKE3 send one whose data is encrypted: for the
/// commands of a handshake use [`RawCommand`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// The handshake is over as far as the sender is concerned; these are its properties.
    Ready(Properties),
    /// The sender refuses the connection, and closes it.
    Error(ErrorReason),
    /// The sender wants messages that start with this topic. See [`Subscription`](crate::Subscription).
    Subscribe(Bytes),
    /// The sender no longer wants messages that start with this topic.
    Cancel(Bytes),
    /// The sender wants the messages of this group (RFC 48).
    Join(Group),
    /// The sender no longer wants the messages of this group (RFC 48).
    Leave(Group),
    /// The sender wants a PONG.
    Ping(Ping),
    /// The sender answers a PING.
    Pong(Pong),
    /// Well formed, but of a name that this codec does not know. To be ignored behind the handshake, so that later versions
    /// of the protocol can add commands.
    Unknown(UnknownCommand),
}

impl Command {
    /// Reads the whole body of a command frame.
    ///
    /// Topics, groups and unknown commands share the octets of `body`; what a peer announces about itself in READY and ERROR
    /// is copied, since it outlives the receive buffer. READY may carry
    /// [`Properties::DEFAULT_MAX_COUNT`] properties. The length of `body` is not limited here: limit what is read.
    ///
    /// # Errors
    /// A [`CommandError`] if the body, or the data of a command that this codec knows, is malformed. A name that is not known
    /// is no error.
    #[expect(clippy::needless_pass_by_value, reason = "the octets are handed over: topics and groups share them")]
    pub fn decode(body: Bytes) -> Result<Self, CommandError> {
        let RawCommand { name, data } = RawCommand::decode(&body)?;
        let shared = |part: &[u8]| body.slice_ref(part);
        Ok(match core::str::from_utf8(name) {
            Ok(CommandName::READY) => Self::Ready(Properties::decode(data, Properties::DEFAULT_MAX_COUNT)?),
            Ok(CommandName::ERROR) => Self::Error(ErrorReason::decode(data)?),
            Ok(CommandName::SUBSCRIBE) => Self::Subscribe(shared(data)),
            Ok(CommandName::CANCEL) => Self::Cancel(shared(data)),
            Ok(CommandName::JOIN) => Self::Join(Group::new(shared(data))?),
            Ok(CommandName::LEAVE) => Self::Leave(Group::new(shared(data))?),
            Ok(CommandName::PING) => Self::Ping(Ping::decode(data)?),
            Ok(CommandName::PONG) => Self::Pong(Pong::decode(data)?),
            _ => Self::Unknown(UnknownCommand { name: shared(name), data: shared(data) }),
        })
    }

    /// The name on the wire.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        match self {
            Self::Ready(_) => CommandName::READY.as_bytes(),
            Self::Error(_) => CommandName::ERROR.as_bytes(),
            Self::Subscribe(_) => CommandName::SUBSCRIBE.as_bytes(),
            Self::Cancel(_) => CommandName::CANCEL.as_bytes(),
            Self::Join(_) => CommandName::JOIN.as_bytes(),
            Self::Leave(_) => CommandName::LEAVE.as_bytes(),
            Self::Ping(_) => CommandName::PING.as_bytes(),
            Self::Pong(_) => CommandName::PONG.as_bytes(),
            Self::Unknown(unknown) => unknown.name(),
        }
    }

    /// How many octets [`encode_body`](Self::encode_body) writes.
    #[must_use]
    pub fn body_len(&self) -> usize {
        let data_len = match self {
            Self::Ready(properties) => properties.encoded_len(),
            Self::Error(reason) => 1 + reason.as_bytes().len(),
            Self::Subscribe(topic) | Self::Cancel(topic) => topic.len(),
            Self::Join(group) | Self::Leave(group) => group.as_bytes().len(),
            Self::Ping(ping) => return ping.body_len(),
            Self::Pong(pong) => return pong.body_len(),
            Self::Unknown(unknown) => unknown.data.len(),
        };
        1 + self.name().len() + data_len
    }

    /// Writes the whole body of the command frame, name included.
    ///
    /// # Panics
    /// If `out` has less room than [`body_len`](Self::body_len).
    pub fn encode_body(&self, out: &mut impl BufMut) {
        match self {
            Self::Ping(ping) => return ping.encode_body(out),
            Self::Pong(pong) => return pong.encode_body(out),
            _ => put_raw_name(out, self.name()),
        }
        match self {
            Self::Ready(properties) => properties.encode(out),
            Self::Error(reason) => reason.encode(out),
            Self::Subscribe(topic) | Self::Cancel(topic) => out.put_slice(topic),
            Self::Join(group) | Self::Leave(group) => out.put_slice(group.as_bytes()),
            Self::Unknown(unknown) => out.put_slice(&unknown.data),
            Self::Ping(_) | Self::Pong(_) => {}
        }
    }
}

/// A command of a name that this codec does not know: of a later version, of an extension, or of a security mechanism.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UnknownCommand {
    name: Bytes,
    data: Bytes,
}

impl UnknownCommand {
    /// Makes a command to send.
    ///
    /// # Errors
    /// [`CommandError::EmptyName`] or [`CommandError::NameTooLong`] unless the name has 1 to 255 octets,
    /// [`CommandError::KnownName`] if [`Command`] has a variant of its own for it.
    pub fn new(name: impl Into<Bytes>, data: impl Into<Bytes>) -> Result<Self, CommandError> {
        let name = name.into();
        if name.is_empty() {
            return Err(CommandError::EmptyName);
        }
        if name.len() > MAX_NAME_LEN {
            return Err(CommandError::NameTooLong { len: name.len() });
        }
        if let Some(known) = CommandName::KNOWN.into_iter().find(|known| name == known.as_bytes()) {
            return Err(CommandError::KnownName { name: known });
        }
        Ok(Self { name, data: data.into() })
    }

    /// 1 to 255 octets. A peer can put anything there: escape it before it is shown.
    #[must_use]
    pub const fn name(&self) -> &Bytes {
        &self.name
    }

    /// Everything behind the name.
    #[must_use]
    pub const fn data(&self) -> &Bytes {
        &self.data
    }
}

/// Writes the length of a command's name and the name.
pub(crate) fn put_name(out: &mut impl BufMut, name: &'static str) {
    put_raw_name(out, name.as_bytes());
}

fn put_raw_name(out: &mut impl BufMut, name: &[u8]) {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "every name is a constant above or was checked: at most 255 octets"
    )]
    out.put_u8(name.len() as u8);
    out.put_slice(name);
}
