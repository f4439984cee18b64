//! What the two suites do differently: labels, boxes, frames, and the sizes that follow.

use zmtp_codec::{MechanismName, OpenError, SealError};

use crate::kdf::Secret;

/// A suite of this crate: [`ChachaPoly`](crate::ChachaPoly), or with the feature `blake3zmq` `Blake3Zmq`.
///
/// It cannot be implemented elsewhere: its parts are secret.
pub trait Suite: sealed::Suite {}

impl<S: sealed::Suite> Suite for S {}

/// The strings that begin every derivation, each of which makes a key or nonce of its own.
pub(crate) struct Contexts {
    pub(crate) label: &'static str,
    pub(crate) hello_key: &'static str,
    pub(crate) hello_nonce: &'static str,
    pub(crate) cookie: &'static str,
    pub(crate) welcome_key: &'static str,
    /// Of no use where a WELCOME has a nonce of its own.
    pub(crate) welcome_nonce: &'static str,
    pub(crate) vouch_key: &'static str,
    pub(crate) vouch_nonce: &'static str,
    pub(crate) initiate_key: &'static str,
    pub(crate) initiate_nonce: &'static str,
    pub(crate) ready_key: &'static str,
    pub(crate) ready_nonce: &'static str,
}

macro_rules! contexts {
    ($label:literal) => {
        $crate::suite::Contexts {
            label: $label,
            hello_key: concat!($label, " HELLO key"),
            hello_nonce: concat!($label, " HELLO nonce"),
            cookie: concat!($label, " cookie"),
            welcome_key: concat!($label, " WELCOME key"),
            welcome_nonce: concat!($label, " WELCOME nonce"),
            vouch_key: concat!($label, " VOUCH key"),
            vouch_nonce: concat!($label, " VOUCH nonce"),
            initiate_key: concat!($label, " INITIATE key"),
            initiate_nonce: concat!($label, " INITIATE nonce"),
            ready_key: concat!($label, " READY key"),
            ready_nonce: concat!($label, " READY nonce"),
        }
    };
}
pub(crate) use contexts;

/// Which way frames go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

pub(crate) mod sealed {
    use super::{Contexts, Direction, MechanismName, Secret};
    use crate::suite::FrameCipher;

    /// The parts of a suite.
    pub trait Suite: Clone + Send + Sync + core::fmt::Debug + 'static {
        /// The cipher of one direction after the handshake.
        type Cipher: FrameCipher;

        #[doc(hidden)]
        #[expect(private_interfaces, reason = "the trait is sealed")]
        const CONTEXTS: Contexts;
        /// The name in the greeting.
        const NAME: MechanismName;
        /// Octets of a tag.
        const TAG: usize;
        /// Zeros in a HELLO behind the client's key.
        const PADDING: usize;
        /// Whether a WELCOME has a random nonce of its own in front, from which its key is made as well.
        const WELCOME_NONCE: bool;
        /// Whether the vouch is bound to the transcript.
        const VOUCH_IS_BOUND: bool;

        /// Appends the box of `plain` to `out`: ciphertext, then tag. A key and nonce are never used twice.
        fn seal(key: &Secret<32>, nonce: &[u8; 24], aad: &[u8], plain: &[u8], out: &mut Vec<u8>);

        /// Opens `boxed` in place and gives the plaintext; `None` where it is not authentic.
        fn open<'a>(key: &Secret<32>, nonce: &[u8; 24], aad: &[u8], boxed: &'a mut [u8]) -> Option<&'a mut [u8]>;

        /// The cipher of one direction, from `h4 ‖ dh2`.
        fn cipher(direction: Direction, ikm: &[&[u8]]) -> Self::Cipher;
    }
}

/// The frames of one direction: each is sealed, or opened, once and in order.
pub trait FrameCipher: Send + Sync + 'static {
    /// Writes ciphertext and tag of `payload` to `body`, authenticating `header`.
    ///
    /// # Errors
    /// [`SealError::NoncesExhausted`] when all numbers were used. [`SealError::Misuse`] where `body` is not as long as payload
    /// and tag, and then nothing was written to it.
    fn seal(&mut self, header: &[u8], payload: &[u8], body: &mut [u8]) -> Result<(), SealError>;

    /// Opens `body` in place, whose plaintext is then in front of its tag.
    ///
    /// # Errors
    /// [`OpenError::Forged`] if anything of it is not as it was sealed. [`OpenError::Sequence`] when all numbers were used.
    fn open(&mut self, header: &[u8], body: &mut [u8]) -> Result<(), OpenError>;
}
