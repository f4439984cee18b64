//! Endings: closing so that the peer gets everything, and refusing so that everybody knows why.
#![cfg(all(feature = "net", feature = "null"))]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod net_support;
mod support;

use std::error::Error;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use net_support::{End, ends, poll_once, with_peer};
use support::fake::Fake;
use support::{NULL, wire};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};
use zmtp_connection::codec::{FrameError, Mechanism, SocketType, Verdict};
use zmtp_connection::{Connection, ConnectionConfig, HandshakeCause, HandshakeError, IntoSplit, Null, Stage, decide};

const SECOND: Duration = Duration::from_secs(1);
/// For real sockets: no test waits so long unless it fails.
const PATIENCE: Duration = Duration::from_secs(20);

fn config() -> ConnectionConfig {
    ConnectionConfig::new(SocketType::Dealer)
}

/// A socket that is closed with unread octets in it is reset, and takes what it still has to send with it.
#[tokio::test]
async fn a_peer_gets_everything_though_we_have_not_read_what_it_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (ours, theirs) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (ours, (mut peer, _)) = (ours.unwrap(), theirs.unwrap());
    peer.write_all(&[&wire::GREETING[..], &wire::ready("PULL")].concat()).await.unwrap();
    let push = ConnectionConfig::new(SocketType::Push);
    let mut connection = Connection::handshake(ours, &push, &NULL).await.unwrap();
    let mut hello = [0; 64];
    peer.read_exact(&mut hello).await.unwrap();
    let mut header = [0; 2];
    peer.read_exact(&mut header).await.unwrap();
    peer.read_exact(&mut vec![0; usize::from(header[1])]).await.unwrap();

    peer.write_all(&wire::ping(0, b"")).await.unwrap();
    connection.get_ref().readable().await.unwrap();
    connection.feed(&Bytes::from(vec![7; 2_000_000])).unwrap();
    let peer = async move {
        let mut received = Vec::new();
        // The peer closes as soon as it has seen our end.
        peer.read_to_end(&mut received).await.map(|_| received.len())
    };
    let (closed, received) = timeout(PATIENCE, async { tokio::join!(connection.close(), peer) }).await.unwrap();
    closed.unwrap();
    assert_eq!(received.unwrap(), 2_000_009);
}

#[tokio::test(start_paused = true)]
async fn closing_waits_for_the_peers_end_and_reads_it_out() {
    let (mut connection, peer) = with_peer(&config(), SocketType::Dealer).await;
    peer.put(&wire::message(&[[0; 100_000]]));
    connection.feed("last words").unwrap();
    let mut closing = pin!(connection.close());
    for _ in 0..100 {
        assert!(poll_once(closing.as_mut()).is_pending(), "the peer may still be reading");
    }
    assert_eq!(peer.taken(), wire::message(&["last words"]));
    assert!(peer.incoming().is_closed());
    assert_eq!(peer.outgoing().len(), 0);
    assert!(!peer.outgoing().is_abandoned());
    let start = Instant::now();
    peer.outgoing().close();
    closing.await.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_closes_holds_us_for_two_seconds_at_most() {
    let (connection, peer) = with_peer(&config(), SocketType::Dealer).await;
    let start = Instant::now();
    connection.close().await.unwrap();
    let waited = start.elapsed();
    assert!(SECOND < waited && waited <= Duration::from_millis(2002), "{waited:?}");
    assert!(peer.outgoing().is_abandoned());
}

/// What nobody can judge is not let in.
async fn not_judged<M: Mechanism>(mechanism: &M, octets: &[u8]) -> (HandshakeError, End) {
    let (ours, peer) = ends();
    peer.put(octets);
    let error = Connection::handshake(ours, &config(), mechanism).await.unwrap_err();
    (error, peer)
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_nobody_is_there_to_judge_is_turned_away_in_silence() {
    let octets = [&wire::GREETING[..], &wire::ready("DEALER")].concat();
    let (error, peer) = not_judged(&Null::with_authorization(), &octets).await;
    assert!(matches!(error.cause(), HandshakeCause::NoAuthenticator), "{error:?}");
    assert_eq!(error.stage(), Stage::Authorization);
    assert!(!error.may_reconnect());
    assert_eq!(peer.taken().len(), wire::GREETING.len(), "neither READY nor ERROR");
    assert!(peer.incoming().is_closed());
}

#[tokio::test(start_paused = true)]
async fn nor_does_an_encrypting_mechanism_let_in_whom_nobody_judged() {
    let octets = [
        &wire::greeting("FAKE")[..],
        &wire::command("HELLO", &[1; 32]),
        &wire::command("INITIATE", &wire::property("Socket-Type", b"DEALER")),
    ]
    .concat();
    let (error, peer) = not_judged(&Fake::server(), &octets).await;
    assert!(matches!(error.cause(), HandshakeCause::NoAuthenticator), "{error:?}");
    assert!(peer.taken().ends_with(&wire::command("WELCOME", b"")));
    assert!(peer.incoming().is_closed());
}

#[tokio::test(start_paused = true)]
async fn over_two_streams_there_is_a_judge_as_well() {
    for (verdict, accepted) in [(Verdict::accept(), true), (Verdict::deny(), false)] {
        let (ours, peer) = ends();
        peer.put(&[&wire::GREETING[..], &wire::ready("DEALER")].concat());
        peer.outgoing().close();
        let (read, write) = ours.into_split();
        let (asked, mechanism) = (AtomicUsize::new(0), Null::with_authorization());
        let judge = decide(|_| {
            asked.fetch_add(1, Ordering::Relaxed);
            verdict.clone()
        });
        let result = Connection::from_parts_with(read, write, &config(), &mechanism, &judge).await;
        assert_eq!(result.is_ok(), accepted, "{result:?}");
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }
    let (ours, peer) = ends();
    peer.put(&[&wire::GREETING[..], &wire::ready("DEALER")].concat());
    let (read, write) = ours.into_split();
    let error = Connection::from_parts(read, write, &config(), &Null::with_authorization()).await.unwrap_err();
    assert!(matches!(error.cause(), HandshakeCause::NoAuthenticator), "{error:?}");
}

async fn failure_after(octets: &[u8]) -> HandshakeError {
    let (ours, peer) = ends();
    peer.put(octets);
    peer.outgoing().close();
    Connection::handshake(ours, &config(), &NULL).await.unwrap_err()
}

/// Many a program prints an error and not what is behind it.
#[tokio::test(start_paused = true)]
async fn a_failed_handshake_is_shown_with_its_cause() {
    let error = failure_after(&wire::greeting("CURVE")).await;
    let shown = "handshake failed at the greeting: the peer speaks CURVE, we speak NULL; ";
    assert!(error.to_string().starts_with(shown), "{error}");
    assert!(error.source().is_none());
}

#[tokio::test(start_paused = true)]
async fn what_is_behind_a_cause_is_the_source_and_not_shown_twice() {
    let error = failure_after(&[&wire::GREETING[..], b"\xff\0"].concat()).await;
    let HandshakeCause::Frame(frame) = error.cause() else { panic!("{error:?}") };
    let source = error.source().and_then(|source| source.downcast_ref::<FrameError>());
    assert_eq!(source, Some(frame));
    assert!(error.to_string().ends_with(&error.cause().to_string()), "{error}");
    assert!(!error.to_string().contains(&frame.to_string()), "{error}");
}
