//! What is known of a peer when it asks to be let in.

use std::sync::Arc;

use zmtp_codec::{Claim, Credentials, Identity, MechanismName, PlainCredentials, Properties, SocketType};

use super::PeerAddress;

/// What is known of a peer when it asks to be let in. How much that is depends on the mechanism:
///
/// | | NULL that asks (`with_authorization`) | NULL that does not (`new`) | PLAIN, on the server | a mechanism with keys |
/// |---|---|---|---|---|
/// | mechanism, domain | yes | yes | yes | yes |
/// | address | if [`at`](super::Authenticator::at) has told it | likewise | likewise | likewise |
/// | credentials | [`Anonymous`](Credentials::Anonymous) | likewise | username and password, unproven | the public key, proven |
/// | properties, and with them socket type and identity | no, it asks before it has received any | yes | no, they follow later | yes, decrypted |
///
/// A client, of PLAIN or of a mechanism with keys, asks about the server when all is known: of PLAIN that is the properties,
/// of the others the server's key as well.
///
/// The properties are what the peer says of itself. Names that only a receiving side may set (`User-Id`,
/// `Peer-Address`) were taken out of them. Where the mechanism asks, it is not yet known whether the rest is any good: a
/// peer that is let in and whose socket type does not suit ours is turned away after that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthRequest {
    mechanism: MechanismName,
    domain: Arc<str>,
    address: Option<PeerAddress>,
    credentials: Credentials,
    properties: Option<Properties>,
}

impl AuthRequest {
    /// A request from a peer that has claimed this under the mechanism, in the empty domain and from nowhere: for a
    /// driver of one's own, and to test an authenticator.
    #[must_use]
    pub fn new(mechanism: MechanismName, claim: Claim) -> Self {
        let Claim { credentials, properties, .. } = claim;
        Self { mechanism, domain: Arc::default(), address: None, credentials, properties }
    }

    /// Names the domain.
    #[must_use]
    pub fn with_domain(mut self, domain: impl Into<Arc<str>>) -> Self {
        self.domain = domain.into();
        self
    }

    /// Says where the peer comes from.
    #[must_use]
    pub fn with_address(mut self, address: impl Into<PeerAddress>) -> Self {
        self.address = Some(address.into());
        self
    }

    /// The security mechanism of the connection.
    #[must_use]
    pub const fn mechanism(&self) -> MechanismName {
        self.mechanism
    }

    /// The ZAP domain that this side of the connection is configured with
    /// ([`ConfigBuilder::domain`](crate::ConfigBuilder::domain)); empty by default.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Where the peer comes from, if anybody has told it.
    #[must_use]
    pub const fn address(&self) -> Option<&PeerAddress> {
        self.address.as_ref()
    }

    /// What the peer shows to be let in.
    #[must_use]
    pub const fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The peer's long-term public key, proven, if the mechanism has keys.
    #[must_use]
    pub const fn public_key(&self) -> Option<&[u8; 32]> {
        self.credentials.public_key()
    }

    /// The username and password that the peer has sent, if the mechanism is PLAIN and we are its server. Nothing is proven:
    /// they are for the authenticator to compare.
    #[must_use]
    pub const fn plain(&self) -> Option<&PlainCredentials> {
        self.credentials.plain()
    }

    /// The properties that the peer announced, if it has done so by now.
    #[must_use]
    pub const fn properties(&self) -> Option<&Properties> {
        self.properties.as_ref()
    }

    /// The identity that the peer announced, empty if it is anonymous; `None` if it has announced nothing yet, or one
    /// that is too long. Not proven by anything: one who is let in as somebody should be known by a key.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        self.properties.as_ref()?.identity().ok()
    }

    /// The peer's socket type, which need not be one that suits ours; `None` if it has announced nothing yet, or none that
    /// we know.
    #[must_use]
    pub fn socket_type(&self) -> Option<SocketType> {
        self.properties.as_ref()?.socket_type().ok()
    }
}
