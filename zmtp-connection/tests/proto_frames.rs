//! The incremental interface: frame by frame, for messages too large to hold.
#![cfg(feature = "null")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use support::wire::{self, command, message, part};
use support::{ReadyNull, ready, ready_limited};
use zmtp_connection::codec::SocketType;
use zmtp_connection::proto::{Decoded, DecodedFrame, Decoder};
use zmtp_connection::{DecodeError, Limits};

fn dealer(limits: Limits) -> ReadyNull {
    ready_limited(SocketType::Dealer, SocketType::Dealer, limits)
}

fn frame(payload: &str, more: bool) -> Result<Option<DecodedFrame>, DecodeError> {
    Ok(Some(DecodedFrame::Part { payload: payload.to_owned().into(), more }))
}

fn receive<O: zmtp_connection::codec::Opener>(decoder: &mut Decoder<O>, octets: &[u8]) {
    assert_eq!(decoder.receive(octets), octets.len());
}

#[test]
fn every_frame_is_there_as_soon_as_it_is_whole() {
    let decoder = &mut dealer(Limits::new()).decoder;
    for octet in part(true, b"ab") {
        assert_eq!(decoder.poll_frame(), Ok(None));
        receive(decoder, &[octet]);
    }
    assert_eq!(decoder.poll_frame(), frame("ab", true));
    assert_eq!(decoder.poll_frame(), Ok(None));
    receive(decoder, &part(false, b"c"));
    assert_eq!(decoder.poll_frame(), frame("c", false));
    assert_eq!(decoder.finish(), Ok(()));
}

#[test]
fn limits_of_whole_messages_do_not_apply_but_the_frame_limit_does() {
    let decoder = &mut dealer(Limits::new().max_frame(10).max_message(15).max_parts(2)).decoder;
    receive(decoder, &message(&["0123456789"; 5]));
    for more in [true, true, true, true, false] {
        assert_eq!(decoder.poll_frame(), frame("0123456789", more));
    }
    receive(decoder, &message(&["0", "0123456789x"]));
    assert_eq!(decoder.poll_frame(), frame("0", true));
    assert_eq!(decoder.poll_frame(), Err(DecodeError::FrameTooLarge { size: 11, limit: 10 }));
    assert_eq!(decoder.poll_frame(), Err(DecodeError::Poisoned));
}

#[test]
fn rules_of_the_socket_type_do_not_apply() {
    let mut dish = ready(SocketType::Dish, SocketType::Radio);
    receive(&mut dish.decoder, &message(&["single"]));
    assert_eq!(dish.decoder.poll_frame(), frame("single", false));
    let mut server = ready(SocketType::Server, SocketType::Client);
    receive(&mut server.decoder, &message(&["a", "b"]));
    assert_eq!(server.decoder.poll_frame(), frame("a", true));
    assert_eq!(server.decoder.poll_frame(), frame("b", false));
    assert_eq!(server.decoder.ignored(), 0);
}

#[test]
fn a_message_begun_frame_by_frame_is_read_to_its_end_so() {
    let decoder = &mut dealer(Limits::new()).decoder;
    receive(decoder, &[message(&["a", "b"]), message(&["c", "d"])].concat());
    assert_eq!(decoder.poll_frame(), frame("a", true));
    for _ in 0..2 {
        assert_eq!(decoder.poll(), Err(DecodeError::MidMessage), "a mistake of the caller's ends nothing");
    }
    assert_eq!(decoder.poll_frame(), frame("b", false));
    assert_eq!(decoder.poll(), Ok(Some(Decoded::Message)));
    assert_eq!(decoder.take_message().parts(), ["c", "d"]);
}

#[test]
fn a_message_that_poll_has_begun_can_be_taken_over() {
    let large = "l".repeat(40_000);
    for taken_over_at in 1..4 {
        let decoder = &mut dealer(Limits::new()).decoder;
        let parts = ["a", "", &large, "d"];
        let pieces = [part(true, b"a"), part(true, b""), part(true, large.as_bytes()), part(false, b"d")];
        for piece in &pieces[..taken_over_at] {
            let mut piece = &piece[..];
            while !piece.is_empty() {
                let count = decoder.receive(&piece[..piece.len().min(999)]);
                piece = &piece[count..];
                assert_eq!(decoder.poll(), Ok(None));
            }
        }
        // A PING in between belongs to whoever polls.
        receive(decoder, &wire::ping(0, b""));
        assert!(matches!(decoder.poll(), Ok(Some(Decoded::Ping(_)))));
        for piece in &parts[..taken_over_at] {
            assert_eq!(decoder.poll_frame(), frame(piece, true), "{taken_over_at}");
        }
        assert_eq!(decoder.poll_frame(), Ok(None));
        assert_eq!(decoder.poll(), Err(DecodeError::MidMessage));
        receive(decoder, &pieces[taken_over_at..].concat());
        for (at, piece) in parts.iter().enumerate().skip(taken_over_at) {
            assert_eq!(decoder.poll_frame(), frame(piece, at < 3), "{taken_over_at}");
        }
        receive(decoder, &message(&["next"]));
        assert_eq!(decoder.poll(), Ok(Some(Decoded::Message)));
        assert_eq!(decoder.take_message().parts(), ["next"]);
        assert_eq!(decoder.finish(), Ok(()));
    }
}

#[test]
fn a_message_taken_over_is_not_counted_against_the_next_one() {
    let decoder = &mut dealer(Limits::new().max_message(10)).decoder;
    receive(decoder, &part(true, b"0123456789"));
    assert_eq!(decoder.poll(), Ok(None));
    assert_eq!(decoder.poll_frame(), frame("0123456789", true));
    receive(decoder, &[part(false, b"0123456789"), message(&["0123456789"])].concat());
    assert_eq!(decoder.poll_frame(), frame("0123456789", false));
    assert_eq!(decoder.poll(), Ok(Some(Decoded::Message)));
}

#[test]
fn an_announced_message_that_is_not_taken_is_gone() {
    let decoder = &mut dealer(Limits::new()).decoder;
    receive(decoder, &[message(&["a", "b"]), message(&["c"])].concat());
    assert_eq!(decoder.poll(), Ok(Some(Decoded::Message)));
    assert_eq!(decoder.poll_frame(), frame("c", false));
}

#[test]
fn commands_and_heartbeats_come_between_frames() {
    let decoder = &mut dealer(Limits::new()).decoder;
    receive(
        decoder,
        &[part(true, b"a"), wire::ping(1, b"x"), command("PONG", b"y"), command("Z", b""), part(false, b"b")].concat(),
    );
    assert_eq!(decoder.poll_frame(), frame("a", true));
    assert!(matches!(decoder.poll_frame(), Ok(Some(DecodedFrame::Ping(ping))) if ping.context.as_bytes() == b"x"));
    assert!(matches!(decoder.poll_frame(), Ok(Some(DecodedFrame::Pong(pong))) if pong.context.as_bytes() == b"y"));
    assert!(matches!(decoder.poll_frame(), Ok(Some(DecodedFrame::Command(_)))));
    assert_eq!(decoder.poll_frame(), frame("b", false));
}

#[test]
fn a_stream_that_ends_between_the_frames_of_a_message_is_truncated() {
    let decoder = &mut dealer(Limits::new()).decoder;
    receive(decoder, &part(true, b"a"));
    assert_eq!(decoder.poll_frame(), frame("a", true));
    assert_eq!(decoder.finish(), Err(DecodeError::Truncated));
}

#[test]
fn frames_before_an_error_are_delivered() {
    let decoder = &mut dealer(Limits::new()).decoder;
    receive(decoder, &[part(true, b"a"), wire::frame(8, b"")].concat());
    assert_eq!(decoder.poll_frame(), frame("a", true));
    assert!(matches!(decoder.poll_frame(), Err(DecodeError::Frame(_))));
}

#[test]
fn a_ready_connection_of_another_type_reads_frames_from_its_handshake_segment() {
    let octets = [&wire::GREETING[..], &wire::ready("PUSH"), &message(&["a", "b"])].concat();
    let config = zmtp_connection::ConnectionConfig::new(SocketType::Pull);
    let zmtp_connection::proto::Outcome::Ready(mut ready) = support::feed(&config, &support::NULL, &octets, usize::MAX)
    else {
        panic!()
    };
    assert_eq!(ready.decoder.poll_frame(), frame("a", true));
    assert_eq!(ready.decoder.poll_frame(), frame("b", false));
}
