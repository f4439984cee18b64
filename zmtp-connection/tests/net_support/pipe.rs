//! One direction of a stream as a queue of octets, and streams made of two of them.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use zmtp_connection::IntoSplit;

/// One direction. Like a socket it remembers one waker for reading and one for writing: the last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pipe(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    octets: VecDeque<u8>,
    /// How many octets may lie in it.
    capacity: usize,
    /// How many octets go in or out in one poll.
    per_poll: usize,
    /// Every other poll is `Pending`, and wakes.
    stutters: bool,
    refused_read: bool,
    refused_write: bool,
    vectored: bool,
    /// Nothing more is written: whoever reads it out is at the end of the stream.
    closed: bool,
    /// Nobody reads any more: writing fails.
    abandoned: bool,
    read_error: Option<ErrorKind>,
    write_error: Option<ErrorKind>,
    writes: usize,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            octets: VecDeque::new(),
            capacity: usize::MAX,
            per_poll: usize::MAX,
            stutters: false,
            refused_read: false,
            refused_write: false,
            vectored: false,
            closed: false,
            abandoned: false,
            read_error: None,
            write_error: None,
            writes: 0,
            reader: None,
            writer: None,
        }
    }
}

impl Pipe {
    /// Moves at most `octets` in one poll.
    pub(crate) fn per_poll(&self, octets: usize) -> &Self {
        self.state().per_poll = octets;
        self
    }

    /// Makes every other poll `Pending`.
    pub(crate) fn stutter(&self) -> &Self {
        self.state().stutters = true;
        self
    }

    /// Moves everything at once again.
    pub(crate) fn smooth(&self) -> &Self {
        let mut state = self.state();
        state.per_poll = usize::MAX;
        state.stutters = false;
        drop(state);
        self
    }

    /// Takes vectored writes.
    pub(crate) fn vectored(&self, yes: bool) -> &Self {
        self.state().vectored = yes;
        self
    }

    /// Takes no more than this until it is read. A writer that waits is woken if there is room now.
    pub(crate) fn capacity(&self, octets: usize) -> &Self {
        let mut state = self.state();
        state.capacity = octets;
        state.wake_writer();
        drop(state);
        self
    }

    /// Fails every further write.
    pub(crate) fn fail_writes(&self, kind: ErrorKind) {
        let mut state = self.state();
        state.write_error = Some(kind);
        state.wake_writer();
    }

    /// Fails the reads once everything was read.
    pub(crate) fn fail_reads(&self, kind: ErrorKind) {
        let mut state = self.state();
        state.read_error = Some(kind);
        state.wake_reader();
    }

    /// Puts octets in, whatever the capacity.
    pub(crate) fn put(&self, octets: &[u8]) {
        let mut state = self.state();
        state.octets.extend(octets);
        state.wake_reader();
    }

    /// Takes up to `most` octets out.
    pub(crate) fn take(&self, most: usize) -> Vec<u8> {
        let mut state = self.state();
        let count = most.min(state.octets.len());
        let octets = state.octets.drain(..count).collect();
        state.wake_writer();
        octets
    }

    pub(crate) fn len(&self) -> usize {
        self.state().octets.len()
    }

    /// How many writes went in.
    pub(crate) fn writes(&self) -> usize {
        self.state().writes
    }

    /// Whether the writing end has shut down or is gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Whether the reading end is gone.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.state().abandoned
    }

    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.wake_reader();
    }

    fn abandon(&self) {
        let mut state = self.state();
        state.abandoned = true;
        state.wake_writer();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state();
        if state.stutters && !std::mem::replace(&mut state.refused_read, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        state.refused_read = false;
        if state.octets.is_empty() {
            return match state.read_error {
                Some(kind) => Poll::Ready(Err(kind.into())),
                None if state.closed => Poll::Ready(Ok(())),
                None => {
                    state.reader = Some(cx.waker().clone());
                    Poll::Pending
                }
            };
        }
        let count = state.octets.len().min(state.per_poll).min(buf.remaining());
        for octet in state.octets.drain(..count) {
            buf.put_slice(&[octet]);
        }
        state.wake_writer();
        Poll::Ready(Ok(()))
    }

    fn poll_write(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let mut state = self.state();
        if let Some(kind) = state.write_error {
            return Poll::Ready(Err(kind.into()));
        }
        if state.abandoned || state.closed {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        if state.stutters && !std::mem::replace(&mut state.refused_write, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        state.refused_write = false;
        let room = state.capacity.saturating_sub(state.octets.len()).min(state.per_poll);
        if room == 0 {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let before = state.octets.len();
        for slice in slices {
            let count = slice.len().min(room - (state.octets.len() - before));
            state.octets.extend(&slice[..count]);
        }
        state.writes += 1;
        state.wake_reader();
        Poll::Ready(Ok(state.octets.len() - before))
    }
}

impl State {
    fn wake_reader(&mut self) {
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
    }

    fn wake_writer(&mut self) {
        let can_go_on = self.octets.len() < self.capacity || self.abandoned || self.write_error.is_some();
        if can_go_on && let Some(waker) = self.writer.take() {
            waker.wake();
        }
    }
}

/// A stream: reads one pipe and writes the other.
#[derive(Debug)]
pub(crate) struct End {
    read: ReadEnd,
    write: WriteEnd,
}

/// The reading half of a stream. Dropping it makes writing at the other end fail.
#[derive(Debug)]
pub(crate) struct ReadEnd(Pipe);

/// The writing half of a stream. Dropping it is the end of the stream for the other end.
#[derive(Debug)]
pub(crate) struct WriteEnd(Pipe);

/// The two ends of a stream.
pub(crate) fn ends() -> (End, End) {
    let (there, back) = (Pipe::default(), Pipe::default());
    (End::new(back.clone(), there.clone()), End::new(there, back))
}

impl End {
    const fn new(read: Pipe, write: Pipe) -> Self {
        Self { read: ReadEnd(read), write: WriteEnd(write) }
    }

    /// The pipe that this end reads.
    pub(crate) const fn incoming(&self) -> &Pipe {
        &self.read.0
    }

    /// The pipe that this end writes.
    pub(crate) const fn outgoing(&self) -> &Pipe {
        &self.write.0
    }

    /// Sends octets, for a peer written by hand.
    pub(crate) fn put(&self, octets: &[u8]) {
        self.outgoing().put(octets);
    }

    /// Takes everything that has come, for a peer written by hand.
    pub(crate) fn taken(&self) -> Vec<u8> {
        self.incoming().take(usize::MAX)
    }
}

impl IntoSplit for End {
    type Read = ReadEnd;
    type Write = WriteEnd;

    fn into_split(self) -> (ReadEnd, WriteEnd) {
        (self.read, self.write)
    }
}

impl Drop for ReadEnd {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl Drop for WriteEnd {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl AsyncRead for ReadEnd {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.0.poll_read(cx, buf)
    }
}

impl AsyncWrite for WriteEnd {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, &[IoSlice::new(octets)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.state().vectored
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.close();
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for End {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.read).poll_read(cx, buf)
    }
}

impl AsyncWrite for End {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.write).poll_write(cx, octets)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.write).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.write.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.write).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.write).poll_shutdown(cx)
    }
}
