//! The cipher of every CURVE box: XSalsa20-Poly1305, NaCl's `secretbox` and the inside of its `box`.
//!
//! A box is a Poly1305 tag of 16 octets and the ciphertext. The first 32 octets of the Salsa20 key stream are the
//! one-time Poly1305 key; the others, from the middle of block 0 on, encrypt.
//!
//! # Why our own
//! A CURVE frame has a nonce of a constant prefix and a counter, and most frames are small. The general crates see one
//! box at a time: they derive the subkey of the prefix (a whole HSalsa20) for every frame and compute one block where
//! a vector register would hold sixteen; and the `poly1305` crate, where it detects AVX2 at run time, takes 0.9 µs for
//! 33 octets and 1.4 µs for 257. Here the subkey is derived once per direction, the key stream of the next frames
//! comes out of the same pass ([`KeyStream`]), and Poly1305 is a scalar loop for short frames (30 ns for 65 octets)
//! and four or eight blocks at a time for long ones ([`Poly1305`]). Nanoseconds per sealed frame on Sapphire Rapids at
//! 2.3 GHz nominal; opening takes as long. `cargo xtask bench curve/` measures what the processor picks; for the columns
//! "AVX2" a program made for it kept both from seeing AVX-512:
//!
//! | payload | here, AVX-512 | here, AVX2 | libsodium | its AVX2 | `salsabox` | `crypto_box` |
//! |--------:|--------------:|-----------:|----------:|---------:|-----------:|-------------:|
//! |    16 B |            71 |         88 |       311 |            313 |      1,167 |        1,235 |
//! |    64 B |           104 |        140 |       454 |            452 |      1,796 |        1,755 |
//! |   256 B |           211 |        300 |       899 |            903 |      1,877 |        2,126 |
//! |   1 KiB |           468 |        783 |     1,595 |          1,594 |      2,624 |        3,754 |
//! |   4 KiB |         1,347 |      2,679 |     3,107 |          3,838 |      4,386 |       10,160 |
//! |  16 KiB |         4,951 |     10,330 |     9,061 |         12,980 |     11,460 |       36,552 |
//! |  64 KiB |        19,546 |     41,039 |    32,984 |         49,726 |     40,948 |      136,990 |
//!
//! The cost is that this is cryptography of our own to keep right. It is kept small and free of `unsafe` (vectors by
//! way of `fearless_simd`, which picks the instructions at run time and has portable ones everywhere else), and is
//! tested at every level of the processor against RFC 8439, the NaCl paper, libsodium's boxes, and RustCrypto's
//! implementation at every length up to past where its paths part.
//!
//! # What it promises
//! - No branch and no index depends on a key, a plaintext or a tag; tags are compared in constant time.
//! - Opening verifies first and decrypts after: unverified plaintext exists nowhere, and a refused box is left as it
//!   was. That is two passes over the frame, and up to 64 KiB, which the caches hold, no slower than the one of sealing.
//! - Nothing is allocated per frame, only per direction: its key, and with the first frame the key stream ahead, 1 KiB at
//!   most.
//! - Keys, subkeys, one-time keys and key stream are wiped from memory when they are used up or dropped. Copies in
//!   registers, and what the compiler spills of them to the stack, cannot be wiped from Rust.
//! - No length makes it panic.

#![expect(clippy::indexing_slicing, reason = "the bounds are those of fixed arrays, or were cut right before")]

mod salsa20;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use core::fmt;

use fearless_simd::{Level, Simd, dispatch};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};
use zmtp_codec::cipher::{BLOCK, KeyStream, Poly1305, StreamCipher};

use self::salsa20::{Salsa20, hsalsa20};

/// Octets of a tag, which stands before the ciphertext.
pub(crate) const TAG_LEN: usize = 16;

/// Octets that are encrypted before they are authenticated, so that the second step finds them in the first-level
/// cache. A multiple of 1 KiB, the largest pass, so that no chunk but the last one ends inside a pass.
const CHUNK: usize = 8192;

/// Octets that block 0 encrypts.
const FIRST: usize = Salsa20::FIRST;

/// XSalsa20-Poly1305 for single boxes: handshake commands, vouch and cookie.
///
/// The key is on the heap, where it stays when the state of a handshake is moved, and so is wiped where it was.
pub(crate) struct SecretBox {
    key: Box<Zeroizing<[u8; 32]>>,
}

impl SecretBox {
    /// A box under `key`, the result of a key agreement or a secret of one's own.
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let mut own = Box::new(Zeroizing::new([0; 32]));
        own.copy_from_slice(key);
        Self { key: own }
    }

    /// The box that `crypto_box` makes of the result of an X25519. Its key is made where it stays.
    pub(crate) fn of_shared_secret(shared: &[u8; 32]) -> Self {
        let mut key = Box::new(Zeroizing::new([0; 32]));
        hsalsa20(shared, &[0; 16], &mut key);
        Self { key }
    }

    /// Writes tag and ciphertext of `plain` to `boxed`, which is 16 octets longer. A nonce must never be used twice.
    pub(crate) fn seal(&self, nonce: &[u8; 24], plain: &[u8], boxed: &mut [u8]) {
        let (mut cipher, counter) = self.at(nonce);
        cipher.seal_parts(counter, &[], plain, boxed);
    }

    /// Opens `boxed` in place and gives the plaintext in it; `None`, and `boxed` as it was, where it is not authentic.
    pub(crate) fn open<'a>(&self, nonce: &[u8; 24], boxed: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let (mut cipher, counter) = self.at(nonce);
        if cipher.open(counter, boxed) { boxed.get_mut(TAG_LEN..) } else { None }
    }

    /// The cipher of the frames whose nonces are `prefix` and a counter.
    pub(crate) fn direction(&self, prefix: &[u8; 16]) -> FrameCipher {
        self.direction_at(Level::new(), prefix)
    }

    /// [`direction`](Self::direction) at a chosen level; tests go through all that there are.
    pub(crate) fn direction_at(&self, level: Level, prefix: &[u8; 16]) -> FrameCipher {
        let mut subkey = Zeroizing::new([0; 32]);
        hsalsa20(&self.key, prefix, &mut subkey);
        FrameCipher::new(&subkey, level)
    }

    fn at(&self, nonce: &[u8; 24]) -> (FrameCipher, u64) {
        let mut prefix = [0; 16];
        prefix.copy_from_slice(&nonce[..16]);
        let mut counter = [0; 8];
        counter.copy_from_slice(&nonce[16..]);
        (self.direction(&prefix), u64::from_be_bytes(counter))
    }
}

impl fmt::Debug for SecretBox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretBox").finish_non_exhaustive()
    }
}

/// The frames of one direction under one key: what is left per frame once its prefix is worked into the key.
///
/// It expects counters that go up by one and frames about as long as the one before, and is fastest then; any other
/// order and size is as correct. It keeps no record of the counters: to use none twice is the caller's duty.
pub(crate) struct FrameCipher {
    stream: KeyStream<Salsa20>,
    level: Level,
}

impl FrameCipher {
    fn new(subkey: &[u8; 32], level: Level) -> Self {
        Self { stream: KeyStream::new(Salsa20::boxed(subkey)), level }
    }

    /// Writes the box of `first` followed by `rest` to `boxed`, which is 17 octets longer than `rest`, encrypting as it
    /// copies. A counter must never be used twice.
    pub(crate) fn seal(&mut self, counter: u64, first: u8, rest: &[u8], boxed: &mut [u8]) {
        self.seal_parts(counter, &[first], rest, boxed);
    }

    fn seal_parts(&mut self, counter: u64, head: &[u8], rest: &[u8], boxed: &mut [u8]) {
        debug_assert_eq!(boxed.len(), TAG_LEN + head.len() + rest.len(), "a box is its tag and its plaintext");
        let Some((tag, body)) = boxed.split_first_chunk_mut::<TAG_LEN>() else { return };
        if body.len() != head.len() + rest.len() {
            // In a release build a box that nobody opens, rather than a panic or half a frame.
            boxed.fill(0);
            return;
        }
        let stream = &mut self.stream;
        *tag = dispatch!(self.level, simd => seal(simd, stream, counter, head, rest, body));
    }

    /// Opens `boxed` in place: `true`, and `boxed[16..]` is the plaintext, or `false`, and `boxed` is as it was, and
    /// so is everything that this cipher opens afterwards.
    pub(crate) fn open(&mut self, counter: u64, boxed: &mut [u8]) -> bool {
        let Some((tag, body)) = boxed.split_first_chunk_mut::<TAG_LEN>() else { return false };
        let stream = &mut self.stream;
        dispatch!(self.level, simd => open(simd, stream, counter, tag, body))
    }
}

impl fmt::Debug for FrameCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameCipher").finish_non_exhaustive()
    }
}

/// Encrypts `head` (at most 32 octets) and `rest` to `body`, and gives the tag.
#[inline(always)]
fn seal<S: Simd>(
    simd: S,
    stream: &mut KeyStream<Salsa20>,
    counter: u64,
    head: &[u8],
    rest: &[u8],
    body: &mut [u8],
) -> [u8; TAG_LEN] {
    let len = body.len();
    let mut key = stream.one_time_key(simd, counter, len);
    let mut mac = Poly1305::new(&key);
    key.zeroize();

    // What the second half of block 0 encrypts is put together from both; from there on it is all `rest`.
    let first = len.min(FIRST);
    let (now, later) = rest.split_at(first - head.len());
    body[..head.len()].copy_from_slice(head);
    body[head.len()..first].copy_from_slice(now);
    stream.xor_first(&mut body[..first]);
    let mut rest = later;
    let mut done = first;
    let mut authenticated = 0;
    let mut number = 1;
    loop {
        let (now, later) = rest.split_at(rest.len().min(CHUNK));
        let end = done + now.len();
        stream.xor(simd, counter, number, len, Some(now), &mut body[done..end]);
        rest = later;
        number += (CHUNK / BLOCK) as u64;
        done = end;
        let (blocks, tail) = body[authenticated..done].as_chunks::<16>();
        mac.blocks(simd, blocks);
        authenticated = done - tail.len();
        if done == len {
            return mac.finish(tail);
        }
    }
}

/// Verifies `body`, and decrypts it if it is authentic.
#[inline(always)]
fn open<S: Simd>(simd: S, stream: &mut KeyStream<Salsa20>, counter: u64, tag: &[u8; TAG_LEN], body: &mut [u8]) -> bool {
    let len = body.len();
    let mut key = stream.one_time_key(simd, counter, len);
    let mut mac = Poly1305::new(&key);
    key.zeroize();
    let (blocks, tail) = body.as_chunks::<16>();
    mac.blocks(simd, blocks);
    if !bool::from(mac.finish(tail).ct_eq(tag)) {
        stream.skip_first();
        return false;
    }
    let first = len.min(FIRST);
    stream.xor_first(&mut body[..first]);
    stream.xor(simd, counter, 1, len, None, &mut body[first..]);
    true
}
