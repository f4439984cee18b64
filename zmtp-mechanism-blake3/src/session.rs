//! After the handshake: every frame, message or command, sealed where it stands.
//!
//! ```text
//! flags 1 │ length 1 or 8 │ ciphertext │ tag          the header is authenticated and not encrypted
//! ```

use zmtp_codec::{FrameHeader, FrameKind, OpenError, Opened, Opener, SealError, SealPlan, Sealer};

use crate::suite::{FrameCipher, Suite};

/// Seals what this side sends.
pub struct Blake3Sealer<S: Suite> {
    cipher: S::Cipher,
}

/// Opens what the peer sends.
pub struct Blake3Opener<S: Suite> {
    cipher: S::Cipher,
}

impl<S: Suite> Blake3Sealer<S> {
    pub(crate) const fn new(cipher: S::Cipher) -> Self {
        Self { cipher }
    }
}

impl<S: Suite> Blake3Opener<S> {
    pub(crate) const fn new(cipher: S::Cipher) -> Self {
        Self { cipher }
    }
}

impl<S: Suite> Sealer for Blake3Sealer<S> {
    fn plan(&self, kind: FrameKind, payload_len: usize) -> SealPlan {
        SealPlan::new(kind, payload_len.saturating_add(S::TAG))
    }

    fn seal(&mut self, header: &[u8], _kind: FrameKind, payload: &[u8], body: &mut [u8]) -> Result<(), SealError> {
        self.cipher.seal(header, payload, body)
    }
}

impl<S: Suite> Opener for Blake3Opener<S> {
    fn open(&mut self, header: &[u8], kind: FrameKind, body: &mut [u8]) -> Result<Opened, OpenError> {
        if !is_canonical(header, kind, body.len()) {
            return Err(OpenError::Malformed("its header is not the shortest one for its length"));
        }
        self.cipher.open(header, body)?;
        Ok(Opened::new(kind, 0..body.len() - S::TAG))
    }

    fn overhead(&self) -> usize {
        S::TAG
    }
}

/// Whether this is the one header that a frame of this kind and length may have. What is authenticated is what was received;
/// this has both sides see the same, also those that put the header together anew.
pub(crate) fn is_canonical(header: &[u8], kind: FrameKind, body_len: usize) -> bool {
    let shortest = FrameHeader::len_for(body_len);
    let read = FrameHeader::decode(header);
    header.len() == shortest && read == Ok(Some((FrameHeader::new(kind, body_len as u64), shortest)))
}

impl<S: Suite> core::fmt::Debug for Blake3Sealer<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Blake3Sealer").finish_non_exhaustive()
    }
}

impl<S: Suite> core::fmt::Debug for Blake3Opener<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Blake3Opener").finish_non_exhaustive()
    }
}
