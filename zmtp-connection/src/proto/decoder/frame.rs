//! One frame further: from its header, held against the limits, to its payload.

use std::ops::Range;

use bytes::Buf;
use zmtp_codec::{FrameHeader, FrameKind, OpenError, Opened, Opener};

use super::super::large::{LARGE_BODY, LargeBody};
use super::super::message_ref::At;
use super::Decoder;
use crate::error::DecodeError;

/// One frame further.
pub(super) enum Step {
    /// The frame was a part, now in `one` or `parts`.
    Part {
        more: bool,
    },
    Command(At),
}

impl<O: Opener> Decoder<O> {
    /// Takes the next frame, if it is all there.
    #[inline]
    pub(super) fn step(&mut self, max_message: usize) -> Result<Option<Step>, DecodeError> {
        if self.large.is_some() {
            return self.step_large(max_message);
        }
        let input = &self.buf[self.scan..];
        let Some((header, header_len)) = FrameHeader::decode(input)? else {
            self.missing = 0;
            return Ok(None);
        };
        let body_len = self.check_declared(header, max_message)?;
        let body_at = self.scan + header_len;
        let available = self.buf.len() - body_at;
        if available < body_len {
            if body_len >= LARGE_BODY {
                self.begin_large(header.kind(), header_len, body_len);
            } else {
                self.missing = body_len - available;
            }
            return Ok(None);
        }
        let frame_at = self.scan;
        self.scan = body_at + body_len;
        self.missing = 0;
        if self.opener.is_identity() {
            return self.take(header.kind(), At::Buffered(body_at..self.scan)).map(Some);
        }
        let (header_octets, body) = self.buf[frame_at..self.scan].split_at_mut(header_len);
        let opened = self.opener.open(header_octets, header.kind(), body)?;
        let payload = checked_payload(&opened, body_len)?;
        let at = At::Buffered(body_at + payload.start..body_at + payload.end);
        self.check_opened(opened.kind(), at.len(), max_message)?;
        self.take(opened.kind(), at).map(Some)
    }

    /// Adds an opened frame to the message, or passes it on as a command.
    #[inline]
    fn take(&mut self, kind: FrameKind, at: At) -> Result<Step, DecodeError> {
        let more = match kind {
            FrameKind::Command => return Ok(Step::Command(at)),
            FrameKind::More => true,
            FrameKind::Last => false,
        };
        self.payload += at.len();
        match at {
            At::Buffered(range) if !more && self.parts.is_empty() => self.one = range,
            at => {
                if self.parts.len() >= self.limits.parts {
                    return Err(DecodeError::TooManyParts { limit: self.limits.parts });
                }
                self.parts.push(at);
            }
        }
        Ok(Step::Part { more })
    }

    /// Holds a header against the limits, before anything is reserved for its body.
    #[inline]
    fn check_declared(&self, header: FrameHeader, max_message: usize) -> Result<usize, DecodeError> {
        let overhead = self.opener.overhead();
        // Under encryption the header does not show what is inside; then it must be small enough for either, and the
        // exact limit applies after opening.
        let limit = match header.kind() {
            FrameKind::Command if self.opener.is_identity() => self.limits.command,
            _ if self.opener.is_identity() => self.limits.frame,
            _ => self.limits.frame.min(max_message).max(self.limits.command),
        };
        let size = usize::try_from(header.size()).unwrap_or(usize::MAX);
        if size > limit.saturating_add(overhead) {
            return Err(match header.kind() {
                FrameKind::Command => DecodeError::CommandTooLarge { size: header.size(), limit },
                _ => DecodeError::FrameTooLarge { size: header.size(), limit },
            });
        }
        if self.opener.is_identity() && !header.kind().is_command() {
            self.check_message(size, max_message)?;
        }
        Ok(size)
    }

    /// Holds an opened frame against the limits, which count payload only.
    fn check_opened(&self, kind: FrameKind, len: usize, max_message: usize) -> Result<(), DecodeError> {
        let limits = &self.limits;
        if kind.is_command() {
            if len > limits.command {
                return Err(DecodeError::CommandTooLarge { size: len as u64, limit: limits.command });
            }
            return Ok(());
        }
        if len > limits.frame {
            return Err(DecodeError::FrameTooLarge { size: len as u64, limit: limits.frame });
        }
        self.check_message(len, max_message)
    }

    #[inline]
    pub(super) fn check_message(&self, len: usize, limit: usize) -> Result<(), DecodeError> {
        let at_least = self.payload.saturating_add(len);
        if at_least > limit { Err(DecodeError::MessageTooLarge { at_least, limit }) } else { Ok(()) }
    }

    /// Moves what is already there of a large body to an allocation of its own.
    fn begin_large(&mut self, kind: FrameKind, header_len: usize, want: usize) {
        let (header, prefix) = self.buf[self.scan..].split_at(header_len);
        self.large = Some(LargeBody::begin(header, kind, prefix, want, self.spare.take()));
        self.buf.truncate(self.scan);
        self.missing = 0;
    }

    fn step_large(&mut self, max_message: usize) -> Result<Option<Step>, DecodeError> {
        let Some(mut large) = self.large.take_if(|large| large.is_complete()) else {
            return Ok(None);
        };
        let (kind, payload) = if self.opener.is_identity() {
            (large.kind(), 0..large.len())
        } else {
            let (kind, body_len) = (large.kind(), large.len());
            let (header, body) = large.parts_mut();
            let opened = self.opener.open(header, kind, body)?;
            let payload = checked_payload(&opened, body_len)?;
            self.check_opened(opened.kind(), payload.len(), max_message)?;
            (opened.kind(), payload)
        };
        let mut octets = large.into_body().freeze();
        octets.truncate(payload.end);
        octets.advance(payload.start);
        self.take(kind, At::Own(octets)).map(Some)
    }
}

/// A mechanism of somebody else's may be wrong about where its payload lies.
#[inline]
fn checked_payload(opened: &Opened, body_len: usize) -> Result<Range<usize>, OpenError> {
    let payload = opened.payload();
    if payload.start <= payload.end && payload.end <= body_len {
        return Ok(payload);
    }
    Err(OpenError::Malformed("the mechanism says that the payload lies outside the frame"))
}
