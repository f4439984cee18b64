//! One peer, one stream.

use core::time::Duration;
use std::future::{Ready, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut, buf::Limit};
use tokio::io::{AsyncRead, AsyncWrite, ReadHalf, WriteHalf};
use tokio::time::Instant;
use zmtp_codec::{AnyMechanism, Command, Group, Handshake, Mechanism, Ping, Pong, Sealer, Verdict};

use super::api::{Push, receiving, sending};
use super::clock;
use super::handshake;
use super::linger::read_out;
use super::reader::{Announced, Link, Progress, Reader, poll_read_buf};
use super::split::{Receiver, Sender, halves};
use super::streams::{IntoSplit, Joined};
use super::writer::Writer;
use crate::auth::{AuthRequest, Authenticator};
use crate::config::ConnectionConfig;
use crate::error::{DecodeError, FeedAllError, HandshakeError, PushError, RecvError, SendError};
use crate::event::{Event, EventRef, Frame};
use crate::message::{AsMessage, EncodedMessage, Message};
use crate::peer::Peer;
use crate::proto::Established;

pub(super) type SealerOf<M> = <<M as Mechanism>::Handshake as Handshake>::Sealer;
pub(super) type OpenerOf<M> = <<M as Mechanism>::Handshake as Handshake>::Opener;

/// A ready connection to one peer over the stream `T`.
///
/// It is `Send` if the stream is. `M` is the security mechanism; [`AnyMechanism`] stands for one chosen at run time.
///
/// Dropping it closes the stream at once, with what was queued and not flushed; [`close`](Self::close) flushes first.
///
#[cfg_attr(feature = "null", doc = "```")]
#[cfg_attr(not(feature = "null"), doc = "```ignore")]
/// use zmtp_connection::{Connection, ConnectionConfig, Event, Null};
/// use zmtp_connection::codec::SocketType;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (ours, theirs) = tokio::io::duplex(4096);
/// let (push, pull) = (ConnectionConfig::new(SocketType::Push), ConnectionConfig::new(SocketType::Pull));
/// let null = Null::new();
/// let (push, pull) =
///     tokio::join!(Connection::handshake(ours, &push, &null), Connection::handshake(theirs, &pull, &null));
/// let (mut push, mut pull) = (push?, pull?);
///
/// push.send("hello").await?;
/// let Some(Event::Message(message)) = pull.recv().await? else { panic!("no message") };
/// assert_eq!(message.first(), "hello");
/// # Ok(())
/// # }
/// ```
pub struct Connection<T, M: Mechanism = AnyMechanism> {
    io: T,
    reader: Reader<OpenerOf<M>>,
    writer: Writer<SealerOf<M>>,
}

impl<T: AsyncRead + AsyncWrite + Unpin, M: Mechanism> Connection<T, M> {
    /// Shakes hands with the peer at the other end of `io`. Who connected and who accepted makes no difference. On a TCP
    /// stream, set `TCP_NODELAY` first: batching is done here, by what you flush.
    ///
    /// Where the mechanism asks whether to let the peer in, nobody answers here, and the peer is closed on in silence:
    /// use [`handshake_with`](Self::handshake_with) then, with [`AllowAny`](crate::AllowAny) if everybody may come in.
    ///
    /// # Errors
    /// [`HandshakeError`] says at which stage, why, and whether connecting again makes sense. A peer that was refused
    /// has been sent an ERROR, and given a second to read it.
    ///
    /// # Panics
    /// Outside a tokio runtime that has its timer enabled.
    ///
    /// # Cancel safety
    /// Dropping the future drops the stream; a handshake cannot be continued.
    pub async fn handshake(io: T, config: &ConnectionConfig, mechanism: &M) -> Result<Self, HandshakeError> {
        Self::establish(io, config, mechanism, None::<&fn(AuthRequest) -> Ready<Verdict>>, false).await
    }

    /// As [`handshake`](Self::handshake), for who says the failure itself.
    #[cfg(feature = "zap")]
    pub(crate) async fn handshake_quietly(
        io: T,
        config: &ConnectionConfig,
        mechanism: &M,
    ) -> Result<Self, HandshakeError> {
        Self::establish(io, config, mechanism, None::<&fn(AuthRequest) -> Ready<Verdict>>, true).await
    }

    /// As [`handshake`](Self::handshake), with an [`Authenticator`] to decide on the peer. What it attaches to the peer is
    /// found on [`peer`](Self::peer).
    ///
    /// It is asked once about every connection, and no connection comes out of here that it has not let in. Where the
    /// mechanism asks (a CURVE server, `Null::with_authorization`), that is before our READY, and a refused peer hears an
    /// ERROR or nothing, as the verdict says. Where the mechanism asks nobody (`Null::new`, a client of a server), it is
    /// when the handshake is complete and our part of it was written: a refused peer then hears the ERROR in the clear
    /// behind our READY, and under a mechanism that encrypts it sees the connection close. What it has sent by then is
    /// not delivered. libzmq heeds no ERROR behind READY and comes back: to refuse it under NULL, use
    /// `Null::with_authorization`.
    ///
    /// It may take its time (a database, another service), which counts against the handshake timeout; nobody else
    /// waits for it. Meanwhile nothing is read, so a peer that has gone is noticed afterwards. If it panics, so does this
    /// future, and the stream is dropped: the peer is not let in, and nobody else is concerned.
    ///
    #[cfg_attr(feature = "null", doc = "```")]
    #[cfg_attr(not(feature = "null"), doc = "```ignore")]
    /// use zmtp_connection::codec::{SocketType, Verdict};
    /// use zmtp_connection::{AuthRequest, Authenticator, Connection, ConnectionConfig, Null};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let to = listener.local_addr()?;
    /// # let client = tokio::spawn(async move {
    /// #     let stream = tokio::net::TcpStream::connect(to).await.unwrap();
    /// #     Connection::handshake(stream, &ConnectionConfig::new(SocketType::Push), &Null::new()).await.unwrap()
    /// # });
    /// let config = ConnectionConfig::builder(SocketType::Pull).domain("jobs").build()?;
    /// let mechanism = Null::with_authorization();
    /// let judge = |request: AuthRequest| async move {
    ///     match request.address().and_then(|address| address.ip()) {
    ///         Some(ip) if ip.is_loopback() => Verdict::accept_as("local"),
    ///         _ => Verdict::deny(),
    ///     }
    /// };
    ///
    /// let (stream, address) = listener.accept().await?;
    /// let connection = Connection::handshake_with(stream, &config, &mechanism, &judge.at(address)).await?;
    /// assert_eq!(connection.peer().user_id_str(), Some("local"));
    /// # client.await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`handshake`](Self::handshake).
    ///
    /// # Panics
    /// As [`handshake`](Self::handshake).
    ///
    /// # Cancel safety
    /// As [`handshake`](Self::handshake).
    pub async fn handshake_with<A: Authenticator + ?Sized>(
        io: T,
        config: &ConnectionConfig,
        mechanism: &M,
        authenticator: &A,
    ) -> Result<Self, HandshakeError> {
        Self::establish(io, config, mechanism, Some(authenticator), false).await
    }

    async fn establish<A: Authenticator + ?Sized>(
        io: T,
        config: &ConnectionConfig,
        mechanism: &M,
        authenticator: Option<&A>,
        quiet: bool,
    ) -> Result<Self, HandshakeError> {
        let (io, established) = handshake::run(io, config, mechanism, authenticator, quiet).await?;
        let Established { encoder, decoder, peer, heartbeat, .. } = established;
        let peer = Arc::new(peer);
        Ok(Self { io, reader: Reader::new(decoder, heartbeat, Arc::clone(&peer)), writer: Writer::new(encoder, peer) })
    }

    sending!();

    receiving!();

    /// As [`flush`](Self::flush), for those who write their own futures. One task drives a whole connection, in both
    /// directions: the stream remembers one waker. For two tasks there are halves ([`split`](Self::split)).
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        if let Poll::Ready(flushed) = self.writer.poll_flush(&mut self.io, cx, None) {
            return Poll::Ready(flushed);
        }
        let (reader, mut link) = self.parts();
        let error = ready!(reader.poll_while_sending(&mut link, cx));
        link.give_up();
        Poll::Ready(Err(error))
    }

    /// Octets that wait to be written.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.writer.encoder.pending()
    }

    /// Flushes what was queued, closes the sending direction, reads the peer out until it closes as well (for two
    /// seconds at most; what it still sends is dropped), and drops the stream. Without the reading, octets that wait
    /// in our receive buffer would make the stream reset, and the peer lose what it has not read yet.
    ///
    /// A peer that does not read keeps the flush waiting; put a timeout around it where that matters.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    ///
    /// # Cancel safety
    /// Dropping the future drops the connection, and with it what was not written yet.
    pub async fn close(mut self) -> Result<(), SendError> {
        self.flush().await?;
        poll_fn(|cx| self.poll_shutdown(cx)).await?;
        read_out(&mut self.io).await;
        Ok(())
    }

    /// Splits into halves that can live on different tasks, for any stream. The stream's two directions share a lock
    /// that is held only while it is polled; [`into_split`](Self::into_split) avoids even that where the stream can.
    #[must_use]
    pub fn split(self) -> (Receiver<ReadHalf<T>, M>, Sender<WriteHalf<T>, M>)
    where
        T: Send + 'static,
    {
        let (read, write) = tokio::io::split(self.io);
        halves(read, write, self.reader, self.writer)
    }

    /// Splits into halves that can live on different tasks. PINGs are still answered by the receiving half while the
    /// sending half is idle or elsewhere.
    #[must_use]
    pub fn into_split(self) -> (Receiver<T::Read, M>, Sender<T::Write, M>)
    where
        T: IntoSplit,
        T::Write: Send + 'static,
    {
        let (read, write) = self.io.into_split();
        halves(read, write, self.reader, self.writer)
    }

    /// The stream, to look at its addresses and options. Do not read from or write to it.
    #[must_use]
    pub const fn get_ref(&self) -> &T {
        &self.io
    }

    /// The stream, to set its options. Do not read from or write to it.
    #[must_use]
    pub const fn get_mut(&mut self) -> &mut T {
        &mut self.io
    }

    /// The stream, and what was received and not yet taken. What was queued and not flushed is dropped.
    #[must_use]
    pub fn into_inner(self) -> (T, Bytes) {
        (self.io, self.reader.decoder.into_leftover())
    }

    #[inline]
    pub(super) fn push<X: AsMessage + ?Sized>(&mut self, push: &Push<'_, X>) -> Result<(), PushError> {
        push.apply(&mut self.writer.encoder)
    }

    #[inline]
    fn push_all<X: AsMessage>(&mut self, messages: &mut impl Iterator<Item = X>) -> Result<usize, FeedAllError> {
        self.writer.encoder.push_all(messages)
    }

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        Pin::new(&mut self.io).poll_shutdown(cx).map_err(SendError::Io)
    }

    pub(super) const fn has_room(&self) -> bool {
        self.writer.encoder.has_room()
    }

    #[inline]
    fn parts(&mut self) -> (&mut Reader<OpenerOf<M>>, Whole<'_, T, SealerOf<M>>) {
        (&mut self.reader, Whole { io: &mut self.io, writer: &mut self.writer })
    }
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin, M: Mechanism> Connection<Joined<R, W>, M> {
    /// Shakes hands over two streams, one for each direction: [`handshake`](Self::handshake) over a [`Joined`].
    ///
    /// # Errors
    /// As [`handshake`](Self::handshake).
    ///
    /// # Panics
    /// As [`handshake`](Self::handshake).
    ///
    /// # Cancel safety
    /// As [`handshake`](Self::handshake).
    pub async fn from_parts(
        read: R,
        write: W,
        config: &ConnectionConfig,
        mechanism: &M,
    ) -> Result<Self, HandshakeError> {
        Self::handshake(Joined::new(read, write), config, mechanism).await
    }

    /// As [`from_parts`](Self::from_parts), with an [`Authenticator`] to decide on the peer:
    /// [`handshake_with`](Self::handshake_with) over a [`Joined`].
    ///
    /// # Errors
    /// As [`handshake`](Self::handshake).
    ///
    /// # Panics
    /// As [`handshake`](Self::handshake).
    ///
    /// # Cancel safety
    /// As [`handshake`](Self::handshake).
    pub async fn from_parts_with<A: Authenticator + ?Sized>(
        read: R,
        write: W,
        config: &ConnectionConfig,
        mechanism: &M,
        authenticator: &A,
    ) -> Result<Self, HandshakeError> {
        Self::handshake_with(Joined::new(read, write), config, mechanism, authenticator).await
    }
}

impl<T, M: Mechanism> std::fmt::Debug for Connection<T, M> {
    /// Shows who the peer is; neither payload nor keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("peer", &self.reader.peer)
            .field("reader", &self.reader.decoder)
            .field("writer", &self.writer.encoder)
            .finish_non_exhaustive()
    }
}

/// The right to queue one message, whatever the high-water mark says by then.
#[derive(Debug)]
#[must_use]
pub struct Permit<'a, C: ?Sized>(&'a mut C);

impl<'a, C> Permit<'a, C> {
    pub(super) const fn new(connection: &'a mut C) -> Self {
        Self(connection)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin, M: Mechanism> Permit<'_, Connection<T, M>> {
    /// Queues the message.
    ///
    /// # Errors
    /// As [`Connection::feed`], but never [`PushError::Full`].
    pub fn feed<X: AsMessage + ?Sized>(self, message: &X) -> Result<(), PushError> {
        self.0.push(&Push::Reserved(message))
    }
}

impl<W: AsyncWrite + Unpin, M: Mechanism> Permit<'_, Sender<W, M>> {
    /// Queues the message.
    ///
    /// # Errors
    /// As [`Sender::feed`], but never [`PushError::Full`].
    pub fn feed<X: AsMessage + ?Sized>(self, message: &X) -> Result<(), PushError> {
        self.0.push(&Push::Reserved(message))
    }
}

/// The stream and the writer of a connection that is in one piece.
struct Whole<'a, T, S> {
    io: &'a mut T,
    writer: &'a mut Writer<S>,
}

impl<T: AsyncRead + AsyncWrite + Unpin, S: Sealer> Link for Whole<'_, T, S> {
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut Limit<&mut BytesMut>) -> Poll<std::io::Result<usize>> {
        poll_read_buf(self.io, cx, into)
    }

    fn pong(&mut self, pong: Pong) {
        self.writer.pong(pong);
    }

    fn ping(&mut self, ping: Ping) {
        self.writer.ping(ping);
    }

    fn write_out(&mut self, cx: &mut Context<'_>) -> bool {
        // The reader's turn bounds this one; and a task that has waited for something to read begins a new one.
        self.writer.renew_turn();
        self.writer.attempt_flush(self.io, cx, None).is_ready()
    }

    fn progress(&self) -> Progress {
        self.writer.progress()
    }

    fn give_up(&mut self) {
        self.writer.give_up();
    }

    fn is_closed(&self) -> bool {
        // Closing takes the whole connection.
        false
    }
}
