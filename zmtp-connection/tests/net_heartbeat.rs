//! Heartbeats on a stream, under a paused clock: PINGs, silence, and whose silence it was.
#![cfg(all(feature = "net", feature = "null"))]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod net_support;
mod support;

use std::time::Duration;

use net_support::{End, complete_within, pair, with_peer, with_peer_of};
use support::{NULL, wire};
use tokio::time::{Instant, advance, sleep, timeout};
use zmtp_connection::codec::{HeartbeatContext, Ping, SocketType, Ttl};
use zmtp_connection::{
    Connection, ConnectionConfig, DecodeError, Event, Expired, HeartbeatConfig, Message, Null, RecvError,
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

fn config(heartbeat: HeartbeatConfig) -> ConnectionConfig {
    ConnectionConfig::builder(SocketType::Pull).heartbeat(heartbeat).build().unwrap()
}

async fn beating(heartbeat: HeartbeatConfig) -> (Connection<End, Null>, End) {
    with_peer(&config(heartbeat), SocketType::Push).await
}

async fn not_beating() -> (Connection<End, Null>, End) {
    with_peer(&ConnectionConfig::new(SocketType::Pull), SocketType::Push).await
}

/// Receives for so long, and expects that nothing comes.
async fn nothing_for(time: Duration, connection: &mut Connection<End, Null>) {
    let received = timeout(time, connection.recv()).await;
    assert!(received.is_err(), "{received:?} within {time:?}");
}

/// The context of the one PING in these octets.
fn context_of(octets: &[u8]) -> &[u8] {
    octets.strip_prefix(b"\x04\x0f\x04PING\0\0").unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_first_ping_goes_out_after_one_interval() {
    let (mut connection, peer) = beating(HeartbeatConfig::every(SECOND).timeout(None)).await;
    nothing_for(SECOND - Duration::from_millis(1), &mut connection).await;
    assert_eq!(peer.taken(), b"");
    nothing_for(Duration::from_millis(2), &mut connection).await;
    assert_eq!(context_of(&peer.taken()).len(), 8);
    nothing_for(SECOND, &mut connection).await;
    assert_eq!(context_of(&peer.taken()).len(), 8, "and another one after another");
}

#[tokio::test(start_paused = true)]
async fn a_pong_tells_the_round_trip_time() {
    let (mut connection, peer) = beating(HeartbeatConfig::every(SECOND)).await;
    nothing_for(SECOND + Duration::from_millis(1), &mut connection).await;
    assert_eq!(connection.rtt(), None);
    let pong = wire::command("PONG", context_of(&peer.taken()));
    tokio::join!(nothing_for(Duration::from_millis(500), &mut connection), async {
        sleep(Duration::from_millis(249)).await;
        peer.put(&pong);
    });
    assert_eq!(connection.rtt(), Some(Duration::from_millis(250)));
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_given_up_after_the_timeout_and_not_before() {
    let heartbeat = HeartbeatConfig::every(SECOND).timeout(Some(3 * SECOND));
    let (mut connection, _peer) = beating(heartbeat).await;
    let start = Instant::now();
    // It counts from the first PING without an answer, not from the newest.
    nothing_for(Duration::from_millis(3999), &mut connection).await;
    let error = connection.recv().await.unwrap_err();
    assert!(matches!(error, RecvError::Expired(Expired::NoAnswer { after }) if after == 3 * SECOND), "{error:?}");
    let waited = start.elapsed();
    assert!(4 * SECOND <= waited && waited <= Duration::from_millis(4002), "{waited:?}");
    let error = connection.recv().await.unwrap_err();
    assert!(matches!(error, RecvError::Protocol(DecodeError::Poisoned)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn without_a_timeout_a_silent_peer_is_kept() {
    let (mut connection, _peer) = beating(HeartbeatConfig::every(SECOND).timeout(None)).await;
    nothing_for(HOUR, &mut connection).await;
}

/// B16: one frame that takes longer than the timeout.
#[tokio::test(start_paused = true)]
async fn any_octet_of_a_slow_frame_is_a_sign_of_life() {
    let (mut connection, peer) = beating(HeartbeatConfig::every(SECOND)).await;
    let trickle = async {
        for octet in wire::message(&[[b'x'; 60]]) {
            sleep(Duration::from_millis(900)).await;
            peer.put(&[octet]);
        }
    };
    let (received, ()) = tokio::join!(connection.recv(), trickle);
    assert_eq!(received.unwrap(), Some(Event::Message(Message::from(vec![b'x'; 60]))));
}

/// B14.
#[tokio::test(start_paused = true)]
async fn messages_keep_a_peer_alive_that_never_answers_a_ping() {
    let heartbeat = HeartbeatConfig::every(Duration::from_millis(100)).timeout(Some(Duration::from_millis(250)));
    let (mut connection, peer) = beating(heartbeat).await;
    let talk = async {
        for _ in 0..10 {
            sleep(Duration::from_millis(200)).await;
            peer.put(&wire::message(&["x"]));
        }
    };
    let listen = async {
        for _ in 0..10 {
            assert_eq!(connection.recv().await.unwrap(), Some(Event::Message(Message::from("x"))));
        }
    };
    tokio::join!(talk, listen);
    assert!(matches!(connection.recv().await, Err(RecvError::Expired(_))));
}

/// B05.
#[tokio::test(start_paused = true)]
async fn a_ttl_is_honoured() {
    let (mut connection, peer) = not_beating().await;
    peer.put(&wire::ping(2, b"ctx"));
    let start = Instant::now();
    nothing_for(Duration::from_millis(199), &mut connection).await;
    assert_eq!(peer.taken(), wire::command("PONG", b"ctx"));
    let error = connection.recv().await.unwrap_err();
    assert!(matches!(error, RecvError::Expired(Expired::TimeToLive { ttl }) if ttl == SECOND / 5), "{error:?}");
    assert!(start.elapsed() <= Duration::from_millis(202), "{:?}", start.elapsed());
}

/// B15.
#[tokio::test(start_paused = true)]
async fn traffic_within_the_ttl_keeps_the_peer() {
    let (mut connection, peer) = not_beating().await;
    peer.put(&wire::ping(3, b""));
    nothing_for(Duration::from_millis(250), &mut connection).await;
    peer.put(&wire::message(&["x"]));
    assert!(connection.recv().await.unwrap().is_some());
    nothing_for(Duration::from_millis(250), &mut connection).await;
    peer.put(b"\0");
    nothing_for(Duration::from_millis(299), &mut connection).await;
    assert!(connection.recv().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_later_ping_without_ttl_takes_the_ttl_back() {
    let (mut connection, peer) = not_beating().await;
    peer.put(&[wire::ping(3, b""), wire::ping(0, b"")].concat());
    nothing_for(HOUR, &mut connection).await;
}

/// B06 to B08: libzmq takes 65.6 s for 64 ms.
#[tokio::test(start_paused = true)]
async fn a_ttl_beyond_16_bits_of_milliseconds_is_taken_as_it_is() {
    for (ttl, millis) in [(655, 65_500), (656, 65_600), (65_535, 6_553_500)] {
        let (mut connection, peer) = not_beating().await;
        peer.put(&wire::ping(ttl, b""));
        nothing_for(Duration::from_millis(millis - 1), &mut connection).await;
        let error = timeout(Duration::from_millis(3), connection.recv()).await.unwrap().unwrap_err();
        assert!(matches!(error, RecvError::Expired(Expired::TimeToLive { .. })), "{ttl}: {error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn our_ttl_is_announced_within_what_libzmq_can_count() {
    for (asked, announced) in [(Duration::from_millis(150), 2), (HOUR, 655)] {
        let (mut connection, peer) = beating(HeartbeatConfig::every(SECOND).ttl(asked)).await;
        nothing_for(SECOND + Duration::from_millis(1), &mut connection).await;
        let ping = peer.taken();
        assert_eq!(ping[2..9], [&b"\x04PING"[..], &u16::to_be_bytes(announced)].concat());
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_of_zmtp_3_0_is_neither_pinged_nor_given_up() {
    let config = config(HeartbeatConfig::every(SECOND));
    let (mut connection, peer) = with_peer_of(&config, SocketType::Push, wire::GREETING_3_0).await;
    nothing_for(HOUR, &mut connection).await;
    assert_eq!(peer.taken(), b"");
    // It is answered all the same.
    peer.put(&wire::ping(0, b"x"));
    nothing_for(SECOND, &mut connection).await;
    assert_eq!(peer.taken(), wire::command("PONG", b"x"));
}

#[tokio::test(start_paused = true)]
async fn a_peer_of_zmtp_3_0_that_is_pinged_on_request_is_not_given_up() {
    let config = config(HeartbeatConfig::every(SECOND).ping_zmtp_3_0(true));
    let (mut connection, peer) = with_peer_of(&config, SocketType::Push, wire::GREETING_3_0).await;
    nothing_for(Duration::from_millis(10_500), &mut connection).await;
    assert_eq!(peer.taken().len(), 10 * 17);
}

/// The silence of an application that does not receive is not the peer's.
#[tokio::test(start_paused = true)]
async fn a_peer_whose_answer_waited_while_nobody_received_is_alive() {
    let (mut connection, peer) = beating(HeartbeatConfig::every(SECOND)).await;
    nothing_for(SECOND + Duration::from_millis(1), &mut connection).await;
    let pong = wire::command("PONG", context_of(&peer.taken()));
    peer.put(&pong);
    advance(HOUR).await;
    nothing_for(Duration::from_millis(900), &mut connection).await;
    assert_eq!(connection.rtt(), Some(HOUR + Duration::from_millis(1)).map(|rtt| rtt.max(connection.rtt().unwrap())));
}

/// The same for a peer that asked to be given up.
#[tokio::test(start_paused = true)]
async fn a_ttl_does_not_run_while_octets_wait_unread() {
    let (mut connection, peer) = not_beating().await;
    peer.put(&wire::ping(10, b""));
    nothing_for(Duration::from_millis(100), &mut connection).await;
    peer.put(&wire::message(&["late"]));
    advance(HOUR).await;
    assert_eq!(connection.recv().await.unwrap(), Some(Event::Message(Message::from("late"))));
    nothing_for(Duration::from_millis(900), &mut connection).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_given_up_for_a_pause_in_which_no_ping_was_out() {
    let (mut connection, peer) = beating(HeartbeatConfig::every(SECOND)).await;
    advance(HOUR).await;
    nothing_for(Duration::from_millis(500), &mut connection).await;
    assert_eq!(context_of(&peer.taken()).len(), 8);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_counted_after_the_end_of_the_stream() {
    let (mut connection, peer) = beating(HeartbeatConfig::every(SECOND)).await;
    peer.put(&wire::ping(1, b""));
    drop(peer);
    assert_eq!(connection.recv().await.unwrap(), None);
    advance(HOUR).await;
    assert_eq!(connection.recv().await.unwrap(), None, "the end stays the end");
}

#[tokio::test(start_paused = true)]
async fn idle_time_is_told_to_those_who_drive_heartbeats_themselves() {
    let (mut connection, peer) = not_beating().await;
    nothing_for(10 * SECOND, &mut connection).await;
    assert!(connection.idle_for() >= 10 * SECOND && connection.idle_for() <= 11 * SECOND);
    assert!(connection.is_expired(9 * SECOND) && !connection.is_expired(11 * SECOND));
    peer.put(b"\0");
    nothing_for(SECOND, &mut connection).await;
    assert!(connection.idle_for() <= SECOND + Duration::from_millis(1));
    let idle = Instant::now() - connection.last_received();
    assert_eq!(idle, connection.idle_for());
}

#[tokio::test(start_paused = true)]
async fn heartbeats_go_on_while_the_sending_half_is_idle() {
    let (push, pull) = (ConnectionConfig::new(SocketType::Push), config(HeartbeatConfig::every(SECOND)));
    let pair = pair((&push, &NULL), (&pull, &NULL)).await;
    let (mut other, _idle) = pair.a.split();
    let (mut rx, _tx) = pair.b.into_split();
    let ours = timeout(HOUR, rx.recv());
    let theirs = timeout(HOUR, other.recv());
    let (ours, theirs) = tokio::join!(ours, theirs);
    assert!(ours.is_err() && theirs.is_err(), "both were alive for an hour: {ours:?} {theirs:?}");
    assert!(rx.rtt().is_some());
}

#[tokio::test(start_paused = true)]
async fn heartbeats_go_on_when_the_sending_half_is_dropped() {
    let (connection, peer) = beating(HeartbeatConfig::every(SECOND)).await;
    let (mut rx, tx) = connection.into_split();
    drop(tx);
    let answer = async {
        for _ in 0..100 {
            sleep(Duration::from_millis(500)).await;
            let pings = peer.taken();
            if !pings.is_empty() {
                peer.put(&wire::command("PONG", context_of(&pings)));
            }
        }
    };
    let (received, ()) = tokio::join!(timeout(50 * SECOND, rx.recv()), answer);
    assert!(received.is_err(), "{received:?}");
    let error = rx.recv().await.unwrap_err();
    assert!(matches!(error, RecvError::Expired(Expired::NoAnswer { .. })), "{error:?}");
}

/// A half that can send no more cannot ask for signs of life, and must not miss them.
#[tokio::test(start_paused = true)]
async fn a_closed_sending_half_ends_our_pings_and_not_the_connection() {
    let (connection, peer) = beating(HeartbeatConfig::every(SECOND)).await;
    let (mut rx, tx) = connection.into_split();
    tx.close().await.unwrap();
    assert!(timeout(HOUR, rx.recv()).await.is_err());
    assert_eq!(peer.taken(), b"");
    peer.put(&wire::message(&["late"]));
    assert_eq!(rx.recv().await.unwrap(), Some(Event::Message(Message::from("late"))));
}

/// It is enough that the peer reads nothing: what we have to say must not pile up.
#[tokio::test(start_paused = true)]
async fn a_flood_of_pings_from_a_peer_that_reads_nothing_fills_no_memory() {
    for split in [false, true] {
        let (mut connection, peer) = not_beating().await;
        peer.incoming().capacity(0);
        let mut flood = Vec::new();
        for number in 0..500_000_u32 {
            flood.extend_from_slice(&wire::ping(0, &number.to_be_bytes()));
        }
        let newest = wire::command("PONG", &499_999_u32.to_be_bytes());
        peer.put(&flood);
        let pongs = if split {
            let (mut rx, tx) = connection.into_split();
            while peer.outgoing().len() > 0 {
                assert!(complete_within(1, rx.recv()).is_none());
            }
            assert!(tx.pending() < 80 * 1024, "{}", tx.pending());
            peer.incoming().capacity(usize::MAX);
            assert!(complete_within(1, rx.recv()).is_none());
            peer.taken()
        } else {
            while peer.outgoing().len() > 0 {
                assert!(complete_within(1, connection.recv()).is_none());
            }
            assert!(connection.pending() < 80 * 1024, "{}", connection.pending());
            peer.incoming().capacity(usize::MAX);
            assert!(complete_within(1, connection.recv()).is_none());
            peer.taken()
        };
        assert_eq!(pongs.len() % newest.len(), 0, "whole answers only");
        assert!(pongs.ends_with(&newest), "the newest PING is answered");
    }
}

/// Nor must our own PINGs: a peer may talk for ever and read nothing.
#[tokio::test(start_paused = true)]
async fn our_pings_to_a_peer_that_reads_nothing_fill_no_memory() {
    let (mut connection, peer) = beating(HeartbeatConfig::every(Duration::from_millis(1))).await;
    peer.incoming().capacity(0);
    for _ in 0..20_000 {
        peer.put(b"\x04\x05\x04PONG");
        let _ = timeout(Duration::from_millis(1), connection.recv()).await;
    }
    assert!(connection.pending() < 80 * 1024, "{}", connection.pending());
}

#[tokio::test(start_paused = true)]
async fn a_ping_of_the_callers_own_goes_out_as_it_is() {
    let (mut connection, peer) = not_beating().await;
    let ping = Ping::new(Ttl::from_deciseconds(7), HeartbeatContext::new(b"mine").unwrap());
    connection.ping(ping).await.unwrap();
    assert_eq!(peer.taken(), wire::ping(7, b"mine"));
    peer.put(&wire::command("PONG", b"mine"));
    nothing_for(SECOND, &mut connection).await;
    assert_eq!(connection.rtt(), None, "only the configured heartbeat measures");
}
