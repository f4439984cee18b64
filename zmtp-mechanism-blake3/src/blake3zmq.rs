//! The suite `BLAKE3` (BLAKE3ZMQ 1.0): `ChaCha20` with its 64-bit nonce and block counter, and keyed BLAKE3 over the ciphertext.
//!
//! ```text
//! ciphertext = payload XOR keystream, from the block behind the last one used     a frame begins a block
//! tag        = BLAKE3(auth key, header │ its length │ ciphertext │ its length)    lengths are 8 octets, little-endian
//! ```
//!
//! A box of the handshake is the first frame under keys of its own.
//!
//! Put together from the crates `chacha20` and `blake3`. The crate `chacha20-blake3` has the same construction ready, in
//! place only, and with features of `blake3` that not every target builds with. Nanoseconds to seal a frame from a payload
//! into its body, on an x86-64 with AVX-512 (best of 15 runs):
//!
//! | payload | 16 | 64 | 223 | 256 | 1024 | 4096 | 65536 |
//! |---|---|---|---|---|---|---|---|
//! | here | 216 | 281 | 462 | 513 | 1,740 | 5,690 | 60,200 |
//! | chacha20-blake3 0.10 | 242 | 317 | 740 | 709 | 2,630 | 13,000 | 143,000 |

use chacha20::cipher::inout::InOutBuf;
use chacha20::cipher::{Block, KeyIvInit as _, StreamCipherCore as _};
use chacha20::{ChaCha20LegacyCore, LegacyNonce};
use zeroize::Zeroize as _;
use zmtp_codec::{MechanismName, OpenError, SealError};

use crate::kdf::{Secret, derive};
use crate::suite::{Contexts, Direction, FrameCipher, contexts, sealed};

/// `BLAKE3`, the suite of BLAKE3ZMQ 1.0: **weaker than [`ChachaPoly`](crate::ChachaPoly)**, for talking to peers that know
/// no other. Those are the Ruby gem omq-blake3zmq 0.4 and omq-proto 0.16 to 0.22.
///
/// Prefer [`Blake3Client`](crate::Blake3Client) and [`Blake3Server`](crate::Blake3Server) wherever both ends are yours.
/// What this suite does not do, and cannot without ceasing to be understood by its peers:
///
/// - **The place of a frame is not authenticated.** Whoever sits on the path can drop, repeat and swap whole frames, and
///   every tag still verifies. A frame in another place than its own decrypts to garbage, and that garbage is delivered as
///   if the peer had sent it; so does everything behind a frame that was dropped. An empty frame, such as the delimiter of a
///   request, can be repeated at will and stays what it is. An application over this suite must recognise its own messages.
/// - **A repeated HELLO is answered under the same key and nonce.** Whoever sends a recorded HELLO again gets a second
///   WELCOME whose XOR with the first is that of their plaintexts: of two transient public keys, and of two cookies, which
///   are themselves encrypted. No secret is known to follow from that.
///
/// Nothing inside a frame can be changed, nobody without the keys can make one, and a whole recorded session is refused
/// as under the other suite. As there, no third party has reviewed this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "it stands for itself and has no values")]
pub enum Blake3Zmq {}

const TAG: usize = 32;
/// Octets of a block of the keystream.
const BLOCK: usize = 64;
/// Blocks that cost as much as one where there is AVX2 or NEON.
const BATCH: usize = 4;

type KeystreamBlock = Block<ChaCha20LegacyCore>;

impl sealed::Suite for Blake3Zmq {
    type Cipher = Blake3ZmqFrames;

    #[expect(private_interfaces, reason = "the trait is sealed")]
    const CONTEXTS: Contexts = contexts!("BLAKE3ZMQ-1.0");
    const NAME: MechanismName = MechanismName::BLAKE3;
    const TAG: usize = TAG;
    const PADDING: usize = 96;
    const WELCOME_NONCE: bool = false;
    const VOUCH_IS_BOUND: bool = false;

    fn seal(key: &Secret<32>, nonce: &[u8; 24], aad: &[u8], plain: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + plain.len() + TAG, 0);
        let Some(boxed) = out.get_mut(start..) else { return };
        // It fails only behind 2^64 blocks, and these are the first.
        box_cipher(key, nonce).seal(aad, plain, boxed).unwrap_or_default();
    }

    fn open<'a>(key: &Secret<32>, nonce: &[u8; 24], aad: &[u8], boxed: &'a mut [u8]) -> Option<&'a mut [u8]> {
        box_cipher(key, nonce).open(aad, boxed).ok()?;
        boxed.split_last_chunk_mut::<TAG>().map(|(text, _)| text)
    }

    fn cipher(direction: Direction, ikm: &[&[u8]]) -> Blake3ZmqFrames {
        let (encrypt, authenticate, nonce) = match direction {
            Direction::ToServer => (
                "BLAKE3ZMQ-1.0 client->server enc key",
                "BLAKE3ZMQ-1.0 client->server auth key",
                "BLAKE3ZMQ-1.0 client->server nonce",
            ),
            Direction::ToClient => (
                "BLAKE3ZMQ-1.0 server->client enc key",
                "BLAKE3ZMQ-1.0 server->client auth key",
                "BLAKE3ZMQ-1.0 server->client nonce",
            ),
        };
        Blake3ZmqFrames::new(&derive(encrypt, ikm), &derive(authenticate, ikm), &derive(nonce, ikm))
    }
}

/// The cipher of one box: its keys and its short nonce are keyed BLAKE3 of the nonce.
fn box_cipher(key: &Secret<32>, nonce: &[u8; 24]) -> Blake3ZmqFrames {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(nonce);
    let mut output = hasher.finalize_xof();
    let (mut encrypt, mut authenticate, mut short_nonce) = (Secret::default(), Secret::default(), Secret::default());
    output.fill(encrypt.as_mut_slice());
    output.fill(authenticate.as_mut_slice());
    output.fill(short_nonce.as_mut_slice());
    output.zeroize();
    hasher.zeroize();
    Blake3ZmqFrames::new(&encrypt, &authenticate, &short_nonce)
}

/// The frames of one direction, one behind the other on one keystream.
pub struct Blake3ZmqFrames {
    /// On the heap, where they stay when the connection is moved, and are wiped.
    keys: Box<Keys>,
}

struct Keys {
    /// Where it stands, a frame begins: it counts the blocks.
    keystream: ChaCha20LegacyCore,
    mac: blake3::Hasher,
}

impl Drop for Keys {
    fn drop(&mut self) {
        // The keystream wipes itself.
        self.mac.zeroize();
    }
}

impl core::fmt::Debug for Blake3ZmqFrames {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Blake3ZmqFrames").field("block", &self.keys.keystream.get_block_pos()).finish_non_exhaustive()
    }
}

impl Blake3ZmqFrames {
    fn new(encrypt: &Secret<32>, authenticate: &Secret<32>, nonce: &Secret<8>) -> Self {
        let keystream = ChaCha20LegacyCore::new((&**encrypt).into(), &LegacyNonce::from(**nonce));
        Self { keys: Box::new(Keys { keystream, mac: blake3::Hasher::new_keyed(authenticate) }) }
    }
}

impl Keys {
    /// Where the frame behind one of so many octets begins; `None` where the blocks do not suffice.
    fn end(&self, len: usize) -> Option<u64> {
        self.keystream.get_block_pos().checked_add(len.div_ceil(BLOCK) as u64)
    }

    /// XORs the keystream up to the block `end` into `text`. What is left of the last block is never used.
    fn apply(&mut self, text: InOutBuf<'_, '_, u8>, end: u64) {
        let in_batches = text.len() - text.len() % (BATCH * BLOCK);
        let (batches, mut rest) = text.split_at(in_batches);
        self.keystream.apply_keystream_blocks_inout(batches.into_chunks().0);
        // Less than a batch, in one go: block by block, each would cost as much.
        let mut blocks = [KeystreamBlock::default(); BATCH];
        let needed = if rest.len() > BLOCK { BATCH } else { 1.min(rest.len()) };
        if let Some(blocks) = blocks.get_mut(..needed) {
            self.keystream.write_keystream_blocks(blocks);
        }
        let keystream = KeystreamBlock::slice_as_flattened(&blocks);
        if let Some(keystream) = keystream.get(..rest.len()) {
            rest.xor_in2out(keystream);
        }
        blocks.iter_mut().for_each(|block| block.as_mut_slice().zeroize());
        self.keystream.set_block_pos(end);
    }

    fn tag(&mut self, header: &[u8], ciphertext: &[u8]) -> blake3::Hash {
        let mac = self.mac.reset();
        for piece in [header, ciphertext] {
            mac.update(piece).update(&(piece.len() as u64).to_le_bytes());
        }
        mac.finalize()
    }
}

impl FrameCipher for Blake3ZmqFrames {
    fn seal(&mut self, header: &[u8], payload: &[u8], body: &mut [u8]) -> Result<(), SealError> {
        let end = self.keys.end(payload.len()).ok_or(SealError::NoncesExhausted)?;
        let sealed = body.split_last_chunk_mut::<TAG>().and_then(|(text, tag)| {
            self.keys.apply(InOutBuf::new(payload, text).ok()?, end);
            *tag = *self.keys.tag(header, text).as_bytes();
            Some(())
        });
        sealed.ok_or(SealError::Misuse("the body is not as long as was planned"))
    }

    fn open(&mut self, header: &[u8], body: &mut [u8]) -> Result<(), OpenError> {
        let (text, tag) =
            body.split_last_chunk_mut::<TAG>().ok_or(OpenError::Malformed("it is shorter than its tag"))?;
        let end = self.keys.end(text.len()).ok_or(OpenError::Sequence)?;
        // A hash is compared in constant time.
        if self.keys.tag(header, text) != *tag {
            return Err(OpenError::Forged);
        }
        self.keys.apply(text.into(), end);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
