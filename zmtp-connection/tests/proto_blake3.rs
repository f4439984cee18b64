//! BLAKE3's handshake through a whole core, with either suite: what is refused and when, what the peer is told, that a
//! recorded session is of no use, and that nothing is ever said in the clear to a peer that would rather do without it.
#![cfg(all(feature = "blake3", feature = "null"))]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod blake3_support;
mod support;

use std::time::Duration;

use blake3_support::{
    Side, Tested, answer, client, client_key, client_of_another_server, greeted, greeting, in_both_suites, introduced,
    server, server_before_hello, server_greeting, server_key,
};
use support::wire::{self, command, error};
use support::{Event, NOW, decode, drain, give, pending, sent, shake, split_frame};
use zmtp_connection::codec::{GreetingError, Mechanism, MechanismError, MechanismName, SocketType, Verdict};
use zmtp_connection::proto::{Establish, Failure, Outcome};
use zmtp_connection::{ConnectionConfig, HandshakeCause, HandshakeError, Stage};
use zmtp_mechanism_blake3::Server;

in_both_suites! {
    fn a_handshake_in_pieces_of_any_size_completes_on_both_sides,
    a_command_of_a_wrong_size_is_refused_from_its_header,
    a_message_frame_during_the_handshake_is_refused_from_its_header,
    a_command_whose_header_is_longer_than_it_need_be_is_refused,
    a_command_out_of_turn_is_refused_by_its_name,
    a_changed_octet_anywhere_in_a_command_is_seen,
    greetings_that_were_changed_on_the_way_are_seen,
    an_error_from_a_client_is_refused,
    an_error_from_the_server_ends_the_clients_handshake_at_either_step,
    each_refusal_is_told_in_the_clear_or_not_at_all,
    socket_types_that_do_not_fit_are_told_to_who_is_let_in_and_not_to_strangers,
    a_cookie_that_comes_back_too_late_is_refused,
    a_client_with_another_server_key_is_not_answered,
    a_recorded_session_played_again_is_refused,
    a_recorded_server_is_refused_by_a_client,
    a_server_never_downgrades,
    a_client_never_downgrades,
}

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

fn forged(command: &'static str) -> MechanismError {
    MechanismError::Cryptographic { command }
}

fn ready<M: Mechanism>(outcome: Outcome<'_, M>) -> support::Ready<M> {
    match outcome {
        Outcome::Ready(ready) => ready,
        other => panic!("{other:?}"),
    }
}

/// Runs `then` for a core at each point of a handshake at which a command is due: a name for the point, which sizes are
/// accepted there, the command that would be right, and what giving octets leads to.
fn at_every_step<S: Tested>(mut then: impl FnMut(&str, (u64, u64), &[u8], &dyn Fn(&[u8]) -> HandshakeError)) {
    const MOST: u64 = 64 << 10;
    let (pull, push) = (pull(), push());
    let (server, client) = (server::<S>(), client::<S>());
    let welcomed = || {
        let (client, hello) = greeted(&push, &client);
        let (server, welcome) = answer(server_before_hello(&pull, &server), &hello);
        (client, server, welcome)
    };
    let (_, hello) = greeted(&push, &client);
    then("the server awaits HELLO", (S::HELLO, S::HELLO), &hello, &|octets| {
        silently(give(server_before_hello(&pull, &server), octets))
    });
    // Each attempt is made on a connection of its own, for which no recorded command is the right one.
    let named = |name: &str, size: usize| command(name, &vec![7; size - 1 - name.len()]);
    then(
        "the server awaits INITIATE",
        (S::INITIATE, MOST),
        &named("INITIATE", usize::try_from(S::INITIATE).unwrap()),
        &|octets| silently(give(welcomed().1, octets)),
    );
    then("the client awaits WELCOME", (7, 262), &named("WELCOME", S::WELCOME), &|octets| {
        silently(give(greeted(&push, &client).0, octets))
    });
    then("the client awaits READY", (7, MOST), &named("READY", 300), &|octets| {
        let (client, _, welcome) = welcomed();
        silently(give(answer(client, &welcome).0, octets))
    });
    assert_eq!(server.half_open(), 0, "who has failed takes no place");
}

// ─── as it should be ─────────────────────────────────────────────────────────────────────────────────────────────────

fn a_handshake_in_pieces_of_any_size_completes_on_both_sides<S: Tested>() {
    let (pull, push) = (pull(), ConnectionConfig::builder(SocketType::Push).identity("worker").build().unwrap());
    let (server, client) = (server::<S>(), client::<S>());
    let name = MechanismName::new(S::CALLED).unwrap();
    for chunk in [1, 2, 63, 64, 65, 300, usize::MAX] {
        let ended = shake((&push, &client), (&pull, &server), &Verdict::accept_as("alice"), chunk);
        let (Some(Ok(a)), Some(Ok(b))) = (ended.a, ended.b) else { panic!("{chunk}") };
        assert_eq!(ended.claims.len(), 1, "the server asks, and asks once");
        assert_eq!(ended.claims[0].credentials.public_key(), Some(&client_key()));
        assert_eq!((a.peer.public_key(), b.peer.public_key()), (Some(&server_key()), Some(&client_key())));
        assert_eq!((a.peer.user_id_str(), b.peer.user_id_str()), (None, Some("alice")));
        assert_eq!(&b.peer.identity()[..], b"worker");
        assert!(a.peer.is_encrypted() && b.peer.is_encrypted());
        assert_eq!((a.peer.mechanism(), b.peer.mechanism()), (name, name));
        assert_eq!(server.half_open(), 0);
    }
}

// ─── commands that are not right ─────────────────────────────────────────────────────────────────────────────────────

/// K01 (a HELLO of another size), K07 (a WELCOME of another size) and K28 (a peer of an older draft, whose HELLO has 200 octets):
/// the header is enough.
fn a_command_of_a_wrong_size_is_refused_from_its_header<S: Tested>() {
    at_every_step::<S>(|step, (least, most), _, outcome| {
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

fn a_message_frame_during_the_handshake_is_refused_from_its_header<S: Tested>() {
    at_every_step::<S>(|step, (least, _), _, outcome| {
        for flags in [0, 1, 2, 3] {
            for size in [0, least] {
                let size = if flags & 2 == 0 { size.min(255) } else { size };
                let error = outcome(&wire::header(flags, size));
                assert!(matches!(error.cause(), HandshakeCause::NotACommand), "{step}, flags {flags}: {error}");
            }
        }
        for flags in [5, 0x0c, 0x84] {
            let error = outcome(&wire::header(flags, 200));
            assert!(matches!(error.cause(), HandshakeCause::Frame(_)), "{step}: {error}");
        }
    });
}

/// A header is part of what both sides have to agree about, also those that put it together anew.
fn a_command_whose_header_is_longer_than_it_need_be_is_refused<S: Tested>() {
    at_every_step::<S>(|step, _, right, outcome| {
        let (flags, body, _) = split_frame(right);
        if flags & 2 == 0 {
            let error = outcome(&wire::frame(6, body));
            let MechanismError::Malformed { problem, .. } = mechanism_error(&error) else { panic!("{step}: {error}") };
            assert_eq!(*problem, "its header is not the shortest one", "{step}");
        }
    });
}

fn a_command_out_of_turn_is_refused_by_its_name<S: Tested>() {
    at_every_step::<S>(|step, (least, _), _, outcome| {
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

/// Of HELLO the version (K02), the padding (K03), C' and the box (K05); the box of WELCOME (K07); of INITIATE the cookie (K10),
/// the box (K11) and the vouch in it (K12); READY (K15).
fn a_changed_octet_anywhere_in_a_command_is_seen<S: Tested>() {
    let (pull, push) = (pull(), push());
    let (server, client) = (server::<S>(), client::<S>());
    let changed = |octets: &[u8], at: usize| {
        let mut octets = octets.to_vec();
        octets[at] ^= 1;
        octets
    };
    // Where the body begins; what becomes of headers is tested above.
    let body = |octets: &[u8]| if octets[0] & 2 == 0 { 2..octets.len() } else { 9..octets.len() };
    let (_, hello) = greeted(&push, &client);
    for at in body(&hello) {
        silently(give(server_before_hello(&pull, &server), &changed(&hello, at)));
    }
    let welcome = |hello: &[u8]| answer(server_before_hello(&pull, &server), hello);
    let (_, example) = welcome(&hello);
    for at in body(&example) {
        let (client, hello) = greeted(&push, &client);
        silently(give(client, &changed(&welcome(&hello).1, at)));
    }
    let (_, _, example) = introduced((&pull, &server), (&push, &client));
    for at in body(&example) {
        let (server, _, initiate) = introduced((&pull, &server), (&push, &client));
        silently(give(server, &changed(&initiate, at)));
    }
    let ready_of = |server, initiate: &[u8]| {
        let Outcome::Authorize(authorize) = give(server, initiate) else { panic!("nobody was asked") };
        drain(&mut ready(authorize.decide(Verdict::accept(), NOW)).encoder)
    };
    let (ours, _, initiate) = introduced((&pull, &server), (&push, &client));
    for at in body(&ready_of(ours, &initiate)) {
        let (server, client, initiate) = introduced((&pull, &server), (&push, &client));
        silently(give(client, &changed(&ready_of(server, &initiate), at)));
    }
    assert_eq!(server.half_open(), 0);
}

/// The version, the filler, and the octets of which nothing is known: what neither side looks at is in the transcript.
fn greetings_that_were_changed_on_the_way_are_seen<S: Tested>() {
    let (pull, push) = (pull(), push());
    let (server, client) = (server::<S>(), client::<S>());
    for at in [1, 8, 11, 33, 63] {
        for change_server in [false, true] {
            let change = |greeting: [u8; 64], yes: bool| {
                let octet = if at == 11 { 0 } else { 0xa5 };
                if yes { wire::with(greeting, at, octet) } else { greeting }
            };
            let mut ours = pending(give(Establish::new(&pull, &server), &change(greeting::<S>(), !change_server)));
            let theirs = give(Establish::new(&push, &client), &change(server_greeting::<S>(), change_server));
            let mut theirs = pending(theirs);
            let (_, hello) = (sent(&mut ours), sent(&mut theirs).split_off(64));
            let (ours, welcome) = answer(ours, &hello);
            let error = match S::SEES_THE_GREETINGS {
                "WELCOME" => silently(give(theirs, &welcome)),
                _ => silently(give(ours, &answer(theirs, &welcome).1)),
            };
            assert_eq!(mechanism_error(&error), &forged(S::SEES_THE_GREETINGS), "octet {at}");
        }
    }
}

// ─── ERROR ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/// A client has no ERROR to send; the server neither believes nor repeats it.
fn an_error_from_a_client_is_refused<S: Tested>() {
    at_every_step::<S>(|step, (least, _), _, outcome| {
        if !step.starts_with("the server") {
            return;
        }
        let error = outcome(&error("400"));
        assert!(matches!(error.cause(), HandshakeCause::CommandSize { .. }), "{step}: {error}");
        // As long as a command must be here.
        let error = outcome(&command("ERROR", &vec![0; usize::try_from(least).unwrap() - 6]));
        assert!(matches!(mechanism_error(&error), MechanismError::UnexpectedCommand { .. }), "{step}: {error}");
        assert_eq!(error.peer_reason(), None);
    });
}

/// K26: ERROR, in the clear, during the handshake.
fn an_error_from_the_server_ends_the_clients_handshake_at_either_step<S: Tested>() {
    at_every_step::<S>(|step, _, _, outcome| {
        if !step.starts_with("the client") {
            return;
        }
        for reason in ["", "300", "400", "500", "Invalid socket type"] {
            let error = outcome(&error(reason));
            assert_eq!(error.peer_reason().map(ToString::to_string).as_deref(), Some(reason), "{step}");
            assert!(!error.may_reconnect());
            assert!(error.hint().unwrap().contains("nothing proves"), "{error}");
        }
    });
}

/// Statuses 300, 400 and 500.
fn each_refusal_is_told_in_the_clear_or_not_at_all<S: Tested>() {
    for (verdict, last_words) in
        [(Verdict::deny(), error("400")), (Verdict::internal_error(), error("500")), (Verdict::try_later(), Vec::new())]
    {
        let (pull, push) = (pull(), push());
        let (server, client) = (server::<S>(), client::<S>());
        let (ours, theirs, initiate) = introduced((&pull, &server), (&push, &client));
        let Outcome::Authorize(authorize) = give(ours, &initiate) else { panic!("nobody was asked") };
        assert!(authorize.transmit().is_empty(), "nothing is said before the verdict");
        assert_eq!(server.half_open(), 1);
        let failure = failed(authorize.decide(verdict, NOW));
        assert_eq!((failure.error.stage(), &failure.last_words), (Stage::Authorization, &last_words));
        assert_eq!(failure.error.may_reconnect(), last_words.is_empty());
        assert_eq!(server.half_open(), 0);
        if !last_words.is_empty() {
            let error = silently(give(theirs, &last_words));
            assert!(error.peer_reason().is_some() && !error.may_reconnect());
        }
    }
}

fn socket_types_that_do_not_fit_are_told_to_who_is_let_in_and_not_to_strangers<S: Tested>() {
    let pull = pull();
    for (verdict, stage, last_words) in [
        (Verdict::accept(), Stage::Properties, error("Invalid socket type")),
        (Verdict::deny(), Stage::Authorization, error("400")),
        (Verdict::try_later(), Stage::Authorization, Vec::new()),
    ] {
        let (server, client) = (server::<S>(), client::<S>());
        let (ours, _, initiate) = introduced((&pull, &server), (&pull, &client));
        let Outcome::Authorize(authorize) = give(ours, &initiate) else { panic!("nobody was asked") };
        let failure = failed(authorize.decide(verdict, NOW));
        assert_eq!((failure.error.stage(), failure.last_words), (stage, last_words));
        assert_eq!(server.half_open(), 0);
    }
}

// ─── who is not who they should be ───────────────────────────────────────────────────────────────────────────────────

fn a_client_with_another_server_key_is_not_answered<S: Tested>() {
    let (pull, push, server) = (pull(), push(), server::<S>());
    let ended = shake((&push, &client_of_another_server::<S>()), (&pull, &server), &Verdict::accept(), usize::MAX);
    assert!(ended.a.is_none(), "it waits");
    let error = ended.b.unwrap().err().unwrap();
    assert_eq!(error.stage(), Stage::Mechanism);
    assert_eq!(mechanism_error(&error), &forged("HELLO"));
    assert!(error.hint().unwrap().contains("server key") && !error.may_reconnect());
    assert!(ended.claims.is_empty());
    assert_eq!(server.half_open(), 0);
}

/// With each command the mechanism is told the time that the core was told: what makes cookies lives for two minutes at most.
fn a_cookie_that_comes_back_too_late_is_refused<S: Tested>() {
    for (seconds, in_time) in [(119, true), (120, false)] {
        let (pull, push) = (pull(), push());
        let (server, client) = (server::<S>(), client::<S>());
        let (mut ours, _, initiate) = introduced((&pull, &server), (&push, &client));
        ours.receive(&initiate);
        match ours.advance(NOW + Duration::from_secs(seconds)) {
            Outcome::Authorize(_) => assert!(in_time, "{seconds} s"),
            outcome => {
                assert!(!in_time, "{seconds} s");
                assert_eq!(mechanism_error(&silently(outcome)), &forged("INITIATE"));
            }
        }
    }
}

/// What a client has said to a server, and the server to the client.
struct Recording {
    hello: Vec<u8>,
    initiate: Vec<u8>,
    payment: Vec<u8>,
    from_server: Vec<u8>,
}

/// A session in which a client has sent "pay" and a server "paid", for anybody to hear.
fn record<S: Tested>(ours: &Server<S>) -> Recording {
    let dealer = ConnectionConfig::new(SocketType::Dealer);
    let mechanism = client::<S>();
    let (theirs, hello) = greeted(&dealer, &mechanism);
    let (server, welcome) = answer(server_before_hello(&dealer, ours), &hello);
    let (theirs, initiate) = answer(theirs, &welcome);
    let Outcome::Authorize(authorize) = give(server, &initiate) else { panic!("nobody was asked") };
    let mut server: Side<S> = ready(authorize.decide(Verdict::accept(), NOW));
    let answer = drain(&mut server.encoder);
    let mut client: Side<S> = ready(give(theirs, &answer));
    client.encoder.push("pay").unwrap();
    server.encoder.push("paid").unwrap();
    let (payment, receipt) = (drain(&mut client.encoder), drain(&mut server.encoder));
    assert_eq!(decode(&mut server.decoder, &payment, usize::MAX).unwrap(), [Event::message(&["pay"])]);
    let from_server = [&server_greeting::<S>()[..], &welcome, &answer, &receipt].concat();
    Recording { hello, initiate, payment, from_server }
}

/// K09: a recorded HELLO and INITIATE. The server that is asked again has the same keys and the same cookie keys; no time has passed.
fn a_recorded_session_played_again_is_refused<S: Tested>() {
    let server = server::<S>();
    let dealer = ConnectionConfig::new(SocketType::Dealer);
    let Recording { hello, initiate, payment, .. } = record(&server);
    for server in [&server, &server.clone()] {
        // A HELLO is nobody's yet: it is answered, every time in another way.
        let (establish, welcome) = answer(server_before_hello(&dealer, server), &hello);
        let (_, again) = answer(server_before_hello(&dealer, server), &hello);
        assert_ne!(welcome, again);
        let error = silently(give(establish, &[&initiate[..], &payment].concat()));
        assert_eq!(mechanism_error(&error), &forged("INITIATE"));
        // All at once, and octet by octet.
        let all = [&greeting::<S>()[..], &hello, &initiate, &payment].concat();
        for chunk in [1, usize::MAX] {
            let error = failed(support::feed(&dealer, server, &all, chunk)).error;
            assert_eq!(mechanism_error(&error), &forged("INITIATE"));
        }
    }
    assert_eq!(server.half_open(), 0);
}

fn a_recorded_server_is_refused_by_a_client<S: Tested>() {
    let (dealer, client) = (ConnectionConfig::new(SocketType::Dealer), client::<S>());
    let recording = record(&server::<S>());
    let error = failed(support::feed(&dealer, &client, &recording.from_server, usize::MAX)).error;
    assert_eq!(mechanism_error(&error), &forged("WELCOME"));
}

// ─── downgrade ───────────────────────────────────────────────────────────────────────────────────────────────────────

/// Why a peer of another kind is refused.
#[derive(Debug, PartialEq)]
enum Why {
    Greeting(GreetingError),
    Speaks(MechanismName),
}

/// Whatever a peer of another kind says at first, and goes on to say: all that we ever send is our greeting, or less.
fn refuses_to_downgrade<S: Tested, M: Mechanism>(mechanism: &M, own_greeting: [u8; 64]) {
    let ready = wire::ready("PUSH");
    let plain = command("HELLO", b"\x05admin\x06secret");
    let old = |major| wire::with(greeting::<S>(), 10, major);
    let speaks = |theirs: &str| Why::Speaks(MechanismName::new(theirs).unwrap());
    let other_suite = if S::CALLED == "BLAKE3" { "BLAKE3-CHACHAPOLY" } else { "BLAKE3" };
    let rev2 = [&old(1)[..11], &[8, 0, 0]].concat();
    let cases = [
        ("1.0", b"\x01\x00\x02\x00x".to_vec(), Why::Greeting(GreetingError::NotZmtp { octet: 1 })),
        ("2.0", rev2, Why::Greeting(GreetingError::UnsupportedVersion { major: 1 })),
        ("2.1", old(2)[..11].to_vec(), Why::Greeting(GreetingError::UnsupportedVersion { major: 2 })),
        ("3.0 NULL", [&wire::GREETING_3_0[..], &ready].concat(), speaks("NULL")),
        ("3.1 NULL", [&wire::GREETING[..], &ready].concat(), speaks("NULL")),
        ("PLAIN client", [&wire::greeting("PLAIN")[..], &plain].concat(), speaks("PLAIN")),
        ("PLAIN server", wire::with(wire::greeting("PLAIN"), 32, 1).to_vec(), speaks("PLAIN")),
        ("CURVE client", wire::greeting("CURVE").to_vec(), speaks("CURVE")),
        ("CURVE server", wire::with(wire::greeting("CURVE"), 32, 1).to_vec(), speaks("CURVE")),
        ("the other suite", wire::greeting(other_suite).to_vec(), speaks(other_suite)),
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
                HandshakeCause::MechanismMismatch { ours, theirs } => {
                    assert_eq!(*ours, mechanism.name());
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

fn a_server_never_downgrades<S: Tested>() {
    let server = server::<S>();
    refuses_to_downgrade::<S, _>(&server, server_greeting::<S>());
    assert_eq!(server.half_open(), 0);
}

fn a_client_never_downgrades<S: Tested>() {
    refuses_to_downgrade::<S, _>(&client::<S>(), greeting::<S>());
}
