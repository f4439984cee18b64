//! Messages and commands in, octets out.
//!
//! Pushing is synchronous and all-or-nothing; only writing the octets out takes time, and that can be interrupted at
//! any octet. Hence no future that is dropped can leave half a message behind.

use bytes::Bytes;
use zmtp_codec::{
    ClearSealer, Command, FrameHeader, FrameKind, LONG_HEADER_LEN, Ping, Pong, Sealer, Subscription, Version,
};

use super::pattern::Pattern;
use super::queue::{Chunks, Mark, Queue};
#[cfg(feature = "net")]
use crate::error::FeedAllError;
use crate::error::PushError;
use crate::message::{AsMessage, EncodedMessage, LINK_FROM, Part};

/// PONGs are queued while less than this waits. Beyond it, one waits beside the queue and the newest wins, so that a
/// peer which sends PINGs and reads nothing fills no memory.
const PONG_QUEUE: usize = 64 * 1024;

/// The sending direction of a ready connection.
///
/// Push messages and commands, then write [`chunks`](Self::chunks) out and report progress with
/// [`advance`](Self::advance), until nothing is [`pending`](Self::pending).
pub struct Encoder<S> {
    sealer: S,
    queue: Queue,
    pattern: Pattern,
    version: Version,
    high_water_mark: usize,
    /// A PONG that found the queue full.
    pong: Option<Pong>,
    /// The plaintext of a command, on its way into the sealer.
    scratch: Vec<u8>,
    /// Octets written since the beginning.
    written: u64,
    /// What `written` comes to when the newest PING has left.
    ping_ends: u64,
    failed: bool,
}

impl<S: Sealer> Encoder<S> {
    pub(crate) const fn new(
        sealer: S,
        queue: Queue,
        pattern: Pattern,
        version: Version,
        high_water_mark: usize,
    ) -> Self {
        Self {
            sealer,
            queue,
            pattern,
            version,
            high_water_mark,
            pong: None,
            scratch: Vec::new(),
            written: 0,
            ping_ends: 0,
            failed: false,
        }
    }

    /// Queues one whole message, if fewer octets wait than the high-water mark.
    ///
    /// Small parts are copied into the staging buffer, which does not allocate once it has grown to its working size.
    /// Shared parts of [`LINK_FROM`] octets and more are queued by reference under NULL and PLAIN.
    ///
    /// # Errors
    /// [`PushError`]; nothing of the message was queued then.
    #[inline]
    pub fn push<M: AsMessage + ?Sized>(&mut self, message: &M) -> Result<(), PushError> {
        let parts = message.part_count();
        self.admit(parts, || message.part(0).as_slice().len())?;
        self.message(message, parts)
    }

    #[inline(always)]
    fn message<M: AsMessage + ?Sized>(&mut self, message: &M, parts: usize) -> Result<(), PushError> {
        if parts == 1 {
            return self.frame(FrameKind::Last, message.part(0));
        }
        let attempt = Attempt { mark: self.queue.mark(), encoder: self };
        for index in 0..parts {
            let kind = FrameKind::message(index + 1 < parts);
            attempt.encoder.frame(kind, message.part(index))?;
        }
        std::mem::forget(attempt);
        Ok(())
    }

    /// Queues messages while there is room, and says how many. What is the same for all of them is looked at once.
    ///
    /// # Errors
    /// At the first that can never be sent; those before it are queued.
    #[cfg(feature = "net")]
    #[inline]
    pub(crate) fn push_all<M: AsMessage>(
        &mut self,
        messages: &mut impl Iterator<Item = M>,
    ) -> Result<usize, FeedAllError> {
        let plain = self.sealer.is_identity() && self.pattern.is_plain() && !self.failed;
        let mut queued = 0;
        while self.has_room() {
            let Some(message) = messages.next() else { break };
            if plain && message.part_count() == 1 {
                self.clear_frame(FrameKind::Last, message.part(0));
            } else {
                self.push(&message).map_err(|error| FeedAllError::new(queued, error))?;
            }
            queued += 1;
        }
        Ok(queued)
    }

    /// As [`push`](Self::push), whatever the high-water mark says: for who was promised room before.
    #[cfg(feature = "net")]
    pub(crate) fn push_reserved<M: AsMessage + ?Sized>(&mut self, message: &M) -> Result<(), PushError> {
        let parts = message.part_count();
        self.check(parts, || message.part(0).as_slice().len())?;
        self.message(message, parts)
    }

    /// Queues a message that was framed in advance, for many. Its large parts are shared, its headers and small parts are
    /// copied in one go.
    ///
    /// # Errors
    /// [`PushError::EncryptedLink`] where the mechanism encrypts, and as [`push`](Self::push).
    // In line, as it is done for each peer and is little more than the copy.
    #[inline(always)]
    pub fn push_encoded(&mut self, message: &EncodedMessage) -> Result<(), PushError> {
        if !self.sealer.is_identity() {
            return Err(PushError::EncryptedLink);
        }
        let parts = message.message().part_count();
        self.admit(parts, || message.message().first().len())?;
        match message.chunks() {
            [chunk] if chunk.len() < LINK_FROM => self.queue.extend(chunk),
            chunks => self.chunks_of_encoded(chunks),
        }
        Ok(())
    }

    fn chunks_of_encoded(&mut self, chunks: &[Bytes]) {
        for chunk in chunks {
            if chunk.len() < LINK_FROM {
                self.queue.extend(chunk);
            } else {
                self.queue.link(chunk.clone());
            }
        }
    }

    /// Queues a command. Commands are not held back by the high-water mark: they are small, and a connection that
    /// is full must still be able to answer.
    ///
    /// A subscription goes out in the form that the peer's version knows: as a command from 3.1 on, as a message
    /// before (RFC 37, "Subscription").
    ///
    /// # Errors
    /// [`PushError::HandshakeCommand`] for READY and ERROR; [`PushError::WrongSocketType`] for subscriptions and groups
    /// from a socket that has none; [`PushError::Unsupported`] for PING, JOIN and LEAVE to a peer of ZMTP 3.0;
    /// [`PushError::Seal`].
    pub fn push_command(&mut self, command: &Command) -> Result<(), PushError> {
        if self.failed {
            return Err(PushError::Poisoned);
        }
        match command {
            Command::Ready(_) | Command::Error(_) => return Err(PushError::HandshakeCommand),
            Command::Ping(_) if !self.version.has_heartbeats() => {
                return Err(PushError::Unsupported { version: self.version });
            }
            Command::Join(_) | Command::Leave(_) if !self.version.has_subscription_commands() => {
                return Err(PushError::Unsupported { version: self.version });
            }
            command if !self.pattern.may_send(command) => return Err(PushError::WrongSocketType),
            Command::Subscribe(_) | Command::Cancel(_) if !self.version.has_subscription_commands() => {
                if let Some(subscription) = Subscription::from_command(command) {
                    let mut body = std::mem::take(&mut self.scratch);
                    body.clear();
                    subscription.encode_message_body(&mut body);
                    let pushed = self.frame(FrameKind::Last, Part::Borrowed(&body));
                    self.scratch = body;
                    return pushed;
                }
            }
            _ => {}
        }
        self.command(command)
    }

    /// Queues a PING whatever version the peer has announced: for a [`Heartbeat`](super::Heartbeat), which knows whom
    /// it may send one.
    ///
    /// # Errors
    /// [`PushError::Seal`] or [`PushError::Poisoned`].
    pub fn push_ping(&mut self, ping: Ping) -> Result<(), PushError> {
        if self.failed {
            return Err(PushError::Poisoned);
        }
        self.command(&Command::Ping(ping))?;
        self.queue.expect_quiet();
        self.ping_ends = self.written + self.queue.len() as u64;
        Ok(())
    }

    /// Queues the answer to a PING. While much waits to be sent, only the newest answer is kept. PINGs are answered
    /// whatever version the peer announced: libzmq 4.2 sends them under 3.0.
    ///
    /// # Errors
    /// [`PushError::Seal`] or [`PushError::Poisoned`].
    pub fn push_pong(&mut self, pong: Pong) -> Result<(), PushError> {
        if self.failed {
            return Err(PushError::Poisoned);
        }
        if self.queue.len() >= PONG_QUEUE {
            self.pong = Some(pong);
            return Ok(());
        }
        self.pong = None;
        self.command(&Command::Pong(pong))?;
        self.queue.expect_quiet();
        Ok(())
    }

    /// Octets that wait to be written.
    #[must_use]
    #[inline]
    pub const fn pending(&self) -> usize {
        self.queue.len()
    }

    /// Whether fewer octets wait than the high-water mark, so that a message can be pushed.
    #[must_use]
    #[inline]
    pub const fn has_room(&self) -> bool {
        self.queue.len() < self.high_water_mark || self.queue.is_empty()
    }

    /// What waits, as slices in sending order, none of them empty.
    #[must_use]
    pub fn chunks(&self) -> Chunks<'_> {
        self.queue.chunks()
    }

    /// The first `count` octets of [`chunks`](Self::chunks) were written.
    pub fn advance(&mut self, count: usize) {
        self.written += count as u64;
        self.queue.advance(count);
        if let Some(pong) = self.pong.take_if(|_| self.queue.len() < PONG_QUEUE) {
            // A failure to seal has poisoned the encoder; whoever pushes next learns of it.
            let _ = self.command(&Command::Pong(pong));
        }
    }

    /// Octets written since the beginning, for those who watch progress.
    #[must_use]
    pub const fn written(&self) -> u64 {
        self.written
    }

    /// Whether the PING that was pushed last still waits behind other octets.
    #[must_use]
    pub const fn ping_waits(&self) -> bool {
        self.written < self.ping_ends
    }

    /// Whether frames leave as they are.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        self.sealer.is_identity()
    }

    /// A second encoder with the same rules and an empty queue, to collect messages elsewhere (on another task) that
    /// are [`append`](Self::append)ed to this one later. `None` where frames are sealed: those must be sealed in the
    /// order in which they are sent.
    #[must_use]
    pub fn local(&self) -> Option<Encoder<ClearSealer>> {
        self.sealer
            .is_identity()
            .then(|| Encoder::new(ClearSealer::new(), Queue::new(), self.pattern, self.version, self.high_water_mark))
    }

    /// Queues all that waits in `local`, whatever the high-water mark is, and empties it. Where nothing waits here the
    /// buffers just change hands.
    ///
    /// # Errors
    /// [`PushError::EncryptedLink`] where frames are sealed.
    pub fn append(&mut self, local: &mut Encoder<ClearSealer>) -> Result<(), PushError> {
        if !self.sealer.is_identity() {
            return Err(PushError::EncryptedLink);
        }
        self.queue.append(&mut local.queue);
        self.pong = local.pong.take().or(self.pong);
        Ok(())
    }

    #[inline]
    fn admit(&self, parts: usize, first_len: impl FnOnce() -> usize) -> Result<(), PushError> {
        self.check(parts, first_len)?;
        if !self.has_room() {
            return Err(PushError::Full { pending: self.queue.len(), limit: self.high_water_mark });
        }
        Ok(())
    }

    #[inline]
    fn check(&self, parts: usize, first_len: impl FnOnce() -> usize) -> Result<(), PushError> {
        if self.failed {
            return Err(PushError::Poisoned);
        }
        self.pattern.check_outgoing(parts, first_len)
    }

    fn command(&mut self, command: &Command) -> Result<(), PushError> {
        let mut body = std::mem::take(&mut self.scratch);
        body.clear();
        command.encode_body(&mut body);
        let pushed = self.frame(FrameKind::Command, Part::Borrowed(&body));
        self.scratch = body;
        pushed
    }

    /// Queues one frame. What is copied as it is stays in line, however many callers there are: the call would cost a
    /// third of the work. Linking and sealing have more to do than to be called.
    #[inline(always)]
    fn frame(&mut self, kind: FrameKind, part: Part<'_>) -> Result<(), PushError> {
        if !self.sealer.is_identity() {
            return self.sealed_frame(kind, part.as_slice());
        }
        self.clear_frame(kind, part);
        Ok(())
    }

    #[inline(always)]
    fn clear_frame(&mut self, kind: FrameKind, part: Part<'_>) {
        match part {
            Part::Shared(shared) if shared.len() >= LINK_FROM => self.linked_frame(kind, shared),
            part => self.copied_frame(kind, part.as_slice()),
        }
    }

    #[inline(always)]
    fn copied_frame(&mut self, kind: FrameKind, payload: &[u8]) {
        let header = FrameHeader::new(kind, payload.len() as u64).encode();
        let staged = self.queue.stage(header.len() + payload.len());
        // A copy of constant size in either branch, instead of a call.
        match header.first_chunk::<LONG_HEADER_LEN>() {
            Some(long) => put(staged, long, payload),
            None => put(staged, &[header[0], header[1]], payload),
        }
    }

    fn linked_frame(&mut self, kind: FrameKind, payload: &Bytes) {
        self.queue.extend(&FrameHeader::new(kind, payload.len() as u64).encode());
        self.queue.link(payload.clone());
    }

    fn sealed_frame(&mut self, kind: FrameKind, payload: &[u8]) -> Result<(), PushError> {
        let plan = self.sealer.plan(kind, payload.len());
        let header = FrameHeader::new(plan.kind(), plan.body_len() as u64).encode();
        let attempt = Attempt { mark: self.queue.mark(), encoder: self };
        let Self { queue, sealer, .. } = &mut *attempt.encoder;
        let (head, body) = queue.stage(header.len() + plan.body_len()).split_at_mut(header.len());
        head.copy_from_slice(&header);
        sealer.seal(&header, kind, payload, body)?;
        std::mem::forget(attempt);
        Ok(())
    }
}

/// A message of several parts, or a frame to be sealed, while it is queued: dropped before it is whole, it takes back what
/// was. That it is also if somebody's [`AsMessage`] or [`Sealer`] panics.
struct Attempt<'a, S: Sealer> {
    encoder: &'a mut Encoder<S>,
    mark: Mark,
}

impl<S: Sealer> Drop for Attempt<'_, S> {
    fn drop(&mut self) {
        let queued = self.encoder.queue.len();
        self.encoder.queue.rewind(self.mark);
        // A frame that was not sealed must not leave, and what was sealed has used up its numbers: nothing may follow, no PONG
        // that waits either.
        if queued > self.encoder.queue.len() && !self.encoder.sealer.is_identity() {
            self.encoder.failed = true;
            self.encoder.pong = None;
        }
    }
}

/// Fills `staged` with a header and a payload, which together are as long.
#[inline]
fn put<const N: usize>(staged: &mut [u8], header: &[u8; N], payload: &[u8]) {
    let (head, body) = staged.split_at_mut(N);
    head.copy_from_slice(header);
    body.copy_from_slice(payload);
}

impl<S> std::fmt::Debug for Encoder<S> {
    /// Shows sizes, never payload or keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder")
            .field("pending", &self.queue.len())
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}
