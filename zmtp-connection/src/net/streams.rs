//! Streams that come apart without a lock of their own.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream whose two directions can be owned by different tasks.
///
/// There is no lock between them, except where said otherwise. A stream that is none of these is split with
/// [`Connection::split`](crate::Connection::split).
pub trait IntoSplit {
    /// The receiving direction.
    type Read: AsyncRead + Unpin;
    /// The sending direction.
    type Write: AsyncWrite + Unpin;

    /// Takes the stream apart.
    fn into_split(self) -> (Self::Read, Self::Write);
}

impl IntoSplit for tokio::net::TcpStream {
    type Read = tokio::net::tcp::OwnedReadHalf;
    type Write = tokio::net::tcp::OwnedWriteHalf;

    fn into_split(self) -> (Self::Read, Self::Write) {
        Self::into_split(self)
    }
}

#[cfg(unix)]
impl IntoSplit for tokio::net::UnixStream {
    type Read = tokio::net::unix::OwnedReadHalf;
    type Write = tokio::net::unix::OwnedWriteHalf;

    fn into_split(self) -> (Self::Read, Self::Write) {
        Self::into_split(self)
    }
}

/// Through [`tokio::io::split`]: the halves share a lock, which costs little in memory and is no reason to write a test
/// otherwise than the program that it tests.
impl IntoSplit for tokio::io::DuplexStream {
    type Read = tokio::io::ReadHalf<Self>;
    type Write = tokio::io::WriteHalf<Self>;

    fn into_split(self) -> (Self::Read, Self::Write) {
        tokio::io::split(self)
    }
}

/// Two halves that belong together, as one stream: for pipes, child processes, or streams that were split already.
#[derive(Debug)]
pub struct Joined<R, W> {
    read: R,
    write: W,
}

impl<R, W> Joined<R, W> {
    /// Reads from `read` and writes to `write`.
    #[must_use]
    pub const fn new(read: R, write: W) -> Self {
        Self { read, write }
    }

    /// The halves again.
    #[must_use]
    pub fn into_inner(self) -> (R, W) {
        (self.read, self.write)
    }
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> IntoSplit for Joined<R, W> {
    type Read = R;
    type Write = W;

    fn into_split(self) -> (R, W) {
        self.into_inner()
    }
}

impl<R: AsyncRead + Unpin, W: Unpin> AsyncRead for Joined<R, W> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.read).poll_read(cx, buf)
    }
}

impl<R: Unpin, W: AsyncWrite + Unpin> AsyncWrite for Joined<R, W> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.write).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.write).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.write).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.write).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.write.is_write_vectored()
    }
}
