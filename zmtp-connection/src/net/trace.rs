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

pub(super) use emit::{Begun, receiving_failed, sending_failed};
#[cfg(feature = "zap")]
pub(crate) use emit::{no_zap_answer, zap_question_failed};

/// Watches one handshake, and says what became of it, also if it is dropped half-way.
#[cfg_attr(not(feature = "tracing"), expect(dead_code, reason = "what is never said is never read"))]
pub(super) struct Watch<'a> {
    /// How far it has come.
    pub(super) stage: Stage,
    address: Option<&'a PeerAddress>,
    mechanism: MechanismName,
    claim: Credentials,
    /// Nothing is said of it, or nothing more.
    over: bool,
}

impl<'a> Watch<'a> {
    pub(super) fn new(mechanism: MechanismName, address: Option<&'a PeerAddress>) -> Self {
        if mechanism == MechanismName::PLAIN && address.and_then(PeerAddress::ip).is_some_and(|ip| !ip.is_loopback()) {
            emit::password_in_the_clear(address);
        }
        emit::begun();
        Self { stage: Stage::Greeting, address, mechanism, claim: Credentials::Anonymous, over: false }
    }

    /// Of a handshake whose failure is said elsewhere.
    pub(super) fn quiet(mut self) -> Self {
        self.over = true;
        self
    }

    /// Takes note of who asks to be let in.
    pub(super) fn asks(&mut self, request: &AuthRequest) {
        self.stage = Stage::Authorization;
        self.claim = request.credentials().clone();
    }

    /// The handshake is complete.
    pub(super) fn complete(mut self, peer: &Peer) {
        if !std::mem::replace(&mut self.over, true) {
            emit::complete(&self, peer);
        }
    }

    /// The handshake has failed.
    pub(super) fn failed(mut self, error: &HandshakeError) {
        self.stage = error.stage();
        if !std::mem::replace(&mut self.over, true) {
            emit::failed(&self, error);
        }
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if !self.over {
            emit::given_up(self);
        }
    }
}
