//! The methods that a whole connection has in common with its halves, written once.
//!
//! A type that sends provides `encode` (do something with the encoder), `poll_flush` and `queued`; one that receives
//! provides `parts` (its reader, and the link to everything else).

use zmtp_codec::{Command, Sealer};

use crate::error::PushError;
use crate::message::{AsMessage, EncodedMessage};
use crate::proto::Encoder;

/// What is to be queued. An operation rather than a closure, since the encoder's type differs from call to call.
#[derive(Debug)]
pub(super) enum Push<'a, M: ?Sized> {
    Message(&'a M),
    /// A message that was promised room.
    Reserved(&'a M),
    Encoded(&'a EncodedMessage),
    Command(&'a Command),
}

impl<M: AsMessage + ?Sized> Push<'_, M> {
    #[inline]
    pub(super) fn apply<S: Sealer>(&self, encoder: &mut Encoder<S>) -> Result<(), PushError> {
        match self {
            Self::Message(message) => encoder.push(*message),
            Self::Reserved(message) => encoder.push_reserved(*message),
            Self::Encoded(message) => encoder.push_encoded(message),
            Self::Command(command) => encoder.push_command(command),
        }
    }
}

/// Sending.
macro_rules! sending {
    () => {
        /// Queues one message, without I/O. It goes out with the next [`flush`](Self::flush), or earlier.
        ///
        /// This is how many small messages travel in one write: feed, feed, …, flush. Small parts are copied into a
        /// reused buffer; shared parts of [`LINK_FROM`](crate::LINK_FROM) octets and more are only referred to,
        /// unless the mechanism encrypts.
        ///
        /// # Errors
        /// [`PushError`]; nothing of the message was queued then. [`PushError::Full`] asks for a flush first.
        #[inline]
        pub fn feed<X: AsMessage + ?Sized>(&mut self, message: &X) -> Result<(), PushError> {
            self.push(&Push::Message(message))
        }

        /// Queues messages while there is room, and says how many were queued. Nothing is taken from `messages` that
        /// is not queued; so pass an iterator by reference, flush, and go on with it.
        ///
        /// # Errors
        /// [`FeedAllError`] for a message that can never be sent. It was taken from `messages`, and those before it
        /// are queued.
        pub fn feed_all<X: AsMessage>(&mut self, messages: impl IntoIterator<Item = X>) -> Result<usize, FeedAllError> {
            self.push_all(&mut messages.into_iter())
        }

        /// Sends messages, many in each write, however many they are.
        ///
        /// # Errors
        /// As [`send`](Self::send), at the first message that cannot be sent. Those before it stay queued.
        ///
        /// # Cancel safety
        /// What was taken from `messages` is queued whole, and goes out with the next flush; the rest is lost with
        /// the iterator, unless it was passed by reference.
        pub async fn send_all<X: AsMessage>(&mut self, messages: impl IntoIterator<Item = X>) -> Result<(), SendError> {
            let mut messages = messages.into_iter().fuse();
            loop {
                match self.feed_all(&mut messages).map_err(|error| error.cause())? {
                    0 if self.pending() == 0 => return Ok(()),
                    _ => self.flush().await?,
                }
            }
        }

        /// Queues a message that was framed in advance. Its large parts are shared; headers and small parts are copied
        /// in one go.
        ///
        /// # Errors
        /// [`PushError::EncryptedLink`] on a connection that seals its frames, and as [`feed`](Self::feed).
        pub fn feed_encoded(&mut self, message: &EncodedMessage) -> Result<(), PushError> {
            self.push::<[u8]>(&Push::Encoded(message))
        }

        /// Queues a message for one of many receivers: as it was framed in advance, or sealed anew on a connection
        /// that seals its frames.
        ///
        /// # Errors
        /// As [`feed`](Self::feed).
        pub fn feed_fan_out(&mut self, message: &EncodedMessage) -> Result<(), PushError> {
            match self.feed_encoded(message) {
                Err(PushError::EncryptedLink) => self.feed(message.message()),
                result => result,
            }
        }

        /// Queues a command, without I/O. Not held back by the high-water mark.
        ///
        /// SUBSCRIBE and CANCEL take the form that the peer's version knows.
        ///
        /// # Errors
        /// [`PushError::Unsupported`] for PING, JOIN and LEAVE to a peer of ZMTP 3.0,
        /// [`PushError::WrongSocketType`] for subscriptions and groups from a socket that has none,
        /// [`PushError::HandshakeCommand`] for READY and ERROR.
        pub fn feed_command(&mut self, command: &Command) -> Result<(), PushError> {
            self.push::<[u8]>(&Push::Command(command))
        }

        /// Sends a message and everything queued before it.
        ///
        /// Returns when all octets were handed to the stream.
        ///
        /// # Errors
        /// [`SendError::Refused`] if the message cannot be sent (nothing of it was queued), [`SendError::Io`] if the
        /// stream has failed.
        ///
        /// # Cancel safety
        /// If fewer octets wait than the high-water mark, the whole message is queued at the first poll; dropping the
        /// future afterwards loses nothing, and the message goes out with the next flush. If more wait, the future
        /// waits for room first; dropped there, it has queued nothing. Who needs to know which it was uses
        /// [`reserve`](Self::reserve).
        pub async fn send<X: AsMessage + ?Sized>(&mut self, message: &X) -> Result<(), SendError> {
            if !self.has_room() {
                self.flush().await?;
            }
            // Room was there or was made, whatever another half has queued since.
            self.push(&Push::Reserved(message))?;
            self.flush().await
        }

        /// Sends a command and everything queued before it.
        ///
        /// # Errors
        /// As [`feed_command`](Self::feed_command) and [`flush`](Self::flush).
        ///
        /// # Cancel safety
        /// The command is queued at the first poll; dropping the future afterwards loses nothing.
        pub async fn send_command(&mut self, command: &Command) -> Result<(), SendError> {
            self.feed_command(command)?;
            self.flush().await
        }

        /// Subscribes to every message whose first part begins with `topic`.
        ///
        /// # Errors
        /// As [`send_command`](Self::send_command).
        ///
        /// # Cancel safety
        /// As [`send_command`](Self::send_command).
        pub async fn subscribe(&mut self, topic: impl Into<Bytes>) -> Result<(), SendError> {
            self.send_command(&Command::Subscribe(topic.into())).await
        }

        /// Takes a subscription back. Publishers keep a set of topics (libzmq does): one CANCEL ends it, however
        /// often it was subscribed to.
        ///
        /// # Errors
        /// As [`send_command`](Self::send_command).
        ///
        /// # Cancel safety
        /// As [`send_command`](Self::send_command).
        pub async fn cancel(&mut self, topic: impl Into<Bytes>) -> Result<(), SendError> {
            self.send_command(&Command::Cancel(topic.into())).await
        }

        /// Joins a group (a DISH, towards a RADIO).
        ///
        /// # Errors
        /// As [`send_command`](Self::send_command).
        ///
        /// # Cancel safety
        /// As [`send_command`](Self::send_command).
        pub async fn join(&mut self, group: Group) -> Result<(), SendError> {
            self.send_command(&Command::Join(group)).await
        }

        /// Leaves a group.
        ///
        /// # Errors
        /// As [`send_command`](Self::send_command).
        ///
        /// # Cancel safety
        /// As [`send_command`](Self::send_command).
        pub async fn leave(&mut self, group: Group) -> Result<(), SendError> {
            self.send_command(&Command::Leave(group)).await
        }

        /// Sends a PING of the caller's own. The peer's PONG counts as a sign of life; its context is matched only
        /// with PINGs that the configured heartbeat has sent.
        ///
        /// # Errors
        /// As [`send_command`](Self::send_command); [`PushError::Unsupported`] to a peer of ZMTP 3.0.
        ///
        /// # Cancel safety
        /// As [`send_command`](Self::send_command).
        pub async fn ping(&mut self, ping: Ping) -> Result<(), SendError> {
            self.send_command(&Command::Ping(ping)).await
        }

        /// Hands everything that was queued to the stream. Large payloads go out in vectored writes.
        ///
        /// While it waits, a whole connection reads up to 256 KiB ahead and minds its heartbeats (PINGs among what is
        /// read ahead are answered by the next receive); a peer that sends
        /// more than that, or has closed its direction, and reads nothing keeps it waiting: receive meanwhile, or put a
        /// timeout around it. Halves on two tasks never wait for each other.
        ///
        /// # Errors
        /// [`SendError::Io`] if the stream has failed; [`SendError::Expired`] or [`SendError::Lost`] if the peer was
        /// given up meanwhile. What had been queued may or may not have arrived. Later calls fail with
        /// [`PushError::Poisoned`] or the same.
        ///
        /// # Cancel safety
        /// Dropping the future stops after any octet, even within a frame; the next flush goes on from there.
        pub async fn flush(&mut self) -> Result<(), SendError> {
            poll_fn(|cx| self.poll_flush(cx)).await
        }

        /// Waits until a message can be queued, and returns the right to queue it.
        ///
        /// # Errors
        /// As [`flush`](Self::flush).
        ///
        /// # Cancel safety
        /// Nothing is queued while it waits.
        pub async fn reserve(&mut self) -> Result<Permit<'_, Self>, SendError> {
            if !self.has_room() {
                self.flush().await?;
            }
            Ok(Permit::new(self))
        }
    };
}

/// Receiving.
macro_rules! receiving {
    () => {
        /// The next message or command, to keep; `None` once the peer has closed its direction between two messages.
        ///
        /// While it waits, PINGs are answered, heartbeats are driven, and what waits to be written is (in halves: what
        /// a flush of the sending half has begun). Nothing of that happens while nobody receives.
        ///
        /// # Errors
        /// [`RecvError`] ends the receiving direction. What had arrived whole before the error was returned before.
        ///
        /// # Cancel safety
        /// Dropping the future loses nothing: frames and messages that were partly received are kept.
        // Not an `async fn`, whose state would be kept for every message, though it hardly ever waits.
        #[inline]
        pub fn recv(&mut self) -> impl Future<Output = Result<Option<Event>, RecvError>> {
            poll_fn(|cx| self.poll_recv(cx))
        }

        /// The next message, lent: its parts are slices of the receive buffer, which costs neither a copy nor a
        /// reference count. Otherwise as [`recv`](Self::recv).
        ///
        /// # Errors
        /// As [`recv`](Self::recv).
        ///
        /// # Cancel safety
        /// As [`recv`](Self::recv).
        #[inline]
        pub fn recv_ref(&mut self) -> impl Future<Output = Result<Option<EventRef<'_>>, RecvError>> {
            let mut lender = Some(self);
            poll_fn(move |cx| {
                // What is given away can be lent for as long as it was borrowed. It is gone only from a future that is done.
                let Some(this) = lender.take() else {
                    return Poll::Ready(Err(RecvError::Protocol(DecodeError::Poisoned)));
                };
                if this.reader.decoder.next_plain() {
                    return Poll::Ready(Ok(Some(EventRef::Message(this.reader.decoder.message()))));
                }
                let (reader, mut link) = this.parts();
                let Poll::Ready(announced) = reader.poll_event(&mut link, cx)? else {
                    lender = Some(this);
                    return Poll::Pending;
                };
                Poll::Ready(Ok(announced.map(|announced| match announced {
                    Announced::Message => EventRef::Message(this.reader.decoder.message()),
                    Announced::Command(command) => EventRef::Command(command),
                })))
            })
        }

        /// Waits for one message or command, then takes what else is there already, up to `most` in all, and adds it
        /// to `into`. Returns how many were added: 0 only at the end of the stream (or if `most` is 0).
        ///
        /// # Errors
        /// As [`recv`](Self::recv). What was taken before the error is in `into`, and the error comes with the next
        /// call.
        ///
        /// # Cancel safety
        /// As [`recv`](Self::recv).
        pub async fn recv_batch(&mut self, into: &mut Vec<Event>, most: usize) -> Result<usize, RecvError> {
            if most == 0 {
                return Ok(0);
            }
            let Some(first) = self.recv().await? else {
                return Ok(0);
            };
            into.push(first);
            let mut count = 1;
            while count < most {
                if let Some(part) = self.reader.decoder.take_plain() {
                    into.push(Event::Message(Message::copied(part)));
                    count += 1;
                    continue;
                }
                let (reader, mut link) = self.parts();
                match reader.take_ready(&mut link) {
                    Ok(Some(announced)) => into.push(announced.into_event(&mut reader.decoder)),
                    Ok(None) => break,
                    Err(error) => {
                        reader.postpone(error);
                        break;
                    }
                }
                count += 1;
            }
            // The caller may be busy for a while.
            poll_fn(|cx| {
                self.parts().1.write_out(cx);
                Poll::Ready(())
            })
            .await;
            Ok(count)
        }

        /// The next frame, as soon as it is whole: for messages too large to hold, of frames that are not. **This interface is incremental**:
        /// a message whose first frames were returned may still break off. Limits for whole messages and part counts
        /// do not apply.
        ///
        /// # Errors
        /// As [`recv`](Self::recv).
        ///
        /// # Cancel safety
        /// As [`recv`](Self::recv). After a frame with `more`, go on with `recv_frame` to the end of the message:
        /// the other methods refuse ([`DecodeError::MidMessage`](crate::DecodeError::MidMessage)).
        pub async fn recv_frame(&mut self) -> Result<Option<Frame>, RecvError> {
            poll_fn(|cx| {
                let (reader, mut link) = self.parts();
                reader.poll_frame(&mut link, cx)
            })
            .await
        }

        /// As [`recv`](Self::recv), for those who write their own futures.
        ///
        /// # Errors
        /// As [`recv`](Self::recv).
        #[inline]
        pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Event>, RecvError>> {
            if let Some(part) = self.reader.decoder.take_plain() {
                return Poll::Ready(Ok(Some(Event::Message(Message::copied(part)))));
            }
            self.poll_any(cx)
        }

        /// As [`poll_recv`](Self::poll_recv), for what is not a small message that is here already.
        #[inline(never)]
        fn poll_any(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Event>, RecvError>> {
            let (reader, mut link) = self.parts();
            let announced = ready!(reader.poll_event(&mut link, cx))?;
            Poll::Ready(Ok(announced.map(|announced| announced.into_event(&mut reader.decoder))))
        }

        /// What is known of the peer.
        #[must_use]
        pub fn peer(&self) -> &Peer {
            &self.reader.peer
        }

        /// How long the peer has sent nothing, as far as was read. Every octet counts. What waits unread does not, so
        /// receive before you judge by it.
        #[must_use]
        pub fn idle_for(&self) -> Duration {
            clock::now().saturating_sub(self.reader.heartbeat.last_received())
        }

        /// Whether the peer has sent nothing for longer than `timeout`. For those who drive heartbeats themselves;
        /// see [`HeartbeatConfig`](crate::HeartbeatConfig) for the built-in way.
        #[must_use]
        pub fn is_expired(&self, timeout: Duration) -> bool {
            self.idle_for() > timeout
        }

        /// When the last octet came from the peer; at the end of the handshake if none has since.
        #[must_use]
        pub fn last_received(&self) -> Instant {
            clock::instant(self.reader.heartbeat.last_received())
        }

        /// The newest round-trip time, measured by the configured heartbeat's PINGs.
        #[must_use]
        pub fn rtt(&self) -> Option<Duration> {
            self.reader.heartbeat.rtt()
        }

        /// How many well-formed things the peer sent that mean nothing to our socket type and were dropped.
        #[must_use]
        pub fn ignored(&self) -> u64 {
            self.reader.decoder.ignored()
        }
    };
}

pub(super) use {receiving, sending};
