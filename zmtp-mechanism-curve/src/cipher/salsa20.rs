//! Salsa20 and HSalsa20: many blocks at once, each lane with a nonce and a block number of its own.
//!
//! Only additions, exclusive-ors and rotations by constants, so constant time by construction.
//!
//! What runs per block is written as `#[inline(always)]` functions of a level `S`, and never hands vectors to a closure
//! that the standard library calls (`array::map`, `array::from_fn`): such a closure is compiled without the level's
//! instructions, and every addition becomes a call.

#[cfg(target_arch = "x86_64")]
mod avx2;

#[cfg(target_arch = "x86_64")]
use fearless_simd::ExtractToken;
use fearless_simd::{Simd, SimdBase, SimdFrom, SimdInt};
use zeroize::Zeroize;

/// One block of key stream: the sixteen words of its final state, each little-endian.
pub(super) type Block = [u8; BLOCK];

/// Octets of one block.
pub(super) const BLOCK: usize = 64;

/// The most blocks that any level computes in one pass.
pub(super) const MAX_LANES: usize = 16;

/// "expand 32-byte k", the constant words on the diagonal of the initial state.
const SIGMA: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

/// The blocks that one pass computes at this level: 16 with AVX-512, 8 with AVX2, 4 with SSE, NEON and without SIMD.
#[inline(always)]
pub(super) fn lanes<S: Simd>(_: S) -> usize {
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

/// One quarter round on four named words of the state.
macro_rules! quarter {
    ($x:ident: $a:literal $b:literal $c:literal $d:literal) => {
        $x[$b] ^= rotate($x[$a] + $x[$d], 7);
        $x[$c] ^= rotate($x[$b] + $x[$a], 9);
        $x[$d] ^= rotate($x[$c] + $x[$b], 13);
        $x[$a] ^= rotate($x[$d] + $x[$c], 18);
    };
}

/// One double round: the four columns, then the four rows.
macro_rules! double_round {
    ($x:ident) => {
        quarter!($x: 0 4 8 12);
        quarter!($x: 5 9 13 1);
        quarter!($x: 10 14 2 6);
        quarter!($x: 15 3 7 11);
        quarter!($x: 0 1 2 3);
        quarter!($x: 5 6 7 4);
        quarter!($x: 10 11 8 9);
        quarter!($x: 15 12 13 14);
    };
}

/// Computes [`lanes`] blocks of key stream: lane `i` is block `numbers[i]` under the nonce `nonces[i]`.
///
/// A nonce is given as CURVE counts it: its octets in the box are the counter's, big-endian, and Salsa20 reads them
/// as two little-endian words. The block number is 64 bits wide, low word first.
#[inline(always)]
pub(super) fn pass<S: Simd>(
    simd: S,
    key: &[u32; 8],
    nonces: &[u64; MAX_LANES],
    numbers: &[u64; MAX_LANES],
    out: &mut [Block; MAX_LANES],
) {
    let mut input = [[0; MAX_LANES]; 4];
    for (lane, (nonce, number)) in nonces.iter().zip(numbers).enumerate() {
        [input[0][lane], input[1][lane]] = nonce_words(*nonce);
        [input[2][lane], input[3][lane]] = split(*number);
    }
    let rows = generate(simd, key, &input);
    for_rows!(rows, i => {
        let at = place::<S>(i);
        octets(rows[i]).store_slice(&mut out.as_flattened_mut()[at..at + 4 * S::u32s::LEN]);
    });
}

/// Applies [`lanes`] successive blocks of one nonce, from block `first`, to `data`, which is exactly as long: to what it
/// holds, or to what `from` holds, of the same length.
#[inline(always)]
pub(super) fn pass_along<S: Simd>(
    simd: S,
    key: &[u32; 8],
    nonce: u64,
    first: u64,
    from: Option<&[u8]>,
    data: &mut [u8],
) {
    let mut input = [[0; MAX_LANES]; 4];
    let nonce = nonce_words(nonce);
    [input[0], input[1]] = nonce.map(|word| [word; MAX_LANES]);
    for (lane, number) in (0..MAX_LANES).zip(first..) {
        [input[2][lane], input[3][lane]] = split(number);
    }
    let rows = generate(simd, key, &input);
    for_rows!(rows, i => {
        let at = place::<S>(i);
        let to = &mut data[at..at + 4 * S::u32s::LEN];
        let text = Octets::<S>::from_slice(simd, from.map_or(&*to, |from| &from[at..at + 4 * S::u32s::LEN]));
        (text ^ octets(rows[i])).store_slice(to);
    });
}

/// Twenty rounds and the feed-forward, from the lanes' nonce words and block numbers.
#[inline(always)]
fn generate<S: Simd>(simd: S, key: &[u32; 8], input: &[[u32; MAX_LANES]; 4]) -> [S::u32s; 16] {
    #[inline(always)]
    fn rotate<S: Simd, V: SimdInt<S, Element = u32>>(word: V, left: u32) -> V {
        (word << left) | (word >> (32 - left))
    }
    const { assert!(S::u32s::LEN <= MAX_LANES, "a level has wider vectors than there is room for") };
    // Constants on the diagonal, the key around the nonce and the block number.
    let zero = S::u32s::simd_from(simd, 0);
    let mut initial = [zero; 16];
    for i in 0..4 {
        initial[5 * i] = S::u32s::simd_from(simd, SIGMA[i]);
        initial[1 + i] = S::u32s::simd_from(simd, key[i]);
        initial[11 + i] = S::u32s::simd_from(simd, key[4 + i]);
        initial[6 + i] = S::u32s::from_slice(simd, &input[i][..S::u32s::LEN]);
    }
    let mut x = initial;
    for _ in 0..10 {
        double_round!(x);
    }
    for i in 0..16 {
        x[i] += initial[i];
    }
    transpose::<S>(x)
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

/// The two nonce words of a counter: its big-endian octets, read little-endian.
#[inline(always)]
fn nonce_words(counter: u64) -> [u32; 2] {
    split(counter.swap_bytes())
}

/// A 64-bit number as two words, low word first.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the two halves of a 64-bit number")]
fn split(number: u64) -> [u32; 2] {
    [number as u32, (number >> 32) as u32]
}

/// The words of a key, written to where they stay.
pub(super) fn key_words(key: &[u8; 32], words: &mut [u32; 8]) {
    for (word, octets) in words.iter_mut().zip(key.as_chunks().0) {
        *word = u32::from_le_bytes(*octets);
    }
}

/// HSalsa20, written to where it stays: the subkey of `key` for the first sixteen octets of an extended nonce, or, with an all-zero input,
/// the shared key that `crypto_box` makes of an X25519 result.
pub(crate) fn hsalsa20(key: &[u8; 32], input: &[u8; 16], out: &mut [u8; 32]) {
    fn rotate(word: Wrapping, left: u32) -> Wrapping {
        core::num::Wrapping(word.0.rotate_left(left))
    }
    type Wrapping = core::num::Wrapping<u32>;

    let mut k = [0; 8];
    key_words(key, &mut k);
    let mut n = [0u32; 4];
    for (word, octets) in n.iter_mut().zip(input.as_chunks().0) {
        *word = u32::from_le_bytes(*octets);
    }
    let c = SIGMA;
    let mut x = [c[0], k[0], k[1], k[2], k[3], c[1], n[0], n[1], n[2], n[3], c[2], k[4], k[5], k[6], k[7], c[3]]
        .map(core::num::Wrapping);
    k.zeroize();
    for _ in 0..10 {
        double_round!(x);
    }
    // No feed-forward: the output is the diagonal and the nonce's places, which an attacker can subtract anyway.
    for (octets, i) in out.as_chunks_mut().0.iter_mut().zip([0, 5, 10, 15, 6, 7, 8, 9]) {
        *octets = x[i].0.to_le_bytes();
    }
    for word in &mut x {
        word.0.zeroize();
    }
}
