//! Far along, where no test gets frame by frame: the numbers that set the nonce, and their end.

use serde_json::Value;

use super::*;

/// The vectors, made in Python from the text of the specification.
fn vectors() -> Value {
    serde_json::from_str(include_str!("../../tests/data/blake3_chachapoly.json")).unwrap()
}

fn octets(entry: &Value, name: &str) -> Vec<u8> {
    hex::decode(entry[name].as_str().unwrap()).unwrap()
}

/// The frames of one direction (`c2s` or `s2c`) of the vectors' first session, of which `number` is the next.
fn frames_at(vectors: &Value, direction: &str, number: u64) -> ChachaPolyFrames {
    let session = &vectors["handshakes"][0]["session"];
    let way = if direction == "c2s" { "client->server" } else { "server->client" };
    let key = octets(session, &format!("{way} key")).try_into().unwrap();
    let iv = octets(session, &format!("{way} iv")).try_into().unwrap();
    ChachaPolyFrames { cipher: Aead::new(&key, &iv), number }
}

fn seal(frames: &mut ChachaPolyFrames, payload: &[u8]) -> Result<Vec<u8>, SealError> {
    let header = [0, u8::try_from(payload.len() + TAG).unwrap()];
    let mut body = vec![0xee; payload.len() + TAG];
    frames.seal(&header, payload, &mut body)?;
    Ok([&header[..], &body].concat())
}

fn open(frames: &mut ChachaPolyFrames, frame: &[u8]) -> Result<Vec<u8>, OpenError> {
    let (header, body) = frame.split_at(2);
    let mut opened = body.to_vec();
    match frames.open(header, &mut opened) {
        Ok(()) => Ok(opened[..body.len() - TAG].to_vec()),
        Err(error) => {
            assert_eq!(opened, body, "a refused body is as it was");
            Err(error)
        }
    }
}

#[test]
fn frames_far_along_are_those_of_the_vectors() {
    let vectors = vectors();
    let counters = vectors["counters"].as_array().unwrap();
    assert_eq!(counters.len(), 14);
    for entry in counters {
        let direction = entry["direction"].as_str().unwrap();
        let number = entry["n"].as_str().unwrap().parse().unwrap();
        let (frame, plaintext) = (octets(entry, "frame"), octets(entry, "plaintext"));
        assert_eq!(seal(&mut frames_at(&vectors, direction, number), &plaintext), Ok(frame.clone()), "{number}");
        assert_eq!(open(&mut frames_at(&vectors, direction, number), &frame), Ok(plaintext), "{number}");
        // And under no number beside it.
        for beside in [number - 1, number + 1] {
            let opened = open(&mut frames_at(&vectors, direction, beside), &frame);
            let expected = if beside == u64::MAX { OpenError::Sequence } else { OpenError::Forged };
            assert_eq!(opened, Err(expected), "{beside}");
        }
    }
}

#[test]
fn the_last_number_but_one_is_the_last_that_seals() {
    let mut frames = frames_at(&vectors(), "c2s", u64::MAX - 2);
    seal(&mut frames, b"last but one").unwrap();
    seal(&mut frames, b"last").unwrap();
    for _ in 0..3 {
        let mut body = [0xee; 4 + TAG];
        assert_eq!(frames.seal(&[0, 20], b"more", &mut body), Err(SealError::NoncesExhausted));
        assert_eq!(body, [0xee; 4 + TAG], "nothing was written");
    }
}

#[test]
fn the_last_number_but_one_is_the_last_that_opens() {
    let vectors = vectors();
    let mut sealer = frames_at(&vectors, "s2c", u64::MAX - 2);
    let mut opener = frames_at(&vectors, "s2c", u64::MAX - 2);
    for payload in [&b"last but one"[..], b"last"] {
        let frame = seal(&mut sealer, payload).unwrap();
        assert_eq!(open(&mut opener, &frame), Ok(payload.to_vec()));
    }
    // Authentic, under the number that is never used.
    let mut body = [0; 4 + TAG];
    opener.cipher.seal(u64::MAX, &[0, 20], b"more", &mut body).unwrap();
    for _ in 0..3 {
        assert_eq!(open(&mut opener, &[&[0, 20][..], &body].concat()), Err(OpenError::Sequence));
    }
    assert!(opener.cipher.open(u64::MAX, &[0, 20], &mut body).is_some(), "nothing but its number was wrong");
}

#[test]
fn the_bad_frame_at_the_end_of_all_numbers_is_refused_as_in_the_vectors() {
    let vectors = vectors();
    let cases = vectors["negative_data"].as_array().unwrap();
    let case = cases.iter().find(|case| case["n"] == *"18446744073709551614").unwrap();
    let mut opener = frames_at(&vectors, case["direction"].as_str().unwrap(), u64::MAX - 1);
    let opened = [0, 1].map(|place| open(&mut opener, &octets(&case["feed"][place], "frame")));
    assert_eq!(opened, [Ok(b"last".to_vec()), Err(OpenError::Sequence)]);
}

#[test]
fn a_number_is_used_up_by_what_is_sealed_and_not_by_what_is_forged() {
    let vectors = vectors();
    let mut sealer = frames_at(&vectors, "c2s", 0);
    let mut opener = frames_at(&vectors, "c2s", 0);
    let frame = seal(&mut sealer, b"x").unwrap();
    assert_eq!(sealer.number, 1);
    let mut forged = frame.clone();
    forged[2] ^= 1;
    assert_eq!(open(&mut opener, &forged), Err(OpenError::Forged));
    assert_eq!(open(&mut opener, &frame[..17]), Err(OpenError::Malformed("it is shorter than its tag")));
    assert_eq!(opener.number, 0);
    assert_eq!(open(&mut opener, &frame), Ok(b"x".to_vec()));
    assert_eq!(opener.number, 1);
}

#[test]
fn a_body_of_another_length_than_payload_and_tag_is_a_misuse_and_stays_as_it_was() {
    for len in (0..3 + TAG).chain([4 + TAG, 100]) {
        let mut frames = frames_at(&vectors(), "c2s", 0);
        let mut body = vec![0xee; len];
        let sealed = frames.seal(&[0, 19], b"abc", &mut body);
        assert!(matches!(sealed, Err(SealError::Misuse(_))), "{len} octets: {sealed:?}");
        assert_eq!(body, vec![0xee; len], "{len} octets");
    }
}

#[test]
fn debug_shows_the_number_alone() {
    assert_eq!(format!("{:?}", frames_at(&vectors(), "c2s", 7)), "ChachaPolyFrames { number: 7, .. }");
}
