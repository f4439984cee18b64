//! Diffie-Hellman: from two keys to a box.
//!
//! The box of two parties is NaCl's `crypto_box`: X25519, then HSalsa20, then XSalsa20-Poly1305. The crate of that name
//! would do it in one call, but in version 0.9 it multiplies by the secret scalar *reduced modulo the order of the group*,
//! which is no longer a multiple of 8. To a peer's key with a component of small order it then answers other than
//! RFC 7748 says, and whether a box opens tells two bits of the secret key. x25519-dalek multiplies by the clamped scalar.
//! Tests use `crypto_box` as the second opinion on everything else.
//!
//! Every public key here is a [`PublicKey`], which cannot be a point of low order: with such a point the shared secret
//! would be zero whatever the secret key, and the box one that anybody can open. RFC 26 is silent about it.

use zmtp_codec::keys::{PublicKey, SecretKey};

use crate::cipher::SecretBox;

/// The box between the owner of a key and us: `None` when the peer's point contributed nothing.
///
/// One scalar multiplication, about 60 µs.
pub(crate) fn agree(theirs: &PublicKey, ours: &SecretKey) -> Option<SecretBox> {
    let shared = ours.diffie_hellman(theirs)?;
    Some(SecretBox::of_shared_secret(shared.danger_as_bytes()))
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
    use curve25519_dalek::scalar::Scalar;

    use super::*;

    fn secret(seed: u8) -> SecretKey {
        let mut octet = seed;
        SecretKey::from_bytes([0; 32].map(|_: u8| {
            octet = octet.wrapping_mul(29).wrapping_add(151);
            octet
        }))
        .unwrap()
    }

    fn agreed(point: curve25519_dalek::EdwardsPoint, ours: &SecretKey) -> SecretBox {
        agree(&PublicKey::from_bytes(&point.to_montgomery().to_bytes()).unwrap(), ours).unwrap()
    }

    /// Were it not the same, whether a box opens would tell what the secret key is modulo 8. A peer is free to send such
    /// a key: it is not of low order, only a part of it is.
    #[test]
    fn a_component_of_small_order_in_a_peers_key_changes_nothing() {
        for seed in 0..32 {
            let (ours, theirs) = (secret(seed), Scalar::from(1_000_003 + u64::from(seed)));
            let honest = theirs * ED25519_BASEPOINT_POINT;
            let mut boxed = [0; 20];
            agreed(honest, &ours).seal(&[9; 24], b"text", &mut boxed);
            for torsion in EIGHT_TORSION {
                let mut opened = boxed;
                let text = agreed(honest + torsion, &ours).open(&[9; 24], &mut opened).map(|text| text.to_vec());
                assert_eq!(text.as_deref(), Some(&b"text"[..]));
            }
        }
    }

    #[test]
    fn two_parties_agree_and_crypto_box_agrees_with_them() {
        use crypto_box::aead::AeadInPlace as _;

        let (a, b) = (secret(1), secret(2));
        let mut boxed = [0; 20];
        agree(&b.public_key(), &a).unwrap().seal(&[7; 24], b"text", &mut boxed);
        let theirs = crypto_box::SalsaBox::new(&(*a.public_key().as_bytes()).into(), &(*b.danger_as_bytes()).into());
        let (tag, text) = boxed.split_first_chunk_mut::<16>().unwrap();
        theirs.decrypt_in_place_detached(&[7; 24].into(), &[], text, (&*tag).into()).unwrap();
        assert_eq!(text, b"text");
    }
}
