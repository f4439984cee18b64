//! Traffic after the handshake: what is sealed and opened, and what somebody on the path, or a hostile peer, cannot do.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use proptest::collection::vec;
use proptest::prelude::*;
use support::scripted::{self, FROM_CLIENT, FROM_SERVER, ScriptedServer, Traffic, agree};
use support::{
    CurveSession, NO_MESSAGE, Pair, SERVER_SECRET, SHORT_MESSAGE, asked, client, completed, initiated, let_in, open,
    open_in, seal, server, welcomed,
};
use zmtp_codec::{FrameHeader, FrameKind, OpenError, Opener, Sealer};
use zmtp_mechanism_curve::{CurveClient, CurveServer};

const KINDS: [FrameKind; 3] = [FrameKind::Last, FrameKind::More, FrameKind::Command];

/// Our server with a scripted client, whose INITIATE had the number 2.
fn served(server: &CurveServer) -> (CurveSession, Traffic) {
    let (handshake, initiate) = welcomed(server);
    let (session, _) = let_in(asked(handshake, &initiate.body()).0);
    (session, Traffic::new(initiate.salsa))
}

/// Our client with a scripted server, whose READY had the number `counter`.
fn admitted(client: &CurveClient, counter: u64) -> (CurveSession, Traffic) {
    let server = ScriptedServer::new(SERVER_SECRET);
    let (handshake, their_transient) = initiated(client);
    let session = completed(handshake, &server.ready(&their_transient, counter, b""));
    (session, Traffic::new(agree(&their_transient, &server.transient)))
}

/// What a data frame with this payload opens to.
fn data(payload: &[u8]) -> Result<(FrameKind, Vec<u8>), OpenError> {
    Ok((FrameKind::Last, payload.to_vec()))
}

/// Opens `numbers` of a scripted client, one after the other, on one session of our server.
fn opened_in_order(numbers: &[u64]) -> Vec<Result<(), OpenError>> {
    let (mut session, traffic) = served(&server());
    numbers
        .iter()
        .map(|&number| open(&mut session.opener, &traffic.message(FROM_CLIENT, number, b"\x00x")).map(drop))
        .collect()
}

// ─── what we send ────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn our_frames_of_every_kind_and_size_open_at_a_peer_written_by_hand() {
    let (mut session, traffic) = served(&server());
    let mut number = 2;
    for (kind, flags) in KINDS.into_iter().zip([0, 1, 2]) {
        for len in (0..=160).chain([191, 192, 193, 1000, 8191, 8192, 8193, 20_000]) {
            let payload: Vec<u8> = (0..=250).cycle().take(len).collect();
            let body = seal(&mut session.sealer, kind, &payload);
            assert_eq!(body[..8], *b"\x07MESSAGE");
            let plain = [&[flags], &payload[..]].concat();
            assert_eq!(traffic.open(FROM_SERVER, &body), Some((number, plain)), "{kind:?} of {len}");
            number += 1;
        }
    }
}

#[test]
fn the_first_message_of_a_client_is_number_3_and_that_of_a_server_number_2() {
    let mut pair = Pair::new(&client(), &server());
    assert_eq!(seal(&mut pair.client.sealer, FrameKind::Last, b"")[8..16], 3_u64.to_be_bytes());
    assert_eq!(seal(&mut pair.server.sealer, FrameKind::Last, b"")[8..16], 2_u64.to_be_bytes());
}

#[test]
fn planning_a_frame_changes_nothing() {
    let mut pair = Pair::new(&client(), &server());
    for len in [0, 1, 1000] {
        assert_eq!(pair.client.sealer.plan(FrameKind::Command, len).body_len(), len + 33);
    }
    assert_eq!(pair.client.sealer.plan(FrameKind::Last, usize::MAX).body_len(), usize::MAX);
    assert_eq!(seal(&mut pair.client.sealer, FrameKind::Last, b"")[8..16], 3_u64.to_be_bytes());
}

#[test]
fn what_is_sealed_does_not_depend_on_the_header() {
    let (mut one, mut other) = (Pair::new(&client(), &server()), Pair::new(&client(), &server()));
    let (mut first, mut second) = (vec![0; 36], vec![0; 36]);
    one.client.sealer.seal(&[0, 36], FrameKind::Last, b"abc", &mut first).unwrap();
    other.client.sealer.seal(&[6, 0, 0, 0, 0, 0, 0, 0, 36], FrameKind::Last, b"abc", &mut second).unwrap();
    assert_eq!(first, second);
}

#[test]
fn neither_side_is_an_identity() {
    let pair = Pair::new(&client(), &server());
    assert!(!pair.client.sealer.is_identity() && !pair.client.opener.is_identity());
}

#[test]
fn numbers_go_on_big_endian_beyond_one_octet() {
    let mut pair = Pair::new(&client(), &server());
    for number in 3_u64..=700 {
        let body = seal(&mut pair.client.sealer, FrameKind::Last, &number.to_le_bytes());
        assert_eq!(body[8..16], number.to_be_bytes());
        assert_eq!(open(&mut pair.server.opener, &body), data(&number.to_le_bytes()));
        let answer = seal(&mut pair.server.sealer, FrameKind::Last, b"");
        assert_eq!(answer[8..16], (number - 1).to_be_bytes());
        assert_eq!(open(&mut pair.client.opener, &answer), data(b""));
    }
}

// ─── what we accept ──────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn the_kind_is_what_the_inner_flags_say_whatever_the_frame_is() {
    let (mut session, traffic) = served(&server());
    let mut number = 3;
    for outer in KINDS {
        for (inner, flags) in KINDS.into_iter().zip([0, 1, 2]) {
            let body = traffic.message(FROM_CLIENT, number, &[flags, b'x']);
            assert_eq!(
                open_in(&mut session.opener, outer, &body),
                Ok((inner, b"x".to_vec())),
                "{inner:?} in {outer:?}"
            );
            number += 1;
        }
    }
}

#[test]
fn a_header_that_is_not_the_shortest_is_no_matter() {
    let (mut session, traffic) = served(&server());
    let mut body = traffic.message(FROM_CLIENT, 3, b"\x00x");
    let header = [&[2_u8][..], &(body.len() as u64).to_be_bytes()].concat();
    let opened = session.opener.open(&header, FrameKind::Last, &mut body).unwrap();
    assert_eq!((opened.kind(), opened.payload()), (FrameKind::Last, 33..34));
    assert_eq!(body[33], b'x');
}

#[test]
fn inner_flags_beyond_the_three_kinds_are_refused_and_the_plaintext_wiped() {
    let secret = b"nothing of this may be seen";
    let (mut session, traffic) = served(&server());
    for flags in 3..=0xff {
        let mut body = traffic.message(FROM_CLIENT, flags.into(), &[&[flags], &secret[..]].concat());
        let header = FrameHeader::new(FrameKind::Last, body.len() as u64).encode();
        let error = session.opener.open(&header, FrameKind::Last, &mut body).unwrap_err();
        assert_eq!(error, OpenError::InnerFlags { flags });
        assert_eq!(body, vec![0; 33 + secret.len()], "{flags:#04x}");
    }
}

#[test]
fn an_empty_payload_is_a_message() {
    let (mut session, traffic) = served(&server());
    let body = traffic.message(FROM_CLIENT, 3, b"\x00");
    assert_eq!(body.len(), 33);
    assert_eq!(open(&mut session.opener, &body), data(b""));
}

#[test]
fn a_body_of_any_length_from_0_to_40_is_refused_for_what_it_is() {
    for len in 0..=40 {
        let (mut session, traffic) = served(&server());
        let genuine = traffic.message(FROM_CLIENT, 3, b"\x00seven..");
        assert_eq!(genuine.len(), 40);
        let expected = match len {
            0..16 => Err(NO_MESSAGE),
            16..33 => Err(SHORT_MESSAGE),
            33..40 => Err(OpenError::Forged),
            _ => data(b"seven.."),
        };
        assert_eq!(open(&mut session.opener, &genuine[..len]), expected, "{len} octets");
        assert_eq!(open(&mut session.opener, &vec![0; len]), Err(NO_MESSAGE), "{len} zeros");
    }
}

#[test]
fn a_box_that_has_no_room_for_flags_is_refused_even_when_it_is_authentic() {
    let (mut session, traffic) = served(&server());
    assert_eq!(open(&mut session.opener, &traffic.message(FROM_CLIENT, 3, b"")), Err(SHORT_MESSAGE));
}

#[test]
fn plaintext_is_refused_on_either_side() {
    let handshake = Pair::new(&client(), &server());
    let plaintexts = [
        b"data".to_vec(),
        b"a message of more than thirty-three octets in plain text".to_vec(),
        scripted::command("PING", &[&[0, 0]]),
        scripted::command("SUBSCRIBE", &[&[b't'; 64]]),
        scripted::command("READY", &[&[0; 64]]),
        scripted::error("400"),
        handshake.hello,
        handshake.welcome,
        handshake.initiate,
        handshake.ready,
    ];
    for body in plaintexts {
        for outer in KINDS {
            let mut pair = Pair::new(&client(), &server());
            assert_eq!(open_in(&mut pair.server.opener, outer, &body), Err(NO_MESSAGE), "{body:02x?}");
            assert_eq!(open_in(&mut pair.client.opener, outer, &body), Err(NO_MESSAGE), "{body:02x?}");
        }
    }
}

// ─── numbers ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const SEQUENCE: Result<(), OpenError> = Err(OpenError::Sequence);

#[test]
fn a_number_is_accepted_once() {
    assert_eq!(opened_in_order(&[3, 3]), [Ok(()), SEQUENCE]);
    assert_eq!(opened_in_order(&[3, 4, 5, 4]), [Ok(()), Ok(()), Ok(()), SEQUENCE]);
}

#[test]
fn swapped_frames_are_refused_at_the_second() {
    let mut pair = Pair::new(&client(), &server());
    let first = seal(&mut pair.client.sealer, FrameKind::Last, b"first");
    let second = seal(&mut pair.client.sealer, FrameKind::Last, b"second");
    assert_eq!(open(&mut pair.server.opener, &second), data(b"second"));
    assert_eq!(open(&mut pair.server.opener, &first), Err(OpenError::Sequence));
}

#[test]
fn a_gap_is_accepted() {
    assert_eq!(opened_in_order(&[3, 1000, 1001, 1 << 40]), [Ok(()); 4]);
}

#[test]
fn a_gap_is_refused_where_gaps_are() {
    for dropped in [false, true] {
        let mut pair = Pair::new(&client().refuse_gaps(), &server().refuse_gaps());
        let (to_server, to_client) = (&mut pair.client.sealer, &mut pair.server.sealer);
        let expect = |last| if dropped { Err(OpenError::Sequence) } else { data(last) };
        for (sealer, opener) in [(to_server, &mut pair.server.opener), (to_client, &mut pair.client.opener)] {
            let bodies = [b"one", b"two", b"six"].map(|payload| seal(sealer, FrameKind::Last, payload));
            assert_eq!(open(opener, &bodies[0]), data(b"one"));
            if !dropped {
                assert_eq!(open(opener, &bodies[1]), data(b"two"));
            }
            assert_eq!(open(opener, &bodies[2]), expect(b"six"));
        }
    }
}

#[test]
fn the_first_message_may_be_missing_only_where_gaps_are_accepted() {
    for (server, expected) in [(server(), Ok(())), (server().refuse_gaps(), SEQUENCE)] {
        let (mut session, traffic) = served(&server);
        let body = traffic.message(FROM_CLIENT, 4, b"\x00x");
        assert_eq!(open(&mut session.opener, &body).map(drop), expected);
    }
    for (client, expected) in [(client(), Ok(())), (client().refuse_gaps(), SEQUENCE)] {
        let (mut session, traffic) = admitted(&client, 1);
        let body = traffic.message(FROM_SERVER, 3, b"\x00x");
        assert_eq!(open(&mut session.opener, &body).map(drop), expected);
    }
}

#[test]
fn a_replayed_frame_is_refused_where_gaps_are() {
    let mut pair = Pair::new(&client().refuse_gaps(), &server().refuse_gaps());
    let body = seal(&mut pair.client.sealer, FrameKind::Last, b"x");
    assert_eq!(open(&mut pair.server.opener, &body), data(b"x"));
    assert_eq!(open(&mut pair.server.opener, &body), Err(OpenError::Sequence));
}

#[test]
fn the_numbers_of_initiate_and_below_are_used_up() {
    assert_eq!(opened_in_order(&[2, 1, 0, 3]), [SEQUENCE, SEQUENCE, SEQUENCE, Ok(())]);
}

#[test]
fn the_number_of_ready_is_used_up() {
    for ready in [0, 1, 500] {
        let (mut session, traffic) = admitted(&client(), ready);
        let body = |number| traffic.message(FROM_SERVER, number, b"\x00x");
        assert_eq!(open(&mut session.opener, &body(ready)), Err(OpenError::Sequence), "{ready}");
        assert_eq!(open(&mut session.opener, &body(ready + 1)), data(b"x"), "{ready}");
    }
}

#[test]
fn the_last_number_is_accepted_and_nothing_after_it() {
    assert_eq!(opened_in_order(&[u64::MAX, u64::MAX, 0, 3]), [Ok(()), SEQUENCE, SEQUENCE, SEQUENCE]);
    let (mut session, traffic) = admitted(&client().refuse_gaps(), u64::MAX - 1);
    let body = |number| traffic.message(FROM_SERVER, number, b"\x00x");
    assert_eq!(open(&mut session.opener, &body(u64::MAX)), data(b"x"));
    assert_eq!(open(&mut session.opener, &body(u64::MAX)), Err(OpenError::Sequence));
    assert_eq!(open(&mut session.opener, &body(0)), Err(OpenError::Sequence));
}

#[test]
fn a_peer_that_counts_little_endian_is_refused_where_its_octet_overflows() {
    // libzmq 4.0 does.
    let (mut session, traffic) = served(&server());
    for number in 3_u64..256 {
        let body = traffic.message(FROM_CLIENT, number.swap_bytes(), b"\x00x");
        assert_eq!(open(&mut session.opener, &body), data(b"x"), "{number}");
    }
    let body = traffic.message(FROM_CLIENT, 256_u64.swap_bytes(), b"\x00x");
    assert_eq!(open(&mut session.opener, &body), Err(OpenError::Sequence));
}

// ─── forgery ─────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_frame_of_ours_does_not_come_back() {
    let mut pair = Pair::new(&client(), &server());
    for _ in 0..3 {
        let from_client = seal(&mut pair.client.sealer, FrameKind::Last, b"hello");
        assert_eq!(open(&mut pair.client.opener, &from_client), Err(OpenError::Forged));
        let from_server = seal(&mut pair.server.sealer, FrameKind::Last, b"hello");
        // The server's first number is the client's INITIATE's.
        let expected = if from_server[15] == 2 { OpenError::Sequence } else { OpenError::Forged };
        assert_eq!(open(&mut pair.server.opener, &from_server), Err(expected));
    }
}

#[test]
fn a_box_under_the_prefix_of_another_command_is_forged() {
    for prefix in [FROM_SERVER, b"CurveZMQMESSAGE-", b"CurveZMQINITIATE", b"CurveZMQREADY---", b"CurveZMQHELLO---"] {
        let (mut session, traffic) = served(&server());
        let body = traffic.message(prefix, 3, b"\x00x");
        assert_eq!(open(&mut session.opener, &body), Err(OpenError::Forged));
    }
}

#[test]
fn a_frame_of_another_connection_of_the_same_peers_is_forged() {
    let (client, server) = (client(), server());
    let (mut one, mut other) = (Pair::new(&client, &server), Pair::new(&client, &server));
    let body = seal(&mut one.client.sealer, FrameKind::Last, b"x");
    assert_eq!(open(&mut other.server.opener, &body), Err(OpenError::Forged));
    let body = seal(&mut one.server.sealer, FrameKind::Last, b"x");
    assert_eq!(open(&mut other.client.opener, &body), Err(OpenError::Forged));
}

#[test]
fn a_flipped_bit_anywhere_in_a_message_is_noticed_and_changes_nothing() {
    let mut pair = Pair::new(&client(), &server());
    // So that there are lower numbers, and higher ones.
    for _ in 3..0x0110 {
        let body = seal(&mut pair.client.sealer, FrameKind::Last, b"");
        open(&mut pair.server.opener, &body).unwrap();
    }
    let genuine = seal(&mut pair.client.sealer, FrameKind::More, b"the payload of this one");
    assert_eq!(genuine[14..16], [0x01, 0x10]);
    for place in 0..genuine.len() {
        for mask in (0..8).map(|bit| 1 << bit).chain([0xff]) {
            let mut body = genuine.clone();
            body[place] ^= mask;
            let number = u64::from_be_bytes(body[8..16].try_into().unwrap());
            let expected = match place {
                0..8 => NO_MESSAGE,
                8..16 if number < 0x0110 => OpenError::Sequence,
                _ => OpenError::Forged,
            };
            assert_eq!(open(&mut pair.server.opener, &body), Err(expected), "octet {place} with {mask:#04x}");
        }
    }
    let opened = open(&mut pair.server.opener, &genuine);
    assert_eq!(opened, Ok((FrameKind::More, b"the payload of this one".to_vec())));
}

#[test]
fn a_message_cut_or_extended_is_forged_and_changes_nothing() {
    let mut pair = Pair::new(&client(), &server());
    let genuine = seal(&mut pair.client.sealer, FrameKind::Last, &[b'x'; 100]);
    for len in 33..genuine.len() {
        assert_eq!(open(&mut pair.server.opener, &genuine[..len]), Err(OpenError::Forged), "{len} octets");
    }
    assert_eq!(open(&mut pair.server.opener, &[&genuine[..], &[0]].concat()), Err(OpenError::Forged));
    assert_eq!(open(&mut pair.server.opener, &genuine), data(&[b'x'; 100]));
}

#[test]
fn a_forged_frame_with_the_highest_number_shuts_nobody_out() {
    let mut pair = Pair::new(&client(), &server());
    let genuine = seal(&mut pair.client.sealer, FrameKind::Last, b"x");
    let mut forged = genuine.clone();
    forged[8..16].copy_from_slice(&u64::MAX.to_be_bytes());
    assert_eq!(open(&mut pair.server.opener, &forged), Err(OpenError::Forged));
    assert_eq!(open(&mut pair.server.opener, &genuine), data(b"x"));
}

#[test]
fn a_forged_frame_stays_as_it_came() {
    for len in [0, 1, 31, 32, 64, 500, 9000] {
        let mut pair = Pair::new(&client(), &server());
        let mut body = seal(&mut pair.client.sealer, FrameKind::Last, &vec![b'x'; len]);
        *body.last_mut().unwrap() ^= 1;
        let before = body.clone();
        let header = FrameHeader::new(FrameKind::Last, body.len() as u64).encode();
        let error = pair.server.opener.open(&header, FrameKind::Last, &mut body).unwrap_err();
        assert_eq!(error, OpenError::Forged);
        assert_eq!(body, before, "no plaintext of what is not authentic, {len} octets");
    }
}

// ─── anything ────────────────────────────────────────────────────────────────────────────────────────────────────────

/// One frame on its way, and what happens to it.
#[derive(Clone, Copy, Debug)]
struct Travelling {
    len: usize,
    kind: FrameKind,
    fate: Fate,
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    Arrives,
    IsLost,
    /// A forged copy goes before.
    IsForged(prop::sample::Index),
    /// A copy comes after.
    IsRepeated,
}

fn travelling() -> impl Strategy<Value = Travelling> {
    let len = prop_oneof![4 => 0_usize..200, 1 => 0_usize..3000];
    let fate = prop_oneof![
        4 => Just(Fate::Arrives),
        1 => Just(Fate::IsLost),
        1 => any::<prop::sample::Index>().prop_map(Fate::IsForged),
        1 => Just(Fate::IsRepeated),
    ];
    (len, prop::sample::select(KINDS.to_vec()), fate).prop_map(|(len, kind, fate)| Travelling { len, kind, fate })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn whatever_is_lost_forged_or_repeated_the_rest_arrives_as_it_was(frames in vec(travelling(), 0..60)) {
        let mut pair = Pair::new(&client(), &server());
        for (index, Travelling { len, kind, fate }) in frames.into_iter().enumerate() {
            let payload = index.to_be_bytes().repeat(len.div_ceil(8));
            let payload = payload[..len].to_vec();
            let body = seal(&mut pair.client.sealer, kind, &payload);
            match fate {
                Fate::IsLost => continue,
                Fate::IsForged(at) => {
                    let mut forged = body.clone();
                    // The box: tag, flags, payload.
                    forged[16 + at.index(len + 17)] ^= 0x10;
                    prop_assert_eq!(open(&mut pair.server.opener, &forged), Err(OpenError::Forged));
                }
                Fate::Arrives | Fate::IsRepeated => {}
            }
            prop_assert_eq!(open(&mut pair.server.opener, &body), Ok((kind, payload)));
            if let Fate::IsRepeated = fate {
                prop_assert_eq!(open(&mut pair.server.opener, &body), Err(OpenError::Sequence));
            }
        }
    }

    #[test]
    fn our_opener_and_a_peer_written_by_hand_agree(
        frames in vec((1_u64..20, 0_u8..3, vec(any::<u8>(), 0..300)), 0..40)
    ) {
        let (mut session, traffic) = served(&server());
        let mut number = 2;
        for (step, flags, payload) in frames {
            number += step;
            let body = traffic.message(FROM_CLIENT, number, &[&[flags], &payload[..]].concat());
            prop_assert_eq!(open(&mut session.opener, &body), Ok((KINDS[usize::from(flags)], payload)));
        }
    }

    #[test]
    fn anything_at_all_is_refused_and_changes_nothing(
        bodies in vec(prop_oneof![
            vec(any::<u8>(), 0..120),
            vec(any::<u8>(), 0..120).prop_map(|data| scripted::command("MESSAGE", &[&data])),
            vec(any::<u8>(), 17..120).prop_map(|data| scripted::command("MESSAGE", &[&[0; 7], &[3], &data])),
        ], 1..20),
    ) {
        let mut pair = Pair::new(&client(), &server());
        for body in bodies {
            prop_assert!(open(&mut pair.server.opener, &body).is_err());
        }
        let genuine = seal(&mut pair.client.sealer, FrameKind::Last, b"still here");
        prop_assert_eq!(open(&mut pair.server.opener, &genuine), data(b"still here"));
    }
}
