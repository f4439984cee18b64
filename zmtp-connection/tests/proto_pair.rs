//! Handshakes between two of our own cores: socket types, versions, chunk sizes, and a mechanism with keys.
#![cfg(feature = "null")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use std::fmt::Debug;

use support::fake::Fake;
use support::{Event, NULL, Pair, feed, shake, wire};
use zmtp_connection::codec::{
    AnyMechanism, Credentials, ErrorReason, Mechanism, MechanismError, Refusal, SocketType, Verdict,
};
use zmtp_connection::proto::Outcome;
use zmtp_connection::{ConnectionConfig, HandshakeCause, HandshakeError, Null, Stage};

const KEY: [u8; 32] = [0x4b; 32];

/// RFC 37, written down a second time.
const COMPATIBLE: [(&str, &[&str]); 19] = [
    ("REQ", &["REP", "ROUTER"]),
    ("REP", &["REQ", "DEALER"]),
    ("DEALER", &["REP", "DEALER", "ROUTER"]),
    ("ROUTER", &["REQ", "DEALER", "ROUTER"]),
    ("PUB", &["SUB", "XSUB"]),
    ("XPUB", &["SUB", "XSUB"]),
    ("SUB", &["PUB", "XPUB"]),
    ("XSUB", &["PUB", "XPUB"]),
    ("PUSH", &["PULL"]),
    ("PULL", &["PUSH"]),
    ("PAIR", &["PAIR"]),
    ("CLIENT", &["SERVER"]),
    ("SERVER", &["CLIENT"]),
    ("RADIO", &["DISH"]),
    ("DISH", &["RADIO"]),
    ("SCATTER", &["GATHER"]),
    ("GATHER", &["SCATTER"]),
    ("PEER", &["PEER"]),
    ("CHANNEL", &["CHANNEL"]),
];

#[test]
fn every_pair_of_socket_types_meets_or_refuses_as_the_rfc_says() {
    let mut met = 0;
    for (a, compatible) in COMPATIBLE {
        for (b, _) in COMPATIBLE {
            let type_of = |name: &str| SocketType::from_wire(name.as_bytes()).unwrap();
            let configs = [a, b].map(|name| ConnectionConfig::new(type_of(name)));
            let null = NULL;
            let ended = shake((&configs[0], &null), (&configs[1], &null), &Verdict::accept(), usize::MAX);
            if compatible.contains(&b) {
                met += 1;
                assert_eq!(ended.a.unwrap().unwrap().peer.socket_type().as_str(), b);
                assert_eq!(ended.b.unwrap().unwrap().peer.socket_type().as_str(), a);
                continue;
            }
            for (side, ours, peer) in [(ended.a, a, b), (ended.b, b, a)] {
                let error = side.unwrap().unwrap_err();
                assert_eq!(error.stage(), Stage::Properties, "{ours}-{peer}");
                // H59
                assert!(!error.may_reconnect(), "{ours}-{peer}");
                let expected = HandshakeCause::Incompatible { ours: type_of(ours), theirs: type_of(peer) };
                assert_eq!(format!("{:?}", error.cause()), format!("{expected:?}"));
            }
        }
    }
    assert_eq!(met, 29);
}

/// Messages both ways, after a handshake in pieces of every size.
fn every_chunk<A: Mechanism, B: Mechanism>(a: &A, b: &B) {
    let configs = [SocketType::Dealer, SocketType::Router]
        .map(|kind| ConnectionConfig::builder(kind).identity("me").property("X-Zone", "north").build().unwrap());
    for chunk in 1..=70 {
        let ended = shake((&configs[0], a), (&configs[1], b), &Verdict::accept(), chunk);
        let (Some(Ok(a)), Some(Ok(b))) = (ended.a, ended.b) else { panic!("chunk {chunk}") };
        for peer in [&a.peer, &b.peer] {
            assert_eq!(peer.properties().get("X-Zone").unwrap(), "north");
            assert_eq!(&peer.identity()[..], b"me");
        }
        let mut pair = Pair::<A, B> { a, b, claims: ended.claims };
        pair.a.encoder.push(&["x", "y"]).unwrap();
        assert_eq!(pair.a_to_b(), [Event::message(&["x", "y"])], "chunk {chunk}");
        pair.b.encoder.push("z").unwrap();
        let octets = support::drain(&mut pair.b.encoder);
        assert_eq!(support::decode(&mut pair.a.decoder, &octets, chunk).unwrap(), [Event::message(&["z"])]);
    }
}

#[test]
fn a_handshake_succeeds_in_pieces_of_every_size() {
    every_chunk(&NULL, &Null::with_authorization());
    every_chunk(&AnyMechanism::new(Null::new()), &NULL);
    every_chunk(&Fake::client(KEY), &Fake::server());
    every_chunk(&AnyMechanism::new(Fake::client(KEY)), &AnyMechanism::new(Fake::server()));
}

#[test]
fn a_boxed_mechanism_keeps_what_it_wraps() {
    let config = ConnectionConfig::new(SocketType::Pair);
    let (null, fake) = (AnyMechanism::new(Null::new()), AnyMechanism::new(Fake::server()));
    let pair = Pair::new((&config, &null), (&config, &NULL));
    assert!(pair.a.encoder.is_identity() && !pair.a.peer.is_encrypted());
    let pair = Pair::new((&config, &fake), (&config, &Fake::client(KEY)));
    assert!(!pair.a.encoder.is_identity() && pair.a.peer.is_encrypted());
    assert_eq!(pair.a.peer.public_key(), Some(&KEY));
    assert_eq!(pair.b.peer.public_key(), None);
    assert_eq!(pair.a.peer.mechanism().to_string(), "FAKE");
}

#[test]
fn the_application_judges_a_key_and_the_properties_that_came_with_it() {
    let config = ConnectionConfig::builder(SocketType::Pair).property("X-User", "me").build().unwrap();
    let pair = Pair::new((&config, &Fake::client(KEY)), (&config, &Fake::server()));
    let [claim] = &pair.claims[..] else { panic!("one question is asked: {:?}", pair.claims) };
    assert_eq!(claim.credentials, Credentials::PublicKey(KEY));
    assert_eq!(claim.properties.as_ref().unwrap().get("X-User").unwrap(), "me");
}

fn refused(verdict: &Verdict) -> (HandshakeError, Option<HandshakeError>) {
    let config = ConnectionConfig::new(SocketType::Pair);
    let ended = shake((&config, &Fake::client(KEY)), (&config, &Fake::server()), verdict, usize::MAX);
    (ended.b.unwrap().unwrap_err(), ended.a.map(|a| a.unwrap_err()))
}

#[test]
fn a_refused_peer_receives_the_error_and_a_silent_refusal_says_nothing() {
    let reason = ErrorReason::new("not you").unwrap();
    let (ours, theirs) = refused(&Verdict::Refuse(Refusal::error(reason.clone())));
    assert_eq!(ours.stage(), Stage::Authorization);
    assert!(!ours.may_reconnect());
    let theirs = theirs.unwrap();
    assert_eq!(theirs.peer_reason(), Some(&reason));
    assert!(!theirs.may_reconnect());

    let (ours, theirs) = refused(&Verdict::Refuse(Refusal::silent()));
    assert!(ours.may_reconnect());
    assert!(theirs.is_none(), "the client is left waiting for the end of the stream");
}

#[test]
fn a_claim_of_an_unsuitable_socket_type_is_refused_once_the_peer_would_be_let_in() {
    let (client, server) = (ConnectionConfig::new(SocketType::Push), ConnectionConfig::new(SocketType::Pub));
    let shake = |verdict| shake((&client, &Fake::client(KEY)), (&server, &Fake::server()), &verdict, usize::MAX);
    let ended = shake(Verdict::deny());
    assert_eq!(ended.b.unwrap().unwrap_err().stage(), Stage::Authorization);
    let theirs = ended.a.unwrap().unwrap_err();
    assert_eq!(theirs.peer_reason(), Some(&ErrorReason::AUTHENTICATION_FAILURE), "a stranger learns no more");
    let ended = shake(Verdict::accept());
    assert_eq!(ended.claims.len(), 1);
    let ours = ended.b.unwrap().unwrap_err();
    assert_eq!(ours.stage(), Stage::Properties);
    assert!(matches!(ours.cause(), HandshakeCause::Incompatible { ours: SocketType::Pub, theirs: SocketType::Push }));
    let theirs = ended.a.unwrap().unwrap_err();
    assert_eq!(theirs.peer_reason(), Some(&ErrorReason::INVALID_SOCKET_TYPE));
}

#[test]
fn under_encryption_an_unsuitable_ready_ends_the_connection_without_an_error_in_the_clear() {
    let config = ConnectionConfig::new(SocketType::Pair);
    let octets = [&wire::greeting("FAKE")[..], &wire::command("WELCOME", b""), &wire::ready("PUB")].concat();
    let Outcome::Failed(failure) = feed(&config, &Fake::client(KEY), &octets, 1) else { panic!() };
    assert_eq!(failure.error.stage(), Stage::Properties);
    let own = wire::property("Socket-Type", b"PAIR");
    let expected =
        [&wire::greeting("FAKE")[..], &wire::command("HELLO", &KEY), &wire::command("INITIATE", &own)].concat();
    assert_eq!(failure.last_words, expected);
}

fn refused_from_header(mechanism: &Fake, before: &[u8], size: u64, least: u64, most: u64) {
    let config = ConnectionConfig::new(SocketType::Pair);
    let octets = [&wire::greeting("FAKE")[..], before, &wire::header(6, size)].concat();
    let Outcome::Failed(failure) = feed(&config, mechanism, &octets, 1) else { panic!("{size}") };
    let expected: &dyn Debug = &HandshakeCause::CommandSize { size, least, most };
    assert_eq!(format!("{:?}", failure.error.cause()), format!("{expected:?}"));
    assert_eq!(failure.error.stage(), Stage::Mechanism);
}

#[test]
fn a_command_of_a_size_that_the_mechanism_rules_out_is_refused_from_its_header() {
    for size in [0, 37, 39, 1 << 40] {
        refused_from_header(&Fake::server(), b"", size, 38, 38);
    }
    for size in [6, 263] {
        refused_from_header(&Fake::client(KEY), b"", size, 7, 262);
    }
    // Where the mechanism has no opinion, the connection's own limit stands.
    let welcome = wire::command("WELCOME", b"");
    refused_from_header(&Fake::client(KEY), &welcome, 65_537, 0, 65_536);
}

#[test]
fn commands_out_of_order_are_refused_by_name() {
    let config = ConnectionConfig::new(SocketType::Pair);
    let hello = wire::command("HELLO", &KEY);
    let octets = [&wire::greeting("FAKE")[..], &hello, &hello].concat();
    let Outcome::Failed(failure) = feed(&config, &Fake::server(), &octets, usize::MAX) else { panic!() };
    let expected = MechanismError::UnexpectedCommand { expected: "INITIATE", received: "HELLO".into() };
    assert!(matches!(failure.error.cause(), HandshakeCause::Mechanism(error) if *error == expected));
    let expected = [&wire::with(wire::greeting("FAKE"), 32, 1)[..], &wire::command("WELCOME", b"")].concat();
    assert_eq!(failure.last_words, expected, "what was said before the failure still goes out");
}
