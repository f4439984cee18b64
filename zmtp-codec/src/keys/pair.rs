//! The two keys of one peer.

use core::fmt;

use subtle::ConstantTimeEq as _;

use super::{KeyError, PublicKey, SecretKey};

/// A secret key and the public key that belongs to it: what a peer needs to prove who it is.
///
/// `Debug` shows the public key only.
#[derive(PartialEq, Eq)]
pub struct KeyPair {
    public: PublicKey,
    secret: SecretKey,
}

impl KeyPair {
    /// Makes a new pair from the operating system's randomness.
    ///
    /// # Errors
    /// [`KeyError::Entropy`] if there is none to be had.
    pub fn generate() -> Result<Self, KeyError> {
        SecretKey::generate().map(Self::from_secret)
    }

    /// Completes a secret key to a pair.
    #[must_use]
    pub fn from_secret(secret: SecretKey) -> Self {
        Self { public: secret.public_key(), secret }
    }

    /// Puts two keys together that were kept apart, where it is an error if they are not a pair. The comparison takes the
    /// same time wherever they differ.
    ///
    /// # Errors
    /// [`KeyError::Mismatch`] if `public` is not the public key of `secret`, octet for octet.
    pub fn new(public: PublicKey, secret: SecretKey) -> Result<Self, KeyError> {
        let pair = Self::from_secret(secret);
        if bool::from(pair.public.as_bytes().ct_eq(public.as_bytes())) { Ok(pair) } else { Err(KeyError::Mismatch) }
    }

    /// The key to give away.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// The key to keep.
    #[must_use]
    pub const fn secret_key(&self) -> &SecretKey {
        &self.secret
    }

    /// The two keys, to keep apart.
    #[must_use]
    pub fn into_parts(self) -> (PublicKey, SecretKey) {
        (self.public, self.secret)
    }
}

impl From<SecretKey> for KeyPair {
    fn from(secret: SecretKey) -> Self {
        Self::from_secret(secret)
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair").field("public", &self.public).finish_non_exhaustive()
    }
}
