//! Handshakes on a stream: deadlines, refusals that arrive, errors that say what happened, and what comes after.
#![cfg(all(feature = "net", feature = "null"))]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod net_support;
mod support;

use std::error::Error;
use std::io::ErrorKind;
use std::time::Duration;

use bytes::Bytes;
use net_support::{End, complete_within, ends, with_peer};
use support::fake::Fake;
use support::{NULL, wire};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};
use zmtp_connection::codec::{Credentials, ErrorReason, MechanismError, Refusal, SocketType, Verdict};
use zmtp_connection::{
    AllowAny, AuthRequest, Connection, ConnectionConfig, Event, HandshakeCause, HandshakeError, Message, Null,
    PushError, SendError, Stage,
};

const SECOND: Duration = Duration::from_secs(1);
/// For real sockets: no test waits so long unless it fails.
const PATIENCE: Duration = Duration::from_secs(20);

fn pull() -> ConnectionConfig {
    ConnectionConfig::new(SocketType::Pull)
}

fn hasty() -> ConnectionConfig {
    ConnectionConfig::builder(SocketType::Pull).handshake_timeout(Some(10 * SECOND)).build().unwrap()
}

/// How our handshake fails with a peer that has sent `octets` and then waits.
async fn failure_after(octets: &[u8]) -> HandshakeError {
    let (ours, peer) = ends();
    peer.put(octets);
    Connection::handshake(ours, &hasty(), &NULL).await.unwrap_err()
}

fn is_timeout(error: &HandshakeError) -> bool {
    matches!(error.cause(), HandshakeCause::TimedOut { after } if *after == 10 * SECOND)
}

/// G18, G21, H42.
#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_given_up_at_the_deadline() {
    for (octets, stage) in [
        (&b""[..], Stage::Greeting),
        (&wire::GREETING[..20], Stage::Greeting),
        (&wire::GREETING[..], Stage::Mechanism),
        (&[&wire::GREETING[..], &wire::ready("PUSH")[..10]].concat(), Stage::Mechanism),
    ] {
        let start = Instant::now();
        let error = failure_after(octets).await;
        assert!(is_timeout(&error), "{error:?}");
        assert_eq!(error.stage(), stage, "after {} octets", octets.len());
        assert!(error.may_reconnect());
        assert!((10 * SECOND..=10 * SECOND + SECOND / 100).contains(&start.elapsed()), "{:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn progress_does_not_extend_the_deadline() {
    let (ours, peer) = ends();
    let start = Instant::now();
    let trickle = async {
        for octet in wire::GREETING {
            peer.put(&[octet]);
            sleep(SECOND).await;
        }
    };
    let config = hasty();
    let error = tokio::select! {
        result = Connection::handshake(ours, &config, &NULL) => result.unwrap_err(),
        () = trickle => unreachable!("it takes 64 seconds"),
    };
    assert!(is_timeout(&error), "{error:?}");
    assert!(start.elapsed() <= 10 * SECOND + SECOND / 100);
}

#[tokio::test(start_paused = true)]
async fn without_a_deadline_the_slowest_peer_is_waited_for() {
    let config = ConnectionConfig::builder(SocketType::Pull).handshake_timeout(None).build().unwrap();
    let (ours, peer) = ends();
    let trickle = async {
        for octet in [&wire::GREETING[..], &wire::ready("PUSH")].concat() {
            sleep(60 * SECOND).await;
            peer.put(&[octet]);
        }
    };
    let (connection, ()) = tokio::join!(Connection::handshake(ours, &config, &NULL), trickle);
    assert_eq!(connection.unwrap().peer().socket_type(), SocketType::Push);
}

/// The end of our own READY is part of the handshake, and of its time.
#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_our_ready_does_not_hold_us_for_ever() {
    let (ours, peer) = ends();
    peer.incoming().capacity(70);
    peer.put(&[&wire::GREETING[..], &wire::ready("PUSH")].concat());
    let config = hasty();
    let result = timeout(60 * SECOND, Connection::handshake(ours, &config, &NULL)).await;
    let error = result.unwrap().unwrap_err();
    assert!(is_timeout(&error), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_speak_zmtp_is_refused_at_its_first_octets() {
    let tls: &[u8] = &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3];
    for octets in [b"GET / HTTP/1.1\r\nHost: example\r\n\r\n", tls, b"G"] {
        let start = Instant::now();
        let error = failure_after(octets).await;
        assert!(matches!(error.cause(), HandshakeCause::Greeting(_)), "{error:?}");
        assert_eq!(error.stage(), Stage::Greeting);
        assert!(!error.may_reconnect());
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_from_the_peer_comes_with_its_reason() {
    let error = failure_after(&[&wire::GREETING[..], &wire::error("400")].concat()).await;
    assert_eq!(error.peer_reason(), Some(&ErrorReason::AUTHENTICATION_FAILURE));
    assert!(!error.may_reconnect());
}

/// The end of a connection to a peer written by hand: all that it was sent, until the end of the stream.
async fn read_out(peer: &mut End) -> Vec<u8> {
    let mut octets = Vec::new();
    timeout(60 * SECOND, peer.read_to_end(&mut octets)).await.unwrap().unwrap();
    octets
}

#[tokio::test(start_paused = true)]
async fn a_refused_peer_receives_the_error_and_then_the_end() {
    let (ours, mut peer) = ends();
    peer.put(&[&wire::GREETING[..], &wire::ready("REQ")].concat());
    // In small pieces, to a peer that is slow to read.
    peer.incoming().capacity(7);
    let config = pull();
    let (result, octets) = tokio::join!(Connection::handshake(ours, &config, &NULL), read_out(&mut peer));
    let error = result.unwrap_err();
    assert!(matches!(error.cause(), HandshakeCause::Incompatible { .. }), "{error:?}");
    assert_eq!(error.stage(), Stage::Properties);
    assert!(octets.ends_with(&wire::error("Invalid socket type")));
}

#[tokio::test(start_paused = true)]
async fn a_refused_peer_that_does_not_read_holds_us_for_a_second_at_most() {
    let (ours, peer) = ends();
    peer.put(&[&wire::GREETING[..], &wire::ready("REQ")].concat());
    peer.incoming().capacity(70);
    let start = Instant::now();
    assert!(Connection::handshake(ours, &pull(), &NULL).await.is_err());
    assert!(start.elapsed() <= 2 * SECOND, "{:?}", start.elapsed());
    assert!(peer.incoming().is_closed());
}

/// What it still sends is taken out of the way of the ERROR, and the stream is dropped after that.
#[tokio::test(start_paused = true)]
async fn a_refused_peer_is_read_out_before_the_stream_is_dropped() {
    let (ours, mut peer) = ends();
    peer.put(&[&wire::GREETING[..], &wire::ready("REQ"), &wire::message(&[[0; 30_000]])].concat());
    let config = pull();
    let mut handshake = std::pin::pin!(Connection::handshake(ours, &config, &NULL));
    assert!(net_support::poll_once(handshake.as_mut()).is_pending(), "it waits for the peer to close");
    assert_eq!(peer.outgoing().len(), 0, "everything was read");
    assert!(read_out(&mut peer).await.ends_with(&wire::error("Invalid socket type")));
    drop(peer);
    assert!(handshake.await.is_err());
}

/// Closing a TCP socket with unread octets resets it, and a reset would take the ERROR with it.
#[tokio::test]
async fn a_refused_peer_receives_the_error_over_tcp_though_it_has_sent_more_than_was_read() {
    let (ours, mut peer) = tcp().await;
    let mut octets = [&wire::GREETING[..], &wire::ready("REQ")].concat();
    octets.extend_from_slice(&wire::message(&[[0; 30_000]]));
    peer.write_all(&octets).await.unwrap();
    let config = pull();
    let handshake = tokio::spawn(async move { Connection::handshake(ours, &config, &NULL).await.map(drop) });
    let mut received = Vec::new();
    timeout(PATIENCE, peer.read_to_end(&mut received)).await.unwrap().unwrap();
    drop(peer);
    assert!(received.ends_with(&wire::error("Invalid socket type")));
    let result = timeout(PATIENCE, handshake).await.unwrap().unwrap();
    assert!(matches!(result.unwrap_err().cause(), HandshakeCause::Incompatible { .. }));
}

async fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (ours, theirs) = tokio::join!(TcpStream::connect(address), listener.accept());
    (ours.unwrap(), theirs.unwrap().0)
}

#[tokio::test]
async fn two_of_ours_talk_over_tcp_and_part_in_peace() {
    let talk = async {
        let (a, b) = tcp().await;
        let (push, pull) = (ConnectionConfig::new(SocketType::Push), pull());
        let (a, b) = tokio::join!(Connection::handshake(a, &push, &NULL), Connection::handshake(b, &pull, &NULL));
        let (mut rx, _tx) = b.unwrap().into_split();
        let mut a = a.unwrap();
        a.feed(&Bytes::from(vec![1; 3_000_000])).unwrap();
        let (closed, received) = tokio::join!(a.close(), rx.recv());
        closed.unwrap();
        assert_eq!(received.unwrap(), Some(Event::Message(Message::from(vec![1; 3_000_000]))));
        assert_eq!(rx.recv().await.unwrap(), None);
    };
    timeout(PATIENCE, talk).await.unwrap();
}

/// A handshake of two of ours under NULL that asks the one side, and how it ended on both.
async fn judged<F: Future<Output = Verdict> + Send>(
    verdict: impl Fn() -> F + Sync,
) -> (Result<Connection<End, Null>, HandshakeError>, Result<Connection<End, Null>, HandshakeError>) {
    let (ours, theirs) = ends();
    let (config, push) = (hasty(), ConnectionConfig::new(SocketType::Push));
    let asking = Null::with_authorization();
    let judge = |request: AuthRequest| {
        assert_eq!(*request.credentials(), Credentials::Anonymous);
        verdict()
    };
    let handshake = Connection::handshake_with(ours, &config, &asking, &judge);
    tokio::join!(handshake, Connection::handshake(theirs, &push, &NULL))
}

#[tokio::test(start_paused = true)]
async fn a_judge_may_take_its_time_within_the_deadline() {
    let start = Instant::now();
    let (ours, theirs) = judged(async || {
        sleep(9 * SECOND).await;
        Verdict::accept()
    })
    .await;
    assert!(ours.is_ok() && theirs.is_ok());
    assert!(start.elapsed() >= 9 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_judge_that_takes_too_long_counts_against_the_deadline() {
    let (ours, theirs) = judged(std::future::pending).await;
    let error = ours.unwrap_err();
    assert!(is_timeout(&error), "{error:?}");
    assert_eq!(error.stage(), Stage::Authorization);
    let error = theirs.unwrap_err();
    assert!(matches!(error.cause(), HandshakeCause::Closed), "{error:?}");
    assert!(error.may_reconnect());
}

#[tokio::test(start_paused = true)]
async fn a_peer_refused_by_the_judge_is_told_the_reason() {
    let (ours, theirs) = judged(async || Verdict::deny()).await;
    let error = ours.unwrap_err();
    assert!(matches!(error.cause(), HandshakeCause::Mechanism(MechanismError::Refused(_))));
    let error = theirs.unwrap_err();
    assert_eq!(error.peer_reason().and_then(ErrorReason::status_code), Some(400));
    assert!(!error.may_reconnect());
}

#[tokio::test(start_paused = true)]
async fn a_peer_refused_in_silence_sees_a_plain_close() {
    let (ours, theirs) = judged(async || Verdict::Refuse(Refusal::silent())).await;
    assert!(ours.unwrap_err().may_reconnect());
    let error = theirs.unwrap_err();
    assert!(matches!(error.cause(), HandshakeCause::Closed | HandshakeCause::Io(_)), "{error:?}");
    assert!(error.may_reconnect());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_gone_in_the_middle_may_be_tried_again() {
    for len in [0, 30, 64, 70] {
        let octets = [&wire::GREETING[..], &wire::ready("PUSH")].concat();
        let (ours, peer) = ends();
        peer.put(&octets[..len]);
        drop(peer);
        let error = Connection::handshake(ours, &pull(), &NULL).await.unwrap_err();
        assert!(matches!(error.cause(), HandshakeCause::Closed | HandshakeCause::Io(_)), "{error:?}");
        assert!(error.may_reconnect());

        let (ours, peer) = ends();
        peer.put(&octets[..len]);
        peer.outgoing().fail_reads(ErrorKind::ConnectionReset);
        let error = Connection::handshake(ours, &pull(), &NULL).await.unwrap_err();
        assert!(matches!(error.cause(), HandshakeCause::Io(io) if io.kind() == ErrorKind::ConnectionReset));
        assert!(error.may_reconnect());
    }
}

#[tokio::test(start_paused = true)]
async fn the_peers_error_is_read_though_writing_fails() {
    let (ours, peer) = ends();
    peer.incoming().fail_writes(ErrorKind::BrokenPipe);
    peer.put(&[&wire::GREETING[..], &wire::error("go away")].concat());
    drop(peer);
    let error = Connection::handshake(ours, &pull(), &NULL).await.unwrap_err();
    assert_eq!(error.peer_reason(), Some(&ErrorReason::new("go away").unwrap()), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn two_of_ours_shake_hands_over_a_stream_of_one_octet() {
    let (push, pull) = (ConnectionConfig::new(SocketType::Push), pull());
    let (a, b) = tokio::io::duplex(1);
    let both = async { tokio::join!(Connection::handshake(a, &push, &NULL), Connection::handshake(b, &pull, &NULL)) };
    let (a, b) = timeout(PATIENCE, both).await.unwrap();
    let (mut a, mut b) = (a.unwrap(), b.unwrap());
    let (sent, received) = tokio::join!(a.send("one octet at a time"), b.recv());
    sent.unwrap();
    assert_eq!(received.unwrap(), Some(Event::Message(Message::from("one octet at a time"))));

    let (a, b) = tokio::io::duplex(1);
    let (client, server) = (Fake::client([1; 32]), Fake::server());
    let judged = Connection::handshake_with(b, &pull, &server, &AllowAny);
    let both = async { tokio::join!(Connection::handshake(a, &push, &client), judged) };
    let (a, b) = timeout(PATIENCE, both).await.unwrap();
    assert!(a.is_ok() && b.is_ok());
}

/// H41, H47, H48.
#[tokio::test(start_paused = true)]
async fn what_comes_right_behind_the_handshake_is_received() {
    let (ours, peer) = ends();
    let cut = wire::message(&["second"]);
    peer.put(&[&wire::GREETING[..], &wire::ready("PUSH"), &wire::message(&["first"]), &cut[..3]].concat());
    let mut connection = Connection::handshake(ours, &pull(), &NULL).await.unwrap();
    assert_eq!(connection.recv().await.unwrap(), Some(Event::Message(Message::from("first"))));
    peer.put(&cut[3..]);
    assert_eq!(connection.recv().await.unwrap(), Some(Event::Message(Message::from("second"))));
}

#[tokio::test(start_paused = true)]
async fn closing_flushes_and_the_peer_sees_a_clean_end() {
    let (mut connection, peer) = with_peer(&ConnectionConfig::new(SocketType::Push), SocketType::Pull).await;
    connection.feed("last words").unwrap();
    assert_eq!(peer.incoming().len(), 0);
    connection.close().await.unwrap();
    assert_eq!(peer.taken(), wire::message(&["last words"]));
    assert!(peer.incoming().is_closed());
}

#[tokio::test(start_paused = true)]
async fn dropping_a_connection_drops_what_was_not_flushed() {
    let (mut connection, peer) = with_peer(&ConnectionConfig::new(SocketType::Push), SocketType::Pull).await;
    connection.feed("never said").unwrap();
    drop(connection);
    assert_eq!(peer.taken(), b"");
    assert!(peer.incoming().is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_failed_stream_is_reported_with_its_cause_and_then_as_poisoned() {
    for split in [false, true] {
        let (mut connection, peer) = with_peer(&ConnectionConfig::new(SocketType::Push), SocketType::Pull).await;
        peer.incoming().fail_writes(ErrorKind::ConnectionReset);
        let (first, second) = if split {
            let (_rx, mut tx) = connection.into_split();
            (tx.send("x").await.unwrap_err(), tx.send("y").await.unwrap_err())
        } else {
            (connection.send("x").await.unwrap_err(), connection.send("y").await.unwrap_err())
        };
        let source = first.source().unwrap().downcast_ref::<std::io::Error>().unwrap();
        assert_eq!(source.kind(), ErrorKind::ConnectionReset, "split: {split}");
        assert!(matches!(second, SendError::Refused(PushError::Poisoned)), "{second:?}");
    }
}

/// Whoever answers PINGs meets the failure first, and keeps it for who sends.
#[tokio::test(start_paused = true)]
async fn a_failure_met_while_receiving_is_told_to_the_sender() {
    let (mut connection, peer) = with_peer(&ConnectionConfig::new(SocketType::Pull), SocketType::Push).await;
    peer.incoming().fail_writes(ErrorKind::BrokenPipe);
    peer.put(&[wire::ping(0, b""), wire::message(&["still readable"])].concat());
    assert_eq!(connection.recv().await.unwrap(), Some(Event::Message(Message::from("still readable"))));
    assert!(complete_within(1, connection.recv()).is_none());
    assert!(matches!(connection.flush().await, Err(SendError::Io(error)) if error.kind() == ErrorKind::BrokenPipe));
}

/// Both fill a stream that takes little, and both receive: neither waits for the other.
#[tokio::test(start_paused = true)]
async fn two_peers_that_flood_each_other_and_receive_do_not_lock_up() {
    let config = ConnectionConfig::new(SocketType::Pair);
    let (a, b) = tokio::io::duplex(16);
    let (a, b) = tokio::join!(Connection::handshake(a, &config, &NULL), Connection::handshake(b, &config, &NULL));
    let (mut a, mut b) = (a.unwrap(), b.unwrap());
    for connection in [&mut a, &mut b] {
        assert_eq!(connection.feed_all([[7; 1000]; 100]), Ok(100));
    }
    let receive = async |mut connection: Connection<tokio::io::DuplexStream, Null>| {
        for _ in 0..100 {
            assert_eq!(connection.recv().await.unwrap(), Some(Event::Message(Message::from(vec![7; 1000]))));
        }
        // What the other side still lacks is written while this side waits for more.
        let idle = timeout(SECOND, connection.recv()).await;
        assert!(matches!(idle, Err(_) | Ok(Ok(None))), "{idle:?}");
    };
    timeout(PATIENCE, async { tokio::join!(receive(a), receive(b)) }).await.unwrap();
}
