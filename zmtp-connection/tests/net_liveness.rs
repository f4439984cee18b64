//! Who is alive: peers that are slow to read, to answer or to be looked at are not given up, dead ones are.
#![cfg(all(feature = "net", feature = "null"))]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod net_support;
mod support;

use std::future::poll_fn;
use std::io::Write;
use std::pin::pin;
use std::time::Duration;

use net_support::{End, complete_within, drive, with_peer};
use support::{NULL, wire};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use zmtp_connection::codec::{SocketType, Version};
use zmtp_connection::proto::{Heartbeat, HeartbeatAction};
use zmtp_connection::{
    Connection, ConnectionConfig, Event, Expired, HeartbeatConfig, Message, Null, RecvError, SendError,
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
/// A PING of ours is as long as this.
const PING_LEN: usize = 17;

async fn beating(heartbeat: HeartbeatConfig) -> (Connection<End, Null>, End) {
    let config = ConnectionConfig::builder(SocketType::Dealer).heartbeat(heartbeat).build().unwrap();
    with_peer(&config, SocketType::Dealer).await
}

fn message(text: &'static str) -> Option<Event> {
    Some(Event::Message(Message::from(text)))
}

/// The contexts of our PINGs in these octets, which are nothing but PINGs.
fn contexts(octets: &[u8]) -> Vec<&[u8]> {
    octets.chunks(PING_LEN).map(|ping| ping.strip_prefix(b"\x04\x0f\x04PING\0\0").unwrap()).collect()
}

/// It would answer every PING, but the first one stands behind a backlog that takes it thirteen seconds to read.
#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_not_given_up_before_it_can_have_read_a_ping() {
    let (mut connection, peer) = beating(HeartbeatConfig::every(SECOND)).await;
    peer.incoming().capacity(4096);
    connection.feed(&vec![7; 512 * 1024]).unwrap();
    let backlog = connection.pending();
    let slow_reader = async {
        let (mut left, mut behind) = (backlog, Vec::new());
        while left > 0 {
            sleep(Duration::from_millis(100)).await;
            let mut octets = peer.incoming().take(4096);
            behind = octets.split_off(left.min(octets.len()));
            left -= octets.len();
        }
        // After 12.9 s, and the PING has been waiting since the first.
        let pings = contexts(&behind);
        assert_eq!(pings.len(), 1, "at most one PING waits");
        peer.put(&wire::command("PONG", pings[0]));
        sleep(Duration::from_millis(100)).await;
        peer.put(&wire::message(&["still here"]));
    };
    // Once it is given up, it waits for the rest for ever.
    let (received, ()) = tokio::join!(async { connection.recv().await.unwrap() }, slow_reader);
    assert_eq!(received, message("still here"));
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_that_does_not_answer_the_ping_it_has_read_is_given_up() {
    let (mut connection, peer) = beating(HeartbeatConfig::every(SECOND)).await;
    peer.incoming().capacity(4096);
    connection.feed(&vec![7; 64 * 1024]).unwrap();
    let start = Instant::now();
    let slow_reader = async {
        loop {
            sleep(Duration::from_millis(100)).await;
            peer.incoming().take(4096);
        }
    };
    let received = tokio::select! {
        received = connection.recv() => received,
        () = slow_reader => unreachable!(),
    };
    assert!(received.is_err());
    // 17 reads for the backlog, and a second of silence.
    let waited = start.elapsed();
    assert!(Duration::from_millis(2500) < waited && waited < 5 * SECOND, "{waited:?}");
}

/// Whether the stream takes it or not, the PING of a driver that is told nothing counts from when it was due.
#[test]
fn silence_counts_from_the_moment_that_the_ping_has_left() {
    let start = Duration::from_secs(100);
    let mut heartbeat = Heartbeat::new(
        Some(HeartbeatConfig::every(10 * SECOND).timeout(Some(3 * SECOND))),
        Version::V3_1,
        SocketType::Dealer,
        start,
    );
    assert!(matches!(heartbeat.on_deadline(start + 10 * SECOND), HeartbeatAction::Ping(_)));
    assert_eq!(heartbeat.next_deadline(), Some(start + 13 * SECOND));
    heartbeat.ping_sent(start + 12 * SECOND);
    assert_eq!(heartbeat.on_deadline(start + 13 * SECOND), HeartbeatAction::None);
    assert_eq!(heartbeat.next_deadline(), Some(start + 15 * SECOND));
    let expired = HeartbeatAction::Expire(Expired::NoAnswer { after: 3 * SECOND });
    assert_eq!(heartbeat.on_deadline(start + 15 * SECOND), expired);
}

#[test]
fn the_round_trip_counts_from_the_moment_that_the_ping_has_left() {
    let start = Duration::from_secs(100);
    let config = HeartbeatConfig::every(10 * SECOND).timeout(None);
    let mut heartbeat = Heartbeat::new(Some(config), Version::V3_1, SocketType::Dealer, start);
    let HeartbeatAction::Ping(ping) = heartbeat.on_deadline(start + 10 * SECOND) else { panic!() };
    heartbeat.ping_sent(start + 12 * SECOND);
    heartbeat.on_pong(&ping.pong(), start + 13 * SECOND);
    assert_eq!(heartbeat.rtt(), Some(SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_flush_to_a_peer_that_stalls_ends_when_its_heartbeat_does() {
    let (mut connection, peer) = beating(HeartbeatConfig::every(SECOND).timeout(Some(2 * SECOND))).await;
    peer.incoming().capacity(4096);
    let start = Instant::now();
    let error = timeout(HOUR, connection.send(&[0; 100_000])).await.unwrap().unwrap_err();
    assert!(matches!(error, SendError::Expired(Expired::NoAnswer { after }) if after == 2 * SECOND), "{error:?}");
    let waited = start.elapsed();
    assert!(2 * SECOND <= waited && waited < 5 * SECOND, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn to_a_peer_that_was_given_up_nothing_is_sent_any_more() {
    let heartbeat = HeartbeatConfig::every(SECOND);
    for told_by_flush in [true, false] {
        let (mut connection, peer) = beating(heartbeat.clone()).await;
        peer.incoming().capacity(4096);
        connection.feed(&vec![0; 100_000]).unwrap();
        if told_by_flush {
            let flushed = timeout(HOUR, connection.flush()).await.unwrap();
            assert!(matches!(flushed, Err(SendError::Expired(_))), "{flushed:?}");
        } else {
            let received = timeout(HOUR, connection.recv()).await.unwrap();
            assert!(matches!(received, Err(RecvError::Expired(_))), "{received:?}");
        }
        for again in 1..=2 {
            let flushed = timeout(HOUR, connection.flush()).await;
            assert!(matches!(flushed, Ok(Err(_))), "told by flush: {told_by_flush}, {again}: {flushed:?}");
        }
        let sent = timeout(HOUR, connection.send("x")).await;
        assert!(matches!(sent, Ok(Err(_))), "told by flush: {told_by_flush}: {sent:?}");
        let received = timeout(HOUR, connection.recv()).await;
        assert!(matches!(received, Ok(Err(_))), "told by flush: {told_by_flush}: {received:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_flush_honours_the_ttl_that_the_peer_has_announced() {
    let (mut connection, peer) = with_peer(&ConnectionConfig::new(SocketType::Dealer), SocketType::Dealer).await;
    peer.put(&wire::ping(20, b""));
    assert!(complete_within(1, connection.recv()).is_none());
    peer.incoming().capacity(0);
    let start = Instant::now();
    let error = timeout(HOUR, connection.send("x")).await.unwrap().unwrap_err();
    assert!(matches!(error, SendError::Expired(Expired::TimeToLive { ttl }) if ttl == 2 * SECOND), "{error:?}");
    assert!(start.elapsed() < 3 * SECOND, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_flush_to_a_peer_that_reads_slowly_and_talks_goes_on() {
    let (mut connection, peer) = beating(HeartbeatConfig::every(SECOND)).await;
    peer.incoming().capacity(4096);
    let slow_reader = async {
        for _ in 0..60 {
            sleep(SECOND / 2).await;
            peer.incoming().take(4096);
            peer.put(b"\x04\x05\x04PONG");
        }
    };
    let (sent, ()) = tokio::join!(connection.send(&[0; 100_000]), slow_reader);
    sent.unwrap();
}

/// The answer has arrived while another task kept the thread busy, and the runtime has not looked at the socket since.
/// Only a real socket and real time are like that.
#[test]
fn a_peer_whose_answer_waits_in_the_socket_is_not_given_up() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for _ in 0..4 {
        // On a task: the runtime looks at its sockets before it polls the main future, but not before every task.
        runtime.block_on(async { tokio::spawn(answered_while_busy()).await.unwrap() });
    }
}

async fn answered_while_busy() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    peer.write_all(&[&wire::GREETING[..], &wire::ready("DEALER")].concat()).unwrap();
    let heartbeat = HeartbeatConfig::every(Duration::from_millis(50)).timeout(Some(Duration::from_millis(80)));
    let config = ConnectionConfig::builder(SocketType::Dealer).heartbeat(heartbeat).build().unwrap();
    let mut connection = Connection::handshake(ours, &config, &NULL).await.unwrap();
    let start = std::time::Instant::now();
    let mut busy = false;
    let mut receiving = pin!(connection.recv());
    let received = poll_fn(|cx| {
        // The second PING falls due 100 ms after the handshake, and the silence after the first one is over at 130 ms.
        if !busy && start.elapsed() >= Duration::from_millis(95) {
            busy = true;
            peer.write_all(&[&b"\x04\x05\x04PONG"[..], &wire::message(&["here"])].concat()).unwrap();
            std::thread::sleep(Duration::from_millis(100));
        }
        receiving.as_mut().poll(cx)
    });
    assert_eq!(received.await.unwrap(), message("here"));
    assert!(busy);
}

/// The stream refuses the first attempt, takes everything from then on, and always has something to read.
#[tokio::test(start_paused = true)]
async fn a_pong_that_was_not_taken_at_once_goes_out_though_the_peer_never_pauses() {
    let (mut connection, peer) = never_pausing().await;
    for number in 0..100 {
        assert_eq!(drive(connection.recv()).unwrap(), message("x"), "{number}");
    }
    assert_eq!(peer.taken(), wire::command("PONG", b"ctx"));
}

#[tokio::test(start_paused = true)]
async fn a_half_writes_such_a_pong_too() {
    let (connection, peer) = never_pausing().await;
    let (mut rx, _tx) = connection.into_split();
    for number in 0..100 {
        assert_eq!(drive(rx.recv()).unwrap(), message("x"), "{number}");
    }
    assert_eq!(peer.taken(), wire::command("PONG", b"ctx"));
}

async fn never_pausing() -> (Connection<End, Null>, End) {
    let (connection, peer) = with_peer(&ConnectionConfig::new(SocketType::Dealer), SocketType::Dealer).await;
    peer.incoming().stutter();
    peer.outgoing().per_poll(3);
    peer.put(&wire::ping(0, b"ctx"));
    peer.put(&wire::message(&["x"]).repeat(1000));
    (connection, peer)
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_takes_longer_than_an_interval_tells_the_round_trip_time() {
    let (mut connection, peer) = beating(HeartbeatConfig::every(SECOND).timeout(Some(10 * SECOND))).await;
    let far_away = async {
        sleep(Duration::from_millis(3501)).await;
        let octets = peer.taken();
        let pings = contexts(&octets);
        assert_eq!(pings.len(), 3);
        peer.put(&wire::command("PONG", pings[0]));
        peer.put(&wire::message(&["x"]));
    };
    let (received, ()) = tokio::join!(connection.recv(), far_away);
    assert_eq!(received.unwrap(), message("x"));
    let rtt = connection.rtt().unwrap();
    assert!(2 * SECOND < rtt && rtt <= Duration::from_millis(2501), "{rtt:?}");
}

#[test]
fn the_newest_eight_pings_are_remembered() {
    let mut heartbeat = Heartbeat::new(
        Some(HeartbeatConfig::every(SECOND).timeout(None)),
        Version::V3_1,
        SocketType::Dealer,
        Duration::ZERO,
    );
    let mut pings = Vec::new();
    for second in 1..=9 {
        match heartbeat.on_deadline(second * SECOND) {
            HeartbeatAction::Ping(ping) => pings.push(ping),
            other => panic!("{other:?}"),
        }
    }
    heartbeat.on_pong(&pings[0].pong(), 10 * SECOND);
    assert_eq!(heartbeat.rtt(), None, "forgotten");
    heartbeat.on_pong(&pings[1].pong(), 10 * SECOND);
    assert_eq!(heartbeat.rtt(), Some(8 * SECOND));
    heartbeat.on_pong(&pings[8].pong(), 10 * SECOND);
    assert_eq!(heartbeat.rtt(), Some(SECOND));
    heartbeat.on_pong(&pings[1].pong(), 11 * SECOND);
    assert_eq!(heartbeat.rtt(), Some(SECOND), "an answer counts once");
}
