//! Everything that is made of BLAKE3: the key schedule and the transcript.

use zeroize::{Zeroize as _, Zeroizing};

/// A secret of `N` octets, wiped when it is dropped.
pub(crate) type Secret<const N: usize> = Zeroizing<[u8; N]>;

/// `KDF(context, ikm)`: BLAKE3 in its key derivation mode. Lengths are prefixes of one another, so each context has one.
pub(crate) fn derive<const N: usize>(context: &str, ikm: &[&[u8]]) -> Secret<N> {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    for piece in ikm {
        hasher.update(piece);
    }
    let mut key = Zeroizing::new([0; N]);
    let mut output = hasher.finalize_xof();
    output.fill(key.as_mut_slice());
    output.zeroize();
    hasher.zeroize();
    key
}

/// What both sides have sent and received so far, each frame exactly as on the wire.
#[derive(Clone, Copy)]
pub(crate) struct Transcript([u8; 32]);

impl Transcript {
    /// `h0`: the label and both greetings, the client's first.
    pub(crate) fn begin(label: &str, client: &[u8; 64], server: &[u8; 64]) -> Self {
        Self(hash(&[label.as_bytes(), client, server]))
    }

    /// With another frame.
    pub(crate) fn and(self, frame: &[u8]) -> Self {
        Self(hash(&[&self.0, frame]))
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

fn hash(pieces: &[&[u8]]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for piece in pieces {
        hasher.update(piece);
    }
    *hasher.finalize().as_bytes()
}
