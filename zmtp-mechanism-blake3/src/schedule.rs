//! The key schedule of the handshake: which box has which key and nonce.
//!
//! | box | from |
//! |---|---|
//! | hello | dh1; the nonce from C' |
//! | welcome | dh1 and the random nonce in front of it, or (suite BLAKE3) dh1, and the nonce from h1 |
//! | vouch | dh3, and h2 where the suite binds it |
//! | initiate | dh2, h2 |
//! | ready | dh2, h3 |
//!
//! dh1 = X25519(c', S), dh2 = X25519(c', S'), dh3 = X25519(c, S').

use zeroize::Zeroizing;
use zmtp_codec::keys::SharedSecret;

use crate::kdf::{Secret, Transcript, derive};
use crate::suite::Suite;

/// Key and nonce of a box.
pub(crate) type BoxKey = (Secret<32>, Secret<24>);

/// The box that proves that the client knows the server's key.
pub(crate) fn hello_box<S: Suite>(dh1: &SharedSecret, client_transient: &[u8; 32]) -> BoxKey {
    let key = derive(S::CONTEXTS.hello_key, &[dh1.danger_as_bytes()]);
    (key, derive(S::CONTEXTS.hello_nonce, &[client_transient]))
}

/// A WELCOME has a nonce of its own, and a key that is made with it; or both follow from the HELLO.
pub(crate) fn welcome_box<S: Suite>(dh1: &SharedSecret, h1: Transcript, nonce: Option<&[u8; 24]>) -> BoxKey {
    let dh1 = dh1.danger_as_bytes();
    match nonce {
        Some(nonce) => (derive(S::CONTEXTS.welcome_key, &[dh1, nonce]), Zeroizing::new(*nonce)),
        None => (derive(S::CONTEXTS.welcome_key, &[dh1]), derive(S::CONTEXTS.welcome_nonce, &[h1.as_bytes()])),
    }
}

pub(crate) fn vouch_box<S: Suite>(dh3: &SharedSecret, h2: Transcript) -> BoxKey {
    let bound: &[u8] = if S::VOUCH_IS_BOUND { h2.as_bytes() } else { &[] };
    both(S::CONTEXTS.vouch_key, S::CONTEXTS.vouch_nonce, &[dh3.danger_as_bytes(), bound])
}

pub(crate) fn initiate_box<S: Suite>(dh2: &SharedSecret, h2: Transcript) -> BoxKey {
    both(S::CONTEXTS.initiate_key, S::CONTEXTS.initiate_nonce, &[dh2.danger_as_bytes(), h2.as_bytes()])
}

pub(crate) fn ready_box<S: Suite>(dh2: &SharedSecret, h3: Transcript) -> BoxKey {
    both(S::CONTEXTS.ready_key, S::CONTEXTS.ready_nonce, &[dh2.danger_as_bytes(), h3.as_bytes()])
}

fn both(key: &str, nonce: &str, ikm: &[&[u8]]) -> BoxKey {
    (derive(key, ikm), derive(nonce, ikm))
}
