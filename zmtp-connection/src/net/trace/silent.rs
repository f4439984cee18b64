//! Says nothing: the feature `tracing` is off.

use super::Watch;
use crate::auth::PeerAddress;
use crate::error::{HandshakeError, RecvError};
use crate::peer::Peer;

pub(super) const fn password_in_the_clear(_address: Option<&PeerAddress>) {}

pub(super) const fn complete(_watch: &Watch<'_>, _peer: &Peer) {}

pub(super) const fn failed(_watch: &Watch<'_>, _error: &HandshakeError) {}

pub(super) const fn given_up(_watch: &Watch<'_>) {}

pub(in crate::net) const fn receiving_failed(_peer: &Peer, _error: &RecvError) {}

pub(in crate::net) const fn sending_failed(_peer: &Peer, _error: &std::io::Error) {}

#[cfg(feature = "zap")]
pub(crate) const fn no_zap_answer(_request: &crate::auth::AuthRequest, _error: &crate::zap::ZapClientError) {}

pub(super) const fn begun() {}

/// Nobody is told whether a handshake has begun.
#[derive(Debug, Default)]
pub(in crate::net) struct Begun(());

impl Begun {
    #[expect(clippy::unused_self, reason = "it is of use where something is said")]
    pub(in crate::net) fn look_while<R>(&mut self, poll: impl FnOnce() -> R) -> R {
        poll()
    }

    #[expect(clippy::unused_self, reason = "it is of use where something is said")]
    pub(in crate::net) fn drop_because(&self, _address: &PeerAddress, _cause: &'static str, drop: impl FnOnce()) {
        drop();
    }
}

#[cfg(feature = "zap")]
pub(crate) const fn zap_question_failed(_ours: bool, _cause: &str) {}
