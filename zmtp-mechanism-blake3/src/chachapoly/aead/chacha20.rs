//! `ChaCha20` (RFC 8439, section 2.3), with the nonces of one direction.
//!
//! Only additions, exclusive-ors and rotations by constants, so constant time by construction.

use fearless_simd::{Simd, SimdBase, SimdFrom};
use zeroize::Zeroizing;
use zmtp_codec::cipher::{MAX_LANES, StreamCipher, key_words, rotate, split};

/// "expand 32-byte k", the constant words in the first row of the initial state.
const SIGMA: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

/// One quarter round on four named words of the state.
macro_rules! quarter {
    ($x:ident: $a:literal $b:literal $c:literal $d:literal) => {
        $x[$a] += $x[$b];
        $x[$d] = rotate($x[$d] ^ $x[$a], 16);
        $x[$c] += $x[$d];
        $x[$b] = rotate($x[$b] ^ $x[$c], 12);
        $x[$a] += $x[$b];
        $x[$d] = rotate($x[$d] ^ $x[$a], 8);
        $x[$c] += $x[$d];
        $x[$b] = rotate($x[$b] ^ $x[$c], 7);
    };
}

/// One double round: the four columns, then the four diagonals.
macro_rules! double_round {
    ($x:ident) => {
        quarter!($x: 0 4 8 12);
        quarter!($x: 1 5 9 13);
        quarter!($x: 2 6 10 14);
        quarter!($x: 3 7 11 15);
        quarter!($x: 0 5 10 15);
        quarter!($x: 1 6 11 12);
        quarter!($x: 2 7 8 13);
        quarter!($x: 3 4 9 14);
    };
}

/// `ChaCha20` under one key. The nonce of frame `n` is `iv XOR (0^4 ‖ be64(n))`, and a block has a number of 32 bits.
pub(super) struct ChaCha20 {
    key: Zeroizing<[u32; 8]>,
    /// The three words of the nonce of frame 0.
    iv: Zeroizing<[u32; 3]>,
}

impl ChaCha20 {
    /// On the heap, where it is made, so that no copy is left on the stack.
    pub(super) fn boxed(key: &[u8; 32], iv: &[u8; 12]) -> Box<Self> {
        let mut cipher = Box::new(Self { key: Zeroizing::new([0; 8]), iv: Zeroizing::new([0; 3]) });
        key_words(key, &mut cipher.key);
        for (word, octets) in cipher.iv.iter_mut().zip(iv.as_chunks().0) {
            *word = u32::from_le_bytes(*octets);
        }
        cipher
    }
}

impl StreamCipher for ChaCha20 {
    // What block 0 has behind the one-time key is used for nothing.
    const FIRST: usize = 0;

    #[inline(always)]
    fn rows<S: Simd>(&self, simd: S, counters: &[u64; MAX_LANES], numbers: &[u64; MAX_LANES]) -> [S::u32s; 16] {
        const { assert!(S::u32s::LEN <= MAX_LANES, "a level has wider vectors than there is room for") };
        let mut input = [[0; MAX_LANES]; 3];
        for (lane, (counter, number)) in counters.iter().zip(numbers).enumerate() {
            // The callers keep frames below 2^32 blocks.
            [input[0][lane], _] = split(*number);
            // The octets of the counter are big-endian, and ChaCha20 reads them as two little-endian words.
            let [second, third] = split(counter.swap_bytes());
            (input[1][lane], input[2][lane]) = (self.iv[1] ^ second, self.iv[2] ^ third);
        }
        let zero = S::u32s::simd_from(simd, 0);
        let mut initial = [zero; 16];
        for i in 0..4 {
            initial[i] = S::u32s::simd_from(simd, SIGMA[i]);
            initial[4 + i] = S::u32s::simd_from(simd, self.key[i]);
            initial[8 + i] = S::u32s::simd_from(simd, self.key[4 + i]);
        }
        initial[12] = S::u32s::from_slice(simd, &input[0][..S::u32s::LEN]);
        initial[13] = S::u32s::simd_from(simd, self.iv[0]);
        initial[14] = S::u32s::from_slice(simd, &input[1][..S::u32s::LEN]);
        initial[15] = S::u32s::from_slice(simd, &input[2][..S::u32s::LEN]);
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
