//! Writing out what the encoder has staged, and picking up where a dropped future stopped.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::AsyncWrite;
use zmtp_codec::{Ping, Pong, Sealer};

use super::reader::Progress;
use super::trace::sending_failed;
use super::turn::Turn;
use crate::error::{PushError, SendError};
use crate::peer::Peer;
use crate::proto::Encoder;

/// Slices in one vectored write, at most. The kernel takes up to 1,024; more than some dozens gain nothing.
const SLICES: usize = 64;

/// The sending direction: what is to be sent, and whether it still can be.
#[derive(Debug)]
pub(crate) struct Writer<S> {
    pub(crate) encoder: Encoder<S>,
    /// Octets were written since the stream was last flushed.
    unflushed: bool,
    turn: Turn,
    state: State,
    peer: Arc<Peer>,
}

#[derive(Debug)]
enum State {
    Open,
    /// The stream has failed; whoever sends next is told why.
    Broken(io::Error),
    /// The stream has failed, and somebody was told why.
    Dead,
    /// Receiving has failed, and whoever received was told why.
    Lost,
}

impl<S: Sealer> Writer<S> {
    pub(crate) const fn new(encoder: Encoder<S>, peer: Arc<Peer>) -> Self {
        Self { encoder, unflushed: false, turn: Turn::new(), state: State::Open, peer }
    }

    /// Writes until nothing waits. Can be given up and taken up again after every octet.
    ///
    /// The stream wakes the task of `cx`. So does the end of a turn, unless there is `over`: then nobody is woken, and that
    /// says so.
    pub(crate) fn poll_flush<W: AsyncWrite + Unpin>(
        &mut self,
        io: &mut W,
        cx: &mut Context<'_>,
        over: Option<&Cell<bool>>,
    ) -> Poll<Result<(), SendError>> {
        self.attempt_flush(io, cx, over).map(|()| self.check())
    }

    /// For what does not wait for another turn: the answers of a receiver, who has a turn of his own.
    pub(crate) const fn renew_turn(&mut self) {
        self.turn.renew();
    }

    /// Whether somebody may be waiting for a flush to go on.
    pub(crate) fn is_behind(&self) -> bool {
        self.encoder.pending() > 0 || self.unflushed || !matches!(self.state, State::Open)
    }

    /// As [`poll_flush`](Self::poll_flush), for those who do not send: an error is kept for who does.
    pub(crate) fn attempt_flush<W: AsyncWrite + Unpin>(
        &mut self,
        io: &mut W,
        cx: &mut Context<'_>,
        over: Option<&Cell<bool>>,
    ) -> Poll<()> {
        if !matches!(self.state, State::Open) {
            return Poll::Ready(());
        }
        if let Err(error) = ready!(self.poll_write_out(io, cx, over)) {
            sending_failed(&self.peer, &error);
            self.state = State::Broken(error);
        }
        Poll::Ready(())
    }

    /// What waits to be sent no longer can be.
    pub(crate) fn check(&mut self) -> Result<(), SendError> {
        match std::mem::replace(&mut self.state, State::Dead) {
            State::Open => {
                self.state = State::Open;
                Ok(())
            }
            State::Broken(error) => Err(SendError::Io(error)),
            State::Dead => Err(SendError::Refused(PushError::Poisoned)),
            State::Lost => {
                self.state = State::Lost;
                Err(SendError::Lost)
            }
        }
    }

    /// The peer was given up: nothing more is written, and whoever sends next is told so.
    pub(crate) fn give_up(&mut self) {
        if matches!(self.state, State::Open) {
            self.state = State::Lost;
        }
    }

    /// How far writing has come.
    pub(crate) const fn progress(&self) -> Progress {
        Progress { written: self.encoder.written(), ping_waits: self.encoder.ping_waits() }
    }

    pub(crate) fn pong(&mut self, pong: Pong) {
        // A sealer that is used up has poisoned the encoder; the next to send learns of it.
        let _ = self.encoder.push_pong(pong);
    }

    pub(crate) fn ping(&mut self, ping: Ping) {
        let _ = self.encoder.push_ping(ping);
    }

    fn poll_write_out<W: AsyncWrite + Unpin>(
        &mut self,
        io: &mut W,
        cx: &mut Context<'_>,
        over: Option<&Cell<bool>>,
    ) -> Poll<io::Result<()>> {
        while self.encoder.pending() > 0 {
            ready!(self.poll_turn(cx, over));
            let Poll::Ready(count) = self.poll_write_once(io, cx)? else {
                self.turn.renew();
                return Poll::Pending;
            };
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.turn.spend(count);
            self.encoder.advance(count);
            self.unflushed = true;
        }
        if self.unflushed {
            ready!(Pin::new(io).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_turn(&mut self, cx: &Context<'_>, over: Option<&Cell<bool>>) -> Poll<()> {
        let Some(over) = over else {
            return self.turn.poll(cx.waker());
        };
        let turn = self.turn.poll(Waker::noop());
        over.set(turn.is_pending());
        turn
    }

    fn poll_write_once<W: AsyncWrite + Unpin>(&self, io: &mut W, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut chunks = self.encoder.chunks();
        let first = chunks.next().unwrap_or_default();
        if !io.is_write_vectored() {
            return Pin::new(io).poll_write(cx, first);
        }
        let Some(second) = chunks.next() else {
            return Pin::new(io).poll_write(cx, first);
        };
        let mut slices = [IoSlice::new(&[]); SLICES];
        let mut count = 0;
        for (slice, chunk) in slices.iter_mut().zip([first, second].into_iter().chain(chunks)) {
            *slice = IoSlice::new(chunk);
            count += 1;
        }
        Pin::new(io).poll_write_vectored(cx, &slices[..count])
    }
}
