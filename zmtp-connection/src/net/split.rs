//! A connection in two halves, for two tasks.

use core::time::Duration;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut, buf::Limit};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use zmtp_codec::{AnyMechanism, ClearSealer, Command, Group, Mechanism, Ping, Pong};

use super::api::{Push, receiving, sending};
use super::clock;
use super::connection::{OpenerOf, Permit, SealerOf};
use super::outbox::{Flusher, Outbox, outbox};
use super::reader::{Announced, Link, Progress, Reader, poll_read_buf};
use super::shared::{Outlet, Shared};
use super::writer::Writer;
use crate::error::{DecodeError, FeedAllError, PushError, RecvError, SendError};
use crate::event::{Event, EventRef, Frame};
use crate::message::{AsMessage, EncodedMessage, Message};
use crate::peer::Peer;
use crate::proto::Encoder;

/// The receiving half of a connection.
///
/// Read it out before it is dropped: closing a TCP socket that holds unread octets resets it, and a reset can overtake
/// what was sent.
///
/// It answers PINGs and drives the heartbeat also while the sending half is idle, on another task, or dropped.
pub struct Receiver<R, M: Mechanism = AnyMechanism> {
    io: R,
    reader: Reader<OpenerOf<M>>,
    outlet: Arc<dyn Outlet>,
}

/// The sending half of a connection.
///
/// Unlike a whole connection it does not read while it waits to send: that is for the receiving half, on its own task.
/// When that one fails, sending fails with [`SendError::Lost`]. Dropping this half discards what was fed and not
/// flushed; the stream stays open for as long as the receiving half lives.
///
/// Under a mechanism that leaves messages as they are, they are queued here, and the lock that this half shares with
/// the receiving one is taken once per flush.
pub struct Sender<W, M: Mechanism = AnyMechanism> {
    shared: Arc<Shared<W, SealerOf<M>>>,
    /// Messages on their way to the shared queue, where they need no sealing.
    local: Option<Encoder<ClearSealer>>,
    peer: Arc<Peer>,
}

pub(super) fn halves<R, W, M>(
    read: R,
    write: W,
    reader: Reader<OpenerOf<M>>,
    writer: Writer<SealerOf<M>>,
) -> (Receiver<R, M>, Sender<W, M>)
where
    W: AsyncWrite + Unpin + Send + 'static,
    M: Mechanism,
{
    let peer = Arc::clone(&reader.peer);
    let shared = Arc::new(Shared::new(write, writer));
    let outlet: Arc<dyn Outlet> = Arc::clone(&shared) as _;
    (Receiver { io: read, reader, outlet }, Sender::new(shared, peer))
}

impl<R: AsyncRead + Unpin, M: Mechanism> Receiver<R, M> {
    receiving!();

    /// The receiving side of the stream. Do not read from it.
    #[must_use]
    pub const fn get_ref(&self) -> &R {
        &self.io
    }

    #[inline]
    fn parts(&mut self) -> (&mut Reader<OpenerOf<M>>, Apart<'_, R>) {
        (&mut self.reader, Apart { io: &mut self.io, outlet: &*self.outlet })
    }
}

impl<W: AsyncWrite + Unpin, M: Mechanism> Sender<W, M> {
    pub(super) fn new(shared: Arc<Shared<W, SealerOf<M>>>, peer: Arc<Peer>) -> Self {
        let local = shared.lock().writer.encoder.local();
        Self { shared, local, peer }
    }

    sending!();

    /// Turns this half into one that any number of tasks can hold, and that sends by itself: see [`Outbox`]. What was fed
    /// and not flushed leaves first. The [`Flusher`] does the writing, for as long as it is polled.
    pub fn into_outbox(self) -> (Outbox<W, M>, Flusher<W, M>) {
        outbox(self.shared, self.local, self.peer)
    }

    /// As [`flush`](Self::flush), for those who write their own futures.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.shared.register_sender(cx);
        if self.shared.is_lost() {
            return Poll::Ready(Err(SendError::Lost));
        }
        loop {
            let mut side = self.shared.lock();
            if let Some(local) = &mut self.local
                && local.pending() > 0
                && side.writer.encoder.has_room()
            {
                side.writer.encoder.append(local)?;
            }
            ready!(side.poll_flush(cx.waker()))?;
            drop(side);
            if self.local.as_ref().is_none_or(|local| local.pending() == 0) {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// What is known of the peer.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Octets that wait to be written. What was fed and not flushed waits in this half; so up to twice the high-water
    /// mark can wait, in this half and in what the two halves share.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.shared.lock().writer.encoder.pending() + self.local.as_ref().map_or(0, Encoder::pending)
    }

    /// Flushes what was queued and closes the sending direction. The receiving half goes on, but can answer no more
    /// PINGs.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    ///
    /// # Cancel safety
    /// Dropping the future drops this half, and with it what was not written yet.
    pub async fn close(mut self) -> Result<(), SendError> {
        self.flush().await?;
        poll_fn(|cx| self.poll_shutdown(cx)).await
    }

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.shared.register_sender(cx);
        self.shared.poll_shutdown().map_err(SendError::Io)
    }

    #[inline]
    pub(super) fn push<X: AsMessage + ?Sized>(&mut self, push: &Push<'_, X>) -> Result<(), PushError> {
        match &mut self.local {
            Some(local) => push.apply(local),
            None => push.apply(&mut self.shared.lock().writer.encoder),
        }
    }

    #[inline]
    fn push_all<X: AsMessage>(&mut self, messages: &mut impl Iterator<Item = X>) -> Result<usize, FeedAllError> {
        if let Some(local) = &mut self.local {
            return local.push_all(messages);
        }
        // The iterator is somebody else's, and runs for as long as it likes: not under the lock.
        let mut queued = 0;
        while self.has_room() {
            let Some(message) = messages.next() else { break };
            // It was promised room, whatever the other half has queued since.
            self.push(&Push::Reserved(&message)).map_err(|error| FeedAllError::new(queued, error))?;
            queued += 1;
        }
        Ok(queued)
    }

    pub(super) fn has_room(&self) -> bool {
        match &self.local {
            Some(local) => local.has_room(),
            None => self.shared.lock().writer.encoder.has_room(),
        }
    }
}

impl<R, M: Mechanism> std::fmt::Debug for Receiver<R, M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiver").field("peer", &self.reader.peer.info()).finish_non_exhaustive()
    }
}

impl<W, M: Mechanism> std::fmt::Debug for Sender<W, M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender").field("peer", &self.peer.info()).finish_non_exhaustive()
    }
}

/// The receiving side of the stream, and the way to the writer.
struct Apart<'a, R> {
    io: &'a mut R,
    outlet: &'a dyn Outlet,
}

impl<R: AsyncRead + Unpin> Link for Apart<'_, R> {
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut Limit<&mut BytesMut>) -> Poll<std::io::Result<usize>> {
        poll_read_buf(self.io, cx, into)
    }

    fn pong(&mut self, pong: Pong) {
        self.outlet.pong(pong);
    }

    fn ping(&mut self, ping: Ping) {
        self.outlet.ping(ping);
    }

    fn write_out(&mut self, cx: &mut Context<'_>) -> bool {
        self.outlet.write_out(cx)
    }

    fn progress(&self) -> Progress {
        self.outlet.progress()
    }

    fn give_up(&mut self) {
        self.outlet.give_up();
    }

    fn is_closed(&self) -> bool {
        self.outlet.is_closed()
    }
}
