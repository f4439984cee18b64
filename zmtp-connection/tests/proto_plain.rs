//! PLAIN through a whole core, octet for octet: the handshake in both roles, what is refused and when, what the peer is
//! told, and that a password goes to nobody who has not asked for one.
#![cfg(all(feature = "plain", feature = "null"))]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use bytes::Bytes;
use support::wire::{self, command, error, property};
use support::{Event, NOW, Pair, Ready, decode, drain, give, pending, sent, shake};
use zmtp_connection::codec::{
    Command, Credentials, ErrorReason, FrameError, HeartbeatContext, IdentityError, Mechanism, MechanismError,
    MechanismName, Ping, Refusal, SocketType, SocketTypeError, Ttl, Verdict,
};
use zmtp_connection::proto::{Authorize, Decoded, Establish, Failure, Outcome};
use zmtp_connection::{
    AllowList, Authenticator, ConnectionConfig, CredentialList, DecodeError, EncodedMessage, HandshakeCause,
    HandshakeError, LINK_FROM, PlainClient, PlainCredentials, PlainServer, Stage,
};

const GREETING: [u8; 64] = wire::greeting("PLAIN");
const SERVER_GREETING: [u8; 64] = wire::with(GREETING, 32, 1);
const SERVER: PlainServer = PlainServer::new();

fn pull() -> ConnectionConfig {
    ConnectionConfig::new(SocketType::Pull)
}

fn push() -> ConnectionConfig {
    ConnectionConfig::new(SocketType::Push)
}

fn admin() -> PlainCredentials {
    PlainCredentials::new("admin", "secret").unwrap()
}

fn client() -> PlainClient {
    PlainClient::new(admin())
}

fn hello() -> Vec<u8> {
    command("HELLO", b"\x05admin\x06secret")
}

fn welcome() -> Vec<u8> {
    command("WELCOME", b"")
}

fn initiate(socket_type: &str) -> Vec<u8> {
    command("INITIATE", &metadata(socket_type))
}

fn metadata(socket_type: &str) -> Vec<u8> {
    property("Socket-Type", socket_type.as_bytes())
}

fn asked<M: Mechanism>(outcome: Outcome<'_, M>) -> Authorize<'_, M> {
    match outcome {
        Outcome::Authorize(authorize) => authorize,
        other => panic!("{other:?}"),
    }
}

fn ready<M: Mechanism>(outcome: Outcome<'_, M>) -> Ready<M> {
    match outcome {
        Outcome::Ready(ready) => ready,
        Outcome::Failed(failure) => panic!("{}", failure.error),
        other => panic!("{other:?}"),
    }
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

// Our side at each step, with nothing waiting to be sent.

fn awaiting_hello(config: &ConnectionConfig) -> Establish<'_, PlainServer> {
    let mut establish = pending(give(Establish::new(config, &SERVER), &GREETING));
    assert_eq!(sent(&mut establish), SERVER_GREETING);
    establish
}

fn awaiting_initiate(config: &ConnectionConfig) -> Establish<'_, PlainServer> {
    let authorize = asked(give(awaiting_hello(config), &hello()));
    assert!(authorize.transmit().is_empty());
    let mut establish = pending(authorize.decide(Verdict::accept_as("admin"), NOW));
    assert_eq!(sent(&mut establish), welcome());
    establish
}

fn awaiting_welcome<'a>(config: &'a ConnectionConfig, client: &'a PlainClient) -> Establish<'a, PlainClient> {
    let mut establish = Establish::new(config, client);
    assert_eq!(sent(&mut establish), GREETING);
    let mut establish = pending(give(establish, &SERVER_GREETING));
    assert_eq!(sent(&mut establish), hello());
    establish
}

fn awaiting_ready<'a>(config: &'a ConnectionConfig, client: &'a PlainClient) -> Establish<'a, PlainClient> {
    let mut establish = pending(give(awaiting_welcome(config, client), &welcome()));
    assert_eq!(sent(&mut establish), initiate("PUSH"));
    establish
}

/// Runs `then` for a core at each point of a handshake at which a command is due: a name for the point, which sizes are
/// accepted there, and what giving octets leads to.
fn at_every_step(mut then: impl FnMut(&str, (u64, u64), &dyn Fn(&[u8]) -> HandshakeError)) {
    let (pull, push, client) = (pull(), push(), client());
    let most = 64 << 10;
    then("the server awaits HELLO", (8, 518), &|octets| silently(give(awaiting_hello(&pull), octets)));
    then("the server awaits INITIATE", (9, most), &|octets| silently(give(awaiting_initiate(&pull), octets)));
    then("the client awaits WELCOME", (6, 262), &|octets| silently(give(awaiting_welcome(&push, &client), octets)));
    then("the client awaits READY", (6, most), &|octets| silently(give(awaiting_ready(&push, &client), octets)));
}

// ─── the way it should go ────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn as_a_server_we_are_let_in_by_a_client_written_by_hand() {
    let pull = pull();
    let mut ready = ready(give(awaiting_initiate(&pull), &initiate("PUSH")));
    assert_eq!(drain(&mut ready.encoder), wire::ready("PULL"));
    assert!(ready.judged);
    let peer = &ready.peer;
    assert_eq!((peer.mechanism(), peer.user_id_str()), (MechanismName::PLAIN, Some("admin")));
    assert_eq!((peer.socket_type(), peer.public_key(), peer.is_encrypted()), (SocketType::Push, None, false));
    let octets = wire::message(&["a", "b"]);
    assert_eq!(decode(&mut ready.decoder, &octets, 1).unwrap(), [Event::message(&["a", "b"])]);
}

#[test]
fn as_a_client_we_are_let_in_by_a_server_written_by_hand() {
    let (push, client) = (push(), client());
    let mut ready = ready(give(awaiting_ready(&push, &client), &wire::ready("PULL")));
    assert_eq!(ready.encoder.pending(), 0);
    assert!(!ready.judged, "nobody was asked");
    let peer = &ready.peer;
    assert_eq!((peer.mechanism(), peer.user_id_str()), (MechanismName::PLAIN, None));
    assert_eq!((peer.socket_type(), peer.public_key(), peer.is_encrypted()), (SocketType::Pull, None, false));
    ready.encoder.push(&["a", "b"]).unwrap();
    assert_eq!(drain(&mut ready.encoder), wire::message(&["a", "b"]));
}

#[test]
fn a_handshake_in_pieces_of_any_size_completes_on_both_sides() {
    let pull = pull();
    let push = ConnectionConfig::builder(SocketType::Push).identity("worker").build().unwrap();
    let longest = PlainCredentials::new([b'u'; 255], [b'p'; 255]).unwrap();
    for credentials in [admin(), PlainCredentials::new("", "").unwrap(), longest] {
        let client = PlainClient::new(credentials.clone());
        for chunk in [1, 2, 63, 64, 65, 300, usize::MAX] {
            let ended = shake((&push, &client), (&pull, &SERVER), &Verdict::accept_as("alice"), chunk);
            let (Some(Ok(a)), Some(Ok(b))) = (ended.a, ended.b) else { panic!("{chunk}") };
            assert_eq!(ended.claims.len(), 1, "the server asks, and asks once");
            assert_eq!(ended.claims[0].credentials, Credentials::Plain(credentials.clone()));
            assert_eq!((a.peer.user_id_str(), b.peer.user_id_str()), (None, Some("alice")));
            assert_eq!(&b.peer.identity()[..], b"worker");
        }
    }
}

#[test]
fn the_request_has_username_password_and_domain_and_no_properties() {
    let config = ConnectionConfig::builder(SocketType::Pull).domain("jobs").build().unwrap();
    let authorize = asked(give(awaiting_hello(&config), &hello()));
    let request = authorize.request();
    assert_eq!((request.mechanism(), request.domain()), (MechanismName::PLAIN, "jobs"));
    assert_eq!(request.plain(), Some(&admin()));
    assert!(request.plain().unwrap().has_password("secret"));
    assert!(request.properties().is_none() && request.socket_type().is_none() && request.identity().is_none());
    assert!(request.public_key().is_none() && request.address().is_none());
    let shown = format!("{request:?} {authorize:?} {:?}", authorize.claim());
    assert!(shown.contains("admin") && !shown.contains("secret"), "{shown}");
}

// ─── what cannot be ──────────────────────────────────────────────────────────────────────────────────────────────────

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

/// P09, P12: a message before the handshake is over, and a HELLO that would be right in a command frame.
#[test]
fn a_message_frame_during_the_handshake_is_refused_from_its_header() {
    at_every_step(|step, (least, _), outcome| {
        for flags in [0, 1, 2, 3] {
            for size in [0, least] {
                let error = outcome(&wire::header(flags, size));
                assert!(matches!(error.cause(), HandshakeCause::NotACommand), "{step}, flags {flags}: {error}");
            }
        }
        let error = outcome(&wire::header(5, 200));
        let flags = FrameError::CommandWithMore { flags: 5 };
        assert!(matches!(error.cause(), HandshakeCause::Frame(error) if *error == flags), "{step}: {error}");
    });
    let (pull, body) = (pull(), wire::command_body("HELLO", b"\x05admin\x06secret"));
    let error = silently(give(awaiting_hello(&pull), &wire::frame(0, &body)));
    assert!(matches!(error.cause(), HandshakeCause::NotACommand));
    asked(give(awaiting_hello(&pull), &wire::frame(4, &body)));
    asked(give(awaiting_hello(&pull), &wire::frame(6, &body)));
}

/// P01 to P05, P07, P08, P11, P13, P15 and P32 to P35, as far as the header lets them pass: no word is said to any of them.
#[test]
fn a_command_that_is_wrong_ends_the_handshake_in_silence() {
    let (pull, push, client) = (pull(), push(), client());
    for octets in [
        command("HELLO", b"\x06admin"),
        command("HELLO", b"\x05admin\x07secret"),
        command("HELLO", b"\x05admin\x06secret\0"),
        initiate("PUSH"),
        error("400"),
        wire::ready("PUSH"),
    ] {
        assert!(!silently(give(awaiting_hello(&pull), &octets)).may_reconnect());
    }
    for octets in [hello(), command("INITIATE", &metadata("PUSH")[..19]), error("400"), wire::ready("PUSH")] {
        assert!(!silently(give(awaiting_initiate(&pull), &octets)).may_reconnect());
    }
    for octets in [command("WELCOME", b"\0"), wire::ready("PULL"), command("NONSENSE", b""), hello()] {
        assert!(!silently(give(awaiting_welcome(&push, &client), &octets)).may_reconnect());
    }
    for octets in [welcome(), command("NONSENSE", b""), initiate("PULL")] {
        assert!(!silently(give(awaiting_ready(&push, &client), &octets)).may_reconnect());
    }
}

#[test]
fn two_clients_and_two_servers_do_not_understand_each_other() {
    let (push, client) = (push(), client());
    let error = silently(give(awaiting_welcome(&push, &client), &hello()));
    let expected = MechanismError::UnexpectedCommand { expected: "WELCOME or ERROR", received: "HELLO".into() };
    assert_eq!(mechanism_error(&error), &expected);
    let ended = shake((&push, &SERVER), (&pull(), &SERVER), &Verdict::accept(), usize::MAX);
    assert!(ended.a.is_none() && ended.b.is_none(), "each waits for the other");
}

/// P30, P31.
#[test]
fn an_error_of_the_server_in_either_spelling_ends_the_clients_handshake_at_either_step() {
    let (push, client) = (push(), client());
    for reason in ["", "300", "400", "500", "Invalid socket type"] {
        let right = error(reason);
        let misspelt = wire::frame(4, &[&b"\x5eRROR"[..], &right[8..]].concat());
        for octets in [right, misspelt] {
            let outcomes =
                [give(awaiting_welcome(&push, &client), &octets), give(awaiting_ready(&push, &client), &octets)];
            for outcome in outcomes {
                let error = silently(outcome);
                assert_eq!(error.peer_reason().map(ToString::to_string).as_deref(), Some(reason));
                assert!(!error.may_reconnect());
            }
        }
    }
}

// ─── the verdict ─────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_refused_client_hears_the_reason_of_the_refusal_whatever_it_has_sent_behind_hello() {
    let own = Refusal::error(ErrorReason::new("no room").unwrap());
    let cases = [
        (Verdict::try_later(), Vec::new()),
        (Verdict::deny(), error("400")),
        (Verdict::internal_error(), error("500")),
        (Verdict::Refuse(own), error("no room")),
    ];
    for behind in [Vec::new(), initiate("PUSH"), initiate("NONSENSE"), hello(), b"\x04".to_vec()] {
        for (verdict, last_words) in cases.clone() {
            let pull = pull();
            let authorize = asked(give(awaiting_hello(&pull), &[hello(), behind.clone()].concat()));
            let failure = failed(authorize.decide(verdict.clone(), NOW));
            assert_eq!((failure.error.stage(), failure.last_words), (Stage::Authorization, last_words));
            let Verdict::Refuse(refusal) = verdict else { panic!("let in") };
            assert_eq!(failure.error.may_reconnect(), refusal.is_silent());
            assert_eq!(mechanism_error(&failure.error), &MechanismError::Refused(refusal));
        }
    }
}

/// P16: what libzmq closes on is taken, and no sooner than the verdict, however it was cut.
#[test]
fn an_initiate_and_a_message_behind_hello_wait_for_the_verdict() {
    let pull = pull();
    let behind = [initiate("PUSH"), wire::message(&["early"])].concat();
    for cut in 0..=behind.len() {
        let authorize = asked(give(awaiting_hello(&pull), &[&hello(), &behind[..cut]].concat()));
        assert!(authorize.transmit().is_empty(), "nothing is said before the verdict");
        let (mut ready, mut said, rest) = match authorize.decide(Verdict::accept(), NOW) {
            Outcome::Pending(mut establish) => {
                let said = sent(&mut establish);
                (ready(give(establish, &behind[cut..])), said, &behind[behind.len()..])
            }
            outcome => (ready(outcome), Vec::new(), &behind[cut..]),
        };
        said.extend(drain(&mut ready.encoder));
        assert_eq!(said, [welcome(), wire::ready("PULL")].concat(), "{cut}");
        let mut events = decode(&mut ready.decoder, rest, 1).unwrap();
        // Even with nothing more to come, what came early is found.
        while let Some(decoded) = ready.decoder.poll().unwrap() {
            assert_eq!(decoded, Decoded::Message);
            events.push(Event::message(ready.decoder.take_message().parts()));
        }
        assert_eq!(events, [Event::message(&["early"])], "{cut}");
    }
}

#[tokio::test]
async fn a_list_of_credentials_judges_the_request() {
    let (pull, list) = (pull(), CredentialList::new([admin()]));
    for (octets, is_let_in) in [
        (hello(), true),
        (command("HELLO", b"\x05admin\x06Secret"), false),
        (command("HELLO", b"\x06admins\x05ecret"), false),
        (command("HELLO", b"\0\0"), false),
    ] {
        let authorize = asked(give(awaiting_hello(&pull), &octets));
        let verdict = list.authenticate(authorize.request()).await;
        match authorize.decide(verdict, NOW) {
            Outcome::Pending(establish) => {
                assert!(is_let_in);
                assert_eq!(establish.transmit(), welcome());
                let ready = ready(give(establish, &initiate("PUSH")));
                assert_eq!(ready.peer.user_id_str(), Some("admin"));
            }
            outcome => {
                assert!(!is_let_in);
                assert_eq!(failed(outcome).last_words, error("400"));
            }
        }
        let keys = AllowList::new([[0; 32]]);
        let authorize = asked(give(awaiting_hello(&pull), &octets));
        let verdict = keys.authenticate(authorize.request()).await;
        assert_eq!(
            failed(authorize.decide(verdict, NOW)).last_words,
            error("400"),
            "who shows no key is on no list of keys"
        );
    }
}

// ─── properties that do not suit ─────────────────────────────────────────────────────────────────────────────────────

/// Properties that a PULL cannot use, what it makes of them, and what it tells their owner.
type Unfit = (Vec<u8>, fn(&HandshakeCause) -> bool, ErrorReason);

fn unfit() -> [Unfit; 5] {
    let identity = property("Identity", &[b'i'; 256]);
    let missing = |cause: &HandshakeCause| matches!(cause, HandshakeCause::SocketType(SocketTypeError::Missing));
    let unknown = |cause: &HandshakeCause| matches!(cause, HandshakeCause::SocketType(SocketTypeError::Unknown { .. }));
    let incompatible =
        |cause: &HandshakeCause| matches!(cause, HandshakeCause::Incompatible { theirs: SocketType::Pull, .. });
    let too_long = |cause: &HandshakeCause| matches!(cause, HandshakeCause::Identity(IdentityError::TooLong { .. }));
    [
        (property("X-Other", b""), missing, ErrorReason::MISSING_SOCKET_TYPE),
        (metadata("NONSENSE"), unknown, ErrorReason::INVALID_SOCKET_TYPE),
        (metadata("push"), unknown, ErrorReason::INVALID_SOCKET_TYPE),
        (metadata("PULL"), incompatible, ErrorReason::INVALID_SOCKET_TYPE),
        ([metadata("PUSH"), identity].concat(), too_long, ErrorReason::PROTOCOL_VIOLATION),
    ]
}

/// P10: in place of READY, and not behind it.
#[test]
fn a_client_with_unfit_properties_hears_an_error_in_place_of_ready() {
    let pull = pull();
    for (properties, as_expected, reason) in unfit() {
        let told = error(&reason.to_string());
        let initiate = command("INITIATE", &properties);
        let failure = failed(give(awaiting_initiate(&pull), &initiate));
        assert_eq!(failure.error.stage(), Stage::Properties);
        assert!(as_expected(failure.error.cause()), "{}", failure.error);
        assert!(!failure.error.may_reconnect());
        assert_eq!(failure.last_words, told, "{reason}");

        // It has not waited for its WELCOME: that is said, and READY is not.
        let authorize = asked(give(awaiting_hello(&pull), &[hello(), initiate].concat()));
        let failure = failed(authorize.decide(Verdict::accept(), NOW));
        assert_eq!((failure.error.stage(), failure.last_words), (Stage::Properties, [welcome(), told].concat()));
    }
}

#[test]
fn the_client_takes_the_error_in_place_of_ready_for_what_it_is() {
    let (pull, client) = (pull(), client());
    let ended = shake((&pull, &client), (&pull, &SERVER), &Verdict::accept(), usize::MAX);
    let (theirs, ours) = (ended.a.unwrap().unwrap_err(), ended.b.unwrap().unwrap_err());
    assert_eq!((theirs.stage(), ours.stage()), (Stage::Mechanism, Stage::Properties));
    assert_eq!(theirs.peer_reason(), Some(&ErrorReason::INVALID_SOCKET_TYPE));
}

/// NULL has said READY before it knows anything of the peer, and says ERROR behind it.
#[test]
fn under_null_the_error_is_said_behind_ready() {
    let pull = pull();
    for (properties, _, reason) in unfit() {
        let octets = [&wire::GREETING[..], &command("READY", &properties)].concat();
        let failure = failed(support::feed(&pull, &support::NULL, &octets, usize::MAX));
        let said = [&wire::GREETING[..], &wire::ready("PULL"), &error(&reason.to_string())].concat();
        assert_eq!((failure.error.stage(), failure.last_words), (Stage::Properties, said));
    }
}

/// P37.
#[test]
fn a_server_with_unfit_properties_is_told_so_when_all_of_ours_was_said() {
    let (push, client) = (push(), client());
    let failure = failed(give(awaiting_ready(&push, &client), &wire::ready("PUB")));
    assert_eq!(failure.error.stage(), Stage::Properties);
    let pub_and_push = |ours, theirs| (ours, theirs) == (SocketType::Push, SocketType::Pub);
    assert!(
        matches!(failure.error.cause(), HandshakeCause::Incompatible { ours, theirs } if pub_and_push(*ours, *theirs))
    );
    assert!(!failure.error.may_reconnect());
    assert_eq!(failure.last_words, error("Invalid socket type"));
    // Our server is ready by then, and is told why that was for nothing.
    let pull = pull();
    let mut server = ready(give(awaiting_initiate(&pull), &initiate("PUSH")));
    let reason = ErrorReason::INVALID_SOCKET_TYPE;
    assert_eq!(decode(&mut server.decoder, &failure.last_words, 1), Err(DecodeError::PeerError { reason }));
}

// ─── traffic ─────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn messages_and_commands_go_both_ways_as_they_are() {
    let (publisher, subscriber, client) =
        (ConnectionConfig::new(SocketType::Xpub), ConnectionConfig::new(SocketType::Xsub), client());
    let mut pair = Pair::new((&subscriber, &client), (&publisher, &SERVER));
    drain(&mut pair.a.encoder);
    drain(&mut pair.b.encoder);
    pair.a.encoder.push_command(&Command::Subscribe(Bytes::from_static(b"topic"))).unwrap();
    pair.a.encoder.push(&["up", "stream"]).unwrap();
    let octets = drain(&mut pair.a.encoder);
    assert_eq!(octets, [command("SUBSCRIBE", b"topic"), wire::message(&["up", "stream"])].concat());
    let found = decode(&mut pair.b.decoder, &octets, usize::MAX).unwrap();
    assert_eq!(
        found,
        [Event::Command(Command::Subscribe(Bytes::from_static(b"topic"))), Event::message(&["up", "stream"])]
    );

    let ping = Ping::new(Ttl::from_deciseconds(10), HeartbeatContext::new(b"context").unwrap());
    pair.b.encoder.push_ping(ping).unwrap();
    pair.b.encoder.push(&["topic", "news"]).unwrap();
    let octets = drain(&mut pair.b.encoder);
    assert_eq!(octets, [wire::ping(10, b"context"), wire::message(&["topic", "news"])].concat());
    let found = decode(&mut pair.a.decoder, &octets, usize::MAX).unwrap();
    assert_eq!(found, [Event::Ping(ping), Event::message(&["topic", "news"])]);
}

#[test]
fn a_large_payload_is_linked_and_a_message_is_encoded_once_for_many() {
    let (pull, push, client) = (pull(), push(), client());
    let large = Bytes::from(vec![7; LINK_FROM]);
    let encoded = EncodedMessage::encode(&[Bytes::from_static(b"small"), large.clone()]).unwrap();
    for _ in 0..3 {
        let mut pair = Pair::new((&push, &client), (&pull, &SERVER));
        assert!(pair.a.encoder.is_identity());
        pair.a.encoder.push_encoded(&encoded).unwrap();
        let linked = pair.a.encoder.chunks().any(|chunk| chunk.as_ptr() == large.as_ptr());
        assert!(linked, "it leaves from where it lies");
        assert_eq!(pair.a_to_b(), [Event::message(&[&b"small"[..], &large])]);
    }
}

// ─── downgrade ───────────────────────────────────────────────────────────────────────────────────────────────────────

/// Whatever a server of another kind says: it gets our greeting, or less, and no username or password.
#[test]
fn a_client_tells_its_password_only_to_a_server_whose_greeting_says_plain() {
    let null_ready = wire::ready("PULL");
    for (name, octets) in [
        ("1.0", b"\x01\x00\x02\x00x".to_vec()),
        ("2.0", wire::with(GREETING, 10, 1).to_vec()),
        ("NULL", [&wire::GREETING[..], &null_ready].concat()),
        ("NULL of 3.0", [&wire::GREETING_3_0[..], &null_ready].concat()),
        ("NULL, and a WELCOME", [&wire::GREETING[..], &welcome()].concat()),
        ("CURVE", wire::with(wire::greeting("CURVE"), 32, 1).to_vec()),
        ("PLAIN with a tail", wire::greeting("PLAINX").to_vec()),
        ("in small letters", wire::greeting("plain").to_vec()),
        ("nothing", wire::greeting("").to_vec()),
    ] {
        for chunk in [1, usize::MAX] {
            let (config, client) = (push(), client());
            let mut establish = Establish::new(&config, &client);
            let mut all_sent = sent(&mut establish);
            let mut ended = None;
            for piece in octets.chunks(chunk) {
                match give(establish, piece) {
                    Outcome::Pending(mut next) => {
                        all_sent.extend(sent(&mut next));
                        establish = next;
                    }
                    outcome => {
                        ended = Some(failed(outcome));
                        break;
                    }
                }
            }
            let failure = ended.unwrap_or_else(|| panic!("{name} is not refused"));
            assert_eq!((failure.error.stage(), failure.error.may_reconnect()), (Stage::Greeting, false), "{name}");
            assert_eq!(all_sent, GREETING, "{name}");
            assert!(failure.last_words.is_empty(), "{name}");
        }
    }
}

#[test]
fn a_server_takes_no_password_from_a_client_whose_greeting_says_something_else() {
    let pull = pull();
    for mechanism in ["NULL", "CURVE", "PLAINX", "plain"] {
        let octets = [&wire::greeting(mechanism)[..], &hello()].concat();
        let failure = failed(give(Establish::new(&pull, &SERVER), &octets));
        let cause = failure.error.cause();
        assert!(matches!(cause, HandshakeCause::MechanismMismatch { ours: MechanismName::PLAIN, .. }), "{cause}");
        assert_eq!(failure.last_words, SERVER_GREETING);
    }
}
