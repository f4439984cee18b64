//! Diffie-Hellman: from two keys to a box.
//!
//! Every public key here is a [`PublicKey`], which cannot be a point of low order: with such a point the shared secret
//! would be zero whatever the secret key, and the box one that anybody can open. Neither RFC 26 nor `crypto_box`
//! checks that.

use crypto_box::SalsaBox;
use crypto_box::aead::AeadInPlace;
use zmtp_codec::MechanismError;
use zmtp_codec::keys::{PublicKey, SecretKey};

use crate::cipher::{SecretBox, hsalsa20};
use crate::wire::TAG_LEN;

/// NaCl's `crypto_box` between two key pairs, for the boxes of the handshake that no other key opens.
pub(crate) struct PublicBox(SalsaBox);

impl PublicBox {
    /// One scalar multiplication, about 60 µs.
    pub(crate) fn new(theirs: &PublicKey, ours: &SecretKey) -> Self {
        Self(SalsaBox::new(&(*theirs.as_bytes()).into(), &(*ours.danger_as_bytes()).into()))
    }

    /// Seals what stands behind the first 16 octets of `boxed`, and puts the tag there.
    pub(crate) fn seal<const N: usize>(&self, nonce: &[u8; 24], mut boxed: [u8; N]) -> Result<[u8; N], MechanismError> {
        const BROKEN: MechanismError = MechanismError::Local("a box of the handshake could not be sealed");
        let (tag, text) = boxed.split_first_chunk_mut::<TAG_LEN>().ok_or(BROKEN)?;
        *tag = self.0.encrypt_in_place_detached(nonce.into(), &[], text).map_err(|_| BROKEN)?.into();
        Ok(boxed)
    }

    /// Opens `boxed`, whose plaintext then stands behind the first 16 octets.
    pub(crate) fn open<'a>(&self, nonce: &[u8; 24], boxed: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let (tag, text) = boxed.split_first_chunk_mut::<TAG_LEN>()?;
        self.0.decrypt_in_place_detached(nonce.into(), &[], text, (&*tag).into()).ok()?;
        Some(text)
    }
}

/// The box of the two transient keys, under whose key the whole session runs. `crypto_box` keeps its key to itself, so
/// this one is made of X25519 and HSalsa20 as that is. `None` when the peer's point contributed nothing.
///
/// One scalar multiplication.
pub(crate) fn session_box(theirs: &PublicKey, ours: &SecretKey) -> Option<SecretBox> {
    let shared = ours.diffie_hellman(theirs)?;
    Some(SecretBox::new(hsalsa20(shared.danger_as_bytes(), &[0; 16])))
}
