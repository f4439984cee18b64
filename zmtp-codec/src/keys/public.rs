//! The public key.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use super::{KEY_LEN, KeyError, text};

/// The u-coordinates of low order, with the top bit clear: on curve and twist the points of order 1, 2, 4 and 8, where the
/// field element has a second encoding below 2^255 also that (p and p + 1 are 0 and 1).
const LOW_ORDER: [[u8; KEY_LEN]; 7] = [
    edge(0x00, 0x00, 0x00),
    edge(0x01, 0x00, 0x00),
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09,
        0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44,
        0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
    ],
    edge(0xec, 0xff, 0x7f),
    edge(0xed, 0xff, 0x7f),
    edge(0xee, 0xff, 0x7f),
];

/// A little-endian number at either end of the field: its lowest octet, all octets between, its highest octet.
const fn edge(first: u8, between: u8, last: u8) -> [u8; KEY_LEN] {
    let mut octets = [between; KEY_LEN];
    let [low, .., high] = &mut octets;
    *low = first;
    *high = last;
    octets
}

/// A Curve25519 public key: what a peer is known by under CURVE and BLAKE3 (RFC 25, RFC 26).
///
/// Its text, written by `Display` and read by `FromStr`, is 40 characters of Z85 (RFC 32), as every `ZeroMQ` program shows
/// and takes it. It is never of low order, see [`is_low_order`](Self::is_low_order); that aside any 32 octets are a public
/// key. Equality, order and hash are those of the octets, so two keys that differ in their top bit only, which X25519
/// ignores, are not equal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; KEY_LEN]);

impl PublicKey {
    /// Takes the 32 octets of a key, as they are on the wire.
    ///
    /// # Errors
    /// [`KeyError::LowOrder`] if the key [is of low order](Self::is_low_order), as the all-zero key is.
    pub fn from_bytes(octets: &[u8; KEY_LEN]) -> Result<Self, KeyError> {
        if Self::is_low_order(octets) { Err(KeyError::LowOrder) } else { Ok(Self(*octets)) }
    }

    /// True for the few keys with which X25519 agrees on zeros whatever the secret key (RFC 7748, section 6.1): a peer that
    /// sends one makes the session's keys known to everybody.
    ///
    /// The octets are not treated as a secret: it takes longer for some than for others.
    #[must_use]
    pub fn is_low_order(octets: &[u8; KEY_LEN]) -> bool {
        let mut masked = *octets;
        // X25519 ignores the top bit (RFC 7748, section 5).
        let [.., last] = &mut masked;
        *last &= 0x7f;
        LOW_ORDER.contains(&masked)
    }

    /// A key that is known to be the product of the base point and a clamped scalar. Such a scalar is no multiple of the
    /// base point's order, so the key is not of low order.
    pub(super) const fn from_base_point_product(octets: [u8; KEY_LEN]) -> Self {
        Self(octets)
    }

    /// The octets, as they go onto the wire.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// The 40 characters of Z85. `Display` writes the same.
    #[must_use]
    pub fn to_z85(&self) -> String {
        text::encode(&self.0)
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    /// Reads 40 characters of Z85; a zero octet after them, as C programs hand it on, is let pass.
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let mut octets = [0; KEY_LEN];
        text::decode(text.as_bytes(), &mut octets)?;
        Self::from_bytes(&octets)
    }
}

impl TryFrom<&[u8]> for PublicKey {
    type Error = KeyError;

    /// Takes either form of a key, told apart by the length: 32 raw octets, or 40 characters of Z85 (41 with a zero octet
    /// at the end), as `ZMQ_CURVE_SERVERKEY` does.
    fn try_from(octets: &[u8]) -> Result<Self, KeyError> {
        if let Ok(raw) = <&[u8; KEY_LEN]>::try_from(octets) {
            return Self::from_bytes(raw);
        }
        let mut raw = [0; KEY_LEN];
        text::decode(octets, &mut raw)?;
        Self::from_bytes(&raw)
    }
}

impl From<PublicKey> for [u8; KEY_LEN] {
    fn from(key: PublicKey) -> Self {
        key.0
    }
}

impl AsRef<[u8]> for PublicKey {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.to_z85())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SecretKey;
    use proptest::prelude::*;

    /// Both defences must agree: what the constructor refuses is what agrees on zeros.
    #[test]
    fn every_listed_key_agrees_on_zeros_also_with_the_top_bit_set() {
        let secret = SecretKey::from_bytes([0x5a; KEY_LEN]).unwrap();
        for listed in LOW_ORDER {
            let mut with_top_bit = listed;
            with_top_bit[KEY_LEN - 1] |= 0x80;
            for octets in [listed, with_top_bit] {
                assert!(secret.diffie_hellman(&PublicKey(octets)).is_none(), "{octets:02x?}");
                assert_eq!(PublicKey::from_bytes(&octets), Err(KeyError::LowOrder), "{octets:02x?}");
            }
        }
    }

    /// The ends of the field, where the encodings of low order that have no second one above p lie side by side.
    #[test]
    fn no_other_key_near_the_ends_of_the_field_agrees_on_zeros() {
        let secret = SecretKey::from_bytes([0x5a; KEY_LEN]).unwrap();
        for first in 0..=u8::MAX {
            for octets in [edge(first, 0x00, 0x00), edge(first, 0xff, 0x7f), edge(first, 0x00, 0x80), [0xff; KEY_LEN]] {
                let agrees_on_zeros = secret.diffie_hellman(&PublicKey(octets)).is_none();
                assert_eq!(PublicKey::is_low_order(&octets), agrees_on_zeros, "{octets:02x?}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_derived_public_key_is_never_refused(octets: [u8; KEY_LEN]) {
            if let Ok(secret) = SecretKey::from_bytes(octets) {
                let public = secret.public_key();
                prop_assert_eq!(PublicKey::from_bytes(public.as_bytes()), Ok(public));
            }
        }
    }
}
