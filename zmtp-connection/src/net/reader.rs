//! Receiving: reads, decodes, answers PINGs and watches the clock, all within the poll of one future.
//!
//! No task runs behind the user's back. While nothing is being received, no PING is answered and no silence is
//! counted; the first thing that happens when receiving goes on is a look at what has arrived meanwhile.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use bytes::buf::Limit;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Sleep, sleep_until};
use zmtp_codec::{Command, Opener, Ping, Pong};

use super::clock;
use crate::error::{DecodeError, RecvError};
use crate::event::{Event, Frame};
use crate::proto::{Decoded, DecodedFrame, Decoder, Heartbeat, HeartbeatAction};

/// The size of a read on a quiet connection.
const READ_MIN: usize = 4 * 1024;
/// The size of a read under load. Larger reads than this gain nothing, and leave the cache.
const READ_MAX: usize = 64 * 1024;
/// Reads within one poll that bring nothing to return, before other tasks get their turn.
const READS_PER_POLL: u32 = 8;

/// How the reader gets at the stream and at the sending direction, which it shares or owns.
pub(crate) trait Link {
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut Limit<&mut BytesMut>) -> Poll<io::Result<usize>>;
    /// Queues the answer to a PING.
    fn pong(&mut self, pong: Pong);
    /// Queues a PING.
    fn ping(&mut self, ping: Ping);
    /// Writes what waits, as far as that goes now.
    fn write_out(&mut self, cx: &mut Context<'_>);
    /// Whether the sending direction was closed.
    fn is_closed(&self) -> bool;
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
    read_size: usize,
    small_reads: u8,
    timer: Option<Pin<Box<Sleep>>>,
    state: State,
    /// The peer seemed gone at the last poll; the runtime was given one more turn to bring what it has sent.
    doubted: bool,
    /// Answers to PINGs were queued that nobody has tried to write yet.
    owes: bool,
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
    pub(crate) const fn new(decoder: Decoder<O>, heartbeat: Heartbeat) -> Self {
        Self {
            decoder,
            heartbeat,
            read_size: READ_MIN,
            small_reads: 0,
            timer: None,
            state: State::Open,
            doubted: false,
            owes: false,
        }
    }

    /// Waits for the next message or command; `None` at the clean end of the stream.
    #[inline]
    pub(crate) fn poll_event<L: Link>(
        &mut self,
        link: &mut L,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Announced>, RecvError>> {
        // The usual case, without the way through everything that could be: a message that is here already.
        if matches!(self.state, State::Open) && self.decoder.next_plain() {
            return Poll::Ready(Ok(Some(Announced::Message)));
        }
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
            match next(&mut self.decoder)? {
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
        let mut reads = 0;
        loop {
            if let State::Failed(_) = self.state
                && let State::Failed(error) = std::mem::replace(&mut self.state, State::Dead)
            {
                return Poll::Ready(Err(error));
            }
            let drained = self.drain(link, &next);
            // A peer that never pauses still gets its answers: they do not wait until there is nothing to read.
            if std::mem::take(&mut self.owes) {
                link.write_out(cx);
            }
            // What was complete before the stream ended is delivered first.
            if let Some(item) = drained? {
                return Poll::Ready(Ok(Some(item)));
            }
            match self.state {
                State::Open => {}
                State::Ended => {
                    self.decoder.finish()?;
                    return Poll::Ready(Ok(None));
                }
                State::Failed(_) | State::Dead => return Poll::Ready(Err(DecodeError::Poisoned.into())),
            }
            if reads == READS_PER_POLL {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            reads += 1;
            let mut buffer = self.decoder.receive_buffer(self.read_size);
            match link.poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(0)) => self.state = State::Ended,
                Poll::Ready(Ok(count)) => self.received(count),
                Poll::Ready(Err(error)) => {
                    self.state = State::Dead;
                    return Poll::Ready(Err(RecvError::Io(error)));
                }
                Poll::Pending => {
                    link.write_out(cx);
                    return self.poll_deadlines(link, cx).map(Err);
                }
            }
        }
    }

    fn received(&mut self, count: usize) {
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
    fn poll_deadlines<L: Link>(&mut self, link: &mut L, cx: &mut Context<'_>) -> Poll<RecvError> {
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
            // A timer that fires early costs a look; moving it back at every read would cost more.
            if timer.deadline() > at || timer.is_elapsed() {
                timer.as_mut().reset(at);
            }
            ready!(timer.as_mut().poll(cx));
            match self.heartbeat.on_deadline(clock::now()) {
                HeartbeatAction::None => {}
                HeartbeatAction::Ping(ping) => {
                    link.ping(ping);
                    link.write_out(cx);
                }
                HeartbeatAction::Expire(_) if !self.doubted => {
                    self.doubted = true;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                HeartbeatAction::Expire(expired) => {
                    self.state = State::Dead;
                    return Poll::Ready(expired.into());
                }
            }
        }
    }
}
