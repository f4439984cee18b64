//! The socket types of RFC 37, and which of them may talk to each other.

use core::fmt;
use core::str::FromStr;

use crate::error::{ParseSocketTypeError, sanitized};

/// The kind of socket at one end of a connection, as its Socket-Type property names it (RFC 37, RFC 28 to 31, 41, 48, 49, 51, 52).
///
/// It decides whom a connection may be made with ([`accepts`](Self::accepts)) and which commands have a meaning there. The
/// patterns themselves (routing, fan-out, request and reply in turn) are no concern of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SocketType {
    /// Sends requests and receives replies in turn.
    Req,
    /// Receives requests and sends replies in turn.
    Rep,
    /// Sends to its peers in rotation and receives from all.
    Dealer,
    /// Addresses its peers by identity.
    Router,
    /// Sends to every peer that subscribed.
    Pub,
    /// PUB that shows subscriptions to its application.
    Xpub,
    /// Receives what it subscribed to.
    Sub,
    /// SUB that subscribes by sending messages.
    Xsub,
    /// Sends to its peers in rotation.
    Push,
    /// Receives from all its peers.
    Pull,
    /// Talks to exactly one peer.
    Pair,
    /// Sends single-part messages to a SERVER.
    Client,
    /// Addresses CLIENT peers by routing id.
    Server,
    /// Sends to every peer that joined a group.
    Radio,
    /// Receives the groups that it joined.
    Dish,
    /// Sends single-part messages to its peers in rotation.
    Scatter,
    /// Receives single-part messages from all its peers.
    Gather,
    /// Talks to any number of PEER sockets, addressed by routing id.
    Peer,
    /// Exchanges single-part messages with exactly one peer.
    Channel,
}

impl SocketType {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::Req,
        Self::Rep,
        Self::Dealer,
        Self::Router,
        Self::Pub,
        Self::Xpub,
        Self::Sub,
        Self::Xsub,
        Self::Push,
        Self::Pull,
        Self::Pair,
        Self::Client,
        Self::Server,
        Self::Radio,
        Self::Dish,
        Self::Scatter,
        Self::Gather,
        Self::Peer,
        Self::Channel,
    ];

    /// The name on the wire, in capitals.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Req => "REQ",
            Self::Rep => "REP",
            Self::Dealer => "DEALER",
            Self::Router => "ROUTER",
            Self::Pub => "PUB",
            Self::Xpub => "XPUB",
            Self::Sub => "SUB",
            Self::Xsub => "XSUB",
            Self::Push => "PUSH",
            Self::Pull => "PULL",
            Self::Pair => "PAIR",
            Self::Client => "CLIENT",
            Self::Server => "SERVER",
            Self::Radio => "RADIO",
            Self::Dish => "DISH",
            Self::Scatter => "SCATTER",
            Self::Gather => "GATHER",
            Self::Peer => "PEER",
            Self::Channel => "CHANNEL",
        }
    }

    /// Reads the value of a Socket-Type property. Values are compared octet by octet (RFC 37): `dealer` is none.
    #[must_use]
    pub fn from_wire(value: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|socket_type| socket_type.as_str().as_bytes() == value)
    }

    /// Whether a socket of this type may talk to a peer of that type (RFC 37). The relation is symmetric.
    #[must_use]
    pub const fn accepts(self, peer: Self) -> bool {
        match self {
            Self::Req => matches!(peer, Self::Rep | Self::Router),
            Self::Rep => matches!(peer, Self::Req | Self::Dealer),
            Self::Dealer => matches!(peer, Self::Rep | Self::Dealer | Self::Router),
            Self::Router => matches!(peer, Self::Req | Self::Dealer | Self::Router),
            Self::Pub | Self::Xpub => matches!(peer, Self::Sub | Self::Xsub),
            Self::Sub | Self::Xsub => matches!(peer, Self::Pub | Self::Xpub),
            Self::Push => matches!(peer, Self::Pull),
            Self::Pull => matches!(peer, Self::Push),
            Self::Pair => matches!(peer, Self::Pair),
            Self::Client => matches!(peer, Self::Server),
            Self::Server => matches!(peer, Self::Client),
            Self::Radio => matches!(peer, Self::Dish),
            Self::Dish => matches!(peer, Self::Radio),
            Self::Scatter => matches!(peer, Self::Gather),
            Self::Gather => matches!(peer, Self::Scatter),
            Self::Peer => matches!(peer, Self::Peer),
            Self::Channel => matches!(peer, Self::Channel),
        }
    }

    /// True for the types whose RFC is a draft, and which libzmq has only when built with drafts.
    #[must_use]
    pub const fn is_draft(self) -> bool {
        self.is_single_part() || matches!(self, Self::Radio | Self::Dish)
    }

    /// True for the types whose messages have exactly one part. They never send another kind, and drop what they receive
    /// of it. RADIO and DISH are not among them: on the wire their messages have two parts, the group and the body.
    #[must_use]
    pub const fn is_single_part(self) -> bool {
        matches!(self, Self::Client | Self::Server | Self::Scatter | Self::Gather | Self::Peer | Self::Channel)
    }

    /// True for the types that announce even an empty Identity. Others announce one that was set.
    #[must_use]
    pub const fn sends_identity(self) -> bool {
        matches!(self, Self::Req | Self::Dealer | Self::Router)
    }

    /// True for the types at which SUBSCRIBE and CANCEL arrive. All others ignore these commands.
    #[must_use]
    pub const fn receives_subscriptions(self) -> bool {
        matches!(self, Self::Pub | Self::Xpub)
    }

    /// True for the types that send SUBSCRIBE and CANCEL.
    #[must_use]
    pub const fn sends_subscriptions(self) -> bool {
        matches!(self, Self::Sub | Self::Xsub)
    }

    /// True for the type at which JOIN and LEAVE arrive. All others ignore these commands.
    #[must_use]
    pub const fn receives_groups(self) -> bool {
        matches!(self, Self::Radio)
    }

    /// True for the type that sends JOIN and LEAVE.
    #[must_use]
    pub const fn sends_groups(self) -> bool {
        matches!(self, Self::Dish)
    }
}

impl fmt::Display for SocketType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for SocketType {
    type Err = ParseSocketTypeError;

    /// Reads what a person wrote, in any letter case. For what a peer sent there is [`SocketType::from_wire`].
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|socket_type| socket_type.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| ParseSocketTypeError { input: sanitized(text.as_bytes()) })
    }
}

#[cfg(test)]
mod tests {
    use super::SocketType::{self, *};
    use alloc::format;
    use alloc::string::ToString;

    /// The table of RFC 37, written down a second time so that a slip in one of the two shows.
    const COMPATIBLE: [(SocketType, &[SocketType]); 19] = [
        (Req, &[Rep, Router]),
        (Rep, &[Req, Dealer]),
        (Dealer, &[Rep, Dealer, Router]),
        (Router, &[Req, Dealer, Router]),
        (Pub, &[Sub, Xsub]),
        (Xpub, &[Sub, Xsub]),
        (Sub, &[Pub, Xpub]),
        (Xsub, &[Pub, Xpub]),
        (Push, &[Pull]),
        (Pull, &[Push]),
        (Pair, &[Pair]),
        (Client, &[Server]),
        (Server, &[Client]),
        (Radio, &[Dish]),
        (Dish, &[Radio]),
        (Scatter, &[Gather]),
        (Gather, &[Scatter]),
        (Peer, &[Peer]),
        (Channel, &[Channel]),
    ];

    #[test]
    fn exactly_the_pairs_of_the_table_are_compatible() {
        for (ours, peers) in COMPATIBLE {
            for peer in SocketType::ALL {
                assert_eq!(ours.accepts(peer), peers.contains(&peer), "{ours} and {peer}");
            }
        }
    }

    #[test]
    fn compatibility_is_symmetric() {
        for ours in SocketType::ALL {
            for peer in SocketType::ALL {
                assert_eq!(ours.accepts(peer), peer.accepts(ours), "{ours} and {peer}");
            }
        }
    }

    #[test]
    fn all_lists_every_type_once() {
        for (position, (socket_type, _)) in COMPATIBLE.into_iter().enumerate() {
            assert_eq!(SocketType::ALL[position], socket_type);
        }
    }

    #[test]
    fn wire_names_are_those_of_the_rfc() {
        let names = "REQ REP DEALER ROUTER PUB XPUB SUB XSUB PUSH PULL PAIR CLIENT SERVER RADIO DISH SCATTER GATHER PEER CHANNEL";
        assert!(SocketType::ALL.iter().map(|socket_type| socket_type.as_str()).eq(names.split(' ')));
        for socket_type in SocketType::ALL {
            assert_eq!(SocketType::from_wire(socket_type.as_str().as_bytes()), Some(socket_type));
        }
    }

    // H11, H12, H13, H14
    #[test]
    fn wire_names_are_compared_exactly() {
        for value in [&b"FOO"[..], b"dealer", b"", b"DEALER\0", b" DEALER", b"DEALE", b"STREAM", b"DGRAM", b"\xff"] {
            assert_eq!(SocketType::from_wire(value), None, "{value:?}");
        }
    }

    #[test]
    fn text_is_read_in_any_case() {
        for socket_type in SocketType::ALL {
            assert_eq!(socket_type.as_str().parse(), Ok(socket_type));
            assert_eq!(socket_type.as_str().to_lowercase().parse(), Ok(socket_type));
        }
        assert_eq!("xPub".parse(), Ok(Xpub));
    }

    #[test]
    fn unknown_text_is_named_in_the_error_without_control_characters() {
        let error = "de\naler".parse::<SocketType>().unwrap_err();
        assert_eq!(error.input, "de\\x0aaler");
    }

    #[test]
    fn display_honours_a_width() {
        assert_eq!(Req.to_string(), "REQ");
        assert_eq!(format!("{Req:6}|"), "REQ   |");
    }

    #[test]
    fn properties_of_the_types() {
        let which =
            |holds: fn(SocketType) -> bool| SocketType::ALL.into_iter().filter(move |&socket_type| holds(socket_type));
        assert!(which(SocketType::is_draft).eq([Client, Server, Radio, Dish, Scatter, Gather, Peer, Channel]));
        assert!(which(SocketType::is_single_part).eq([Client, Server, Scatter, Gather, Peer, Channel]));
        assert!(which(SocketType::sends_identity).eq([Req, Dealer, Router]));
        assert!(which(SocketType::receives_subscriptions).eq([Pub, Xpub]));
        assert!(which(SocketType::sends_subscriptions).eq([Sub, Xsub]));
        assert!(which(SocketType::receives_groups).eq([Radio]));
        assert!(which(SocketType::sends_groups).eq([Dish]));
    }
}
