//! Limits: exact at the boundary, in octets of payload, in the clear and under encryption; and memory that stays
//! bounded whatever a peer announces or repeats.
#![cfg(feature = "null")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use bytes::BufMut;
use support::fake::{Fake, FakeSealer, OVERHEAD};
use support::wire::{self, command, command_body, header, message, part};
use support::{Event, NULL, Pair, decode, drain, ready_limited};
use zmtp_connection::codec::{
    Command, FrameKind, HeartbeatContext, Mechanism, Opener, Ping, Pong, SocketType, Ttl, UnknownCommand,
};
use zmtp_connection::proto::{Decoded, Decoder};
use zmtp_connection::{ConnectionConfig, DecodeError, Limits};

const CLIENT: Fake = Fake::client([1; 32]);
const SERVER: Fake = Fake::server();
const TYPE: SocketType = SocketType::Dealer;

/// What is sent over a pair.
enum Sent {
    Message(Vec<usize>),
    Command(Command),
}

impl Sent {
    /// A message with parts of these sizes.
    fn parts(sizes: &[usize]) -> Self {
        Self::Message(sizes.to_vec())
    }

    /// An unknown command with a body of `len` octets.
    fn command(len: usize) -> Self {
        Self::Command(Command::Unknown(UnknownCommand::new("X", vec![0; len - 2]).unwrap()))
    }
}

fn over<A: Mechanism, B: Mechanism>(
    a: &A,
    b: &B,
    limits: &Limits,
    sent: &Sent,
    chunk: usize,
) -> Result<(), DecodeError> {
    let receiver = ConnectionConfig::builder(TYPE).limits(limits.clone()).build().unwrap();
    let mut pair = Pair::<A, B>::new((&ConnectionConfig::new(TYPE), a), (&receiver, b));
    let expected = match sent {
        Sent::Message(sizes) => {
            let parts: Vec<Vec<u8>> = sizes.iter().map(|&size| vec![b'p'; size]).collect();
            pair.a.encoder.push(&parts).unwrap();
            Event::Message(parts)
        }
        Sent::Command(command) => {
            pair.a.encoder.push_command(command).unwrap();
            Event::Command(command.clone())
        }
    };
    let octets = drain(&mut pair.a.encoder);
    let found = decode(&mut pair.b.decoder, &octets, chunk)?;
    assert_eq!(found, [expected]);
    Ok(())
}

/// What becomes of `sent` under both mechanisms, in pieces and at once; has to be the same.
fn under(limits: &Limits, sent: &Sent) -> Result<(), DecodeError> {
    let found = over(&NULL, &NULL, limits, sent, usize::MAX);
    assert_eq!(over(&NULL, &NULL, limits, sent, 1000), found, "in pieces");
    for chunk in [1000, usize::MAX] {
        assert_eq!(over(&CLIENT, &SERVER, limits, sent, chunk), found, "under FAKE");
    }
    found
}

#[test]
fn the_frame_limit_counts_payload_and_is_exact() {
    for limit in [0, 1, 255, 256, 1000, 50_000] {
        let limits = Limits::new().max_frame(limit);
        assert_eq!(under(&limits, &Sent::parts(&[limit])), Ok(()));
        assert_eq!(under(&limits, &Sent::parts(&[0, limit, limit])), Ok(()), "the limit is one frame's");
        let refused = Err(DecodeError::FrameTooLarge { size: limit as u64 + 1, limit });
        assert_eq!(under(&limits, &Sent::parts(&[limit + 1])), refused);
        assert_eq!(under(&limits, &Sent::parts(&[0, limit + 1])), refused);
    }
}

#[test]
fn the_message_limit_counts_all_parts_and_is_exact() {
    let limits = Limits::new().max_message(1000);
    for sizes in [&[1000][..], &[600, 400], &[0, 1000, 0], &[1; 1000]] {
        assert_eq!(under(&limits, &Sent::parts(sizes)), Ok(()));
    }
    let refused = Err(DecodeError::MessageTooLarge { at_least: 1001, limit: 1000 });
    for sizes in [&[1001][..], &[600, 401], &[600, 401, 5], &[0, 1000, 1], &[1; 1001]] {
        assert_eq!(under(&limits, &Sent::parts(sizes)), refused);
    }
    // F10
    assert_eq!(under(&Limits::new().max_frame(10), &Sent::parts(&[8, 8])), Ok(()));
    let refused = Err(DecodeError::MessageTooLarge { at_least: 16, limit: 10 });
    assert_eq!(under(&Limits::new().max_message(10), &Sent::parts(&[8, 8])), refused);
    // F09
    let refused = Err(DecodeError::FrameTooLarge { size: 11, limit: 10 });
    assert_eq!(under(&Limits::new().max_frame(10), &Sent::parts(&[11])), refused);
}

#[test]
fn every_message_is_counted_anew() {
    let octets = [message(&["12345", "67890"]), message(&["1234567890"]), message(&["12345678901"])].concat();
    let mut ready = ready_limited(TYPE, TYPE, Limits::new().max_message(10));
    let (events, error) = support::decode_until(&mut ready.decoder, &octets, 3);
    assert_eq!(events.len(), 2);
    assert_eq!(error, Some(DecodeError::MessageTooLarge { at_least: 11, limit: 10 }));
}

#[test]
fn the_part_limit_is_exact() {
    for (limit, counted) in [(0, 1), (1, 1), (2, 2), (3, 3), (4096, 4096)] {
        let limits = Limits::new().max_parts(limit);
        assert_eq!(under(&limits, &Sent::parts(&vec![0; counted])), Ok(()));
        let refused = Err(DecodeError::TooManyParts { limit: counted });
        assert_eq!(under(&limits, &Sent::parts(&vec![0; counted + 1])), refused);
    }
}

#[test]
fn the_command_limit_is_exact_and_no_frame_limit_touches_it() {
    for limit in [23, 255, 256, 1000, 40_000] {
        for limits in [Limits::new(), Limits::new().max_frame(0).max_message(0)] {
            let limits = limits.max_command(limit);
            assert_eq!(under(&limits, &Sent::command(limit)), Ok(()));
            let refused = Err(DecodeError::CommandTooLarge { size: limit as u64 + 1, limit });
            let found = under_null(&limits, &Sent::command(limit + 1));
            assert_eq!(found, refused);
        }
        let refused = Err(DecodeError::CommandTooLarge { size: limit as u64 + 1, limit });
        assert_eq!(under(&Limits::new().max_command(limit), &Sent::command(limit + 1)), refused);
    }
}

fn under_null(limits: &Limits, sent: &Sent) -> Result<(), DecodeError> {
    over(&NULL, &NULL, limits, sent, usize::MAX)
}

#[test]
fn heartbeats_fit_into_any_limits() {
    // F11, and the largest there are.
    let limits = Limits::new().max_frame(0).max_message(0).max_parts(0).max_command(0);
    let context = HeartbeatContext::new(&[9; 16]).unwrap();
    for ctx in [context, HeartbeatContext::new(b"four").unwrap()] {
        let mut ready = ready_limited(TYPE, TYPE, limits.clone());
        let ping = Ping::new(Ttl::from_deciseconds(u16::MAX), ctx);
        let octets = wire::ping(u16::MAX, ctx.as_bytes());
        assert_eq!(decode(&mut ready.decoder, &octets, 1), Ok(vec![Event::Ping(ping)]));
        let octets = command("PONG", ctx.as_bytes());
        assert_eq!(decode(&mut ready.decoder, &octets, 1), Ok(vec![Event::Pong(Pong::new(ctx))]));
    }
}

#[test]
fn in_the_clear_every_limit_is_checked_from_the_header() {
    let limits = Limits::new().max_frame(5000).max_message(6000).max_command(100);
    let from_header = |octets: &[u8]| {
        let mut ready = ready_limited(TYPE, TYPE, limits.clone());
        decode(&mut ready.decoder, octets, usize::MAX)
    };
    assert_eq!(from_header(&header(2, 5001)), Err(DecodeError::FrameTooLarge { size: 5001, limit: 5000 }));
    assert_eq!(from_header(&header(4, 101)), Err(DecodeError::CommandTooLarge { size: 101, limit: 100 }));
    let octets = [part(true, &[0; 4000]), header(2, 2001)].concat();
    assert_eq!(from_header(&octets), Err(DecodeError::MessageTooLarge { at_least: 6001, limit: 6000 }));
    assert_eq!(from_header(&octets[..octets.len() - 1]), Ok(vec![]));
}

#[test]
fn under_encryption_the_header_is_held_against_the_limit_and_the_overhead() {
    let limits = Limits::new().max_frame(100_000).max_message(100_000);
    let from_header = |size: usize| {
        let receiver = ConnectionConfig::builder(TYPE).limits(limits.clone()).build().unwrap();
        let mut pair = Pair::<Fake, Fake>::new((&ConnectionConfig::new(TYPE), &CLIENT), (&receiver, &SERVER));
        decode(&mut pair.b.decoder, &header(2, size as u64), usize::MAX)
    };
    assert_eq!(from_header(100_000 + OVERHEAD), Ok(vec![]));
    let size = 100_000 + OVERHEAD + 1;
    assert_eq!(from_header(size), Err(DecodeError::FrameTooLarge { size: size as u64, limit: 100_000 }));
    assert_eq!(under(&limits, &Sent::parts(&[100_000])), Ok(()));
}

#[test]
fn a_flood_of_empty_parts_ends() {
    let mut ready = ready_limited(TYPE, TYPE, Limits::new());
    let octets = part(true, b"").repeat(4097);
    assert_eq!(decode(&mut ready.decoder, &octets, 4096), Err(DecodeError::TooManyParts { limit: 4096 }));
    assert!(ready.decoder.receive_buffer(1).get_ref().capacity() < 1024, "what was received of it is let go");
}

#[test]
fn a_declared_size_lends_a_quarter_of_a_mebibyte_at_most() {
    let limits = Limits::new().max_frame(usize::MAX).max_message(usize::MAX);
    let mut ready = ready_limited(TYPE, TYPE, limits);
    assert_eq!(decode(&mut ready.decoder, &header(2, 1 << 40), usize::MAX), Ok(vec![]));
    let mut received = 0;
    while received < 3 << 20 {
        let mut room = ready.decoder.receive_buffer(8192);
        let (lent, capacity) = (room.remaining_mut(), room.get_ref().capacity());
        assert!(lent > 0);
        assert!(capacity <= 2 * received + (256 << 10), "{capacity} octets reserved after {received}");
        let count = lent.min(5000);
        room.put_bytes(0, count);
        received += count;
        assert_eq!(ready.decoder.poll(), Ok(None));
    }
}

/// Sends `flood` between two parts of a message until 10 MB have gone by.
fn flood<O: Opener>(decoder: &mut Decoder<O>, mut next: impl FnMut() -> Vec<u8>, last: impl FnOnce() -> Vec<u8>) {
    let (mut sent, mut found, mut most) = (0, 0, 0);
    while sent < 10_000_000 {
        let mut octets = Vec::new();
        while octets.len() < 8000 {
            octets.extend(next());
        }
        sent += octets.len();
        let mut room = decoder.receive_buffer(8192);
        most = most.max(room.get_ref().capacity());
        room.put_slice(&octets);
        while let Some(event) = decoder.poll().unwrap() {
            assert!(!matches!(event, Decoded::Message));
            found += 1;
        }
    }
    assert!(found > 9_000);
    assert!(most <= 64 << 10, "{most} octets of buffer");
    decoder.receive(&last());
    assert_eq!(decoder.poll(), Ok(Some(Decoded::Message)));
    assert_eq!(decoder.take_message().parts(), ["first", "second", "last"]);
}

#[test]
fn commands_between_two_parts_fill_no_memory() {
    for octets in [wire::ping(0, b"0123456789abcdef"), command("FLOOD", &[b'x'; 1000])] {
        let mut ready = ready_limited(TYPE, TYPE, Limits::new());
        assert_eq!(decode(&mut ready.decoder, &part(true, b"first"), 1), Ok(vec![]));
        assert_eq!(decode(&mut ready.decoder, &part(true, b"second"), 1), Ok(vec![]));
        flood(&mut ready.decoder, || octets.clone(), || part(false, b"last"));
    }
}

#[test]
fn commands_between_two_parts_fill_no_memory_under_encryption() {
    let config = ConnectionConfig::new(TYPE);
    let mut pair = Pair::<Fake, Fake>::new((&config, &CLIENT), (&config, &SERVER));
    let sealer = std::cell::RefCell::new(FakeSealer::default());
    let seal = |kind, payload: &[u8]| sealer.borrow_mut().frame(kind, payload);
    let start = [seal(FrameKind::More, b"first"), seal(FrameKind::More, b"second")].concat();
    assert_eq!(decode(&mut pair.b.decoder, &start, 1), Ok(vec![]));
    let body = command_body("PING", b"\0\x05");
    flood(&mut pair.b.decoder, || seal(FrameKind::Command, &body), || seal(FrameKind::Last, b"last"));
}
