//! An outbox with a peer written by hand, whose queue can be full.
#![allow(dead_code, reason = "every test file uses its own part of this")]

use std::pin::Pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Wake, Waker};
use std::thread;
use std::time::Duration;

use tokio::io::AsyncWrite;
use tokio::task::{JoinHandle, yield_now};
use tokio::time::timeout;
use zmtp_connection::codec::{Mechanism, SocketType};
use zmtp_connection::{
    ConnectionConfig, Event, Flusher, IntoSplit, Message, Null, Outbox, PushError, Receiver, SendError, Sender,
};

use crate::net_support::{End, poll_once, with_peer};
use crate::support::wire;

pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// A body, and octets of the frame that it makes.
pub(crate) const BODY: [u8; 98] = [7; 98];
pub(crate) const FRAME: usize = 100;
/// The high-water mark where the queue is to become full: ten such frames.
pub(crate) const MARK: usize = 10 * FRAME;

pub(crate) type Read = <End as IntoSplit>::Read;
pub(crate) type Write = <End as IntoSplit>::Write;

/// An outbox and all that belongs to it, with a peer written by hand.
pub(crate) struct Line {
    pub(crate) rx: Receiver<Read, Null>,
    pub(crate) outbox: Outbox<Write, Null>,
    pub(crate) flusher: Flusher<Write, Null>,
    pub(crate) peer: End,
}

/// A PAIR talks both ways.
pub(crate) async fn line() -> Line {
    line_with(&ConnectionConfig::builder(SocketType::Pair).high_water_mark(MARK).build().unwrap()).await
}

pub(crate) async fn line_with(config: &ConnectionConfig) -> Line {
    let theirs = if config.socket_type() == SocketType::Client { SocketType::Server } else { SocketType::Pair };
    let (connection, peer) = with_peer(config, theirs).await;
    let (rx, tx) = connection.into_split();
    let (outbox, flusher) = tx.into_outbox();
    Line { rx, outbox, flusher, peer }
}

/// A line whose stream takes nothing, and on which nothing more can be fed; and how many messages were.
pub(crate) async fn full() -> (Line, usize) {
    let mut line = line().await;
    line.peer.incoming().capacity(0);
    // What the flusher has taken, and what is fed behind it.
    let fed = fill(&line.outbox) + {
        write(&mut line.flusher);
        fill(&line.outbox)
    };
    (line, fed)
}

/// Feeds until there is no more room.
pub(crate) fn fill<W: AsyncWrite + Unpin, M: Mechanism>(outbox: &Outbox<W, M>) -> usize {
    for fed in 0..10_000 {
        match outbox.feed(&BODY) {
            Ok(()) => {}
            Err(PushError::Full { .. }) => return fed,
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("there is room without end");
}

/// Polls the flusher once, which has nothing more to write or cannot.
pub(crate) fn write<W: AsyncWrite + Unpin, M: Mechanism>(flusher: &mut Flusher<W, M>) {
    assert!(poll_once(Pin::new(flusher)).is_pending());
}

/// Lets every other task run until it waits.
pub(crate) async fn settle() {
    for _ in 0..100 {
        yield_now().await;
    }
}

pub(crate) fn message(octets: &[u8]) -> Option<Event> {
    Some(Event::Message(Message::from(octets.to_vec())))
}

pub(crate) fn messages(count: usize) -> Vec<u8> {
    wire::message(&[BODY]).repeat(count)
}

pub(crate) fn poisoned(result: &Result<(), SendError>) -> bool {
    matches!(result, Err(SendError::Refused(PushError::Poisoned)))
}

/// A waker that runs an errand the first time it is called, before it comes back.
pub(crate) struct Errand<T> {
    work: Mutex<Option<Box<dyn FnOnce() -> T + Send>>>,
    outcome: Mutex<Option<T>>,
}

impl<T: Send + 'static> Errand<T> {
    pub(crate) fn new(work: impl FnOnce() -> T + Send + 'static) -> (Arc<Self>, Waker) {
        let errand = Arc::new(Self { work: Mutex::new(Some(Box::new(work))), outcome: Mutex::new(None) });
        (Arc::clone(&errand), Waker::from(errand))
    }

    /// What came of it. `None` if it was never run.
    pub(crate) fn outcome(&self) -> Option<T> {
        self.outcome.lock().unwrap().take()
    }
}

impl<T: Send + 'static> Wake for Errand<T> {
    fn wake(self: Arc<Self>) {
        let work = self.work.lock().unwrap().take();
        if let Some(work) = work {
            *self.outcome.lock().unwrap() = Some(work());
        }
    }
}

/// Feeds on another thread, and says whether that came back. Where frames are sealed it waits for the writer, as long as
/// somebody has that locked.
pub(crate) fn can_feed<W: Send + AsyncWrite + Unpin + 'static, M: Mechanism>(outbox: &Outbox<W, M>) -> bool {
    let (outbox, (fed, came_back)) = (outbox.clone(), mpsc::channel());
    thread::spawn(move || fed.send(outbox.feed(&BODY).is_ok()));
    came_back.recv_timeout(5 * SECOND).is_ok()
}

/// A task that sends one message.
pub(crate) fn send_one(outbox: &Outbox<Write, Null>) -> JoinHandle<Result<(), SendError>> {
    let outbox = outbox.clone();
    tokio::spawn(async move { outbox.send(&BODY).await })
}

pub(crate) async fn joined<T>(task: JoinHandle<T>) -> T {
    timeout(SECOND, task).await.expect("the task waits for ever").unwrap()
}

/// The sender that comes back is whole: it feeds, flushes and closes.
pub(crate) async fn still_sends<W: AsyncWrite + Unpin, M: Mechanism>(mut tx: Sender<W, M>) {
    tx.feed("after").unwrap();
    timeout(SECOND, tx.flush()).await.unwrap().unwrap();
    tx.feed("all").unwrap();
    timeout(SECOND, tx.close()).await.unwrap().unwrap();
}
