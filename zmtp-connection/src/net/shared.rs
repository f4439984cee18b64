//! The writer of a split connection: used by the sending half, and by the receiving half for heartbeats.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use tokio::io::AsyncWrite;
use zmtp_codec::{Ping, Pong, Sealer};

use super::fan_out::{FanOut, Half};
use super::handoff::{Guard, Handoff, Serve};
use super::writer::Writer;
use crate::error::SendError;

/// What the halves of a connection share.
#[derive(Debug)]
pub(crate) struct Shared<W, S> {
    side: Handoff<WriteSide<W, S>, Replies>,
    wakers: Arc<FanOut>,
    /// The sending half has closed its direction.
    closed: AtomicBool,
}

/// The stream's writing side with all that belongs to it.
///
/// Locked once per flush by a sender whose messages need no sealing; one that seals locks it per message, which is
/// little beside the sealing.
#[derive(Debug)]
pub(crate) struct WriteSide<W, S> {
    io: W,
    pub(crate) writer: Writer<S>,
    /// Wakes both halves.
    waker: Waker,
}

impl<W: AsyncWrite + Unpin, S: Sealer> Shared<W, S> {
    pub(crate) fn new(io: W, writer: Writer<S>) -> Self {
        let wakers = Arc::new(FanOut::default());
        let waker = Waker::from(Arc::clone(&wakers));
        Self { side: Handoff::new(WriteSide { io, writer, waker }), wakers, closed: AtomicBool::new(false) }
    }

    pub(crate) fn lock(&self) -> Guard<'_, WriteSide<W, S>, Replies> {
        self.side.lock()
    }

    /// Closes the sending direction.
    pub(crate) fn poll_shutdown(&self) -> Poll<io::Result<()>> {
        self.closed.store(true, Ordering::Relaxed);
        let mut side = self.lock();
        let WriteSide { io, waker, .. } = &mut *side;
        Pin::new(io).poll_shutdown(&mut Context::from_waker(waker))
    }

    /// Registers the sending half's task to be woken when the stream takes more.
    pub(crate) fn register_sender(&self, cx: &Context<'_>) {
        self.wakers.register(Half::Sender, cx.waker());
    }
}

impl<W: AsyncWrite + Unpin, S: Sealer> WriteSide<W, S> {
    pub(crate) fn poll_flush(&mut self) -> Poll<Result<(), SendError>> {
        self.writer.poll_flush(&mut self.io, &mut Context::from_waker(&self.waker))
    }
}

/// What the receiving half leaves for whoever has the writer. Of each kind the newest counts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Replies {
    pong: Option<Pong>,
    ping: Option<Ping>,
}

impl<W: AsyncWrite + Unpin, S: Sealer> Serve<Replies> for WriteSide<W, S> {
    fn merge(waiting: &mut Replies, newer: Replies) {
        waiting.pong = newer.pong.or(waiting.pong);
        waiting.ping = newer.ping.or(waiting.ping);
    }

    fn serve(&mut self, replies: Replies) {
        if let Some(pong) = replies.pong {
            self.writer.pong(pong);
        }
        if let Some(ping) = replies.ping {
            self.writer.ping(ping);
        }
        // Nobody else may flush for a long time. If the stream takes no more now, both halves are woken when it does.
        let _ = self.writer.attempt_flush(&mut self.io, &mut Context::from_waker(&self.waker));
    }
}

/// How the receiving half gets at the writer, without naming the writer's types.
pub(crate) trait Outlet: Send + Sync {
    fn pong(&self, pong: Pong);
    fn ping(&self, ping: Ping);
    /// Writes what waits, or has whoever holds the writer do it.
    fn write_out(&self, cx: &Context<'_>);
    /// Whether the sending direction was closed.
    fn is_closed(&self) -> bool;
}

impl<W: AsyncWrite + Unpin + Send, S: Sealer> Outlet for Shared<W, S> {
    fn pong(&self, pong: Pong) {
        self.side.leave(Replies { pong: Some(pong), ping: None });
    }

    fn ping(&self, ping: Ping) {
        self.side.leave(Replies { pong: None, ping: Some(ping) });
    }

    fn write_out(&self, cx: &Context<'_>) {
        self.wakers.register(Half::Receiver, cx.waker());
        // To be served is to be flushed; there need not be a reply.
        self.side.leave(Replies::default());
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }
}
