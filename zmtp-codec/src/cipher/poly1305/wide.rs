//! Poly1305 over many blocks at once, on x86.
//!
//! Block by block, h = (h + m) * r is one chain of dependent multiplications. With n lanes, each takes every n-th
//! block and multiplies by r^n, and in the end lane i is multiplied by the power of r that its last block is short of.

use core::arch::x86_64::*;

use super::Number;
use fearless_simd::{SimdBase, SimdFrom, kernel, u8x32, u8x64, u64x4, u64x8};

const M44: u64 = (1 << 44) - 1;
const M42: u64 = (1 << 42) - 1;
const M26: u64 = (1 << 26) - 1;

/// 44 + 44 + 42 (and a little more) bits.
#[inline(always)]
fn limbs44([a, b, c]: Number) -> [u64; 3] {
    [a & M44, (a >> 44 | b << 20) & M44, b >> 24 | c << 40]
}

/// Five times 26 (the last one a little more) bits.
#[inline(always)]
fn limbs26([a, b, c]: Number) -> [u64; 5] {
    [a & M26, (a >> 26) & M26, (a >> 52 | b << 12) & M26, (b >> 14) & M26, b >> 40 | c << 24]
}

/// The sum of `limbs[i] << (i * width)`, below 2^137, as an accumulator.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "splits a number into words")]
fn join<const N: usize>(limbs: [u64; N], width: u32) -> Number {
    let mut words = [0; 3];
    // Each limb is below 2^60 and starts inside one of the words.
    for (i, limb) in limbs.into_iter().enumerate() {
        let at = i as u32 * width;
        let part = u128::from(limb) << (at % 64);
        let word = (at / 64) as usize;
        let sum = u128::from(words[word]) + (part & u128::from(u64::MAX));
        words[word] = sum as u64;
        let mut carry = (sum >> 64) + (part >> 64);
        for word in &mut words[word + 1..] {
            let sum = u128::from(*word) + carry;
            *word = sum as u64;
            carry = sum >> 64;
        }
    }
    let fold = (words[2] >> 2) * 5;
    let (h0, carry0) = words[0].overflowing_add(fold);
    let (h1, carry1) = words[1].overflowing_add(u64::from(carry0));
    [h0, h1, (words[2] & 3) + u64::from(carry1)]
}

kernel!(
    /// Eight lanes of three limbs, multiplied with the 52-bit multiply-add of AVX-512 IFMA.
    ///
    /// That reads the low 52 bits of its factors. The limbs of h are below 2^44, 2^44 + 2^8 and 2^42 after a
    /// multiplication and below 2^46 with a block added; those of r are below 2^44, and 2^43 the last one, so twenty
    /// times that is below 2^49. A sum of three low parts is below 2^54, one of three high parts below 2^42, so nothing
    /// is lost, and h[0] before its last carry is below 2^51.
    #[inline]
    pub(super) fn avx512(simd: Avx512, powers: &[Number; 8], h: Number, groups: &[[u8; 128]]) -> Number {
        let splat = |word: u64| -> __m512i { u64x8::simd_from(simd, word).into() };
        let m44 = splat(M44);
        let m42 = splat(M42);
        let high = splat(1 << 40);

        let message = |group: &[u8; 128]| -> [__m512i; 3] {
            let a: __m512i = u8x64::from_slice(simd, &group[..64]).into();
            let b: __m512i = u8x64::from_slice(simd, &group[64..]).into();
            // Low and high words of blocks 0 4 1 5 2 6 3 7.
            let low = _mm512_unpacklo_epi64(a, b);
            let top = _mm512_unpackhi_epi64(a, b);
            [
                _mm512_and_si512(low, m44),
                _mm512_and_si512(_mm512_or_si512(_mm512_srli_epi64::<44>(low), _mm512_slli_epi64::<20>(top)), m44),
                _mm512_or_si512(_mm512_srli_epi64::<24>(top), high),
            ]
        };
        let add = |x: [__m512i; 3], y: [__m512i; 3]| -> [__m512i; 3] {
            [_mm512_add_epi64(x[0], y[0]), _mm512_add_epi64(x[1], y[1]), _mm512_add_epi64(x[2], y[2])]
        };
        // 2^132 is 20 modulo 2^130 - 5.
        let twenty = |x: __m512i| _mm512_add_epi64(_mm512_slli_epi64::<4>(x), _mm512_slli_epi64::<2>(x));
        let multiply = |h: [__m512i; 3], r: [__m512i; 3], s1: __m512i, s2: __m512i| -> [__m512i; 3] {
            let zero = _mm512_setzero_si512();
            let low = |a0, b0, a1, b1, a2, b2| {
                _mm512_madd52lo_epu64(_mm512_madd52lo_epu64(_mm512_madd52lo_epu64(zero, a0, b0), a1, b1), a2, b2)
            };
            let top = |a0, b0, a1, b1, a2, b2| {
                _mm512_madd52hi_epu64(_mm512_madd52hi_epu64(_mm512_madd52hi_epu64(zero, a0, b0), a1, b1), a2, b2)
            };
            let d0 = low(h[2], s1, h[1], s2, h[0], r[0]);
            let e0 = top(h[2], s1, h[1], s2, h[0], r[0]);
            let d1 = low(h[2], s2, h[1], r[0], h[0], r[1]);
            let e1 = top(h[2], s2, h[1], r[0], h[0], r[1]);
            let d2 = low(h[2], r[0], h[1], r[1], h[0], r[2]);
            let e2 = top(h[2], r[0], h[1], r[1], h[0], r[2]);
            // The high parts have the weight 2^52, which is 2^8 of the next limb and 2^10 above 2^130.
            let d1 = _mm512_add_epi64(d1, _mm512_add_epi64(_mm512_srli_epi64::<44>(d0), _mm512_slli_epi64::<8>(e0)));
            let d2 = _mm512_add_epi64(d2, _mm512_add_epi64(_mm512_srli_epi64::<44>(d1), _mm512_slli_epi64::<8>(e1)));
            let c = _mm512_add_epi64(_mm512_srli_epi64::<42>(d2), _mm512_slli_epi64::<10>(e2));
            let h0 = _mm512_add_epi64(_mm512_and_si512(d0, m44), _mm512_add_epi64(c, _mm512_slli_epi64::<2>(c)));
            let h1 = _mm512_add_epi64(_mm512_and_si512(d1, m44), _mm512_srli_epi64::<44>(h0));
            [_mm512_and_si512(h0, m44), h1, _mm512_and_si512(d2, m42)]
        };

        let Some((first, groups)) = groups.split_first() else { return h };
        let lane0 = |limb: u64| -> __m512i { u64x8::simd_from(simd, [limb, 0, 0, 0, 0, 0, 0, 0]).into() };
        let [h0, h1, h2] = limbs44(h);
        let mut h = add([lane0(h0), lane0(h1), lane0(h2)], message(first));

        let [r0, r1, r2] = limbs44(powers[7]);
        let r = [splat(r0), splat(r1), splat(r2)];
        let (s1, s2) = (twenty(r[1]), twenty(r[2]));
        for group in groups {
            h = add(multiply(h, r, s1, s2), message(group));
        }

        let mut lanes = [[0; 8]; 3];
        for (lane, power) in [7, 3, 6, 2, 5, 1, 4, 0].into_iter().enumerate() {
            [lanes[0][lane], lanes[1][lane], lanes[2][lane]] = limbs44(powers[power]);
        }
        let gather = |words: [u64; 8]| -> __m512i { u64x8::simd_from(simd, words).into() };
        let r = [gather(lanes[0]), gather(lanes[1]), gather(lanes[2])];
        let (s1, s2) = (twenty(r[1]), twenty(r[2]));
        let h = multiply(h, r, s1, s2);
        let sum = |limb: __m512i| -> u64 { <[u64; 8]>::from(u64x8::simd_from(simd, limb)).iter().sum() };
        join([sum(h[0]), sum(h[1]), sum(h[2])], 44)
    }
);

kernel!(
    /// Four lanes of five limbs, multiplied with the 32-bit multiply of AVX2.
    ///
    /// That reads the low 32 bits of its factors. The limbs of h are below 2^27 after a multiplication and below 2^28
    /// with a block added; those of r are below 2^27, so five times that is below 2^30. A sum of five products is below
    /// 2^61, so nothing is lost.
    #[inline]
    pub(super) fn avx2(simd: Avx2, powers: &[Number; 8], h: Number, groups: &[[u8; 64]]) -> Number {
        let splat = |word: u64| -> __m256i { u64x4::simd_from(simd, word).into() };
        // Hidden from the optimiser: where it can tell that an operand has no high half, it writes the 32-bit multiply
        // as a 64-bit one and then, in the loop, no longer knows, and spends three multiplies and two shifts on it.
        let m26 = splat(core::hint::black_box(M26));
        let high = splat(1 << 24);

        let message = |group: &[u8; 64]| -> [__m256i; 5] {
            let a: __m256i = u8x32::from_slice(simd, &group[..32]).into();
            let b: __m256i = u8x32::from_slice(simd, &group[32..]).into();
            // Low and high words of blocks 0 2 1 3.
            let low = _mm256_unpacklo_epi64(a, b);
            let top = _mm256_unpackhi_epi64(a, b);
            [
                _mm256_and_si256(low, m26),
                _mm256_and_si256(_mm256_srli_epi64::<26>(low), m26),
                _mm256_and_si256(_mm256_or_si256(_mm256_srli_epi64::<52>(low), _mm256_slli_epi64::<12>(top)), m26),
                _mm256_and_si256(_mm256_srli_epi64::<14>(top), m26),
                _mm256_or_si256(_mm256_srli_epi64::<40>(top), high),
            ]
        };
        let add = |x: [__m256i; 5], y: [__m256i; 5]| -> [__m256i; 5] {
            [
                _mm256_add_epi64(x[0], y[0]),
                _mm256_add_epi64(x[1], y[1]),
                _mm256_add_epi64(x[2], y[2]),
                _mm256_add_epi64(x[3], y[3]),
                _mm256_add_epi64(x[4], y[4]),
            ]
        };
        let five = |x: __m256i| _mm256_add_epi64(x, _mm256_slli_epi64::<2>(x));
        let multiply = |h: [__m256i; 5], r: [__m256i; 5], s: [__m256i; 5]| -> [__m256i; 5] {
            let sum = |b: [__m256i; 5]| {
                let p0 = _mm256_mul_epu32(h[0], b[0]);
                let p1 = _mm256_mul_epu32(h[1], b[1]);
                let p2 = _mm256_mul_epu32(h[2], b[2]);
                let p3 = _mm256_mul_epu32(h[3], b[3]);
                let p4 = _mm256_mul_epu32(h[4], b[4]);
                _mm256_add_epi64(_mm256_add_epi64(p4, _mm256_add_epi64(p2, p3)), _mm256_add_epi64(p0, p1))
            };
            let d0 = sum([r[0], s[4], s[3], s[2], s[1]]);
            let d1 = sum([r[1], r[0], s[4], s[3], s[2]]);
            let d2 = sum([r[2], r[1], r[0], s[4], s[3]]);
            let d3 = sum([r[3], r[2], r[1], r[0], s[4]]);
            let d4 = sum([r[4], r[3], r[2], r[1], r[0]]);
            // Two carry chains side by side: 0 to 1 to 2 to 3 and 3 to 4 to 0 to 1, then 3 to 4 once more.
            let d1 = _mm256_add_epi64(d1, _mm256_srli_epi64::<26>(d0));
            let d4 = _mm256_add_epi64(d4, _mm256_srli_epi64::<26>(d3));
            let d0 = _mm256_and_si256(d0, m26);
            let d3 = _mm256_and_si256(d3, m26);
            let d2 = _mm256_add_epi64(d2, _mm256_srli_epi64::<26>(d1));
            let d0 = _mm256_add_epi64(d0, five(_mm256_srli_epi64::<26>(d4)));
            let d1 = _mm256_and_si256(d1, m26);
            let d4 = _mm256_and_si256(d4, m26);
            let d3 = _mm256_add_epi64(d3, _mm256_srli_epi64::<26>(d2));
            let d1 = _mm256_add_epi64(d1, _mm256_srli_epi64::<26>(d0));
            let d2 = _mm256_and_si256(d2, m26);
            let d0 = _mm256_and_si256(d0, m26);
            let d4 = _mm256_add_epi64(d4, _mm256_srli_epi64::<26>(d3));
            let d3 = _mm256_and_si256(d3, m26);
            [d0, d1, d2, d3, d4]
        };

        let Some((first, groups)) = groups.split_first() else { return h };
        let lane0 = |limb: u64| -> __m256i { u64x4::simd_from(simd, [limb, 0, 0, 0]).into() };
        let [h0, h1, h2, h3, h4] = limbs26(h);
        let mut h = add([lane0(h0), lane0(h1), lane0(h2), lane0(h3), lane0(h4)], message(first));

        let [r0, r1, r2, r3, r4] = limbs26(powers[3]);
        let r = [splat(r0), splat(r1), splat(r2), splat(r3), splat(r4)];
        let s = [r[0], five(r[1]), five(r[2]), five(r[3]), five(r[4])];
        for group in groups {
            h = add(multiply(h, r, s), message(group));
        }

        let mut lanes = [[0; 4]; 5];
        for (lane, power) in [3, 1, 2, 0].into_iter().enumerate() {
            for (limb, word) in limbs26(powers[power]).into_iter().enumerate() {
                lanes[limb][lane] = word;
            }
        }
        let gather = |words: [u64; 4]| -> __m256i { u64x4::simd_from(simd, words).into() };
        let r = [gather(lanes[0]), gather(lanes[1]), gather(lanes[2]), gather(lanes[3]), gather(lanes[4])];
        let h = multiply(h, r, [r[0], five(r[1]), five(r[2]), five(r[3]), five(r[4])]);
        let sum = |limb: __m256i| -> u64 { <[u64; 4]>::from(u64x4::simd_from(simd, limb)).iter().sum() };
        join([sum(h[0]), sum(h[1]), sum(h[2]), sum(h[3]), sum(h[4])], 26)
    }
);
