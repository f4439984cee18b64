//! CURVE clients at the door of a server: who is let in, what either side learns of a refusal, and what clients cost that
//! never finish.
#![cfg(all(feature = "curve", feature = "net", feature = "null"))]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod curve_support;
mod net_support;
mod support;

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use curve_support::{
    GREETING, SERVER_GREETING, client, client_key, client_with, hello, keys, public, server, server_key,
};
use net_support::{Counting, End, complete_within, ends, poll_once};
use support::wire;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;
use zmtp_connection::codec::{
    AnyMechanism, ErrorReason, Mechanism, MechanismError, MechanismName, Refusal, SocketType, Verdict,
};
use zmtp_connection::{
    AllowAny, AllowList, AuthRequest, Authenticator, Connection, ConnectionConfig, CurveClient, CurveServer,
    EncodedMessage, Event, HandshakeCause, HandshakeError, Message, PublicKey, PushError, Stage, decide,
};

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
async fn both_judged<S: Mechanism, C: Mechanism>(
    server: &S,
    client: &C,
    of_clients: &(impl Authenticator + ?Sized),
    of_servers: &(impl Authenticator + ?Sized),
) -> (Ended<S>, Ended<C>) {
    let (ours, theirs) = ends();
    let (pull, push) = (pull(), push());
    tokio::join!(
        Connection::handshake_with(ours, &pull, server, of_clients),
        Connection::handshake_with(theirs, &push, client, of_servers)
    )
}

/// Whether the client is let in; both sides have to agree about it.
async fn is_let_in(server: &CurveServer, client: &CurveClient, judge: &(impl Authenticator + ?Sized)) -> bool {
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

// ─── the application's answer ────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test(start_paused = true)]
async fn a_list_that_changes_while_the_server_serves_decides_about_the_next_client() {
    let (server, alice, bob) = (server(), client(), client_with(BOB));
    let list = AllowList::default();
    assert!(!is_let_in(&server, &alice, &list).await);
    list.insert_as(client_key(), "alice");
    let (ours, theirs) = knock(&server, &alice, &list).await;
    let peer = ours.as_ref().unwrap().peer().clone();
    assert_eq!((peer.user_id_str(), peer.public_key()), (Some("alice"), Some(&client_key())));
    assert_eq!((peer.mechanism(), peer.is_encrypted()), (MechanismName::CURVE, true));
    let peer = theirs.as_ref().unwrap().peer();
    assert_eq!((peer.user_id_str(), peer.public_key()), (None, Some(&server_key())));
    assert!(!is_let_in(&server, &bob, &list).await);

    list.replace_as([(public(&BOB), "bob")]);
    assert!(!is_let_in(&server, &alice, &list).await);
    assert_eq!(knock(&server, &bob, &list).await.0.unwrap().peer().user_id_str(), Some("bob"));
    // Who is in stays in.
    works(ours, theirs).await;
    assert_eq!(server.half_open(), 0);
}

#[tokio::test(start_paused = true)]
async fn while_one_client_waits_for_its_verdict_another_is_let_in() {
    let (open, opened) = oneshot::channel::<()>();
    let opened = Mutex::new(Some(opened));
    let judge = |request: AuthRequest| {
        let slow = (request.public_key() == Some(&client_key())).then(|| opened.lock().unwrap().take().unwrap());
        async move {
            if let Some(opened) = slow {
                opened.await.unwrap();
            }
            Verdict::accept()
        }
    };
    let (server, alice, bob) = (server(), client(), client_with(BOB));
    let mut slow = pin!(knock(&server, &alice, &judge));
    while opened.lock().unwrap().is_some() {
        assert!(poll_once(slow.as_mut()).is_pending());
    }
    assert_eq!(server.half_open(), 1, "who waits for a verdict takes a place");
    let start = Instant::now();
    let (ours, theirs) = knock(&server, &bob, &judge).await;
    works(ours, theirs).await;
    assert_eq!((start.elapsed(), server.half_open()), (Duration::ZERO, 1));
    open.send(()).unwrap();
    let (ours, theirs) = slow.await;
    works(ours, theirs).await;
    assert_eq!(server.half_open(), 0);
}

/// Statuses 300, 400 and 500, for both sides, in code and in words.
#[tokio::test(start_paused = true)]
async fn a_refusal_says_on_both_sides_what_it_was() {
    let refused = |reason| Refusal::error(reason);
    let cases = [
        (Verdict::try_later(), Refusal::silent(), None),
        (Verdict::deny(), refused(ErrorReason::AUTHENTICATION_FAILURE), Some("400")),
        (Verdict::internal_error(), refused(ErrorReason::INTERNAL_ERROR), Some("500")),
    ];
    for (verdict, refusal, status) in cases {
        let server = server();
        let (ours, theirs) = knock(&server, &client(), &decide(|_| verdict.clone())).await;
        let (ours, theirs) = (ours.unwrap_err(), theirs.unwrap_err());
        assert_eq!((ours.stage(), theirs.stage()), (Stage::Authorization, Stage::Mechanism));
        assert_eq!(mechanism_error(&ours), &MechanismError::Refused(refusal));
        assert_eq!((ours.peer_reason(), ours.may_reconnect()), (None, status.is_none()));
        assert_eq!(theirs.may_reconnect(), status.is_none());
        assert_eq!(theirs.peer_reason().map(ToString::to_string).as_deref(), status);
        let (ours, theirs) = (ours.to_string(), theirs.to_string());
        if let Some(status) = status {
            assert_eq!(
                ours,
                format!(
                    "handshake failed at the authorization of the peer: the peer was refused with the reason \"{status}\""
                )
            );
            assert_eq!(
                theirs,
                format!(
                    "handshake failed at the mechanism's commands: the peer refused with the reason \"{status}\"; \
                     nothing proves that the peer said so: an ERROR can be forged by anyone on the path"
                )
            );
        } else {
            assert_eq!(
                ours,
                "handshake failed at the authorization of the peer: the peer was refused for now, without a reason to the peer"
            );
            let begin = "handshake failed at the mechanism's commands: the peer closed the connection without a word; ";
            assert!(theirs.starts_with(begin), "{theirs}");
            // All that the client can tell it from.
            assert!(theirs.contains("come back later") && theirs.contains("another server key"), "{theirs}");
        }
        assert_eq!(server.half_open(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_with_another_server_key_fails_on_both_sides_and_reaches_no_judge() {
    let asked = AtomicUsize::new(0);
    let judge = decide(|_| {
        asked.fetch_add(1, Ordering::Relaxed);
        Verdict::accept()
    });
    let server = server();
    let wrong = CurveClient::new(*keys(BOB).public_key(), keys([1; 32]));
    let (ours, theirs) = knock(&server, &wrong, &judge).await;
    let (ours, theirs) = (ours.unwrap_err(), theirs.unwrap_err());
    assert_eq!((ours.stage(), theirs.stage()), (Stage::Mechanism, Stage::Mechanism));
    assert_eq!(mechanism_error(&ours), &MechanismError::Cryptographic { command: "HELLO" });
    assert!(ours.to_string().contains("does the client have the right server key?"), "{ours}");
    assert!(matches!(theirs.cause(), HandshakeCause::Closed), "{theirs:?}");
    assert!(theirs.to_string().contains("another server key"), "{theirs}");
    assert!(!ours.may_reconnect() && theirs.may_reconnect());
    assert_eq!((asked.load(Ordering::Relaxed), server.half_open()), (0, 0));
}

/// The server says it in the clear, after the judge has spoken and to friends only; the client is let down for good.
#[tokio::test(start_paused = true)]
async fn socket_types_that_do_not_fit_are_told_to_who_is_let_in_and_not_to_strangers() {
    let (config, server, client) = (push(), server(), client());
    let list = AllowList::new([client_key()]);
    let knock = async || {
        let (ours, theirs) = ends();
        let judge = Counting::new(&list);
        let (ours, theirs) = tokio::join!(
            Connection::handshake_with(ours, &config, &server, &judge),
            Connection::handshake(theirs, &config, &client)
        );
        assert_eq!((judge.asked(), server.half_open()), (1, 0));
        (ours.unwrap_err(), theirs.unwrap_err())
    };
    let (ours, theirs) = knock().await;
    assert!(matches!(ours.cause(), HandshakeCause::Incompatible { .. }), "{ours}");
    assert_eq!((ours.stage(), theirs.stage()), (Stage::Properties, Stage::Mechanism));
    assert_eq!(theirs.peer_reason(), Some(&ErrorReason::INVALID_SOCKET_TYPE));
    assert!(!ours.may_reconnect() && !theirs.may_reconnect());

    list.remove(client_key());
    let (ours, theirs) = knock().await;
    assert_eq!((ours.stage(), theirs.stage()), (Stage::Authorization, Stage::Mechanism));
    assert_eq!(theirs.peer_reason(), Some(&ErrorReason::AUTHENTICATION_FAILURE));
}

/// A client's authenticator sees the server's key, proven, and the properties of its READY.
#[tokio::test(start_paused = true)]
async fn a_client_asks_its_authenticator_once_about_the_server_that_it_has_found() {
    let (server, client) = (server(), client());
    let seen = Mutex::new(None);
    let list = AllowList::default();
    list.insert_as(server_key(), "the server");
    let judge = |request: AuthRequest| {
        let verdict = list.authenticate(request.clone());
        *seen.lock().unwrap() = Some(request);
        verdict
    };
    let counting = Counting::new(&judge);
    let (ours, theirs) = knock(&client, &server, &counting).await;
    assert!(theirs.is_err(), "a server without a judge lets nobody in");
    assert!(ours.is_err() && counting.asked() == 0, "there is no connection to ask about");

    let (ours, theirs) = both_judged(&server, &client, &AllowAny, &counting).await;
    assert_eq!(counting.asked(), 1);
    let request = seen.lock().unwrap().take().unwrap();
    assert_eq!((request.mechanism(), request.public_key()), (MechanismName::CURVE, Some(&server_key())));
    assert_eq!((request.socket_type(), request.domain()), (Some(SocketType::Pull), ""));
    let peer = theirs.as_ref().unwrap().peer();
    assert_eq!((peer.user_id_str(), peer.public_key()), (Some("the server"), Some(&server_key())));
    works(ours, theirs).await;
}

/// The handshake is over by then, and what is not sealed would break the protocol.
#[tokio::test(start_paused = true)]
async fn a_client_refuses_a_server_in_silence() {
    for verdict in [Verdict::deny(), Verdict::internal_error(), Verdict::try_later()] {
        let (ours, peer) = ends();
        let (config, mechanism) = (push(), client());
        let judge = decide(|_| verdict.clone());
        peer.put(&SERVER_GREETING);
        let mut handshake = pin!(Connection::handshake_with(ours, &config, &mechanism, &judge));
        assert!(poll_once(handshake.as_mut()).is_pending());
        let (welcome, their_transient) = curve_support::welcome(&peer.taken()[64..]);
        peer.put(&welcome);
        assert!(poll_once(handshake.as_mut()).is_pending());
        assert_eq!(support::split_frame(&peer.taken()).1[..9], *b"\x08INITIATE");
        peer.put(&curve_support::ready(&their_transient, &curve_support::metadata("PULL")).0);
        let error = handshake.await.unwrap_err();
        assert_eq!(error.stage(), Stage::Authorization);
        assert_eq!(error.may_reconnect(), verdict == Verdict::try_later());
        let MechanismError::Refused(refusal) = mechanism_error(&error) else { panic!("{error}") };
        assert_eq!(Verdict::Refuse(refusal.clone()), verdict);
        assert_eq!(peer.taken(), b"", "not a word");
        assert!(peer.incoming().is_closed() && peer.outgoing().is_abandoned());
    }
    // The server has let the client in, and sees it leave.
    let server = server();
    let (ours, theirs) = both_judged(&server, &client(), &AllowAny, &AllowList::default()).await;
    assert_eq!(theirs.unwrap_err().stage(), Stage::Authorization);
    assert_eq!(ours.unwrap().recv().await.unwrap(), None);
    assert_eq!(server.half_open(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_server_asks_once_about_a_client_that_it_lets_in_and_once_about_one_that_it_refuses() {
    for list in [AllowList::new([client_key()]), AllowList::default()] {
        let judge = Counting::new(&list);
        let let_in = is_let_in(&server(), &client(), &judge).await;
        assert_eq!((let_in, judge.asked()), (!list.is_empty(), 1));
        // Chosen at run time it is no different.
        let judge = Counting::new(&list);
        let ended = knock(&AnyMechanism::new(server()), &client(), &judge).await;
        assert_eq!((ended.0.is_ok(), judge.asked()), (!list.is_empty(), 1));
    }
}

#[tokio::test(start_paused = true)]
async fn of_several_server_keys_each_opens_the_door_and_none_is_mistaken_for_another() {
    let server = CurveServer::with_keys([keys(BOB), keys([0x51; 32])]).unwrap();
    for key in server.public_keys().copied().collect::<Vec<PublicKey>>() {
        let client = CurveClient::new(key, keys([1; 32]));
        let (ours, theirs) = knock(&server, &client, &AllowAny).await;
        assert_eq!(theirs.as_ref().unwrap().peer().public_key(), Some(key.as_bytes()));
        works(ours, theirs).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_without_a_judge_lets_nobody_in() {
    let (ours, theirs) = ends();
    let (pull, push, server, client) = (pull(), push(), server(), client());
    let (ours, theirs) =
        tokio::join!(Connection::handshake(ours, &pull, &server), Connection::handshake(theirs, &push, &client));
    assert!(matches!(ours.unwrap_err().cause(), HandshakeCause::NoAuthenticator));
    assert!(matches!(theirs.unwrap_err().cause(), HandshakeCause::Closed));
    assert_eq!(server.half_open(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_judge_that_panics_frees_the_place_of_its_client() {
    let server = server();
    let asking = server.clone();
    let (ours, theirs) = ends();
    let task = tokio::spawn(async move {
        let broken = |_: AuthRequest| async { panic!("the judge has a fault") };
        Connection::handshake_with(ours, &pull(), &asking, &broken).await.map(drop)
    });
    let there = Connection::handshake(theirs, &push(), &client()).await;
    assert!(task.await.unwrap_err().is_panic());
    assert!(matches!(there.unwrap_err().cause(), HandshakeCause::Closed));
    assert_eq!(server.half_open(), 0);
    assert!(is_let_in(&server, &client(), &AllowAny).await);
}

// ─── chosen at run time ──────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test(start_paused = true)]
async fn curve_works_as_a_mechanism_chosen_at_run_time() {
    let curve = server();
    let (server, client) = (AnyMechanism::new(curve.clone()), AnyMechanism::new(client()));
    let list = AllowList::default();
    assert!(list.insert_as(client_key(), "alice"));
    let (ours, theirs): (Ended<AnyMechanism>, Ended<AnyMechanism>) = knock(&server, &client, &list).await;
    let (mut ours, mut theirs): (Connection<End>, Connection<End>) = (ours.unwrap(), theirs.unwrap());
    assert_eq!((ours.peer().user_id_str(), ours.peer().public_key()), (Some("alice"), Some(&client_key())));
    assert!(ours.peer().is_encrypted() && theirs.peer().is_encrypted());
    let large = Message::from_parts([vec![1; 300], vec![2; 70_000]]).unwrap();
    theirs.send(&large).await.unwrap();
    assert!(ours.recv().await.unwrap() == Some(Event::Message(large)));
    let encoded = EncodedMessage::encode("x").unwrap();
    assert_eq!(theirs.feed_encoded(&encoded), Err(PushError::EncryptedLink));

    // Either side may choose at run time and the other not.
    let (ours, theirs) = knock(&server, &curve_support::client(), &list).await;
    works(ours, theirs).await;
    let (ours, theirs) = knock(&curve, &client, &list).await;
    works(ours, theirs).await;
    assert_eq!(curve.half_open(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_limits_and_refusals_are_those_of_curve_when_it_is_chosen_at_run_time() {
    let curve = server().with_half_open_limit(0);
    let (ours, theirs) = knock(&AnyMechanism::new(curve), &client(), &AllowAny).await;
    assert_eq!(mechanism_error(&ours.unwrap_err()), &MechanismError::Busy);
    assert!(matches!(theirs.unwrap_err().cause(), HandshakeCause::Closed));

    let (ours, peer) = ends();
    peer.put(&[&GREETING[..], &wire::header(4, 199)].concat());
    peer.outgoing().close();
    let any = AnyMechanism::new(server());
    let error = Connection::handshake_with(ours, &pull(), &any, &AllowAny).await.unwrap_err();
    assert!(matches!(error.cause(), HandshakeCause::CommandSize { size: 199, least: 200, most: 200 }), "{error}");
}

// ─── clients that never finish ───────────────────────────────────────────────────────────────────────────────────────

/// Greeting and HELLO of a client. Anybody can send them again, at no cost.
static KNOCK: LazyLock<Vec<u8>> = LazyLock::new(|| [&GREETING[..], &hello()].concat());

/// Our end of a stream on which a client has said HELLO and says nothing more, and the client's.
fn stopping_client() -> (End, End) {
    let (ours, peer) = ends();
    peer.put(&KNOCK);
    (ours, peer)
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stops_after_hello_gives_its_place_back_at_the_deadline() {
    let (server, pull) = (server(), pull());
    let (ours, peer) = stopping_client();
    let start = Instant::now();
    let mut handshake = pin!(Connection::handshake_with(ours, &pull, &server, &AllowAny));
    assert!(poll_once(handshake.as_mut()).is_pending());
    assert_eq!(server.half_open(), 1);
    let error = handshake.as_mut().await.unwrap_err();
    assert!(matches!(error.cause(), HandshakeCause::TimedOut { after } if *after == 10 * SECOND), "{error:?}");
    assert_eq!((error.stage(), error.may_reconnect()), (Stage::Mechanism, true));
    assert!((10 * SECOND..11 * SECOND).contains(&start.elapsed()));
    assert_eq!(server.half_open(), 0);
    // Its WELCOME is all that it was sent.
    assert_eq!(peer.taken().len(), 64 + 2 + 168);
    assert!(peer.incoming().is_closed());
}

/// The place belongs to the handshake, wherever that is dropped, also by the judge's side and at the very end.
#[tokio::test(start_paused = true)]
async fn a_handshake_that_is_dropped_anywhere_gives_its_place_back() {
    let (server, client, pull, push) = (server(), client(), pull(), push());
    let mut most = 0;
    for polls in (0..).step_by(7) {
        let (ours, theirs) = ends();
        for end in [&ours, &theirs] {
            end.incoming().per_poll(8).stutter();
        }
        let judge = |_: AuthRequest| async {
            tokio::task::yield_now().await;
            Verdict::accept()
        };
        let mut there = pin!(Connection::handshake(theirs, &push, &client));
        let mut here = Box::pin(Connection::handshake_with(ours, &pull, &server, &judge));
        let mut done = false;
        for _ in 0..polls {
            if poll_once(here.as_mut()).is_ready() {
                done = true;
                break;
            }
            let _ = complete_within(1, std::future::poll_fn(|cx| there.as_mut().poll(cx).map(drop)));
            most = most.max(server.half_open());
        }
        drop(here);
        assert_eq!(server.half_open(), 0, "dropped after {polls} polls");
        if done {
            assert!(polls > 50, "it was dropped at many points");
            break;
        }
    }
    assert_eq!(most, 1);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_half_open_clients_takes_the_places_there_are_and_no_more() {
    const LIMIT: usize = 100;
    const FLOOD: usize = 5_000;
    let server = server().with_half_open_limit(LIMIT);
    let mut handshakes = JoinSet::new();
    let mut peers = Vec::new();
    for _ in 0..FLOOD {
        let (ours, peer) = stopping_client();
        peers.push(peer);
        let server = server.clone();
        handshakes.spawn(async move {
            let error = Connection::handshake_with(ours, &pull(), &server, &AllowAny).await.unwrap_err();
            (error, server.half_open())
        });
    }
    let (mut busy, mut timed_out) = (0, 0);
    while busy < FLOOD - LIMIT {
        let (error, half_open) = handshakes.join_next().await.unwrap().unwrap();
        assert_eq!(mechanism_error(&error), &MechanismError::Busy);
        assert_eq!((error.stage(), error.may_reconnect()), (Stage::Mechanism, true));
        assert!(half_open <= LIMIT);
        busy += 1;
    }
    assert_eq!(server.half_open(), LIMIT, "and every place is taken");
    // Who is honest is turned away as well, in a way that lets it come back.
    let (ours, theirs) = knock(&server, &client(), &AllowAny).await;
    assert_eq!(mechanism_error(&ours.unwrap_err()), &MechanismError::Busy);
    let theirs = theirs.unwrap_err();
    assert!(matches!(theirs.cause(), HandshakeCause::Closed) && theirs.may_reconnect(), "{theirs:?}");

    while let Some(ended) = handshakes.join_next().await {
        let (error, _) = ended.unwrap();
        assert!(matches!(error.cause(), HandshakeCause::TimedOut { .. }), "{error:?}");
        timed_out += 1;
    }
    assert_eq!((busy, timed_out, server.half_open()), (FLOOD - LIMIT, LIMIT, 0));
    let welcomed = peers.iter().filter(|peer| peer.taken().len() == 64 + 170).count();
    assert_eq!(welcomed, LIMIT, "who is turned away is not answered");
    let (ours, theirs) = knock(&server, &client(), &AllowAny).await;
    works(ours, theirs).await;
}

// ─── on the stream ───────────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test(start_paused = true)]
async fn a_handshake_completes_when_octets_come_one_at_a_time_on_both_sides() {
    let (ours, theirs) = ends();
    for end in [&ours, &theirs] {
        end.incoming().per_poll(1).stutter();
    }
    let (pull, push, server, client) = (pull(), push(), server(), client());
    let (ours, theirs) = tokio::join!(
        Connection::handshake_with(ours, &pull, &server, &AllowAny),
        Connection::handshake(theirs, &push, &client)
    );
    works(ours, theirs).await;
}

/// Streams that hold less than one command: both sides write before they read.
#[tokio::test(start_paused = true)]
async fn a_handshake_completes_over_a_stream_with_hardly_any_memory() {
    let (ours, theirs) = tokio::io::duplex(10);
    let (pull, push, server, client) = (pull(), push(), server(), client());
    let (ours, theirs) = tokio::join!(
        Connection::handshake_with(ours, &pull, &server, &AllowAny),
        Connection::handshake(theirs, &push, &client)
    );
    let (mut ours, mut theirs) = (ours.unwrap(), theirs.unwrap());
    let (sent, received) = tokio::join!(theirs.send("x"), ours.recv());
    sent.unwrap();
    assert_eq!(received.unwrap(), Some(Event::Message(Message::from("x"))));
}

#[tokio::test(start_paused = true)]
async fn a_peer_without_curve_reads_our_greeting_and_the_end() {
    let others = [
        ("3.0 NULL", [&wire::GREETING_3_0[..], &wire::ready("PUSH")].concat()),
        ("3.1 NULL", [&wire::GREETING[..], &wire::ready("PUSH")].concat()),
        ("PLAIN", [&wire::greeting("PLAIN")[..], &wire::command("HELLO", b"\x01u\x01p")].concat()),
        ("2.0", b"\xff\0\0\0\0\0\0\0\x01\x7f\x01\x08\0\0".to_vec()),
        ("1.0", b"\x01\0\x02\0x".to_vec()),
    ];
    for (name, octets) in others {
        let (ours, peer) = ends();
        peer.put(&octets);
        let error = Connection::handshake_with(ours, &pull(), &server(), &AllowAny).await.unwrap_err();
        assert_eq!((error.stage(), error.may_reconnect()), (Stage::Greeting, false), "{name}");
        says_nothing_else(name, &peer, SERVER_GREETING);

        let (ours, peer) = ends();
        peer.put(&octets);
        let error = Connection::handshake(ours, &push(), &client()).await.unwrap_err();
        assert_eq!((error.stage(), error.may_reconnect()), (Stage::Greeting, false), "{name}");
        says_nothing_else(name, &peer, GREETING);
    }
}

fn says_nothing_else(name: &str, peer: &End, greeting: [u8; 64]) {
    assert_eq!(peer.taken(), greeting, "{name}");
    assert!(peer.incoming().is_closed(), "{name}");
}

#[tokio::test(start_paused = true)]
async fn a_null_side_and_a_curve_side_refuse_each_other() {
    let null = MechanismName::NULL;
    for (server, client) in [
        (AnyMechanism::new(server()), AnyMechanism::new(support::NULL)),
        (AnyMechanism::new(support::NULL), AnyMechanism::new(client())),
    ] {
        let (ours, theirs) = knock(&server, &client, &AllowAny).await;
        for error in [ours.unwrap_err(), theirs.unwrap_err()] {
            let HandshakeCause::MechanismMismatch { ours, theirs } = error.cause() else { panic!("{error}") };
            assert!(*ours == null || *theirs == null);
            assert_ne!(ours, theirs);
        }
    }
}
