//! BLAKE3 clients at the door of a server, with either suite: who is let in, what either side learns of a refusal, and what
//! a ZAP handler is told.
#![cfg(all(feature = "blake3", feature = "net", feature = "null"))]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod blake3_support;
mod net_support;
mod support;

use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Duration;

use blake3_support::{
    Tested, client, client_key, client_of_another_server, client_with, greeting, in_both_suites, keys, public, server,
    server_greeting, server_key,
};
use net_support::{Counting, End, ends};
use support::wire;
use zmtp_connection::codec::{
    AnyMechanism, ErrorReason, Mechanism, MechanismError, MechanismName, Refusal, SocketType, Verdict,
};
use zmtp_connection::{
    AllowAny, AllowList, AuthRequest, Authenticator, Connection, ConnectionConfig, EncodedMessage, Event,
    HandshakeCause, HandshakeError, Message, PeerAddress, PushError, Stage, decide,
};
use zmtp_mechanism_blake3::{Client, Server};

in_both_suites! {
    async fn a_list_that_changes_while_the_server_serves_decides_about_the_next_client,
    a_judge_sees_key_properties_domain_and_address,
    a_refusal_says_on_both_sides_what_it_was,
    a_client_with_another_server_key_fails_on_both_sides_and_reaches_no_judge,
    a_client_asks_its_authenticator_once_about_the_server_that_it_has_found,
    a_client_refuses_a_server_in_silence,
    of_several_server_keys_each_opens_the_door_and_none_is_mistaken_for_another,
    a_server_without_a_judge_lets_nobody_in,
    more_half_open_clients_than_there_are_places_are_turned_away_in_silence,
    it_works_as_a_mechanism_chosen_at_run_time_on_either_side,
    a_handshake_completes_over_a_stream_with_hardly_any_memory,
    a_peer_of_another_kind_reads_our_greeting_and_the_end,
    a_side_with_another_mechanism_and_ours_refuse_each_other,
}

const SECOND: Duration = Duration::from_secs(1);
const BOB: [u8; 32] = [0xb0; 32];

fn pull() -> ConnectionConfig {
    ConnectionConfig::builder(SocketType::Pull).handshake_timeout(Some(10 * SECOND)).build().unwrap()
}

fn push() -> ConnectionConfig {
    ConnectionConfig::builder(SocketType::Push).handshake_timeout(Some(20 * SECOND)).build().unwrap()
}

type Ended<M> = Result<Connection<End, M>, HandshakeError>;

/// How it ends for server and client.
async fn knock<S: Mechanism, C: Mechanism>(
    server: &S,
    client: &C,
    judge: &(impl Authenticator + ?Sized),
) -> (Ended<S>, Ended<C>) {
    let (ours, theirs) = ends();
    let (pull, push) = (pull(), push());
    tokio::join!(Connection::handshake_with(ours, &pull, server, judge), Connection::handshake(theirs, &push, client))
}

/// As [`knock`], with an authenticator on the client's side too.
async fn both_judged<S: Tested>(
    server: &Server<S>,
    client: &Client<S>,
    of_clients: &(impl Authenticator + ?Sized),
    of_servers: &(impl Authenticator + ?Sized),
) -> (Ended<Server<S>>, Ended<Client<S>>) {
    let (ours, theirs) = ends();
    let (pull, push) = (pull(), push());
    tokio::join!(
        Connection::handshake_with(ours, &pull, server, of_clients),
        Connection::handshake_with(theirs, &push, client, of_servers)
    )
}

/// Whether the client is let in; both sides have to agree about it.
async fn is_let_in<S: Tested>(server: &Server<S>, client: &Client<S>, judge: &AllowList) -> bool {
    let (server, client) = knock(server, client, judge).await;
    assert_eq!(server.is_ok(), client.is_ok(), "{server:?} {client:?}");
    server.is_ok()
}

/// A message goes through.
async fn works<S: Mechanism, C: Mechanism>(server: Ended<S>, client: Ended<C>) {
    let (mut server, mut client) = (server.unwrap(), client.unwrap());
    client.send("x").await.unwrap();
    assert_eq!(server.recv().await.unwrap(), Some(Event::Message(Message::from("x"))));
}

fn mechanism_error(error: &HandshakeError) -> &MechanismError {
    match error.cause() {
        HandshakeCause::Mechanism(error) => error,
        other => panic!("{other:?}"),
    }
}

fn name<S: Tested>() -> MechanismName {
    MechanismName::new(S::CALLED).unwrap()
}

// ─── the application's answer ────────────────────────────────────────────────────────────────────────────────────────

async fn a_list_that_changes_while_the_server_serves_decides_about_the_next_client<S: Tested>() {
    let (server, alice, bob) = (server::<S>(), client(), client_with(BOB));
    let list = AllowList::default();
    assert!(!is_let_in(&server, &alice, &list).await);
    list.insert_as(client_key(), "alice");
    let (ours, theirs) = knock(&server, &alice, &list).await;
    let peer = ours.as_ref().unwrap().peer();
    assert_eq!((peer.user_id_str(), peer.public_key()), (Some("alice"), Some(&client_key())));
    assert_eq!((peer.mechanism(), peer.is_encrypted()), (name::<S>(), true));
    let peer = theirs.as_ref().unwrap().peer();
    assert_eq!((peer.user_id_str(), peer.public_key()), (None, Some(&server_key())));
    assert!(!is_let_in(&server, &bob, &list).await);

    list.replace_as([(public(BOB), "bob")]);
    assert!(!is_let_in(&server, &alice, &list).await);
    assert_eq!(knock(&server, &bob, &list).await.0.unwrap().peer().user_id_str(), Some("bob"));
    // Who is in stays in.
    works(ours, theirs).await;
    assert_eq!(server.half_open(), 0);
}

/// A closure that takes its time, at an address.
async fn a_judge_sees_key_properties_domain_and_address<S: Tested>() {
    let seen = Mutex::new(None);
    let judge = |request: AuthRequest| {
        *seen.lock().unwrap() = Some(request);
        async {
            tokio::time::sleep(5 * SECOND).await;
            Verdict::accept_as("alice")
        }
    };
    let address: IpAddr = [192, 0, 2, 7].into();
    let judge = Counting::new(&judge);
    let judge = judge.at(address);
    let (ours, theirs) = ends();
    let (server, client) = (server::<S>(), client::<S>());
    let pull = ConnectionConfig::builder(SocketType::Pull).domain("jobs").build().unwrap();
    let push = ConnectionConfig::builder(SocketType::Push).identity("worker").build().unwrap();
    let (ours, theirs) = tokio::join!(
        Connection::handshake_with(ours, &pull, &server, &judge),
        Connection::handshake(theirs, &push, &client)
    );
    let request = seen.lock().unwrap().take().unwrap();
    assert_eq!((request.mechanism(), request.public_key()), (name::<S>(), Some(&client_key())));
    assert_eq!((request.socket_type(), request.domain()), (Some(SocketType::Push), "jobs"));
    assert_eq!(request.identity().as_deref(), Some(&b"worker"[..]));
    assert_eq!(request.address(), Some(&PeerAddress::Ip(address)));
    assert_eq!(ours.as_ref().unwrap().peer().user_id_str(), Some("alice"));
    works(ours, theirs).await;
}

/// Statuses 300, 400 and 500, for both sides, in code and in words.
async fn a_refusal_says_on_both_sides_what_it_was<S: Tested>() {
    let cases = [
        (Verdict::try_later(), Refusal::silent(), None),
        (Verdict::deny(), Refusal::error(ErrorReason::AUTHENTICATION_FAILURE), Some("400")),
        (Verdict::internal_error(), Refusal::error(ErrorReason::INTERNAL_ERROR), Some("500")),
    ];
    for (verdict, refusal, status) in cases {
        let server = server::<S>();
        let (ours, theirs) = knock(&server, &client::<S>(), &decide(|_| verdict.clone())).await;
        let (ours, theirs) = (ours.unwrap_err(), theirs.unwrap_err());
        assert_eq!((ours.stage(), theirs.stage()), (Stage::Authorization, Stage::Mechanism));
        assert_eq!(mechanism_error(&ours), &MechanismError::Refused(refusal));
        assert_eq!((ours.peer_reason(), ours.may_reconnect()), (None, status.is_none()));
        assert_eq!(theirs.may_reconnect(), status.is_none());
        assert_eq!(theirs.peer_reason().map(ToString::to_string).as_deref(), status);
        let theirs = theirs.to_string();
        if let Some(status) = status {
            assert_eq!(
                theirs,
                format!(
                    "handshake failed at the mechanism's commands: the peer refused with the reason \"{status}\"; \
                     nothing proves that the peer said so: an ERROR can be forged by anyone on the path"
                )
            );
        } else {
            let begin = "handshake failed at the mechanism's commands: the peer closed the connection without a word; ";
            assert!(theirs.starts_with(begin), "{theirs}");
            // All that the client can tell it from.
            assert!(theirs.contains("come back later") && theirs.contains("another server key"), "{theirs}");
        }
        assert_eq!(server.half_open(), 0);
    }
}

async fn a_client_with_another_server_key_fails_on_both_sides_and_reaches_no_judge<S: Tested>() {
    let judge = Counting::new(&AllowAny);
    let server = server::<S>();
    let (ours, theirs) = knock(&server, &client_of_another_server::<S>(), &judge).await;
    let (ours, theirs) = (ours.unwrap_err(), theirs.unwrap_err());
    assert_eq!((ours.stage(), theirs.stage()), (Stage::Mechanism, Stage::Mechanism));
    assert_eq!(mechanism_error(&ours), &MechanismError::Cryptographic { command: "HELLO" });
    assert!(ours.to_string().contains("does the client have the right server key?"), "{ours}");
    assert!(matches!(theirs.cause(), HandshakeCause::Closed), "{theirs:?}");
    assert!(theirs.to_string().contains("a CURVE or BLAKE3 server does so when the client has another server key"));
    assert!(!ours.may_reconnect() && theirs.may_reconnect());
    assert_eq!((judge.asked(), server.half_open()), (0, 0));
}

/// A client's authenticator sees the server's key, proven, and the properties of its READY.
async fn a_client_asks_its_authenticator_once_about_the_server_that_it_has_found<S: Tested>() {
    let (server, client) = (server::<S>(), client());
    let seen = Mutex::new(None);
    let list = AllowList::default();
    list.insert_as(server_key(), "the server");
    let judge = |request: AuthRequest| {
        let verdict = list.authenticate(request.clone());
        *seen.lock().unwrap() = Some(request);
        verdict
    };
    let counting = Counting::new(&judge);
    let (ours, theirs) = both_judged(&server, &client, &AllowAny, &counting).await;
    assert_eq!(counting.asked(), 1);
    let request = seen.lock().unwrap().take().unwrap();
    assert_eq!((request.mechanism(), request.public_key()), (name::<S>(), Some(&server_key())));
    assert_eq!(request.socket_type(), Some(SocketType::Pull));
    let peer = theirs.as_ref().unwrap().peer();
    assert_eq!((peer.user_id_str(), peer.public_key()), (Some("the server"), Some(&server_key())));
    works(ours, theirs).await;
}

async fn of_several_server_keys_each_opens_the_door_and_none_is_mistaken_for_another<S: Tested>() {
    let server = Server::<S>::with_keys([keys(BOB), keys([0x51; 32])]).unwrap();
    for secret in [BOB, [0x51; 32]] {
        let client = Client::<S>::new(*keys(secret).public_key(), keys([1; 32]));
        let (ours, theirs) = knock(&server, &client, &AllowAny).await;
        assert_eq!(theirs.as_ref().unwrap().peer().public_key(), Some(&public(secret)));
        works(ours, theirs).await;
    }
}

/// The handshake is over by then, and what is not sealed would break the protocol.
async fn a_client_refuses_a_server_in_silence<S: Tested>() {
    for verdict in [Verdict::deny(), Verdict::internal_error(), Verdict::try_later()] {
        let server = server::<S>();
        let (ours, theirs) = both_judged(&server, &client(), &AllowAny, &decide(|_| verdict.clone())).await;
        let error = theirs.unwrap_err();
        assert_eq!((error.stage(), error.may_reconnect()), (Stage::Authorization, verdict == Verdict::try_later()));
        let MechanismError::Refused(refusal) = mechanism_error(&error) else { panic!("{error}") };
        assert_eq!(Verdict::Refuse(refusal.clone()), verdict);
        // The server has let the client in, and sees it leave without a word.
        assert_eq!(ours.unwrap().recv().await.unwrap(), None);
        assert_eq!(server.half_open(), 0);
    }
}

async fn a_server_without_a_judge_lets_nobody_in<S: Tested>() {
    let (ours, theirs) = ends();
    let (pull, push, server, client) = (pull(), push(), server::<S>(), client::<S>());
    let (ours, theirs) =
        tokio::join!(Connection::handshake(ours, &pull, &server), Connection::handshake(theirs, &push, &client));
    assert!(matches!(ours.unwrap_err().cause(), HandshakeCause::NoAuthenticator));
    assert!(matches!(theirs.unwrap_err().cause(), HandshakeCause::Closed));
    assert_eq!(server.half_open(), 0);
}

async fn more_half_open_clients_than_there_are_places_are_turned_away_in_silence<S: Tested>() {
    let full = server::<S>().with_half_open_limit(0);
    let (ours, theirs) = knock(&full, &client::<S>(), &AllowAny).await;
    let (ours, theirs) = (ours.unwrap_err(), theirs.unwrap_err());
    assert_eq!(mechanism_error(&ours), &MechanismError::Busy);
    assert!(matches!(theirs.cause(), HandshakeCause::Closed), "{theirs}");
    assert!(ours.may_reconnect() && theirs.may_reconnect());
    let server = server::<S>().with_half_open_limit(1);
    for _ in 0..3 {
        let (ours, theirs) = knock(&server, &client::<S>(), &AllowAny).await;
        works(ours, theirs).await;
        assert_eq!(server.half_open(), 0, "a place is given back");
    }
}

// ─── chosen at run time ──────────────────────────────────────────────────────────────────────────────────────────────

async fn it_works_as_a_mechanism_chosen_at_run_time_on_either_side<S: Tested>() {
    let ours = server::<S>();
    let (server, client) = (AnyMechanism::new(ours.clone()), AnyMechanism::new(client::<S>()));
    let list = AllowList::default();
    assert!(list.insert_as(client_key(), "alice"));
    let (here, there): (Ended<AnyMechanism>, Ended<AnyMechanism>) = knock(&server, &client, &list).await;
    let (mut here, mut there): (Connection<End>, Connection<End>) = (here.unwrap(), there.unwrap());
    assert_eq!((here.peer().user_id_str(), here.peer().public_key()), (Some("alice"), Some(&client_key())));
    assert!(here.peer().is_encrypted() && there.peer().is_encrypted());
    let large = Message::from_parts([vec![1; 300], vec![2; 70_000]]).unwrap();
    there.send(&large).await.unwrap();
    assert!(here.recv().await.unwrap() == Some(Event::Message(large)));
    let encoded = EncodedMessage::encode("x").unwrap();
    assert_eq!(there.feed_encoded(&encoded), Err(PushError::EncryptedLink));

    // Either side may choose at run time and the other not.
    let (here, there) = knock(&server, &blake3_support::client::<S>(), &list).await;
    works(here, there).await;
    let (here, there) = knock(&ours, &client, &list).await;
    works(here, there).await;
    assert_eq!(ours.half_open(), 0);
}

// ─── on the stream ───────────────────────────────────────────────────────────────────────────────────────────────────

/// Streams that hold less than one command: both sides write before they read.
async fn a_handshake_completes_over_a_stream_with_hardly_any_memory<S: Tested>() {
    let (pull, push, server, client) = (pull(), push(), server::<S>(), client::<S>());
    for memory in [1, 10, 100] {
        let (ours, theirs) = tokio::io::duplex(memory);
        let (ours, theirs) = tokio::join!(
            Connection::handshake_with(ours, &pull, &server, &AllowAny),
            Connection::handshake(theirs, &push, &client)
        );
        let (mut ours, mut theirs) = (ours.unwrap(), theirs.unwrap());
        let (sent, received) = tokio::join!(theirs.send("x"), ours.recv());
        sent.unwrap();
        assert_eq!(received.unwrap(), Some(Event::Message(Message::from("x"))));
    }
}

async fn a_peer_of_another_kind_reads_our_greeting_and_the_end<S: Tested>() {
    let others = [
        ("3.0 NULL", [&wire::GREETING_3_0[..], &wire::ready("PUSH")].concat()),
        ("3.1 NULL", [&wire::GREETING[..], &wire::ready("PUSH")].concat()),
        ("PLAIN", [&wire::greeting("PLAIN")[..], &wire::command("HELLO", b"\x01u\x01p")].concat()),
        ("CURVE", [&wire::greeting("CURVE")[..], &wire::command("HELLO", &[0; 194])].concat()),
        ("2.0", b"\xff\0\0\0\0\0\0\0\x01\x7f\x01\x08\0\0".to_vec()),
        ("1.0", b"\x01\0\x02\0x".to_vec()),
    ];
    for (name, octets) in others {
        let (ours, peer) = ends();
        peer.put(&octets);
        let error = Connection::handshake_with(ours, &pull(), &server::<S>(), &AllowAny).await.unwrap_err();
        assert_eq!((error.stage(), error.may_reconnect()), (Stage::Greeting, false), "{name}");
        says_nothing_else(name, &peer, server_greeting::<S>());

        let (ours, peer) = ends();
        peer.put(&octets);
        let error = Connection::handshake(ours, &push(), &client::<S>()).await.unwrap_err();
        assert_eq!((error.stage(), error.may_reconnect()), (Stage::Greeting, false), "{name}");
        says_nothing_else(name, &peer, greeting::<S>());
    }
}

fn says_nothing_else(name: &str, peer: &End, greeting: [u8; 64]) {
    assert_eq!(peer.taken(), greeting, "{name}");
    assert!(peer.incoming().is_closed(), "{name}");
}

async fn refuse_each_other<A: Mechanism, B: Mechanism>(a: &A, b: &B) {
    let (ours, theirs) = knock(a, b, &AllowAny).await;
    for error in [ours.unwrap_err(), theirs.unwrap_err()] {
        let HandshakeCause::MechanismMismatch { ours, theirs } = error.cause() else { panic!("{error}") };
        assert_ne!(ours, theirs);
        assert!([a.name(), b.name()].contains(ours) && [a.name(), b.name()].contains(theirs));
    }
}

async fn a_side_with_another_mechanism_and_ours_refuse_each_other<S: Tested>() {
    refuse_each_other(&server::<S>(), &support::NULL).await;
    refuse_each_other(&support::NULL, &client::<S>()).await;
    #[cfg(feature = "blake3zmq")]
    {
        use zmtp_mechanism_blake3::{Blake3Zmq, ChachaPoly};
        // Neither suite stands in for the other.
        refuse_each_other(&server::<ChachaPoly>(), &client::<Blake3Zmq>()).await;
        refuse_each_other(&server::<Blake3Zmq>(), &client::<ChachaPoly>()).await;
    }
    #[cfg(feature = "curve")]
    {
        // With the very same keys.
        let curve = zmtp_connection::CurveServer::new(keys([0x51; 32]));
        refuse_each_other(&curve, &client::<S>()).await;
        let curve = zmtp_connection::CurveClient::new(*keys([0x51; 32]).public_key(), keys([0x3c; 32]));
        refuse_each_other(&server::<S>(), &curve).await;
    }
}

// ─── ZAP ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

/// The handler is one that serves ours and others; what it is asked is on the wire.
#[cfg(feature = "zap")]
mod zap {
    use tokio::io::{DuplexStream, duplex};
    use tokio::sync::mpsc::unbounded_channel;
    use zmtp_connection::Null;
    use zmtp_connection::zap::{ZapClient, ZapReply, ZapRequest};

    use super::*;

    in_both_suites! { async fn a_handler_is_told_the_key_and_its_word_counts }

    async fn a_handler_is_told_the_key_and_its_word_counts<S: Tested>() {
        for (verdict, user) in [(Verdict::accept_as("user-7"), Some("user-7")), (Verdict::deny(), None)] {
            let (dialled, mut arriving) = unbounded_channel();
            let asks = ZapClient::new(Null::new(), move || {
                let (ours, theirs) = duplex(1024);
                dialled.send(theirs).unwrap();
                async { Ok(ours) }
            });
            let answered = verdict.clone();
            let handler = tokio::spawn(async move {
                let stream: DuplexStream = arriving.recv().await.unwrap();
                let rep = ConnectionConfig::new(SocketType::Rep);
                let mut handler = Connection::handshake(stream, &rep, &Null::new()).await.unwrap();
                let message = handler.recv().await.unwrap().and_then(Event::into_message).unwrap();
                let (envelope, request) = ZapRequest::decode(&message).unwrap();
                let reply = ZapReply::new(request.request_id().clone(), &answered).unwrap();
                handler.send(&reply.to_message(&envelope)).await.unwrap();
                request
            });
            let (server, client) = (server::<S>(), client::<S>());
            let (ours, theirs) = knock(&server, &client, &asks).await;
            let request = handler.await.unwrap();
            assert_eq!((request.mechanism(), request.domain()), (name::<S>(), ""));
            assert_eq!(request.danger_credentials(), [&client_key()[..]]);
            match user {
                Some(_) => {
                    assert_eq!(ours.as_ref().unwrap().peer().user_id_str(), user);
                    works(ours, theirs).await;
                }
                None => assert_eq!(theirs.unwrap_err().peer_reason(), Some(&ErrorReason::AUTHENTICATION_FAILURE)),
            }
        }
    }
}
