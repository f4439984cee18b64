//! PLAIN connections: who is let in, what either side learns of a refusal, judges that fail, and who never hears a
//! password.
#![cfg(all(feature = "plain", feature = "net", feature = "null"))]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod net_support;
mod support;

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use net_support::{Counting, End, ends, heard};
use support::wire::{self, command, error, property};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::JoinSet;
use tokio::time::Instant;
use zmtp_connection::codec::{
    AnyMechanism, Command, Credentials, ErrorReason, HeartbeatContext, Mechanism, MechanismError, MechanismName, Ping,
    Refusal, SocketType, Ttl, Verdict,
};
use zmtp_connection::{
    AllowAny, AllowList, AuthRequest, Authenticator, Connection, ConnectionConfig, CredentialList, DecodeError,
    EncodedMessage, Event, HandshakeCause, HandshakeError, LINK_FROM, Message, PeerAddress, PlainClient,
    PlainCredentials, PlainServer, RecvError, Stage, decide,
};

const SECOND: Duration = Duration::from_secs(1);
const SERVER: PlainServer = PlainServer::new();
const GREETING: [u8; 64] = wire::greeting("PLAIN");

type Ended<T, M> = Result<Connection<T, M>, HandshakeError>;

fn config(socket_type: SocketType) -> ConnectionConfig {
    ConnectionConfig::builder(socket_type).handshake_timeout(Some(10 * SECOND)).domain("jobs").build().unwrap()
}

fn pull() -> ConnectionConfig {
    config(SocketType::Pull)
}

fn push() -> ConnectionConfig {
    ConnectionConfig::builder(SocketType::Push).handshake_timeout(Some(20 * SECOND)).build().unwrap()
}

fn credentials(username: &str, password: &str) -> PlainCredentials {
    PlainCredentials::new(username, password).unwrap()
}

fn client(username: &str, password: &str) -> PlainClient {
    PlainClient::new(credentials(username, password))
}

fn alice() -> PlainClient {
    client("alice", "hunter2")
}

/// A list with Alice on it.
fn with_alice() -> CredentialList {
    CredentialList::new([credentials("alice", "hunter2")])
}

/// How it ends for server and client.
async fn knock<S: Mechanism, C: Mechanism>(
    server: &S,
    client: &C,
    judge: &(impl Authenticator + ?Sized),
) -> (Ended<End, S>, Ended<End, C>) {
    let (ours, theirs) = ends();
    let (pull, push) = (pull(), push());
    tokio::join!(Connection::handshake_with(ours, &pull, server, judge), Connection::handshake(theirs, &push, client))
}

/// Whether the client is let in; both sides have to agree about it.
async fn is_let_in(client: &PlainClient, judge: &(impl Authenticator + ?Sized)) -> bool {
    let (server, client) = knock(&SERVER, client, judge).await;
    assert_eq!(server.is_ok(), client.is_ok(), "{server:?} {client:?}");
    server.is_ok()
}

/// A message goes through.
async fn works<S: Mechanism, C: Mechanism>(server: Ended<End, S>, client: Ended<End, C>) {
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

// ─── the application's answer ────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test(start_paused = true)]
async fn a_list_that_changes_while_the_server_serves_decides_about_the_next_client() {
    let (alice, bob) = (alice(), client("bob", "b"));
    let list = CredentialList::default();
    let control = list.clone();
    assert!(!is_let_in(&alice, &list).await);
    control.insert(credentials("alice", "hunter2"));
    let (ours, theirs) = knock(&SERVER, &alice, &list).await;
    let peer = ours.as_ref().unwrap().peer();
    assert_eq!((peer.user_id_str(), peer.public_key()), (Some("alice"), None));
    assert_eq!((peer.mechanism(), peer.is_encrypted()), (MechanismName::PLAIN, false));
    assert_eq!(theirs.as_ref().unwrap().peer().user_id_str(), None, "nothing of it goes to the other side");
    assert!(!is_let_in(&bob, &list).await);

    control.insert_as(credentials("alice", "other"), "Alice");
    assert!(!is_let_in(&alice, &list).await, "her password was replaced");
    let (again, _) = knock(&SERVER, &client("alice", "other"), &list).await;
    assert_eq!(again.unwrap().peer().user_id_str(), Some("Alice"));

    control.replace([credentials("bob", "b")]);
    assert!(!is_let_in(&alice, &list).await && is_let_in(&bob, &list).await);
    control.remove("bob");
    assert!(!is_let_in(&bob, &list).await);
    // Who is in stays in.
    works(ours, theirs).await;
}

#[tokio::test(start_paused = true)]
async fn nobody_without_a_username_is_on_a_list_of_credentials() {
    let list = CredentialList::new([credentials("", ""), credentials("alice", "hunter2")]);
    let (ours, theirs) = knock(&support::NULL, &support::NULL, &list).await;
    let ours = ours.unwrap_err();
    assert_eq!((ours.stage(), ours.may_reconnect()), (Stage::Authorization, false));
    assert!(ours.to_string().ends_with("(a username and a password are asked for, and it shows none)"), "{ours}");
    // Its handshake was over before it was judged.
    let refused = theirs.unwrap().recv().await.unwrap_err();
    let reason = ErrorReason::AUTHENTICATION_FAILURE;
    assert!(matches!(&refused, RecvError::Protocol(DecodeError::PeerError { reason: r }) if *r == reason), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn the_judge_sees_username_password_domain_and_address_and_no_properties() {
    let address: SocketAddr = "192.0.2.7:49152".parse().unwrap();
    let seen = Mutex::new(None);
    let judge = decide(|request| {
        *seen.lock().unwrap() = Some(request.clone());
        Verdict::accept_as("somebody")
    });
    let (ours, theirs) = knock(&SERVER, &alice(), &judge.at(address)).await;
    let request = seen.lock().unwrap().take().unwrap();
    assert_eq!((request.mechanism(), request.domain()), (MechanismName::PLAIN, "jobs"));
    assert_eq!(request.address(), Some(&PeerAddress::Tcp(address)));
    assert_eq!(request.credentials(), &Credentials::Plain(credentials("alice", "hunter2")));
    let shown = request.plain().unwrap();
    assert_eq!((shown.username_str(), shown.danger_password()), (Some("alice"), &b"hunter2"[..]));
    assert!(request.properties().is_none() && request.socket_type().is_none() && request.public_key().is_none());
    let peer = ours.as_ref().unwrap().peer();
    assert_eq!((peer.user_id_str(), peer.address()), (Some("somebody"), Some(&PeerAddress::Tcp(address))));
    assert_eq!(peer.socket_type(), SocketType::Push);
    works(ours, theirs).await;
}

/// Statuses 300, 400 and 500, for both sides, in code and in words. Why it was is said to our side alone.
#[tokio::test(start_paused = true)]
async fn a_refusal_says_on_both_sides_what_it_was() {
    for (verdict, refusal, status) in [
        (Verdict::try_later(), Refusal::silent(), None),
        (Verdict::deny(), Refusal::error(ErrorReason::AUTHENTICATION_FAILURE), Some("400")),
        (Verdict::internal_error(), Refusal::error(ErrorReason::INTERNAL_ERROR), Some("500")),
    ] {
        let judge = decide(|_| verdict.clone().because("of the weather"));
        let (ours, theirs) = knock(&SERVER, &alice(), &judge).await;
        let (ours, theirs) = (ours.unwrap_err(), theirs.unwrap_err());
        assert_eq!((ours.stage(), theirs.stage()), (Stage::Authorization, Stage::Mechanism));
        assert_eq!(mechanism_error(&ours), &MechanismError::Refused(refusal.because("of the weather")));
        assert_eq!((ours.peer_reason(), ours.may_reconnect()), (None, status.is_none()));
        assert_eq!(theirs.may_reconnect(), status.is_none());
        assert_eq!(theirs.peer_reason().map(ToString::to_string).as_deref(), status);
        let begin = "handshake failed at the authorization of the peer: the peer was refused";
        let (told, there) = match status {
            None => (
                "for now, without a reason to the peer".to_owned(),
                "handshake failed at the mechanism's commands: the peer closed the connection without a word; "
                    .to_owned(),
            ),
            Some(status) => (
                format!("with the reason \"{status}\""),
                format!(
                    "handshake failed at the mechanism's commands: the peer refused with the reason \"{status}\"; \
                     nothing proves that the peer said so: an ERROR can be forged by anyone on the path"
                ),
            ),
        };
        assert_eq!(ours.to_string(), format!("{begin} {told} (of the weather)"));
        assert!(theirs.to_string().starts_with(&there), "{theirs}");
        assert!(!format!("{ours:?} {theirs:?} {ours} {theirs}").contains("hunter2"));
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_has_the_wrong_password_or_username_reads_the_same_400() {
    let list = with_alice();
    let mut said = Vec::new();
    for stranger in [client("alice", "hunter3"), client("carol", "hunter2"), client("", "")] {
        let (ours, theirs) = knock(&SERVER, &stranger, &list).await;
        let (ours, theirs) = (ours.unwrap_err(), theirs.unwrap_err());
        assert_eq!(theirs.peer_reason(), Some(&ErrorReason::AUTHENTICATION_FAILURE));
        said.push((ours.to_string(), theirs.to_string()));
    }
    assert!(said.iter().all(|both| *both == said[0]), "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_without_a_judge_lets_nobody_in_and_says_nothing() {
    let (ours, mut peer) = ends();
    peer.put(&[&GREETING[..], &command("HELLO", b"\x05alice\x07hunter2")].concat());
    let pull = pull();
    let (ours, said) = tokio::join!(Connection::handshake(ours, &pull, &SERVER), heard(&mut peer));
    let ours = ours.unwrap_err();
    assert!(matches!(ours.cause(), HandshakeCause::NoAuthenticator), "{ours:?}");
    assert_eq!(ours.stage(), Stage::Authorization);
    assert_eq!(said, b"");
    assert!(peer.incoming().is_closed());

    let (ours, theirs) = ends();
    let (push, alice) = (push(), alice());
    let (ours, theirs) =
        tokio::join!(Connection::handshake(ours, &pull, &SERVER), Connection::handshake(theirs, &push, &alice));
    assert!(matches!(ours.unwrap_err().cause(), HandshakeCause::NoAuthenticator));
    let theirs = theirs.unwrap_err();
    assert!(matches!(theirs.cause(), HandshakeCause::Closed) && theirs.may_reconnect(), "{theirs:?}");
}

/// One door, one judge, several clients at once.
#[tokio::test(start_paused = true)]
async fn a_judge_that_panics_or_never_answers_harms_one_connection_only() {
    let judge = |request: AuthRequest| async move {
        let username = request.plain().and_then(PlainCredentials::username_str).map(str::to_owned);
        match username.as_deref() {
            Some("panic") => panic!("the judge has a fault"),
            Some("never") => pending().await,
            _ => with_alice().authenticate(request).await,
        }
    };
    let start = Instant::now();
    let (mut at_the_door, mut clients) = (JoinSet::new(), JoinSet::new());
    for username in ["panic", "never", "alice", "bob"] {
        let (ours, theirs) = ends();
        at_the_door.spawn(async move {
            let ended = Connection::handshake_with(ours, &pull(), &SERVER, &judge).await;
            (username, ended, start.elapsed())
        });
        clients.spawn(async move {
            let ended = Connection::handshake(theirs, &push(), &client(username, "hunter2")).await;
            (username, ended, start.elapsed())
        });
    }
    let mut alices = None;
    let mut panicked = 0;
    while let Some(joined) = at_the_door.join_next().await {
        match joined {
            Err(error) => {
                assert!(error.is_panic());
                panicked += 1;
            }
            Ok(("alice", ended, elapsed)) => {
                alices = Some(ended.unwrap());
                assert_eq!(elapsed, Duration::ZERO);
            }
            Ok(("bob", ended, _)) => assert_eq!(ended.unwrap_err().stage(), Stage::Authorization),
            Ok((username, ended, elapsed)) => {
                assert_eq!(username, "never");
                let error = ended.unwrap_err();
                assert!(matches!(error.cause(), HandshakeCause::TimedOut { after } if *after == 10 * SECOND));
                assert_eq!(error.stage(), Stage::Authorization);
                assert!((10 * SECOND..11 * SECOND).contains(&elapsed));
            }
        }
    }
    assert_eq!(panicked, 1);
    while let Some(joined) = clients.join_next().await {
        let (username, ended, elapsed) = joined.unwrap();
        match username {
            "alice" => {
                ended.unwrap().send("x").await.unwrap();
                assert_eq!(elapsed, Duration::ZERO, "she has not waited for the others");
            }
            "bob" => assert_eq!(ended.unwrap_err().peer_reason(), Some(&ErrorReason::AUTHENTICATION_FAILURE)),
            _ => {
                let error = ended.unwrap_err();
                assert!(matches!(error.cause(), HandshakeCause::Closed), "not let in, and told nothing: {error:?}");
                assert!(error.may_reconnect());
            }
        }
    }
    assert_eq!(alices.unwrap().recv().await.unwrap(), Some(Event::Message(Message::from("x"))));
}

// ─── the other way round, and late ───────────────────────────────────────────────────────────────────────────────────

/// The client has told its password by then: what it judges is who may have the messages.
#[tokio::test(start_paused = true)]
async fn a_client_asks_its_authenticator_once_about_the_server_that_it_has_found() {
    let seen = Mutex::new(None);
    let judge = decide(|request| {
        *seen.lock().unwrap() = Some(request.clone());
        Verdict::accept_as("the server")
    });
    let counting = Counting::new(&judge);
    let both = async |of_servers: &Counting<'_, _>| {
        let (ours, theirs) = ends();
        let (pull, push, alice, list) = (pull(), push(), alice(), with_alice());
        tokio::join!(
            Connection::handshake_with(ours, &pull, &SERVER, &list),
            Connection::handshake_with(theirs, &push, &alice, of_servers)
        )
    };
    let (ours, theirs) = both(&counting).await;
    assert_eq!(counting.asked(), 1);
    let request = seen.lock().unwrap().take().unwrap();
    assert_eq!((request.mechanism(), request.domain()), (MechanismName::PLAIN, ""));
    assert_eq!((request.credentials(), request.socket_type()), (&Credentials::Anonymous, Some(SocketType::Pull)));
    assert_eq!(theirs.as_ref().unwrap().peer().user_id_str(), Some("the server"));
    assert_eq!(ours.as_ref().unwrap().peer().user_id_str(), Some("alice"));
    works(ours, theirs).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_a_client_refuses_reads_so_where_it_awaits_a_message() {
    let (pull, push, alice, list) = (pull(), push(), alice(), with_alice());
    // A list of usernames is a server's: no server shows one.
    let nobody = CredentialList::default();
    let keys = AllowList::new([[0; 32]]);
    for refuses_by_key in [true, false] {
        let (ours, theirs) = ends();
        let serve = async {
            let mut ours = Connection::handshake_with(ours, &pull, &SERVER, &list).await.unwrap();
            ours.recv().await.unwrap_err()
        };
        let ask = async {
            if refuses_by_key {
                Connection::handshake_with(theirs, &push, &alice, &keys).await
            } else {
                Connection::handshake_with(theirs, &push, &alice, &nobody).await
            }
        };
        let (ours, theirs) = tokio::join!(serve, ask);
        assert_eq!(theirs.unwrap_err().stage(), Stage::Authorization);
        let reason = ErrorReason::AUTHENTICATION_FAILURE;
        assert!(matches!(&ours, RecvError::Protocol(DecodeError::PeerError { reason: r }) if *r == reason), "{ours}");
    }
}

// ─── socket types ────────────────────────────────────────────────────────────────────────────────────────────────────

/// P10, and as NULL has it.
#[tokio::test(start_paused = true)]
async fn a_client_of_another_socket_type_hears_an_error_in_place_of_ready() {
    let (ours, mut peer) = ends();
    let hello = command("HELLO", b"\x05alice\x07hunter2");
    let initiate = command("INITIATE", &property("Socket-Type", b"PUB"));
    peer.put(&[&GREETING[..], &hello, &initiate].concat());
    let (pull, list) = (pull(), with_alice());
    let (ours, said) = tokio::join!(Connection::handshake_with(ours, &pull, &SERVER, &list), heard(&mut peer));
    assert_eq!(ours.unwrap_err().stage(), Stage::Properties);
    assert_eq!(said, [command("WELCOME", b""), error("Invalid socket type")].concat());

    let (ours, mut peer) = ends();
    peer.put(&[&wire::GREETING[..], &wire::ready("PUB")].concat());
    let (ours, said) = tokio::join!(Connection::handshake(ours, &pull, &support::NULL), heard(&mut peer));
    assert_eq!(ours.unwrap_err().stage(), Stage::Properties);
    assert_eq!(said, [wire::ready("PULL"), error("Invalid socket type")].concat());
}

#[tokio::test(start_paused = true)]
async fn socket_types_that_do_not_fit_are_told_to_who_is_let_in_and_not_to_strangers() {
    let (pull, list) = (pull(), with_alice());
    for (client, stage, reason) in [
        (alice(), Stage::Properties, ErrorReason::INVALID_SOCKET_TYPE),
        (client("bob", ""), Stage::Authorization, ErrorReason::AUTHENTICATION_FAILURE),
    ] {
        let (ours, theirs) = ends();
        let (ours, theirs) = tokio::join!(
            Connection::handshake_with(ours, &pull, &SERVER, &list),
            Connection::handshake(theirs, &pull, &client)
        );
        let (ours, theirs) = (ours.unwrap_err(), theirs.unwrap_err());
        assert_eq!((ours.stage(), theirs.stage()), (stage, Stage::Mechanism));
        assert_eq!(theirs.peer_reason(), Some(&reason));
        assert!(!ours.may_reconnect() && !theirs.may_reconnect());
    }
}

// ─── traffic ─────────────────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test(start_paused = true)]
async fn subscriptions_heartbeats_and_large_messages_go_both_ways() {
    let (publisher, subscriber, alice, list) =
        (config(SocketType::Xpub), config(SocketType::Xsub), alice(), with_alice());
    let large = Bytes::from(vec![7; 100_000]);
    let encoded = EncodedMessage::encode(&[Bytes::from_static(b"topic"), large.clone()]).unwrap();
    assert!(large.len() > LINK_FROM);
    for _ in 0..3 {
        let (ours, theirs) = ends();
        let to_publisher = ours.incoming().clone();
        let (ours, theirs) = tokio::join!(
            Connection::handshake_with(ours, &publisher, &SERVER, &list),
            Connection::handshake(theirs, &subscriber, &alice)
        );
        let (mut ours, mut theirs) = (ours.unwrap(), theirs.unwrap());
        theirs.subscribe("topic").await.unwrap();
        theirs.send(&["up", "stream"]).await.unwrap();
        let subscribed = Event::Command(Command::Subscribe(Bytes::from_static(b"topic")));
        assert_eq!(ours.recv().await.unwrap(), Some(subscribed));
        let upstream = Message::from_parts(["up", "stream"]).unwrap();
        assert_eq!(ours.recv().await.unwrap(), Some(Event::Message(upstream)));

        ours.ping(Ping::new(Ttl::from_deciseconds(10), HeartbeatContext::new(b"ctx").unwrap())).await.unwrap();
        // PLAIN changes nothing, so a message that was framed once goes to many.
        ours.feed_encoded(&encoded).unwrap();
        ours.feed_fan_out(&encoded).unwrap();
        ours.flush().await.unwrap();
        let expected = Message::from_parts([Bytes::from_static(b"topic"), large.clone()]).unwrap();
        for _ in 0..2 {
            assert!(theirs.recv().await.unwrap() == Some(Event::Message(expected.clone())));
        }
        assert_eq!(to_publisher.take(usize::MAX), command("PONG", b"ctx"));
    }
}

#[tokio::test(start_paused = true)]
async fn plain_works_as_a_mechanism_chosen_at_run_time_on_either_side() {
    let (any_server, any_client) = (AnyMechanism::new(SERVER), AnyMechanism::new(alice()));
    let list = with_alice();
    let (ours, theirs) = knock(&any_server, &any_client, &list).await;
    assert_eq!(ours.as_ref().unwrap().peer().user_id_str(), Some("alice"));
    works(ours, theirs).await;
    let (ours, theirs) = knock(&SERVER, &any_client, &list).await;
    works(ours, theirs).await;
    let (ours, theirs) = knock(&any_server, &alice(), &list).await;
    works(ours, theirs).await;
    let refused = knock(&any_server, &AnyMechanism::new(client("bob", "")), &list).await;
    assert_eq!(refused.1.unwrap_err().peer_reason(), Some(&ErrorReason::AUTHENTICATION_FAILURE));
}

// ─── on the stream ───────────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test(start_paused = true)]
async fn a_handshake_completes_when_octets_come_one_at_a_time_on_both_sides() {
    let longest = PlainCredentials::new([b'u'; 255], [b'p'; 255]).unwrap();
    for credentials in [credentials("alice", "hunter2"), longest] {
        let (ours, theirs) = ends();
        for end in [&ours, &theirs] {
            end.incoming().per_poll(1).stutter();
        }
        let (list, client) = (CredentialList::new([credentials.clone()]), PlainClient::new(credentials));
        let (pull, push) = (pull(), push());
        let (ours, theirs) = tokio::join!(
            Connection::handshake_with(ours, &pull, &SERVER, &list),
            Connection::handshake(theirs, &push, &client)
        );
        works(ours, theirs).await;
    }
}

/// A stream that holds less than one command: both sides write before they read.
#[tokio::test(start_paused = true)]
async fn a_handshake_completes_over_a_stream_with_hardly_any_memory() {
    let (ours, theirs) = tokio::io::duplex(10);
    let (pull, push, alice, list) = (pull(), push(), alice(), with_alice());
    let (ours, theirs) = tokio::join!(
        Connection::handshake_with(ours, &pull, &SERVER, &list),
        Connection::handshake(theirs, &push, &alice)
    );
    let (mut ours, mut theirs) = (ours.unwrap(), theirs.unwrap());
    let (sent, received) = tokio::join!(theirs.send("x"), ours.recv());
    sent.unwrap();
    assert_eq!(received.unwrap(), Some(Event::Message(Message::from("x"))));
}

/// Of a client that goes no further than this.
#[tokio::test(start_paused = true)]
async fn a_client_that_stops_anywhere_ends_at_the_deadline() {
    let hello = command("HELLO", b"\x05alice\x07hunter2");
    let list = with_alice();
    for (octets, said) in [
        (GREETING.to_vec(), Vec::new()),
        ([&GREETING[..], &hello[..hello.len() - 1]].concat(), Vec::new()),
        ([&GREETING[..], &hello].concat(), command("WELCOME", b"")),
    ] {
        let (ours, peer) = ends();
        peer.put(&octets);
        let start = Instant::now();
        let error = Connection::handshake_with(ours, &pull(), &SERVER, &list).await.unwrap_err();
        assert!(matches!(error.cause(), HandshakeCause::TimedOut { after } if *after == 10 * SECOND), "{error:?}");
        assert_eq!((error.stage(), error.may_reconnect()), (Stage::Mechanism, true));
        assert!((10 * SECOND..11 * SECOND).contains(&start.elapsed()));
        assert_eq!(peer.taken()[64..], said);
    }
}

/// P36: it may be status 300, and the client may come back.
#[tokio::test(start_paused = true)]
async fn a_server_that_closes_without_a_word_may_be_tried_again() {
    for octets in [GREETING.to_vec(), [&GREETING[..], &command("WELCOME", b"")].concat()] {
        let (ours, peer) = ends();
        peer.put(&octets);
        peer.outgoing().close();
        let error = Connection::handshake(ours, &push(), &alice()).await.unwrap_err();
        assert!(matches!(error.cause(), HandshakeCause::Closed), "{error:?}");
        assert_eq!((error.stage(), error.may_reconnect()), (Stage::Mechanism, true));
    }
}

// ─── downgrade ───────────────────────────────────────────────────────────────────────────────────────────────────────

/// A stream that notes what is written to it.
struct Tapped {
    end: End,
    written: Arc<Mutex<Vec<u8>>>,
}

impl AsyncRead for Tapped {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.end).poll_read(cx, buf)
    }
}

impl AsyncWrite for Tapped {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.end).poll_write(cx, octets);
        if let Poll::Ready(Ok(count)) = written {
            self.written.lock().unwrap().extend_from_slice(&octets[..count]);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.end).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.end).poll_shutdown(cx)
    }
}

/// How it ends for the server and for the client, and every octet that the client has sent.
async fn overheard<S: Mechanism, C: Mechanism>(server: &S, client: &C) -> (Ended<End, S>, Ended<Tapped, C>, Vec<u8>) {
    let (ours, theirs) = ends();
    let written = Arc::new(Mutex::new(Vec::new()));
    let theirs = Tapped { end: theirs, written: Arc::clone(&written) };
    let (pull, push) = (pull(), push());
    let (ours, theirs) = tokio::join!(
        Connection::handshake_with(ours, &pull, server, &AllowAny),
        Connection::handshake(theirs, &push, client)
    );
    let written = written.lock().unwrap().clone();
    (ours, theirs, written)
}

fn contains(octets: &[u8], word: &[u8]) -> bool {
    octets.windows(word.len()).any(|window| window == word)
}

/// Both fail at the greeting, each naming what the other speaks.
async fn refuse_each_other<S: Mechanism, C: Mechanism>(server: &S, client: &C) {
    let (ours, theirs, written) = overheard(server, client).await;
    let names = (server.name(), client.name());
    for (error, (own, other)) in [(ours.unwrap_err(), names), (theirs.unwrap_err(), (names.1, names.0))] {
        assert_eq!((error.stage(), error.may_reconnect()), (Stage::Greeting, false));
        let HandshakeCause::MechanismMismatch { ours, theirs } = error.cause() else { panic!("{error}") };
        assert_eq!((*ours, *theirs), (own, other));
    }
    assert!(!contains(&written, b"alice") && !contains(&written, b"hunter2"));
    assert_eq!(written.len(), 64, "its greeting, and nothing else");
}

#[tokio::test(start_paused = true)]
async fn what_is_overheard_of_plain_is_the_password() {
    let (ours, theirs, written) = overheard(&SERVER, &alice()).await;
    assert!(ours.is_ok() && theirs.is_ok());
    assert!(contains(&written, b"\x05alice\x07hunter2"), "or what is shown below would show nothing");
}

#[tokio::test(start_paused = true)]
async fn a_plain_side_and_a_null_side_refuse_each_other_and_no_password_is_sent() {
    refuse_each_other(&support::NULL, &alice()).await;
    refuse_each_other(&SERVER, &support::NULL).await;
    refuse_each_other(&AnyMechanism::new(support::NULL), &AnyMechanism::new(alice())).await;
}

#[cfg(feature = "curve")]
#[tokio::test(start_paused = true)]
async fn a_plain_side_and_a_curve_side_refuse_each_other_and_no_password_is_sent() {
    use zmtp_connection::{CurveClient, CurveServer, KeyPair};

    let keys = KeyPair::generate().unwrap();
    let client = CurveClient::anonymous(*keys.public_key()).unwrap();
    let server = CurveServer::new(keys);
    refuse_each_other(&server, &alice()).await;
    refuse_each_other(&SERVER, &client).await;
    assert_eq!(server.half_open(), 0);
}
