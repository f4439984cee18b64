//! Salsa20 and HSalsa20.
//!
//! Only additions, exclusive-ors and rotations by constants, so constant time by construction.

use alloc::boxed::Box;

use fearless_simd::{Simd, SimdBase, SimdFrom};
use zeroize::{Zeroize, Zeroizing};
use zmtp_codec::cipher::{BLOCK, KEY, MAX_LANES, StreamCipher, key_words, rotate, split};

/// "expand 32-byte k", the constant words on the diagonal of the initial state.
const SIGMA: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

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

/// Salsa20 under one key, with nonces as CURVE counts them: a nonce's octets in the box are the counter's, big-endian, and
/// Salsa20 reads them as two little-endian words. The block number is 64 bits wide, low word first.
pub(super) struct Salsa20 {
    key: Zeroizing<[u32; 8]>,
}

impl Salsa20 {
    /// On the heap, where it is made, so that no copy is left on the stack.
    pub(super) fn boxed(key: &[u8; 32]) -> Box<Self> {
        let mut cipher = Box::new(Self { key: Zeroizing::new([0; 8]) });
        key_words(key, &mut cipher.key);
        cipher
    }
}

impl StreamCipher for Salsa20 {
    const FIRST: usize = BLOCK - KEY;

    /// Twenty rounds and the feed-forward, from the lanes' nonce words and block numbers.
    #[inline(always)]
    fn rows<S: Simd>(&self, simd: S, counters: &[u64; MAX_LANES], numbers: &[u64; MAX_LANES]) -> [S::u32s; 16] {
        const { assert!(S::u32s::LEN <= MAX_LANES, "a level has wider vectors than there is room for") };
        let mut input = [[0; MAX_LANES]; 4];
        for (lane, (counter, number)) in counters.iter().zip(numbers).enumerate() {
            [input[0][lane], input[1][lane]] = split(counter.swap_bytes());
            [input[2][lane], input[3][lane]] = split(*number);
        }
        // Constants on the diagonal, the key around the nonce and the block number.
        let zero = S::u32s::simd_from(simd, 0);
        let mut initial = [zero; 16];
        for i in 0..4 {
            initial[5 * i] = S::u32s::simd_from(simd, SIGMA[i]);
            initial[1 + i] = S::u32s::simd_from(simd, self.key[i]);
            initial[11 + i] = S::u32s::simd_from(simd, self.key[4 + i]);
            initial[6 + i] = S::u32s::from_slice(simd, &input[i][..S::u32s::LEN]);
        }
        let mut x = initial;
        for _ in 0..10 {
            double_round!(x);
        }
        for i in 0..16 {
            x[i] += initial[i];
        }
        x
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
