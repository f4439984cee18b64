//! Octets in, messages and commands out.
//!
//! The decoder owns the receive buffer and lends it out to be filled. It walks over the frames in it, opens them in
//! place and keeps only an index of where the parts of the current message lie. Nothing is copied and nothing is
//! reference-counted until somebody asks to keep a message; whoever only looks at it pays for neither.
//!
//! A body of [`LARGE_BODY`] octets or more that is not there yet gets an allocation of its own, and is read straight
//! into it: only what was already read of it is moved there.

mod frame;

use std::ops::Range;

use bytes::buf::{BufMut, Limit};
use bytes::{Buf, Bytes, BytesMut};
use zmtp_codec::{Command, CommandName, FrameHeader, FrameKind, Opener, Ping, Pong, RawCommand};

use self::frame::Step;
use super::large::{LARGE_BODY, LargeBody, spare};
use super::message_ref::{At, MessageRef};
use super::pattern::Pattern;
use crate::config::Limits;
use crate::error::DecodeError;
use crate::message::Message;

/// Four times this much of an empty receive buffer is kept by whoever drives the decoder himself: a message that comes in
/// pieces must not grow the buffer anew each time. The tokio shell keeps less while it waits.
const KEEP: usize = 16 * 1024;

/// Parts up to this size are copied out for whoever keeps them. That takes less time than to share the receive buffer
/// (three atomic operations, and a new buffer for the next read as long as they are kept), and a kept part of 20 octets
/// does not hold 64 KiB.
const COPY_UP_TO: usize = 1024;

/// The receiving direction of a ready connection.
///
/// Call order: fill [`receive_buffer`](Self::receive_buffer), then [`poll`](Self::poll) until it returns `None`, then
/// fill again. After [`Decoded::Message`], and before the next `poll`, look at the message with
/// [`message`](Self::message) or keep it with [`take_message`](Self::take_message).
///
/// An error ends the connection: every later `poll` fails with [`DecodeError::Poisoned`].
pub struct Decoder<O> {
    opener: O,
    limits: Limits,
    pattern: Pattern,
    /// Received octets. Those before `base` were handed out; frames up to `scan` are indexed.
    buf: BytesMut,
    base: usize,
    scan: usize,
    /// How many octets the frame at `scan` still lacks, as far as is known.
    missing: usize,
    /// A message of one buffered part; only meaningful while `parts` is empty.
    one: Range<usize>,
    /// The parts of the message under assembly, or of the one being lent.
    parts: Vec<At>,
    /// Octets in the parts so far.
    payload: usize,
    /// The message under `one` or `parts` is complete and was announced.
    announced: bool,
    /// The frame interface is in the middle of a message.
    amid_frames: bool,
    large: Option<LargeBody>,
    /// For the next large body.
    spare: Option<BytesMut>,
    ignored: u64,
    failed: bool,
    /// See [`next_plain`](Self::next_plain): for parts of fewer octets than this, which is 0 where there is no such.
    plain_below: u64,
}

/// What [`Decoder::poll`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decoded {
    /// A whole message: look at it or take it before the next poll.
    Message,
    /// A command for the application: SUBSCRIBE, CANCEL, JOIN, LEAVE, or one that we do not know.
    Command(Command),
    /// The peer asks for a sign of life: answer with a PONG.
    Ping(Ping),
    /// The peer answers our PING.
    Pong(Pong),
}

/// What [`Decoder::poll_frame`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodedFrame {
    /// One frame of a message, and whether more of the same message follow.
    Part {
        /// The frame's payload.
        payload: Bytes,
        /// More frames of this message follow.
        more: bool,
    },
    /// As [`Decoded::Command`].
    Command(Command),
    /// As [`Decoded::Ping`].
    Ping(Ping),
    /// As [`Decoded::Pong`].
    Pong(Pong),
}

impl<O: Opener> Decoder<O> {
    /// A decoder for what `opener` opens. `leftover` was received behind the handshake.
    pub(crate) fn new(opener: O, limits: Limits, pattern: Pattern, leftover: BytesMut) -> Self {
        let plain = opener.is_identity() && pattern.is_plain();
        let plain_below = if plain { (limits.frame.min(limits.message) as u64).saturating_add(1) } else { 0 };
        Self {
            opener,
            limits,
            pattern,
            buf: leftover,
            base: 0,
            scan: 0,
            missing: 0,
            one: 0..0,
            parts: Vec::new(),
            payload: 0,
            announced: false,
            amid_frames: false,
            large: None,
            spare: None,
            ignored: 0,
            failed: false,
            plain_below,
        }
    }

    /// Memory to read into. `hint` is how much one read may bring; it is at least what the current frame lacks, and
    /// never more than what a large body lacks.
    ///
    /// Costs nothing while there is room. A buffer whose messages were all dropped is used again.
    pub fn receive_buffer(&mut self, hint: usize) -> Limit<&mut BytesMut> {
        if self.announced {
            // The message that was announced and not taken yet stays where it is.
            self.buf.reserve(hint);
        } else if self.large.is_none() {
            self.release();
            self.make_room(hint);
        }
        match &mut self.large {
            Some(large) => large.receive_buffer(),
            None => (&mut self.buf).limit(hint.max(self.missing).max(1)),
        }
    }

    /// Gives the receive buffer back if nothing is in it and it is larger than `keep` octets: for who has to wait, perhaps for
    /// long. To allocate it anew takes a hundredth of the time of the system call that says that there is something.
    #[cfg(feature = "net")]
    pub(crate) fn give_back(&mut self, keep: usize) {
        if !self.buf.is_empty() || self.large.is_some() || !self.parts.is_empty() || self.announced {
            return;
        }
        self.spare = None;
        if self.buf.capacity() > keep {
            self.buf = BytesMut::new();
            (self.base, self.scan) = (0, 0);
        }
    }

    /// Copies `octets` in, for callers that have them in a buffer of their own.
    ///
    /// It takes a part of a large body at a time, so it may have to be called again: it returns how many octets it
    /// took, after which [`poll`](Self::poll) is due.
    pub fn receive(&mut self, octets: &[u8]) -> usize {
        let mut room = self.receive_buffer(octets.len());
        let count = octets.len().min(room.remaining_mut());
        room.put_slice(&octets[..count]);
        count
    }

    /// The next thing in the buffer; `None` when more octets are needed. Linear in what it consumes, no recursion.
    ///
    /// # Errors
    /// [`DecodeError`] for anything the peer may not send. What came before it was returned before.
    #[inline]
    pub fn poll(&mut self) -> Result<Option<Decoded>, DecodeError> {
        if self.next_plain() { Ok(Some(Decoded::Message)) } else { self.poll_any() }
    }

    /// Takes the next message if it is the most usual one: a single frame in the clear, complete in the buffer and
    /// within the limits. Changes nothing otherwise. Everything else, and every error, is for
    /// [`poll_any`](Self::poll_any), which could do this as well, in three times as many instructions.
    #[inline]
    pub(crate) fn next_plain(&mut self) -> bool {
        let Some(part) = self.plain_part() else { return false };
        self.base = self.scan;
        self.scan = part.end;
        self.one = part;
        self.missing = 0;
        self.announced = true;
        true
    }

    /// Where the part of the next message lies, if that is one for [`next_plain`](Self::next_plain).
    #[inline]
    fn plain_part(&self) -> Option<Range<usize>> {
        if !self.parts.is_empty() || self.amid_frames {
            return None;
        }
        // While a large body is received elsewhere, there is nothing here.
        let Ok(Some((header, header_len))) = FrameHeader::decode(&self.buf[self.scan..]) else { return None };
        let at = self.scan + header_len;
        let available = self.buf.len() - at;
        if header.kind() != FrameKind::Last || header.size() >= self.plain_below || header.size() > available as u64 {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "just compared with the length of the buffer")]
        let len = header.size() as usize;
        Some(at..at + len)
    }

    fn poll_any(&mut self) -> Result<Option<Decoded>, DecodeError> {
        self.begin_poll()?;
        if self.amid_frames {
            return Err(DecodeError::MidMessage);
        }
        if self.scan == self.buf.len() && self.large.is_none() {
            // Nothing is here, as a connection finds that is about to wait.
            return Ok(None);
        }
        loop {
            let found = match self.step(self.limits.message) {
                Ok(None) => return Ok(None),
                Ok(Some(Step::Part { more: true })) => continue,
                Ok(Some(Step::Part { more: false })) => self.complete(),
                Ok(Some(Step::Command(at))) => self.command(&at),
                Err(error) => Err(error),
            };
            match found {
                Ok(None) => self.release(),
                Ok(found) => return Ok(found),
                Err(error) => return Err(self.fail(error)),
            }
        }
    }

    /// The next frame in the buffer, as soon as it is there: the incremental interface, for messages too large to
    /// hold. The limits for whole messages and for the number of parts do not apply here, nor do the rules of the
    /// socket type; the limit for a frame does. May take over a message that [`poll`](Self::poll) has begun; the
    /// other way round only between messages.
    ///
    /// # Errors
    /// As [`poll`](Self::poll).
    pub fn poll_frame(&mut self) -> Result<Option<DecodedFrame>, DecodeError> {
        self.begin_poll()?;
        if !self.parts.is_empty() {
            // Left by `poll` in the middle of a message: these are all followed by more.
            let at = self.parts.remove(0);
            let payload = match at {
                At::Buffered(range) => Bytes::copy_from_slice(&self.buf[range]),
                At::Own(octets) => octets,
            };
            self.amid_frames = true;
            return Ok(Some(DecodedFrame::Part { payload, more: true }));
        }
        loop {
            self.payload = 0;
            let found = match self.step(usize::MAX) {
                Ok(None) => return Ok(None),
                Ok(Some(Step::Part { more })) => {
                    self.amid_frames = more;
                    let payload = self.take_assembled().into_parts().swap_remove(0);
                    return Ok(Some(DecodedFrame::Part { payload, more }));
                }
                Ok(Some(Step::Command(at))) => self.command(&at),
                Err(error) => Err(error),
            };
            match found {
                Ok(None) => self.release(),
                Ok(Some(Decoded::Command(command))) => return Ok(Some(DecodedFrame::Command(command))),
                Ok(Some(Decoded::Ping(ping))) => return Ok(Some(DecodedFrame::Ping(ping))),
                Ok(Some(Decoded::Pong(pong))) => return Ok(Some(DecodedFrame::Pong(pong))),
                Ok(Some(Decoded::Message)) => return Ok(None),
                Err(error) => return Err(self.fail(error)),
            }
        }
    }

    /// The message that [`Decoded::Message`] announced, lent until the next call. Costs nothing. One empty part if the
    /// last poll announced none.
    #[must_use]
    #[inline]
    pub fn message(&self) -> MessageRef<'_> {
        if self.announced { self.assembled() } else { MessageRef::one(&[]) }
    }

    /// The message that [`Decoded::Message`] announced, to keep. A single part of up to 1 KiB is copied into an
    /// allocation of its own; otherwise there is one reference count for the message, and one more for each further
    /// part. One empty part if the last poll announced none, or it was taken already.
    #[must_use]
    #[inline]
    pub fn take_message(&mut self) -> Message {
        if !self.announced {
            return Message::from(Bytes::new());
        }
        self.take_assembled()
    }

    /// As [`next_plain`](Self::next_plain), and takes the message if it is a small one: its octets are for the caller to copy.
    #[cfg(feature = "net")]
    #[inline]
    pub(crate) fn take_plain(&mut self) -> Option<&[u8]> {
        let part = self.plain_part().filter(|part| part.len() <= COPY_UP_TO)?;
        self.release();
        (self.base, self.scan) = (part.end, part.end);
        self.missing = 0;
        Some(&self.buf[part])
    }

    #[inline]
    fn assembled(&self) -> MessageRef<'_> {
        match self.parts.as_slice() {
            [] => MessageRef::one(&self.buf[self.one.clone()]),
            parts => MessageRef::many(&self.buf, parts),
        }
    }

    fn take_assembled(&mut self) -> Message {
        self.announced = false;
        self.payload = 0;
        if let [At::Own(octets)] = self.parts.as_mut_slice() {
            let octets = std::mem::take(octets);
            self.parts.clear();
            self.base = self.scan;
            return Message::from(octets);
        }
        if self.parts.is_empty() && self.one.len() <= COPY_UP_TO {
            self.base = self.scan;
            return Message::copied(&self.buf[self.one.clone()]);
        }
        let mut span = self.buf.split_to(self.scan).freeze();
        self.base = 0;
        self.scan = 0;
        if self.parts.is_empty() {
            let one = std::mem::replace(&mut self.one, 0..0);
            span.truncate(one.end);
            span.advance(one.start);
            return Message::from(span);
        }
        let parts = self.parts.drain(..).map(|at| match at {
            At::Buffered(range) => span.slice(range),
            At::Own(octets) => octets,
        });
        // There is at least one: `parts` was not empty.
        Message::from_parts(parts).unwrap_or_else(|| Message::from(Bytes::new()))
    }

    /// To be called at the end of the stream.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] when it ended inside a frame or between the frames of a message.
    pub fn finish(&mut self) -> Result<(), DecodeError> {
        self.begin_poll()?;
        let clean = self.buf.len() == self.scan && self.large.is_none() && self.parts.is_empty() && !self.amid_frames;
        if clean { Ok(()) } else { Err(self.fail(DecodeError::Truncated)) }
    }

    /// Whether nothing more can be received before the next poll: a large body is complete.
    #[cfg(feature = "net")]
    pub(crate) fn is_full(&self) -> bool {
        self.large.as_ref().is_some_and(LargeBody::is_complete)
    }

    /// Octets received and not yet handed out.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.buf.len() - self.base + self.large.as_ref().map_or(0, LargeBody::len)
    }

    /// How many well-formed things were dropped because they mean nothing to our socket type: subscriptions where
    /// nothing is published, groups where there are none, multipart messages where a message has one part.
    #[must_use]
    pub const fn ignored(&self) -> u64 {
        self.ignored
    }

    /// Octets received and not yet handed out. Of a large body under way, nothing.
    #[must_use]
    pub fn into_leftover(mut self) -> Bytes {
        self.release();
        self.drop_consumed();
        self.buf.freeze()
    }

    fn begin_poll(&mut self) -> Result<(), DecodeError> {
        if self.failed {
            return Err(DecodeError::Poisoned);
        }
        self.release();
        Ok(())
    }

    fn fail(&mut self, error: DecodeError) -> DecodeError {
        self.failed = true;
        self.plain_below = 0;
        self.buf = BytesMut::new();
        self.parts = Vec::new();
        self.one = 0..0;
        self.large = None;
        self.spare = None;
        (self.base, self.scan) = (0, 0);
        error
    }

    /// Lets go of the message that was lent, and of everything else that is behind us.
    #[inline]
    fn release(&mut self) {
        if self.announced {
            self.announced = false;
            self.payload = 0;
            self.drop_parts();
        }
        if self.parts.is_empty() {
            self.base = self.scan;
        }
    }

    #[inline]
    fn drop_parts(&mut self) {
        for part in self.parts.drain(..) {
            if let At::Own(octets) = part {
                self.spare = spare(octets).or(self.spare.take());
            }
        }
    }

    /// The message is complete: announce it, drop it or refuse it, as our socket type has it.
    #[inline]
    fn complete(&mut self) -> Result<Option<Decoded>, DecodeError> {
        self.announced = true;
        let parts = self.parts.len().max(1);
        if self.pattern.is_plain() || self.pattern.admits(parts, self.assembled().first().len())? {
            return Ok(Some(Decoded::Message));
        }
        self.ignored += 1;
        Ok(None)
    }

    fn command(&mut self, at: &At) -> Result<Option<Decoded>, DecodeError> {
        let body = at.slice(&self.buf);
        let raw = RawCommand::decode(body)?;
        // The heartbeats of every connection come through here; they are read where they lie.
        if raw.name == CommandName::PING.as_bytes() {
            return Ok(Some(Decoded::Ping(Ping::decode(raw.data)?)));
        }
        if raw.name == CommandName::PONG.as_bytes() {
            return Ok(Some(Decoded::Pong(Pong::decode(raw.data)?)));
        }
        let command = Command::decode(match at {
            At::Buffered(_) => Bytes::copy_from_slice(body),
            At::Own(octets) => octets.clone(),
        })?;
        match &command {
            Command::Ready(_) => Err(DecodeError::UnexpectedReady),
            Command::Error(reason) => Err(DecodeError::PeerError { reason: reason.clone() }),
            command if !self.pattern.wants(command) => {
                self.ignored += 1;
                Ok(None)
            }
            _ => Ok(Some(Decoded::Command(command))),
        }
    }

    /// Room in the common buffer for `hint` octets and for the rest of the current frame.
    fn make_room(&mut self, hint: usize) {
        self.drop_consumed();
        if self.buf.is_empty() && self.buf.capacity() > 4 * hint.max(KEEP) {
            // Give back what a burst needed.
            self.buf = BytesMut::new();
        }
        let want = hint.max(self.missing);
        if self.buf.capacity() == 0 {
            // Room as well for the beginning of a frame that one read leaves to the next.
            self.buf.reserve(want.saturating_add((want / 2).min(LARGE_BODY)));
        }
        if self.buf.capacity() - self.buf.len() < want {
            if !self.parts.is_empty() {
                self.compact();
            }
            self.buf.reserve(want);
        }
    }

    /// Forgets the octets that were handed out.
    fn drop_consumed(&mut self) {
        if self.base == 0 {
            return;
        }
        if self.base == self.buf.len() {
            self.buf.clear();
        } else {
            self.buf.advance(self.base);
        }
        self.scan -= self.base;
        for part in &mut self.parts {
            if let At::Buffered(range) = part {
                *range = range.start - self.base..range.end - self.base;
            }
        }
        self.base = 0;
    }

    /// Squeezes everything but payload out of an unfinished message, so that what is kept of it counts against the
    /// message limit: a peer that sends commands between two parts for ever fills no memory.
    fn compact(&mut self) {
        let mut to = 0;
        for part in &mut self.parts {
            if let At::Buffered(range) = part {
                let len = range.len();
                if range.start != to {
                    self.buf.copy_within(range.clone(), to);
                }
                *range = to..to + len;
                to += len;
            }
        }
        let rest = self.buf.len() - self.scan;
        self.buf.copy_within(self.scan.., to);
        self.buf.truncate(to + rest);
        self.scan = to;
    }
}

impl<O> std::fmt::Debug for Decoder<O> {
    /// Shows sizes, never payload or keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder")
            .field("buffered", &(self.buf.len() - self.base))
            .field("parts", &self.parts.len())
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}
