//! What our own socket type means for one connection: which commands concern it, and how many parts a message has.
//!
//! This is all that a connection knows of messaging patterns; routing and queues belong to the socket above.

use zmtp_codec::{Command, SocketType};

use crate::error::{DecodeError, PushError};

/// The longest group name of RADIO and DISH.
const GROUP_MAX: usize = 255;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Pattern {
    shape: Shape,
    subscriptions: bool,
    groups: bool,
    subscribes: bool,
    joins: bool,
}

/// How many parts the messages of a socket type have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// Any number of parts, in both directions.
    Any,
    /// Exactly one (CLIENT, SERVER, SCATTER, GATHER, PEER, CHANNEL).
    Single,
    /// Exactly two, group and body (RADIO, DISH).
    Group,
}

impl Pattern {
    pub(crate) fn of(socket_type: SocketType) -> Self {
        let shape = match socket_type {
            SocketType::Radio | SocketType::Dish => Shape::Group,
            single if single.is_single_part() => Shape::Single,
            _ => Shape::Any,
        };
        Self {
            shape,
            subscriptions: socket_type.receives_subscriptions(),
            groups: socket_type.receives_groups(),
            subscribes: socket_type.sends_subscriptions(),
            joins: socket_type.sends_groups(),
        }
    }

    /// True when every message is as good as another.
    #[inline]
    pub(crate) fn is_plain(self) -> bool {
        self.shape == Shape::Any
    }

    /// Whether a received message concerns us. What a single-part socket receives in several parts is dropped, as
    /// libzmq does (S28 to S30); what is no group message ends a DISH's connection, as with libzmq (S24 to S26).
    pub(crate) fn admits(self, parts: usize, first_len: usize) -> Result<bool, DecodeError> {
        match self.shape {
            Shape::Any => Ok(true),
            Shape::Single => Ok(parts == 1),
            Shape::Group if parts == 2 && first_len <= GROUP_MAX => Ok(true),
            Shape::Group => Err(DecodeError::NotAGroupMessage { parts }),
        }
    }

    /// Whether a received command concerns us. Others are dropped: libzmq hands SUBSCRIBE to the application of a
    /// PULL or DEALER as if it were data (F20, F25), which nobody should do.
    pub(crate) const fn wants(self, command: &Command) -> bool {
        match command {
            Command::Subscribe(_) | Command::Cancel(_) => self.subscriptions,
            Command::Join(_) | Command::Leave(_) => self.groups,
            _ => true,
        }
    }

    /// Whether a socket of our type sends such a command. libzmq hands a subscription that it did not ask for to its
    /// application as if it were data.
    pub(crate) const fn may_send(self, command: &Command) -> bool {
        match command {
            Command::Subscribe(_) | Command::Cancel(_) => self.subscribes,
            Command::Join(_) | Command::Leave(_) => self.joins,
            _ => true,
        }
    }

    /// Whether we may send a message of so many parts.
    #[inline]
    pub(crate) fn check_outgoing(self, parts: usize, first_len: impl FnOnce() -> usize) -> Result<(), PushError> {
        match self.shape {
            _ if parts == 0 => Err(PushError::NoParts),
            Shape::Single if parts > 1 => Err(PushError::SinglePartOnly { parts }),
            Shape::Group if parts != 2 || first_len() > GROUP_MAX => Err(PushError::NotAGroupMessage { parts }),
            Shape::Any | Shape::Single | Shape::Group => Ok(()),
        }
    }
}
