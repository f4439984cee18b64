//! The frame: flags, size, body (RFC 37, "Framing").
//!
//! ```text
//! frame = flags(1) ‖ size(1 or 8) ‖ body(size)
//! ```
//!
//! The grammar knows three kinds of frame and no more: a *message-more*, a *message-last* and a *command*.
//! [`FrameKind`] is therefore an enum, and a command that claims to have more parts cannot be written down.

use crate::error::FrameError;

/// Bit 0 of the flags octet: more frames of this message follow.
const MORE: u8 = 0x01;
/// Bit 1 of the flags octet: the size field has eight octets, not one.
const LONG: u8 = 0x02;
/// Bit 2 of the flags octet: the frame is a command.
const COMMAND: u8 = 0x04;
/// Bits 3 to 7: must be zero. libzmq ignores them; the RFC and we do not, since a set bit means a stream out of step.
const RESERVED: u8 = 0xf8;

/// Octets of the shortest header: flags and a one-octet size.
pub const SHORT_HEADER_LEN: usize = 2;
/// Octets of the longest header: flags and an eight-octet size.
pub const LONG_HEADER_LEN: usize = 9;
/// The largest body that a short header can announce.
pub const SHORT_BODY_MAX: usize = 255;

/// What a frame is, of the three kinds in the grammar.
#[expect(
    clippy::exhaustive_enums,
    reason = "the grammar of ZMTP 3.x has exactly these three; a fourth would be another protocol"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FrameKind {
    /// A message frame that is followed by another one of the same message.
    More,
    /// The last, or only, frame of a message.
    Last,
    /// A command. Commands may stand between the frames of a message and do not end it.
    Command,
}

impl FrameKind {
    /// The kind of a message frame.
    #[must_use]
    pub const fn message(more: bool) -> Self {
        if more { Self::More } else { Self::Last }
    }

    /// True for [`FrameKind::Command`].
    #[must_use]
    pub const fn is_command(self) -> bool {
        matches!(self, Self::Command)
    }

    const fn bits(self) -> u8 {
        match self {
            Self::More => MORE,
            Self::Last => 0,
            Self::Command => COMMAND,
        }
    }
}

/// The header of one frame: its kind and the size of its body.
///
/// Twelve octets of plain data; decoding and encoding allocate nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FrameHeader {
    kind: FrameKind,
    size: u64,
}

impl FrameHeader {
    /// A header for a body of `size` octets.
    #[must_use]
    pub const fn new(kind: FrameKind, size: u64) -> Self {
        Self { kind, size }
    }

    /// What the frame is.
    #[must_use]
    pub const fn kind(self) -> FrameKind {
        self.kind
    }

    /// Octets of the body that follows the header: at most 2^63 − 1 when it was decoded.
    #[must_use]
    pub const fn size(self) -> u64 {
        self.size
    }

    /// Reads a header from the front of `input`, and says how many octets it took (2 or 9).
    ///
    /// `Ok(None)` means that more octets are needed; nothing is wrong so far. A long header for a short body is legal
    /// and accepted (RFC 37 asks only senders for the short form). The caller compares the size with its limits
    /// before it reserves anything.
    ///
    /// # Errors
    /// [`FrameError`] for a flags octet outside the grammar, from the first octet on, and for a size of 2^63 or more.
    #[inline]
    pub const fn decode(input: &[u8]) -> Result<Option<(Self, usize)>, FrameError> {
        let Some((&flags, rest)) = input.split_first() else {
            return Ok(None);
        };
        let kind = match flags & !LONG {
            0 => FrameKind::Last,
            MORE => FrameKind::More,
            COMMAND => FrameKind::Command,
            _ if flags & RESERVED != 0 => return Err(FrameError::ReservedFlags { flags }),
            _ => return Err(FrameError::CommandWithMore { flags }),
        };
        if flags & LONG == 0 {
            return match rest.first() {
                Some(&size) => Ok(Some((Self { kind, size: size as u64 }, SHORT_HEADER_LEN))),
                None => Ok(None),
            };
        }
        match rest.first_chunk::<8>() {
            Some(octets) => {
                let size = u64::from_be_bytes(*octets);
                if size > i64::MAX as u64 {
                    return Err(FrameError::SizeOutOfRange { size });
                }
                Ok(Some((Self { kind, size }, LONG_HEADER_LEN)))
            }
            None => Ok(None),
        }
    }

    /// The header as it goes on the wire: always the shortest form.
    #[must_use]
    #[inline]
    pub const fn encode(self) -> EncodedHeader {
        let mut octets = [0; LONG_HEADER_LEN];
        if self.size <= SHORT_BODY_MAX as u64 {
            octets[0] = self.kind.bits();
            #[expect(clippy::cast_possible_truncation, reason = "just compared with 255")]
            let size = self.size as u8;
            octets[1] = size;
            return EncodedHeader { octets, len: SHORT_HEADER_LEN };
        }
        let [a, b, c, d, e, f, g, h] = self.size.to_be_bytes();
        EncodedHeader { octets: [self.kind.bits() | LONG, a, b, c, d, e, f, g, h], len: LONG_HEADER_LEN }
    }

    /// Octets that [`encode`](Self::encode) takes for a body of `body_len` octets: 2 or 9.
    #[must_use]
    #[inline]
    pub const fn len_for(body_len: usize) -> usize {
        if body_len <= SHORT_BODY_MAX { SHORT_HEADER_LEN } else { LONG_HEADER_LEN }
    }
}

/// A header in its wire form, on the stack. Dereferences to its 2 or 9 octets.
#[derive(Clone, Copy, Debug)]
pub struct EncodedHeader {
    octets: [u8; LONG_HEADER_LEN],
    len: usize,
}

impl core::ops::Deref for EncodedHeader {
    type Target = [u8];

    #[inline]
    #[expect(clippy::indexing_slicing, reason = "len is 2 or 9, by the only constructor")]
    fn deref(&self) -> &[u8] {
        &self.octets[..self.len]
    }
}

impl AsRef<[u8]> for EncodedHeader {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(input: &[u8]) -> Result<Option<(FrameHeader, usize)>, FrameError> {
        FrameHeader::decode(input)
    }

    #[test]
    fn the_six_legal_flag_octets_are_accepted_and_no_others() {
        for flags in 0..=u8::MAX {
            let mut input = [0u8; 9];
            input[0] = flags;
            let legal = matches!(flags, 0x00 | 0x01 | 0x02 | 0x03 | 0x04 | 0x06);
            assert_eq!(decode(&input).is_ok(), legal, "flags {flags:#04x}");
        }
    }

    #[test]
    fn a_bad_flags_octet_is_refused_before_the_size_is_there() {
        assert_eq!(decode(&[0x08]), Err(FrameError::ReservedFlags { flags: 0x08 }));
        assert_eq!(decode(&[0x05]), Err(FrameError::CommandWithMore { flags: 0x05 }));
        assert_eq!(decode(&[0x07]), Err(FrameError::CommandWithMore { flags: 0x07 }));
        assert_eq!(decode(&[0xfd]), Err(FrameError::ReservedFlags { flags: 0xfd }));
    }

    #[test]
    fn headers_round_trip_at_every_boundary_in_their_shortest_form() {
        for size in [0, 1, 254, 255, 256, 65_535, 1 << 31, u64::from(u32::MAX), 1 << 32, i64::MAX as u64] {
            for kind in [FrameKind::More, FrameKind::Last, FrameKind::Command] {
                let header = FrameHeader::new(kind, size);
                let wire = header.encode();
                assert_eq!(wire.len(), if size <= 255 { 2 } else { 9 });
                assert_eq!(decode(&wire), Ok(Some((header, wire.len()))));
                for cut in 0..wire.len() {
                    assert_eq!(decode(&wire[..cut]), Ok(None), "size {size}, {cut} octets");
                }
            }
        }
    }

    #[test]
    fn a_long_header_for_a_short_body_is_accepted() {
        // F03, F04, H05
        assert_eq!(decode(&[2, 0, 0, 0, 0, 0, 0, 0, 0]), Ok(Some((FrameHeader::new(FrameKind::Last, 0), 9))));
        assert_eq!(decode(&[6, 0, 0, 0, 0, 0, 0, 0, 5]), Ok(Some((FrameHeader::new(FrameKind::Command, 5), 9))));
    }

    #[test]
    fn sizes_from_two_to_the_63_on_are_refused() {
        // F05, F06: libzmq closes only because its allocation fails.
        for size in [1 << 63, u64::MAX] {
            let mut wire = [0; 9];
            wire[0] = LONG;
            wire[1..].copy_from_slice(&size.to_be_bytes());
            assert_eq!(decode(&wire), Err(FrameError::SizeOutOfRange { size }));
        }
    }
}
