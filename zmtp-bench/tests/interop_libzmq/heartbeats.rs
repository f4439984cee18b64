//! PING and PONG with a libzmq that has heartbeats on, and with one that has not.
//!
//! These tests take the time that they claim to show: a foreign library cannot be given another clock. The timeouts that must
//! not strike are generous, those that must are short.

use std::time::{Duration, Instant};

use tokio::time::timeout;
use zmtp_bench::peers::libzmq::{EventKind, SocketKind};
use zmtp_connection::codec::{Group, SocketType};
use zmtp_connection::{ConnectionConfig, Event, HeartbeatConfig, RecvError};

use crate::security::LONG;
use crate::theirs::{Ours, ROLES, Role, Theirs, next, next_message, within};

/// A connection to a socket that sends a PING every 100 ms and gives up after `patience` without an answer.
async fn with_heartbeats(kind: SocketKind, ours: SocketType, role: Role, patience: Duration) -> (Ours, Theirs) {
    let mut theirs = Theirs::new(kind);
    theirs.socket().set_heartbeat_ivl(Duration::from_millis(100)).unwrap();
    theirs.socket().set_heartbeat_timeout(patience).unwrap();
    theirs.socket().set_heartbeat_ttl(Duration::from_secs(1)).unwrap();
    let ours = theirs.accept_as(role, &ConnectionConfig::new(ours)).await;
    (ours, theirs)
}

/// Receives for `LONG`, while nothing but PINGs comes.
macro_rules! only_pings {
    ($receiver:expr) => {
        let received = timeout(LONG, $receiver.recv()).await;
        assert!(received.is_err(), "nothing but PINGs was due, but {received:?}");
        // PINGs are octets too: they have come to the very end.
        assert!($receiver.idle_for() < Duration::from_millis(900), "the PINGs stopped {:?} ago", $receiver.idle_for());
    };
}

async fn answered_while_receiving(role: Role) {
    let (mut ours, mut theirs) =
        with_heartbeats(SocketKind::Dealer, SocketType::Dealer, role, Duration::from_secs(1)).await;
    only_pings!(ours);
    theirs.assert_still_connected();
    theirs.send(&["still"]).await;
    assert_eq!(next_message(&mut ours).await, [b"still"]);
    ours.send("here").await.unwrap();
    assert_eq!(theirs.recv().await, [b"here"]);
}

#[tokio::test]
async fn their_pings_are_answered_connecting() {
    answered_while_receiving(Role::WeConnect).await;
}

#[tokio::test]
async fn their_pings_are_answered_accepting() {
    answered_while_receiving(Role::WeAccept).await;
}

#[tokio::test]
async fn their_pings_are_answered_while_the_sending_half_is_idle() {
    let (ours, mut theirs) =
        with_heartbeats(SocketKind::Dealer, SocketType::Dealer, Role::WeAccept, Duration::from_secs(1)).await;
    let (mut receiver, mut sender) = ours.into_split();
    only_pings!(receiver);
    theirs.assert_still_connected();
    sender.send("still here").await.unwrap();
    assert_eq!(theirs.recv().await, [b"still here"]);
}

#[tokio::test]
async fn their_pings_are_answered_after_the_sending_half_is_gone() {
    for role in ROLES {
        let (ours, mut theirs) =
            with_heartbeats(SocketKind::Push, SocketType::Pull, role, Duration::from_millis(500)).await;
        let (mut receiver, sender) = ours.into_split();
        drop(sender);
        let received = timeout(LONG / 2, receiver.recv()).await;
        assert!(received.is_err(), "nothing but PINGs was due, but {received:?}");
        theirs.assert_still_connected();
        theirs.send(&["still here"]).await;
        let event = within("a message", receiver.recv()).await.unwrap().unwrap();
        assert_eq!(event.into_message().unwrap().first(), "still here");
    }
}

/// The reader never finds the stream empty: there is always another message. The answers must go out in between.
async fn answered_under_a_flood(split: bool) {
    let mut theirs = Theirs::new(SocketKind::Push);
    let socket = theirs.socket();
    socket.set_heartbeat_ivl(Duration::from_millis(50)).unwrap();
    socket.set_heartbeat_timeout(Duration::from_secs(1)).unwrap();
    socket.set_sndhwm(10).unwrap();
    let mut ours = theirs.accept_as(Role::WeConnect, &ConnectionConfig::new(SocketType::Pull)).await;
    let body = vec![7; 64 << 10];
    let flood = theirs.run(move |socket| {
        let start = Instant::now();
        let mut sent = 0_u64;
        while start.elapsed() < LONG {
            socket.send(&[&body]).unwrap();
            sent += 1;
        }
        socket.send(&[b"end"]).unwrap();
        sent
    });
    // Slower than the sender, so that there is always more to read; and giving way to other tasks, or the runtime would make
    // the stream look empty now and then for fairness' sake.
    let is_end = async |event: Option<Event>| {
        std::thread::sleep(Duration::from_micros(900));
        tokio::task::yield_now().await;
        event.unwrap().into_message().unwrap().first() == "end"
    };
    macro_rules! received {
        ($receiver:expr) => {
            async {
                let mut count = 0_u64;
                while !is_end($receiver.recv().await.unwrap()).await {
                    count += 1;
                }
                count
            }
        };
    }
    let (sent, received) = if split {
        let (mut receiver, _sender) = ours.into_split();
        let both = within("the flood", async { tokio::join!(flood, received!(receiver)) }).await;
        theirs.assert_still_connected();
        both
    } else {
        let both = within("the flood", async { tokio::join!(flood, received!(ours)) }).await;
        theirs.assert_still_connected();
        both
    };
    assert_eq!(sent, received);
    // How fast this machine is does not matter, as long as every PING stands between messages: there is one every 50 ms.
    let pings = LONG.as_millis() / 50;
    assert!(u128::from(sent) > pings, "{sent} messages around {pings} PINGs are no flood");
}

#[tokio::test]
async fn their_pings_are_answered_under_a_flood() {
    answered_under_a_flood(false).await;
}

#[tokio::test]
async fn their_pings_are_answered_under_a_flood_while_split() {
    answered_under_a_flood(true).await;
}

/// What the tests above would show if we did not answer.
#[tokio::test]
async fn libzmq_gives_us_up_when_nobody_receives() {
    for role in ROLES {
        let (mut ours, mut theirs) =
            with_heartbeats(SocketKind::Dealer, SocketType::Dealer, role, Duration::from_millis(300)).await;
        let start = Instant::now();
        theirs.event(EventKind::Disconnected).await;
        assert!(start.elapsed() >= Duration::from_millis(200), "after {:?}", start.elapsed());
        // Our late answers meet a closed socket, so a reset may overtake the end of the stream.
        match within("the end", ours.recv()).await {
            Ok(None) | Err(RecvError::Io(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn our_pings_are_answered_and_measure_the_round_trip() {
    for role in ROLES {
        for split in [false, true] {
            let mut theirs = Theirs::new(SocketKind::Dealer);
            let heartbeat = HeartbeatConfig::every(Duration::from_millis(50))
                .timeout(Some(Duration::from_secs(2)))
                .ttl(Duration::from_secs(2));
            let config = ConnectionConfig::builder(SocketType::Dealer).heartbeat(heartbeat).build().unwrap();
            let mut ours = theirs.accept_as(role, &config).await;
            assert_eq!(ours.rtt(), None);
            let time = Duration::from_millis(700);
            let rtt = if split {
                let (mut receiver, mut sender) = ours.into_split();
                assert!(timeout(time, receiver.recv()).await.is_err());
                sender.send("after").await.unwrap();
                assert_eq!(theirs.recv().await, [b"after"]);
                receiver.rtt()
            } else {
                assert!(timeout(time, ours.recv()).await.is_err());
                ours.send("after").await.unwrap();
                assert_eq!(theirs.recv().await, [b"after"]);
                theirs.send(&["back"]).await;
                assert_eq!(next_message(&mut ours).await, [b"back"]);
                assert_eq!(ours.ignored(), 0);
                ours.rtt()
            };
            assert!(rtt.unwrap() < Duration::from_secs(1), "{rtt:?}");
            if !split {
                theirs.assert_still_connected();
            }
        }
    }
}

/// Heartbeats both ways at once, with a TTL each.
#[tokio::test]
async fn both_sides_may_ping() {
    let mut theirs = Theirs::new(SocketKind::Pair);
    theirs.socket().set_heartbeat_ivl(Duration::from_millis(70)).unwrap();
    theirs.socket().set_heartbeat_timeout(Duration::from_secs(1)).unwrap();
    theirs.socket().set_heartbeat_ttl(Duration::from_secs(1)).unwrap();
    let heartbeat = HeartbeatConfig::every(Duration::from_millis(60)).timeout(Some(Duration::from_secs(1)));
    let config = ConnectionConfig::builder(SocketType::Pair).heartbeat(heartbeat.ttl(Duration::from_secs(1)));
    let mut ours = theirs.accept_as(Role::WeConnect, &config.build().unwrap()).await;
    only_pings!(ours);
    assert!(ours.rtt().is_some());
    theirs.assert_still_connected();
}

/// libzmq keeps the TTL that we announce: it gives us up when we fall silent, though it sends no PINGs of its own.
#[tokio::test]
async fn libzmq_honours_our_ttl() {
    let mut theirs = Theirs::new(SocketKind::Dealer);
    let heartbeat = HeartbeatConfig::every(Duration::from_millis(50)).ttl(Duration::from_millis(300));
    let config = ConnectionConfig::builder(SocketType::Dealer).heartbeat(heartbeat).build().unwrap();
    let mut ours = theirs.accept_as(Role::WeAccept, &config).await;
    assert!(timeout(Duration::from_millis(600), ours.recv()).await.is_err());
    theirs.assert_still_connected();
    // Nobody receives from here on, so no PING is sent.
    theirs.event(EventKind::Disconnected).await;
}

/// A DISH of libzmq's closes the connection on any PING, so we send it none, whatever is configured.
#[tokio::test]
async fn a_dish_is_not_pinged() {
    let mut theirs = Theirs::new(SocketKind::Dish);
    let config =
        ConnectionConfig::builder(SocketType::Radio).heartbeat(HeartbeatConfig::every(Duration::from_millis(20)));
    let mut ours = theirs.accept_as(Role::WeAccept, &config.build().unwrap()).await;
    theirs.socket().join("g").unwrap();
    let joined = zmtp_connection::codec::Command::Join(Group::new("g").unwrap());
    assert_eq!(next(&mut ours).await, Event::Command(joined));
    assert!(timeout(Duration::from_millis(300), ours.recv()).await.is_err());
    ours.send(&["g", "still here"]).await.unwrap();
    assert_eq!(within("a message", theirs.recv()).await, [b"still here"]);
    theirs.assert_still_connected();
}
