//! Many blocks of a stream cipher at once: one vector has the same word of each.
//!
//! What runs per block is written as `#[inline(always)]` functions of a level `S`, and never hands vectors to a closure
//! that the standard library calls (`array::map`, `array::from_fn`): such a closure is compiled without the level's
//! instructions, and every addition becomes a call.

#[cfg(target_arch = "x86_64")]
mod avx2;

#[cfg(target_arch = "x86_64")]
use fearless_simd::ExtractToken;
use fearless_simd::{Simd, SimdBase, SimdInt};

/// One block of key stream: the sixteen words of its final state, each little-endian.
pub type Block = [u8; BLOCK];

/// Octets of one block.
pub const BLOCK: usize = 64;

/// The most blocks that any level computes in one pass.
pub const MAX_LANES: usize = 16;

/// A stream cipher with blocks of sixteen words, as Salsa20 and `ChaCha20` are, with the nonces of one direction: a
/// frame's nonce follows from its counter. It is wiped when it is dropped.
pub trait StreamCipher {
    /// Octets of block 0 that encrypt: those behind the one-time Poly1305 key (NaCl), or none (RFC 8439).
    const FIRST: usize;

    /// Computes [`lanes`] blocks: lane `i` is block `numbers[i]` of the frame `counters[i]`. Row `j` has word `j` of each.
    fn rows<S: Simd>(&self, simd: S, counters: &[u64; MAX_LANES], numbers: &[u64; MAX_LANES]) -> [S::u32s; 16];
}

/// The blocks that one pass computes at this level: 16 with AVX-512, 8 with AVX2, 4 with SSE, NEON and without SIMD.
#[inline(always)]
#[must_use]
pub fn lanes<S: Simd>(_: S) -> usize {
    S::u32s::LEN
}

type Octets<S> = <<S as Simd>::u32s as SimdBase<S>>::ByteVector;

/// Does something with each of the sixteen rows, unrolled: in a loop, the compiler would first put them into memory.
macro_rules! for_rows {
    ($rows:ident, $i:ident => $body:block) => {
        for_rows!(@ $i $body 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    };
    (@ $i:ident $body:block $($index:literal)*) => {
        $({
            let $i = $index;
            $body
        })*
    };
}

/// Writes [`lanes`] blocks of key stream to `out`, which has as many: block `numbers[i]` of the frame `counters[i]`.
#[inline(always)]
pub fn pass<S: Simd, C: StreamCipher>(
    simd: S,
    cipher: &C,
    counters: &[u64; MAX_LANES],
    numbers: &[u64; MAX_LANES],
    out: &mut [Block],
) {
    // Checked once, for all rows.
    let out = &mut out.as_flattened_mut()[..S::u32s::LEN * BLOCK];
    let rows = transpose::<S>(cipher.rows(simd, counters, numbers));
    for_rows!(rows, i => {
        let at = place::<S>(i);
        octets(rows[i]).store_slice(&mut out[at..at + 4 * S::u32s::LEN]);
    });
}

/// Applies [`lanes`] successive blocks of one frame, from block `first`, to `data`, which is exactly as long: to what it
/// holds, or to what `from` holds, of the same length.
#[inline(always)]
pub fn pass_along<S: Simd, C: StreamCipher>(
    simd: S,
    cipher: &C,
    counter: u64,
    first: u64,
    from: Option<&[u8]>,
    data: &mut [u8],
) {
    let mut numbers = [0; MAX_LANES];
    for (lane, number) in numbers.iter_mut().zip(first..) {
        *lane = number;
    }
    let rows = transpose::<S>(cipher.rows(simd, &[counter; MAX_LANES], &numbers));
    for_rows!(rows, i => {
        let at = place::<S>(i);
        let to = &mut data[at..at + 4 * S::u32s::LEN];
        let text = Octets::<S>::from_slice(simd, from.map_or(&*to, |from| &from[at..at + 4 * S::u32s::LEN]));
        (text ^ octets(rows[i])).store_slice(to);
    });
}

/// Turns sixteen vectors of one word per lane into blocks.
///
/// Rows are taken in groups of as many as there are lanes; in each group, log2(lanes) rounds of "interleave row i with
/// row i + half" transpose it. Row j of group g is then part g of block j.
#[inline(always)]
fn transpose<S: Simd>(rows: [S::u32s; 16]) -> [S::u32s; 16] {
    let mut rows = rows;
    #[cfg(target_arch = "x86_64")]
    if let fearless_simd::Level::Avx2(level) = rows[0].token().level() {
        let simd = rows[0].token();
        let mut words = [[0; 8]; 16];
        for_rows!(rows, i => { rows[i].store_slice(&mut words[i]) });
        avx2::transpose(level, &mut words);
        for_rows!(rows, i => { rows[i] = S::u32s::from_slice(simd, &words[i]) });
        return rows;
    }
    let lanes = S::u32s::LEN;
    let half = lanes / 2;
    let mut width = 1;
    while width < lanes {
        let from = rows;
        let mut group = 0;
        while group < MAX_LANES {
            for i in 0..half {
                rows[group + 2 * i] = from[group + i].zip_low(from[group + i + half]);
                rows[group + 2 * i + 1] = from[group + i].zip_high(from[group + i + half]);
            }
            group += lanes;
        }
        width *= 2;
    }
    rows
}

/// Where row `i` of the transposed state starts in the octets of all blocks.
#[inline(always)]
fn place<S: Simd>(i: usize) -> usize {
    let lanes = S::u32s::LEN;
    (i % lanes) * BLOCK + (i / lanes) * lanes * 4
}

/// The octets of words, each little-endian.
#[inline(always)]
fn octets<S: Simd, V: SimdInt<S, Element = u32>>(words: V) -> V::ByteVector {
    let words = if cfg!(target_endian = "big") {
        (words << 24) | ((words << 8) & 0x00ff_0000) | ((words >> 8) & 0x0000_ff00) | (words >> 24)
    } else {
        words
    };
    words.to_bytes()
}

/// Rotates each word to the left.
#[inline(always)]
#[must_use]
pub fn rotate<S: Simd, V: SimdInt<S, Element = u32>>(word: V, left: u32) -> V {
    (word << left) | (word >> (32 - left))
}

/// A 64-bit number as two words, low word first.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the two halves of a 64-bit number")]
#[must_use]
pub fn split(number: u64) -> [u32; 2] {
    [number as u32, (number >> 32) as u32]
}

/// The words of a key, written to where they stay.
#[inline]
pub fn key_words(key: &[u8; 32], words: &mut [u32; 8]) {
    for (word, octets) in words.iter_mut().zip(key.as_chunks().0) {
        *word = u32::from_le_bytes(*octets);
    }
}
