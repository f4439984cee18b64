//! Large bodies: around every size at which they are treated differently, and where their octets lie.
#![cfg(feature = "null")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use bytes::{BufMut, Bytes};
use support::fake::{Fake, FakeSealer};
use support::wire::{command, header, message, part};
use support::{Event, Interface, NULL, Pair, Reader, ReadyNull, drain, ready};
use zmtp_connection::codec::{Command, FrameKind, Mechanism, Opener, SocketType};
use zmtp_connection::proto::{Decoded, Decoder, LARGE_BODY};
use zmtp_connection::{AsMessage, ConnectionConfig, DecodeError, Part};

const AHEAD: usize = 256 * 1024;
const CLIENT: Fake = Fake::client([1; 32]);
const SERVER: Fake = Fake::server();

fn dealer() -> ReadyNull {
    ready(SocketType::Dealer, SocketType::Dealer)
}

/// Octets of which no two neighbourhoods look alike.
fn pattern(len: usize) -> Vec<u8> {
    (0..=250).cycle().take(len).collect()
}

fn arrive<A: Mechanism, B: Mechanism>(a: &A, b: &B, interface: Interface, chunk: usize) {
    let config = ConnectionConfig::new(SocketType::Dealer);
    let mut pair = Pair::<A, B>::new((&config, a), (&config, b));
    let mut reader = Reader::new(interface);
    let mut expected = Vec::new();
    for size in [LARGE_BODY - 1, LARGE_BODY, LARGE_BODY + 1, AHEAD - 1, AHEAD, AHEAD + 1, 1 << 20] {
        let large = pattern(size);
        for parts in [vec![large.clone()], vec![b"a".to_vec(), large.clone(), b"b".to_vec(), large]] {
            pair.a.encoder.push(&parts).unwrap();
            let octets = drain(&mut pair.a.encoder);
            for piece in octets.chunks(chunk) {
                reader.read(&mut pair.b.decoder, piece).unwrap();
            }
            expected.push(Event::Message(parts));
        }
    }
    assert!(reader.events == expected, "something arrived otherwise than it was sent");
    assert_eq!(pair.b.decoder.finish(), Ok(()));
}

#[test]
fn bodies_around_every_boundary_arrive_through_every_interface() {
    for interface in [Interface::Owned, Interface::Lent, Interface::Frames] {
        for chunk in [8191, 60_000, usize::MAX] {
            arrive(&NULL, &NULL, interface, chunk);
        }
        arrive(&CLIENT, &SERVER, interface, 8191);
        arrive(&CLIENT, &SERVER, interface, usize::MAX);
    }
}

/// Receives a frame with a body of `size` octets after a first read of `prefix` octets, and returns the address of its
/// payload relative to the memory that was lent for the rest of the body.
fn placed<O: Opener>(decoder: &mut Decoder<O>, octets: &[u8], header_len: usize, prefix: usize) -> (Bytes, usize) {
    let (start, rest) = octets.split_at(prefix);
    let mut room = decoder.receive_buffer(64 * 1024);
    let common = room.chunk_mut().as_mut_ptr().addr()..room.chunk_mut().as_mut_ptr().addr() + room.remaining_mut();
    room.put_slice(start);
    assert_eq!(decoder.poll(), Ok(None));
    let mut room = decoder.receive_buffer(64 * 1024);
    assert_eq!(room.remaining_mut(), rest.len(), "all that lacks, and not an octet of the next frame");
    let body = room.chunk_mut().as_mut_ptr().addr() - (prefix - header_len);
    assert!(!common.contains(&body), "the body has an allocation of its own");
    room.put_slice(rest);
    assert_eq!(decoder.poll(), Ok(Some(Decoded::Message)));
    let message = decoder.take_message();
    (message.first().clone(), body)
}

#[test]
fn a_large_body_stays_where_it_was_read_to() {
    for size in [LARGE_BODY, 100_000, AHEAD] {
        for prefix in [9, 10, 5000] {
            let body = pattern(size);
            let (payload, lent) = placed(&mut dealer().decoder, &part(false, &body), 9, prefix);
            assert!(payload == body);
            assert_eq!(payload.as_ptr().addr(), lent, "{size} {prefix}: only the prefix was moved");
        }
    }
}

#[test]
fn a_large_sealed_body_is_opened_where_it_was_read_to() {
    let config = ConnectionConfig::new(SocketType::Dealer);
    for size in [LARGE_BODY, 200_000] {
        let mut pair = Pair::<Fake, Fake>::new((&config, &CLIENT), (&config, &SERVER));
        let body = pattern(size);
        let octets = FakeSealer::default().frame(FrameKind::Last, &body);
        let (payload, lent) = placed(&mut pair.b.decoder, &octets, 9, 700);
        assert!(payload == body);
        // Behind the counter and the kind.
        assert_eq!(payload.as_ptr().addr(), lent + 9);
    }
}

#[test]
fn a_body_beyond_what_is_lent_ahead_arrives_whole() {
    let mut ready = dealer();
    let body = pattern(5 << 20);
    let mut octets = &part(false, &body)[..];
    while !octets.is_empty() {
        let count = ready.decoder.receive(octets);
        octets = &octets[count..];
        assert_eq!(ready.decoder.poll().unwrap().is_some(), octets.is_empty());
    }
    assert!(ready.decoder.take_message().first() == &body);
}

#[test]
fn a_large_body_that_came_in_one_read_is_not_copied() {
    let mut ready = dealer();
    let octets = message(&[&pattern(LARGE_BODY), &b"small"[..].to_vec()]);
    let mut room = ready.decoder.receive_buffer(octets.len());
    let base = room.chunk_mut().as_mut_ptr().addr();
    room.put_slice(&octets);
    assert_eq!(ready.decoder.poll(), Ok(Some(Decoded::Message)));
    assert_eq!(ready.decoder.message().first().as_ptr().addr(), base + 9);
    let message = ready.decoder.take_message();
    assert_eq!(message.parts()[0].as_ptr().addr(), base + 9);
    assert_eq!(message.parts()[1].as_ptr().addr(), base + 9 + LARGE_BODY + 2);
}

#[test]
fn a_lent_large_part_is_shared_when_it_is_sent_on_and_when_it_is_kept() {
    let mut ready = dealer();
    let octets = message(&[b"id".to_vec(), pattern(LARGE_BODY), b"end".to_vec()]);
    let mut reader = octets.chunks(1000);
    let found = reader.find_map(|piece| {
        let mut piece = piece;
        while !piece.is_empty() {
            let count = ready.decoder.receive(piece);
            piece = &piece[count..];
            if let Some(found) = ready.decoder.poll().unwrap() {
                return Some(found);
            }
        }
        None
    });
    assert_eq!(found, Some(Decoded::Message));
    let lent = ready.decoder.message();
    assert_eq!((lent.part_count(), lent.payload_len()), (3, LARGE_BODY + 5));
    assert_eq!((lent.get(0), lent.get(2), lent.get(3)), (Some(&b"id"[..]), Some(&b"end"[..]), None));
    assert!(matches!(AsMessage::part(&lent, 1), Part::Shared(_)));
    assert!(matches!(AsMessage::part(&lent, 0), Part::Borrowed(_)));
    let kept = lent.to_message();
    assert_eq!(kept.parts()[1].as_ptr(), lent.get(1).unwrap().as_ptr());
    assert_ne!(kept.parts()[0].as_ptr(), lent.get(0).unwrap().as_ptr());
    ready.encoder.push(&lent).unwrap();
    assert!(ready.encoder.chunks().any(|chunk| chunk.as_ptr() == kept.parts()[1].as_ptr()));
    assert!(drain(&mut ready.encoder) == octets);
}

#[test]
fn a_large_command_is_read_like_a_large_message() {
    let topic = pattern(LARGE_BODY + 100);
    let octets = [part(true, b"a"), command("SUBSCRIBE", &topic), part(false, b"b")].concat();
    for interface in [Interface::Owned, Interface::Frames] {
        let mut ready = ready(SocketType::Xpub, SocketType::Sub);
        let mut reader = Reader::new(interface);
        octets.chunks(999).for_each(|piece| reader.read(&mut ready.decoder, piece).unwrap());
        assert!(
            reader.events == [Event::Command(Command::Subscribe(topic.clone().into())), Event::message(&["a", "b"])]
        );
    }
}

#[test]
fn a_forged_large_body_ends_the_connection() {
    let config = ConnectionConfig::new(SocketType::Dealer);
    let mut pair = Pair::<Fake, Fake>::new((&config, &CLIENT), (&config, &SERVER));
    let mut octets = FakeSealer::default().frame(FrameKind::Last, &pattern(LARGE_BODY));
    octets[20_000] ^= 1;
    let found = support::decode(&mut pair.b.decoder, &octets, 5000);
    assert!(matches!(found, Err(DecodeError::Open(_))), "{found:?}");
    assert_eq!(pair.b.decoder.poll(), Err(DecodeError::Poisoned));
}

#[test]
fn what_was_lent_for_a_large_body_is_let_go_with_it() {
    let mut ready = dealer();
    let octets = [part(false, &pattern(1 << 20)), header(0, 5)].concat();
    assert_eq!(support::decode(&mut ready.decoder, &octets, 8192).unwrap().len(), 1);
    assert!(ready.decoder.receive_buffer(8192).get_ref().capacity() <= 64 << 10);
}
