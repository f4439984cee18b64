//! CURVE after the handshake, through a whole core: what is delivered, in what order it is checked, what ends the
//! connection, and what limits count. The peer is written by hand.
#![cfg(all(feature = "curve", feature = "null"))]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod curve_support;
mod support;

use bytes::{BufMut, Bytes};
use curve_support::{
    COMMAND, Curve, LAST, MORE, OVERHEAD, SERVER_GREETING, Sealed, Session, client, message, ready_client,
    ready_server, server,
};
use support::{Event, Interface, Pair, Reader, decode, decode_until, drain, wire};
use zmtp_connection::codec::{
    Command, ErrorReason, Group, HeartbeatContext, OpenError, Ping, SocketType, Ttl, UnknownCommand, Version,
};
use zmtp_connection::proto::{Decoded, LARGE_BODY};
use zmtp_connection::{ConnectionConfig, DecodeError, EncodedMessage, Limits, PushError};

fn config(socket_type: SocketType) -> ConnectionConfig {
    ConnectionConfig::new(socket_type)
}

/// Our server and our client, each with the peer's end. Either way the peer's next number is what an honest one's is.
fn both(config: &ConnectionConfig, peer: SocketType) -> [(Curve, Session); 2] {
    [ready_server(config, &server(), peer), ready_client(config, &client(), SERVER_GREETING, peer)]
}

fn dealers() -> [(Curve, Session); 2] {
    both(&config(SocketType::Dealer), SocketType::Dealer)
}

fn limited(limits: Limits) -> (Curve, Session) {
    let config = ConnectionConfig::builder(SocketType::Dealer).limits(limits).build().unwrap();
    ready_server(&config, &server(), SocketType::Dealer)
}

/// Gives `octets` at once: exactly `delivered` comes out, then `error`; and then nothing more, ever, in either direction.
fn ends_with(mut ready: Curve, octets: &[u8], delivered: &[&str], error: &DecodeError) {
    // Were the frame skipped, this would be the error.
    let behind = [octets, &wire::frame(0x80, b"")].concat();
    let (events, found) = decode_until(&mut ready.decoder, &behind, usize::MAX);
    let expected: Vec<Event> = delivered.iter().map(|part| Event::message(&[part])).collect();
    assert_eq!(events, expected);
    assert_eq!(found.as_ref(), Some(error));
    assert_eq!(ready.decoder.poll(), Err(DecodeError::Poisoned));
    assert_eq!(ready.decoder.poll_frame(), Err(DecodeError::Poisoned));
    assert_eq!(ready.decoder.buffered(), 0);
    assert_eq!(ready.encoder.pending(), 0, "nothing is said");
}

fn malformed(problem: &'static str) -> DecodeError {
    OpenError::Malformed(problem).into()
}

const NO_MESSAGE: &str = "it is no CURVE MESSAGE";
const TOO_SHORT: &str = "a CURVE MESSAGE has at least 33 octets";

// ─── numbers and boxes ───────────────────────────────────────────────────────────────────────────────────────────────

/// C40, C41, C42, C83.
#[test]
fn a_number_that_is_not_new_ends_the_connection_after_what_came_before() {
    for (ready, session) in dealers() {
        ends_with(
            ready,
            &[session.numbered(3, b"a"), session.numbered(3, b"b")].concat(),
            &["a"],
            &OpenError::Sequence.into(),
        );
    }
    for (ready, session) in dealers() {
        ends_with(
            ready,
            &[session.numbered(5, b"a"), session.numbered(4, b"b")].concat(),
            &["a"],
            &OpenError::Sequence.into(),
        );
    }
    for (ready, session) in dealers() {
        // The number of INITIATE, or of READY.
        ends_with(ready, &session.numbered(session.next - 1, b"x"), &[], &OpenError::Sequence.into());
    }
}

/// C43.
#[test]
fn a_gap_is_borne_unless_gaps_are_refused() {
    for (mut ready, session) in dealers() {
        let octets = [session.numbered(3, b"a"), session.numbered(1000, b"b"), session.numbered(1001, b"c")].concat();
        let events = decode(&mut ready.decoder, &octets, usize::MAX).unwrap();
        assert_eq!(events, ["a", "b", "c"].map(|part| Event::message(&[part])));
    }
    let config = config(SocketType::Dealer);
    let strict = [
        ready_server(&config, &server().refuse_gaps(), SocketType::Dealer),
        ready_client(&config, &client().refuse_gaps(), SERVER_GREETING, SocketType::Dealer),
    ];
    for (ready, session) in strict {
        let next = session.next;
        let octets = [session.numbered(next, b"a"), session.numbered(next + 2, b"b")].concat();
        ends_with(ready, &octets, &["a"], &OpenError::Sequence.into());
    }
}

/// C44.
#[test]
fn nothing_can_follow_the_last_number() {
    for (ready, session) in dealers() {
        let octets = [session.numbered(u64::MAX, b"a"), session.numbered(u64::MAX, b"b")].concat();
        ends_with(ready, &octets, &["a"], &OpenError::Sequence.into());
    }
    for (ready, session) in dealers() {
        let octets = [session.numbered(u64::MAX, b"a"), session.numbered(0, b"b")].concat();
        ends_with(ready, &octets, &["a"], &OpenError::Sequence.into());
    }
}

/// C45, at every octet behind the frame header.
#[test]
fn one_changed_bit_anywhere_ends_the_connection_and_nothing_of_the_frame_is_seen() {
    let config = config(SocketType::Dealer);
    let (server, frame_len) = (server(), 2 + OVERHEAD + 3);
    for at in 2..frame_len {
        let (ready, session) = ready_server(&config, &server, SocketType::Dealer);
        let mut forged = session.numbered(4, b"abc");
        assert_eq!(forged.len(), frame_len);
        forged[at] ^= 0x01;
        let error = if at < 10 { malformed(NO_MESSAGE) } else { OpenError::Forged.into() };
        ends_with(ready, &[session.numbered(3, b"before"), forged].concat(), &["before"], &error);
    }
}

/// C46: what we have sent comes back to us, as it was or as the peer can make it.
#[test]
fn what_we_have_sent_is_not_accepted_from_the_peer() {
    for (ready, session) in dealers() {
        ends_with(ready, &session.reflected(7, LAST, b"x"), &[], &OpenError::Forged.into());
    }
    for (mut ready, _) in dealers() {
        ready.encoder.push("ours").unwrap();
        ready.encoder.push("too").unwrap();
        let ours = drain(&mut ready.encoder);
        // A server counts from 2, the number of the client's INITIATE: its second is new enough to be looked at.
        ends_with(ready, &ours[2 + OVERHEAD + 4..], &[], &OpenError::Forged.into());
    }
}

/// C47, C50: every length without room for a payload.
#[test]
fn a_message_with_no_room_for_flags_is_refused() {
    let (ready, session) = ready_server(&config(SocketType::Dealer), &server(), SocketType::Dealer);
    let octets = session.without_flags();
    assert_eq!(octets.len(), 2 + 32);
    ends_with(ready, &octets, &[], &malformed(TOO_SHORT));
    let whole = session.body(3, LAST, b"");
    assert_eq!(whole.len(), OVERHEAD);
    for len in 0..OVERHEAD {
        let (ready, _) = ready_server(&config(SocketType::Dealer), &server(), SocketType::Dealer);
        let problem = if len < 16 { NO_MESSAGE } else { TOO_SHORT };
        ends_with(ready, &message(&whole[..len]), &[], &malformed(problem));
    }
}

/// C48 to C50, C55, C56: in frames of every kind.
#[test]
fn nothing_in_the_clear_is_accepted_and_no_ping_answered() {
    let plain: [Vec<u8>; 8] = [
        b"hello".to_vec(),
        vec![7; 300],
        Vec::new(),
        wire::command_body("PING", b"\0\0ctx"),
        wire::command_body("HELLO", &curve_support::hello_data()),
        wire::command_body("ERROR", b"\x03400"),
        wire::command_body("SUBSCRIBE", b""),
        wire::command_body("READY", &curve_support::metadata("DEALER")),
    ];
    for body in plain {
        for flags in [0, 1, 4] {
            for (ready, mut session) in dealers() {
                let long = if body.len() > 255 { 2 } else { 0 };
                let octets = [session.frame(LAST, b"before"), wire::frame(flags | long, &body)].concat();
                ends_with(ready, &octets, &["before"], &malformed(NO_MESSAGE));
            }
        }
    }
}

/// C51, C52: what stands outside is not authenticated, and counts for nothing.
#[test]
fn the_flags_outside_make_no_difference() {
    for (mut ready, session) in dealers() {
        let mut octets = Vec::new();
        for (at, flags) in [4, 1, 0, 2, 6, 3].into_iter().enumerate() {
            octets.extend(wire::frame(flags, &session.body(3 + at as u64, LAST, format!("{flags}").as_bytes())));
        }
        let events = decode(&mut ready.decoder, &octets, usize::MAX).unwrap();
        assert_eq!(events, ["4", "1", "0", "2", "6", "3"].map(|part| Event::message(&[part])), "six messages");
    }
    // The same for those inside that say something.
    for (mut ready, session) in dealers() {
        let octets = [
            wire::frame(0, &session.body(3, MORE, b"a")),
            wire::frame(4, &session.body(4, MORE, b"b")),
            wire::frame(1, &session.body(5, COMMAND, &wire::command_body("PING", b"\0\0"))),
            wire::frame(1, &session.body(6, LAST, b"c")),
        ]
        .concat();
        let events = decode(&mut ready.decoder, &octets, usize::MAX).unwrap();
        let ping = Ping::new(Ttl::ZERO, HeartbeatContext::new(b"").unwrap());
        assert_eq!(events, [Event::Ping(ping), Event::message(&["a", "b", "c"])]);
    }
}

/// C53, C54.
#[test]
fn flags_inside_that_mean_nothing_end_the_connection() {
    let (config, server) = (config(SocketType::Dealer), server());
    for flags in 3..=u8::MAX {
        if flags > 8 && !flags.is_power_of_two() && flags != 0xfc && flags != 0xff {
            continue;
        }
        let (ready, mut session) = ready_server(&config, &server, SocketType::Dealer);
        let octets = [session.frame(LAST, b"a"), session.frame(flags, b"\x03FOO")].concat();
        ends_with(ready, &octets, &["a"], &OpenError::InnerFlags { flags }.into());
    }
}

/// C58.
#[test]
fn an_empty_payload_is_an_empty_part() {
    for (mut ready, mut session) in dealers() {
        let octets = [session.frame(LAST, b""), session.frame(MORE, b""), session.frame(LAST, b"")].concat();
        assert_eq!(octets.len(), 3 * (2 + OVERHEAD));
        let events = decode(&mut ready.decoder, &octets, usize::MAX).unwrap();
        assert_eq!(events, [Event::message(&[""]), Event::message(&["", ""])]);
    }
}

// ─── limits ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/// C57: limits count payload, not what CURVE adds.
#[test]
fn exactly_the_limit_passes_and_one_more_does_not() {
    // Below and above what a command may have: until it is open, a frame might be one.
    for limit in [0, 10, 300, 100_000] {
        let frames = Limits::new().max_frame(limit);
        let (mut ready, mut session) = limited(frames.clone());
        let octets = session.frame(LAST, &vec![1; limit]);
        let events = decode(&mut ready.decoder, &octets, usize::MAX).unwrap();
        assert!(events == [Event::message(&[vec![1; limit]])], "{limit}");

        let (mut ready, mut session) = limited(frames);
        let (events, error) = decode_until(&mut ready.decoder, &session.frame(LAST, &vec![1; limit + 1]), usize::MAX);
        assert!(events.is_empty());
        let size = if limit > 64 << 10 { limit + 1 + OVERHEAD } else { limit + 1 } as u64;
        assert_eq!(error, Some(DecodeError::FrameTooLarge { size, limit }));

        let messages = Limits::new().max_message(limit);
        let (mut ready, mut session) = limited(messages.clone());
        let parts = [vec![1; limit / 2], Vec::new(), vec![2; limit - limit / 2]];
        let octets =
            [session.frame(MORE, &parts[0]), session.frame(MORE, b""), session.frame(LAST, &parts[2])].concat();
        assert!(decode(&mut ready.decoder, &octets, usize::MAX).unwrap() == [Event::message(&parts)], "{limit}");

        let (mut ready, mut session) = limited(messages);
        let octets = [session.frame(MORE, &vec![1; limit]), session.frame(LAST, b"x")].concat();
        let (events, error) = decode_until(&mut ready.decoder, &octets, usize::MAX);
        assert!(events.is_empty());
        assert_eq!(error, Some(DecodeError::MessageTooLarge { at_least: limit + 1, limit }));
    }
    // The same where the bodies are read into allocations of their own.
    for chunk in [9_000, usize::MAX] {
        let (mut ready, mut session) = limited(Limits::new().max_message(100_000));
        let octets = [session.frame(MORE, &[1; 60_000]), session.frame(LAST, &[2; 40_001])].concat();
        let (events, error) = decode_until(&mut ready.decoder, &octets, chunk);
        assert!(events.is_empty());
        assert_eq!(error, Some(DecodeError::MessageTooLarge { at_least: 100_001, limit: 100_000 }));
    }
    let (mut ready, mut session) = limited(Limits::new().max_parts(2));
    let parts = [session.frame(MORE, b"a"), session.frame(MORE, b"b"), session.frame(LAST, b"c")].concat();
    assert_eq!(decode(&mut ready.decoder, &parts, usize::MAX), Err(DecodeError::TooManyParts { limit: 2 }));
}

#[test]
fn the_limit_for_commands_counts_what_is_inside_as_well() {
    let limits = Limits::new().max_command(100).max_frame(10).max_message(10);
    let (mut ready, mut session) = limited(limits.clone());
    let octets = session.command("X", &[b'x'; 98]);
    let command = UnknownCommand::new(&b"X"[..], vec![b'x'; 98]).unwrap();
    assert_eq!(decode(&mut ready.decoder, &octets, usize::MAX).unwrap(), [Event::Command(Command::Unknown(command))]);

    // One octet more is too much for a command and for a message, which the header shows.
    let (mut ready, mut session) = limited(limits.clone());
    let octets = session.command("X", &[b'x'; 99]);
    let (_, error) = decode_until(&mut ready.decoder, &octets[..2], usize::MAX);
    let size = (101 + OVERHEAD) as u64;
    assert_eq!(error, Some(DecodeError::FrameTooLarge { size, limit: 100 }));

    // Where messages may be larger, it shows when it is open.
    let (mut ready, mut session) = limited(limits.max_frame(1000).max_message(1000));
    let octets = session.command("X", &[b'x'; 99]);
    let (_, error) = decode_until(&mut ready.decoder, &octets, usize::MAX);
    assert_eq!(error, Some(DecodeError::CommandTooLarge { size: 101, limit: 100 }));
    let (mut ready, mut session) = limited(Limits::new());
    let (_, error) = decode_until(&mut ready.decoder, &session.command("X", &[b'x'; 70_000]), 9_000);
    assert_eq!(error, Some(DecodeError::CommandTooLarge { size: 70_002, limit: 64 << 10 }));
}

/// A limit that is smaller than what CURVE adds to the smallest frame leaves heartbeats alone.
#[test]
fn heartbeats_pass_whatever_the_limits_are() {
    let smallest = Limits::new().max_frame(0).max_message(0).max_command(0).max_parts(0);
    let (mut ready, mut session) = limited(smallest);
    let context = [b'c'; 16];
    let octets = [
        session.command("PING", &[&[0, 9][..], &context].concat()),
        session.command("PONG", &context),
        session.frame(LAST, b""),
    ]
    .concat();
    let events = decode(&mut ready.decoder, &octets, 1).unwrap();
    let ping = Ping::new(Ttl::from_deciseconds(9), HeartbeatContext::new(&context).unwrap());
    assert_eq!(events, [Event::Ping(ping), Event::Pong(ping.pong()), Event::message(&[""])]);
    ready.encoder.push_pong(ping.pong()).unwrap();
    assert_eq!(session.open_all(&drain(&mut ready.encoder))[0].payload, wire::command_body("PONG", &context));
    let (_, error) = decode_until(&mut ready.decoder, &session.frame(LAST, b"x"), usize::MAX);
    assert_eq!(error, Some(DecodeError::FrameTooLarge { size: 1, limit: 0 }));
}

/// What a peer declares costs nothing until it comes.
#[test]
fn memory_grows_with_what_arrives_and_not_with_what_is_declared() {
    const AHEAD: usize = 256 * 1024;
    const DECLARED: usize = 64 << 20;
    let (mut ready, _) = limited(Limits::new());
    let header = wire::header(2, (DECLARED + OVERHEAD) as u64);
    assert_eq!(ready.decoder.receive(&header), 9);
    assert_eq!(ready.decoder.poll(), Ok(None));
    let mut received = 0;
    let piece = vec![7; 64 * 1024];
    while received < 3 << 20 {
        let room = ready.decoder.receive_buffer(1 << 30).remaining_mut();
        // An allocator may round up.
        assert!(room <= 2 * AHEAD.max(received), "{room} octets are lent after {received}");
        let count = ready.decoder.receive(&piece);
        received += count;
        assert_eq!(ready.decoder.poll(), Ok(None));
        assert_eq!(ready.decoder.buffered(), received);
    }
    let (mut ready, _) = limited(Limits::new());
    let (_, error) = decode_until(&mut ready.decoder, &wire::header(2, (DECLARED + OVERHEAD + 1) as u64), usize::MAX);
    let size = (DECLARED + OVERHEAD + 1) as u64;
    assert_eq!(error, Some(DecodeError::FrameTooLarge { size, limit: DECLARED }));
}

/// The payload is handed out where the ciphertext was read to.
#[test]
fn a_large_body_is_opened_in_place() {
    for size in [LARGE_BODY, 200_000] {
        let (mut ready, mut session) = limited(Limits::new());
        let body: Vec<u8> = (0..=250).cycle().take(size).collect();
        let octets = session.frame(LAST, &body);
        let prefix = 9 + 700;
        assert_eq!(ready.decoder.receive(&octets[..prefix]), prefix);
        assert_eq!(ready.decoder.poll(), Ok(None));
        let mut room = ready.decoder.receive_buffer(4096);
        assert_eq!(room.remaining_mut(), octets.len() - prefix, "all that lacks");
        let start_of_body = room.chunk_mut().as_mut_ptr().addr() - 700;
        room.put_slice(&octets[prefix..]);
        assert_eq!(ready.decoder.poll(), Ok(Some(Decoded::Message)));
        let message = ready.decoder.take_message();
        assert!(message.first() == &body, "{size}");
        assert_eq!(message.first().as_ptr().addr(), start_of_body + OVERHEAD);
    }
}

#[test]
fn a_large_body_that_is_forged_or_old_is_not_delivered() {
    for chunk in [10_000, usize::MAX] {
        let (mut ready, mut session) = limited(Limits::new());
        let mut octets = session.frame(LAST, &vec![7; 100_000]);
        *octets.last_mut().unwrap() ^= 0x80;
        let (events, error) = decode_until(&mut ready.decoder, &octets, chunk);
        assert_eq!((events.len(), error), (0, Some(OpenError::Forged.into())));
        assert_eq!(ready.decoder.buffered(), 0);

        let (mut ready, session) = limited(Limits::new());
        let octets = [session.numbered(9, b"x"), session.numbered(9, &vec![7; 100_000])].concat();
        let (events, error) = decode_until(&mut ready.decoder, &octets, chunk);
        assert_eq!((events, error), (vec![Event::message(&["x"])], Some(OpenError::Sequence.into())));
    }
}

// ─── commands ────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn subscriptions_come_in_either_form() {
    let topic = Bytes::from_static(b"topic");
    let (mut ready, mut session) = ready_server(&config(SocketType::Xpub), &server(), SocketType::Sub);
    let octets = [
        session.command("SUBSCRIBE", b"topic"),
        session.command("CANCEL", b"topic"),
        session.frame(LAST, b"\x01topic"),
        session.frame(LAST, b"\x00topic"),
    ]
    .concat();
    let expected = [
        Event::Command(Command::Subscribe(topic.clone())),
        Event::Command(Command::Cancel(topic)),
        Event::message(&["\x01topic"]),
        Event::message(&["\x00topic"]),
    ];
    assert_eq!(decode(&mut ready.decoder, &octets, usize::MAX).unwrap(), expected);
    assert_eq!(ready.decoder.ignored(), 0);

    // Who publishes nothing ignores the command.
    let (mut ready, mut session) = ready_server(&config(SocketType::Pull), &server(), SocketType::Push);
    let octets = [session.command("SUBSCRIBE", b"topic"), session.frame(LAST, b"x")].concat();
    assert_eq!(decode(&mut ready.decoder, &octets, usize::MAX).unwrap(), [Event::message(&["x"])]);
    assert_eq!(ready.decoder.ignored(), 1);
}

#[test]
fn groups_and_unknown_commands_are_handed_on_and_handshake_commands_are_not() {
    let (mut ready, mut session) = ready_server(&config(SocketType::Radio), &server(), SocketType::Dish);
    let group = Group::new("weather").unwrap();
    let octets =
        [session.command("JOIN", b"weather"), session.command("LEAVE", b"weather"), session.command("FOO", b"bar")];
    let expected = [
        Event::Command(Command::Join(group.clone())),
        Event::Command(Command::Leave(group)),
        Event::Command(Command::Unknown(UnknownCommand::new("FOO", "bar").unwrap())),
    ];
    assert_eq!(decode(&mut ready.decoder, &octets.concat(), usize::MAX).unwrap(), expected);
    let refused: [(&str, &[u8], DecodeError); 2] = [
        ("READY", b"", DecodeError::UnexpectedReady),
        ("ERROR", b"\x03400", DecodeError::PeerError { reason: ErrorReason::AUTHENTICATION_FAILURE }),
    ];
    for (name, data, error) in refused {
        for (ready, mut session) in dealers() {
            let octets = [session.frame(LAST, b"a"), session.command(name, data)].concat();
            ends_with(ready, &octets, &["a"], &error);
        }
    }
}

#[test]
fn a_ping_is_answered_inside_a_message_with_its_context() {
    for (mut ready, mut session) in dealers() {
        let first = session.next;
        let events = decode(&mut ready.decoder, &session.command("PING", b"\0\x0acontext"), usize::MAX).unwrap();
        let [Event::Ping(ping)] = events[..] else { panic!("{events:?}") };
        ready.encoder.push_pong(ping.pong()).unwrap();
        ready.encoder.push_ping(ping).unwrap();
        let sealed = session.open_all(&drain(&mut ready.encoder));
        // A server's first number is 2, a client's 3; the peer is the other one.
        let first = 5 - first;
        assert_eq!(
            sealed,
            [
                Sealed { counter: first, flags: COMMAND, payload: wire::command_body("PONG", b"context") },
                Sealed { counter: first + 1, flags: COMMAND, payload: wire::command_body("PING", b"\0\x0acontext") },
            ]
        );
    }
}

/// The form depends on the version, and either form is sealed.
#[test]
fn subscriptions_go_out_in_the_form_that_the_peer_knows() {
    let (subscribe, cancel) = (Command::Subscribe("t".into()), Command::Cancel("t".into()));
    for minor in [0, 1] {
        let greeting = wire::with(SERVER_GREETING, 11, minor);
        let (mut ready, session) = ready_client(&config(SocketType::Xsub), &client(), greeting, SocketType::Xpub);
        ready.encoder.push_command(&subscribe).unwrap();
        ready.encoder.push_command(&cancel).unwrap();
        let sealed = session.open_all(&drain(&mut ready.encoder));
        let (flags, bodies) = match minor {
            0 => (LAST, [b"\x01t".to_vec(), b"\x00t".to_vec()]),
            _ => (COMMAND, [wire::command_body("SUBSCRIBE", b"t"), wire::command_body("CANCEL", b"t")]),
        };
        let [one, two] = bodies;
        let expected = [Sealed { counter: 3, flags, payload: one }, Sealed { counter: 4, flags, payload: two }];
        assert_eq!(sealed, expected, "3.{minor}");
        let ping = Command::Ping(Ping::new(Ttl::ZERO, HeartbeatContext::new(b"").unwrap()));
        let version = Version::new(3, 0);
        let refused = (minor == 0).then_some(PushError::Unsupported { version });
        assert_eq!(ready.encoder.push_command(&ping).err(), refused);
    }
    let greeting = wire::with(SERVER_GREETING, 11, 0);
    let (mut ready, _) = ready_client(&config(SocketType::Dish), &client(), greeting, SocketType::Radio);
    let join = ready.encoder.push_command(&Command::Join(Group::new("g").unwrap()));
    assert_eq!(join, Err(PushError::Unsupported { version: Version::new(3, 0) }));
    assert_eq!(ready.encoder.pending(), 0);
}

// ─── whole messages ──────────────────────────────────────────────────────────────────────────────────────────────────

/// Messages of every shape, around every size at which something changes.
fn shapes() -> Vec<Vec<Vec<u8>>> {
    let body = |len: usize| (0..=250).cycle().skip(len % 7).take(len).collect::<Vec<u8>>();
    let seams = [0, 1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 221, 222, 223, 255, 256, 4095, 4096, 8192];
    let large = [LARGE_BODY - OVERHEAD - 1, LARGE_BODY - OVERHEAD, LARGE_BODY - 1, LARGE_BODY, 65_535, 65_536, 70_000];
    let mut shapes: Vec<_> = seams.into_iter().chain(large).map(|len| vec![body(len)]).collect();
    shapes.push(vec![Vec::new(); 5]);
    shapes.push([0, 222, 223, 0, 40_000, 1, 70_000, 0].map(body).to_vec());
    shapes
}

#[test]
fn messages_of_every_size_arrive_through_octet_by_octet_reading_both_ways_and_through_every_interface() {
    let config = config(SocketType::Dealer);
    for interface in [Interface::Owned, Interface::Lent, Interface::Frames] {
        // Gaps would show: nothing is skipped or sealed twice.
        let mut pair = Pair::new((&config, &client().refuse_gaps()), (&config, &server().refuse_gaps()));
        let (mut at_a, mut at_b) = (Reader::new(interface), Reader::new(interface));
        for shape in shapes() {
            pair.a.encoder.push(&shape).unwrap();
            pair.b.encoder.push(&shape).unwrap();
            for octet in drain(&mut pair.a.encoder) {
                at_b.read(&mut pair.b.decoder, &[octet]).unwrap();
            }
            for octet in drain(&mut pair.b.encoder) {
                at_a.read(&mut pair.a.decoder, &[octet]).unwrap();
            }
        }
        let expected: Vec<_> = shapes().into_iter().map(Event::Message).collect();
        assert!(at_a.events == expected, "{interface:?}, at the client");
        assert!(at_b.events == expected, "{interface:?}, at the server");
        assert_eq!((pair.a.decoder.finish(), pair.b.decoder.finish()), (Ok(()), Ok(())));
    }
}

/// Held against boxes that were opened by hand.
#[test]
fn what_we_send_is_numbered_without_gaps_and_says_its_kind_inside() {
    for (mut ready, session) in dealers() {
        let mut counter = 5 - session.next;
        for shape in shapes() {
            ready.encoder.push(&shape).unwrap();
            let sealed = session.open_all(&drain(&mut ready.encoder));
            assert_eq!(sealed.len(), shape.len());
            for (at, (sealed, part)) in sealed.iter().zip(&shape).enumerate() {
                let flags = if at + 1 < shape.len() { MORE } else { LAST };
                assert_eq!((sealed.counter, sealed.flags), (counter, flags));
                assert!(sealed.payload == *part);
                counter += 1;
            }
        }
    }
}

#[test]
fn a_stream_that_ends_inside_a_message_is_cut_and_between_two_is_not() {
    let whole = {
        let (_, session) = limited(Limits::new());
        session.numbered(3, b"abc").len()
    };
    for cut in 0..=whole {
        let (mut ready, session) = limited(Limits::new());
        let octets = &session.numbered(3, b"abc")[..cut];
        let events = decode(&mut ready.decoder, octets, usize::MAX).unwrap();
        assert_eq!(events.len(), usize::from(cut == whole));
        let cut_short = (0 < cut && cut < whole).then_some(DecodeError::Truncated);
        assert_eq!(ready.decoder.finish().err(), cut_short, "{cut}");
    }
    let (mut ready, mut session) = limited(Limits::new());
    assert_eq!(decode(&mut ready.decoder, &session.frame(MORE, b"a"), usize::MAX), Ok(Vec::new()));
    assert_eq!(ready.decoder.finish(), Err(DecodeError::Truncated));
}

#[test]
fn a_message_encoded_in_advance_is_refused_and_changes_nothing() {
    for (mut ready, session) in dealers() {
        let first = 5 - session.next;
        let encoded = EncodedMessage::encode(&["secret", "plans"]).unwrap();
        assert_eq!(ready.encoder.push_encoded(&encoded), Err(PushError::EncryptedLink));
        assert!(ready.encoder.local().is_none());
        assert_eq!(ready.encoder.pending(), 0);
        ready.encoder.push("x").unwrap();
        let expected = [Sealed { counter: first, flags: LAST, payload: b"x".to_vec() }];
        assert_eq!(session.open_all(&drain(&mut ready.encoder)), expected);
    }
}
