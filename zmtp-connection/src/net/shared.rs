//! The writer of a split connection: used by the sending half, and by the receiving half for heartbeats.

use std::cell::Cell;
use std::io;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use tokio::io::AsyncWrite;
use zmtp_codec::{Ping, Pong, Sealer};

use super::fan_out::{FanOut, Half};
use super::handoff::{Guard, Handoff, Serve};
use super::reader::Progress;
use super::writer::Writer;
use crate::error::SendError;

/// What the halves of a connection share.
#[derive(Debug)]
pub(crate) struct Shared<W, S> {
    side: Handoff<WriteSide<W, S>, Replies>,
    wakers: Arc<FanOut>,
    flow: Arc<Flow>,
    /// The sending half has closed its direction.
    closed: AtomicBool,
    /// The receiving half has failed.
    lost: AtomicBool,
}

/// What is known of the writer without the lock: how far writing has come, and whom that concerns.
#[derive(Debug, Default)]
struct Flow {
    written: AtomicU64,
    /// PINGs left in the slot, and those of them that reached the encoder.
    pings_left: AtomicU64,
    pings_served: AtomicU64,
    /// The last of them still waits in the encoder.
    ping_waits: AtomicBool,
    /// Something waits to be written.
    pending: AtomicBool,
    due: Due,
}

/// The halves that are to be woken as soon as the writer is unlocked. A waker is somebody else's code, which may come
/// back for the lock: we call none under it (a stream may, see [`WriteSide`]).
///
/// Who marks a half holds the lock, and looks here once it has let go of it. Then either the mark is still there, or
/// somebody else has taken it and wakes that half; so no wake-up is lost.
#[derive(Debug, Default)]
struct Due([AtomicBool; 2]);

impl Due {
    fn mark(&self, half: Half) {
        self.0[half as usize].store(true, Ordering::Release);
    }

    fn take(&self, half: Half) -> bool {
        let due = &self.0[half as usize];
        // Seldom it is, and to look is cheaper.
        due.load(Ordering::Relaxed) && due.swap(false, Ordering::Acquire)
    }
}

/// The stream's writing side with all that belongs to it.
///
/// Locked once per flush by a sender whose messages need no sealing; one that seals locks it per message, which is
/// little beside the sealing.
#[derive(Debug)]
pub(crate) struct WriteSide<W, S> {
    io: W,
    pub(crate) writer: Writer<S>,
    /// Wakes both halves. If the stream calls it while it is polled, that is under the lock: nobody but the stream knows
    /// when it calls.
    waker: Waker,
    flow: Arc<Flow>,
}

/// The [`WriteSide`], locked. Whoever is to be woken for what is done here is woken after the unlocking.
#[derive(Debug)]
pub(crate) struct Locked<'a, W: AsyncWrite + Unpin, S: Sealer> {
    // The fields are dropped in this order: the first serves the slot and unlocks.
    side: Guard<'a, WriteSide<W, S>, Replies>,
    after: AfterUnlocking<'a>,
}

/// Wakes when it is dropped.
#[derive(Debug)]
struct AfterUnlocking<'a> {
    due: &'a Due,
    wakers: &'a FanOut,
    /// Whose turn is over.
    turn: Option<&'a Waker>,
}

impl Drop for AfterUnlocking<'_> {
    fn drop(&mut self) {
        if let Some(turn) = self.turn {
            turn.wake_by_ref();
        }
        for half in [Half::Sender, Half::Receiver] {
            if self.due.take(half) {
                self.wakers.wake_half(half);
            }
        }
    }
}

impl<W: AsyncWrite + Unpin, S: Sealer> Shared<W, S> {
    pub(crate) fn new(io: W, writer: Writer<S>) -> Self {
        let wakers = Arc::new(FanOut::default());
        let waker = Waker::from(Arc::clone(&wakers));
        let flow = Arc::new(Flow::default());
        let side = WriteSide { io, writer, waker, flow: Arc::clone(&flow) };
        Self { side: Handoff::new(side), wakers, flow, closed: AtomicBool::new(false), lost: AtomicBool::new(false) }
    }

    pub(crate) fn lock(&self) -> Locked<'_, W, S> {
        Locked { side: self.side.lock(), after: self.after_unlocking() }
    }

    fn after_unlocking(&self) -> AfterUnlocking<'_> {
        AfterUnlocking { due: &self.flow.due, wakers: &self.wakers, turn: None }
    }

    /// Leaves `replies` to be served: now, or by whoever has the lock.
    fn leave(&self, replies: Replies) {
        let _after = self.after_unlocking();
        self.side.leave(replies);
    }

    /// Whether the receiving half has failed, so that sending is of no use any more.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
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

impl<'a, W: AsyncWrite + Unpin, S: Sealer> Locked<'a, W, S> {
    /// Writes until nothing waits. The stream wakes both halves; `turn` is for another turn, when this one is over.
    pub(crate) fn poll_flush(&mut self, turn: &'a Waker) -> Poll<Result<(), SendError>> {
        let over = Cell::new(false);
        let side = &mut *self.side;
        let flushed = side.writer.poll_flush(&mut side.io, &mut Context::from_waker(&side.waker), Some(&over));
        side.publish();
        if over.get() {
            self.after.turn = Some(turn);
        }
        flushed
    }
}

impl<W: AsyncWrite + Unpin, S: Sealer> Deref for Locked<'_, W, S> {
    type Target = WriteSide<W, S>;

    fn deref(&self) -> &WriteSide<W, S> {
        &self.side
    }
}

impl<W: AsyncWrite + Unpin, S: Sealer> DerefMut for Locked<'_, W, S> {
    fn deref_mut(&mut self) -> &mut WriteSide<W, S> {
        &mut self.side
    }
}

impl<W: AsyncWrite + Unpin, S: Sealer> WriteSide<W, S> {
    fn publish(&self) {
        let Progress { written, ping_waits } = self.writer.progress();
        self.flow.written.store(written, Ordering::Relaxed);
        self.flow.ping_waits.store(ping_waits, Ordering::Relaxed);
        self.flow.pending.store(self.writer.encoder.pending() > 0, Ordering::Relaxed);
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
        let was_behind = self.writer.is_behind();
        if let Some(pong) = replies.pong {
            self.writer.pong(pong);
        }
        if let Some(ping) = replies.ping {
            self.writer.ping(ping);
        }
        // Nobody else may flush for a long time. If the stream takes no more now, both halves are woken when it does.
        // The receiving half has a turn of its own, which bounds this one.
        self.writer.renew_turn();
        let over = Cell::new(false);
        let flushed = self.writer.attempt_flush(&mut self.io, &mut Context::from_waker(&self.waker), Some(&over));
        self.publish();
        if replies.ping.is_some() {
            // After `publish`, so that the PING is seen in one place or the other. Of several only the newest was kept.
            self.flow.pings_served.store(self.flow.pings_left.load(Ordering::Relaxed), Ordering::Release);
        }
        if was_behind && flushed.is_ready() {
            // It may have been waiting for what was just written for it; not every stream wakes for that.
            self.flow.due.mark(Half::Sender);
        }
        if over.get() {
            // Either half goes on with the rest.
            self.flow.due.mark(Half::Sender);
            self.flow.due.mark(Half::Receiver);
        }
    }
}

/// How the receiving half gets at the writer, without naming the writer's types.
pub(crate) trait Outlet: Send + Sync {
    fn pong(&self, pong: Pong);
    fn ping(&self, ping: Ping);
    /// Writes what waits, or has whoever holds the writer do it. Says whether nothing waits, as far as is known.
    fn write_out(&self, cx: &Context<'_>) -> bool;
    /// How far writing has come.
    fn progress(&self) -> Progress;
    /// Tells the sending half that its work is of no use any more.
    fn give_up(&self);
    /// Whether the sending direction was closed.
    fn is_closed(&self) -> bool;
}

impl<W: AsyncWrite + Unpin + Send, S: Sealer> Outlet for Shared<W, S> {
    fn pong(&self, pong: Pong) {
        if !self.is_closed() {
            self.leave(Replies { pong: Some(pong), ping: None });
        }
    }

    fn ping(&self, ping: Ping) {
        self.flow.pings_left.fetch_add(1, Ordering::Relaxed);
        self.leave(Replies { pong: None, ping: Some(ping) });
    }

    fn write_out(&self, cx: &Context<'_>) -> bool {
        self.wakers.register(Half::Receiver, cx.waker());
        if !self.is_closed() {
            // To be served is to be flushed; there need not be a reply.
            self.leave(Replies::default());
        }
        !self.flow.pending.load(Ordering::Relaxed)
    }

    fn progress(&self) -> Progress {
        let flow = &*self.flow;
        let served = flow.pings_served.load(Ordering::Acquire);
        let in_slot = flow.pings_left.load(Ordering::Relaxed) != served;
        Progress {
            written: flow.written.load(Ordering::Relaxed),
            ping_waits: in_slot || flow.ping_waits.load(Ordering::Relaxed),
        }
    }

    fn give_up(&self) {
        self.lost.store(true, Ordering::Release);
        self.wakers.wake_half(Half::Sender);
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }
}
