//! The secret key, and what is as secret as it.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;
use core::ops::Deref;

use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, Zeroizing};

use super::{KEY_LEN, KeyError, PublicKey, text};

/// A Curve25519 secret key: who knows it is the peer.
///
/// It is wiped when it is dropped and never moves in memory, so moving the value leaves nothing behind. It is not `Clone`;
/// share it in an `Arc`. `Debug` shows `SecretKey(..)`. `==` takes the same time wherever the keys differ.
pub struct SecretKey(Box<Zeroizing<[u8; KEY_LEN]>>);

impl SecretKey {
    /// Makes a new key from the operating system's randomness.
    ///
    /// # Errors
    /// [`KeyError::Entropy`] if there is none to be had.
    pub fn generate() -> Result<Self, KeyError> {
        let mut key = Self::blank();
        getrandom::fill(&mut key.0[..]).map_err(|_| KeyError::Entropy)?;
        // 32 zeros are as likely as any other key, but far less so than a random device that does not work.
        key.refuse_zero().map_err(|_| KeyError::Entropy)
    }

    /// Takes the 32 octets of a key, clamped or not, and wipes the copy that was passed. Other copies are the caller's.
    ///
    /// # Errors
    /// [`KeyError::Zero`] if all octets are zero.
    pub fn from_bytes(mut octets: [u8; KEY_LEN]) -> Result<Self, KeyError> {
        let mut key = Self::blank();
        key.0.copy_from_slice(&octets);
        octets.zeroize();
        key.refuse_zero()
    }

    /// Reads 40 characters of Z85; a zero octet after them, as C programs hand it on, is let pass.
    ///
    /// The octets are decoded in place; only the text itself is left for the caller to wipe. Decoding looks the characters
    /// up in a table, as libzmq does, so its timing may depend on them: do not decode a secret where others can measure.
    ///
    /// # Errors
    /// [`KeyError::Length`], [`KeyError::Character`] or [`KeyError::Chunk`] if the text is not a key in Z85, never with
    /// characters of it; [`KeyError::Zero`] if all octets are zero.
    pub fn from_z85(text: &str) -> Result<Self, KeyError> {
        let mut key = Self::blank();
        text::decode(text.as_bytes(), &mut key.0)?;
        key.refuse_zero()
    }

    /// Room for a key, at the address where it stays.
    fn blank() -> Self {
        Self(Box::new(Zeroizing::new([0; KEY_LEN])))
    }

    fn refuse_zero(self) -> Result<Self, KeyError> {
        if bool::from(self.0.ct_eq(&[0; KEY_LEN])) { Err(KeyError::Zero) } else { Ok(self) }
    }

    /// The public key that belongs to this key: one multiplication of the base point.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        let secret = x25519_dalek::StaticSecret::from(**self.0);
        PublicKey::from_base_point_product(x25519_dalek::PublicKey::from(&secret).to_bytes())
    }

    /// Agrees on a secret with the owner of `peer`: X25519 (RFC 7748, section 5), in constant time.
    ///
    /// It is not a key yet: every mechanism hashes it into one. `None` if all its octets are zero, as for a public key of low
    /// order; [`PublicKey`] holds no such key, so this is a second line of defence.
    #[must_use]
    pub fn diffie_hellman(&self, peer: &PublicKey) -> Option<SharedSecret> {
        let secret = x25519_dalek::StaticSecret::from(**self.0);
        let shared = secret.diffie_hellman(&x25519_dalek::PublicKey::from(*peer.as_bytes()));
        shared.was_contributory().then(|| SharedSecret(Box::new(Zeroizing::new(shared.to_bytes()))))
    }

    /// The octets. Whoever sees them can be this peer, and can read what was and will be said to it where the mechanism does
    /// not prevent it; wipe what you copy.
    #[must_use]
    pub fn danger_as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// The 40 characters of Z85, to put where only their owner reads. See [`danger_as_bytes`](Self::danger_as_bytes), and
    /// [`from_z85`](Self::from_z85) on timing.
    #[must_use]
    pub fn danger_to_z85(&self) -> SecretText {
        SecretText::new(text::encode(&self.0))
    }
}

impl PartialEq for SecretKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0[..]).into()
    }
}

impl Eq for SecretKey {}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

/// A text that holds a secret key. It is wiped when it is dropped; `Debug` shows `SecretText(..)`.
///
/// It is a `str` to whoever asks for one; what is copied out of it is the caller's to wipe.
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Takes over a text; its buffer is wiped later, those that it outgrew are not.
    pub(super) fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl Deref for SecretText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for SecretText {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(..)")
    }
}

/// What two peers agree on by X25519 ([`SecretKey::diffie_hellman`]): never all zeros, wiped when it is dropped, and not
/// shown by `Debug`.
pub struct SharedSecret(Box<Zeroizing<[u8; KEY_LEN]>>);

impl SharedSecret {
    /// The octets, for the mechanism to make its keys from. Wipe what you copy.
    #[must_use]
    pub fn danger_as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret(..)")
    }
}
