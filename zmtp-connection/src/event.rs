//! What a connection receives.

use bytes::Bytes;
use zmtp_codec::{Command, Subscription};

use crate::message::Message;
use crate::proto::MessageRef;

/// Something the peer sent, to keep.
#[expect(clippy::exhaustive_enums, reason = "the grammar of traffic: messages and commands")]
// A tag as wide as what follows it: with a tag of one octet, a message is moved in pieces that lie across those in which it was
// stored, and the processor waits for each.
#[repr(usize)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A whole message.
    Message(Message),
    /// A command: a subscription or group of interest to our socket type, or one that we do not know. Heartbeats are
    /// dealt with by the connection and do not appear.
    Command(Command),
}

impl Event {
    /// The message, if it is one, to look at.
    #[must_use]
    pub const fn as_message(&self) -> Option<&Message> {
        match self {
            Self::Message(message) => Some(message),
            Self::Command(_) => None,
        }
    }

    /// The message, if it is one.
    #[must_use]
    pub fn into_message(self) -> Option<Message> {
        match self {
            Self::Message(message) => Some(message),
            Self::Command(_) => None,
        }
    }

    /// The command, if it is one.
    #[must_use]
    pub fn into_command(self) -> Option<Command> {
        match self {
            Self::Message(_) => None,
            Self::Command(command) => Some(command),
        }
    }

    /// The subscription that this is, in either form: a SUBSCRIBE or CANCEL command, or a message of one part that
    /// begins with 1 or 0, as peers of ZMTP 3.0 send it. Meaningful on a PUB or XPUB only.
    #[must_use]
    pub fn subscription(&self) -> Option<Subscription> {
        match self {
            Self::Message(message) if message.part_count() == 1 => Subscription::from_message(message.first()),
            Self::Message(_) => None,
            Self::Command(command) => Subscription::from_command(command),
        }
    }
}

/// Something the peer sent, lent until the next receive.
#[expect(clippy::exhaustive_enums, reason = "the grammar of traffic: messages and commands")]
// As in `Event`.
#[repr(usize)]
#[derive(Clone, Debug)]
pub enum EventRef<'a> {
    /// A whole message, in the receive buffer.
    Message(MessageRef<'a>),
    /// A command, as in [`Event::Command`]. Commands are few; they are not lent.
    Command(Command),
}

impl EventRef<'_> {
    /// A copy to keep, as [`MessageRef::to_message`].
    #[must_use]
    pub fn to_event(&self) -> Event {
        match self {
            Self::Message(message) => Event::Message(message.to_message()),
            Self::Command(command) => Event::Command(command.clone()),
        }
    }

    /// The subscription that this is, as [`Event::subscription`]. The topic of the message form is copied.
    #[must_use]
    pub fn subscription(&self) -> Option<Subscription> {
        match self {
            // What begins with anything else is data, perhaps much of it, and is not copied to find that out.
            Self::Message(message) if message.part_count() == 1 && matches!(message.first(), [0 | 1, ..]) => {
                Subscription::from_message(&Bytes::copy_from_slice(message.first()))
            }
            Self::Message(_) => None,
            Self::Command(command) => Subscription::from_command(command),
        }
    }
}

/// One frame of a message, or a command, from the incremental interface.
#[expect(clippy::exhaustive_enums, reason = "the grammar of traffic: messages and commands")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// One frame of a message.
    Part {
        /// Its payload.
        payload: Bytes,
        /// More frames of the same message follow.
        more: bool,
    },
    /// A command, as in [`Event::Command`].
    Command(Command),
}
