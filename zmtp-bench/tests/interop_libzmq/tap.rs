//! A stream that somebody listens in on.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// What went each way so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record(Arc<Mutex<(Vec<u8>, Vec<u8>)>>);

impl Record {
    /// What we have sent.
    pub(crate) fn sent(&self) -> Vec<u8> {
        self.0.lock().unwrap().0.clone()
    }

    /// What we have read.
    pub(crate) fn received(&self) -> Vec<u8> {
        self.0.lock().unwrap().1.clone()
    }

    /// Whether these octets were to be seen, in either direction.
    pub(crate) fn shows(&self, octets: &[u8]) -> bool {
        let (sent, received) = &*self.0.lock().unwrap();
        [sent, received].iter().any(|direction| direction.windows(octets.len()).any(|window| window == octets))
    }
}

/// A TCP stream with a record of all that goes through it.
#[derive(Debug)]
pub(crate) struct Tap {
    stream: TcpStream,
    record: Record,
}

impl Tap {
    pub(crate) fn new(stream: TcpStream) -> (Self, Record) {
        let record = Record::default();
        (Self { stream, record: record.clone() }, record)
    }
}

impl AsyncRead for Tap {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        self.record.0.lock().unwrap().1.extend_from_slice(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tap {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write(cx, octets))?;
        self.record.0.lock().unwrap().0.extend_from_slice(&octets[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
