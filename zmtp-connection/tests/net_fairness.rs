//! A peer that always has something to say does not keep other tasks waiting.
#![cfg(all(feature = "net", feature = "null"))]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod net_support;
mod support;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use net_support::{Bell, complete_within};
use support::{NULL, wire};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use zmtp_connection::codec::SocketType;
use zmtp_connection::{Connection, ConnectionConfig, Event};

/// As much as one read brings.
const READ: usize = 64 * 1024;

/// A stream that is always ready: after `first` it brings `again` for ever, and takes whatever is written.
struct Flood {
    first: Vec<u8>,
    again: Vec<u8>,
    at: usize,
    written: Arc<AtomicUsize>,
}

impl AsyncRead for Flood {
    fn poll_read(mut self: Pin<&mut Self>, _cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.first.is_empty() {
            let count = buf.remaining().min(self.first.len());
            buf.put_slice(&self.first[..count]);
            self.first.drain(..count);
            return Poll::Ready(Ok(()));
        }
        let mut room = buf.remaining().min(READ);
        while room > 0 {
            let count = room.min(self.again.len() - self.at);
            buf.put_slice(&self.again[self.at..self.at + count]);
            self.at = (self.at + count) % self.again.len();
            room -= count;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Flood {
    fn poll_write(self: Pin<&mut Self>, _cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        self.written.fetch_add(octets.len(), Ordering::SeqCst);
        Poll::Ready(Ok(octets.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A connection to a peer that repeats `again` without a pause, and the count of octets that it was sent.
async fn flooded(again: Vec<u8>) -> (Connection<Flood, zmtp_connection::Null>, Arc<AtomicUsize>) {
    let first = [&wire::GREETING[..], &wire::ready("PUSH")].concat();
    let written = Arc::new(AtomicUsize::new(0));
    let stream = Flood { first, again, at: 0, written: Arc::clone(&written) };
    let config = ConnectionConfig::new(SocketType::Pull);
    let connection = Connection::handshake(stream, &config, &NULL).await.unwrap();
    written.store(0, Ordering::SeqCst);
    (connection, written)
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_pings_yields_to_other_tasks() {
    let (mut connection, _) = flooded(wire::ping(0, b"x")).await;
    let (bell, waker) = Bell::new();
    // If a single poll did not come back, this test would not end.
    for _ in 1..=3 {
        let rung = bell.rung();
        assert!(connection.poll_recv(&mut Context::from_waker(&waker)).is_pending());
        assert!(bell.rung() > rung, "it asks to be polled again");
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_pings_yields_to_other_tasks_on_a_split_connection() {
    let (connection, _) = flooded(wire::ping(0, b"x")).await;
    let (mut rx, _tx) = connection.split();
    let (bell, waker) = Bell::new();
    assert!(rx.poll_recv(&mut Context::from_waker(&waker)).is_pending());
    assert!(bell.rung() >= 1, "it asks to be polled again");
}

/// What is ignored is as endless as what is answered.
#[tokio::test(start_paused = true)]
async fn a_flood_of_commands_that_mean_nothing_here_yields_to_other_tasks() {
    let (mut connection, _) = flooded(wire::command("SUBSCRIBE", b"topic")).await;
    assert!(complete_within(1, connection.recv()).is_none());
    assert!(connection.ignored() > 0);
}

/// A frame that takes a thousand reads is not received in one go either.
#[tokio::test(start_paused = true)]
async fn one_large_frame_yields_to_other_tasks() {
    let body = vec![0; 8 << 20];
    let (mut connection, _) = flooded(wire::message(&[&body[..]])).await;
    assert!(complete_within(1, connection.recv()).is_none());
    let event = complete_within(10_000, connection.recv()).unwrap().unwrap().unwrap();
    assert_eq!(event.into_message().unwrap().payload_len(), body.len());
}

/// The answers do not wait for a pause that never comes.
#[tokio::test(start_paused = true)]
async fn pings_in_a_flood_are_answered() {
    let (mut connection, written) = flooded(wire::ping(0, b"x")).await;
    assert!(complete_within(1, connection.recv()).is_none());
    assert!(written.load(Ordering::SeqCst) > 0);
}

/// The same where the application takes messages as fast as it can, and never waits: more often than a turn has writes.
#[tokio::test(start_paused = true)]
async fn pings_between_messages_are_answered_though_the_stream_never_pauses() {
    const MESSAGES: usize = 100;
    let again = [wire::message(&["data"]), wire::ping(0, b"x")].concat();
    let pong = wire::command("PONG", b"x").len();
    let (mut connection, written) = flooded(again.clone()).await;
    for passed in 0..MESSAGES {
        let event = complete_within(1, connection.recv()).unwrap().unwrap();
        assert!(matches!(event, Some(Event::Message(_))));
        // The PING behind this message has not been looked at yet.
        assert_eq!(written.load(Ordering::SeqCst), passed * pong, "one for each PING that was passed");
    }
    let (connection, written) = flooded(again).await;
    let (mut rx, _tx) = connection.split();
    for passed in 0..MESSAGES {
        assert!(matches!(complete_within(1, rx.recv()).unwrap().unwrap(), Some(Event::Message(_))));
        assert_eq!(written.load(Ordering::SeqCst), passed * pong, "the same in halves");
    }
}

/// Whoever waits for an answer has a new turn: none of its sends gives way for nothing.
#[tokio::test(start_paused = true)]
async fn requests_that_wait_for_their_answers_leave_at_once_however_many() {
    let (near, mut far) = tokio::io::duplex(READ);
    far.write_all(&[&wire::GREETING[..], &wire::ready("DEALER")].concat()).await.unwrap();
    let config = ConnectionConfig::new(SocketType::Dealer);
    let mut connection = Connection::handshake(near, &config, &NULL).await.unwrap();
    let mut seen = vec![0; READ];
    for request in 0..100 {
        // tokio's own streams end a task's turn, too.
        tokio::task::yield_now().await;
        assert!(complete_within(1, connection.send("request")).is_some(), "request {request}");
        assert!(complete_within(1, connection.recv()).is_none());
        assert!(far.read(&mut seen).await.unwrap() > 0);
        far.write_all(&wire::message(&["answer"])).await.unwrap();
        assert!(complete_within(1, connection.recv()).is_some());
    }
}

/// What one task may move before others get their turn, with something on top for what was read before.
const TURN: usize = 512 * 1024 + 2 * READ;
/// Where a task that never yields is stopped, so that the test fails instead of running for ever.
const ENDLESS: usize = 100 * TURN;

/// Round trips of a quiet connection beside a busy task on the same thread, and how much that task moves (by `moved`)
/// during each.
async fn quiet_round_trips(moved: &Arc<AtomicUsize>) -> Vec<usize> {
    // As a task: what a current-thread runtime blocks on comes round less often than its tasks do.
    tokio::spawn(round_trips(Arc::clone(moved))).await.unwrap()
}

async fn round_trips(moved: Arc<AtomicUsize>) -> Vec<usize> {
    let (one, other) = tokio::io::duplex(READ);
    let config = ConnectionConfig::new(SocketType::Pair);
    let (one, other) =
        tokio::join!(Connection::handshake(one, &config, &NULL), Connection::handshake(other, &config, &NULL));
    let (mut asking, mut echoing) = (one.unwrap(), other.unwrap());
    tokio::spawn(async move {
        while let Ok(Some(Event::Message(message))) = echoing.recv().await {
            echoing.send(&message).await.unwrap();
        }
    });
    let mut trips = Vec::new();
    for _ in 0..10 {
        let before = moved.load(Ordering::SeqCst);
        asking.send("anybody there?").await.unwrap();
        assert!(matches!(asking.recv().await, Ok(Some(Event::Message(_)))));
        trips.push(moved.load(Ordering::SeqCst) - before);
    }
    trips
}

/// A round trip takes a few turns of the runtime, with one of the busy task in between each.
fn assert_fair(trips: &[usize]) {
    assert!(trips.iter().all(|&moved| moved <= 4 * TURN), "octets moved during each round trip: {trips:?}");
    assert!(trips.iter().any(|&moved| moved > 0), "the busy task was not busy");
}

#[tokio::test(start_paused = true)]
async fn a_quiet_connection_has_its_say_beside_one_that_receives_a_flood() {
    let again = wire::message(&["0123456789abcdef"]);
    let len = again.len();
    let (mut connection, _) = flooded(again).await;
    let moved = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&moved);
    let busy = tokio::spawn(async move {
        while connection.recv_ref().await.unwrap().is_some() && count.fetch_add(len, Ordering::SeqCst) < ENDLESS {}
    });
    assert_fair(&quiet_round_trips(&moved).await);
    assert!(!busy.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_quiet_connection_has_its_say_beside_one_that_sends_a_flood() {
    let (mut connection, written) = flooded(wire::message(&["unread"])).await;
    let message = [7; 1000];
    let busy = tokio::spawn(async move {
        connection.send_all(std::iter::repeat_n(&message[..], ENDLESS / message.len())).await.unwrap();
    });
    // What waits may be written in one go, up to the high-water mark.
    let trips = quiet_round_trips(&written).await;
    let fair = ConnectionConfig::new(SocketType::Push).high_water_mark() + TURN;
    assert!(trips.iter().all(|&moved| moved <= 4 * fair), "octets moved during each round trip: {trips:?}");
    assert!(!busy.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_quiet_connection_has_its_say_beside_one_that_sends_message_by_message() {
    let (mut connection, written) = flooded(wire::message(&["unread"])).await;
    let busy = tokio::spawn(async move {
        for _ in 0..ENDLESS {
            connection.send("x").await.unwrap();
        }
    });
    assert_fair(&quiet_round_trips(&written).await);
    assert!(!busy.is_finished());
}
