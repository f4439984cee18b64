//! An authenticator beside a mechanism that asks nobody (NULL as most speak it, the client of a server): it is asked all
//! the same, once, before there is a connection.
#![cfg(all(feature = "net", feature = "null"))]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod net_support;
mod support;

use std::future::pending;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Mutex;
use std::time::Duration;

use net_support::{Counting, End, ends, heard, poll_once};
use support::fake::Fake;
use support::{NULL, wire};
use tokio::time::{Instant, sleep, timeout};
use zmtp_connection::codec::{
    Admission, AnyMechanism, Credentials, ErrorReason, Mechanism, MechanismError, Refusal, SocketType, Verdict,
};
use zmtp_connection::{
    AllowAny, AllowList, AuthRequest, Authenticator, Connection, ConnectionConfig, DecodeError, Event, HandshakeCause,
    HandshakeError, Message, Null, PeerAddress, RecvError, Stage, decide,
};

const SECOND: Duration = Duration::from_secs(1);
const ALICE: [u8; 32] = [0xa1; 32];

type Ended<M> = Result<Connection<End, M>, HandshakeError>;

fn config(socket_type: SocketType) -> ConnectionConfig {
    ConnectionConfig::builder(socket_type).handshake_timeout(Some(10 * SECOND)).domain("jobs").build().unwrap()
}

/// A PULL of ours under `mechanism`, which has NULL's greeting, and a PUSH written by hand that has sent everything, and
/// `early` behind it: how it ended, and what the peer got behind our greeting.
async fn null_peer<M: Mechanism>(
    mechanism: &M,
    judge: &(impl Authenticator + ?Sized),
    early: &[u8],
) -> (Ended<M>, Vec<u8>) {
    let (ours, mut peer) = ends();
    peer.put(&[&wire::GREETING[..], &wire::ready("PUSH"), early].concat());
    let config = config(SocketType::Pull);
    tokio::join!(Connection::handshake_with(ours, &config, mechanism, judge), heard(&mut peer))
}

fn refusal(error: &HandshakeError) -> &Refusal {
    match error.cause() {
        HandshakeCause::Mechanism(MechanismError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_lets_nobody_in_under_a_mechanism_without_keys() {
    for list in [AllowList::default(), AllowList::new([ALICE, [0; 32]])] {
        let (ours, seen) = null_peer(&Null::new(), &list, b"").await;
        let error = ours.unwrap_err();
        assert_eq!((error.stage(), error.may_reconnect()), (Stage::Authorization, false));
        let due = Refusal::error(ErrorReason::AUTHENTICATION_FAILURE).because("it has no public key");
        assert_eq!(refusal(&error), &due);
        assert_eq!(seen, [wire::ready("PULL"), wire::error("400")].concat());
    }
}

#[tokio::test(start_paused = true)]
async fn allow_any_lets_everybody_in_under_null() {
    let (ours, seen) = null_peer(&Null::new(), &AllowAny, b"").await;
    let ours = ours.unwrap();
    assert!(ours.peer().user_id().is_none() && ours.peer().auth_properties().is_empty());
    assert_eq!(seen, wire::ready("PULL"));
}

/// As [`a_list_lets_nobody_in_under_a_mechanism_without_keys`], for each kind of refusal, where the mechanism is chosen at
/// run time.
#[tokio::test(start_paused = true)]
async fn each_refusal_is_said_as_far_as_it_has_something_to_say() {
    for (verdict, octets) in [
        (Verdict::deny(), wire::error("400")),
        (Verdict::internal_error(), wire::error("500")),
        (Verdict::try_later(), Vec::new()),
    ] {
        let judge = decide(|_| verdict.clone());
        let (ours, seen) = null_peer(&AnyMechanism::new(Null::new()), &judge, b"").await;
        let error = ours.unwrap_err();
        assert_eq!(seen, [wire::ready("PULL"), octets].concat(), "{verdict:?}");
        assert_eq!((error.stage(), error.may_reconnect()), (Stage::Authorization, verdict == Verdict::try_later()));
        assert_eq!(Verdict::Refuse(refusal(&error).clone()), verdict);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_of_ours_that_is_refused_reads_the_reason_where_it_awaits_a_message() {
    let (ours, theirs) = ends();
    let (pull, push) = (config(SocketType::Pull), config(SocketType::Push));
    let nobody = AllowList::default();
    let (ours, theirs) = tokio::join!(Connection::handshake_with(ours, &pull, &NULL, &nobody), async {
        let mut connection = Connection::handshake(theirs, &push, &NULL).await.unwrap();
        timeout(SECOND, connection.recv()).await.unwrap()
    });
    assert_eq!(ours.unwrap_err().stage(), Stage::Authorization);
    let reason = ErrorReason::AUTHENTICATION_FAILURE;
    let theirs = theirs.unwrap_err();
    assert!(matches!(&theirs, RecvError::Protocol(DecodeError::PeerError { reason: r }) if *r == reason), "{theirs}");
}

#[tokio::test(start_paused = true)]
async fn the_authenticator_is_asked_exactly_once_whoever_asks_it() {
    for verdict in [Verdict::accept(), Verdict::deny()] {
        let let_in = verdict == Verdict::accept();
        for null in [Null::new(), Null::with_authorization()] {
            let judge = decide(|_| verdict.clone());
            let judge = Counting::new(&judge);
            assert_eq!(null_peer(&null, &judge, b"").await.0.is_ok(), let_in);
            assert_eq!(judge.asked(), 1, "{null:?}");
            assert_eq!(null_peer(&AnyMechanism::new(null), &judge, b"").await.0.is_ok(), let_in);
            assert_eq!(judge.asked(), 2, "{null:?}");
        }
        let (ours, theirs) = ends();
        let (pull, push, server, client) =
            (config(SocketType::Pull), config(SocketType::Push), Fake::server(), Fake::client(ALICE));
        let judge = decide(|_| verdict.clone());
        let judge = Counting::new(&judge);
        let (of_clients, of_servers) = (Counting::new(&AllowAny), judge);
        let (ours, theirs) = tokio::join!(
            Connection::handshake_with(ours, &pull, &server, &of_clients),
            Connection::handshake_with(theirs, &push, &client, &of_servers)
        );
        assert_eq!((ours.is_ok(), theirs.is_ok()), (true, let_in));
        assert_eq!((of_clients.asked(), of_servers.asked()), (1, 1));
    }
}

/// Who does not get that far is no connection.
#[tokio::test(start_paused = true)]
async fn nobody_is_asked_about_a_peer_that_the_handshake_has_refused() {
    let (ours, peer) = ends();
    peer.put(&[&wire::GREETING[..], &wire::ready("PULL")].concat());
    peer.outgoing().close();
    let judge = Counting::new(&AllowAny);
    let error = Connection::handshake_with(ours, &config(SocketType::Pull), &NULL, &judge).await.unwrap_err();
    assert_eq!((error.stage(), judge.asked()), (Stage::Properties, 0));
    assert!(peer.taken().ends_with(&wire::error("Invalid socket type")));
}

#[tokio::test(start_paused = true)]
async fn everything_that_is_known_of_the_peer_is_in_the_request_and_what_is_attached_on_the_peer() {
    let address: SocketAddr = "192.0.2.7:49152".parse().unwrap();
    let seen = Mutex::new(None);
    let judge = decide(|request| {
        *seen.lock().unwrap() = Some(request.clone());
        Verdict::Accept(Admission::new().with_user_id("alice").with_property("X-Role", "admin").unwrap())
    });
    let (ours, peer) = ends();
    let more = [wire::property("Identity", b"w"), wire::property("User-Id", b"root")].concat();
    peer.put(&[&wire::GREETING[..], &wire::ready_and("PUSH", &more)].concat());
    let pull = config(SocketType::Pull);
    let ours = Connection::handshake_with(ours, &pull, &NULL, &judge.at(address)).await.unwrap();

    let request = seen.lock().unwrap().take().unwrap();
    assert_eq!((request.mechanism().as_str(), request.domain()), (Some("NULL"), "jobs"));
    assert_eq!(request.address(), Some(&PeerAddress::Tcp(address)));
    assert_eq!(request.credentials(), &Credentials::Anonymous);
    assert_eq!((request.socket_type(), &request.identity().unwrap()[..]), (Some(SocketType::Push), &b"w"[..]));
    let names: Vec<&str> = request.properties().unwrap().iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["Socket-Type", "Identity"], "nothing under a receiver's name");

    assert_eq!(ours.peer().user_id_str(), Some("alice"));
    assert_eq!(ours.peer().auth_properties().get("X-Role").unwrap(), "admin");
    assert_eq!(ours.peer().properties(), request.properties().unwrap());
    assert_eq!(ours.peer().address(), Some(&PeerAddress::Tcp(address)));
}

#[tokio::test(start_paused = true)]
async fn what_the_peer_sent_early_is_delivered_after_the_verdict_or_never() {
    let early = wire::message(&["early"]);
    let slow = |verdict: Verdict| {
        move |_: AuthRequest| {
            let verdict = verdict.clone();
            async move {
                sleep(SECOND / 4).await;
                verdict
            }
        }
    };
    let (ours, _) = null_peer(&NULL, &slow(Verdict::accept()), &early).await;
    assert_eq!(ours.unwrap().recv().await.unwrap(), Some(Event::Message(Message::from("early"))));

    let (ours, peer) = ends();
    peer.put(&[&wire::GREETING[..], &wire::ready("PUSH"), &early].concat());
    peer.outgoing().close();
    let error = Connection::handshake_with(ours, &config(SocketType::Pull), &NULL, &slow(Verdict::deny())).await;
    assert_eq!(error.unwrap_err().stage(), Stage::Authorization);
    assert_eq!(peer.taken()[64..], [wire::ready("PULL"), wire::error("400")].concat());
    assert!(peer.incoming().is_closed() && peer.outgoing().is_abandoned(), "the stream and the message are gone");
}

/// Our READY is not kept back while the peer is judged, and the time of the handshake runs.
#[tokio::test(start_paused = true)]
async fn a_judge_that_never_answers_ends_at_the_deadline_with_our_ready_written() {
    let start = Instant::now();
    let (ours, peer) = ends();
    peer.put(&[&wire::GREETING[..], &wire::ready("PUSH")].concat());
    let pull = config(SocketType::Pull);
    let never = |_: AuthRequest| pending();
    let judge = Counting::new(&never);
    let mut handshake = pin!(Connection::handshake_with(ours, &pull, &NULL, &judge));
    assert!(poll_once(handshake.as_mut()).is_pending());
    assert_eq!(judge.asked(), 1);
    assert_eq!(peer.taken()[64..], wire::ready("PULL"));
    let error = handshake.await.unwrap_err();
    assert!(matches!(error.cause(), HandshakeCause::TimedOut { after } if *after == 10 * SECOND), "{error:?}");
    assert_eq!((error.stage(), error.may_reconnect()), (Stage::Authorization, true));
    assert!((10 * SECOND..11 * SECOND).contains(&start.elapsed()));
    assert_eq!(peer.taken(), b"", "and then nothing");
    assert!(peer.incoming().is_closed());
}
