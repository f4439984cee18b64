//! What is known of the other side.

use zmtp_codec::{Identity, MechanismName, Properties, SocketType, Version};

/// Everything a handshake told us of the peer.
///
/// Two are equal if all of it is, the order of the properties included. [`info`](Self::info) has what stays the same
/// when a peer comes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    pub(crate) info: PeerInfo,
    pub(crate) socket_type: SocketType,
    pub(crate) properties: Properties,
    pub(crate) version: Version,
    pub(crate) mechanism: MechanismName,
    pub(crate) encrypted: bool,
}

impl Peer {
    /// The peer's socket type; compatible with ours.
    #[must_use]
    pub const fn socket_type(&self) -> SocketType {
        self.socket_type
    }

    /// The peer's identity; empty for an anonymous peer.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.info.identity
    }

    /// All properties the peer announced, in its order. The names `User-Id` and `Peer-Address`, which only the
    /// receiving side may set, are not among them.
    #[must_use]
    pub const fn properties(&self) -> &Properties {
        &self.properties
    }

    /// The version in the peer's greeting, which may be above ours.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The version that is spoken: the lower one of the two.
    #[must_use]
    pub const fn negotiated_version(&self) -> Version {
        self.version.negotiated()
    }

    /// The security mechanism of the connection.
    #[must_use]
    pub const fn mechanism(&self) -> MechanismName {
        self.mechanism
    }

    /// Whether messages travel encrypted.
    #[must_use]
    pub const fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// The peer's long-term public key, where the mechanism proves one.
    #[must_use]
    pub const fn public_key(&self) -> Option<&[u8; 32]> {
        self.info.public_key.as_ref()
    }

    /// Who the peer is, in a form to use as a key.
    #[must_use]
    pub const fn info(&self) -> &PeerInfo {
        &self.info
    }
}

/// Who a peer is: its public key and identity, and nothing that changes when it reconnects. Made to be a map's key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerInfo {
    pub(crate) public_key: Option<[u8; 32]>,
    pub(crate) identity: Identity,
}

impl PeerInfo {
    /// A peer as it will be known once it is connected: to look it up, or to expect it.
    #[must_use]
    pub const fn new(public_key: Option<[u8; 32]>, identity: Identity) -> Self {
        Self { public_key, identity }
    }

    /// The peer's long-term public key, where the mechanism proves one.
    #[must_use]
    pub const fn public_key(&self) -> Option<&[u8; 32]> {
        self.public_key.as_ref()
    }

    /// The identity that the peer announced. Not proven by anything.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }
}
