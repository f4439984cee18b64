//! Sending: who is told that the connection is lost, who waits for whom, and what becomes of what cannot be sent.
#![cfg(all(feature = "net", feature = "null"))]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod net_support;
mod support;

use std::error::Error;
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use net_support::{Bell, End, complete_within, drive, ends, pair, poll_once, with_peer};
use support::{NULL, wire};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;
use zmtp_connection::codec::{Command, Group, SocketType};
use zmtp_connection::{
    AsMessage, Connection, ConnectionConfig, Event, EventRef, Message, Null, Part, PushError, RecvError, SendError,
};

const HOUR: Duration = Duration::from_secs(3600);

async fn connected() -> (Connection<End, Null>, End) {
    with_peer(&ConnectionConfig::new(SocketType::Dealer), SocketType::Dealer).await
}

fn message(octets: &[u8]) -> Option<Event> {
    Some(Event::Message(Message::from(octets.to_vec())))
}

/// Why a receiving half fails.
type Blow = fn(&End);

#[tokio::test(start_paused = true)]
async fn a_waiting_sender_is_told_when_the_receiving_half_fails() {
    let blows: [(&str, Blow); 3] = [
        ("the peer breaks the protocol", |peer| peer.put(b"\xff\0")),
        ("the stream fails", |peer| peer.outgoing().fail_reads(ErrorKind::ConnectionReset)),
        ("the peer falls silent", |peer| peer.put(&wire::ping(10, b""))),
    ];
    let body = vec![0; 100_000];
    for (case, blow) in blows {
        let (connection, peer) = connected().await;
        let (mut rx, mut tx) = connection.into_split();
        peer.incoming().capacity(4096);
        let (bell, waker) = Bell::new();
        let mut cx = Context::from_waker(&waker);
        {
            let mut sending = pin!(tx.send(&body));
            assert!(sending.as_mut().poll(&mut cx).is_pending(), "{case}");
            blow(&peer);
            let failed = timeout(HOUR, rx.recv()).await.unwrap();
            assert!(failed.is_err(), "{case}");
            assert!(bell.rung() > 0, "{case}: the sender was not woken");
            let sent = sending.as_mut().poll(&mut cx);
            assert!(matches!(sent, Poll::Ready(Err(SendError::Lost))), "{case}: {sent:?}");
        }
        let later = poll_once(pin!(tx.flush()));
        assert!(matches!(later, Poll::Ready(Err(SendError::Lost))), "{case}: {later:?}");
        let later = poll_once(pin!(tx.send("x")));
        assert!(matches!(later, Poll::Ready(Err(SendError::Lost))), "{case}: {later:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_flush_that_waits_is_told_so_even_if_the_failed_half_is_dropped() {
    let (connection, peer) = connected().await;
    let (mut rx, mut tx) = connection.into_split();
    peer.incoming().capacity(0);
    tx.feed("x").unwrap();
    let flushing = tokio::spawn(async move { tx.flush().await });
    tokio::task::yield_now().await;
    peer.put(b"\xff\0");
    assert!(matches!(rx.recv().await, Err(RecvError::Protocol(_))));
    drop(rx);
    let flushed = timeout(HOUR, flushing).await.unwrap().unwrap();
    assert!(matches!(flushed, Err(SendError::Lost)), "{flushed:?}");
}

#[tokio::test(start_paused = true)]
async fn dropping_a_healthy_receiving_half_loses_nothing() {
    let (connection, peer) = connected().await;
    let (rx, mut tx) = connection.into_split();
    peer.incoming().capacity(0);
    {
        let mut sending = pin!(tx.send("first"));
        assert!(poll_once(sending.as_mut()).is_pending());
        drop(rx);
        assert!(poll_once(sending.as_mut()).is_pending());
        peer.incoming().capacity(usize::MAX);
        sending.await.unwrap();
    }
    tx.send("second").await.unwrap();
    assert_eq!(peer.taken(), [wire::message(&["first"]), wire::message(&["second"])].concat());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_has_only_ended_its_own_direction_is_sent_to() {
    let (connection, peer) = connected().await;
    let (mut rx, mut tx) = connection.into_split();
    peer.outgoing().close();
    assert_eq!(rx.recv().await.unwrap(), None);
    tx.send("x").await.unwrap();
    assert_eq!(peer.taken(), wire::message(&["x"]));
}

/// Neither receives before it has sent, and what they send does not fit into the stream.
#[tokio::test(start_paused = true)]
async fn two_that_send_to_each_other_at_once_both_finish() {
    async fn talk(end: &mut Connection<End, Null>, ours: u8, theirs: u8) {
        end.send(&vec![ours; 100_000]).await.unwrap();
        end.send("and more").await.unwrap();
        assert_eq!(end.recv().await.unwrap(), message(&vec![theirs; 100_000]));
        assert_eq!(end.recv().await.unwrap(), message(b"and more"));
    }
    let config = ConnectionConfig::new(SocketType::Dealer);
    let mut pair = pair((&config, &NULL), (&config, &NULL)).await;
    pair.a_to_b.capacity(4096);
    pair.b_to_a.capacity(4096);
    let both = async { tokio::join!(talk(&mut pair.a, b'a', b'b'), talk(&mut pair.b, b'b', b'a')) };
    timeout(HOUR, both).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_was_read_ahead_is_bounded_and_comes_out_in_order() {
    let (mut connection, peer) = connected().await;
    let sent: Vec<Vec<u8>> = (0..2000_u32).map(|number| number.to_be_bytes().repeat(250)).collect();
    for body in &sent {
        peer.put(&wire::message(&[body]));
    }
    let before = peer.outgoing().len();
    peer.incoming().capacity(0);
    assert!(complete_within(10_000, connection.send("x")).is_none());
    let ahead = before - peer.outgoing().len();
    assert!((1..=320 * 1024).contains(&ahead), "{ahead} octets: 256 KiB, and as much as one read brings");
    for body in &sent {
        assert_eq!(drive(connection.recv()).unwrap(), message(body));
    }
    peer.incoming().capacity(usize::MAX);
    drive(connection.flush()).unwrap();
    assert_eq!(peer.taken(), wire::message(&["x"]));
}

#[tokio::test(start_paused = true)]
async fn what_is_read_ahead_of_a_large_message_is_bounded_as_well() {
    let (mut connection, peer) = connected().await;
    let body = vec![7; 2_000_000];
    let octets = wire::message(&[&body]);
    peer.put(&octets[..100_000]);
    assert!(complete_within(100, connection.recv()).is_none());
    peer.put(&octets[100_000..]);
    let before = peer.outgoing().len();
    peer.incoming().capacity(0);
    assert!(complete_within(10_000, connection.send("x")).is_none());
    let ahead = before - peer.outgoing().len();
    assert!(ahead <= 320 * 1024, "{ahead} octets");
    assert_eq!(drive(connection.recv()).unwrap(), message(&body));
}

/// A message that was looked at and not kept is still in the way when the next octets are read.
#[tokio::test(start_paused = true)]
async fn what_is_read_ahead_behind_a_lent_message_comes_out_in_order() {
    let (mut connection, peer) = connected().await;
    peer.put(&wire::message(&["a", "b"]));
    assert!(matches!(drive(connection.recv_ref()), Ok(Some(EventRef::Message(lent))) if lent.part_count() == 2));
    peer.incoming().capacity(0);
    connection.feed("x").unwrap();
    for number in 0..1000_u32 {
        peer.put(&wire::message(&[number.to_be_bytes()]));
        assert!(complete_within(1, connection.flush()).is_none());
    }
    assert_eq!(peer.outgoing().len(), 0);
    for number in 0..1000_u32 {
        assert_eq!(drive(connection.recv()).unwrap(), message(&number.to_be_bytes()));
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_met_while_reading_ahead_comes_after_what_arrived_before_it() {
    let (mut connection, peer) = connected().await;
    peer.put(&[wire::message(&["whole"]), b"\xff\0".to_vec()].concat());
    peer.incoming().capacity(0);
    let _ = complete_within(100, connection.send("x"));
    assert_eq!(drive(connection.recv()).unwrap(), message(b"whole"));
    let failed = drive(connection.recv());
    assert!(matches!(failed, Err(RecvError::Protocol(_))), "{failed:?}");
}

/// A stream that can be full. As a socket's, its wake-up comes some time after it takes octets again, and finds nobody
/// if somebody has written meanwhile.
struct Late {
    end: End,
    gate: Arc<Mutex<Gate>>,
}

#[derive(Default)]
struct Gate {
    full: bool,
    waiting: Option<Waker>,
}

impl AsyncRead for Late {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.end).poll_read(cx, buf)
    }
}

impl AsyncWrite for Late {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        {
            let mut gate = self.gate.lock().unwrap();
            gate.waiting = gate.full.then(|| cx.waker().clone());
            if gate.full {
                return Poll::Pending;
            }
        }
        Pin::new(&mut self.end).poll_write(cx, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.end).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.end).poll_shutdown(cx)
    }
}

#[tokio::test(start_paused = true)]
async fn a_sender_whose_octets_the_receiving_half_has_written_is_woken() {
    let (ours, peer) = ends();
    let gate = Arc::new(Mutex::new(Gate::default()));
    peer.put(&[&wire::GREETING[..], &wire::ready("DEALER")].concat());
    let stream = Late { end: ours, gate: Arc::clone(&gate) };
    let config = ConnectionConfig::new(SocketType::Dealer);
    let (mut rx, mut tx) = Connection::handshake(stream, &config, &NULL).await.unwrap().split();
    peer.taken();

    gate.lock().unwrap().full = true;
    let (bell, waker) = Bell::new();
    let mut sending = pin!(tx.send("hello"));
    assert!(sending.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    gate.lock().unwrap().full = false;
    assert!(poll_once(pin!(rx.recv())).is_pending());
    assert_eq!(peer.taken(), wire::message(&["hello"]), "the receiving half writes out what waits");
    let late = gate.lock().unwrap().waiting.take();
    if let Some(waker) = late {
        waker.wake();
    }
    assert!(bell.rung() > 0, "all was written, and the sender is never woken");
    assert!(matches!(poll_once(sending), Poll::Ready(Ok(()))));
}

#[tokio::test(start_paused = true)]
async fn feeding_from_an_iterator_takes_nothing_that_has_no_room() {
    let config = ConnectionConfig::builder(SocketType::Dealer).high_water_mark(10).build().unwrap();
    let (mut connection, peer) = with_peer(&config, SocketType::Dealer).await;
    let mut source = (b'a'..=b'f').map(|letter| vec![letter; 8]);
    let mut rounds = Vec::new();
    while rounds.iter().sum::<usize>() < 6 {
        rounds.push(connection.feed_all(source.by_ref()).unwrap());
        connection.flush().await.unwrap();
        assert!(rounds.len() <= 6, "{rounds:?}");
    }
    assert!(rounds.len() > 1, "{rounds:?}");
    let all: Vec<u8> = (b'a'..=b'f').flat_map(|letter| wire::message(&[[letter; 8]])).collect();
    assert_eq!(peer.taken(), all);
}

#[tokio::test(start_paused = true)]
async fn a_half_feeds_from_an_iterator_in_the_same_way() {
    let config = ConnectionConfig::builder(SocketType::Dealer).high_water_mark(10).build().unwrap();
    let (connection, peer) = with_peer(&config, SocketType::Dealer).await;
    let (_rx, mut tx) = connection.into_split();
    let mut source = (b'a'..=b'f').map(|letter| vec![letter; 8]);
    let queued = tx.feed_all(source.by_ref()).unwrap();
    assert!((1..6).contains(&queued), "{queued}");
    assert_eq!(source.len(), 6 - queued);
    assert_eq!(tx.feed_all(source.by_ref()).unwrap(), 0);
    assert_eq!(source.len(), 6 - queued);
    tx.flush().await.unwrap();
    assert_eq!(peer.taken().len(), queued * 10);
}

/// A message without its only part.
struct Broken;

impl AsMessage for Broken {
    fn part_count(&self) -> usize {
        1
    }

    fn part(&self, _index: usize) -> Part<'_> {
        panic!("no such part")
    }
}

/// Who sends was promised room before, and is past the mark.
#[tokio::test(start_paused = true)]
async fn the_high_water_mark_holds_after_a_message_that_panics_while_it_is_sent() {
    let config = ConnectionConfig::builder(SocketType::Dealer).high_water_mark(10).build().unwrap();
    let (mut connection, _peer) = with_peer(&config, SocketType::Dealer).await;
    let sent = catch_unwind(AssertUnwindSafe(|| poll_once(pin!(connection.send(&Broken)))));
    assert!(sent.is_err());
    assert!(connection.feed_all(["12345678"; 10]).unwrap() < 10);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_sent_is_told_with_its_place() {
    let (mut connection, peer) = connected().await;
    let messages: [&[&str]; 4] = [&["a"], &["b", "c"], &[], &["d"]];
    let error = connection.feed_all(messages).unwrap_err();
    assert_eq!((error.queued(), error.cause()), (2, PushError::NoParts));
    let source = error.source().and_then(|source| source.downcast_ref::<PushError>());
    assert_eq!(source, Some(&PushError::NoParts));
    connection.flush().await.unwrap();
    assert_eq!(peer.taken(), [wire::message(&["a"]), wire::message(&["b", "c"])].concat());
}

#[tokio::test(start_paused = true)]
async fn sending_from_an_iterator_flushes_as_often_as_it_must() {
    let config = ConnectionConfig::builder(SocketType::Dealer).high_water_mark(100).build().unwrap();
    let (mut connection, peer) = with_peer(&config, SocketType::Dealer).await;
    let all: Vec<u8> = (0..=255).flat_map(|octet| wire::message(&[[octet; 8]])).collect();
    connection.send_all((0..=255).map(|octet| [octet; 8])).await.unwrap();
    assert_eq!((peer.taken(), connection.pending()), (all.clone(), 0));
    let (_rx, mut tx) = connection.into_split();
    tx.send_all((0..=255).map(|octet| [octet; 8])).await.unwrap();
    assert_eq!((peer.taken(), tx.pending()), (all, 0));
}

#[tokio::test(start_paused = true)]
async fn only_who_subscribes_sends_subscriptions_and_only_a_dish_joins() {
    use SocketType::{Dealer, Dish, Pull, Push, Radio, Sub, Xpub, Xsub};
    let group = || Group::new("news").unwrap();
    for (ours, theirs, subscribes, joins) in [
        (Dealer, Dealer, false, false),
        (Push, Pull, false, false),
        (Xpub, Sub, false, false),
        (Sub, Xpub, true, false),
        (Xsub, Xpub, true, false),
        (Dish, Radio, false, true),
    ] {
        let (mut connection, peer) = with_peer(&ConnectionConfig::new(ours), theirs).await;
        let results = [
            (subscribes, connection.subscribe("topic").await),
            (subscribes, connection.cancel("topic").await),
            (subscribes, connection.send_command(&Command::Subscribe("topic".into())).await),
            (joins, connection.join(group()).await),
            (joins, connection.leave(group()).await),
        ];
        for (at, (allowed, result)) in results.into_iter().enumerate() {
            match result {
                Ok(()) => assert!(allowed, "{ours}, command {at}"),
                Err(SendError::Refused(PushError::WrongSocketType)) => assert!(!allowed, "{ours}, command {at}"),
                Err(error) => panic!("{ours}, command {at}: {error:?}"),
            }
        }
        assert_eq!(peer.taken().is_empty(), !subscribes && !joins, "{ours}");
    }
}
