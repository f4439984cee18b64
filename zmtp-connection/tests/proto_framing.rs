//! Frames and commands on a ready connection, case by case.
#![cfg(feature = "null")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use support::wire::{self, command, frame, header, message, part, property};
use support::{Event, decode, decode_until, ready};
use zmtp_connection::DecodeError;
use zmtp_connection::codec::{Command, CommandError, ErrorReason, FrameError, SocketType, UnknownCommand};

fn unknown(name: &'static str, data: &'static [u8]) -> Event {
    Event::Command(Command::Unknown(UnknownCommand::new(name, data).unwrap()))
}

/// Asserts that `octets` end a connection with `error`: a message before them is delivered, one behind them is not,
/// and nothing more is heard afterwards.
fn ends(case: &str, octets: &[u8], error: &DecodeError) {
    let octets = [message(&["before", ""]), octets.to_vec(), message(&["behind"])].concat();
    for chunk in [1, 7, usize::MAX] {
        let mut ready = ready(SocketType::Dealer, SocketType::Dealer);
        let (events, found) = decode_until(&mut ready.decoder, &octets, chunk);
        assert_eq!(found.as_ref(), Some(error), "{case}");
        assert_eq!(events, [Event::message(&["before", ""])], "{case}");
        assert_eq!(ready.decoder.poll(), Err(DecodeError::Poisoned), "{case}");
        // A good frame that comes after the error changes nothing.
        ready.decoder.receive(&message(&["late"]));
        assert_eq!(ready.decoder.poll(), Err(DecodeError::Poisoned), "{case}: late");
        assert_eq!(ready.decoder.poll_frame(), Err(DecodeError::Poisoned), "{case}");
        assert_eq!(ready.decoder.finish(), Err(DecodeError::Poisoned), "{case}");
    }
}

/// Asserts that a socket of this type reads these events, and drops so many things.
fn reads(case: &str, ours: SocketType, peer: SocketType, octets: &[u8], events: &[Event], ignored: u64) {
    for chunk in [1, 3, usize::MAX] {
        let mut ready = ready(ours, peer);
        assert_eq!(decode(&mut ready.decoder, octets, chunk).as_deref(), Ok(events), "{case}");
        assert_eq!(ready.decoder.ignored(), ignored, "{case}");
        assert_eq!(ready.decoder.finish(), Ok(()), "{case}");
    }
}

fn dealer_reads(case: &str, octets: &[u8], events: &[Event]) {
    reads(case, SocketType::Dealer, SocketType::Dealer, octets, events, 0);
}

#[test]
fn frames_outside_the_grammar_end_the_connection() {
    let reserved = |flags| DecodeError::Frame(FrameError::ReservedFlags { flags });
    let with_more = |flags| DecodeError::Frame(FrameError::CommandWithMore { flags });
    ends("F01", &frame(0x08, b"a"), &reserved(0x08));
    ends("F02", &frame(0xf8, b"a"), &reserved(0xf8));
    ends("F18", &frame(0x05, b"\x03FOO"), &with_more(5));
    ends("F23, S08", &frame(0x05, b"\x09SUBSCRIBEabc"), &with_more(5));
    ends("F18 long", &frame(0x07, b"\x03FOO"), &with_more(7));
    for size in [1 << 63, u64::MAX] {
        let error = DecodeError::Frame(FrameError::SizeOutOfRange { size });
        ends("F05, F06", &header(2, size), &error);
        ends("F05, F06 in a command", &header(6, size), &error);
    }
}

#[test]
fn sizes_beyond_the_limit_are_refused_from_the_header() {
    // F07, F08, and the sizes at which arithmetic wraps.
    for size in [(64 << 20) + 1, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 32) + 1, 1 << 40, 1 << 62, (1 << 63) - 1] {
        for flags in [2, 3] {
            let error = DecodeError::FrameTooLarge { size, limit: 64 << 20 };
            ends(&format!("{size:#x}"), &header(flags, size), &error);
        }
        let error = DecodeError::CommandTooLarge { size, limit: 64 << 10 };
        ends(&format!("{size:#x}"), &header(6, size), &error);
    }
}

#[test]
fn malformed_commands_end_the_connection() {
    let command_error = DecodeError::Command;
    ends("F12", &[4, 0], &command_error(CommandError::EmptyBody));
    let cut = CommandError::NameTruncated { declared: 9, available: 1 };
    ends("F13", &[4, 2, 9, b'A'], &command_error(cut));
    ends("F14", &[4, 1, 0], &command_error(CommandError::EmptyName));
}

#[test]
fn commands_of_the_handshake_end_the_connection() {
    ends("F16", &command("READY", &property("Socket-Type", b"DEALER")), &DecodeError::UnexpectedReady);
    let reason = ErrorReason::new("go away").unwrap();
    ends("F17", &wire::error("go away"), &DecodeError::PeerError { reason });
    let missing = DecodeError::Command(CommandError::ReasonLengthMissing);
    ends("a malformed ERROR", &command("ERROR", b""), &missing);
}

#[test]
fn long_headers_for_short_bodies_are_accepted() {
    dealer_reads("F03", &frame(2, b"a"), &[Event::message(&["a"])]);
    dealer_reads("F04", &frame(2, b""), &[Event::message(&[""])]);
    dealer_reads("in parts", &[frame(3, b"a"), frame(2, b"b")].concat(), &[Event::message(&["a", "b"])]);
    dealer_reads("a command", &frame(6, b"\x03FOO"), &[unknown("FOO", b"")]);
}

#[test]
fn unknown_commands_are_surfaced_and_end_nothing() {
    let data = || Event::message(&["ok"]);
    dealer_reads("F15", &[command("FOO", b"x"), message(&["ok"])].concat(), &[unknown("FOO", b"x"), data()]);
    let ping = [command("ping", b"\0\0"), message(&["ok"])].concat();
    dealer_reads("F24", &ping, &[unknown("ping", b"\0\0"), data()]);
    let subscribe = [command("subscribe", b"abc"), message(&["ok"])].concat();
    reads("S10", SocketType::Pub, SocketType::Sub, &subscribe, &[unknown("subscribe", b"abc"), data()], 0);
}

#[test]
fn subscriptions_and_groups_are_dropped_and_counted_where_they_mean_nothing() {
    use SocketType::{Dealer, Dish, Pub, Pull, Push, Radio, Sub};
    let data = [Event::message(&["ok"])];
    let and_data = |name, argument: &[u8]| [command(name, argument), message(&["ok"])].concat();
    reads("F20", Pull, Push, &and_data("SUBSCRIBE", b"abc"), &data, 1);
    reads("F21", Pull, Push, &and_data("CANCEL", b"abc"), &data, 1);
    reads("F22", Pull, Push, &and_data("JOIN", b"abc"), &data, 1);
    reads("F22", Pull, Push, &and_data("LEAVE", b"abc"), &data, 1);
    reads("F25", Dealer, Dealer, &and_data("SUBSCRIBE", b"abc"), &data, 1);
    reads("S15", Sub, Pub, &and_data("SUBSCRIBE", b"abc"), &data, 1);
    reads("JOIN to a PUB", Pub, Sub, &and_data("JOIN", b"abc"), &data, 1);
    let subscribe = [command("SUBSCRIBE", b"abc"), command("CANCEL", b"")].concat();
    reads("to a RADIO", Radio, Dish, &subscribe, &[], 2);
}

#[test]
fn a_ping_between_the_parts_of_a_message_leaves_it_whole() {
    // F19
    let octets = [part(true, b"a"), wire::ping(3, b"mid"), command("X", b""), part(false, b"b")].concat();
    let mut ready = ready(SocketType::Dealer, SocketType::Dealer);
    let events = decode(&mut ready.decoder, &octets, 1).unwrap();
    let Event::Ping(ping) = &events[0] else { panic!("{events:?}") };
    assert_eq!(ping.context.as_bytes(), b"mid");
    assert_eq!(events[1..], [unknown("X", b""), Event::message(&["a", "b"])]);
    // It is answered with the same context, whole.
    ready.encoder.push_pong(ping.pong()).unwrap();
    assert_eq!(support::drain(&mut ready.encoder), command("PONG", b"mid"));
}

#[test]
fn data_that_looks_like_a_command_is_data() {
    let ping = b"\x04PING\0\0";
    dealer_reads("B11", &part(false, ping), &[Event::message(&[ping])]);
    let subscribe = b"\x09SUBSCRIBEabc";
    reads("S09", SocketType::Xpub, SocketType::Sub, &part(false, subscribe), &[Event::message(&[subscribe])], 0);
    // F26: what a PUSH does with messages is the socket's business.
    reads("F26", SocketType::Push, SocketType::Pull, &message(&["x"]), &[Event::message(&["x"])], 0);
}

#[test]
fn the_end_of_the_stream_is_clean_only_between_messages() {
    // F27, F28
    let whole = [message(&["a", &"b".repeat(300)]), wire::ping(0, b"")].concat();
    let boundaries = [0, whole.len() - 9, whole.len()];
    for cut in 0..=whole.len() {
        let mut ready = ready(SocketType::Dealer, SocketType::Dealer);
        decode(&mut ready.decoder, &whole[..cut], 10).unwrap();
        let expected = if boundaries.contains(&cut) { Ok(()) } else { Err(DecodeError::Truncated) };
        assert_eq!(ready.decoder.finish(), expected, "{cut}");
        assert_eq!(ready.decoder.finish().is_err(), expected.is_err(), "{cut}");
    }
    // In the middle of a large body as well.
    let mut ready = ready(SocketType::Dealer, SocketType::Dealer);
    assert_eq!(decode(&mut ready.decoder, &part(false, &[0; 100_000])[..50_000], 1000), Ok(vec![]));
    assert_eq!(ready.decoder.finish(), Err(DecodeError::Truncated));
}

#[test]
fn a_message_that_was_not_taken_is_gone_at_the_next_poll() {
    let mut ready = ready(SocketType::Dealer, SocketType::Dealer);
    ready.decoder.receive(&[message(&["first", "1"]), message(&["second"])].concat());
    assert!(ready.decoder.poll().unwrap().is_some());
    assert_eq!(ready.decoder.message().parts().collect::<Vec<_>>(), [&b"first"[..], b"1"]);
    assert!(ready.decoder.poll().unwrap().is_some());
    assert_eq!(ready.decoder.message().parts().collect::<Vec<_>>(), [b"second"]);
    let message = ready.decoder.take_message();
    assert_eq!(message.parts(), ["second"]);
    assert_eq!(ready.decoder.poll(), Ok(None));
}

#[test]
fn thousands_of_messages_in_one_read_come_out_one_by_one() {
    let octets = message(&["x"]).repeat(20_000);
    let mut ready = ready(SocketType::Dealer, SocketType::Dealer);
    assert_eq!(decode(&mut ready.decoder, &octets, usize::MAX).unwrap().len(), 20_000);
}
