//! Against RFC 8439 and, at every length and level, against the `chacha20poly1305` crate.
#![expect(clippy::cast_possible_truncation, reason = "patterns of octets")]

use chacha20poly1305::ChaCha20Poly1305;
use chacha20poly1305::aead::{AeadInOut as _, KeyInit as _};
use proptest::prelude::*;
use zmtp_codec::cipher::{MAX_LANES, lanes, pass, pass_along};

use super::*;

const KEY: [u8; 32] = *b"Ladies and Gentlemen of the clas";
const IV: [u8; 12] = [0x40, 0x41, 0x42, 0x43, 0xf4, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0xfb];
const SHORT: &[u8] = &[0, 200];
const LONG: &[u8] = &[2, 0, 0, 0, 0, 0, 0, 1, 0];

/// Every level that this processor has, and the one without SIMD.
fn levels() -> Vec<Level> {
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

/// Frame `number` as the other implementation seals it: its nonce is `iv XOR (0^4 ‖ be64(number))`.
fn reference(number: u64, header: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut nonce = IV;
    nonce.iter_mut().skip(4).zip(number.to_be_bytes()).for_each(|(octet, number)| *octet ^= number);
    let mut body = plain.to_vec();
    let tag = ChaCha20Poly1305::new(&KEY.into())
        .encrypt_inout_detached((&nonce).into(), header, body.as_mut_slice().into())
        .unwrap();
    body.extend_from_slice(&tag);
    body
}

fn seal(cipher: &mut Aead, number: u64, header: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut body = vec![0xa5; plain.len() + TAG];
    cipher.seal(number, header, plain, &mut body).unwrap();
    body
}

/// RFC 8439, sections 2.3.2 and A.1 (vectors 1, 2 and 5).
#[test]
fn chacha20_gives_the_blocks_of_rfc_8439_in_every_lane() {
    let ascending = core::array::from_fn(|i| i as u8);
    let cases: [([u8; 32], &str, u64, &str); 4] = [
        (
            ascending,
            "000000090000004a00000000",
            1,
            "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e\
             d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e",
        ),
        (
            [0; 32],
            "000000000000000000000000",
            0,
            "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7\
             da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586",
        ),
        (
            [0; 32],
            "000000000000000000000000",
            1,
            "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed\
             29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f",
        ),
        (
            [0; 32],
            "000000000000000000000002",
            0,
            "c2c64d378cd536374ae204b9ef933fcd1a8b2288b3dfa49672ab765b54ee27c7\
             8a970e0e955c14f3a88e741b97c286f75f8fc299e8148362fa198a39531bed6d",
        ),
    ];
    for (key, nonce, number, block) in cases {
        let cipher = ChaCha20::boxed(&key, &octets(nonce));
        for level in levels() {
            for lane in 0..MAX_LANES {
                let (mut counters, mut numbers) = ([7; MAX_LANES], [9; MAX_LANES]);
                (counters[lane], numbers[lane]) = (0, number);
                let mut blocks = [[0; BLOCK]; MAX_LANES];
                let count = dispatch!(level, simd => {
                    pass(simd, &*cipher, &counters, &numbers, &mut blocks);
                    lanes(simd)
                });
                if lane < count {
                    assert_eq!(hex::encode(blocks[lane]), block, "lane {lane} of {level:?}");
                    assert_eq!(blocks[..count].iter().filter(|other| **other == blocks[lane]).count(), 1);
                }
            }
        }
    }
}

#[test]
fn a_frames_last_block_has_the_number_that_the_longest_one_needs() {
    // The longest plaintext has 2^32 - 1 blocks, behind block 0: its last is number 2^32 - 1, and nothing wraps.
    let last = LONGEST / BLOCK as u64;
    assert_eq!(last, u64::from(u32::MAX));
    let cipher = ChaCha20::boxed(&KEY, &IV);
    for level in levels() {
        dispatch!(level, simd => {
            let count = lanes(simd);
            let first = last + 1 - count as u64;
            let numbers = core::array::from_fn(|i| first + i as u64);
            let mut blocks = [[0; BLOCK]; MAX_LANES];
            pass(simd, &*cipher, &[5; MAX_LANES], &numbers, &mut blocks);
            let mut data = vec![0; count * BLOCK];
            pass_along(simd, &*cipher, 5, first, None, &mut data);
            assert_eq!(data, blocks[..count].as_flattened());
        });
    }
}

/// RFC 8439, section 2.8.2 (with the iv as its nonce, as frame 0), and A.5, which is opened.
#[test]
fn frames_are_those_of_rfc_8439() {
    let plain =
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen \
                  would be it.";
    let key = core::array::from_fn(|i| 0x80 + i as u8);
    let iv = octets("070000004041424344454647");
    let header = hex::decode("50515253c0c1c2c3c4c5c6c7").unwrap();
    let expected = "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a\
                    9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9d\
                    e576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691";
    let a5_key = octets("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0");
    let a5_iv = octets("000000000102030405060708");
    let a5_header = hex::decode("f33388860000000000004e91").unwrap();
    let a5 = hex::decode(
        "64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb24c6cfc18755d43eea09ee94e382d26b0bdb7b73c321b01\
         00d4f03b7f355894cf332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c8559797a06ef4f0ef61c186324e2b35\
         06383606907b6a7c02b0f9f6157b53c867e4b9166c767b804d46a59b5216cde7a4e99040c5a40433225ee282a1b0a06c523eaf4534d7f8\
         3fa1155b0047718cbc546a0d072b04b3564eea1b422273f548271a0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a67276\
         27097a1049e617d91d361094fa68f0ff77987130305beaba2eda04df997b714d6c6f2c29a6ad5cb4022b02709beead9d67890cbb22392336\
         fea1851f38",
    )
    .unwrap();
    let a5_plain = "Internet-Drafts are draft documents valid for a maximum of six months and may be updated, replaced, or \
                    obsoleted by other documents at any time. It is inappropriate to use Internet-Drafts as reference \
                    material or to cite them other than as /\u{201c}work in progress./\u{201d}";
    for level in levels() {
        let mut cipher = Aead::at(level, &key, &iv);
        let mut body = seal(&mut cipher, 0, &header, plain);
        assert_eq!(hex::encode(&body), expected, "{level:?}");
        cipher.open(0, &header, &mut body).unwrap();
        assert_eq!(body[..plain.len()], *plain, "{level:?}");

        let mut body = a5.clone();
        Aead::at(level, &a5_key, &a5_iv).open(0, &a5_header, &mut body).unwrap();
        assert_eq!(body[..body.len() - TAG], *a5_plain.as_bytes(), "{level:?}");
    }
}

#[test]
fn every_length_agrees_with_chacha20poly1305_at_every_level() {
    let cipher = |level| Aead::at(level, &KEY, &IV);
    let mut ciphers: Vec<_> = levels().into_iter().map(|level| (level, cipher(level), cipher(level))).collect();
    let lengths = (0..=2100).chain([4096, 4097, 8128, 8191, 8192, 8193, 8256, 9000, 16_384, 16_400, 65_536, 70_001]);
    for (number, len) in (0..).zip(lengths) {
        let plain = text(len, number);
        let header = if len > 239 { LONG } else { SHORT };
        let expected = reference(number, header, &plain);
        for (level, sealer, opener) in &mut ciphers {
            let mut body = seal(sealer, number, header, &plain);
            assert!(body == expected, "{len} octets at {level:?}");
            opener.open(number, header, &mut body).unwrap();
            assert!(body[..len] == plain, "{len} octets at {level:?}");
            assert!(body[len..] == expected[len..], "the tag stands behind {len} octets at {level:?}");
        }
    }
}

#[test]
fn headers_of_any_length_are_authenticated() {
    for len in 0..70 {
        let header = text(len, 5);
        for level in levels() {
            let mut body = seal(&mut Aead::at(level, &KEY, &IV), 3, &header, b"payload");
            assert_eq!(body, reference(3, &header, b"payload"), "{len} octets at {level:?}");
            // The header with a zero more is padded to the same blocks: the length tells them apart.
            let other = [&header[..], &[0]].concat();
            assert_eq!(Aead::at(level, &KEY, &IV).open(3, &other, &mut body), None, "{len} octets at {level:?}");
        }
    }
}

#[test]
fn a_flipped_bit_anywhere_refuses_and_leaves_the_body_as_it_was() {
    for level in levels() {
        for (len, step) in [(0, 1), (1, 1), (33, 1), (100, 1), (1100, 13), (9000, 997)] {
            let plain = text(len, 11);
            let good = reference(5, SHORT, &plain);
            let mut opener = Aead::at(level, &KEY, &IV);
            for bit in (0..8 * good.len()).step_by(step) {
                let mut bad = good.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                let before = bad.clone();
                assert_eq!(opener.open(5, SHORT, &mut bad), None, "bit {bit} of {len} octets at {level:?}");
                assert!(bad == before, "bit {bit} of {len} octets at {level:?}");
            }
            for bit in 0..16 {
                let mut header = SHORT.to_vec();
                header[bit / 8] ^= 1 << (bit % 8);
                let mut body = good.clone();
                assert_eq!(opener.open(5, &header, &mut body), None, "bit {bit} of the header at {level:?}");
                assert!(body == good);
            }
            assert_eq!(opener.open(6, SHORT, &mut good.clone()), None, "as another frame at {level:?}");
            // None of the failures harmed what comes after them.
            let mut body = good.clone();
            opener.open(5, SHORT, &mut body).unwrap();
            assert!(body[..len] == plain);
        }
    }
}

#[test]
fn a_body_of_another_length_is_refused_and_not_written() {
    let mut cipher = Aead::new(&KEY, &IV);
    for len in [0, 5, 15, 16, 20, 22, 100] {
        let mut body = vec![0xa5; len];
        assert_eq!(cipher.seal(0, SHORT, b"hello", &mut body), None, "{len} octets");
        assert_eq!(body, vec![0xa5; len]);
    }
    for len in 0..TAG {
        assert_eq!(cipher.open(0, SHORT, &mut vec![0; len]), None, "{len} octets");
    }
}

#[test]
fn numbers_reach_the_end_of_their_range() {
    for level in levels() {
        let mut sealer = Aead::at(level, &KEY, &IV);
        let mut opener = Aead::at(level, &KEY, &IV);
        for number in u64::MAX - 40..=u64::MAX {
            let plain = text(20, number);
            let mut body = seal(&mut sealer, number, SHORT, &plain);
            assert_eq!(body, reference(number, SHORT, &plain), "{number:#x} at {level:?}");
            opener.open(number, SHORT, &mut body).unwrap();
            assert_eq!(body[..20], plain, "{number:#x} at {level:?}");
        }
    }
}

#[test]
fn it_can_move_between_threads() {
    fn check<T: Send + Sync>() {}
    check::<Aead>();
}

/// Lengths as traffic has them: mostly small, some about the size of a pass, a few large.
fn length() -> impl Strategy<Value = usize> {
    prop_oneof![
        6 => 0_usize..140,
        3 => 140_usize..2200,
        1 => 2200_usize..20_000,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_sequence_of_mixed_sizes_agrees(
        start in prop_oneof![Just(0_u64), Just(u64::from(u32::MAX) - 3), any::<u64>().prop_map(|n| n / 2)],
        frames in prop::collection::vec((length(), prop_oneof![20 => Just(1_u64), 1 => 2_u64..6, 1 => 100_u64..5000]), 1..40),
    ) {
        for level in levels() {
            let (mut sealer, mut opener) = (Aead::at(level, &KEY, &IV), Aead::at(level, &KEY, &IV));
            let mut number = start;
            for &(len, gap) in &frames {
                number += gap;
                let plain = text(len, number);
                let mut body = seal(&mut sealer, number, LONG, &plain);
                prop_assert!(body == reference(number, LONG, &plain), "{} octets, gap {}, at {:?}", len, gap, level);
                prop_assert!(opener.open(number, LONG, &mut body).is_some());
                prop_assert!(body[..len] == plain);
            }
        }
    }

    #[test]
    fn numbers_in_any_order_open(order in prop::collection::vec((0_u64..20, any::<bool>()), 1..60), len in length()) {
        for level in levels() {
            let mut opener = Aead::at(level, &KEY, &IV);
            for &(number, genuine) in &order {
                let plain = text(len, number);
                let mut body = reference(number, SHORT, &plain);
                if !genuine {
                    body[0] ^= 1;
                }
                prop_assert_eq!(opener.open(number, SHORT, &mut body).is_some(), genuine);
                prop_assert!(!genuine || body[..len] == plain);
            }
        }
    }
}
