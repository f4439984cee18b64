//! Poly1305 (RFC 8439, section 2.5) with a one-time key.

#[cfg(target_arch = "x86_64")]
mod wide;

use core::fmt;

#[cfg(target_arch = "x86_64")]
use fearless_simd::Level;
use fearless_simd::Simd;
use zeroize::Zeroize;

/// Blocks from which on it pays to go several at a time; below, computing the powers of r takes longer than they save.
/// Measured on Sapphire Rapids, with AVX2 and with AVX-512; at 16 or 32 the difference is a few nanoseconds a frame.
#[cfg(target_arch = "x86_64")]
const LONG: usize = 20;

/// An accumulator or a power of r, modulo 2^130 - 5: 64 bits, 64 bits, and the few above, at most 4 between two blocks.
type Number = [u64; 3];

/// The state of one computation: the key r and s, and the accumulator h.
///
/// Constant time: no branch and no index depends on key, message or accumulator, only on lengths. It is wiped on drop,
/// as far as it lies in memory.
pub struct Poly1305 {
    r: [u64; 2],
    s: [u64; 2],
    h: Number,
    /// r, r^2 … as many as the level needs, from the first long input on.
    #[cfg(target_arch = "x86_64")]
    powers: Option<[Number; 8]>,
}

impl Poly1305 {
    /// The start of a computation under `key`, which is for one message only.
    #[inline(always)]
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        let mut words = [0; 4];
        for (word, octets) in words.iter_mut().zip(key.as_chunks().0) {
            *word = u64::from_le_bytes(*octets);
        }
        Self {
            r: [words[0] & 0x0fff_fffc_0fff_ffff, words[1] & 0x0fff_fffc_0fff_fffc],
            s: [words[2], words[3]],
            h: [0; 3],
            #[cfg(target_arch = "x86_64")]
            powers: None,
        }
    }

    /// Takes in whole blocks.
    #[inline(always)]
    pub fn blocks<S: Simd>(&mut self, simd: S, blocks: &[[u8; 16]]) {
        #[cfg(target_arch = "x86_64")]
        let blocks = self.wide(simd, blocks);
        #[cfg(not(target_arch = "x86_64"))]
        let _ = simd;
        let mut h = self.h;
        for block in blocks {
            h = step(h, self.r, u128::from_le_bytes(*block), 1);
        }
        self.h = h;
    }

    /// Takes in as many blocks as go several at a time, if that pays, and gives the others.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn wide<'a, S: Simd>(&mut self, simd: S, blocks: &'a [[u8; 16]]) -> &'a [[u8; 16]] {
        let h = self.h;
        match simd.level() {
            Level::Avx512(avx512) if blocks.len() >= LONG => {
                let (groups, rest) = blocks.as_flattened().as_chunks();
                self.h = wide::avx512(avx512, self.powers::<8>(), h, groups);
                rest.as_chunks().0
            }
            Level::Avx2(avx2) if blocks.len() >= LONG => {
                let (groups, rest) = blocks.as_flattened().as_chunks();
                self.h = wide::avx2(avx2, self.powers::<4>(), h, groups);
                rest.as_chunks().0
            }
            _ => blocks,
        }
    }

    /// The first `N` powers of r, computed once; a computation stays with one `N`.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn powers<const N: usize>(&mut self) -> &[Number; 8] {
        let r = self.r;
        self.powers.get_or_insert_with(|| {
            let mut powers = [[0; 3]; 8];
            let mut power = [r[0], r[1], 0];
            for place in &mut powers[..N] {
                *place = power;
                power = step(power, r, 0, 0);
            }
            powers
        })
    }

    /// Takes in the last, incomplete block, if there is one, and gives the tag.
    #[inline(always)]
    #[must_use]
    pub fn finish(mut self, rest: &[u8]) -> [u8; 16] {
        if !rest.is_empty() {
            let mut block = [0; 16];
            block[..rest.len()].copy_from_slice(rest);
            block[rest.len()] = 1;
            self.h = step(self.h, self.r, u128::from_le_bytes(block), 0);
        }
        tag(self.h, self.s).to_le_bytes()
    }
}

impl fmt::Debug for Poly1305 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poly1305").finish_non_exhaustive()
    }
}

impl Drop for Poly1305 {
    #[inline]
    fn drop(&mut self) {
        self.r.zeroize();
        self.s.zeroize();
        self.h.zeroize();
        #[cfg(target_arch = "x86_64")]
        if let Some(powers) = &mut self.powers {
            powers.zeroize();
        }
    }
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the two halves of a 128-bit number")]
fn halves(number: u128) -> [u64; 2] {
    [number as u64, (number >> 64) as u64]
}

#[inline(always)]
fn product(a: u64, b: u64) -> u128 {
    u128::from(a) * u128::from(b)
}

/// (h + block + high * 2^128) * r, partly reduced.
///
/// r is clamped: both words are below 2^60 and r[1] is a multiple of 4, so r[1] * 2^128 = (r[1] / 4) * 2^130, which is
/// (r[1] / 4) * 5 = r[1] + r[1] / 4 modulo 2^130 - 5. With h[2] at most 7, no sum leaves its 128 (or 64) bits.
#[inline(always)]
fn step(h: Number, r: [u64; 2], block: u128, high: u64) -> Number {
    let [h0, h1, h2] = h;
    let [m0, m1] = halves(block);
    let (h0, carry0) = h0.overflowing_add(m0);
    let (h1, carry1) = h1.overflowing_add(m1);
    let (h1, carry2) = h1.overflowing_add(u64::from(carry0));
    let h2 = h2 + high + u64::from(carry1) + u64::from(carry2);

    let s1 = r[1] + (r[1] >> 2);
    let [d0, c0] = halves(product(h0, r[0]) + product(h1, s1));
    let [d1, c1] = halves(product(h0, r[1]) + product(h1, r[0]) + u128::from(h2 * s1) + u128::from(c0));
    let d2 = h2 * r[0] + c1;

    // Above 2^130: d2 / 4, times 5.
    let fold = (d2 >> 2) + (d2 & !3);
    let (h0, carry0) = d0.overflowing_add(fold);
    let (h1, carry1) = d1.overflowing_add(u64::from(carry0));
    [h0, h1, (d2 & 3) + u64::from(carry1)]
}

/// (h mod 2^130 - 5) + s mod 2^128, without a branch.
#[inline(always)]
fn tag(h: Number, s: [u64; 2]) -> u128 {
    let low = u128::from(h[0]) | u128::from(h[1]) << 64;
    // h < 2 * (2^130 - 5), so it is at most one subtraction away: h >= p exactly where h + 5 reaches 2^130.
    let (plus5, carry) = low.overflowing_add(5);
    let top = h[2] + u64::from(carry);
    let mask = u128::from(top >> 2).wrapping_neg();
    let reduced = (low & !mask) | (plus5 & mask);
    reduced.wrapping_add(u128::from(s[0]) | u128::from(s[1]) << 64)
}
