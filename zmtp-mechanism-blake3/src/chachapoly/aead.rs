//! ChaCha20-Poly1305 (RFC 8439, section 2.8) for the frames of one direction, which are many, mostly small, and numbered.
//!
//! # Why our own
//! The general crates see one frame at a time: each has a key stream set up and a whole vector pass for the one or two
//! blocks of a small frame, and the `poly1305` crate, where it detects AVX2 at run time, takes about a microsecond for
//! however few octets. Here one pass computes the key stream of the next frames too, and Poly1305 is a scalar loop for
//! short frames and several blocks at a time for long ones: both are those of CURVE. Nanoseconds per sealed frame on Sapphire
//! Rapids at 2.3 GHz nominal; opening executes as many instructions as sealing. `cargo xtask bench blake3/` measures what the processor picks:
//!
//! | payload | here, AVX-512 | here, AVX2 | `ring` | `chacha20poly1305` |
//! |--------:|--------------:|-----------:|-------:|-------------------:|
//! |    16 B |            77 |         94 |    185 |              1,250 |
//! |    64 B |            93 |        129 |    200 |              1,775 |
//! |   256 B |           217 |        288 |    304 |              1,690 |
//! |   1 KiB |           477 |        740 |    713 |              2,405 |
//! |   4 KiB |         1,352 |      2,510 |  2,280 |              5,180 |
//! |  16 KiB |         4,956 |      9,714 |  8,500 |             16,330 |
//! |  64 KiB |        19,839 |     38,682 | 35,000 |             61,000 |
//!
//! With SSE4.2 alone it is as fast as `ring` at 64 octets and half as fast from 1 KiB on.
//!
//! # What it promises
//! - No branch and no index depends on a key, a plaintext or a tag; tags are compared in constant time.
//! - Opening verifies first and decrypts after: unverified plaintext exists nowhere, and a refused body is left as it was.
//! - Nothing is allocated per frame, only per direction: its key, and with the first frame the key stream ahead, 1 KiB at
//!   most.
//! - Key, one-time keys and key stream are wiped from memory when they are used up or dropped.
//! - No length makes it panic.

#![expect(clippy::indexing_slicing, reason = "the bounds are those of fixed arrays")]

mod chacha20;
#[cfg(test)]
mod tests;

use fearless_simd::{Level, Simd, dispatch};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroize as _;
use zmtp_codec::cipher::{BLOCK, KeyStream, Poly1305};

use self::chacha20::ChaCha20;

/// Octets of a tag, which stands behind the ciphertext.
pub(super) const TAG: usize = 16;

/// The longest plaintext: as many blocks as have a number, but for block 0.
const LONGEST: u64 = (u32::MAX as u64) * (BLOCK as u64);

/// Octets that are encrypted before they are authenticated, so that the second step finds them in the first-level
/// cache. A chunk begins with a block. The vector pass that reaches beyond its end is not lost: its other blocks are kept,
/// and the next chunk begins with them.
const CHUNK: usize = 8192;
const _: () = assert!(CHUNK.is_multiple_of(BLOCK), "the next chunk would begin inside a block");

/// The frames of one direction, under one key and iv.
///
/// It expects numbers that go up by one and frames about as long as the one before, and is fastest then; any other
/// order and size is as correct. It keeps no record of the numbers: to seal none twice is the caller's duty.
pub(super) struct Aead {
    stream: KeyStream<ChaCha20>,
    level: Level,
}

impl Aead {
    pub(super) fn new(key: &[u8; 32], iv: &[u8; 12]) -> Self {
        Self::at(Level::new(), key, iv)
    }

    /// [`new`](Self::new) at a chosen level; tests go through all that there are.
    fn at(level: Level, key: &[u8; 32], iv: &[u8; 12]) -> Self {
        Self { stream: KeyStream::new(ChaCha20::boxed(key, iv)), level }
    }

    /// Writes ciphertext and tag of `payload` to `body`, encrypting as it copies; `None` where `body` has another length
    /// than the two, or `payload` is longer than 256 GiB. A number must never be sealed twice.
    pub(super) fn seal(&mut self, number: u64, header: &[u8], payload: &[u8], body: &mut [u8]) -> Option<()> {
        let (text, tag) = body.split_last_chunk_mut::<TAG>()?;
        if text.len() != payload.len() || text.len() as u64 > LONGEST {
            return None;
        }
        let stream = &mut self.stream;
        *tag = dispatch!(self.level, simd => seal(simd, stream, number, header, payload, text));
        Some(())
    }

    /// Opens `body` in place: `Some`, and the plaintext stands in front of the tag, or `None`, and `body` is as it was,
    /// and so is everything that is opened afterwards.
    pub(super) fn open(&mut self, number: u64, header: &[u8], body: &mut [u8]) -> Option<()> {
        let (text, tag) = body.split_last_chunk_mut::<TAG>()?;
        if text.len() as u64 > LONGEST {
            return None;
        }
        let stream = &mut self.stream;
        dispatch!(self.level, simd => open(simd, stream, number, header, text, tag)).then_some(())
    }
}

/// Encrypts `payload` to `text`, of the same length, and gives the tag.
#[inline(always)]
fn seal<S: Simd>(
    simd: S,
    stream: &mut KeyStream<ChaCha20>,
    number: u64,
    header: &[u8],
    payload: &[u8],
    text: &mut [u8],
) -> [u8; TAG] {
    let len = text.len();
    let mut mac = begin(simd, stream, number, header, len);
    let mut block = 1;
    for (from, to) in payload.chunks(CHUNK).zip(text.chunks_mut(CHUNK)) {
        stream.xor(simd, number, block, len, Some(from), to);
        block += (CHUNK / BLOCK) as u64;
        padded(simd, &mut mac, to);
    }
    end(simd, mac, header, len)
}

/// Verifies `text`, and decrypts it if it is authentic.
#[inline(always)]
fn open<S: Simd>(
    simd: S,
    stream: &mut KeyStream<ChaCha20>,
    number: u64,
    header: &[u8],
    text: &mut [u8],
    tag: &[u8; TAG],
) -> bool {
    let len = text.len();
    let mut mac = begin(simd, stream, number, header, len);
    padded(simd, &mut mac, text);
    let authentic = is_same(&end(simd, mac, header, len), tag);
    if authentic {
        stream.xor(simd, number, 1, len, None, text);
    }
    authentic
}

/// Compares two tags in constant time, as numbers: octet by octet, it would be a tenth of what a small frame costs.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the two halves of a number")]
fn is_same(one: &[u8; TAG], other: &[u8; TAG]) -> bool {
    let difference = u128::from_le_bytes(*one) ^ u128::from_le_bytes(*other);
    let [low, high] = [difference as u64, (difference >> 64) as u64];
    (low | high).ct_eq(&0).into()
}

/// The one-time key of the frame, and its header authenticated.
#[inline(always)]
fn begin<S: Simd>(simd: S, stream: &mut KeyStream<ChaCha20>, number: u64, header: &[u8], len: usize) -> Poly1305 {
    let mut key = stream.one_time_key(simd, number, len);
    stream.skip_first();
    let mut mac = Poly1305::new(&key);
    key.zeroize();
    match header {
        // Of a short frame, and put together without a detour over memory, for which the first multiplication would wait.
        [flags, length] => mac.blocks(simd, &[(u128::from(*length) << 8 | u128::from(*flags)).to_le_bytes()]),
        _ => padded(simd, &mut mac, header),
    }
    mac
}

/// Authenticates `octets`, and zeros up to a whole block.
#[inline(always)]
fn padded<S: Simd>(simd: S, mac: &mut Poly1305, octets: &[u8]) {
    let (blocks, rest) = octets.as_chunks();
    mac.blocks(simd, blocks);
    if !rest.is_empty() {
        let mut last = [0; 16];
        last[..rest.len()].copy_from_slice(rest);
        mac.blocks(simd, &[last]);
    }
}

/// The tag, over both lengths last of all.
#[inline(always)]
fn end<S: Simd>(simd: S, mut mac: Poly1305, header: &[u8], len: usize) -> [u8; TAG] {
    let mut lengths = [0; 16];
    lengths[..8].copy_from_slice(&(header.len() as u64).to_le_bytes());
    lengths[8..].copy_from_slice(&(len as u64).to_le_bytes());
    mac.blocks(simd, &[lengths]);
    mac.finish(&[])
}
