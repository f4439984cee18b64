//! Traffic after the handshake: what is sealed and opened, and what somebody on the path cannot do.
//!
//! An error of an opener ends the connection, so what it would say to another frame then has no meaning; that it says
//! the same as before is asserted all the same, since nothing may advance before a tag was verified.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use support::{LONG_WINDED_FRAME, Pair, Tested, client, on_each_suite, open, open_behind, seal, server};
use zmtp_codec::{FrameHeader, FrameKind, LONG_HEADER_LEN, OpenError, Opener as _, SHORT_HEADER_LEN, Sealer as _};
use zmtp_mechanism_blake3::ChachaPoly;

const KINDS: [FrameKind; 3] = [FrameKind::Last, FrameKind::More, FrameKind::Command];

on_each_suite![
    frames_of_every_kind_and_size_arrive_in_both_directions,
    frames_across_the_long_header_and_beyond_arrive,
    a_payload_of_255_less_the_tag_is_the_last_with_a_short_header,
    what_was_planned_is_as_long_as_the_frame_and_no_longer,
    the_same_payload_is_never_sealed_to_the_same_octets,
    more_than_seventy_thousand_frames_arrive,
    a_flipped_bit_of_the_header_is_noticed,
    a_command_with_more_is_refused_also_if_the_peer_has_sealed_it,
    a_header_that_is_longer_than_it_needs_to_be_is_refused,
    a_flipped_bit_of_the_body_is_noticed_and_changes_nothing,
    a_frame_cut_or_extended_is_forged,
    a_body_that_is_shorter_than_a_tag_is_malformed,
    a_frame_of_ours_does_not_come_back,
    a_frame_of_another_connection_of_the_same_peers_is_forged,
    a_frame_in_the_clear_is_forged,
    a_command_of_the_handshake_is_no_frame,
    a_forged_frame_stays_as_it_came,
    whatever_is_forged_the_rest_arrives_as_it_was,
    anything_at_all_is_refused_and_changes_nothing,
];

fn octets(len: usize) -> Vec<u8> {
    (0..len).map(|place| u8::try_from(place % 251).unwrap()).collect()
}

/// Sends a frame each way.
fn assert_arrives<S: Tested>(pair: &mut Pair<S>, kind: FrameKind, payload: &[u8]) {
    let (client, server) = (&mut pair.client, &mut pair.server);
    for (from, to) in [(&mut client.sealer, &mut server.opener), (&mut server.sealer, &mut client.opener)] {
        let frame = seal::<S>(from, kind, payload);
        assert_eq!(open::<S>(to, &frame), Ok((kind, payload.to_vec())), "{kind:?} of {}", payload.len());
    }
}

/// What a data frame with this payload opens to.
fn data(payload: &[u8]) -> Result<(FrameKind, Vec<u8>), OpenError> {
    Ok((FrameKind::Last, payload.to_vec()))
}

// ─── what arrives ────────────────────────────────────────────────────────────────────────────────────────────────────

fn frames_of_every_kind_and_size_arrive_in_both_directions<S: Tested>() {
    let mut pair = Pair::<S>::usual();
    for len in 0..=600 {
        for kind in KINDS {
            assert_arrives(&mut pair, kind, &octets(len));
        }
    }
}

fn frames_across_the_long_header_and_beyond_arrive<S: Tested>() {
    let mut pair = Pair::<S>::usual();
    for len in [1000, 4095, 4096, 8191, 8192, 65_535, 65_536, 65_537, 100_000, 300_001] {
        assert_arrives(&mut pair, FrameKind::More, &octets(len));
    }
    assert_arrives(&mut pair, FrameKind::Last, b"and after them");
}

fn a_payload_of_255_less_the_tag_is_the_last_with_a_short_header<S: Tested>() {
    let mut pair = Pair::<S>::usual();
    for (len, header_len) in [(255 - S::TAG_LEN, SHORT_HEADER_LEN), (256 - S::TAG_LEN, LONG_HEADER_LEN)] {
        for kind in KINDS {
            let frame = seal::<S>(&mut pair.client.sealer, kind, &octets(len));
            assert_eq!(frame.len(), header_len + len + S::TAG_LEN);
            assert_eq!(frame[0] & 0x02 != 0, header_len == LONG_HEADER_LEN);
            assert_eq!(open::<S>(&mut pair.server.opener, &frame), Ok((kind, octets(len))));
        }
    }
}

#[test]
fn the_last_payload_with_a_short_header_has_239_octets() {
    let mut pair = Pair::<ChachaPoly>::usual();
    let frame = seal(&mut pair.client.sealer, FrameKind::Last, &octets(239));
    assert_eq!(frame[..2], [0x00, 255]);
    let frame = seal(&mut pair.client.sealer, FrameKind::Last, &octets(240));
    assert_eq!(frame[..9], [0x02, 0, 0, 0, 0, 0, 0, 1, 0]);
}

fn what_was_planned_is_as_long_as_the_frame_and_no_longer<S: Tested>() {
    let pair = Pair::<S>::usual();
    for len in [0, 1, 239, 240, 65_536] {
        for kind in KINDS {
            let plan = pair.client.sealer.plan(kind, len);
            assert_eq!((plan.kind(), plan.body_len()), (kind, len + S::TAG_LEN));
        }
    }
    assert_eq!(pair.client.opener.overhead(), S::TAG_LEN);
    assert_eq!(pair.server.opener.overhead(), S::TAG_LEN);
    assert!(!pair.client.sealer.is_identity() && !pair.client.opener.is_identity());
}

fn the_same_payload_is_never_sealed_to_the_same_octets<S: Tested>() {
    let mut pair = Pair::<S>::usual();
    let mut seen = Vec::new();
    for _ in 0..20 {
        for sealer in [&mut pair.client.sealer, &mut pair.server.sealer] {
            seen.push(seal::<S>(sealer, FrameKind::Last, &[0; 32]));
        }
    }
    let all = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), all);
}

fn more_than_seventy_thousand_frames_arrive<S: Tested>() {
    let mut pair = Pair::<S>::usual();
    for number in 0_u32..70_100 {
        let frame = seal::<S>(&mut pair.client.sealer, FrameKind::Last, &number.to_be_bytes());
        assert_eq!(open::<S>(&mut pair.server.opener, &frame), data(&number.to_be_bytes()));
    }
}

// ─── the header is authenticated ─────────────────────────────────────────────────────────────────────────────────────

/// In transit: K16 (the bit MORE or COMMAND flipped), K17 (the length altered), K23 (a reserved bit set), K24 (COMMAND with
/// MORE).
fn a_flipped_bit_of_the_header_is_noticed<S: Tested>() {
    for (kind, len) in KINDS.into_iter().flat_map(|kind| [(kind, 0), (kind, 5), (kind, 300)]) {
        let mut pair = Pair::<S>::usual();
        let frame = seal::<S>(&mut pair.client.sealer, kind, &octets(len));
        let (_, header_len) = FrameHeader::decode(&frame).unwrap().unwrap();
        let body = &frame[header_len..];
        for (place, bit) in (0..header_len).flat_map(|place| (0..8).map(move |bit| (place, 1 << bit))) {
            let mut header = frame[..header_len].to_vec();
            header[place] ^= bit;
            // The kind is what a connection takes the header for, if it takes it for any: the opener sees both.
            let shown = FrameHeader::decode(&header).ok().flatten().map_or(kind, |(header, _)| header.kind());
            let error = open_behind::<S>(&mut pair.server.opener, &header, shown, body).unwrap_err();
            let only_the_kind = shown != kind;
            let expected = if only_the_kind { OpenError::Forged } else { LONG_WINDED_FRAME };
            assert_eq!(error, expected, "{kind:?} of {len}, octet {place}, bit {bit:#04x}");
        }
        assert_eq!(open::<S>(&mut pair.server.opener, &frame), Ok((kind, octets(len))));
    }
}

/// K24 (COMMAND with MORE): whatever kind a connection would take it for.
fn a_command_with_more_is_refused_also_if_the_peer_has_sealed_it<S: Tested>() {
    for (kind, len) in KINDS.into_iter().flat_map(|kind| [(kind, 0), (kind, 5), (kind, 300)]) {
        let mut pair = Pair::<S>::usual();
        let mut header = FrameHeader::new(kind, (len + S::TAG_LEN) as u64).encode().to_vec();
        header[0] |= 0x05;
        let mut body = vec![0; len + S::TAG_LEN];
        pair.client.sealer.seal(&header, kind, &octets(len), &mut body).unwrap();
        assert_eq!(open_behind::<S>(&mut pair.server.opener, &header, kind, &body), Err(LONG_WINDED_FRAME));
    }
}

/// K18: a length that is not in its shortest form.
fn a_header_that_is_longer_than_it_needs_to_be_is_refused<S: Tested>() {
    for len in [0, 1, 255 - S::TAG_LEN] {
        let mut pair = Pair::<S>::usual();
        let body_len = len + S::TAG_LEN;
        let long = [&[0x02][..], &(body_len as u64).to_be_bytes()].concat();
        // Put on in transit, and put on by the peer itself, which has sealed it so.
        let frame = seal::<S>(&mut pair.client.sealer, FrameKind::Last, &octets(len));
        let opened = open_behind::<S>(&mut pair.server.opener, &long, FrameKind::Last, &frame[2..]);
        assert_eq!(opened, Err(LONG_WINDED_FRAME));
        let mut pair = Pair::<S>::usual();
        let mut body = vec![0; body_len];
        pair.client.sealer.seal(&long, FrameKind::Last, &octets(len), &mut body).unwrap();
        let opened = open_behind::<S>(&mut pair.server.opener, &long, FrameKind::Last, &body);
        assert_eq!(opened, Err(LONG_WINDED_FRAME));
        // Nor under the header that it should have had.
        let short = [0x00, u8::try_from(body_len).unwrap()];
        let opened = open_behind::<S>(&mut pair.server.opener, &short, FrameKind::Last, &body);
        assert_eq!(opened, Err(OpenError::Forged));
    }
}

// ─── forgery ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/// K20 (a tag with a flipped bit), and every other bit of a body.
fn a_flipped_bit_of_the_body_is_noticed_and_changes_nothing<S: Tested>() {
    let mut pair = Pair::<S>::usual();
    for payload in [&b""[..], b"the payload of this one", &octets(70)] {
        let genuine = seal::<S>(&mut pair.client.sealer, FrameKind::More, payload);
        for place in 2..genuine.len() {
            for mask in (0..8).map(|bit| 1 << bit).chain([0xff]) {
                let mut frame = genuine.clone();
                frame[place] ^= mask;
                let opened = open::<S>(&mut pair.server.opener, &frame);
                assert_eq!(opened, Err(OpenError::Forged), "octet {place} with {mask:#04x}");
            }
        }
        assert_eq!(open::<S>(&mut pair.server.opener, &genuine), Ok((FrameKind::More, payload.to_vec())));
    }
}

/// A frame of this body, whatever it is.
fn framed(body: &[u8]) -> Vec<u8> {
    [&FrameHeader::new(FrameKind::Last, body.len() as u64).encode(), body].concat()
}

fn a_frame_cut_or_extended_is_forged<S: Tested>() {
    let mut pair = Pair::<S>::usual();
    let genuine = seal::<S>(&mut pair.client.sealer, FrameKind::Last, &octets(100));
    let body = &genuine[2..];
    for len in S::TAG_LEN..body.len() {
        assert_eq!(open::<S>(&mut pair.server.opener, &framed(&body[..len])), Err(OpenError::Forged), "{len} octets");
        let end = &body[body.len() - len..];
        assert_eq!(open::<S>(&mut pair.server.opener, &framed(end)), Err(OpenError::Forged), "the last {len}");
    }
    let extended = [body, &[0]].concat();
    assert_eq!(open::<S>(&mut pair.server.opener, &framed(&extended)), Err(OpenError::Forged));
    assert_eq!(open::<S>(&mut pair.server.opener, &framed(&body.repeat(2))), Err(OpenError::Forged));
    assert_eq!(open::<S>(&mut pair.server.opener, &genuine), data(&octets(100)));
}

/// K19: a body that is shorter than a tag.
fn a_body_that_is_shorter_than_a_tag_is_malformed<S: Tested>() {
    let mut pair = Pair::<S>::usual();
    for len in 0..S::TAG_LEN {
        let error = open::<S>(&mut pair.server.opener, &framed(&vec![0; len])).unwrap_err();
        assert_eq!(error, OpenError::Malformed("it is shorter than its tag"), "{len} octets");
    }
}

fn a_frame_of_ours_does_not_come_back<S: Tested>() {
    let mut pair = Pair::<S>::usual();
    let from_client = seal::<S>(&mut pair.client.sealer, FrameKind::Last, b"hello");
    assert_eq!(open::<S>(&mut pair.client.opener, &from_client), Err(OpenError::Forged));
    let from_server = seal::<S>(&mut pair.server.sealer, FrameKind::Last, b"hello");
    assert_eq!(open::<S>(&mut pair.server.opener, &from_server), Err(OpenError::Forged));
}

fn a_frame_of_another_connection_of_the_same_peers_is_forged<S: Tested>() {
    let (client, server) = (client::<S>(), server::<S>());
    let (mut one, mut other) = (Pair::new(&client, &server), Pair::new(&client, &server));
    let frame = seal::<S>(&mut one.client.sealer, FrameKind::Last, b"x");
    assert_eq!(open::<S>(&mut other.server.opener, &frame), Err(OpenError::Forged));
    let frame = seal::<S>(&mut one.server.sealer, FrameKind::Last, b"x");
    assert_eq!(open::<S>(&mut other.client.opener, &frame), Err(OpenError::Forged));
}

/// K25 (a command in the clear after READY), and messages.
fn a_frame_in_the_clear_is_forged<S: Tested>() {
    let mut pair = Pair::<S>::usual();
    for len in [S::TAG_LEN, 100, 300] {
        assert_eq!(open::<S>(&mut pair.server.opener, &framed(&octets(len))), Err(OpenError::Forged));
    }
    let ping = FrameHeader::new(FrameKind::Command, 7 + 32).encode();
    let ping = [&ping, &b"\x04PING\0\0"[..], &[0; 32]].concat();
    assert_eq!(open::<S>(&mut pair.server.opener, &ping), Err(OpenError::Forged));
}

fn a_command_of_the_handshake_is_no_frame<S: Tested>() {
    let mut pair = Pair::<S>::usual();
    for body in [pair.hello.clone(), pair.welcome.clone(), pair.initiate.clone(), pair.ready.clone()] {
        let header = FrameHeader::new(FrameKind::Command, body.len() as u64).encode();
        let frame = [&header, &body[..]].concat();
        assert_eq!(open::<S>(&mut pair.server.opener, &frame), Err(OpenError::Forged));
        assert_eq!(open::<S>(&mut pair.client.opener, &frame), Err(OpenError::Forged));
    }
}

fn a_forged_frame_stays_as_it_came<S: Tested>() {
    for len in [0, 1, 31, 32, 64, 500, 9000, 70_000] {
        let mut pair = Pair::<S>::usual();
        let mut frame = seal::<S>(&mut pair.client.sealer, FrameKind::Last, &vec![b'x'; len]);
        *frame.last_mut().unwrap() ^= 1;
        let (header, header_len) = FrameHeader::decode(&frame).unwrap().unwrap();
        let (header_octets, body) = frame.split_at(header_len);
        let mut opened = body.to_vec();
        let error = pair.server.opener.open(header_octets, header.kind(), &mut opened).unwrap_err();
        assert_eq!(error, OpenError::Forged);
        assert_eq!(opened, body, "no plaintext of what is not authentic, {len} octets");
    }
}

// ─── the position of a frame ─────────────────────────────────────────────────────────────────────────────────────────

/// Three frames of a client of the default suite, and the server that awaits them.
fn three(payloads: [&[u8]; 3], kind: FrameKind) -> ([Vec<u8>; 3], Pair<ChachaPoly>) {
    let mut pair = Pair::usual();
    let frames = payloads.map(|payload| seal(&mut pair.client.sealer, kind, payload));
    (frames, pair)
}

/// With equal headers, and once with nothing in them: then there is no ciphertext that could differ.
const THREE: [[&[u8]; 3]; 2] = [[b"one", b"two", b"six"], [b"", b"", b""]];

/// Feeds frames by their place among three. All but the last must open; the last must not.
fn assert_last_is_forged(places: &[usize]) {
    for (payloads, kind) in THREE.into_iter().flat_map(|payloads| KINDS.map(|kind| (payloads, kind))) {
        let (frames, mut pair) = three(payloads, kind);
        let (last, before) = places.split_last().unwrap();
        for &place in before {
            let opened = open(&mut pair.server.opener, &frames[place]);
            assert_eq!(opened, Ok((kind, payloads[place].to_vec())), "{places:?}");
        }
        assert_eq!(open(&mut pair.server.opener, &frames[*last]), Err(OpenError::Forged), "{places:?}");
    }
}

#[test]
fn a_frame_after_a_lost_one_does_not_open() {
    assert_last_is_forged(&[1]);
    assert_last_is_forged(&[2]);
    assert_last_is_forged(&[0, 2]);
}

#[test]
fn a_frame_that_comes_twice_does_not_open_again() {
    assert_last_is_forged(&[0, 0]);
    assert_last_is_forged(&[0, 1, 1]);
    assert_last_is_forged(&[0, 1, 0]);
    assert_last_is_forged(&[0, 1, 2, 2]);
    assert_last_is_forged(&[0, 1, 2, 0]);
}

#[test]
fn frames_that_changed_places_do_not_open() {
    // The first of the two is in the other's place already.
    assert_last_is_forged(&[1]);
    assert_last_is_forged(&[0, 2]);
    let ([one, two, _], mut pair) = three(THREE[0], FrameKind::Last);
    assert_eq!(open(&mut pair.server.opener, &two), Err(OpenError::Forged));
    // The number is that of what was opened, not of what came.
    assert_eq!(open(&mut pair.server.opener, &one), data(b"one"));
}

#[test]
fn a_frame_of_the_other_direction_has_no_place_in_this_one() {
    let mut pair = Pair::<ChachaPoly>::usual();
    let from_server = seal(&mut pair.server.sealer, FrameKind::Last, b"x");
    let from_client = seal(&mut pair.client.sealer, FrameKind::Last, b"x");
    assert_ne!(from_server, from_client);
    assert_eq!(open(&mut pair.server.opener, &from_server), Err(OpenError::Forged));
    assert_eq!(open(&mut pair.client.opener, &from_client), Err(OpenError::Forged));
}

// ─── anything ────────────────────────────────────────────────────────────────────────────────────────────────────────

fn runner() -> TestRunner {
    TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })
}

fn whatever_is_forged_the_rest_arrives_as_it_was<S: Tested>() {
    let len = prop_oneof![4 => 0_usize..200, 1 => 0_usize..3000];
    let forged_at = proptest::option::weighted(0.3, any::<prop::sample::Index>());
    let frames = vec((len, prop::sample::select(KINDS.to_vec()), forged_at), 0..40);
    let arrives = |frames: Vec<(usize, FrameKind, Option<prop::sample::Index>)>| {
        let mut pair = Pair::<S>::usual();
        for (index, (len, kind, forged_at)) in frames.into_iter().enumerate() {
            let payload = index.to_be_bytes().repeat(len.div_ceil(8))[..len].to_vec();
            let frame = seal::<S>(&mut pair.client.sealer, kind, &payload);
            if let Some(at) = forged_at {
                let mut forged = frame.clone();
                let header_len = frame.len() - len - S::TAG_LEN;
                forged[header_len + at.index(len + S::TAG_LEN)] ^= 0x10;
                prop_assert_eq!(open::<S>(&mut pair.server.opener, &forged), Err(OpenError::Forged));
            }
            prop_assert_eq!(open::<S>(&mut pair.server.opener, &frame), Ok((kind, payload)));
        }
        Ok(())
    };
    runner().run(&frames, arrives).unwrap();
}

fn anything_at_all_is_refused_and_changes_nothing<S: Tested>() {
    let bodies = vec(vec(any::<u8>(), 0..120), 1..20);
    let refuses = |bodies: Vec<Vec<u8>>| {
        let mut pair = Pair::<S>::usual();
        for body in bodies {
            prop_assert!(open::<S>(&mut pair.server.opener, &framed(&body)).is_err());
        }
        let genuine = seal::<S>(&mut pair.client.sealer, FrameKind::Last, b"still here");
        prop_assert_eq!(open::<S>(&mut pair.server.opener, &genuine), data(b"still here"));
        Ok(())
    };
    runner().run(&bodies, refuses).unwrap();
}
