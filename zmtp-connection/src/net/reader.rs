//! Receiving: reads, decodes, answers PINGs and watches the clock, all within the poll of one future.
//!
//! No task runs behind the user's back. While nothing is being received, no PING is answered and no silence is
//! counted; the first thing that happens when receiving goes on is a look at what has arrived meanwhile.

use core::time::Duration;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use bytes::buf::{BufMut, Limit};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Instant, Sleep, sleep_until};
use zmtp_codec::{Command, Opener, Ping, Pong};

use super::clock;
use super::trace::receiving_failed;
use super::turn::Turn;
use crate::error::{DecodeError, Expired, RecvError, SendError};
use crate::event::{Event, Frame};
use crate::peer::Peer;
use crate::proto::{Decoded, DecodedFrame, Decoder, Heartbeat, HeartbeatAction};

/// The size of a read on a quiet connection: an idle one keeps a buffer for it. To give that back as well saves half a KiB, and
/// costs a round trip a twelfth of its instructions in user space.
const READ_MIN: usize = 384;
/// What a connection keeps of its receive buffer while it waits: what the three smallest sizes of reads take, so that nothing is
/// allocated for messages of less than 1 KiB that come one by one.
const KEEP: usize = 6 * READ_MIN;
/// The size of a read under load. Larger reads than this gain nothing, and leave the cache.
const READ_MAX: usize = 64 * 1024;
/// How much is read ahead while somebody waits to send.
const READ_AHEAD: usize = 256 * 1024;
/// How long after the first the second look at a silent peer is taken.
const SECOND_LOOK: Duration = Duration::from_millis(1);

/// How the reader gets at the stream and at the sending direction, which it shares or owns.
pub(crate) trait Link {
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut Limit<&mut BytesMut>) -> Poll<io::Result<usize>>;
    /// Queues the answer to a PING.
    fn pong(&mut self, pong: Pong);
    /// Queues a PING.
    fn ping(&mut self, ping: Ping);
    /// Writes what waits, as far as that goes now, and says whether that was all.
    fn write_out(&mut self, cx: &mut Context<'_>) -> bool;
    /// How far writing has come.
    fn progress(&self) -> Progress;
    /// Nothing more will be received: the sending direction is of no use any more.
    fn give_up(&mut self);
    /// Whether the sending direction was closed.
    fn is_closed(&self) -> bool;
}

/// How far writing has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Octets written since the beginning.
    pub(crate) written: u64,
    /// A PING of ours waits behind other octets.
    pub(crate) ping_waits: bool,
}

/// Reads once. The future of `read_buf` holds no state, so making one per poll loses nothing.
pub(crate) fn poll_read_buf<R: AsyncRead + Unpin>(
    io: &mut R,
    cx: &mut Context<'_>,
    into: &mut Limit<&mut BytesMut>,
) -> Poll<io::Result<usize>> {
    let read = std::pin::pin!(io.read_buf(into));
    read.poll(cx)
}

/// The receiving direction.
#[derive(Debug)]
pub(crate) struct Reader<O> {
    pub(crate) decoder: Decoder<O>,
    pub(crate) heartbeat: Heartbeat,
    pub(crate) peer: Arc<Peer>,
    read_size: usize,
    small_reads: u8,
    turn: Turn,
    timer: Option<Pin<Box<Sleep>>>,
    state: State,
    /// The peer seemed gone at the last look; a second one follows shortly.
    doubted: bool,
    /// Answers to PINGs were queued that are not written yet.
    owes: bool,
    /// Set by a PING that could not leave at once: how far writing had come when it was last looked at.
    behind: Option<Progress>,
}

#[derive(Debug)]
enum State {
    Open,
    /// The peer has closed its direction.
    Ended,
    /// Receiving has failed; whoever receives next is told why.
    Failed(RecvError),
    /// Receiving has failed, and somebody was told why.
    Dead,
}

/// What the decoder found: something for the application, or a heartbeat.
pub(crate) enum Found<T> {
    Item(T),
    Ping(Ping),
    Pong(Pong),
}

/// An announced message, which waits in the decoder, or a command.
pub(crate) enum Announced {
    Message,
    Command(Command),
}

impl Announced {
    pub(crate) fn into_event<O: Opener>(self, decoder: &mut Decoder<O>) -> Event {
        match self {
            Self::Message => Event::Message(decoder.take_message()),
            Self::Command(command) => Event::Command(command),
        }
    }
}

impl<O: Opener> Reader<O> {
    pub(crate) const fn new(decoder: Decoder<O>, heartbeat: Heartbeat, peer: Arc<Peer>) -> Self {
        Self {
            decoder,
            heartbeat,
            peer,
            read_size: READ_MIN,
            small_reads: 0,
            turn: Turn::new(),
            timer: None,
            state: State::Open,
            doubted: false,
            owes: false,
            behind: None,
        }
    }

    /// Waits for the next message or command; `None` at the clean end of the stream.
    ///
    /// Whoever asks the decoder first for its [`next_plain`](Decoder::next_plain) finds the usual message, one that is
    /// here already, without the way through everything that could be. It may be asked in any state: what was
    /// received before the stream ended or failed is delivered first.
    #[inline(never)]
    pub(crate) fn poll_event<L: Link>(
        &mut self,
        link: &mut L,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Announced>, RecvError>> {
        self.poll_found(link, cx, Self::next_event)
    }

    /// Waits for the next frame.
    pub(crate) fn poll_frame<L: Link>(
        &mut self,
        link: &mut L,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Frame>, RecvError>> {
        self.poll_found(link, cx, |decoder| {
            Ok(decoder.poll_frame()?.map(|decoded| match decoded {
                DecodedFrame::Part { payload, more } => Found::Item(Frame::Part { payload, more }),
                DecodedFrame::Command(command) => Found::Item(Frame::Command(command)),
                DecodedFrame::Ping(ping) => Found::Ping(ping),
                DecodedFrame::Pong(pong) => Found::Pong(pong),
            }))
        })
    }

    /// The next message or command that is already here; heartbeats on the way are dealt with.
    pub(crate) fn take_ready<L: Link>(&mut self, link: &mut L) -> Result<Option<Announced>, RecvError> {
        self.drain(link, Self::next_event)
    }

    /// Keeps an error for the next to receive: first comes what had arrived before it.
    pub(crate) fn postpone(&mut self, error: RecvError) {
        self.state = State::Failed(error);
    }

    fn next_event(decoder: &mut Decoder<O>) -> Result<Option<Found<Announced>>, DecodeError> {
        Ok(decoder.poll()?.map(|decoded| match decoded {
            Decoded::Message => Found::Item(Announced::Message),
            Decoded::Command(command) => Found::Item(Announced::Command(command)),
            Decoded::Ping(ping) => Found::Ping(ping),
            Decoded::Pong(pong) => Found::Pong(pong),
        }))
    }

    #[inline]
    fn drain<T, L: Link>(
        &mut self,
        link: &mut L,
        next: impl Fn(&mut Decoder<O>) -> Result<Option<Found<T>>, DecodeError>,
    ) -> Result<Option<T>, RecvError> {
        loop {
            match next(&mut self.decoder).map_err(|error| self.failed(error))? {
                Some(Found::Item(item)) => return Ok(Some(item)),
                Some(Found::Ping(ping)) => {
                    self.heartbeat.on_ping(&ping);
                    link.pong(ping.pong());
                    self.owes = true;
                }
                Some(Found::Pong(pong)) => self.heartbeat.on_pong(&pong, clock::now()),
                None => return Ok(None),
            }
        }
    }

    fn poll_found<T, L: Link>(
        &mut self,
        link: &mut L,
        cx: &mut Context<'_>,
        next: impl Fn(&mut Decoder<O>) -> Result<Option<Found<T>>, DecodeError>,
    ) -> Poll<Result<Option<T>, RecvError>> {
        let found = ready!(self.poll_through(link, cx, next));
        // A caller who mixes the interfaces has made a mistake, which ends nothing.
        if matches!(&found, Err(error) if !matches!(error, RecvError::Protocol(DecodeError::MidMessage))) {
            link.give_up();
        }
        Poll::Ready(found)
    }

    fn poll_through<T, L: Link>(
        &mut self,
        link: &mut L,
        cx: &mut Context<'_>,
        next: impl Fn(&mut Decoder<O>) -> Result<Option<Found<T>>, DecodeError>,
    ) -> Poll<Result<Option<T>, RecvError>> {
        loop {
            let drained = self.drain(link, &next);
            // A peer that never pauses still gets its answers: they do not wait until there is nothing to read.
            self.owes = self.owes && !link.write_out(cx);
            // What was complete before the stream ended or failed is delivered first.
            match drained {
                Ok(Some(item)) => return Poll::Ready(Ok(Some(item))),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Err(self.first_error(error))),
            }
            match std::mem::replace(&mut self.state, State::Dead) {
                State::Open => self.state = State::Open,
                State::Ended => {
                    self.state = State::Ended;
                    self.decoder.finish().map_err(|error| self.failed(error))?;
                    return Poll::Ready(Ok(None));
                }
                State::Failed(error) => return Poll::Ready(Err(error)),
                State::Dead => return Poll::Ready(Err(DecodeError::Poisoned.into())),
            }
            if self.turn.poll(cx.waker()).is_pending() {
                link.write_out(cx);
                return Poll::Pending;
            }
            if self.poll_read(link, cx).is_pending() {
                self.turn.renew();
                link.write_out(cx);
                return self.poll_deadlines(link, cx).map(|expired| Err(expired.into()));
            }
        }
    }

    /// Says that receiving has failed, where that is found out; errors that only repeat it, and mistakes of the caller,
    /// are no news.
    fn failed(&self, error: impl Into<RecvError>) -> RecvError {
        let error = error.into();
        if !matches!(error, RecvError::Protocol(DecodeError::Poisoned | DecodeError::MidMessage)) {
            receiving_failed(&self.peer, &error);
        }
        error
    }

    /// An error that was postponed comes in the place of the one that only repeats it.
    fn first_error(&mut self, error: RecvError) -> RecvError {
        match std::mem::replace(&mut self.state, State::Dead) {
            State::Failed(postponed) if matches!(error, RecvError::Protocol(DecodeError::Poisoned)) => postponed,
            state => {
                self.state = state;
                error
            }
        }
    }

    /// While somebody waits to send: reads ahead, so that two peers that both send do not wait for each other for ever,
    /// and keeps the deadlines. Ready only when the peer is given up.
    pub(crate) fn poll_while_sending<L: Link>(&mut self, link: &mut L, cx: &mut Context<'_>) -> Poll<SendError> {
        loop {
            match self.state {
                State::Open => {}
                State::Ended => return Poll::Pending,
                State::Failed(_) | State::Dead => return Poll::Ready(SendError::Lost),
            }
            if self.decoder.buffered() >= READ_AHEAD || self.decoder.is_full() {
                // What waits unread must not be taken for silence.
                return Poll::Pending;
            }
            ready!(self.turn.poll(cx.waker()));
            if self.poll_read(link, cx).is_pending() {
                self.turn.renew();
                return self.poll_deadlines(link, cx).map(SendError::Expired);
            }
        }
    }

    /// Reads once, and takes note of what that means.
    fn poll_read<L: Link>(&mut self, link: &mut L, cx: &mut Context<'_>) -> Poll<()> {
        let mut buffer = self.decoder.receive_buffer(self.read_size);
        if !buffer.has_remaining_mut() {
            // A large body is complete, and waits to be taken.
            return Poll::Pending;
        }
        let Poll::Ready(read) = link.poll_read(cx, &mut buffer) else {
            self.decoder.give_back(KEEP);
            return Poll::Pending;
        };
        match read {
            Ok(0) => self.state = State::Ended,
            Ok(count) => self.received(count),
            Err(error) => self.state = State::Failed(self.failed(RecvError::Io(error))),
        }
        Poll::Ready(())
    }

    fn received(&mut self, count: usize) {
        self.turn.spend(count);
        self.heartbeat.on_received(clock::now());
        self.doubted = false;
        // Larger reads while they are filled, smaller ones after a while of little.
        if count >= self.read_size {
            self.read_size = (self.read_size * 2).min(READ_MAX);
            self.small_reads = 0;
        } else if count < self.read_size / 4 {
            self.small_reads += 1;
            if self.small_reads == 16 {
                self.read_size = (self.read_size / 2).max(READ_MIN);
                self.small_reads = 0;
            }
        } else {
            self.small_reads = 0;
        }
    }

    /// Sends PINGs as they fall due. Ready only when the peer is given up.
    fn poll_deadlines<L: Link>(&mut self, link: &mut L, cx: &mut Context<'_>) -> Poll<Expired> {
        loop {
            if link.is_closed() {
                self.heartbeat.stop_pings();
            }
            let Some(deadline) = self.heartbeat.next_deadline() else {
                self.timer = None;
                return Poll::Pending;
            };
            let at = clock::instant(deadline);
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
            // A timer that fires early costs a look; moving it back at every read would cost more. While the peer is
            // doubted, the timer is the one of the second look.
            if !self.doubted && (timer.deadline() > at || timer.is_elapsed()) {
                timer.as_mut().reset(at);
            }
            ready!(timer.as_mut().poll(cx));
            let now = clock::now();
            match self.heartbeat.on_deadline(now) {
                HeartbeatAction::None => self.doubted = false,
                // One that still waits says all that another one would.
                HeartbeatAction::Ping(_) if link.progress().ping_waits => self.heartbeat.ping_skipped(),
                HeartbeatAction::Ping(ping) => {
                    link.ping(ping);
                    link.write_out(cx);
                    self.behind = Some(link.progress()).filter(|progress| progress.ping_waits);
                }
                HeartbeatAction::Expire(Expired::NoAnswer { .. }) if was_held_up(&mut self.behind, link.progress()) => {
                    // A peer that reads slowly is not silent: its time begins when it can have read the PING, or else
                    // has read nothing more.
                    self.heartbeat.ping_sent(now);
                    self.doubted = false;
                }
                HeartbeatAction::Expire(_) if !self.doubted => {
                    // Its answer may be here, unseen: a runtime that was busy has not looked at its streams. It does
                    // before it fires another timer.
                    self.doubted = true;
                    timer.as_mut().reset(Instant::now() + SECOND_LOOK);
                }
                HeartbeatAction::Expire(expired) => {
                    self.state = State::Dead;
                    self.failed(expired);
                    return Poll::Ready(expired);
                }
            }
        }
    }
}

/// Whether the PING left, or other octets did before it, since it was last looked at.
fn was_held_up(behind: &mut Option<Progress>, progress: Progress) -> bool {
    let Some(before) = *behind else { return false };
    *behind = Some(progress).filter(|progress| progress.ping_waits);
    progress != before
}
