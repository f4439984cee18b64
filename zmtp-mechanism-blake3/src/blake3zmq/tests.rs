//! Boxes, frames, keys and everything else of the vectors that a connection does not show.

use serde_json::Value;
use zmtp_codec::keys::{PublicKey, SecretKey, SharedSecret};

use super::sealed::Suite as _;
use super::*;
use crate::kdf::Transcript;
use crate::schedule::{BoxKey, hello_box, initiate_box, ready_box, vouch_box, welcome_box};

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../tests/data/blake3zmq.json")).unwrap()
}

fn octets(entry: &Value, name: &str) -> Vec<u8> {
    hex::decode(entry[name].as_str().unwrap()).unwrap()
}

fn array<const N: usize>(entry: &Value, name: &str) -> [u8; N] {
    octets(entry, name).try_into().unwrap()
}

fn secret<const N: usize>(entry: &Value, name: &str) -> Secret<N> {
    Secret::new(array(entry, name))
}

fn position(frames: &Blake3ZmqFrames) -> u64 {
    frames.keys.keystream.get_block_pos()
}

fn seal(frames: &mut Blake3ZmqFrames, header: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut body = vec![0xee; payload.len() + TAG];
    frames.seal(header, payload, &mut body).unwrap();
    body
}

/// Frames under keys that say nothing, from this block on.
fn frames_at(block: u64) -> Blake3ZmqFrames {
    let mut frames = Blake3ZmqFrames::new(&Secret::new([7; 32]), &Secret::new([9; 32]), &Secret::new([3; 8]));
    frames.keys.keystream.set_block_pos(block);
    frames
}

#[test]
fn the_boxes_of_the_vectors_are_made_and_opened() {
    let vectors = vectors();
    let boxes = vectors["aead"].as_array().unwrap();
    assert_eq!(boxes.len(), 10);
    for entry in boxes {
        let (key, nonce, aad) = (secret(entry, "key"), array(entry, "nonce"), octets(entry, "aad"));
        let (plain, expected) = (octets(entry, "plaintext"), octets(entry, "ciphertext_and_tag"));
        let mut out = b"in front".to_vec();
        Blake3Zmq::seal(&key, &nonce, &aad, &plain, &mut out);
        assert_eq!(hex::encode(&out[8..]), hex::encode(&expected), "{entry}");
        assert_eq!(out[..8], *b"in front");

        let mut boxed = expected.clone();
        assert_eq!(Blake3Zmq::open(&key, &nonce, &aad, &mut boxed).as_deref(), Some(plain.as_slice()));
        for changed in 0..expected.len() {
            let mut boxed = expected.clone();
            boxed[changed] ^= 0x40;
            let unopened = boxed.clone();
            assert_eq!(Blake3Zmq::open(&key, &nonce, &aad, &mut boxed), None, "octet {changed}");
            assert_eq!(boxed, unopened, "nothing is deciphered before it is verified");
        }
        assert_eq!(Blake3Zmq::open(&key, &nonce, b"other", &mut expected.clone()), None);
    }
    assert_eq!(Blake3Zmq::open(&Secret::default(), &[0; 24], b"", &mut [0; TAG - 1]), None);
}

#[test]
fn the_frames_of_the_vectors_are_made_and_opened_and_their_blocks_counted() {
    let vectors = vectors();
    let [session] = vectors["session"].as_array().unwrap().as_slice() else { unreachable!("one session") };
    let keys = (secret(session, "enc_key"), secret(session, "auth_key"), secret(session, "nonce"));
    let [mut sealing, mut opening] = [0, 1].map(|_| Blake3ZmqFrames::new(&keys.0, &keys.1, &keys.2));
    let messages = session["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 10);
    for entry in messages {
        assert_eq!(entry["counter_before"], position(&sealing), "{entry}");
        let (plain, aad) = (octets(entry, "plaintext"), octets(entry, "aad"));
        let mut body = seal(&mut sealing, &aad, &plain);
        assert_eq!(hex::encode(&body), hex::encode(octets(entry, "ciphertext_and_tag")), "{entry}");
        assert_eq!(opening.open(&aad, &mut body), Ok(()));
        assert_eq!(body[..plain.len()], plain);
        assert_eq!(entry["counter_after"], position(&sealing));
        assert_eq!(entry["counter_after"], position(&opening));
    }
}

#[test]
fn the_derivations_of_the_vectors_are_ours() {
    let vectors = vectors();
    let derivations = vectors["kdf"].as_array().unwrap();
    assert_eq!(derivations.len(), 17);
    for entry in derivations {
        let (context, ikm) = (entry["context"].as_str().unwrap(), octets(entry, "ikm"));
        // All of them are the first octets of the same.
        let derived = derive::<32>(context, &[&ikm]);
        let len = usize::try_from(entry["len"].as_u64().unwrap()).unwrap();
        assert_eq!(derived[..len], octets(entry, "out"), "{context}");
    }
}

#[test]
fn the_key_schedule_of_the_vectors_is_ours() {
    let vectors = vectors();
    let (keys, due, wire) = (&vectors["keys"], &vectors["intermediate"], &vectors["handshake_wire"]);
    let agree = |secret: &str, public: &str| -> SharedSecret {
        let public = PublicKey::from_bytes(&array(keys, public)).unwrap();
        SecretKey::from_bytes(array(keys, secret)).unwrap().diffie_hellman(&public).unwrap()
    };
    let dh1 = agree("client_ephemeral_secret", "server_permanent_public");
    let dh2 = agree("server_ephemeral_secret", "client_ephemeral_public");
    let dh3 = agree("client_permanent_secret", "server_ephemeral_public");
    for (name, dh) in [("dh1", &dh1), ("dh2", &dh2), ("dh3", &dh3)] {
        assert_eq!(dh.danger_as_bytes(), &array(due, name), "{name}");
    }

    let greetings = (array(&vectors, "client_greeting"), array(&vectors, "server_greeting"));
    let h0 = Transcript::begin(Blake3Zmq::CONTEXTS.label, &greetings.0, &greetings.1);
    let h1 = h0.and(&octets(wire, "hello"));
    let h2 = h1.and(&octets(wire, "welcome"));
    let h3 = h2.and(&octets(wire, "initiate"));
    let h4 = h3.and(&octets(wire, "ready"));
    for (name, hash) in [("h0", h0), ("h1", h1), ("h2", h2), ("h3", h3), ("h4", h4)] {
        assert_eq!(hash.as_bytes(), &array(due, name), "{name}");
    }

    let is_due = |name: &str, (key, nonce): BoxKey| {
        assert_eq!(*key, array(due, &format!("{name}_key")), "{name}");
        assert_eq!(*nonce, array(due, &format!("{name}_nonce")), "{name}");
    };
    is_due("hello", hello_box::<Blake3Zmq>(&dh1, &array(keys, "client_ephemeral_public")));
    is_due("welcome", welcome_box::<Blake3Zmq>(&dh1, h1, None));
    is_due("vouch", vouch_box::<Blake3Zmq>(&dh3, h2));
    is_due("initiate", initiate_box::<Blake3Zmq>(&dh2, h2));
    is_due("ready", ready_box::<Blake3Zmq>(&dh2, h3));
    let cookie_key = derive::<32>(Blake3Zmq::CONTEXTS.cookie, &[&octets(keys, "cookie_master_key_K")]);
    assert_eq!(*cookie_key, array(due, "cookie_key"));

    let ikm: [&[u8]; 2] = [h4.as_bytes(), dh2.danger_as_bytes()];
    for (direction, name) in [(Direction::ToServer, "c2s"), (Direction::ToClient, "s2c")] {
        let [encrypt, authenticate] = ["enc", "auth"].map(|key| secret(due, &format!("{name}_{key}")));
        let mut expected = Blake3ZmqFrames::new(&encrypt, &authenticate, &secret(due, &format!("{name}_nonce")));
        let payload = [0; 300];
        let made = seal(&mut Blake3Zmq::cipher(direction, &ikm), b"header", &payload);
        assert_eq!(made, seal(&mut expected, b"header", &payload), "{name}");
    }
}

/// Both ways through the keystream, batches and single blocks, carry the counter over 32 bits.
#[test]
fn blocks_are_counted_in_64_bits() {
    const BLOCK_2_TO_THE_32: &str = "66ae79f4b2614ce8c4e9493e5623e7e052197cfcd7cb62eef3516a2ac6ea7128\
        145f401a0008c71e9cce2cded1aeda543c461dc382e3138179160edbbf012684";
    let start = (1 << 32) - 3;
    let mut whole = frames_at(start);
    let whole_body = seal(&mut whole, b"", &[0; 6 * BLOCK]);
    assert_eq!(position(&whole), start + 6);
    let mut single = frames_at(start);
    for (number, expected) in whole_body[..6 * BLOCK].chunks(BLOCK).enumerate() {
        let body = seal(&mut single, b"", &[0; BLOCK]);
        assert_eq!(body[..BLOCK], *expected, "block {number}");
        if number == 3 {
            assert_eq!(hex::encode(expected), BLOCK_2_TO_THE_32);
        }
    }
}

#[test]
fn a_frame_has_the_same_ciphertext_however_long_the_frame_that_it_is_part_of() {
    let whole = seal(&mut frames_at(0), b"", &[0; 1100]);
    for len in 0..1100 {
        let mut frames = frames_at(0);
        let body = seal(&mut frames, b"", &vec![0; len]);
        assert_eq!(body[..len], whole[..len], "{len}");
        assert_eq!(position(&frames), len.div_ceil(BLOCK) as u64, "{len}");
    }
}

/// The last number is that of a block that is never used, so that the counter never turns over.
#[test]
fn nothing_is_sealed_or_opened_behind_the_last_block() {
    let mut sealing = frames_at(u64::MAX - 2);
    let mut opening = frames_at(u64::MAX - 2);
    let mut too_long = [0xee; 129 + TAG];
    assert_eq!(sealing.seal(b"", &[1; 129], &mut too_long), Err(SealError::NoncesExhausted));
    assert_eq!(too_long, [0xee; 129 + TAG], "nothing was written");
    assert_eq!(opening.open(b"", &mut [0; 129 + TAG]), Err(OpenError::Sequence));

    // What fits still goes, also after that.
    let mut body = seal(&mut sealing, b"", &[1; 128]);
    assert_eq!(opening.open(b"", &mut body), Ok(()));
    assert_eq!(body[..128], [1; 128]);
    assert_eq!((position(&sealing), position(&opening)), (u64::MAX, u64::MAX));
    assert_eq!(sealing.seal(b"", &[1], &mut [0; 1 + TAG]), Err(SealError::NoncesExhausted));
    assert_eq!(opening.open(b"", &mut [0; 1 + TAG]), Err(OpenError::Sequence));
    // An empty frame takes no block.
    assert_eq!(opening.open(b"", &mut seal(&mut sealing, b"", b"")), Ok(()));
}

#[test]
fn a_body_of_another_length_than_payload_and_tag_is_a_misuse_and_stays_as_it_was() {
    for len in (0..3 + TAG).chain([4 + TAG, 100]) {
        let mut frames = frames_at(0);
        let mut body = vec![0xee; len];
        let sealed = frames.seal(b"", b"abc", &mut body);
        assert!(matches!(sealed, Err(SealError::Misuse(_))), "{len} octets: {sealed:?}");
        assert_eq!((body, position(&frames)), (vec![0xee; len], 0), "{len} octets");
    }
}

#[test]
fn what_does_not_verify_stays_as_it_came_and_takes_no_block() {
    let mut sealing = frames_at(0);
    let mut opening = frames_at(0);
    let good = seal(&mut sealing, b"header", b"payload");
    for changed in 0..good.len() {
        let mut body = good.clone();
        body[changed] ^= 1;
        let unopened = body.clone();
        assert_eq!(opening.open(b"header", &mut body), Err(OpenError::Forged));
        assert_eq!(body, unopened);
    }
    assert_eq!(opening.open(b"Header", &mut good.clone()), Err(OpenError::Forged));
    assert!(matches!(opening.open(b"header", &mut [0; TAG - 1]), Err(OpenError::Malformed(_))));
    assert_eq!(position(&opening), 0);
    let mut body = good;
    assert_eq!(opening.open(b"header", &mut body), Ok(()));
    assert_eq!(body[..7], *b"payload");
}

#[test]
fn nothing_shows_in_debug_but_the_position() {
    assert_eq!(format!("{:?}", frames_at(5)), "Blake3ZmqFrames { block: 5, .. }");
}
