//! A message lent out of the receive buffer.

use std::ops::Range;

use bytes::Bytes;

use crate::message::{AsMessage, Message, Part};

/// Where the payload of a frame lies.
#[derive(Clone, Debug)]
pub(crate) enum At {
    /// In the receive buffer.
    Buffered(Range<usize>),
    /// In an allocation of its own.
    Own(Bytes),
}

impl At {
    #[inline]
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Buffered(range) => range.len(),
            Self::Own(octets) => octets.len(),
        }
    }

    #[inline]
    pub(crate) fn slice<'a>(&'a self, buf: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Buffered(range) => &buf[range.clone()],
            Self::Own(octets) => octets,
        }
    }
}

/// A received message, lent: its parts are slices of the receive buffer, without copies or reference counts.
///
/// It can be sent on as it is (it is [`AsMessage`]), or kept with [`to_message`](Self::to_message).
#[derive(Clone, Copy)]
pub struct MessageRef<'a> {
    /// The part of a message of one that lies in the receive buffer; else the receive buffer.
    buf: &'a [u8],
    /// Empty for a message of one part that lies in the receive buffer.
    parts: &'a [At],
}

impl<'a> MessageRef<'a> {
    #[inline]
    pub(crate) const fn one(part: &'a [u8]) -> Self {
        Self { buf: part, parts: &[] }
    }

    #[inline]
    pub(crate) const fn many(buf: &'a [u8], parts: &'a [At]) -> Self {
        Self { buf, parts }
    }

    /// How many parts there are: at least one.
    #[must_use]
    #[inline]
    pub fn part_count(&self) -> usize {
        self.parts.len().max(1)
    }

    /// The part at `index`; `None` past the last.
    #[must_use]
    #[inline]
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        match self.parts.get(index) {
            Some(at) => Some(at.slice(self.buf)),
            // Of several parts, there is one at index 0.
            None if index == 0 => Some(self.buf),
            None => None,
        }
    }

    /// The first part.
    #[must_use]
    #[inline]
    pub fn first(&self) -> &'a [u8] {
        self.get(0).unwrap_or_default()
    }

    /// The parts, in order.
    #[must_use]
    pub fn parts(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        let this = *self;
        (0..self.part_count()).map(move |index| this.get(index).unwrap_or_default())
    }

    /// Octets of all parts together.
    #[must_use]
    pub fn payload_len(&self) -> usize {
        self.parts().map(<[u8]>::len).sum()
    }

    /// A copy to keep. Parts in allocations of their own are shared, not copied.
    #[must_use]
    pub fn to_message(&self) -> Message {
        if self.parts.is_empty() {
            return Message::copied(self.first());
        }
        let parts = self.parts.iter().map(|at| match at {
            At::Buffered(range) => Bytes::copy_from_slice(&self.buf[range.clone()]),
            At::Own(octets) => octets.clone(),
        });
        Message::from_parts(parts).unwrap_or_else(|| Message::from(Bytes::new()))
    }
}

impl AsMessage for MessageRef<'_> {
    #[inline]
    fn part_count(&self) -> usize {
        MessageRef::part_count(self)
    }

    #[inline]
    fn part(&self, index: usize) -> Part<'_> {
        match self.parts.get(index) {
            Some(At::Own(octets)) => Part::Shared(octets),
            _ => Part::Borrowed(self.get(index).unwrap_or_default()),
        }
    }
}

impl std::fmt::Debug for MessageRef<'_> {
    /// Shows sizes, never payload.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Message of ")?;
        f.debug_list().entries(self.parts().map(<[u8]>::len)).finish()?;
        f.write_str(" octets")
    }
}
