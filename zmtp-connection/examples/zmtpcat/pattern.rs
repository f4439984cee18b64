//! What a socket type means for lines and messages.

use bytes::Bytes;
use zmtp_connection::codec::SocketType;

/// The rules of one socket type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pattern {
    socket_type: SocketType,
}

/// Who gets a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sends {
    /// Nobody: the type only receives.
    Nothing,
    /// The ready peers in turn.
    InTurn,
    /// The peer that the line's first part names.
    Named,
    /// The peer that was heard last, or the only one.
    LastHeard,
    /// Every peer that asked for it.
    Matching,
    /// Every peer.
    All,
    /// The peer whose request is being answered.
    Reply,
}

impl Pattern {
    pub(crate) const fn of(socket_type: SocketType) -> Self {
        Self { socket_type }
    }

    pub(crate) const fn sends(self) -> Sends {
        match self.socket_type {
            SocketType::Push
            | SocketType::Dealer
            | SocketType::Req
            | SocketType::Pair
            | SocketType::Channel
            | SocketType::Client
            | SocketType::Scatter => Sends::InTurn,
            SocketType::Router => Sends::Named,
            SocketType::Server | SocketType::Peer => Sends::LastHeard,
            SocketType::Pub | SocketType::Xpub | SocketType::Radio => Sends::Matching,
            SocketType::Xsub => Sends::All,
            SocketType::Rep => Sends::Reply,
            _ => Sends::Nothing,
        }
    }

    /// Whether messages from peers are printed; others are thrown away.
    pub(crate) const fn receives(self) -> bool {
        !matches!(self.socket_type, SocketType::Push | SocketType::Pub | SocketType::Scatter | SocketType::Radio)
    }

    pub(crate) const fn can_echo(self) -> bool {
        matches!(
            self.socket_type,
            SocketType::Rep
                | SocketType::Router
                | SocketType::Dealer
                | SocketType::Pair
                | SocketType::Server
                | SocketType::Channel
                | SocketType::Client
                | SocketType::Peer
        )
    }

    /// Whether there is only one peer at a time.
    pub(crate) const fn is_exclusive(self) -> bool {
        matches!(self.socket_type, SocketType::Pair | SocketType::Channel)
    }

    pub(crate) const fn is_single_part(self) -> bool {
        self.socket_type.is_single_part()
    }

    pub(crate) const fn is(self, socket_type: SocketType) -> bool {
        self.socket_type as u8 == socket_type as u8
    }

    /// Why these parts, as a line has them, cannot be sent, if they cannot.
    pub(crate) fn check(self, parts: &[Bytes]) -> Result<(), String> {
        if self.is_single_part() && parts.len() != 1 {
            return Err(format!("a {} sends messages of one part, not of {}", self.socket_type, parts.len()));
        }
        if self.is(SocketType::Radio) && (parts.len() != 2 || parts.first().is_some_and(|group| group.len() > 255)) {
            return Err("a RADIO sends a group (up to 255 octets) and a body".to_owned());
        }
        Ok(())
    }
}
