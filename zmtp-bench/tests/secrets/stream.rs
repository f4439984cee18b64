//! A stream in memory that leaves nothing behind: what was read is overwritten, and so is what never was. A stream of the
//! operating system keeps its octets to itself; one of tokio's would leave them on our heap.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Octets that one direction has memory for. It never grows: what is outgrown would be left behind.
const MEMORY: usize = 1 << 12;

/// One direction.
struct Pipe {
    octets: Vec<u8>,
    /// How many octets it still takes.
    room: usize,
    closed: bool,
    waker: Option<Waker>,
}

impl Pipe {
    fn new() -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self { octets: Vec::with_capacity(MEMORY), room: usize::MAX, closed: false, waker: None }))
    }

    fn put(&mut self, octets: &[u8]) -> usize {
        let count = octets.len().min(self.room);
        self.room -= count;
        assert!(self.octets.len() + count <= MEMORY, "more than there is memory for");
        self.octets.extend_from_slice(&octets[..count]);
        self.wake();
        count
    }

    fn take(&mut self, most: usize, to: &mut ReadBuf<'_>) {
        let count = most.min(self.octets.len()).min(to.remaining());
        to.put_slice(&self.octets[..count]);
        self.octets.copy_within(count.., 0);
        let left = self.octets.len() - count;
        self.octets[left..].fill(0);
        self.octets.truncate(left);
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.octets.fill(0);
        // That nobody reads it any more is no reason to leave it out.
        std::hint::black_box(&mut self.octets);
    }
}

/// One end of a stream.
pub(crate) struct End {
    read: Arc<Mutex<Pipe>>,
    write: Arc<Mutex<Pipe>>,
    piece: usize,
}

/// The two ends of a stream on which at most `piece` octets are read at once.
pub(crate) fn ends(piece: usize) -> (End, End) {
    let (there, back) = (Pipe::new(), Pipe::new());
    let one = End { read: Arc::clone(&back), write: Arc::clone(&there), piece };
    (one, End { read: there, write: back, piece })
}

impl End {
    /// Sends octets, for a peer written by hand.
    pub(crate) fn put(&self, octets: &[u8]) {
        assert_eq!(lock(&self.write).put(octets), octets.len());
    }

    /// Takes so many more octets from who writes here, and none after that.
    pub(crate) fn takes(&self, octets: usize) {
        lock(&self.write).room = octets;
    }
}

fn lock(pipe: &Mutex<Pipe>) -> MutexGuard<'_, Pipe> {
    pipe.lock().unwrap()
}

impl Drop for End {
    fn drop(&mut self) {
        let mut pipe = lock(&self.write);
        pipe.closed = true;
        pipe.wake();
    }
}

impl AsyncRead for End {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut pipe = lock(&self.read);
        if pipe.octets.is_empty() && !pipe.closed {
            pipe.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        pipe.take(self.piece, buf);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for End {
    fn poll_write(self: Pin<&mut Self>, _cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        match lock(&self.write).put(octets) {
            0 if !octets.is_empty() => Poll::Pending,
            count => Poll::Ready(Ok(count)),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut pipe = lock(&self.write);
        pipe.closed = true;
        pipe.wake();
        Poll::Ready(Ok(()))
    }
}
