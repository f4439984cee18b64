//! The sending direction: what is queued, by copy or by reference, what is refused, and that nothing is queued by half.
#![cfg(feature = "null")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use bytes::Bytes;
use support::fake::Fake;
use support::wire::{self, command, message};
use support::{Event, NULL, Pair, ReadyNull, drain, ready_with};
use zmtp_connection::codec::{
    Command, ErrorReason, HeartbeatContext, Ping, Pong, Properties, SealError, SocketType, Ttl, UnknownCommand, Version,
};
use zmtp_connection::{ConnectionConfig, EncodedMessage, LINK_FROM, Message, PushError};

const TYPE: SocketType = SocketType::Dealer;
/// From so many waiting octets on, PONGs wait beside the queue.
const PONG_QUEUE: usize = 64 * 1024;

fn dealer() -> ReadyNull {
    ready_with(&ConnectionConfig::new(TYPE), wire::GREETING, TYPE)
}

fn with_mark(octets: usize) -> ReadyNull {
    ready_with(&ConnectionConfig::builder(TYPE).high_water_mark(octets).build().unwrap(), wire::GREETING, TYPE)
}

/// A pair under FAKE with nothing waiting, whose `a` cannot seal its frame of this number.
fn failing_at(number: u64) -> Pair<Fake, Fake> {
    let config = ConnectionConfig::new(TYPE);
    Pair::new((&config, &Fake::client([1; 32]).unsealable(number)), (&config, &Fake::server()))
}

fn pong(context: &str) -> Pong {
    Pong::new(HeartbeatContext::new(context.as_bytes()).unwrap())
}

#[test]
fn messages_leave_in_their_shortest_form() {
    let mut ready = dealer();
    for size in [0, 1, 255, 256, LINK_FROM - 1, LINK_FROM, 70_000] {
        let body = vec![b'x'; size];
        ready.encoder.push(&body).unwrap();
        ready.encoder.push(&Bytes::from(body.clone())).unwrap();
        ready.encoder.push(&[&body[..], b"", &body]).unwrap();
        ready.encoder.push(&Message::from_parts([body.clone(), body.clone()]).unwrap()).unwrap();
        let once = message(&[&body]);
        let expected = [once.clone(), once, message(&[&body[..], b"", &body]), message(&[&body, &body])].concat();
        assert_eq!(ready.encoder.pending(), expected.len());
        assert!(drain(&mut ready.encoder) == expected, "{size}");
        assert_eq!(ready.encoder.pending(), 0);
    }
}

#[test]
fn large_shared_parts_are_linked_and_others_are_copied() {
    let mut ready = dealer();
    let linked = |ready: &ReadyNull, part: &[u8]| ready.encoder.chunks().any(|chunk| chunk.as_ptr() == part.as_ptr());
    let (large, small) = (Bytes::from(vec![1; LINK_FROM]), Bytes::from(vec![2; LINK_FROM - 1]));
    let borrowed = vec![3; LINK_FROM];
    ready.encoder.push(&[large.clone(), small.clone()]).unwrap();
    ready.encoder.push(&borrowed).unwrap();
    ready.encoder.push(&Message::from(large.clone())).unwrap();
    assert!(linked(&ready, &large));
    assert!(!linked(&ready, &small));
    assert!(!linked(&ready, &borrowed));
    assert_eq!(ready.encoder.chunks().filter(|chunk| chunk.as_ptr() == large.as_ptr()).count(), 2);
    assert!(ready.encoder.chunks().all(|chunk| !chunk.is_empty()));

    // What is encrypted is copied as it is sealed.
    let mut pair = failing_at(u64::MAX);
    pair.a.encoder.push(&large).unwrap();
    assert!(!pair.a.encoder.chunks().any(|chunk| chunk.as_ptr() == large.as_ptr()));
    assert_eq!(pair.a_to_b(), [Event::message(&[&large])]);
}

#[test]
fn octets_leave_in_order_whatever_a_write_takes() {
    let parts = [Bytes::from_static(b"head"), Bytes::from(vec![7; LINK_FROM + 3]), Bytes::from_static(b"tail")];
    let expected = message(&parts).repeat(2);
    for write in [1, 2, 3, 7, 4096, 4099, 5000, usize::MAX] {
        let mut ready = dealer();
        ready.encoder.push(&parts).unwrap();
        ready.encoder.push(&parts).unwrap();
        let mut sent: Vec<u8> = Vec::new();
        while ready.encoder.pending() > 0 {
            let count = write.min(ready.encoder.pending());
            sent.extend(ready.encoder.chunks().flatten().take(count));
            ready.encoder.advance(count);
            assert_eq!(sent.len() + ready.encoder.pending(), expected.len());
        }
        assert!(sent == expected, "{write}");
        assert_eq!(ready.encoder.chunks().next(), None);
    }
}

#[test]
fn an_encoded_message_is_octet_for_octet_a_pushed_one() {
    for parts in [
        vec![Bytes::new()],
        vec![Bytes::from_static(b"topic"), Bytes::from(vec![1; 255]), Bytes::from(vec![2; 256])],
        vec![Bytes::from(vec![3; LINK_FROM]), Bytes::new(), Bytes::from(vec![4; LINK_FROM - 1])],
    ] {
        let encoded = EncodedMessage::encode(&parts).unwrap();
        for _ in 0..3 {
            let (mut pushed, mut shared) = (dealer(), dealer());
            pushed.encoder.push(&parts).unwrap();
            shared.encoder.push_encoded(&encoded).unwrap();
            assert_eq!(shared.encoder.pending(), encoded.wire_len());
            for large in parts.iter().filter(|part| part.len() >= LINK_FROM) {
                assert!(shared.encoder.chunks().any(|chunk| chunk.as_ptr() == large.as_ptr()), "fan-out shares memory");
            }
            assert!(drain(&mut pushed.encoder) == drain(&mut shared.encoder));
        }
    }
}

#[test]
fn an_encoded_message_obeys_the_rules_of_a_pushed_one() {
    let encoded = EncodedMessage::encode(&["a", "b"]).unwrap();
    let mut pair = failing_at(u64::MAX);
    assert_eq!(pair.a.encoder.push_encoded(&encoded), Err(PushError::EncryptedLink));
    assert_eq!(pair.a.encoder.pending(), 0);
    pair.a.encoder.push(encoded.message()).unwrap();
    assert_eq!(pair.a_to_b(), [Event::message(&["a", "b"])]);

    let mut full = with_mark(1);
    full.encoder.push_encoded(&encoded).unwrap();
    assert_eq!(full.encoder.push_encoded(&encoded), Err(PushError::Full { pending: 6, limit: 1 }));
    let mut single = support::ready(SocketType::Client, SocketType::Server);
    assert_eq!(single.encoder.push_encoded(&encoded), Err(PushError::SinglePartOnly { parts: 2 }));
}

#[test]
fn one_message_beyond_the_mark_is_taken_whole_and_the_next_is_refused() {
    let mut ready = with_mark(100);
    ready.encoder.push(&[0; 97]).unwrap();
    assert_eq!(ready.encoder.pending(), 99);
    assert!(ready.encoder.has_room());
    ready.encoder.push(&[vec![0; 1000], vec![0; 1000]]).unwrap();
    let pending = ready.encoder.pending();
    assert_eq!(pending, 99 + 2018);
    assert!(!ready.encoder.has_room());
    assert_eq!(ready.encoder.push(""), Err(PushError::Full { pending, limit: 100 }));
    assert_eq!(ready.encoder.pending(), pending, "nothing of it was queued");
    // Exactly at the mark there is no room, one octet below there is.
    ready.encoder.advance(pending - 100);
    assert_eq!(ready.encoder.push(""), Err(PushError::Full { pending: 100, limit: 100 }));
    ready.encoder.advance(1);
    assert_eq!(ready.encoder.push(""), Ok(()));
}

#[test]
fn linked_octets_count_against_the_mark() {
    let mut ready = with_mark(LINK_FROM);
    ready.encoder.push(&Bytes::from(vec![0; LINK_FROM])).unwrap();
    assert_eq!(ready.encoder.push(""), Err(PushError::Full { pending: LINK_FROM + 9, limit: LINK_FROM }));
}

#[test]
fn a_mark_of_zero_lets_one_message_through_at_a_time() {
    let mut ready = with_mark(0);
    for _ in 0..3 {
        ready.encoder.push(&["a", "b"]).unwrap();
        assert_eq!(ready.encoder.push("c"), Err(PushError::Full { pending: 6, limit: 0 }));
        assert_eq!(drain(&mut ready.encoder), message(&["a", "b"]));
    }
}

#[test]
fn commands_pass_a_full_queue() {
    let mut ready = with_mark(1);
    ready.encoder.push("full").unwrap();
    ready.encoder.push_command(&Command::Unknown(UnknownCommand::new("X", "t").unwrap())).unwrap();
    ready.encoder.push_pong(pong("p")).unwrap();
    let expected = [message(&["full"]), command("X", b"t"), command("PONG", b"p")].concat();
    assert_eq!(drain(&mut ready.encoder), expected);
}

#[test]
fn commands_of_the_handshake_are_not_sent() {
    let mut ready = dealer();
    for refused in [Command::Ready(Properties::new()), Command::Error(ErrorReason::INTERNAL_ERROR)] {
        assert_eq!(ready.encoder.push_command(&refused), Err(PushError::HandshakeCommand));
    }
    assert_eq!(ready.encoder.pending(), 0);
    ready.encoder.push_command(&Command::Unknown(UnknownCommand::new("X", "data").unwrap())).unwrap();
    assert_eq!(drain(&mut ready.encoder), command("X", b"data"));
}

#[test]
fn a_peer_of_zmtp_3_0_is_sent_no_ping_but_is_answered() {
    let ping = Ping::new(Ttl::from_deciseconds(7), HeartbeatContext::new(b"ctx").unwrap());
    let mut old = ready_with(&ConnectionConfig::new(TYPE), wire::GREETING_3_0, TYPE);
    let refused = Err(PushError::Unsupported { version: Version::V3_0 });
    assert_eq!(old.encoder.push_command(&Command::Ping(ping)), refused);
    assert_eq!(old.encoder.pending(), 0);
    old.encoder.push_pong(ping.pong()).unwrap();
    assert_eq!(drain(&mut old.encoder), command("PONG", b"ctx"));
    let mut new = dealer();
    new.encoder.push_command(&Command::Ping(ping)).unwrap();
    assert_eq!(drain(&mut new.encoder), wire::ping(7, b"ctx"));
}

#[test]
fn behind_a_long_queue_one_pong_waits_and_the_newest_wins() {
    let mut ready = dealer();
    ready.encoder.push(&vec![0; PONG_QUEUE]).unwrap();
    let queued = ready.encoder.pending();
    for number in 0..1000 {
        ready.encoder.push_pong(pong(&number.to_string())).unwrap();
    }
    assert_eq!(ready.encoder.pending(), queued, "a flood of PINGs queues nothing");
    ready.encoder.advance(queued - PONG_QUEUE);
    assert_eq!(ready.encoder.pending(), PONG_QUEUE, "it waits until less than that waits");
    ready.encoder.advance(1);
    assert_eq!(ready.encoder.pending(), PONG_QUEUE - 1 + 10);
    let octets = drain(&mut ready.encoder);
    assert_eq!(octets[octets.len() - 10..], command("PONG", b"999"));
    assert_eq!(octets.len(), PONG_QUEUE - 1 + 10, "and it goes out once");
}

#[test]
fn below_that_every_ping_is_answered() {
    // B12
    let mut ready = dealer();
    for number in 0..1000 {
        ready.encoder.push_pong(pong(&number.to_string())).unwrap();
    }
    let expected: Vec<u8> = (0..1000).flat_map(|number| command("PONG", number.to_string().as_bytes())).collect();
    assert!(drain(&mut ready.encoder) == expected);
}

#[test]
fn a_message_that_cannot_be_sealed_to_its_end_is_taken_back_whole() {
    let mut pair = failing_at(4);
    pair.a.encoder.push(&["whole", "message"]).unwrap();
    let before: Vec<u8> = pair.a.encoder.chunks().flatten().copied().collect();
    // Its first part is sealed as the third frame, its second fails.
    let exhausted = Err(PushError::Seal(SealError::NoncesExhausted));
    assert_eq!(pair.a.encoder.push(&["x", "y", "z"]), exhausted);
    let after: Vec<u8> = pair.a.encoder.chunks().flatten().copied().collect();
    assert_eq!(after, before);
    assert_eq!(pair.a_to_b(), [Event::message(&["whole", "message"])]);
}

#[test]
fn nothing_is_sent_after_a_failure_to_seal() {
    let mut pair = failing_at(1);
    let encoder = &mut pair.a.encoder;
    assert_eq!(encoder.push("x"), Err(PushError::Seal(SealError::NoncesExhausted)));
    assert_eq!(encoder.push("x"), Err(PushError::Poisoned));
    assert_eq!(encoder.push_command(&Command::Subscribe("t".into())), Err(PushError::Poisoned));
    assert_eq!(encoder.push_pong(pong("")), Err(PushError::Poisoned));
    assert_eq!(encoder.push_ping(Ping::default()), Err(PushError::Poisoned));
    assert_eq!(encoder.pending(), 0);
}

#[test]
fn a_pong_that_waits_is_not_sent_after_a_failure_to_seal() {
    let config = ConnectionConfig::builder(TYPE).high_water_mark(usize::MAX).build().unwrap();
    let mut pair = Pair::<Fake, Fake>::new((&config, &Fake::client([1; 32]).unsealable(2)), (&config, &Fake::server()));
    let encoder = &mut pair.a.encoder;
    encoder.push(&vec![0; PONG_QUEUE]).unwrap();
    encoder.push_pong(pong("waits")).unwrap();
    assert_eq!(encoder.push("x"), Err(PushError::Seal(SealError::NoncesExhausted)));
    encoder.advance(encoder.pending());
    assert_eq!(encoder.pending(), 0);
}

#[test]
fn messages_collected_elsewhere_go_out_behind_what_waits() {
    let large = Bytes::from(vec![1; LINK_FROM]);
    for waiting in [false, true] {
        let mut ready = dealer();
        let mut local = ready.encoder.local().unwrap();
        local.push(&[Bytes::from_static(b"a"), large.clone()]).unwrap();
        local.push("b").unwrap();
        let mut expected = Vec::new();
        if waiting {
            ready.encoder.push("first").unwrap();
            expected = message(&["first"]);
        }
        ready.encoder.append(&mut local).unwrap();
        assert_eq!(local.pending(), 0);
        assert!(ready.encoder.chunks().any(|chunk| chunk.as_ptr() == large.as_ptr()));
        expected.extend(message(&[&b"a"[..], &large]));
        expected.extend(message(&["b"]));
        assert!(drain(&mut ready.encoder) == expected, "{waiting}");
    }
    let mut pair = failing_at(u64::MAX);
    assert!(pair.a.encoder.local().is_none(), "sealed frames have an order");
    let mut local = dealer().encoder.local().unwrap();
    assert_eq!(pair.a.encoder.append(&mut local), Err(PushError::EncryptedLink));
}

#[test]
fn both_sides_can_talk_at_once() {
    let config = ConnectionConfig::new(TYPE);
    let mut pair = Pair::new((&config, &NULL), (&config, &NULL));
    pair.a.encoder.push("from a").unwrap();
    pair.b.encoder.push("from b").unwrap();
    assert_eq!(pair.a_to_b(), [Event::message(&["from a"])]);
    let octets = drain(&mut pair.b.encoder);
    assert_eq!(support::decode(&mut pair.a.decoder, &octets, 1), Ok(vec![Event::message(&["from b"])]));
}
