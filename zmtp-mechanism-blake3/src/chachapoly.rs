//! The suite `BLAKE3-CHACHAPOLY`: XChaCha20-Poly1305 for boxes, ChaCha20-Poly1305 (RFC 8439) for frames.

mod aead;

use chacha20poly1305::aead::{AeadInOut as _, KeyInit as _};
use chacha20poly1305::{Tag, XChaCha20Poly1305};
use zmtp_codec::{MechanismName, OpenError, SealError};

use self::aead::{Aead, TAG};
use crate::kdf::{Secret, derive};
use crate::suite::{Contexts, Direction, FrameCipher, contexts, sealed};

/// `BLAKE3-CHACHAPOLY`, the suite to use: the position of every frame is bound, so nothing can be dropped, repeated or
/// swapped unnoticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "it stands for itself and has no values")]
pub enum ChachaPoly {}

impl sealed::Suite for ChachaPoly {
    type Cipher = ChachaPolyFrames;

    #[expect(private_interfaces, reason = "the trait is sealed")]
    const CONTEXTS: Contexts = contexts!("BLAKE3-CHACHAPOLY-1.0");
    const NAME: MechanismName = MechanismName::BLAKE3_CHACHAPOLY;
    const TAG: usize = TAG;
    const PADDING: usize = 120;
    const WELCOME_NONCE: bool = true;
    const VOUCH_IS_BOUND: bool = true;

    fn seal(key: &Secret<32>, nonce: &[u8; 24], aad: &[u8], plain: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(plain);
        let cipher = XChaCha20Poly1305::new((&**key).into());
        let Some(text) = out.get_mut(start..) else { return };
        match cipher.encrypt_inout_detached(nonce.into(), aad, text.into()) {
            Ok(tag) => out.extend_from_slice(&tag),
            // Beyond 256 GiB, which no command has; then nothing is said rather than all of it.
            Err(_) => out.truncate(start),
        }
    }

    fn open<'a>(key: &Secret<32>, nonce: &[u8; 24], aad: &[u8], boxed: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let (text, tag) = boxed.split_last_chunk_mut::<TAG>()?;
        let cipher = XChaCha20Poly1305::new((&**key).into());
        cipher.decrypt_inout_detached(nonce.into(), aad, (&mut *text).into(), &Tag::from(*tag)).ok()?;
        Some(text)
    }

    fn cipher(direction: Direction, ikm: &[&[u8]]) -> ChachaPolyFrames {
        let (key, iv) = match direction {
            Direction::ToServer => {
                ("BLAKE3-CHACHAPOLY-1.0 client->server key", "BLAKE3-CHACHAPOLY-1.0 client->server iv")
            }
            Direction::ToClient => {
                ("BLAKE3-CHACHAPOLY-1.0 server->client key", "BLAKE3-CHACHAPOLY-1.0 server->client iv")
            }
        };
        ChachaPolyFrames { cipher: Aead::new(&derive(key, ikm), &derive(iv, ikm)), number: 0 }
    }
}

/// The frames of one direction, numbered from 0.
pub struct ChachaPolyFrames {
    cipher: Aead,
    /// Of the next frame. The last one there is stays unused.
    number: u64,
}

impl core::fmt::Debug for ChachaPolyFrames {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ChachaPolyFrames").field("number", &self.number).finish_non_exhaustive()
    }
}

impl FrameCipher for ChachaPolyFrames {
    fn seal(&mut self, header: &[u8], payload: &[u8], body: &mut [u8]) -> Result<(), SealError> {
        let number = self.number;
        // Whatever comes of it, this number is used.
        self.number = number.checked_add(1).ok_or(SealError::NoncesExhausted)?;
        self.cipher
            .seal(number, header, payload, body)
            .ok_or(SealError::Misuse("the body is not as long as was planned, or longer than 256 GiB"))
    }

    fn open(&mut self, header: &[u8], body: &mut [u8]) -> Result<(), OpenError> {
        let next = self.number.checked_add(1).ok_or(OpenError::Sequence)?;
        if body.len() < TAG {
            return Err(OpenError::Malformed("it is shorter than its tag"));
        }
        self.cipher.open(self.number, header, body).ok_or(OpenError::Forged)?;
        self.number = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
