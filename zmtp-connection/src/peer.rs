//! What is known of the other side.

use bytes::Bytes;
use zmtp_codec::{Admission, Identity, MechanismName, Properties, SocketType, Version};

use crate::auth::PeerAddress;

/// Everything a handshake told us of the peer, and what an authenticator attached to it.
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
    pub(crate) admission: Admission,
    pub(crate) address: Option<PeerAddress>,
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

    /// The user that the authenticator let the peer in as, if it named one. Never from the peer itself.
    #[must_use]
    pub const fn user_id(&self) -> Option<&Bytes> {
        self.admission.user_id.as_ref()
    }

    /// The [`user_id`](Self::user_id) as text, if there is one and it is UTF-8.
    #[must_use]
    pub fn user_id_str(&self) -> Option<&str> {
        self.admission.user_id_str()
    }

    /// The properties that the authenticator attached to the peer. None of them is from the peer itself; what that has
    /// announced is in [`properties`](Self::properties), and the two are never mixed.
    #[must_use]
    pub const fn auth_properties(&self) -> &Properties {
        &self.admission.properties
    }

    /// Where the peer comes from, if the authenticator was told
    /// ([`Authenticator::at`](crate::Authenticator::at)). A connection knows no addresses by itself.
    #[must_use]
    pub const fn address(&self) -> Option<&PeerAddress> {
        self.address.as_ref()
    }

    /// Says where the peer comes from, for drivers of the sans-I/O core.
    pub fn set_address(&mut self, address: impl Into<PeerAddress>) {
        self.address = Some(address.into());
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
