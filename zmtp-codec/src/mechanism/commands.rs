//! Handshake commands in their exact wire form, as written and as read.
//!
//! A mechanism that keeps a transcript hashes these octets, never a reconstruction of them.

use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use zeroize::Zeroize as _;

use crate::{Command, CommandError, FrameHeader, FrameKind, RawCommand};

/// The handshake commands that wait to be sent: whole frames, one behind the other. `Debug` shows how long they are.
#[derive(Default)]
pub struct Commands {
    wire: Vec<u8>,
}

impl Commands {
    /// No commands yet. Allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { wire: Vec::new() }
    }

    /// Adds the command `name` whose data is the concatenation of `data`, and returns the frame exactly as it will be
    /// sent.
    ///
    /// # Panics
    /// When `name` is empty or has more than 255 octets: command names are constants of a mechanism.
    #[expect(clippy::panic, reason = "a programmer's mistake in a constant, never reached by what a peer sends")]
    pub fn push(&mut self, name: &'static str, data: &[&[u8]]) -> &[u8] {
        let name_len = match u8::try_from(name.len()) {
            Ok(len) if len > 0 => len,
            _ => panic!("a command name has 1 to 255 octets"),
        };
        let body_len = 1 + name.len() + data.iter().map(|piece| piece.len()).sum::<usize>();
        let start = self.begin(body_len);
        self.wire.push(name_len);
        self.wire.extend_from_slice(name.as_bytes());
        for piece in data {
            self.wire.extend_from_slice(piece);
        }
        self.wire.get(start..).unwrap_or_default()
    }

    /// Adds `command` and returns the frame exactly as it will be sent.
    pub fn push_command(&mut self, command: &Command) -> &[u8] {
        let start = self.begin(command.body_len());
        command.encode_body(&mut self.wire);
        self.wire.get(start..).unwrap_or_default()
    }

    /// All frames so far.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.wire
    }

    /// True when nothing waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.wire.is_empty()
    }

    /// Forgets the frames, once they were handed on, and wipes them: one of them may have a password in it. Keeps the
    /// allocation.
    pub fn clear(&mut self) {
        self.wire.zeroize();
    }

    fn begin(&mut self, body_len: usize) -> usize {
        let start = self.wire.len();
        let header = FrameHeader::new(FrameKind::Command, body_len as u64).encode();
        self.wire.reserve(header.len() + body_len);
        self.wire.extend_from_slice(&header);
        start
    }
}

impl fmt::Debug for Commands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Commands").field("octets", &self.wire.len()).finish()
    }
}

/// A handshake command as it was received: every octet of its frame.
///
/// The body is not parsed yet, since not all of them parse: libzmq's PLAIN server misspells its ERROR so that its name
/// length points past the end. Mechanisms without such quirks begin with [`parse`](Self::parse). `Debug` shows how long it is:
/// it may have a password in it.
#[derive(Clone, Copy)]
pub struct WireCommand<'a> {
    wire: &'a [u8],
    header_len: usize,
    now: Duration,
}

impl<'a> WireCommand<'a> {
    /// The command frame `wire`, whose header takes the first `header_len` octets, to be handled at `now`: on the clock of
    /// [`HandshakeContext::now`](crate::HandshakeContext::now), a monotonic time from an origin that is the same for all
    /// connections of one mechanism value. Who passes a constant keeps for ever what a mechanism would let expire.
    #[must_use]
    pub const fn new(wire: &'a [u8], header_len: usize, now: Duration) -> Self {
        Self { wire, header_len, now }
    }

    /// When it is handled, on the clock of [`HandshakeContext::now`](crate::HandshakeContext::now): for what must not live
    /// too long, such as the keys of cookies.
    #[must_use]
    pub const fn now(&self) -> Duration {
        self.now
    }

    /// The whole frame, header and body.
    #[must_use]
    pub const fn wire(&self) -> &'a [u8] {
        self.wire
    }

    /// The frame's header as it was received, which need not be the shortest form.
    #[must_use]
    pub fn header(&self) -> &'a [u8] {
        self.wire.get(..self.header_len).unwrap_or_default()
    }

    /// The frame's body: name length, name and data.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.wire.get(self.header_len..).unwrap_or_default()
    }

    /// The command's name and data.
    ///
    /// # Errors
    /// [`CommandError`] when the body has no well-formed name.
    pub fn parse(&self) -> Result<RawCommand<'a>, CommandError> {
        RawCommand::decode(self.body())
    }
}

impl fmt::Debug for WireCommand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WireCommand").field("octets", &self.wire.len()).finish()
    }
}
