//! BLAKE3 after the handshake, through a whole core, with either suite: what is delivered, what ends the connection, what
//! limits count, and that nothing of a message is delivered before all of it was verified.
#![cfg(all(feature = "blake3", feature = "null"))]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod blake3_support;
mod support;

use blake3_support::{Side, Tested, client, in_both_suites, server};
use bytes::{BufMut, Bytes};
use support::{Event, Interface, Pair, Reader, decode, decode_until, drain, split_frame, wire};
use zmtp_connection::codec::{
    Command, FrameError, Group, HeartbeatContext, OpenError, Ping, SocketType, Ttl, UnknownCommand,
};
use zmtp_connection::proto::{Decoded, LARGE_BODY};
use zmtp_connection::{ConnectionConfig, DecodeError, EncodedMessage, Limits, PushError};
use zmtp_mechanism_blake3::ChachaPoly;

in_both_suites! {
    fn messages_of_every_size_arrive_through_octet_by_octet_reading_both_ways_and_through_every_interface,
    what_the_wire_shows_is_kind_and_length,
    one_changed_bit_anywhere_ends_the_connection_and_nothing_of_the_frame_is_seen,
    nothing_of_a_message_is_delivered_whose_second_part_was_changed,
    a_command_with_more_ends_the_connection,
    what_we_have_sent_is_not_accepted_from_the_peer,
    frames_in_the_clear_end_the_connection_and_no_ping_is_answered,
    a_header_that_is_longer_than_it_need_be_ends_the_connection,
    a_large_body_that_was_changed_is_not_delivered,
    a_large_body_is_opened_in_place,
    a_stream_that_ends_inside_a_message_is_cut_and_between_two_is_not,
    exactly_the_limit_passes_and_one_more_does_not,
    the_limit_for_commands_counts_what_is_inside,
    heartbeats_pass_whatever_the_limits_are,
    memory_grows_with_what_arrives_and_not_with_what_is_declared,
    commands_go_both_ways_sealed,
    a_message_encoded_in_advance_is_refused_and_changes_nothing,
}

/// Two ready connections: one that sends, then one that receives and has these limits. Once from the client to the server,
/// once back.
fn both_ways<S: Tested>(limits: &Limits) -> [(Side<S>, Side<S>); 2] {
    let config = ConnectionConfig::builder(SocketType::Dealer).limits(limits.clone()).build().unwrap();
    let pair = || Pair::new((&config, &client::<S>()), (&config, &server::<S>()));
    let (to_server, to_client) = (pair(), pair());
    [(to_server.a, to_server.b), (to_client.b, to_client.a)]
}

fn dealers<S: Tested>() -> [(Side<S>, Side<S>); 2] {
    both_ways(&Limits::new())
}

/// A frame of `from` with each of these as a message.
fn sealed<S: Tested>(from: &mut Side<S>, parts: &[&str]) -> Vec<Vec<u8>> {
    parts
        .iter()
        .map(|part| {
            from.encoder.push(*part).unwrap();
            drain(&mut from.encoder)
        })
        .collect()
}

fn events(parts: &[&str]) -> Vec<Event> {
    parts.iter().map(|part| Event::message(&[part])).collect()
}

/// Gives `octets` at once: exactly `delivered` comes out, then an error; and then nothing more, ever, in either direction.
fn ends<S: Tested>(side: &mut Side<S>, octets: &[u8], delivered: &[&str]) -> DecodeError {
    // Were the frame skipped, or did it claim to be longer than it is, this would be the error, or the rest of it.
    let behind = [octets, &vec![0xff; 300]].concat();
    let (found, error) = decode_until(&mut side.decoder, &behind, usize::MAX);
    assert_eq!(found, events(delivered));
    assert_eq!(side.decoder.poll(), Err(DecodeError::Poisoned));
    assert_eq!(side.decoder.poll_frame(), Err(DecodeError::Poisoned));
    assert_eq!((side.decoder.buffered(), side.encoder.pending()), (0, 0), "nothing is kept and nothing is said");
    error.unwrap()
}

fn is_forged(error: &DecodeError) -> bool {
    *error == OpenError::Forged.into()
}

// ─── whole messages ──────────────────────────────────────────────────────────────────────────────────────────────────

fn body(len: usize) -> Vec<u8> {
    (0..=250).cycle().skip(len % 7).take(len).collect()
}

/// Messages of every shape, around every size at which something changes.
fn shapes<S: Tested>() -> Vec<Vec<Vec<u8>>> {
    let short = 255 - S::OVERHEAD;
    let seams = [0, 1, 15, 16, 17, 31, 32, 33, 63, 64, 65, short - 1, short, short + 1, 255, 256, 4096, 8192];
    let large =
        [LARGE_BODY - S::OVERHEAD - 1, LARGE_BODY - S::OVERHEAD, LARGE_BODY - 1, LARGE_BODY, 65_535, 65_536, 70_000];
    let mut shapes: Vec<_> = seams.into_iter().chain(large).map(|len| vec![body(len)]).collect();
    shapes.push(vec![Vec::new(); 5]);
    shapes.push([0, short, short + 1, 0, 40_000, 1, 70_000, 0].map(body).to_vec());
    shapes
}

fn messages_of_every_size_arrive_through_octet_by_octet_reading_both_ways_and_through_every_interface<S: Tested>() {
    for interface in [Interface::Owned, Interface::Lent, Interface::Frames] {
        for (mut from, mut to) in dealers::<S>() {
            let mut reader = Reader::new(interface);
            for shape in shapes::<S>() {
                from.encoder.push(&shape).unwrap();
                for octet in drain(&mut from.encoder) {
                    reader.read(&mut to.decoder, &[octet]).unwrap();
                }
            }
            let expected: Vec<_> = shapes::<S>().into_iter().map(Event::Message).collect();
            assert!(reader.events == expected, "{interface:?}");
            assert_eq!(to.decoder.finish(), Ok(()));
        }
    }
}

/// And nothing else: neither payloads nor the names of commands.
fn what_the_wire_shows_is_kind_and_length<S: Tested>() {
    let topic = Command::Subscribe(Bytes::from_static(b"a secret topic"));
    for (mut from, _) in dealers::<S>() {
        for shape in shapes::<S>() {
            from.encoder.push(&shape).unwrap();
            let octets = drain(&mut from.encoder);
            let mut rest = &octets[..];
            for (at, part) in shape.iter().enumerate() {
                let (flags, body, behind) = split_frame(rest);
                let long = if part.len() + S::OVERHEAD > 255 { 2 } else { 0 };
                let more = u8::from(at + 1 < shape.len());
                assert_eq!((flags, body.len()), (long | more, part.len() + S::OVERHEAD));
                assert!(part.len() < 15 || body[..part.len()] != part[..], "in the clear");
                rest = behind;
            }
            assert!(rest.is_empty());
        }
    }
    let xsub = ConnectionConfig::new(SocketType::Xsub);
    let mut pair = Pair::new((&xsub, &client::<S>()), (&ConnectionConfig::new(SocketType::Xpub), &server::<S>()));
    pair.a.encoder.push_command(&topic).unwrap();
    let octets = drain(&mut pair.a.encoder);
    let (flags, body, rest) = split_frame(&octets);
    assert_eq!((flags, body.len(), rest.len()), (4, 10 + 14 + S::OVERHEAD, 0));
    let shows = |word: &[u8]| body.windows(word.len()).any(|window| window == word);
    assert!(!shows(b"SUBSCRIBE") && !shows(b"secret"));
}

// ─── what was changed on the way ─────────────────────────────────────────────────────────────────────────────────────

/// K16 (the bit MORE or COMMAND), K17 (the length), K20 (the tag), K23 (a reserved bit).
fn one_changed_bit_anywhere_ends_the_connection_and_nothing_of_the_frame_is_seen<S: Tested>() {
    let len = 2 + 3 + S::OVERHEAD;
    for at in 0..len {
        for bit in [0x01, 0x04, 0x80] {
            for (mut from, mut to) in dealers::<S>() {
                let frames = sealed(&mut from, &["before", "abc"]);
                let mut octets = frames.concat();
                let start = frames[0].len();
                assert_eq!(octets.len(), start + len);
                octets[start + at] ^= bit;
                let error = ends(&mut to, &octets, &["before"]);
                let expected = match (at, bit) {
                    (0, 0x80) => matches!(error, DecodeError::Frame(_)),
                    // Too short for a tag, if the suite has room for that.
                    (1, _) => matches!(error, DecodeError::Open(OpenError::Forged | OpenError::Malformed(_))),
                    _ => is_forged(&error),
                };
                assert!(expected, "octet {at}, bit {bit:#x}: {error}");
            }
        }
    }
}

/// K20 (a tag with a flipped bit): the parts before it were in order, and are discarded.
fn nothing_of_a_message_is_delivered_whose_second_part_was_changed<S: Tested>() {
    for parts in [["first", "second", "third"].map(Vec::from), [40_000, 70_000, 9].map(body)] {
        for interface in [Interface::Owned, Interface::Lent] {
            for (mut from, mut to) in dealers::<S>() {
                from.encoder.push(&parts).unwrap();
                let mut octets = drain(&mut from.encoder);
                let (_, _, second) = split_frame(&octets);
                let (_, _, third) = split_frame(second);
                // The last octet of the second part's tag.
                let last = octets.len() - third.len() - 1;
                octets[last] ^= 1;
                let mut reader = Reader::new(interface);
                let read = reader.read(&mut to.decoder, &octets);
                assert_eq!(read, Err(OpenError::Forged.into()));
                assert_eq!(reader.events, []);
                assert_eq!(to.decoder.poll(), Err(DecodeError::Poisoned));
            }
        }
    }
}

/// K24: COMMAND with MORE, which is no kind of frame.
fn a_command_with_more_ends_the_connection<S: Tested>() {
    for (mut from, mut to) in dealers::<S>() {
        let frames = sealed(&mut from, &["before", "abc"]);
        let mut octets = frames.concat();
        octets[frames[0].len()] |= 0x05;
        let error = ends(&mut to, &octets, &["before"]);
        assert_eq!(error, DecodeError::Frame(FrameError::CommandWithMore { flags: 0x05 }));
    }
}

/// Each direction has a key of its own.
fn what_we_have_sent_is_not_accepted_from_the_peer<S: Tested>() {
    for (mut ours, _) in dealers::<S>() {
        let octets = sealed(&mut ours, &["ours"]).concat();
        assert!(is_forged(&ends(&mut ours, &octets, &[])));
    }
}

/// K19 (a body that is shorter than a tag) and K25 (a command in the clear after READY).
fn frames_in_the_clear_end_the_connection_and_no_ping_is_answered<S: Tested>() {
    let plain: [Vec<u8>; 9] = [
        Vec::new(),
        b"hello".to_vec(),
        vec![7; S::OVERHEAD - 1],
        vec![7; S::OVERHEAD],
        vec![7; 300],
        wire::command_body("PING", b"\0\0ctx"),
        wire::command_body("ERROR", b"\x03400"),
        wire::command_body("SUBSCRIBE", b"with a topic that is long enough for a tag"),
        wire::command_body("READY", &wire::property("Socket-Type", b"DEALER")),
    ];
    for body in plain {
        for flags in [0, 1, 4] {
            for (mut from, mut to) in dealers::<S>() {
                let long = if body.len() > 255 { 2 } else { 0 };
                let before = sealed(&mut from, &["before"]).concat();
                let error = ends(&mut to, &[before, wire::frame(flags | long, &body)].concat(), &["before"]);
                match error {
                    DecodeError::Open(OpenError::Malformed(_)) => assert!(body.len() < S::OVERHEAD),
                    error => assert!(is_forged(&error) && body.len() >= S::OVERHEAD, "{error}"),
                }
            }
        }
    }
}

/// K18: a length that is not in its shortest form.
fn a_header_that_is_longer_than_it_need_be_ends_the_connection<S: Tested>() {
    for (mut from, mut to) in dealers::<S>() {
        let octets = sealed(&mut from, &["x"]).concat();
        let (flags, body, _) = split_frame(&octets);
        let error = ends(&mut to, &wire::frame(flags | 2, body), &[]);
        assert!(matches!(error, DecodeError::Open(OpenError::Malformed(_))), "{error}");
    }
}

/// K21 (frames swapped, repeated or dropped) and K22 (an empty frame repeated), with the suite that binds positions.
#[test]
fn a_frame_that_was_dropped_repeated_or_swapped_ends_the_connection() {
    let orders: [(&[usize], &[&str]); 5] =
        [(&[1], &[]), (&[0, 0], &["a"]), (&[1, 0], &[]), (&[0, 2], &["a"]), (&[0, 1, 2, 2], &["a", "", ""])];
    for (order, delivered) in orders {
        for (mut from, mut to) in dealers::<ChachaPoly>() {
            let frames = sealed(&mut from, &["a", "", ""]);
            let octets: Vec<u8> = order.iter().flat_map(|&at| frames[at].clone()).collect();
            assert!(is_forged(&ends(&mut to, &octets, delivered)), "{order:?}");
        }
    }
}

/// K22 (an empty frame repeated): the weakness of the other suite, which it cannot be rid of under its name. Whoever is on the path can do this.
#[cfg(feature = "blake3zmq")]
#[test]
fn the_suite_of_old_peers_delivers_an_empty_message_as_often_as_it_is_repeated() {
    for (mut from, mut to) in dealers::<zmtp_mechanism_blake3::Blake3Zmq>() {
        let frames = sealed(&mut from, &["", "next"]);
        let octets = [&frames[0][..], &frames[0], &frames[0], &frames[1]].concat();
        assert_eq!(decode(&mut to.decoder, &octets, usize::MAX).unwrap(), events(&["", "", "", "next"]));
    }
}

// ─── large bodies ────────────────────────────────────────────────────────────────────────────────────────────────────

fn a_large_body_that_was_changed_is_not_delivered<S: Tested>() {
    for chunk in [10_000, usize::MAX] {
        for (mut from, mut to) in dealers::<S>() {
            from.encoder.push(&body(100_000)).unwrap();
            let mut octets = drain(&mut from.encoder);
            *octets.last_mut().unwrap() ^= 0x80;
            let (found, error) = decode_until(&mut to.decoder, &octets, chunk);
            assert_eq!((found.len(), error), (0, Some(OpenError::Forged.into())));
            assert_eq!(to.decoder.buffered(), 0);
        }
    }
}

/// The payload is handed out where the ciphertext was read to.
fn a_large_body_is_opened_in_place<S: Tested>() {
    for size in [LARGE_BODY, 200_000] {
        for (mut from, mut to) in dealers::<S>() {
            from.encoder.push(&body(size)).unwrap();
            let octets = drain(&mut from.encoder);
            let prefix = 9 + 700;
            assert_eq!(to.decoder.receive(&octets[..prefix]), prefix);
            assert_eq!(to.decoder.poll(), Ok(None));
            let mut room = to.decoder.receive_buffer(4096);
            assert_eq!(room.remaining_mut(), octets.len() - prefix, "all that lacks");
            let start_of_body = room.chunk_mut().as_mut_ptr().addr() - 700;
            room.put_slice(&octets[prefix..]);
            assert_eq!(to.decoder.poll(), Ok(Some(Decoded::Message)));
            let message = to.decoder.take_message();
            assert!(*message.first() == body(size), "{size}");
            assert_eq!(message.first().as_ptr().addr(), start_of_body);
        }
    }
}

fn a_stream_that_ends_inside_a_message_is_cut_and_between_two_is_not<S: Tested>() {
    for (mut from, _) in dealers::<S>() {
        let whole = sealed(&mut from, &["abc"]).concat().len();
        for cut in 0..=whole {
            let [(mut from, mut to), _] = dealers::<S>();
            let octets = sealed(&mut from, &["abc"]).concat();
            let found = decode(&mut to.decoder, &octets[..cut], usize::MAX).unwrap();
            assert_eq!(found.len(), usize::from(cut == whole));
            let cut_short = (0 < cut && cut < whole).then_some(DecodeError::Truncated);
            assert_eq!(to.decoder.finish().err(), cut_short, "{cut}");
        }
    }
    let [(mut from, mut to), _] = dealers::<S>();
    from.encoder.push(&["a", "b"]).unwrap();
    let octets = drain(&mut from.encoder);
    let first = octets.len() - split_frame(&octets).2.len();
    assert_eq!(decode(&mut to.decoder, &octets[..first], usize::MAX), Ok(Vec::new()));
    assert_eq!(to.decoder.finish(), Err(DecodeError::Truncated));
}

// ─── limits ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/// What the side with these limits makes of a message, in either direction.
fn limited<S: Tested>(limits: &Limits, parts: &[Vec<u8>], then: impl Fn(Vec<Event>, Option<DecodeError>)) {
    for (mut from, mut to) in both_ways::<S>(limits) {
        from.encoder.push(parts).unwrap();
        let (found, error) = decode_until(&mut to.decoder, &drain(&mut from.encoder), 9_000);
        then(found, error);
    }
}

/// Limits count payload, not what sealing adds.
fn exactly_the_limit_passes_and_one_more_does_not<S: Tested>() {
    // Below and above what a command may have.
    for limit in [0, 10, 300, 100_000] {
        let frames = Limits::new().max_frame(limit);
        limited::<S>(&frames, &[body(limit)], |found, error| {
            assert!(found == [Event::message(&[body(limit)])] && error.is_none(), "{limit}: {error:?}");
        });
        limited::<S>(&frames, &[body(limit + 1)], |found, error| {
            let size = if limit > 64 << 10 { limit + 1 + S::OVERHEAD } else { limit + 1 } as u64;
            assert_eq!((found, error), (Vec::new(), Some(DecodeError::FrameTooLarge { size, limit })));
        });
        let messages = Limits::new().max_message(limit);
        let parts = [body(limit / 2), Vec::new(), body(limit - limit / 2)];
        limited::<S>(&messages, &parts, |found, error| {
            assert!(found == [Event::message(&parts)] && error.is_none(), "{limit}: {error:?}");
        });
        limited::<S>(&messages, &[body(limit), b"x".to_vec()], |found, error| {
            let error_expected = DecodeError::MessageTooLarge { at_least: limit + 1, limit };
            assert_eq!((found, error), (Vec::new(), Some(error_expected)));
        });
    }
    limited::<S>(&Limits::new().max_parts(2), &[body(1), body(1), body(1)], |found, error| {
        assert_eq!((found, error), (Vec::new(), Some(DecodeError::TooManyParts { limit: 2 })));
    });
}

fn the_limit_for_commands_counts_what_is_inside<S: Tested>() {
    let command = |len| Command::Unknown(UnknownCommand::new(&b"X"[..], vec![b'x'; len]).unwrap());
    let limits = Limits::new().max_command(100).max_frame(10).max_message(10);
    for (mut from, mut to) in both_ways::<S>(&limits) {
        from.encoder.push_command(&command(98)).unwrap();
        let octets = drain(&mut from.encoder);
        assert_eq!(decode(&mut to.decoder, &octets, usize::MAX).unwrap(), [Event::Command(command(98))]);
        // One octet more is too much for a command and for a message, which the header shows.
        from.encoder.push_command(&command(99)).unwrap();
        let octets = drain(&mut from.encoder);
        let (_, error) = decode_until(&mut to.decoder, &octets[..2], usize::MAX);
        let size = (101 + S::OVERHEAD) as u64;
        assert_eq!(error, Some(DecodeError::CommandTooLarge { size, limit: 100 }));
    }
    for (mut from, mut to) in dealers::<S>() {
        from.encoder.push_command(&command(70_000)).unwrap();
        let (_, error) = decode_until(&mut to.decoder, &drain(&mut from.encoder), 9_000);
        assert_eq!(error, Some(DecodeError::CommandTooLarge { size: 70_002, limit: 64 << 10 }));
    }
}

fn heartbeats_pass_whatever_the_limits_are<S: Tested>() {
    let smallest = Limits::new().max_frame(0).max_message(0).max_command(0).max_parts(0);
    let ping = Ping::new(Ttl::from_deciseconds(9), HeartbeatContext::new(&[b'c'; 16]).unwrap());
    for (mut from, mut to) in both_ways::<S>(&smallest) {
        from.encoder.push_ping(ping).unwrap();
        from.encoder.push_pong(ping.pong()).unwrap();
        from.encoder.push("").unwrap();
        from.encoder.push("x").unwrap();
        let (found, error) = decode_until(&mut to.decoder, &drain(&mut from.encoder), 1);
        assert_eq!(found, [Event::Ping(ping), Event::Pong(ping.pong()), Event::message(&[""])]);
        assert_eq!(error, Some(DecodeError::FrameTooLarge { size: 1, limit: 0 }));
    }
}

/// What a peer declares costs nothing until it comes.
fn memory_grows_with_what_arrives_and_not_with_what_is_declared<S: Tested>() {
    const AHEAD: usize = 256 * 1024;
    const DECLARED: usize = 64 << 20;
    for (_, mut to) in dealers::<S>() {
        assert_eq!(to.decoder.receive(&wire::header(2, (DECLARED + S::OVERHEAD) as u64)), 9);
        assert_eq!(to.decoder.poll(), Ok(None));
        let mut received = 0;
        let piece = vec![7; 64 * 1024];
        while received < 3 << 20 {
            let room = to.decoder.receive_buffer(1 << 30).remaining_mut();
            // An allocator may round up.
            assert!(room <= 2 * AHEAD.max(received), "{room} octets are lent after {received}");
            received += to.decoder.receive(&piece);
            assert_eq!(to.decoder.poll(), Ok(None));
            assert_eq!(to.decoder.buffered(), received);
        }
    }
    for (_, mut to) in dealers::<S>() {
        let size = (DECLARED + S::OVERHEAD + 1) as u64;
        let (_, error) = decode_until(&mut to.decoder, &wire::header(2, size), usize::MAX);
        assert_eq!(error, Some(DecodeError::FrameTooLarge { size, limit: DECLARED }));
    }
}

// ─── commands ────────────────────────────────────────────────────────────────────────────────────────────────────────

fn commands_go_both_ways_sealed<S: Tested>() {
    let subscribe = Command::Subscribe(Bytes::from_static(b"topic"));
    let cancel = Command::Cancel(Bytes::from_static(b"topic"));
    let group = Group::new("weather").unwrap();
    let ping = Ping::new(Ttl::from_deciseconds(10), HeartbeatContext::new(b"context").unwrap());
    let unknown = Command::Unknown(UnknownCommand::new("FOO", "bar").unwrap());
    let cases = [
        (SocketType::Xsub, SocketType::Xpub, vec![subscribe, cancel, unknown.clone()]),
        (SocketType::Dish, SocketType::Radio, vec![Command::Join(group.clone()), Command::Leave(group), unknown]),
    ];
    for (ours, theirs, commands) in cases {
        let (ours, theirs) = (ConnectionConfig::new(ours), ConnectionConfig::new(theirs));
        // Who subscribes is the client of the handshake, or its server.
        let (client, server) = (client::<S>(), server::<S>());
        let (one, other) =
            (Pair::new((&ours, &client), (&theirs, &server)), Pair::new((&theirs, &client), (&ours, &server)));
        let sides: [(Side<S>, Side<S>); 2] = [(one.a, one.b), (other.b, other.a)];
        for (mut from, mut to) in sides {
            for command in &commands {
                from.encoder.push_command(command).unwrap();
                let octets = drain(&mut from.encoder);
                assert_eq!(split_frame(&octets).0, 4);
                let found = decode(&mut to.decoder, &octets, 1).unwrap();
                assert_eq!(found, [Event::Command(command.clone())]);
            }
            from.encoder.push_ping(ping).unwrap();
            assert_eq!(decode(&mut to.decoder, &drain(&mut from.encoder), 1).unwrap(), [Event::Ping(ping)]);
            to.encoder.push_pong(ping.pong()).unwrap();
            assert_eq!(decode(&mut from.decoder, &drain(&mut to.encoder), 1).unwrap(), [Event::Pong(ping.pong())]);
        }
    }
}

fn a_message_encoded_in_advance_is_refused_and_changes_nothing<S: Tested>() {
    let encoded = EncodedMessage::encode(&["secret", "plans"]).unwrap();
    for (mut from, mut to) in dealers::<S>() {
        assert_eq!(from.encoder.push_encoded(&encoded), Err(PushError::EncryptedLink));
        assert_eq!(from.encoder.pending(), 0);
        let octets = sealed(&mut from, &["x"]).concat();
        assert_eq!(decode(&mut to.decoder, &octets, usize::MAX).unwrap(), events(&["x"]));
    }
}
