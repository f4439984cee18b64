//! CURVE's handshake through a whole core: what is refused and when, what the peer is told, what may come early, and that
//! nothing is ever said in the clear to a peer that would rather do without CURVE.
#![cfg(all(feature = "curve", feature = "null"))]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod curve_support;
mod support;

use curve_support::{
    GREETING, LAST, SERVER_GREETING, client, client_key, greeted, hello, hello_data, initiate, introduced, keys,
    metadata, server, server_key, welcomed,
};
use support::wire::{self, command, error, property};
use support::{Event, NOW, decode, drain, give, pending, sent, shake, split_frame};
use zmtp_connection::codec::{
    ErrorReason, GreetingError, IdentityError, Mechanism, MechanismError, MechanismName, OpenError, PropertyError,
    PropertyPart, Refusal, SocketType, SocketTypeError, Verdict,
};
use zmtp_connection::proto::{Decoded, Establish, Failure, Outcome};
use zmtp_connection::{ConnectionConfig, CurveClient, CurveServer, HandshakeCause, HandshakeError, Stage};

fn pull() -> ConnectionConfig {
    ConnectionConfig::new(SocketType::Pull)
}

fn push() -> ConnectionConfig {
    ConnectionConfig::new(SocketType::Push)
}

fn failed<M: Mechanism>(outcome: Outcome<'_, M>) -> Failure {
    match outcome {
        Outcome::Failed(failure) => failure,
        other => panic!("{other:?}"),
    }
}

/// The cause of a failure while commands are exchanged, after which nothing is said.
fn silently<M: Mechanism>(outcome: Outcome<'_, M>) -> HandshakeError {
    let failure = failed(outcome);
    assert_eq!(failure.error.stage(), Stage::Mechanism, "{}", failure.error);
    assert!(failure.last_words.is_empty(), "nothing is said: {}", failure.error);
    failure.error
}

fn mechanism_error(error: &HandshakeError) -> &MechanismError {
    match error.cause() {
        HandshakeCause::Mechanism(error) => error,
        other => panic!("{other:?}"),
    }
}

/// A server that was greeted and has greeted; nothing waits.
fn server_before_hello<'a>(config: &'a ConnectionConfig, server: &'a CurveServer) -> Establish<'a, CurveServer> {
    let mut establish = pending(give(Establish::new(config, server), &GREETING));
    assert_eq!(sent(&mut establish), SERVER_GREETING);
    establish
}

/// Runs `then` for a core at each point of a handshake at which a command is due: a name for the point, which sizes are
/// accepted there, and what giving octets leads to.
fn at_every_step(mut then: impl FnMut(&str, (u64, u64), &dyn Fn(&[u8]) -> HandshakeError)) {
    let (pull, push) = (pull(), push());
    let (server, client) = (server(), client());
    let most = 64 << 10;
    then("the server awaits HELLO", (200, 200), &|octets| silently(give(server_before_hello(&pull, &server), octets)));
    then("the server awaits INITIATE", (257, most), &|octets| silently(give(welcomed(&pull, &server).0, octets)));
    then("the client awaits WELCOME", (7, 262), &|octets| silently(give(greeted(&push, &client).0, octets)));
    then("the client awaits READY", (7, most), &|octets| silently(give(introduced(&push, &client).0, octets)));
    assert_eq!(server.half_open(), 0, "who has failed takes no place");
}

/// C01, C02, C16, C30, and what is above the limit for handshake commands: the header is enough.
#[test]
fn a_command_of_a_wrong_size_is_refused_from_its_header() {
    at_every_step(|step, (least, most), outcome| {
        for wrong in [0, least - 1, most + 1, 1 << 20, i64::MAX.unsigned_abs()] {
            let long = if wrong > 255 { 2 } else { 0 };
            let error = outcome(&wire::header(4 | long, wrong));
            assert!(
                matches!(error.cause(), HandshakeCause::CommandSize { size, least: l, most: m }
                    if (*size, *l, *m) == (wrong, least, most)),
                "{step}, {wrong}: {error}"
            );
            assert!(!error.may_reconnect());
        }
    });
}

/// C11, and its counterparts.
#[test]
fn a_message_frame_during_the_handshake_is_refused_from_its_header() {
    at_every_step(|step, (least, _), outcome| {
        for flags in [0, 1, 2, 3] {
            for size in [0, least] {
                let size = if flags & 2 == 0 { size.min(255) } else { size };
                let error = outcome(&wire::header(flags, size));
                assert!(matches!(error.cause(), HandshakeCause::NotACommand), "{step}, flags {flags}: {error}");
            }
        }
        let error = outcome(&wire::header(5, 200));
        assert!(matches!(error.cause(), HandshakeCause::Frame(_)), "{step}: {error}");
    });
}

/// The same octets, in a command frame, open the door.
#[test]
fn hello_and_initiate_count_as_commands_only() {
    let (pull, server) = (pull(), server());
    let hello = wire::command_body("HELLO", &hello_data());
    let error = silently(give(server_before_hello(&pull, &server), &wire::frame(0, &hello)));
    assert!(matches!(error.cause(), HandshakeCause::NotACommand));
    assert!(matches!(give(server_before_hello(&pull, &server), &wire::frame(4, &hello)), Outcome::Pending(_)));

    let (establish, welcome) = welcomed(&pull, &server);
    let (initiate, _) = initiate(&welcome, &metadata("PUSH"));
    let message = [&[2], &initiate[1..]].concat();
    assert_eq!(initiate[0], 6);
    let error = silently(give(establish, &message));
    assert!(matches!(error.cause(), HandshakeCause::NotACommand));
}

/// C12, C13, C27 to C29, C73: of the right size, where the header alone does not tell.
#[test]
fn a_command_out_of_turn_is_refused_by_its_name() {
    at_every_step(|step, (least, _), outcome| {
        let expected = match step {
            "the server awaits HELLO" => "HELLO",
            "the server awaits INITIATE" => "INITIATE",
            "the client awaits WELCOME" => "WELCOME or ERROR",
            _ => "READY or ERROR",
        };
        for name in ["HELLO", "WELCOME", "INITIATE", "READY", "MESSAGE", "PING", "SUBSCRIBE", "ready"] {
            if expected.starts_with(name) {
                continue;
            }
            let len = usize::try_from(least.max(30)).unwrap();
            let error = outcome(&command(name, &vec![0; len - 1 - name.len()]));
            let expected = MechanismError::UnexpectedCommand { expected, received: name.into() };
            assert_eq!(mechanism_error(&error), &expected, "{step}");
        }
    });
}

/// C28: a client has no ERROR to send; the server neither believes nor repeats it.
#[test]
fn an_error_from_a_client_is_refused() {
    let (pull, server) = (pull(), server());
    for octets in [error("400"), error("")] {
        let error = silently(give(server_before_hello(&pull, &server), &octets));
        assert!(matches!(error.cause(), HandshakeCause::CommandSize { .. }), "{error}");
        assert_eq!(error.peer_reason(), None);
        let error = silently(give(welcomed(&pull, &server).0, &octets));
        assert!(matches!(error.cause(), HandshakeCause::CommandSize { .. }), "{error}");
    }
    // As long as an INITIATE may be.
    let longest = error(&"x".repeat(255));
    let error = silently(give(welcomed(&pull, &server).0, &longest));
    let expected = MechanismError::UnexpectedCommand { expected: "INITIATE", received: "ERROR".into() };
    assert_eq!(mechanism_error(&error), &expected);
}

/// C77, C78.
#[test]
fn an_error_from_the_server_ends_the_clients_handshake_at_either_step() {
    let (push, client) = (push(), client());
    for reason in ["", "300", "400", "500", "Invalid socket type"] {
        let outcomes =
            [give(greeted(&push, &client).0, &error(reason)), give(introduced(&push, &client).0, &error(reason))];
        for outcome in outcomes {
            let error = silently(outcome);
            assert_eq!(error.peer_reason().map(ToString::to_string).as_deref(), Some(reason));
            assert!(!error.may_reconnect());
        }
    }
}

/// What a server makes of properties that cannot be, and tells a client that it would let in: C17, C25. One that it would
/// not learns that, and nothing of what would have been right.
#[test]
fn a_server_refuses_unfit_properties_with_one_error_in_the_clear_after_the_verdict() {
    let identity = property("Identity", &[b'i'; 256]);
    let cases = [
        (Vec::new(), ErrorReason::MISSING_SOCKET_TYPE),
        (identity.clone(), ErrorReason::MISSING_SOCKET_TYPE),
        (metadata("NONSENSE"), ErrorReason::INVALID_SOCKET_TYPE),
        (metadata("push"), ErrorReason::INVALID_SOCKET_TYPE),
        (metadata("PULL"), ErrorReason::INVALID_SOCKET_TYPE),
        ([metadata("PUSH"), identity].concat(), ErrorReason::PROTOCOL_VIOLATION),
    ];
    for (at, (properties, reason)) in cases.into_iter().enumerate() {
        let (pull, server) = (pull(), server());
        let asked = || {
            let (establish, welcome) = welcomed(&pull, &server);
            let Outcome::Authorize(authorize) = give(establish, &initiate(&welcome, &properties).0) else {
                panic!("{at}: nobody was asked")
            };
            assert!(authorize.transmit().is_empty(), "nothing is said before the verdict");
            authorize
        };
        for (verdict, last_words) in [(Verdict::deny(), error("400")), (Verdict::try_later(), Vec::new())] {
            let failure = failed(asked().decide(verdict, NOW));
            assert_eq!((failure.error.stage(), failure.last_words), (Stage::Authorization, last_words), "{at}");
        }
        let failure = failed(asked().decide(Verdict::accept_as("alice"), NOW));
        assert_eq!(failure.error.stage(), Stage::Properties, "{at}");
        let as_expected = match failure.error.cause() {
            HandshakeCause::SocketType(SocketTypeError::Missing) => at < 2,
            HandshakeCause::SocketType(SocketTypeError::Unknown { value }) => {
                (at, value.as_str()) == (2, "NONSENSE") || (at, value.as_str()) == (3, "push")
            }
            HandshakeCause::Incompatible { ours: SocketType::Pull, theirs: SocketType::Pull } => at == 4,
            HandshakeCause::Identity(IdentityError::TooLong { len: 256 }) => at == 5,
            _ => false,
        };
        assert!(as_expected, "{at}: {}", failure.error);
        assert!(!failure.error.may_reconnect());
        assert_eq!(failure.last_words, error(&reason.to_string()), "{at}");
        assert_eq!(server.half_open(), 0);
    }
}

/// C80, C84.
#[test]
fn a_client_refuses_unfit_properties_without_a_word() {
    let cases = [
        Vec::new(),
        metadata("NONSENSE"),
        metadata("PUSH"),
        [metadata("PULL"), property("Identity", &[b'i'; 256])].concat(),
    ];
    for (at, properties) in cases.into_iter().enumerate() {
        let (push, client) = (push(), client());
        let (establish, their_transient) = introduced(&push, &client);
        let failure = failed(give(establish, &curve_support::ready(&their_transient, &properties).0));
        assert_eq!(failure.error.stage(), Stage::Properties, "{at}");
        let as_expected = match failure.error.cause() {
            HandshakeCause::SocketType(SocketTypeError::Missing) => at == 0,
            HandshakeCause::SocketType(SocketTypeError::Unknown { .. }) => at == 1,
            HandshakeCause::Incompatible { ours: SocketType::Push, theirs: SocketType::Push } => at == 2,
            HandshakeCause::Identity(IdentityError::TooLong { len: 256 }) => at == 3,
            _ => false,
        };
        assert!(as_expected, "{at}: {}", failure.error);
        assert!(failure.last_words.is_empty(), "an ERROR of a client means nothing to a CURVE server");
    }
}

/// C26, cut at every octet, on both sides.
#[test]
fn metadata_that_is_cut_is_malformed_and_not_answered() {
    let (whole, pull, push) = (metadata("PAIR"), pull(), push());
    for len in 1..whole.len() {
        let (server, client) = (server(), client());
        let (establish, welcome) = welcomed(&pull, &server);
        let (at_server, at_client) = (silently(give(establish, &initiate(&welcome, &whole[..len]).0)), {
            let (establish, their_transient) = introduced(&push, &client);
            silently(give(establish, &curve_support::ready(&their_transient, &whole[..len]).0))
        });
        let part = match len {
            1..12 => PropertyPart::Name,
            12..16 => PropertyPart::ValueLength,
            _ => PropertyPart::Value,
        };
        for (error, command) in [(at_server, "INITIATE"), (at_client, "READY")] {
            assert!(
                matches!(mechanism_error(&error), MechanismError::Properties { command: c, source: PropertyError::Truncated { part: p, .. } }
                    if *c == command && *p == part),
                "{len}: {error}"
            );
        }
    }
}

/// C31. How the octets were cut into segments makes no difference, nor how long the verdict takes.
#[test]
fn a_message_behind_initiate_arrives_after_the_verdict_however_it_was_cut() {
    let (pull, server) = (pull(), server());
    let first = [&GREETING[..], &hello()].concat();
    for cut in (0..=64).step_by(8) {
        let mut establish = pending(give(Establish::new(&pull, &server), &first));
        let octets = sent(&mut establish);
        let (initiate, mut session) = initiate(&octets[64..], &metadata("PUSH"));
        let early = [session.frame(LAST, b"0rtt"), session.frame(LAST, b"more")].concat();
        let cut = cut.min(early.len());
        // In one segment with INITIATE, up to the cut.
        let Outcome::Authorize(authorize) = give(establish, &[&initiate, &early[..cut]].concat()) else { panic!() };
        assert!(authorize.transmit().is_empty(), "no READY before the verdict");
        assert_eq!(authorize.claim().credentials.public_key(), Some(&client_key()));
        let Outcome::Ready(mut ready) = authorize.decide(Verdict::accept(), NOW) else { panic!() };
        let sent = drain(&mut ready.encoder);
        let (flags, body, rest) = split_frame(&sent);
        assert_eq!((flags, &body[..6], rest.len()), (4, &b"\x05READY"[..], 0));
        let mut events = decode(&mut ready.decoder, &early[cut..], 1).unwrap();
        // Even with nothing more to come, what came early is found.
        events.extend(poll_all(&mut ready));
        assert_eq!(events, [Event::message(&["0rtt"]), Event::message(&["more"])], "{cut}");
    }
}

fn poll_all(ready: &mut curve_support::Curve) -> Vec<Event> {
    let mut events = Vec::new();
    while let Some(decoded) = ready.decoder.poll().unwrap() {
        assert_eq!(decoded, Decoded::Message);
        events.push(Event::message(ready.decoder.take_message().parts()));
    }
    events
}

#[test]
fn a_message_behind_initiate_is_gone_with_the_client_that_is_refused() {
    for (verdict, last_words) in
        [(Verdict::deny(), error("400")), (Verdict::internal_error(), error("500")), (Verdict::try_later(), Vec::new())]
    {
        let (pull, server) = (pull(), server());
        let (establish, welcome) = welcomed(&pull, &server);
        let (initiate, mut session) = initiate(&welcome, &metadata("PUSH"));
        let Outcome::Authorize(authorize) = give(establish, &[initiate, session.frame(LAST, b"0rtt")].concat()) else {
            panic!()
        };
        assert_eq!(server.half_open(), 1, "who is judged still takes a place");
        let failure = failed(authorize.decide(verdict.clone(), NOW));
        assert_eq!(failure.error.stage(), Stage::Authorization);
        let Verdict::Refuse(refusal) = verdict else { unreachable!() };
        assert_eq!(failure.error.may_reconnect(), refusal == Refusal::silent());
        assert_eq!(mechanism_error(&failure.error), &MechanismError::Refused(refusal));
        assert_eq!(failure.last_words, last_words);
        assert_eq!(server.half_open(), 0);
    }
}

#[test]
fn a_message_behind_ready_arrives() {
    let (push, client) = (ConnectionConfig::new(SocketType::Pair), client());
    for cut in [0, 1, 2, 37, 38] {
        let (establish, their_transient) = introduced(&push, &client);
        let (ready, mut session) = curve_support::ready(&their_transient, &metadata("PAIR"));
        let early = session.frame(LAST, b"x");
        assert_eq!(early.len(), 36);
        let cut = cut.min(early.len());
        let Outcome::Ready(mut established) = give(establish, &[&ready, &early[..cut]].concat()) else { panic!() };
        assert_eq!(established.encoder.pending(), 0);
        let mut events = decode(&mut established.decoder, &early[cut..], usize::MAX).unwrap();
        events.extend(poll_all(&mut established));
        assert_eq!(events, [Event::message(&["x"])], "{cut}");
    }
}

/// C82: a server may count from where it likes.
#[test]
fn messages_count_on_from_the_number_of_ready() {
    let (pair, client) = (ConnectionConfig::new(SocketType::Pair), client());
    for number in [0, 1, u64::MAX - 1] {
        let (establish, their_transient) = introduced(&pair, &client);
        let (ready, session) = curve_support::ready_numbered(number, &their_transient, &metadata("PAIR"));
        let Outcome::Ready(mut established) = give(establish, &ready) else { panic!() };
        let first = session.numbered(number + 1, b"x");
        assert_eq!(decode(&mut established.decoder, &first, usize::MAX).unwrap(), [Event::message(&["x"])]);
        let (establish, their_transient) = introduced(&pair, &client);
        let (ready, session) = curve_support::ready_numbered(number, &their_transient, &metadata("PAIR"));
        let Outcome::Ready(mut established) = give(establish, &ready) else { panic!() };
        let again = decode(&mut established.decoder, &session.numbered(number, b"x"), usize::MAX);
        assert_eq!(again, Err(OpenError::Sequence.into()));
    }
}

/// An early MESSAGE that is forged harms nobody before the client is let in, and is an error afterwards.
#[test]
fn a_forged_message_behind_initiate_fails_the_connection_and_not_the_handshake() {
    let (pull, server) = (pull(), server());
    let (establish, welcome) = welcomed(&pull, &server);
    let (initiate, session) = initiate(&welcome, &metadata("PUSH"));
    let Outcome::Authorize(authorize) = give(establish, &[initiate, session.reflected(9, LAST, b"x")].concat()) else {
        panic!()
    };
    let Outcome::Ready(mut ready) = authorize.decide(Verdict::accept(), NOW) else { panic!() };
    assert_eq!(ready.decoder.poll(), Err(OpenError::Forged.into()));
}

// ─── downgrade ───────────────────────────────────────────────────────────────────────────────────────────────────────

/// Why a peer of another kind is refused.
#[derive(Debug, PartialEq)]
enum Why {
    Greeting(GreetingError),
    Speaks(MechanismName),
}

/// Whatever a peer of another kind says at first, and goes on to say: all that we ever send is our greeting, or less.
fn refuses_to_downgrade<M: Mechanism>(mechanism: &M, own_greeting: [u8; 64]) {
    let ready = wire::ready("PUSH");
    let plain = command("HELLO", b"\x05admin\x06secret");
    let old = wire::with(GREETING, 10, 1);
    let rev2 = [&old[..11], &[8, 0, 0]].concat();
    let speaks = |theirs: &str| Why::Speaks(MechanismName::new(theirs).unwrap());
    let cases = [
        ("1.0", b"\x01\x00\x02\x00x".to_vec(), Why::Greeting(GreetingError::NotZmtp { octet: 1 })),
        ("1.0, long", b"\xff\0\0\0\0\0\0\0\x01\x00".to_vec(), Why::Greeting(GreetingError::Signature { octet: 0 })),
        ("2.0", rev2, Why::Greeting(GreetingError::UnsupportedVersion { major: 1 })),
        (
            "2.1",
            wire::with(GREETING, 10, 2)[..11].to_vec(),
            Why::Greeting(GreetingError::UnsupportedVersion { major: 2 }),
        ),
        ("3.0 NULL", [&wire::GREETING_3_0[..], &ready].concat(), speaks("NULL")),
        ("3.1 NULL", [&wire::GREETING[..], &ready].concat(), speaks("NULL")),
        ("PLAIN client", [&wire::greeting("PLAIN")[..], &plain].concat(), speaks("PLAIN")),
        ("PLAIN server", wire::with(wire::greeting("PLAIN"), 32, 1).to_vec(), speaks("PLAIN")),
        ("CURVE with a tail", wire::greeting("CURVEX").to_vec(), speaks("CURVEX")),
    ];
    for (name, octets, why) in cases {
        for chunk in [1, usize::MAX] {
            let config = pull();
            let mut establish = Establish::new(&config, mechanism);
            let mut all_sent = sent(&mut establish);
            let mut ended = None;
            for piece in octets.chunks(chunk) {
                match give(establish, piece) {
                    Outcome::Pending(mut next) => {
                        all_sent.extend(sent(&mut next));
                        establish = next;
                    }
                    other => {
                        ended = Some(failed(other));
                        break;
                    }
                }
            }
            let failure = ended.unwrap_or_else(|| panic!("{name} is not refused"));
            assert_eq!(failure.error.stage(), Stage::Greeting, "{name}");
            match failure.error.cause() {
                HandshakeCause::Greeting(error) => assert_eq!(Why::Greeting(*error), why, "{name}"),
                HandshakeCause::MechanismMismatch { ours: MechanismName::CURVE, theirs } => {
                    assert_eq!(Why::Speaks(*theirs), why, "{name}");
                }
                other => panic!("{name}: {other:?}"),
            }
            assert!(!failure.error.may_reconnect(), "{name}");
            assert_eq!(all_sent, own_greeting, "{name}: the greeting, and nothing else");
            assert!(failure.last_words.is_empty(), "{name}");
        }
    }
}

#[test]
fn a_curve_server_never_downgrades() {
    let server = server();
    refuses_to_downgrade(&server, SERVER_GREETING);
    assert_eq!(server.half_open(), 0);
}

#[test]
fn a_curve_client_never_downgrades() {
    refuses_to_downgrade(&client(), GREETING);
}

/// The version is not what matters: a CURVE peer of 3.0 is as good as one of 3.1.
#[test]
fn a_curve_peer_of_zmtp_3_0_is_let_in() {
    let (push, client) = (push(), client());
    let greeting = wire::with(SERVER_GREETING, 11, 0);
    let (ready, _) = curve_support::ready_client(&push, &client, greeting, SocketType::Pull);
    assert_eq!(ready.peer.version().minor(), 0);
    assert!(ready.peer.is_encrypted());
    assert_eq!(ready.peer.public_key(), Some(&server_key()));
}

// ─── both sides ours ─────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_handshake_in_pieces_of_any_size_completes_on_both_sides() {
    let (pull, push) = (pull(), ConnectionConfig::builder(SocketType::Push).identity("worker").build().unwrap());
    let (server, client) = (server(), client());
    for chunk in [1, 2, 63, 64, 65, 300] {
        let ended = shake((&push, &client), (&pull, &server), &Verdict::accept_as("alice"), chunk);
        let (Some(Ok(a)), Some(Ok(b))) = (ended.a, ended.b) else { panic!("{chunk}") };
        assert_eq!(ended.claims.len(), 1, "the server asks, and asks once");
        assert_eq!(ended.claims[0].credentials.public_key(), Some(&client_key()));
        assert_eq!((a.peer.public_key(), b.peer.public_key()), (Some(&server_key()), Some(&client_key())));
        assert_eq!((a.peer.user_id_str(), b.peer.user_id_str()), (None, Some("alice")));
        assert_eq!(&b.peer.identity()[..], b"worker");
        assert!(a.peer.is_encrypted() && b.peer.is_encrypted());
        assert_eq!((a.peer.mechanism(), b.peer.mechanism()), (MechanismName::CURVE, MechanismName::CURVE));
        assert_eq!(server.half_open(), 0);
    }
}

#[test]
fn a_client_with_another_server_key_is_not_answered() {
    let (pull, push, server) = (pull(), push(), server());
    let wrong = CurveClient::new(*keys([9; 32]).public_key(), keys([8; 32]));
    let ended = shake((&push, &wrong), (&pull, &server), &Verdict::accept(), usize::MAX);
    assert!(ended.a.is_none(), "it waits");
    let error = ended.b.unwrap().err().unwrap();
    assert_eq!(error.stage(), Stage::Mechanism);
    assert_eq!(mechanism_error(&error), &MechanismError::Cryptographic { command: "HELLO" });
    assert!(error.hint().unwrap().contains("server key") && !error.may_reconnect());
    assert!(ended.claims.is_empty());
    assert_eq!(server.half_open(), 0);
}
