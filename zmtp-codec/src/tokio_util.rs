//! The framing as a `tokio_util` codec, for those who have a `Framed` and want nothing but frames.

use bytes::{Buf, Bytes, BytesMut};
use std::io;
use thiserror::Error;
use tokio_util::codec::{Decoder, Encoder};

use crate::{FrameError, FrameHeader, FrameKind};

/// How far the buffer may run ahead of what was received, on the strength of a declared size alone.
const AHEAD: usize = 256 * 1024;

/// One frame: its kind and its body.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Frame {
    /// What the frame is.
    pub kind: FrameKind,
    /// Its body; for a command, name and data (see [`RawCommand`](crate::RawCommand)).
    pub body: Bytes,
}

impl Frame {
    /// A frame of this kind and body.
    #[must_use]
    pub const fn new(kind: FrameKind, body: Bytes) -> Self {
        Self { kind, body }
    }
}

/// Frames in both directions over a `tokio_util::codec::Framed`: no greeting, no mechanism, no messages.
///
/// Received bodies are slices of the read buffer. A declared size alone never reserves more than 256 KiB.
#[derive(Clone, Debug)]
pub struct FrameCodec {
    max_body: usize,
}

impl FrameCodec {
    /// A codec that refuses received frames with a body above 64 MiB.
    #[must_use]
    pub const fn new() -> Self {
        Self { max_body: 64 << 20 }
    }

    /// Refuses received frames with a body of more than `octets`.
    #[must_use]
    pub const fn max_body(mut self, octets: usize) -> Self {
        self.max_body = octets;
        self
    }
}

impl Default for FrameCodec {
    fn default() -> Self {
        Self::new()
    }
}

/// Why a `Framed` of frames has failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FrameCodecError {
    /// A header outside the grammar.
    #[error("malformed frame")]
    Frame(#[from] FrameError),
    /// A frame above the limit, refused from its header.
    #[error("a frame announces {size} octets, the limit is {limit}; raise FrameCodec::max_body to accept it")]
    TooLarge {
        /// The announced size.
        size: u64,
        /// The limit.
        limit: usize,
    },
    /// The stream has failed, or ended within a frame.
    #[error("the stream has failed")]
    Io(#[from] io::Error),
}

impl Decoder for FrameCodec {
    type Item = Frame;
    type Error = FrameCodecError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Frame>, FrameCodecError> {
        let Some((header, header_len)) = FrameHeader::decode(src)? else {
            return Ok(None);
        };
        let body_len = match usize::try_from(header.size()) {
            Ok(len) if len <= self.max_body => len,
            _ => return Err(FrameCodecError::TooLarge { size: header.size(), limit: self.max_body }),
        };
        let available = src.len() - header_len;
        if available < body_len {
            src.reserve((body_len - available).min(AHEAD));
            return Ok(None);
        }
        src.advance(header_len);
        Ok(Some(Frame::new(header.kind(), src.split_to(body_len).freeze())))
    }
}

impl Encoder<Frame> for FrameCodec {
    type Error = FrameCodecError;

    fn encode(&mut self, frame: Frame, dst: &mut BytesMut) -> Result<(), FrameCodecError> {
        let header = FrameHeader::new(frame.kind, frame.body.len() as u64).encode();
        dst.reserve(header.len() + frame.body.len());
        dst.extend_from_slice(&header);
        dst.extend_from_slice(&frame.body);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    fn frames() -> Vec<Frame> {
        vec![
            Frame::new(FrameKind::More, Bytes::from_static(b"envelope")),
            Frame::new(FrameKind::Command, Bytes::from_static(b"\x04PONG")),
            Frame::new(FrameKind::Last, Bytes::from(vec![7; 300])),
            Frame::new(FrameKind::Last, Bytes::new()),
        ]
    }

    #[test]
    fn frames_survive_the_codec_octet_by_octet() {
        let mut codec = FrameCodec::new();
        let mut wire = BytesMut::new();
        for frame in frames() {
            codec.encode(frame, &mut wire).unwrap();
        }
        let mut input = BytesMut::new();
        let mut seen = Vec::new();
        for octet in wire {
            input.extend_from_slice(&[octet]);
            while let Some(frame) = codec.decode(&mut input).unwrap() {
                seen.push(frame);
            }
        }
        assert_eq!(seen, frames());
        assert!(input.is_empty());
    }

    #[test]
    fn the_limit_is_exact_and_is_checked_on_the_header() {
        let mut codec = FrameCodec::new().max_body(300);
        let header = |size| BytesMut::from(&*FrameHeader::new(FrameKind::Last, size).encode());
        assert!(codec.decode(&mut header(300)).unwrap().is_none());
        let refused = codec.decode(&mut header(301));
        assert!(matches!(refused, Err(FrameCodecError::TooLarge { size: 301, limit: 300 })));
    }

    #[test]
    fn a_declared_size_alone_reserves_little() {
        let mut input = BytesMut::from(&*FrameHeader::new(FrameKind::Last, 60 << 20).encode());
        assert!(FrameCodec::new().decode(&mut input).unwrap().is_none());
        assert!(input.capacity() <= 2 * AHEAD, "{}", input.capacity());
    }

    #[test]
    fn a_malformed_header_is_an_error() {
        let mut input = BytesMut::from(&[0x05u8][..]);
        assert!(matches!(
            FrameCodec::new().decode(&mut input),
            Err(FrameCodecError::Frame(FrameError::CommandWithMore { flags: 5 }))
        ));
    }
}
