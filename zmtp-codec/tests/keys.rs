//! Keys: what is a key, what is not, and that secrets stay secret.
//!
//! `data/z85.json` holds the shared vectors of Z85; they were compared with libzmq. It speaks of texts of any length, a key
//! is always 40 characters, so shorter vectors are made part of a key here.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeSet, HashSet};
use std::ops::RangeInclusive;

use proptest::prelude::*;
use serde::Deserialize;
use zmtp_codec::keys::{Certificate, KEY_LEN, KEY_TEXT_LEN, KeyError, KeyPair, PublicKey, SecretKey};

#[derive(Deserialize)]
struct Z85 {
    alphabet: String,
    valid: Vec<Valid>,
    invalid: Vec<Invalid>,
}

#[derive(Deserialize)]
struct Valid {
    #[serde(with = "hex")]
    bytes: Vec<u8>,
    text: String,
}

#[derive(Deserialize)]
struct Invalid {
    text: String,
    #[serde(with = "hex")]
    latin1_hex: Vec<u8>,
    /// The rule that is broken, for the message of a failing test.
    why: String,
}

fn z85() -> Z85 {
    serde_json::from_str(include_str!("data/z85.json")).unwrap()
}

fn octets(hex: &str) -> [u8; KEY_LEN] {
    hex::decode(hex).unwrap().try_into().unwrap()
}

/// A key that is neither all zeros nor of low order, and its text.
const PLAIN: &str = "8205c8559a48f00e93698eb53d3201eb4ed5fa4db74eb8036430fda773a2bc3e";
const PLAIN_TEXT: &str = "F^6j}NN(]TLwc5+jU^67psYhnW[:Bnwh9$WBe3rh";

/// Secret and public keys: of RFC 7748, section 6.1, and of the shared vectors of CURVE.
const PAIRS: [(&str, &str); 6] = [
    (
        "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
        "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
    ),
    (
        "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
        "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
    ),
    (
        "6811ed095e991fc77f71a93c3c3cdcb6dbe2eeb10f6786e346a575e36a04a9ff",
        "c079621c1bf9de76365a567d6f3bd4a43214da90894ea1c05f7ccd11661c4d29",
    ),
    (
        "475f738393f5f8473350fc2a70b2c2fac61294fff6b9cc632b355a436a7bb04b",
        "b5975e18b7a13415e0d972ebc9c48cc7c7ef185f4ca062d4a315f59c64676d30",
    ),
    (
        "5a90a766ba426f8e204d56df340b70c79ac2d959d0ec86982e12d6334b6389b4",
        "61f2c17d8f590b9905c71bf6dc12e70e8504545259a941e29a379e9240a8ab2b",
    ),
    (
        "552302e293dee42d9b7b5804ca53b58926d56ef0686bf2c97caa6f5d8e1b20c8",
        "9be3edabd17340c9148ed6572ce3fb01b89a5179b9e5b6fc64eb37b1aff8f25f",
    ),
];

/// The points of low order of the shared vectors of CURVE, with the top bit clear.
const LOW_ORDER: [&str; 7] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

#[test]
fn valid_z85_vectors_are_read_and_written_in_both_kinds_of_key() {
    let mut keys = 0;
    for Valid { mut bytes, mut text } in z85().valid {
        assert_eq!(bytes.len() * 5, text.len() * 4, "{text}");
        if text.len() < KEY_TEXT_LEN {
            bytes = bytes.repeat(KEY_TEXT_LEN / text.len());
            text = text.repeat(KEY_TEXT_LEN / text.len());
        }
        for (bytes, text) in bytes.chunks(KEY_LEN).zip(text.as_bytes().chunks(KEY_TEXT_LEN)) {
            let bytes: [u8; KEY_LEN] = bytes.try_into().unwrap();
            let text = str::from_utf8(text).unwrap();
            keys += 1;
            if bytes == [0; KEY_LEN] {
                assert_eq!(text.parse::<PublicKey>(), Err(KeyError::LowOrder));
                assert_eq!(SecretKey::from_z85(text), Err(KeyError::Zero));
                continue;
            }
            let public: PublicKey = text.parse().unwrap();
            assert_eq!(public.as_bytes(), &bytes, "{text}");
            assert_eq!(public.to_z85(), text);
            assert_eq!(public.to_string(), text);
            let secret = SecretKey::from_z85(text).unwrap();
            assert_eq!(secret.danger_as_bytes(), &bytes, "{text}");
            assert_eq!(&*secret.danger_to_z85(), text);
        }
    }
    // All vectors; one of them has eight keys.
    assert_eq!(keys, 20);
}

#[test]
fn invalid_z85_vectors_are_refused_for_their_length() {
    for Invalid { text, latin1_hex, why } in z85().invalid {
        let length = Err(KeyError::Length { len: text.len() });
        assert_eq!(text.parse::<PublicKey>(), length, "{why}");
        assert_eq!(SecretKey::from_z85(&text).map(drop), length.map(drop), "{why}");
        let latin1_length = Err(KeyError::Length { len: latin1_hex.len() });
        assert_eq!(PublicKey::try_from(&latin1_hex[..]), latin1_length, "{why}");
    }
}

#[test]
fn invalid_z85_vectors_are_refused_wherever_they_stand_in_a_key() {
    let Z85 { alphabet, invalid, .. } = z85();
    let chunks: Vec<_> = invalid.into_iter().filter(|invalid| invalid.latin1_hex.len() == 5).collect();
    assert_eq!(chunks.len(), 13);
    for Invalid { latin1_hex: chunk, why, .. } in chunks {
        for start in (0..KEY_TEXT_LEN).step_by(5) {
            let mut text = PLAIN_TEXT.as_bytes().to_vec();
            text[start..start + 5].copy_from_slice(&chunk);
            let expected = match chunk.iter().position(|octet| !alphabet.as_bytes().contains(octet)) {
                Some(offset) => KeyError::Character { position: start + offset },
                None => KeyError::Chunk { position: start },
            };
            assert_eq!(PublicKey::try_from(&text[..]), Err(expected), "{why}");
            if let Ok(text) = str::from_utf8(&text) {
                assert_eq!(text.parse::<PublicKey>(), Err(expected), "{why}");
                assert_eq!(SecretKey::from_z85(text), Err(expected), "{why}");
            }
        }
    }
}

/// One implementation of Z85 writes lengths that are no multiple of four with `#` in front of the last five characters.
#[test]
fn padding_is_refused() {
    for last in ["#0000", "##000", "###00", "####0", "#0001", "##0rr", "###2F"] {
        let text = format!("{}{last}", &PLAIN_TEXT[..35]);
        assert_eq!(text.parse::<PublicKey>(), Err(KeyError::Chunk { position: 35 }));
        assert_eq!(SecretKey::from_z85(&text), Err(KeyError::Chunk { position: 35 }));
    }
}

#[test]
fn a_text_beyond_ascii_is_refused_where_it_leaves_it() {
    let text = format!("{}é", &PLAIN_TEXT[..38]);
    assert_eq!(text.len(), KEY_TEXT_LEN);
    assert_eq!(SecretKey::from_z85(&text), Err(KeyError::Character { position: 38 }));
}

#[test]
fn only_a_zero_octet_may_follow_the_text() {
    let with = |end: &str| format!("{PLAIN_TEXT}{end}");
    assert_eq!(with("\0").parse::<PublicKey>().unwrap().to_z85(), PLAIN_TEXT);
    assert_eq!(&*SecretKey::from_z85(&with("\0")).unwrap().danger_to_z85(), PLAIN_TEXT);
    assert_eq!(PublicKey::try_from(with("\0").as_bytes()).unwrap().to_z85(), PLAIN_TEXT);
    for (end, len) in [("0", 41), ("\n", 41), (" ", 41), ("\0\0", 42)] {
        assert_eq!(with(end).parse::<PublicKey>(), Err(KeyError::Length { len }));
        assert_eq!(SecretKey::from_z85(&with(end)), Err(KeyError::Length { len }));
    }
    let within = format!("{}\0", &PLAIN_TEXT[..39]);
    assert_eq!(within.parse::<PublicKey>(), Err(KeyError::Character { position: 39 }));
}

#[test]
fn octets_are_told_from_text_by_their_length() {
    let raw = octets(PLAIN);
    assert_eq!(PublicKey::try_from(&raw[..]), PublicKey::from_bytes(&raw));
    assert_eq!(PublicKey::try_from(PLAIN_TEXT.as_bytes()), PublicKey::from_bytes(&raw));
    assert_eq!(PublicKey::try_from(&raw[..31]), Err(KeyError::Length { len: 31 }));
}

#[test]
fn a_secret_key_has_its_public_key() {
    for (secret, public) in PAIRS {
        let secret = SecretKey::from_bytes(octets(secret)).unwrap();
        assert_eq!(hex::encode(secret.public_key().as_bytes()), public);
        assert_eq!(KeyPair::from_secret(secret).public_key().as_bytes(), &octets(public));
    }
}

/// RFC 7748, section 6.1.
#[test]
fn two_peers_agree_on_the_secret_of_the_rfc() {
    let [(alice, alice_public), (bob, bob_public), ..] = PAIRS;
    for (secret, public) in [(alice, bob_public), (bob, alice_public)] {
        let secret = SecretKey::from_bytes(octets(secret)).unwrap();
        let shared = secret.diffie_hellman(&PublicKey::from_bytes(&octets(public)).unwrap()).unwrap();
        assert_eq!(
            hex::encode(shared.danger_as_bytes()),
            "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"
        );
    }
}

#[test]
fn public_keys_of_low_order_are_refused_in_every_form_also_with_the_top_bit_set() {
    for low in LOW_ORDER.map(octets) {
        let mut with_top_bit = low;
        with_top_bit[KEY_LEN - 1] |= 0x80;
        for low in [low, with_top_bit] {
            let as_text = SecretKey::from_bytes(low).map(|key| key.danger_to_z85().to_owned());
            let as_text = as_text.unwrap_or_else(|_| "0".repeat(KEY_TEXT_LEN));
            assert!(PublicKey::is_low_order(&low), "{low:02x?}");
            assert_eq!(PublicKey::from_bytes(&low), Err(KeyError::LowOrder), "{low:02x?}");
            assert_eq!(PublicKey::try_from(&low[..]), Err(KeyError::LowOrder), "{low:02x?}");
            assert_eq!(as_text.parse::<PublicKey>(), Err(KeyError::LowOrder), "{low:02x?}");
        }
    }
    assert!(!PublicKey::is_low_order(&octets(PLAIN)));
}

#[test]
fn a_secret_key_of_zeros_is_refused() {
    assert_eq!(SecretKey::from_bytes([0; KEY_LEN]), Err(KeyError::Zero));
    assert!(SecretKey::from_bytes(octets("0000000000000000000000000000000000000000000000000000000000000001")).is_ok());
}

#[test]
fn generated_keys_differ_and_belong_together() {
    let (one, two) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    assert_ne!(one.public_key(), two.public_key());
    assert_ne!(one.secret_key(), two.secret_key());
    assert_eq!(&one.secret_key().public_key(), one.public_key());
    let ours = one.secret_key().diffie_hellman(two.public_key()).unwrap();
    let theirs = two.secret_key().diffie_hellman(one.public_key()).unwrap();
    assert_eq!(ours.danger_as_bytes(), theirs.danger_as_bytes());
}

#[test]
fn keys_that_do_not_belong_together_are_no_pair() {
    let [(secret, public), (_, foreign), ..] = PAIRS;
    let pair =
        |public| KeyPair::new(PublicKey::from_bytes(&public).unwrap(), SecretKey::from_bytes(octets(secret)).unwrap());
    assert_eq!(pair(octets(public)).unwrap().into_parts().0.as_bytes(), &octets(public));
    assert_eq!(pair(octets(foreign)), Err(KeyError::Mismatch));
    // The same point to X25519, but another key to everybody who looks it up.
    let mut with_top_bit = octets(public);
    with_top_bit[KEY_LEN - 1] |= 0x80;
    assert_eq!(pair(with_top_bit), Err(KeyError::Mismatch));
}

#[test]
fn secret_keys_are_equal_if_all_octets_are() {
    let key = || SecretKey::from_bytes(octets(PLAIN)).unwrap();
    assert_eq!(key(), key());
    for index in 0..KEY_LEN {
        let mut other = octets(PLAIN);
        other[index] ^= 0x10;
        assert_ne!(SecretKey::from_bytes(other).unwrap(), key(), "octet {index}");
    }
}

#[test]
fn public_keys_order_and_hash_as_their_octets() {
    let keys = PAIRS.map(|(_, public)| PublicKey::from_bytes(&octets(public)).unwrap());
    let by_key: Vec<_> = keys.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let mut by_octets = keys;
    by_octets.sort_by_key(|key| *key.as_bytes());
    assert_eq!(by_key, by_octets);
    assert_eq!(keys.iter().chain(&keys).collect::<HashSet<_>>().len(), keys.len());
}

#[test]
fn display_obeys_width_and_debug_shows_the_text() {
    let key: PublicKey = PLAIN_TEXT.parse().unwrap();
    assert_eq!(format!("{key:>42}"), format!("  {PLAIN_TEXT}"));
    assert_eq!(format!("{key:?}"), format!("PublicKey({PLAIN_TEXT})"));
}

#[test]
fn debug_shows_no_secret() {
    let pair = KeyPair::from_secret(SecretKey::from_bytes(octets(PLAIN)).unwrap());
    let public = pair.public_key().to_z85();
    let shared = pair.secret_key().diffie_hellman(&SecretKey::generate().unwrap().public_key()).unwrap();
    let text = pair.secret_key().danger_to_z85();
    assert_eq!(format!("{:?} {:#?}", pair.secret_key(), pair.secret_key()), "SecretKey(..) SecretKey(..)");
    assert_eq!(format!("{text:?} {text:#?}"), "SecretText(..) SecretText(..)");
    assert_eq!(format!("{shared:?} {shared:#?}"), "SharedSecret(..) SharedSecret(..)");
    assert_eq!(format!("{pair:?}"), format!("KeyPair {{ public: PublicKey({public}), .. }}"));
    let certificate = Certificate::new(pair).with_metadata("name", "weather station").unwrap();
    let shown = format!("{certificate:?} {certificate:#?} {:?}", certificate.danger_to_secret_text());
    assert!(shown.contains(&public) && shown.contains("weather station"), "{shown}");
    assert_shares_nothing(&shown, PLAIN_TEXT);
    assert_shares_nothing(&shown, PLAIN);
    assert_shares_nothing(&shown, &format!("{:?}", octets(PLAIN)));
}

/// Fails if four characters in a row of `secret` are in `shown`.
fn assert_shares_nothing(shown: &str, secret: &str) {
    let characters: Vec<char> = secret.chars().collect();
    for window in characters.windows(4) {
        let window: String = window.iter().collect();
        assert!(!shown.contains(&window), "{window:?} of a secret is in {shown}");
    }
}

/// Text of `len` octets. Messages have no four characters in a row of these, so what is found of them is from the text.
fn no_prose(len: RangeInclusive<usize>) -> impl Strategy<Value = String> {
    let characters: Vec<char> = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ.:+=^!/*?&<>()@%$#_~,;".chars().collect();
    prop::collection::vec(prop::sample::select(characters), len).prop_map(String::from_iter)
}

proptest! {
    #[test]
    fn keys_survive_every_form(raw: [u8; KEY_LEN]) {
        if let Ok(key) = PublicKey::from_bytes(&raw) {
            prop_assert_eq!(key.to_z85().parse(), Ok(key));
            prop_assert_eq!(key.to_string().len(), KEY_TEXT_LEN);
        }
        if let Ok(key) = SecretKey::from_bytes(raw) {
            prop_assert_eq!(SecretKey::from_z85(&key.danger_to_z85()), Ok(key));
        }
    }

    #[test]
    fn every_text_that_is_a_key_is_written_the_same(text in "[0-9a-zA-Z.:+=^!/*?&<>()@%$#-]{40}") {
        if let Ok(key) = text.parse::<PublicKey>() {
            prop_assert_eq!(key.to_z85(), text);
        }
    }

    #[test]
    fn no_error_repeats_a_text_that_is_no_key(text in prop_oneof![no_prose(0..=30), no_prose(38..=42)]) {
        if let Err(error) = SecretKey::from_z85(&text) {
            assert_shares_nothing(&format!("{error} {error:?}"), &text);
        }
        if let Err(error) = PublicKey::try_from(text.as_bytes()) {
            assert_shares_nothing(&format!("{error} {error:?}"), &text);
        }
    }

    #[test]
    fn no_error_repeats_a_line_of_a_certificate(
        text in prop_oneof![no_prose(0..=50), no_prose(40..=40)],
        around in prop::sample::select(vec![
            "    secret-key = \"|\"", "    secret-key = |", "    secret-key = '|'", "    secret-key = \"|",
            "    secret-key = \"\"|", "    secret-key |", "    |", "|", "    public-key = \"|\"", "    secret-key = \"|\" x",
        ]),
    ) {
        let text_of_certificate = format!("curve\n{}\n", around.replace('|', &text));
        let error = Certificate::parse(&text_of_certificate).map(drop).err();
        if let Some(error) = error {
            let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            assert_shares_nothing(&format!("{error} {error:?} {source}"), &text);
        }
    }
}

#[test]
fn errors_say_where_and_what_to_do() {
    let error = SecretKey::from_z85("HelloWorld").expect_err("too short");
    assert_eq!(
        error.to_string(),
        "a key is 40 characters of Z85 or 32 raw octets, this has 10 octets; check that it was copied whole"
    );
}
