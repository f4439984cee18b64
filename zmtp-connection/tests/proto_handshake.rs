//! The NULL handshake, case by case: what is refused, why, and what the peer is told.
#![cfg(feature = "null")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use support::wire::{self, GREETING, command, command_body, frame, header, property, ready, ready_and};
use support::{Event, NULL, ReadyNull, feed};
use zmtp_connection::codec::{
    CommandError, ErrorReason, FrameError, IdentityError, MechanismError, PropertyError, PropertyPart, SocketType,
    SocketTypeError,
};
use zmtp_connection::proto::{Failure, Outcome};
use zmtp_connection::{ConnectionConfig, HandshakeCause, Limits, Stage};

/// What the peer of a DEALER hears before it says anything.
fn our_part() -> Vec<u8> {
    [&GREETING[..], &ready_and("DEALER", &property("Identity", b""))].concat()
}

fn failure(case: &str, config: &ConnectionConfig, octets: &[u8], chunk: usize) -> Failure {
    match feed(config, &NULL, octets, chunk) {
        Outcome::Failed(failure) => failure,
        other => panic!("{case}: {other:?}"),
    }
}

/// Asserts that a DEALER refuses `octets` behind a good greeting, whole or octet by octet: for this cause, and with
/// this ERROR for the peer if any.
fn refused(case: &str, octets: &[u8], stage: Stage, cause: &HandshakeCause, told: Option<&str>) {
    let config = ConnectionConfig::new(SocketType::Dealer);
    for chunk in [1, usize::MAX] {
        let failure = failure(case, &config, &[&GREETING[..], octets].concat(), chunk);
        assert_eq!(format!("{:?}", failure.error.cause()), format!("{cause:?}"), "{case}");
        assert_eq!(failure.error.stage(), stage, "{case}");
        assert!(!failure.error.may_reconnect(), "{case}");
        let told = told.map(wire::error).unwrap_or_default();
        assert_eq!(failure.last_words, [our_part(), told].concat(), "{case}");
    }
}

fn mechanism(case: &str, octets: &[u8], error: MechanismError) {
    refused(case, octets, Stage::Mechanism, &HandshakeCause::Mechanism(error), None);
}

fn unexpected(case: &str, octets: &[u8], received: &str) {
    mechanism(case, octets, MechanismError::UnexpectedCommand { expected: "READY", received: received.into() });
}

/// READY of a DEALER with this behind its Socket-Type, whose property ends at offset 22.
fn metadata(case: &str, tail: &[u8], source: PropertyError) {
    mechanism(case, &ready_and("DEALER", tail), MechanismError::Properties { command: "READY", source });
}

fn accepted(case: &str, ours: SocketType, octets: &[u8]) -> ReadyNull {
    let config = ConnectionConfig::new(ours);
    match feed(&config, &NULL, &[&GREETING[..], octets].concat(), 1) {
        Outcome::Ready(ready) => ready,
        Outcome::Failed(failure) => panic!("{case}: {:?}", failure.error),
        other => panic!("{case}: {other:?}"),
    }
}

#[test]
fn only_a_command_frame_of_the_grammar_can_be_ready() {
    let body = command_body("READY", &property("Socket-Type", b"DEALER"));
    let stage = Stage::Mechanism;
    refused("H01", &wire::message(&["hello"]), stage, &HandshakeCause::NotACommand, None);
    refused("H02", &frame(0x00, &body), stage, &HandshakeCause::NotACommand, None);
    let flags = |error| HandshakeCause::Frame(error);
    refused("H03", &frame(0x05, &body), stage, &flags(FrameError::CommandWithMore { flags: 5 }), None);
    refused("H04", &frame(0xfc, &body), stage, &flags(FrameError::ReservedFlags { flags: 0xfc }), None);
    refused("H43", &header(6, 1 << 63), stage, &flags(FrameError::SizeOutOfRange { size: 1 << 63 }), None);
    accepted("H05", SocketType::Dealer, &frame(0x06, &body));
}

#[test]
fn only_ready_or_error_is_awaited() {
    let metadata = property("Socket-Type", b"DEALER");
    unexpected("H06", &command("ready", &metadata), "ready");
    unexpected("H07", &command("READYX", &metadata), "READYX");
    unexpected("H38", &wire::ping(0, b""), "PING");
    unexpected("H39", &command("HELLO", &[0; 10]), "HELLO");
    unexpected("a name that is not printable", &frame(4, b"\x03\x1b[m"), "…");
    unexpected("a name that swallows a password", &frame(4, b"\x0dHELLO\x07hunter2"), "HELLO…");
    mechanism("H31", &[4, 0], MechanismError::Command(CommandError::EmptyBody));
    let cut = CommandError::NameTruncated { declared: 9, available: 1 };
    mechanism("H32", &[4, 2, 9, 0x41], MechanismError::Command(cut));
    mechanism("a name of no length", &[4, 1, 0], MechanismError::Command(CommandError::EmptyName));
}

#[test]
fn an_unsuitable_socket_type_is_refused_with_an_error() {
    let refused = |case: &str, metadata: &[u8], cause: HandshakeCause, told: &str| {
        refused(case, &command("READY", metadata), Stage::Properties, &cause, Some(told));
    };
    let missing = || HandshakeCause::SocketType(SocketTypeError::Missing);
    refused("H08", b"", missing(), "Missing socket type");
    refused("H09", &property("X-Foo", b"bar"), missing(), "Missing socket type");
    let incompatible = || HandshakeCause::Incompatible { ours: SocketType::Dealer, theirs: SocketType::Pub };
    refused("H10", &property("Socket-Type", b"PUB"), incompatible(), "Invalid socket type");
    refused("H15", &property("socket-type", b"PUB"), incompatible(), "Invalid socket type");
    for (case, value, shown) in [
        ("H11", &b"FOO"[..], "FOO"),
        ("H12", b"dealer", "dealer"),
        ("H13", b"", ""),
        ("H14", b"DEALER\0", "DEALER\\x00"),
    ] {
        let unknown = HandshakeCause::SocketType(SocketTypeError::Unknown { value: shown.into() });
        refused(case, &property("Socket-Type", value), unknown, "Invalid socket type");
    }
}

#[test]
fn malformed_metadata_is_refused_with_its_offset() {
    let offset = 22;
    let cut = |part, needed, available| PropertyError::Truncated { offset, part, needed, available };
    metadata("H18", b"\x09A", cut(PropertyPart::Name, 9, 1));
    metadata("H19", b"\x03Foo", cut(PropertyPart::ValueLength, 4, 0));
    metadata("H20", b"\x03Foo\0\0\0", cut(PropertyPart::ValueLength, 4, 3));
    metadata("H21", b"\x03Foo\0\0\0\x05", cut(PropertyPart::Value, 5, 0));
    metadata("H22", b"\x03Foo\0\0\0\x05abc", cut(PropertyPart::Value, 5, 3));
    let too_long = |len| PropertyError::ValueTooLong { offset, name: "Foo".into(), len };
    metadata("H23", b"\x03Foo\xff\xff\xff\xffabc", too_long(0xffff_ffff));
    metadata("H24", b"\x03Foo\x80\0\0\0abc", too_long(0x8000_0000));
    metadata("H25", b"\x01", cut(PropertyPart::Name, 1, 0));
    metadata("H26", b"\0\0\0\0\0", PropertyError::EmptyName { offset });
    metadata("H27", &property("a b\0", b""), PropertyError::NameCharacter { offset, position: 1, octet: b' ' });
    metadata("H27 NUL", &property("ab\0", b""), PropertyError::NameCharacter { offset, position: 2, octet: 0 });
}

#[test]
fn the_names_that_decide_may_come_once() {
    let twice = |case: &str, first: &[u8], name: &str, second: &[u8]| {
        let tail = [first, second].concat();
        let source = PropertyError::Duplicate { offset: 22 + first.len(), name: name.into() };
        metadata(case, &tail, source);
    };
    twice("H16", b"", "Socket-Type", &property("Socket-Type", b"PUB"));
    twice("H17", b"", "Socket-Type", &property("Socket-Type", b"DEALER"));
    twice("H17 in another case", b"", "SOCKET-type", &property("SOCKET-type", b"DEALER"));
    twice("H52", &property("Identity", b"aa"), "Identity", &property("Identity", b"bb"));
    twice("Resource", &property("Resource", b"a"), "resource", &property("resource", b"a"));
}

#[test]
fn too_much_metadata_is_refused() {
    let too_large = |size| HandshakeCause::CommandSize { size, least: 0, most: 64 << 10 };
    let many = |count: usize| {
        let tail: Vec<u8> = (0..count).flat_map(|at| property(&format!("X-{at:05}"), b"v")).collect();
        ready_and("DEALER", &tail)
    };
    let refused_from_header = |case: &str, octets: &[u8], size: u64| {
        refused(case, octets, Stage::Mechanism, &too_large(size), None);
        refused(case, &octets[..9], Stage::Mechanism, &too_large(size), None);
    };
    let octets = ready_and("DEALER", &property("X-Large", &vec![b'x'; 1 << 20]));
    refused_from_header("H29", &octets, octets.len() as u64 - 9);
    let octets = many(10_000);
    refused_from_header("H30", &octets, octets.len() as u64 - 9);
    // Socket-Type is the 64th of 64, but the 65th of 65.
    assert_eq!(accepted("64 properties", SocketType::Dealer, &many(63)).peer.properties().len(), 64);
    let source = PropertyError::TooMany { offset: 22 + 63 * 13, max: 64 };
    mechanism("H30 small", &many(64), MechanismError::Properties { command: "READY", source });
}

#[test]
fn the_limit_for_handshake_commands_is_exact_and_their_own() {
    let with_limits = |limits, octets: &[u8]| {
        let config = ConnectionConfig::builder(SocketType::Dealer).limits(limits).build().unwrap();
        match feed(&config, &NULL, &[&GREETING[..], octets].concat(), usize::MAX) {
            Outcome::Ready(_) => Ok(()),
            Outcome::Failed(failure) => Err(format!("{:?}", failure.error.cause())),
            other => panic!("{other:?}"),
        }
    };
    // H44
    let tight = Limits::new().max_frame(1).max_message(1).max_command(23);
    assert_eq!(with_limits(tight, &ready("DEALER")), Ok(()));
    // (A limit below 64 octets would let nobody in, and is taken as 64.)
    let octets = ready_and("DEALER", &property("X-Padding", &[b'x'; 64]));
    let len = octets.len() - 2;
    assert_eq!(with_limits(Limits::new().max_handshake_command(len), &octets), Ok(()));
    let refused = with_limits(Limits::new().max_handshake_command(len - 1), &octets);
    let expected = HandshakeCause::CommandSize { size: len as u64, least: 0, most: len as u64 - 1 };
    assert_eq!(refused, Err(format!("{expected:?}")));
}

#[test]
fn a_declared_size_costs_no_memory() {
    // H46: refused from the header.
    let cause = HandshakeCause::CommandSize { size: 1 << 30, least: 0, most: 64 << 10 };
    refused("H46", &header(6, 1 << 30), Stage::Mechanism, &cause, None);
    // What is within the limit is received in pieces.
    let config = ConnectionConfig::new(SocketType::Dealer);
    let octets = [&GREETING[..], &header(6, 64 << 10)].concat();
    let Outcome::Pending(mut establish) = feed(&config, &NULL, &octets, usize::MAX) else { panic!() };
    let room = establish.receive_buffer();
    assert!(room.limit() <= 8 << 10, "{}", room.limit());
    assert!(room.get_ref().capacity() <= 16 << 10, "{}", room.get_ref().capacity());
}

#[test]
fn an_error_from_the_peer_is_final_and_its_reason_is_kept() {
    for (case, octets, shown, code) in [
        ("H33", wire::error("400"), "400", Some(400)),
        ("H36", command("ERROR", b"\x03400trailing"), "400", Some(400)),
        ("H37", wire::error("free text"), "free text", None),
        ("no reason", command("ERROR", b"\0"), "", None),
        ("control characters", command("ERROR", b"\x04\x1b[2J"), "\\x1b[2J", None),
        ("255 octets that are no text", command("ERROR", &[255; 256]), &"\\xff".repeat(255), None),
    ] {
        let config = ConnectionConfig::new(SocketType::Dealer);
        let failure = failure(case, &config, &[&GREETING[..], &octets].concat(), 1);
        let reason: &ErrorReason = failure.error.peer_reason().unwrap();
        assert_eq!(reason.to_string(), shown, "{case}");
        assert_eq!(reason.status_code(), code, "{case}");
        assert_eq!(failure.error.stage(), Stage::Mechanism, "{case}");
        // H57
        assert!(!failure.error.may_reconnect(), "{case}");
        assert_eq!(failure.last_words, our_part(), "{case}: an ERROR is not answered");
    }
    let missing = MechanismError::Command(CommandError::ReasonLengthMissing);
    mechanism("H34", &command("ERROR", b""), missing);
    let cut = MechanismError::Command(CommandError::ReasonTruncated { declared: 9, available: 3 });
    mechanism("H35", &command("ERROR", b"\x09abc"), cut);
}

#[test]
fn properties_are_shown_in_their_order_and_forgeries_are_dropped() {
    let tail = [
        property("Foo", b"1"),
        property("user-ID", b"root"),
        property("X-Foo", b""),
        property("Peer-Address", b"127.0.0.1"),
        property("X-foo", b"second"),
        property("Resource", b"a/b"),
    ]
    .concat();
    let ready = accepted("H28, H45", SocketType::Dealer, &ready_and("DEALER", &tail));
    let shown: Vec<_> = ready.peer.properties().iter().map(|(name, value)| (name, &value[..])).collect();
    let expected: [(&str, &[u8]); 4] =
        [("Socket-Type", b"DEALER"), ("Foo", b"1"), ("X-Foo", b""), ("Resource", b"a/b")];
    assert_eq!(shown, expected, "the first of two equal names is kept, reserved ones are not");
    assert_eq!(ready.peer.properties().resource(), Some(Ok("a/b")));
    assert_eq!(ready.peer.socket_type(), SocketType::Dealer);
    assert!(!ready.peer.is_encrypted());
    assert_eq!(ready.peer.public_key(), None);
}

#[test]
fn identities_of_0_to_255_octets_are_taken_as_sent() {
    let identity = |case: &str, tail: &[u8]| {
        let ready = accepted(case, SocketType::Router, &ready_and("DEALER", tail));
        assert_eq!(ready.peer.identity(), ready.peer.info().identity(), "{case}");
        (ready.peer.identity().to_vec(), ready.peer.identity().is_routable())
    };
    assert_eq!(identity("none", b""), (vec![], false));
    assert_eq!(identity("H54", &property("Identity", b"")), (vec![], false));
    assert_eq!(identity("H51", &property("Identity", b"\0abcd")), (b"\0abcd".to_vec(), false));
    assert_eq!(identity("H53", &property("identity", b"aa")), (b"aa".to_vec(), true));
    assert_eq!(identity("H55", &property("Identity", &[b'j'; 255])), (vec![b'j'; 255], true));
}

#[test]
fn an_identity_of_256_octets_is_refused_with_an_error() {
    // H50
    let octets = ready_and("DEALER", &property("Identity", &[b'i'; 256]));
    let cause = HandshakeCause::Identity(IdentityError::TooLong { len: 256 });
    refused("H50", &octets, Stage::Properties, &cause, Some("Protocol violation"));
}

#[test]
fn traffic_behind_ready_in_the_same_segment_is_delivered() {
    // H41, H47: greeting, READY and messages in one segment, split at every octet too.
    let message = wire::message(&["one", "", "three"]);
    let octets = [&GREETING[..], &ready("DEALER"), &message, &wire::ping(7, b"ctx")].concat();
    let config = ConnectionConfig::new(SocketType::Dealer);
    for chunk in 1..=octets.len() {
        let Outcome::Ready(mut ready) = feed(&config, &NULL, &octets, chunk) else { panic!("{chunk}") };
        let found = support::decode(&mut ready.decoder, &message, 1).unwrap();
        let Event::Ping(ping) = &found[1] else { panic!("{found:?}") };
        assert_eq!((ping.ttl.as_deciseconds(), ping.context.as_bytes()), (7, &b"ctx"[..]));
        let message = Event::message(&["one", "", "three"]);
        assert_eq!([&found[0], &found[2]], [&message, &message]);
        assert_eq!(support::drain(&mut ready.encoder), our_part(), "nothing is sent beside our greeting and READY");
    }
}

#[test]
fn ready_twice_ends_the_connection() {
    // H40
    let octets = [ready("DEALER"), ready("DEALER"), wire::message(&["late"])].concat();
    let mut ready = accepted("H40", SocketType::Dealer, &octets);
    assert_eq!(ready.decoder.poll(), Err(zmtp_connection::DecodeError::UnexpectedReady));
}
