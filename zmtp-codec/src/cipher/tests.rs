#![expect(clippy::cast_possible_truncation, reason = "patterns of octets")]

extern crate std;

use std::prelude::rust_2024::*;
use std::vec;

use ::poly1305::universal_hash::KeyInit;
use fearless_simd::{Level, Simd, SimdBase, dispatch};
use proptest::prelude::*;

use super::*;

/// Every level that this processor has, and the one without SIMD.
pub(super) fn levels() -> Vec<Level> {
    let best = Level::new();
    #[cfg(target_arch = "x86_64")]
    let levels = [
        best.as_avx512().map(Level::Avx512),
        best.as_avx2().map(Level::Avx2),
        best.as_sse4_2().map(Level::Sse4_2),
        best.as_sse2().map(Level::Sse2),
        Some(Level::fallback()),
    ]
    .into_iter()
    .flatten()
    .collect();
    #[cfg(not(target_arch = "x86_64"))]
    let levels = vec![best, Level::fallback()];
    levels
}

fn octets<const N: usize>(hex: &str) -> [u8; N] {
    hex::decode(hex).unwrap().try_into().unwrap()
}

fn text(len: usize, salt: u64) -> Vec<u8> {
    (0..len as u64).map(|i| (i.wrapping_mul(salt | 1) >> 3).to_le_bytes()[0] ^ salt.to_le_bytes()[0]).collect()
}

fn mac(level: Level, key: &[u8; 32], pieces: &[&[u8]]) -> [u8; 16] {
    let (last, whole) = pieces.split_last().unwrap();
    dispatch!(level, simd => {
        let mut mac = Poly1305::new(key);
        for piece in whole {
            let (blocks, rest) = piece.as_chunks();
            assert!(rest.is_empty());
            mac.blocks(simd, blocks);
        }
        let (blocks, rest) = last.as_chunks();
        mac.blocks(simd, blocks);
        mac.finish(rest)
    })
}

fn reference_mac(key: &[u8; 32], message: &[u8]) -> [u8; 16] {
    ::poly1305::Poly1305::new(key.into()).compute_unpadded(message).into()
}

/// A cipher that anybody can follow: word `j` of a block is made of its name and of `j`.
pub(super) struct Toy<const FIRST: usize>;

impl<const FIRST: usize> Toy<FIRST> {
    fn word(counter: u64, number: u64, j: usize) -> u32 {
        let [low, high] =
            split(counter.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number.wrapping_mul(0xd1b5_4a32_d192_ed03));
        (low ^ high.rotate_left(j as u32)).wrapping_add(j as u32)
    }

    /// The block of this name.
    fn block(counter: u64, number: u64) -> Vec<u8> {
        (0..16).flat_map(|j| Self::word(counter, number, j).to_le_bytes()).collect()
    }
}

impl<const FIRST: usize> StreamCipher for Toy<FIRST> {
    const FIRST: usize = FIRST;

    fn rows<S: Simd>(&self, simd: S, counters: &[u64; MAX_LANES], numbers: &[u64; MAX_LANES]) -> [S::u32s; 16] {
        core::array::from_fn(|j| {
            let row: Vec<u32> = counters.iter().zip(numbers).map(|(c, n)| Self::word(*c, *n, j)).collect();
            S::u32s::from_slice(simd, &row[..S::u32s::LEN])
        })
    }
}

#[test]
fn a_pass_gives_the_named_block_in_every_lane() {
    let counters = core::array::from_fn(|i| 900 + 7 * i as u64);
    let numbers = core::array::from_fn(|i| u64::MAX - i as u64);
    for level in levels() {
        let mut blocks = [[0; BLOCK]; MAX_LANES];
        let count = dispatch!(level, simd => {
            pass(simd, &Toy::<0>, &counters, &numbers, &mut blocks);
            lanes(simd)
        });
        for lane in 0..count {
            assert_eq!(blocks[lane][..], Toy::<0>::block(counters[lane], numbers[lane]), "lane {lane} of {level:?}");
        }
    }
}

#[test]
fn a_pass_along_a_frame_applies_its_blocks_in_order() {
    for level in levels() {
        let count = dispatch!(level, simd => lanes(simd));
        let expected: Vec<u8> = (5..).take(count).flat_map(|number| Toy::<0>::block(3, number)).collect();
        let text = text(expected.len(), 99);
        let mut data = text.clone();
        dispatch!(level, simd => pass_along(simd, &Toy::<0>, 3, 5, None, &mut data));
        assert!(data.iter().zip(&text).map(|(a, b)| a ^ b).eq(expected.iter().copied()), "in place at {level:?}");
        let mut copied = vec![0xff; data.len()];
        dispatch!(level, simd => pass_along(simd, &Toy::<0>, 3, 5, Some(&text), &mut copied));
        assert_eq!(copied, data, "{level:?}");
    }
}

#[test]
fn poly1305_gives_the_tags_of_rfc_8439() {
    let ietf = "Any submission to the IETF intended by the Contributor for publication as all or part of an IETF \
                Internet-Draft or RFC and any statement made within the context of an IETF activity is considered an \
                \"IETF Contribution\". Such statements include oral statements in IETF sessions, as well as written \
                and electronic communications made at any time or place, which are addressed to";
    let jabberwocky = "'Twas brillig, and the slithy toves\nDid gyre and gimble in the wabe:\nAll mimsy were the \
                       borogoves,\nAnd the mome raths outgrabe.";
    let hex = |message: &str| hex::decode(message).unwrap();
    let zero = "00000000000000000000000000000000";
    let ones = "ffffffffffffffffffffffffffffffff";
    let two = "02000000000000000000000000000000";
    let one = "01000000000000000000000000000000";
    let r10 = "01000000000000000400000000000000";
    let s2 = "36e5f6b5c5e06070f0efca96227a863e";
    let cases: Vec<([&str; 2], Vec<u8>, &str)> = vec![
        (
            ["85d6be7857556d337f4452fe42d506a8", "0103808afb0db2fd4abff6af4149f51b"],
            b"Cryptographic Forum Research Group".to_vec(),
            "a8061dc1305136c6c22b8baf0c0127a9",
        ),
        ([zero, zero], vec![0; 64], zero),
        ([zero, s2], ietf.into(), s2),
        ([s2, zero], ietf.into(), "f3477e7cd95417af89a6b8794c310cf0"),
        (
            ["1c9240a5eb55d38af333888604f6b5f0", "473917c1402b80099dca5cbc207075c0"],
            jabberwocky.into(),
            "4541669a7eaaee61e708dc7cbcc5eb62",
        ),
        // h reaches 2^130 - 2, wraps to 3.
        ([two, zero], hex(ones), "03000000000000000000000000000000"),
        // The sum with s wraps at 2^128.
        ([two, ones], hex(two), "03000000000000000000000000000000"),
        (
            [one, zero],
            hex("fffffffffffffffffffffffffffffffff0ffffffffffffffffffffffffffffff11000000000000000000000000000000"),
            "05000000000000000000000000000000",
        ),
        // h is 2^130 - 5 exactly.
        (
            [one, zero],
            hex("fffffffffffffffffffffffffffffffffbfefefefefefefefefefefefefefefe01010101010101010101010101010101"),
            zero,
        ),
        ([two, zero], hex("fdffffffffffffffffffffffffffffff"), "faffffffffffffffffffffffffffffff"),
        (
            [r10, zero],
            hex(
                "e33594d7505e43b900000000000000003394d7505e4379cd01000000000000000000000000000000000000000000000001000000000000000000000000000000",
            ),
            "14000000000000005500000000000000",
        ),
        (
            [r10, zero],
            hex("e33594d7505e43b900000000000000003394d7505e4379cd010000000000000000000000000000000000000000000000"),
            "13000000000000000000000000000000",
        ),
    ];
    for (key, message, tag) in cases {
        let key = octets(&key.concat());
        assert_eq!(hex::encode(reference_mac(&key, &message)), tag, "the vector itself");
        for level in levels() {
            assert_eq!(hex::encode(mac(level, &key, &[&message])), tag, "{level:?}");
        }
    }
}

#[test]
fn poly1305_agrees_at_every_length_with_extreme_keys_and_messages() {
    for key in [[0xff; 32], [0; 32], core::array::from_fn(|i| (i * 37) as u8), core::array::from_fn(|i| 255 - i as u8)]
    {
        for fill in [0xff, 0, 0xfb, 0x80] {
            for len in 0..=600 {
                let message = vec![fill; len];
                let expected = reference_mac(&key, &message);
                for level in levels() {
                    assert_eq!(mac(level, &key, &[&message]), expected, "{fill:#x} * {len} at {level:?}");
                }
            }
        }
    }
}

#[test]
fn poly1305_agrees_where_the_message_comes_in_pieces() {
    let key = core::array::from_fn(|i| 251 - 7 * i as u8);
    let message = text(2500, 0x9e37_79b9);
    let expected = reference_mac(&key, &message);
    for first in (0..1300).step_by(16) {
        for second in [16, 400, 512, 1024] {
            let (a, rest) = message.split_at(first);
            let (b, c) = rest.split_at(second);
            for level in levels() {
                assert_eq!(mac(level, &key, &[a, b, c]), expected, "{first} + {second} at {level:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn poly1305_agrees_on_any_message(key: [u8; 32], message in prop::collection::vec(any::<u8>(), 0..3000)) {
        for level in levels() {
            prop_assert_eq!(mac(level, &key, &[&message]), reference_mac(&key, &message));
        }
    }
}
