//! Sending from many tasks: when messages leave, in which order, and what can be sent.
#![cfg(all(feature = "net", feature = "null"))]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

#[cfg(feature = "curve")]
mod curve_support;
mod net_support;
mod outbox_support;
mod support;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use net_support::{Bell, Pair, complete_within, pair, with_peer};
use outbox_support::{
    BODY, FRAME, Line, MARK, SECOND, fill, joined, line, line_with, message, messages, settle, still_sends, write,
};
use support::fake::Fake;
use support::{NULL, wire};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, WriteHalf};
use tokio::task::yield_now;
use tokio::time::{Instant, timeout};
use zmtp_connection::codec::{Command, Mechanism, Ping, SocketType};
use zmtp_connection::{
    Connection, ConnectionConfig, EncodedMessage, Event, Message, Null, Outbox, PushError, SendError,
};

/// For a runtime of several threads: no test waits so long unless it fails.
const PATIENCE: Duration = Duration::from_secs(20);

// ─── when messages leave ─────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test(start_paused = true)]
async fn a_lone_message_leaves_at_the_next_poll_and_a_batch_wakes_once() {
    let Line { rx: _rx, outbox, mut flusher, peer } = line().await;
    let (bell, waker) = Bell::new();
    let mut poll = || assert!(Pin::new(&mut flusher).poll(&mut Context::from_waker(&waker)).is_pending());
    poll();
    assert_eq!(bell.rung(), 0);
    outbox.feed("lone").unwrap();
    assert_eq!(bell.rung(), 1);
    poll();
    assert_eq!(peer.taken(), wire::message(&["lone"]));
    for text in ["a", "b", "c"] {
        outbox.feed(text).unwrap();
    }
    assert_eq!(bell.rung(), 2, "whoever feeds a queue that is not empty wakes nobody");
    poll();
    assert_eq!(peer.taken(), ["a", "b", "c"].map(|text| wire::message(&[text])).concat());
}

#[tokio::test(start_paused = true)]
async fn what_is_fed_leaves_in_order_without_a_flush_or_a_timer() {
    let Line { rx: _rx, outbox, flusher, peer } = line().await;
    let _flushing = tokio::spawn(flusher);
    let (start, mut expected) = (Instant::now(), Vec::new());
    for number in 0..200_u8 {
        outbox.send(&[[number], [number]]).await.unwrap();
        expected.extend(wire::message(&[[number], [number]]));
        if number % 7 == 0 {
            settle().await;
            assert_eq!(peer.incoming().len(), expected.len(), "nothing is held back");
        }
    }
    settle().await;
    assert_eq!(peer.taken(), expected);
    assert_eq!(Instant::now(), start);
}

#[tokio::test(start_paused = true)]
async fn what_waits_together_leaves_in_one_write() {
    let Line { rx: _rx, outbox, flusher, peer } = line_with(&ConnectionConfig::new(SocketType::Pair)).await;
    let _flushing = tokio::spawn(flusher);
    settle().await;
    let clones = [outbox.clone(), outbox.clone(), outbox];
    let before = peer.incoming().writes();
    clones.iter().cycle().take(100).for_each(|outbox| outbox.feed(&BODY).unwrap());
    settle().await;
    assert_eq!((peer.incoming().writes() - before, peer.incoming().len()), (1, 100 * FRAME));
    // Now while a write is under way: its rest, then everything that has come since.
    peer.taken();
    peer.incoming().capacity(10);
    clones[0].feed(&BODY).unwrap();
    settle().await;
    clones.iter().cycle().take(100).for_each(|outbox| outbox.feed(&BODY).unwrap());
    settle().await;
    assert_eq!((peer.incoming().writes() - before, peer.incoming().len()), (2, 10));
    peer.incoming().capacity(usize::MAX);
    settle().await;
    assert_eq!(peer.incoming().writes() - before, 4);
    assert_eq!(peer.taken(), messages(101));
}

/// What was fed to the half before is not overtaken, be it untouched or half written.
#[tokio::test(start_paused = true)]
async fn what_was_fed_before_there_was_an_outbox_leaves_first() {
    for half_written in [false, true] {
        let (connection, peer) = with_peer(&ConnectionConfig::new(SocketType::Pair), SocketType::Pair).await;
        let (_rx, mut tx) = connection.into_split();
        peer.incoming().capacity(3);
        tx.feed("first").unwrap();
        if half_written {
            assert!(complete_within(1, tx.flush()).is_none());
            tx.feed("second").unwrap();
        }
        let (outbox, mut flusher) = tx.into_outbox();
        outbox.feed("last").unwrap();
        peer.incoming().capacity(usize::MAX);
        write(&mut flusher);
        let texts: &[&str] = if half_written { &["first", "second", "last"] } else { &["first", "last"] };
        let expected: Vec<u8> = texts.iter().flat_map(|text| wire::message(&[text])).collect();
        assert_eq!(peer.taken(), expected, "half written: {half_written}");
    }
}

/// The receiving half writes for a flusher that found the stream blocked; what waits behind follows.
#[tokio::test(start_paused = true)]
async fn what_waits_follows_when_the_receiving_half_has_finished_the_write() {
    let Line { mut rx, outbox, mut flusher, peer } = line().await;
    let (bell, waker) = Bell::new();
    peer.incoming().capacity(10);
    outbox.feed("begun by the flusher").unwrap();
    assert!(Pin::new(&mut flusher).poll(&mut Context::from_waker(&waker)).is_pending());
    outbox.feed("behind").unwrap();
    // The stream wakes whoever polled it last. That is the receiving half, which writes before the flusher can.
    assert!(complete_within(1, rx.recv()).is_none());
    peer.incoming().capacity(usize::MAX);
    assert!(bell.rung() > 0);
    assert!(complete_within(1, rx.recv()).is_none());
    assert_eq!(peer.taken(), wire::message(&["begun by the flusher"]));
    assert!(Pin::new(&mut flusher).poll(&mut Context::from_waker(&waker)).is_pending());
    assert_eq!(peer.taken(), wire::message(&["behind"]));
}

// ─── many clones ─────────────────────────────────────────────────────────────────────────────────────────────────────

/// Eight tasks send through a pipe that is always full. Every message arrives whole, those of each task in order.
async fn clones_on_threads<A: Mechanism, B: Mechanism>(a: A, b: B) {
    const CLONES: usize = 8;
    const COUNT: u32 = 500;
    let config = ConnectionConfig::builder(SocketType::Pair).high_water_mark(2_000).build().unwrap();
    let Pair { a, mut b, a_to_b, .. } = pair((&config, &a), (&config, &b)).await;
    a_to_b.capacity(1_500);
    let (mut rx, tx) = a.into_split();
    let _receiving = tokio::spawn(async move { rx.recv().await });
    let (outbox, flusher) = tx.into_outbox();
    let flushing = tokio::spawn(flusher);
    let parts_of = |clone: u8, number: u32| {
        let len = usize::from(number.to_le_bytes()[0]);
        [vec![clone], number.to_be_bytes().to_vec(), vec![clone; len]]
    };
    for clone in 0..8_u8 {
        let outbox = outbox.clone();
        tokio::spawn(async move {
            for number in 0..COUNT {
                outbox.send(&parts_of(clone, number)).await.unwrap();
                if number % 16 == 0 {
                    yield_now().await;
                }
            }
        });
    }
    drop(outbox);
    let mut next = [0_u32; CLONES];
    for _ in 0..CLONES * COUNT as usize {
        let event = timeout(PATIENCE, b.recv()).await.expect("a message is lost").unwrap();
        let Some(Event::Message(received)) = event else { panic!("{event:?}") };
        let clone = received.parts()[0][0];
        let number = &mut next[usize::from(clone)];
        assert_eq!(received, Message::from_parts(parts_of(clone, *number)).unwrap());
        *number += 1;
    }
    assert_eq!(next, [COUNT; CLONES]);
    let tx = timeout(PATIENCE, flushing).await.expect("the flusher outlives the clones").unwrap().unwrap();
    timeout(PATIENCE, tx.close()).await.unwrap().unwrap();
    assert_eq!(timeout(PATIENCE, b.recv()).await.unwrap().unwrap(), None, "nothing arrived twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn messages_of_many_clones_arrive_whole_and_in_order() {
    clones_on_threads(NULL, NULL).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn messages_of_many_clones_arrive_whole_and_in_order_where_they_are_sealed() {
    clones_on_threads(Fake::client([1; 32]), Fake::server()).await;
}

#[cfg(feature = "curve")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn messages_of_many_clones_arrive_whole_and_in_order_under_curve() {
    clones_on_threads(curve_support::client().refuse_gaps(), curve_support::server().refuse_gaps()).await;
}

// ─── where frames are sealed ─────────────────────────────────────────────────────────────────────────────────────────

/// Order, room, the answer to a PING in between, and the end.
async fn sealed<A: Mechanism, B: Mechanism>(a: A, b: B) {
    let config = ConnectionConfig::builder(SocketType::Pair).high_water_mark(MARK).build().unwrap();
    let Pair { a, mut b, a_to_b, .. } = pair((&config, &a), (&config, &b)).await;
    let (mut rx, tx) = a.into_split();
    let (outbox, flusher) = tx.into_outbox();
    let flushing = tokio::spawn(flusher);
    let _receiving = tokio::spawn(async move { rx.recv().await });
    settle().await;
    let before = a_to_b.writes();
    outbox.feed("first").unwrap();
    outbox.feed_fan_out(&EncodedMessage::encode("second").unwrap()).unwrap();
    settle().await;
    assert_eq!(a_to_b.writes() - before, 1, "together");
    assert_eq!(b.recv().await.unwrap(), message(b"first"));
    assert_eq!(b.recv().await.unwrap(), message(b"second"));

    a_to_b.capacity(0);
    let mut fed = fill(&outbox);
    settle().await;
    fed += fill(&outbox);
    let waiting: Vec<_> = (0..20_u8)
        .map(|number| {
            let outbox = outbox.clone();
            tokio::spawn(async move { outbox.send(&[number]).await })
        })
        .collect();
    settle().await;
    assert!(waiting.iter().all(|task| !task.is_finished()));
    drop(outbox);
    b.ping(Ping::default()).await.unwrap();
    a_to_b.capacity(70);
    for _ in 0..fed {
        assert_eq!(timeout(SECOND, b.recv()).await.expect("a message is lost").unwrap(), message(&BODY));
    }
    let mut numbers = Vec::new();
    for _ in 0..20 {
        let event = timeout(SECOND, b.recv()).await.expect("a message is lost").unwrap();
        numbers.push(event.unwrap().into_message().unwrap().parts()[0][0]);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (0..20).collect::<Vec<u8>>());
    for task in waiting {
        joined(task).await.unwrap();
    }
    let tx = joined(flushing).await.unwrap();
    a_to_b.capacity(usize::MAX);
    still_sends(tx).await;
    assert_eq!(b.recv().await.unwrap(), message(b"after"));
    assert_eq!(b.recv().await.unwrap(), message(b"all"));
    assert_eq!(b.recv().await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn sealed_messages_keep_their_order_and_wait_for_room() {
    sealed(Fake::client([1; 32]), Fake::server()).await;
}

#[cfg(feature = "curve")]
#[tokio::test(start_paused = true)]
async fn sealed_messages_keep_their_order_and_wait_for_room_under_curve() {
    sealed(curve_support::client().refuse_gaps(), curve_support::server().refuse_gaps()).await;
}

// ─── what can be fed ─────────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test(start_paused = true)]
async fn a_fan_out_keeps_its_place_among_messages() {
    let Line { rx: _rx, outbox, mut flusher, peer } = line_with(&ConnectionConfig::new(SocketType::Pair)).await;
    let large = [vec![1; 100_000], vec![2; 3]];
    outbox.feed("before").unwrap();
    outbox.feed_fan_out(&EncodedMessage::encode(&large).unwrap()).unwrap();
    outbox.feed("behind").unwrap();
    write(&mut flusher);
    assert_eq!(peer.taken(), [wire::message(&["before"]), wire::message(&large), wire::message(&["behind"])].concat());
}

#[tokio::test(start_paused = true)]
async fn who_subscribes_feeds_subscriptions_and_nobody_else_does() {
    for (ours, theirs) in [(SocketType::Sub, SocketType::Xpub), (SocketType::Push, SocketType::Pull)] {
        let (connection, peer) = with_peer(&ConnectionConfig::new(ours), theirs).await;
        let (_rx, tx) = connection.into_split();
        let (outbox, mut flusher) = tx.into_outbox();
        let fed = outbox.feed_command(&Command::Subscribe("topic".into()));
        write(&mut flusher);
        if ours == SocketType::Sub {
            fed.unwrap();
            assert_eq!(peer.taken(), wire::command("SUBSCRIBE", b"topic"));
        } else {
            assert!(matches!(fed, Err(PushError::WrongSocketType)), "{fed:?}");
            assert_eq!(peer.taken(), b"");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_can_never_be_sent_is_refused_at_once_and_queues_nothing() {
    let Line { rx: _rx, outbox, mut flusher, peer } = line_with(&ConnectionConfig::new(SocketType::Client)).await;
    assert!(matches!(outbox.feed(&["a", "b"]), Err(PushError::SinglePartOnly { parts: 2 })));
    let sent = complete_within(1, outbox.send(&["a", "b", "c"])).expect("it does not wait");
    assert!(matches!(sent, Err(SendError::Refused(PushError::SinglePartOnly { parts: 3 }))));
    outbox.feed("good").unwrap();
    write(&mut flusher);
    assert_eq!(peer.taken(), wire::message(&["good"]));
}

// ─── other tasks ─────────────────────────────────────────────────────────────────────────────────────────────────────

/// A stream that is never blocked, and during every write of which the next message is fed: the flusher never finds
/// the queue empty.
struct Refilled {
    first: Vec<u8>,
    outbox: Arc<OnceLock<Outbox<WriteHalf<Self>, Null>>>,
    written: Arc<AtomicUsize>,
}

/// What one poll may write.
const TURN: usize = 512 * 1024;
/// Where a flusher that never yields is stopped, so that the test fails instead of running for ever.
const ENDLESS: usize = 100 * TURN;

impl AsyncRead for Refilled {
    fn poll_read(mut self: Pin<&mut Self>, _cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let count = buf.remaining().min(self.first.len());
        if count == 0 {
            return Poll::Pending;
        }
        buf.put_slice(&self.first[..count]);
        self.first.drain(..count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Refilled {
    fn poll_write(self: Pin<&mut Self>, _cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.written.fetch_add(octets.len(), Ordering::SeqCst);
        if let Some(outbox) = self.outbox.get()
            && written < ENDLESS
        {
            outbox.feed(&BODY).unwrap();
        }
        Poll::Ready(Ok(octets.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_flusher_that_always_has_something_to_write_leaves_the_thread_to_others() {
    let written = Arc::new(AtomicUsize::new(0));
    let shared = Arc::new(OnceLock::new());
    let first = [&wire::GREETING[..], &wire::ready("PAIR")].concat();
    let stream = Refilled { first, outbox: Arc::clone(&shared), written: Arc::clone(&written) };
    let connection = Connection::handshake(stream, &ConnectionConfig::new(SocketType::Pair), &NULL).await.unwrap();
    let (_rx, tx) = connection.split();
    let (outbox, mut flusher) = tx.into_outbox();
    outbox.feed(&BODY).unwrap();
    shared.set(outbox).unwrap();
    let (bell, waker) = Bell::new();
    for _ in 0..3 {
        let (rung, before) = (bell.rung(), written.load(Ordering::SeqCst));
        assert!(Pin::new(&mut flusher).poll(&mut Context::from_waker(&waker)).is_pending());
        assert!(bell.rung() > rung, "it asks to be polled again");
        let moved = written.load(Ordering::SeqCst) - before;
        assert!(moved > 0 && moved <= TURN, "{moved} octets in one poll");
    }
}

// ─── messages that panic ─────────────────────────────────────────────────────────────────────────────────────────────

/// A message of two parts, of which the one with this index cannot be had.
struct Broken(usize);

impl zmtp_connection::AsMessage for Broken {
    fn part_count(&self) -> usize {
        2
    }

    fn part(&self, index: usize) -> zmtp_connection::Part<'_> {
        assert_ne!(index, self.0, "no such part");
        zmtp_connection::Part::Borrowed(b"half")
    }
}

/// Nothing of it is queued, and those of the other clones are not harmed.
#[tokio::test(start_paused = true)]
async fn a_message_that_panics_while_it_is_queued_is_not_half_queued() {
    let Line { rx: _rx, outbox, flusher, peer } = line().await;
    let _flushing = tokio::spawn(flusher);
    settle().await;
    let other = outbox.clone();
    assert!(tokio::spawn(async move { other.feed(&Broken(1)) }).await.unwrap_err().is_panic());
    outbox.feed("whole").unwrap();
    settle().await;
    assert_eq!(peer.taken(), wire::message(&["whole"]));
}

/// Where frames are sealed the first has its number already; nothing may follow that gap.
#[tokio::test(start_paused = true)]
async fn nothing_follows_a_message_that_panics_while_it_is_sealed() {
    let config = ConnectionConfig::new(SocketType::Pair);
    let Pair { a, a_to_b, .. } = pair((&config, &Fake::client([1; 32])), (&config, &Fake::server())).await;
    let (_rx, tx) = a.into_split();
    let (outbox, flusher) = tx.into_outbox();
    let _flushing = tokio::spawn(flusher);
    settle().await;
    let (other, before) = (outbox.clone(), a_to_b.len());
    assert!(tokio::spawn(async move { other.feed(&Broken(1)) }).await.unwrap_err().is_panic());
    assert!(matches!(outbox.feed("whole"), Err(PushError::Poisoned)));
    settle().await;
    assert_eq!(a_to_b.len(), before);
}

/// It has used up no number, so there is no gap: neither behind nothing nor behind what others have fed.
#[tokio::test(start_paused = true)]
async fn a_message_that_panics_before_any_of_it_is_sealed_harms_no_other() {
    let config = ConnectionConfig::new(SocketType::Pair);
    let Pair { a, mut b, .. } = pair((&config, &Fake::client([1; 32])), (&config, &Fake::server())).await;
    let (_rx, tx) = a.into_split();
    let (outbox, flusher) = tx.into_outbox();
    for text in ["first", "second"] {
        let other = outbox.clone();
        assert!(tokio::spawn(async move { other.feed(&Broken(0)) }).await.unwrap_err().is_panic());
        outbox.feed(text).unwrap();
    }
    let _flushing = tokio::spawn(flusher);
    for text in ["first", "second"] {
        assert_eq!(timeout(PATIENCE, b.recv()).await.unwrap().unwrap(), message(text.as_bytes()));
    }
}
