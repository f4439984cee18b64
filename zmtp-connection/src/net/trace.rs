//! What becomes of connections, said as events: the crate's documentation has the table. Without the feature `tracing` all of this
//! does nothing.

use zmtp_codec::{Credentials, MechanismName};

use crate::auth::{AuthRequest, PeerAddress};
use crate::error::{HandshakeError, Stage};
use crate::peer::Peer;

#[cfg(feature = "tracing")]
mod emit;
#[cfg(not(feature = "tracing"))]
#[path = "trace/silent.rs"]
mod emit;

#[cfg(feature = "zap")]
pub(crate) use emit::no_zap_answer;
pub(super) use emit::{dropping_because, receiving_failed, sending_failed};

/// Watches one handshake, and says what became of it, also if it is dropped half-way.
#[cfg_attr(not(feature = "tracing"), expect(dead_code, reason = "what is never said is never read"))]
pub(super) struct Watch<'a> {
    /// How far it has come.
    pub(super) stage: Stage,
    address: Option<&'a PeerAddress>,
    mechanism: MechanismName,
    claim: Credentials,
    over: bool,
}

impl<'a> Watch<'a> {
    pub(super) fn new(mechanism: MechanismName, address: Option<&'a PeerAddress>) -> Self {
        if mechanism == MechanismName::PLAIN && address.and_then(PeerAddress::ip).is_some_and(|ip| !ip.is_loopback()) {
            emit::password_in_the_clear(address);
        }
        Self { stage: Stage::Greeting, address, mechanism, claim: Credentials::Anonymous, over: false }
    }

    /// Takes note of who asks to be let in.
    pub(super) fn asks(&mut self, request: &AuthRequest) {
        self.stage = Stage::Authorization;
        self.claim = request.credentials().clone();
    }

    /// The handshake is complete.
    pub(super) fn complete(mut self, peer: &Peer) {
        self.over = true;
        emit::complete(&self, peer);
    }

    /// The handshake has failed.
    pub(super) fn failed(mut self, error: &HandshakeError) {
        self.over = true;
        self.stage = error.stage();
        emit::failed(&self, error);
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if !self.over {
            emit::given_up(self);
        }
    }
}
