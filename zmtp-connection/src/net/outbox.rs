//! Sending from many tasks: messages leave by themselves, those that wait together in one write.
//!
//! ```text
//! Outbox ──feed──┐
//! Outbox ──feed──┼─► local queue ──swap──► shared queue ──► stream
//! Outbox ──feed──┘   (short lock)           (the Flusher's lock, held while it writes)
//! ```
//!
//! Whoever feeds an empty queue wakes the flusher; whoever feeds one that is not knows that it is awake. So a message
//! costs one lock that nobody holds for long, and a wake-up is paid for once per batch.

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::AsyncWrite;
use tokio::sync::Notify;
use zmtp_codec::{AnyMechanism, ClearSealer, Command, Mechanism, Sealer};

use super::api::Push;
use super::connection::SealerOf;
use super::shared::{Locked, Shared};
use super::split::Sender;
use crate::error::{PushError, SendError};
use crate::message::{AsMessage, EncodedMessage};
use crate::peer::Peer;
use crate::proto::Encoder;

/// A way to send that any number of tasks can hold, each a clone of it.
///
/// What is fed leaves by itself: at once when the stream is idle, otherwise together with whatever else is fed until
/// it is. There is no timer and nothing to flush. The messages of one clone stay in their order; of several, each
/// message is whole.
///
/// Made by [`Sender::into_outbox`], together with the [`Flusher`] that does the writing and has to be kept running.
///
/// A message must not feed the outbox that it is fed to (from its [`AsMessage::part`]): that waits for ever. The stream
/// stays open for as long as a clone lives, even when the flusher has ended.
///
/// Under a mechanism that seals, a message is sealed by whoever feeds it, under the lock that the flusher holds while it
/// writes; on a runtime of several threads, a feed may then wait for a write (of up to the high-water mark) to return.
pub struct Outbox<W, M: Mechanism = AnyMechanism> {
    line: Arc<Line<W, SealerOf<M>>>,
}

/// Writes what the clones of an [`Outbox`] feed. A future: spawn it, or poll it beside something else.
///
/// It is done when the last clone is gone and everything is written, and hands the [`Sender`] back. It fails as
/// [`Sender::flush`] does; dropping it is the same as failing. From then on feeding is refused with
/// [`PushError::Poisoned`]. Polled again once it is done or has failed, it stays pending.
#[must_use = "nothing is written while it is not polled"]
pub struct Flusher<W, M: Mechanism = AnyMechanism> {
    line: Arc<Line<W, SealerOf<M>>>,
}

/// What the two have in common.
struct Line<W, S> {
    shared: Arc<Shared<W, S>>,
    /// Messages on their way to the shared queue, where they need no sealing.
    local: Option<Mutex<Encoder<ClearSealer>>>,
    peer: Arc<Peer>,
    flusher: Mutex<Option<Waker>>,
    /// For those who wait for room.
    room: Notify,
    /// How many clones of the outbox there are.
    outboxes: AtomicUsize,
    /// The flusher is done, has failed or is gone: nobody will write what is fed.
    ended: AtomicBool,
}

pub(super) fn outbox<W: AsyncWrite + Unpin, M: Mechanism>(
    shared: Arc<Shared<W, SealerOf<M>>>,
    local: Option<Encoder<ClearSealer>>,
    peer: Arc<Peer>,
) -> (Outbox<W, M>, Flusher<W, M>) {
    let line = Arc::new(Line {
        shared,
        local: local.map(Mutex::new),
        peer,
        flusher: Mutex::new(None),
        room: Notify::new(),
        outboxes: AtomicUsize::new(1),
        ended: AtomicBool::new(false),
    });
    (Outbox { line: Arc::clone(&line) }, Flusher { line })
}

impl<W: AsyncWrite + Unpin, M: Mechanism> Outbox<W, M> {
    /// Queues one message, without waiting.
    ///
    /// # Errors
    /// [`PushError`]; nothing of the message was queued then. [`PushError::Full`] if as much waits as the high-water
    /// mark allows (as much again may be on its way); [`send`](Self::send) waits for room. [`PushError::Poisoned`] once the flusher has ended.
    #[inline]
    pub fn feed<X: AsMessage + ?Sized>(&self, message: &X) -> Result<(), PushError> {
        self.line.push(&Push::Message(message))
    }

    /// Queues a message for one of many receivers, as [`Sender::feed_fan_out`].
    ///
    /// # Errors
    /// As [`feed`](Self::feed).
    pub fn feed_fan_out(&self, message: &EncodedMessage) -> Result<(), PushError> {
        match self.line.push::<[u8]>(&Push::Encoded(message)) {
            Err(PushError::EncryptedLink) => self.feed(message.message()),
            result => result,
        }
    }

    /// Queues a command, as [`Sender::feed_command`].
    ///
    /// # Errors
    /// As there, and [`PushError::Poisoned`] once the flusher has ended.
    pub fn feed_command(&self, command: &Command) -> Result<(), PushError> {
        self.line.push::<[u8]>(&Push::Command(command))
    }

    /// Queues one message, as soon as there is room for it. It does not wait until the message is written; while there is
    /// room it does not wait at all, so whoever sends without end gives other tasks their turn himself. Who waits is not
    /// served in order: a task that feeds whenever there is room can keep others out.
    ///
    /// # Errors
    /// [`SendError::Refused`] if the message cannot be sent, or the flusher has ended.
    ///
    /// # Cancel safety
    /// Nothing is queued while it waits, and all of the message when it is done.
    #[inline]
    pub async fn send<X: AsMessage + ?Sized>(&self, message: &X) -> Result<(), SendError> {
        match self.feed(message) {
            Err(PushError::Full { .. }) => self.send_later(message).await,
            result => Ok(result?),
        }
    }

    async fn send_later<X: AsMessage + ?Sized>(&self, message: &X) -> Result<(), SendError> {
        loop {
            // Room that is made between the look and the wait is not missed.
            let mut room = pin!(self.line.room.notified());
            room.as_mut().enable();
            match self.feed(message) {
                Err(PushError::Full { .. }) => room.await,
                result => return Ok(result?),
            }
        }
    }

    /// What is known of the peer.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.line.peer
    }
}

impl<W, M: Mechanism> Clone for Outbox<W, M> {
    fn clone(&self) -> Self {
        self.line.outboxes.fetch_add(1, Ordering::Relaxed);
        Self { line: Arc::clone(&self.line) }
    }
}

impl<W, M: Mechanism> Drop for Outbox<W, M> {
    fn drop(&mut self) {
        if self.line.outboxes.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.line.wake_flusher();
        }
    }
}

impl<W: AsyncWrite + Unpin, M: Mechanism> Future for Flusher<W, M> {
    type Output = Result<Sender<W, M>, SendError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.line.ended.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        let written = ready!(self.line.poll_write(cx));
        // It may be kept after it has failed; who waits for room is told now.
        self.line.end();
        written?;
        Poll::Ready(Ok(Sender::new(Arc::clone(&self.line.shared), Arc::clone(&self.line.peer))))
    }
}

impl<W, M: Mechanism> Drop for Flusher<W, M> {
    fn drop(&mut self) {
        self.line.end();
    }
}

impl<W, S> Line<W, S> {
    /// Nothing more is written.
    fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.room.notify_waiters();
    }

    /// A waker is somebody else's: it is neither cloned nor dropped under the lock.
    fn register_flusher(&self, waker: &Waker) {
        let waker = waker.clone();
        let last = lock(&self.flusher).replace(waker);
        drop(last);
    }

    fn wake_flusher(&self) {
        let waker = lock(&self.flusher).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<W: AsyncWrite + Unpin, S: Sealer> Line<W, S> {
    #[inline]
    fn push<X: AsMessage + ?Sized>(&self, push: &Push<'_, X>) -> Result<(), PushError> {
        if self.ended.load(Ordering::Acquire) {
            return Err(PushError::Poisoned);
        }
        let was_empty = match &self.local {
            Some(local) => push_into(&mut *lock(local), push)?,
            None => push_into(&mut self.shared.lock().writer.encoder, push)?,
        };
        if was_empty {
            self.wake_flusher();
        }
        Ok(())
    }

    /// Writes until there is nothing more to come.
    fn poll_write(&self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.register_flusher(cx.waker());
        self.shared.register_sender(cx);
        loop {
            // Looked at first: what the last outbox has fed is seen below.
            let last = self.outboxes.load(Ordering::Acquire) == 0;
            if self.shared.is_lost() {
                return Poll::Ready(Err(SendError::Lost));
            }
            let written = self.lock_with_batch()?.poll_flush(cx.waker());
            if self.local.is_none() {
                self.room.notify_waiters();
            }
            ready!(written)?;
            if self.local.as_ref().is_none_or(|local| lock(local).pending() == 0) {
                return if last { Poll::Ready(Ok(())) } else { Poll::Pending };
            }
        }
    }

    /// The writer, locked. The two queues change places when all that was taken before is written; so nothing is copied,
    /// and a batch is what has come since.
    fn lock_with_batch(&self) -> Result<Locked<'_, W, S>, SendError> {
        let mut side = self.shared.lock();
        let Some(local) = &self.local else { return Ok(side) };
        if side.writer.encoder.pending() > 0 {
            return Ok(side);
        }
        let mut local = lock(local);
        // Who waits for room has found this queue full, and nothing has left it since.
        let somebody_may_wait = !local.has_room();
        side.writer.encoder.append(&mut local)?;
        drop(local);
        if !somebody_may_wait {
            return Ok(side);
        }
        // Woken before the batch is written, to feed the next one meanwhile; and not under the lock, since a waker is
        // somebody else's code.
        drop(side);
        self.room.notify_waiters();
        Ok(self.shared.lock())
    }
}

/// Says whether the queue was empty before.
#[inline]
fn push_into<S: Sealer, X: AsMessage + ?Sized>(
    encoder: &mut Encoder<S>,
    push: &Push<'_, X>,
) -> Result<bool, PushError> {
    let was_empty = encoder.pending() == 0;
    push.apply(encoder)?;
    Ok(was_empty)
}

/// A panic under the lock (in somebody's message) leaves nothing half done here, so it is passed over.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<W, M: Mechanism> std::fmt::Debug for Outbox<W, M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox").field("peer", &self.line.peer.info()).finish_non_exhaustive()
    }
}

impl<W, M: Mechanism> std::fmt::Debug for Flusher<W, M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flusher").field("peer", &self.line.peer.info()).finish_non_exhaustive()
    }
}
