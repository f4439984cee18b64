//! The suites under test, each with its own making of what they do differently, so that every test runs on all of them.

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zmtp_codec::MechanismName;
use zmtp_mechanism_blake3::{ChachaPoly, Suite};

/// A suite as its specification has it. Nothing of this is taken from the crate under test.
pub(crate) trait Tested: Suite {
    const MECHANISM: MechanismName;
    /// What begins the transcript and every derivation.
    const LABEL: &'static str;
    /// Octets of a tag.
    const TAG_LEN: usize;
    /// Zeros in a HELLO.
    const ZEROS: usize;
    /// Bodies of HELLO and WELCOME, and those of INITIATE and READY without properties.
    const SIZES: [usize; 4];
    /// Whether WELCOME has its nonce in front, from which its key is made.
    const HAS_WELCOME_NONCE: bool;
    /// Whether the vouch's key is made from h2 as well.
    const BINDS_VOUCH: bool;

    /// Ciphertext and tag.
    fn make_box(key: &[u8; 32], nonce: &[u8; 24], aad: &str, plain: &[u8]) -> Vec<u8>;
    /// The plaintext of a box, if it is authentic.
    fn open_box(key: &[u8; 32], nonce: &[u8; 24], aad: &str, boxed: &[u8]) -> Option<Vec<u8>>;
}

impl Tested for ChachaPoly {
    const MECHANISM: MechanismName = MechanismName::BLAKE3_CHACHAPOLY;
    const LABEL: &'static str = "BLAKE3-CHACHAPOLY-1.0";
    const TAG_LEN: usize = 16;
    const ZEROS: usize = 120;
    const SIZES: [usize; 4] = [240, 216, 273, 22];
    const HAS_WELCOME_NONCE: bool = true;
    const BINDS_VOUCH: bool = true;

    fn make_box(key: &[u8; 32], nonce: &[u8; 24], aad: &str, plain: &[u8]) -> Vec<u8> {
        let payload = Payload { msg: plain, aad: aad.as_bytes() };
        XChaCha20Poly1305::new(key.into()).encrypt(&XNonce::from(*nonce), payload).unwrap()
    }

    fn open_box(key: &[u8; 32], nonce: &[u8; 24], aad: &str, boxed: &[u8]) -> Option<Vec<u8>> {
        let payload = Payload { msg: boxed, aad: aad.as_bytes() };
        XChaCha20Poly1305::new(key.into()).decrypt(&XNonce::from(*nonce), payload).ok()
    }
}

#[cfg(feature = "blake3zmq")]
pub(crate) mod blake3zmq {
    use zmtp_codec::MechanismName;
    use zmtp_mechanism_blake3::Blake3Zmq;

    use super::Tested;

    impl Tested for Blake3Zmq {
        const MECHANISM: MechanismName = MechanismName::BLAKE3;
        const LABEL: &'static str = "BLAKE3ZMQ-1.0";
        const TAG_LEN: usize = 32;
        const ZEROS: usize = 96;
        const SIZES: [usize; 4] = [232, 224, 321, 38];
        const HAS_WELCOME_NONCE: bool = false;
        const BINDS_VOUCH: bool = false;

        fn make_box(key: &[u8; 32], nonce: &[u8; 24], aad: &str, plain: &[u8]) -> Vec<u8> {
            Keys::derive(key, nonce).seal(aad, plain)
        }

        fn open_box(key: &[u8; 32], nonce: &[u8; 24], aad: &str, boxed: &[u8]) -> Option<Vec<u8>> {
            let keys = Keys::derive(key, nonce);
            let (text, tag) = boxed.split_last_chunk::<32>()?;
            (keys.tag(aad, text) == *tag).then(|| keys.crypt(text))
        }
    }

    /// What one box of ChaCha20-BLAKE3 is made with, or the first frame of a direction.
    pub(crate) struct Keys {
        pub(crate) encryption: [u8; 32],
        pub(crate) authentication: [u8; 32],
        pub(crate) nonce: [u8; 8],
    }

    impl Keys {
        fn derive(key: &[u8; 32], nonce: &[u8; 24]) -> Self {
            let mut okm = [0; 72];
            blake3::Hasher::new_keyed(key).update(nonce).finalize_xof().fill(&mut okm);
            Self {
                encryption: okm[..32].try_into().unwrap(),
                authentication: okm[32..64].try_into().unwrap(),
                nonce: okm[64..].try_into().unwrap(),
            }
        }

        pub(crate) fn seal(&self, aad: &str, plain: &[u8]) -> Vec<u8> {
            let mut boxed = self.crypt(plain);
            boxed.extend(self.tag(aad, &boxed));
            boxed
        }

        fn tag(&self, aad: &str, text: &[u8]) -> [u8; 32] {
            let mut hasher = blake3::Hasher::new_keyed(&self.authentication);
            for piece in [aad.as_bytes(), text] {
                hasher.update(piece).update(&(piece.len() as u64).to_le_bytes());
            }
            *hasher.finalize().as_bytes()
        }

        fn crypt(&self, text: &[u8]) -> Vec<u8> {
            let blocks = (0..).zip(text.chunks(64));
            blocks.flat_map(|(number, chunk)| chunk.iter().zip(self.block(number)).map(|(a, b)| a ^ b)).collect()
        }

        /// A block of `ChaCha20` with a counter and a nonce of 64 bits each, as first published.
        fn block(&self, number: u64) -> [u8; 64] {
            let octets = [b"expand 32-byte k", &self.encryption[..], &number.to_le_bytes(), &self.nonce].concat();
            let mut initial = [0; 16];
            for (word, octets) in initial.iter_mut().zip(octets.chunks(4)) {
                *word = u32::from_le_bytes(octets.try_into().unwrap());
            }
            let mut state = initial;
            for _ in 0..10 {
                for column in 0..4 {
                    quarter(&mut state, [column, 4 + column, 8 + column, 12 + column]);
                }
                for column in 0..4 {
                    quarter(&mut state, [column, 4 + (column + 1) % 4, 8 + (column + 2) % 4, 12 + (column + 3) % 4]);
                }
            }
            let mut block = [0; 64];
            for ((out, word), first) in block.chunks_mut(4).zip(state).zip(initial) {
                out.copy_from_slice(&word.wrapping_add(first).to_le_bytes());
            }
            block
        }
    }

    fn quarter(state: &mut [u32; 16], [a, b, c, d]: [usize; 4]) {
        for (sum, addend, turned, by) in [(a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)] {
            state[sum] = state[sum].wrapping_add(state[addend]);
            state[turned] = (state[turned] ^ state[sum]).rotate_left(by);
        }
    }
}

/// Runs each of these tests, which have the suite as their type parameter, on every suite. Whichever is not named here is
/// dead code to the compiler.
macro_rules! on_each_suite {
    ($($test:ident),+ $(,)?) => {
        mod chachapoly {
            $(#[test] fn $test() { super::$test::<zmtp_mechanism_blake3::ChachaPoly>(); })+
        }
        #[cfg(feature = "blake3zmq")]
        mod blake3zmq {
            $(#[test] fn $test() { super::$test::<zmtp_mechanism_blake3::Blake3Zmq>(); })+
        }
    };
}
pub(crate) use on_each_suite;
