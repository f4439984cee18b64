#![expect(clippy::cast_possible_truncation, reason = "patterns of octets")]

use crypto_box::aead::AeadInPlace;
use crypto_box::{PublicKey, SalsaBox, SecretKey};
use proptest::prelude::*;
use serde_json::Value;
use zmtp_codec::cipher::{Block, MAX_LANES, lanes, pass, pass_along};

use super::*;

const CLIENT_PREFIX: &[u8; 16] = b"CurveZMQMESSAGEC";
const SERVER_PREFIX: &[u8; 16] = b"CurveZMQMESSAGES";

fn hsalsa20(key: &[u8; 32], input: &[u8; 16]) -> [u8; 32] {
    let mut out = [0; 32];
    super::hsalsa20(key, input, &mut out);
    out
}

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

fn nonce(prefix: &[u8; 16], counter: u64) -> [u8; 24] {
    let mut nonce = [0; 24];
    nonce[..16].copy_from_slice(prefix);
    nonce[16..].copy_from_slice(&counter.to_be_bytes());
    nonce
}

/// Another implementation's box, and the key in it, which we derive ourselves.
fn reference(secret: [u8; 32]) -> (SalsaBox, [u8; 32]) {
    let mut base = [0; 32];
    base[0] = 9;
    let shared = x25519_dalek::StaticSecret::from(secret).diffie_hellman(&x25519_dalek::PublicKey::from(base));
    let reference = SalsaBox::new(&PublicKey::from(base), &SecretKey::from(secret));
    (reference, hsalsa20(shared.as_bytes(), &[0; 16]))
}

fn reference_box(reference: &SalsaBox, nonce: &[u8; 24], plain: &[u8]) -> Vec<u8> {
    let mut text = plain.to_vec();
    let tag = reference.encrypt_in_place_detached(nonce.into(), b"", &mut text).unwrap();
    [&tag[..], &text].concat()
}

fn seal(cipher: &mut FrameCipher, counter: u64, plain: &[u8]) -> Vec<u8> {
    let mut boxed = vec![0xa5; TAG_LEN + plain.len()];
    cipher.seal(counter, plain[0], &plain[1..], &mut boxed);
    boxed
}

fn text(len: usize, salt: u64) -> Vec<u8> {
    (0..len as u64).map(|i| (i.wrapping_mul(salt | 1) >> 3).to_le_bytes()[0] ^ salt.to_le_bytes()[0]).collect()
}

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../tests/data/curve.json")).unwrap()
}

fn text_of(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn array_of<const N: usize>(value: &Value) -> [u8; N] {
    octets(value.as_str().unwrap())
}

#[test]
fn hsalsa20_gives_the_keys_of_the_nacl_paper() {
    let shared = octets("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
    let first = octets("1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389");
    let second = octets("dc908dda0b9344a953629b733820778880f3ceb421bb61b91cbd4c3e66256ce4");
    assert_eq!(hsalsa20(&shared, &[0; 16]), first);
    assert_eq!(hsalsa20(&first, &octets("69696ee955b62b73cd62bda875fc73d6")), second);
}

#[test]
fn salsa20_gives_the_block_of_its_specification_in_every_lane() {
    let mut key = [0; 32];
    for i in 0..16 {
        key[i] = 1 + i as u8;
        key[16 + i] = 201 + i as u8;
    }
    let counter = u64::from_be_bytes([101, 102, 103, 104, 105, 106, 107, 108]);
    let number = u64::from_le_bytes([109, 110, 111, 112, 113, 114, 115, 116]);
    let expected: [u8; 64] = octets(
        "45254427290f6bc1ff8b7a06aae9d9625990b66a1533c841ef31de22d772287e\
         68c507e1c5991f02664e4cb054f5f6b8b1a0858206489577c0c384ecea67f64a",
    );
    for level in levels() {
        for lane in 0..MAX_LANES {
            let mut counters = [7; MAX_LANES];
            let mut numbers = [u64::MAX; MAX_LANES];
            (counters[lane], numbers[lane]) = (counter, number);
            let mut blocks: [Block; MAX_LANES] = [[0; 64]; MAX_LANES];
            let count = dispatch!(level, simd => {
                pass(simd, &*Salsa20::boxed(&key), &counters, &numbers, &mut blocks);
                lanes(simd)
            });
            if lane < count {
                assert_eq!(blocks[lane], expected, "lane {lane} of {level:?}");
                assert!(blocks[..count].iter().filter(|block| **block == expected).count() == 1);
            }
        }
    }
}

#[test]
fn successive_blocks_are_the_named_blocks_across_the_carry_of_their_number() {
    let cipher = Salsa20::boxed(&[3; 32]);
    let first = u64::from(u32::MAX) - 2;
    for level in levels() {
        dispatch!(level, simd => {
            let count = lanes(simd);
            let mut blocks = [[0; 64]; MAX_LANES];
            let numbers = core::array::from_fn(|i| first + i as u64);
            pass(simd, &*cipher, &[9; MAX_LANES], &numbers, &mut blocks);
            let mut data = vec![0x5a; count * 64];
            pass_along(simd, &*cipher, 9, first, None, &mut data);
            let expected: Vec<u8> = blocks[..count].as_flattened().iter().map(|octet| octet ^ 0x5a).collect();
            assert_eq!(data, expected);
            let mut data = vec![0; count * 64];
            pass_along(simd, &*cipher, 9, first, Some(&vec![0x5a; count * 64]), &mut data);
            assert_eq!(data, expected);
        });
    }
}

#[test]
fn secret_box_gives_the_box_of_the_nacl_paper() {
    let key = octets("1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389");
    let nonce = octets("69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37");
    let plain = hex::decode(
        "be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a1ac728d45e6c61296cdc3c01\
         233561f41db66cce314adb310e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde048977eb48f59ffd\
         4924ca1c60902e52f0a089bc76897040e082f937763848645e0705",
    )
    .unwrap();
    let mut boxed = vec![0; TAG_LEN + plain.len()];
    SecretBox::new(&key).seal(&nonce, &plain, &mut boxed);
    assert_eq!(
        hex::encode(&boxed),
        "f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce48332ea7164d96a4476fb8c531a1186ac0dfc17c\
         98dce87b4da7f011ec48c97271d2c20f9b928fe2270d6fb863d51738b48eeee314a7cc8ab932164548e526ae90224368517acfea\
         bd6bb3732bc0e9da99832b61ca01b6de56244a9e88d5f9b37973f622a43d14a6599b1f654cb45a74e355a5"
    );
    assert_eq!(SecretBox::new(&key).open(&nonce, &mut boxed).unwrap(), plain);
}

#[test]
fn boxes_are_those_of_libsodium() {
    let vectors = vectors();
    let mut count = 0;
    for case in vectors["boxes"].as_array().unwrap() {
        let secret = x25519_dalek::StaticSecret::from(array_of::<32>(&case["sender_secret"]));
        let public = x25519_dalek::PublicKey::from(array_of::<32>(&case["recipient_public"]));
        let key = hsalsa20(secret.diffie_hellman(&public).as_bytes(), &[0; 16]);
        check_secret_box(key, case);
        count += 1;
    }
    for case in vectors["secretboxes"].as_array().unwrap() {
        check_secret_box(array_of(&case["key"]), case);
        count += 1;
    }
    assert!(count > 20);
    let precomputed = &vectors["precomputed"];
    assert_eq!(hsalsa20(&array_of(&precomputed["x25519_shared"]), &[0; 16]), array_of(&precomputed["session_key"]));
}

fn check_secret_box(key: [u8; 32], case: &Value) {
    let secret_box = SecretBox::new(&key);
    let (nonce, plain) = (array_of(&case["nonce"]), text_of(&case["plaintext"]));
    let mut boxed = vec![0; TAG_LEN + plain.len()];
    secret_box.seal(&nonce, &plain, &mut boxed);
    assert_eq!(boxed, text_of(&case["box"]), "{}", case["name"]);
    assert_eq!(secret_box.open(&nonce, &mut boxed).unwrap(), plain, "{}", case["name"]);
}

#[test]
fn messages_are_those_of_libsodium() {
    let vectors = vectors();
    let secret_box = SecretBox::new(&array_of(&vectors["precomputed"]["session_key"]));
    for level in levels() {
        for case in vectors["messages"].as_array().unwrap() {
            let prefix = if case["direction"] == "c2s" { CLIENT_PREFIX } else { SERVER_PREFIX };
            let mut cipher = secret_box.direction_at(level, prefix);
            let counter = case["nonce"].as_u64().unwrap();
            let first = u8::try_from(case["inner_flags"].as_u64().unwrap()).unwrap();
            let plain = [&[first], &text_of(&case["plaintext"])[..]].concat();
            let mut boxed = seal(&mut cipher, counter, &plain);
            assert_eq!(boxed, text_of(&case["body"])[16..]);
            assert!(cipher.open(counter, &mut boxed));
            assert_eq!(boxed[16..], plain);
        }
    }
}

#[test]
fn every_length_agrees_with_crypto_box_at_every_level() {
    let (reference, key) = reference([0x77; 32]);
    let cipher = |level| SecretBox::new(&key).direction_at(level, CLIENT_PREFIX);
    let mut ciphers: Vec<_> = levels().into_iter().map(|level| (level, cipher(level), cipher(level))).collect();
    let lengths = (1..=2100).chain([4096, 4097, 8191, 8192, 8193, 8224, 8225, 16_384, 65_536, 70_000]);
    for (counter, len) in (3..).zip(lengths) {
        let plain = text(len, counter);
        let expected = reference_box(&reference, &nonce(CLIENT_PREFIX, counter), &plain);
        for (level, sealer, opener) in &mut ciphers {
            let mut boxed = seal(sealer, counter, &plain);
            assert!(boxed == expected, "{len} octets at {level:?}");
            assert!(opener.open(counter, &mut boxed), "{len} octets at {level:?}");
            assert!(boxed[16..] == plain, "{len} octets at {level:?}");
        }
    }
}

#[test]
fn an_empty_plaintext_has_a_box() {
    let (reference, key) = reference([0x41; 32]);
    let nonce = nonce(CLIENT_PREFIX, 1);
    let mut boxed = [0; 16];
    SecretBox::new(&key).seal(&nonce, &[], &mut boxed);
    assert_eq!(boxed[..], reference_box(&reference, &nonce, &[]));
    assert_eq!(SecretBox::new(&key).open(&nonce, &mut boxed).map(|plain| plain.len()), Some(0));
}

#[test]
fn what_is_shorter_than_a_tag_is_refused() {
    let secret_box = SecretBox::new(&[1; 32]);
    for len in 0..16 {
        assert!(secret_box.open(&[0; 24], &mut vec![0; len]).is_none());
        assert!(!secret_box.direction(CLIENT_PREFIX).open(1, &mut vec![0; len]));
    }
}

#[test]
fn a_flipped_bit_anywhere_refuses_and_leaves_the_box_as_it_was() {
    let secret_box = SecretBox::new(&[0x3c; 32]);
    for level in levels() {
        for (len, step) in [(1, 1), (33, 1), (100, 1), (1100, 13), (9000, 997)] {
            let plain = text(len, 11);
            let mut cipher = secret_box.direction_at(level, SERVER_PREFIX);
            let good = seal(&mut cipher, 5, &plain);
            let mut opener = secret_box.direction_at(level, SERVER_PREFIX);
            for bit in (0..8 * good.len()).step_by(step) {
                let mut bad = good.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                let before = bad.clone();
                assert!(!opener.open(5, &mut bad), "bit {bit} of {len} octets at {level:?}");
                assert!(bad == before, "bit {bit} of {len} octets at {level:?}");
                assert!(secret_box.open(&nonce(SERVER_PREFIX, 5), &mut bad).is_none());
                assert!(bad == before);
            }
            // None of the failures harmed what comes after them.
            let mut boxed = good.clone();
            assert!(opener.open(5, &mut boxed));
            assert_eq!(boxed[16..], plain);
        }
    }
}

#[test]
fn counters_reach_the_end_of_their_range() {
    let (reference, key) = reference([0x19; 32]);
    for level in levels() {
        let mut sealer = SecretBox::new(&key).direction_at(level, CLIENT_PREFIX);
        for counter in u64::MAX - 40..=u64::MAX {
            let plain = text(20, counter);
            let expected = reference_box(&reference, &nonce(CLIENT_PREFIX, counter), &plain);
            assert_eq!(seal(&mut sealer, counter, &plain), expected, "{counter:#x} at {level:?}");
        }
    }
}

#[test]
fn debug_shows_no_key_and_no_key_stream() {
    let secret_box = SecretBox::new(&[0xee; 32]);
    let mut cipher = secret_box.direction(CLIENT_PREFIX);
    seal(&mut cipher, 1, b"x");
    assert_eq!(format!("{secret_box:?}"), "SecretBox { .. }");
    assert_eq!(format!("{cipher:?}"), "FrameCipher { .. }");
}

#[test]
fn both_halves_can_move_between_threads() {
    fn check<T: Send + Sync>() {}
    check::<FrameCipher>();
    check::<SecretBox>();
}

/// Lengths as traffic has them: mostly small, some about the size of a pass, a few large.
fn length() -> impl Strategy<Value = usize> {
    prop_oneof![
        6 => 1_usize..140,
        3 => 140_usize..2200,
        1 => 2200_usize..20_000,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_sequence_of_mixed_sizes_is_a_sequence_of_boxes(
        secret: [u8; 32],
        start in prop_oneof![Just(1_u64), Just(u64::from(u32::MAX) - 3), any::<u64>().prop_map(|n| n / 2)],
        frames in prop::collection::vec((length(), prop_oneof![20 => Just(1_u64), 1 => 2_u64..6, 1 => 100_u64..5000]), 1..40),
    ) {
        let (reference, key) = reference(secret);
        for level in levels() {
            let mut sealer = SecretBox::new(&key).direction_at(level, SERVER_PREFIX);
            let mut opener = SecretBox::new(&key).direction_at(level, SERVER_PREFIX);
            let mut counter = start;
            for &(len, gap) in &frames {
                counter += gap;
                let plain = text(len, counter);
                let mut boxed = seal(&mut sealer, counter, &plain);
                let expected = reference_box(&reference, &nonce(SERVER_PREFIX, counter), &plain);
                prop_assert!(boxed == expected, "{} octets, gap {}, at {:?}", len, gap, level);
                prop_assert!(opener.open(counter, &mut boxed));
                prop_assert!(boxed[16..] == plain);
            }
        }
    }

    #[test]
    fn counters_in_any_order_open(order in prop::collection::vec((0_u64..20, any::<bool>()), 1..60), len in length()) {
        let (reference, key) = reference([0x55; 32]);
        for level in levels() {
            let mut opener = SecretBox::new(&key).direction_at(level, CLIENT_PREFIX);
            for &(counter, genuine) in &order {
                let plain = text(len, counter);
                let mut boxed = reference_box(&reference, &nonce(CLIENT_PREFIX, counter), &plain);
                if genuine {
                    prop_assert!(opener.open(counter, &mut boxed));
                    prop_assert!(boxed[16..] == plain);
                } else {
                    boxed[0] ^= 1;
                    prop_assert!(!opener.open(counter, &mut boxed));
                }
            }
        }
    }
}
