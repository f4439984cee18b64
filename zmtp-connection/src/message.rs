//! Messages: what is received, and what can be sent as one.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use zmtp_codec::{FrameHeader, FrameKind};

/// A message as it was received: one or more parts, each a reference-counted slice.
///
/// Parts are cheap to clone and to move to other tasks. A small part shares the memory of the read that brought it
/// (up to 64 KiB); whoever keeps small parts for long copies them.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Message(Repr);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Repr {
    One(Bytes),
    /// Two or more.
    Many(Vec<Bytes>),
}

impl Message {
    /// A message of several parts; `None` if there are none, since ZMTP has no message without a frame.
    pub fn from_parts<P: Into<Bytes>>(parts: impl IntoIterator<Item = P>) -> Option<Self> {
        let mut parts = parts.into_iter().map(Into::into);
        let first = parts.next()?;
        let Some(second) = parts.next() else {
            return Some(Self(Repr::One(first)));
        };
        let mut all = Vec::with_capacity(2 + parts.size_hint().0);
        all.push(first);
        all.push(second);
        all.extend(parts);
        Some(Self(Repr::Many(all)))
    }

    /// How many parts there are: at least one.
    #[must_use]
    pub const fn part_count(&self) -> usize {
        self.parts().len()
    }

    /// The parts, in order: at least one.
    #[must_use]
    pub const fn parts(&self) -> &[Bytes] {
        match &self.0 {
            Repr::One(part) => std::slice::from_ref(part),
            Repr::Many(parts) => parts.as_slice(),
        }
    }

    /// The first part.
    #[must_use]
    pub fn first(&self) -> &Bytes {
        match &self.0 {
            Repr::One(part) => part,
            // `Many` holds two or more.
            Repr::Many(parts) => &parts[0],
        }
    }

    /// Takes the message apart.
    #[must_use]
    pub fn into_parts(self) -> Vec<Bytes> {
        match self.0 {
            Repr::One(part) => vec![part],
            Repr::Many(parts) => parts,
        }
    }

    /// Octets of all parts together.
    #[must_use]
    pub fn payload_len(&self) -> usize {
        self.parts().iter().map(Bytes::len).sum()
    }
}

impl std::fmt::Debug for Message {
    /// Shows sizes, never payload.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Message of ")?;
        f.debug_list().entries(self.parts().iter().map(Bytes::len)).finish()?;
        f.write_str(" octets")
    }
}

impl<B: Into<Bytes>> From<B> for Message {
    fn from(part: B) -> Self {
        Self(Repr::One(part.into()))
    }
}

/// One part of a message to send.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Part<'a> {
    /// Somebody else's memory: the octets are copied when the message is queued.
    Borrowed(&'a [u8]),
    /// Shared memory: a large part is sent from where it lies, without a copy (NULL and PLAIN).
    Shared(&'a Bytes),
}

impl<'a> Part<'a> {
    /// The octets.
    #[must_use]
    #[inline]
    pub fn as_slice(self) -> &'a [u8] {
        match self {
            Self::Borrowed(octets) => octets,
            Self::Shared(octets) => octets,
        }
    }
}

/// What can be one part of a message.
pub trait AsPart {
    /// The part.
    fn as_part(&self) -> Part<'_>;
}

impl AsPart for Bytes {
    #[inline]
    fn as_part(&self) -> Part<'_> {
        Part::Shared(self)
    }
}

macro_rules! borrowed_part {
    ($($kind:ty),*) => {$(
        impl AsPart for $kind {
            #[inline]
            fn as_part(&self) -> Part<'_> {
                Part::Borrowed(self.as_ref())
            }
        }
    )*};
}
borrowed_part!([u8], str, Vec<u8>, String, BytesMut);

impl<const N: usize> AsPart for [u8; N] {
    #[inline]
    fn as_part(&self) -> Part<'_> {
        Part::Borrowed(self)
    }
}

impl<P: AsPart + ?Sized> AsPart for &P {
    #[inline]
    fn as_part(&self) -> Part<'_> {
        (**self).as_part()
    }
}

/// What can be sent as a message, by reference: the caller keeps it, and may send it to many peers.
///
/// A single part is anything octet-like (`[u8]`, `str`, `Vec<u8>`, `Bytes`, …), several parts are an array, slice or
/// vector of those, and a received [`Message`] can be sent on as it is.
pub trait AsMessage {
    /// How many parts there are. A message of none is refused when it is queued.
    fn part_count(&self) -> usize;

    /// The part at `index`, which is below [`part_count`](Self::part_count).
    fn part(&self, index: usize) -> Part<'_>;
}

impl AsMessage for Message {
    #[inline]
    fn part_count(&self) -> usize {
        self.parts().len()
    }

    #[inline]
    fn part(&self, index: usize) -> Part<'_> {
        self.parts()[index].as_part()
    }
}

macro_rules! single_part {
    ($($kind:ty),*) => {$(
        impl AsMessage for $kind {
            #[inline]
            fn part_count(&self) -> usize {
                1
            }

            #[inline]
            fn part(&self, _index: usize) -> Part<'_> {
                self.as_part()
            }
        }
    )*};
}
single_part!([u8], str, Vec<u8>, String, Bytes, BytesMut);

impl<const N: usize> AsMessage for [u8; N] {
    #[inline]
    fn part_count(&self) -> usize {
        1
    }

    #[inline]
    fn part(&self, _index: usize) -> Part<'_> {
        self.as_part()
    }
}

impl<P: AsPart> AsMessage for [P] {
    #[inline]
    fn part_count(&self) -> usize {
        self.len()
    }

    #[inline]
    fn part(&self, index: usize) -> Part<'_> {
        self[index].as_part()
    }
}

impl<P: AsPart, const N: usize> AsMessage for [P; N] {
    #[inline]
    fn part_count(&self) -> usize {
        N
    }

    #[inline]
    fn part(&self, index: usize) -> Part<'_> {
        self[index].as_part()
    }
}

impl<P: AsPart> AsMessage for Vec<P> {
    #[inline]
    fn part_count(&self) -> usize {
        self.len()
    }

    #[inline]
    fn part(&self, index: usize) -> Part<'_> {
        self[index].as_part()
    }
}

impl<M: AsMessage + ?Sized> AsMessage for &M {
    #[inline]
    fn part_count(&self) -> usize {
        (**self).part_count()
    }

    #[inline]
    fn part(&self, index: usize) -> Part<'_> {
        (**self).part(index)
    }
}

/// A message framed once, to be sent to many peers: fan-out without framing or copying it again for each.
///
/// It is plaintext. A connection whose mechanism encrypts refuses it; [`message`](Self::message) has the parts to
/// seal for such a peer. Cloning costs a reference count.
#[derive(Clone, Debug)]
pub struct EncodedMessage {
    message: Message,
    /// Headers with small parts, and large parts by reference, in wire order.
    chunks: Arc<[Bytes]>,
    len: usize,
}

impl EncodedMessage {
    /// Frames `message`. Parts of [`LINK_FROM`] octets and more are not copied if they are shared already.
    ///
    /// `None` if the message has no parts.
    #[must_use]
    pub fn encode<M: AsMessage + ?Sized>(message: &M) -> Option<Self> {
        let count = message.part_count();
        let mut chunks = Vec::new();
        let mut parts = Vec::with_capacity(count);
        let mut small = BytesMut::new();
        let mut len = 0;
        for index in 0..count {
            let part = message.part(index);
            let octets = part.as_slice();
            let header = FrameHeader::new(FrameKind::message(index + 1 < count), octets.len() as u64).encode();
            len += header.len() + octets.len();
            let shared = match part {
                Part::Shared(octets) => octets.clone(),
                Part::Borrowed(octets) => Bytes::copy_from_slice(octets),
            };
            small.extend_from_slice(&header);
            if octets.len() < LINK_FROM {
                small.extend_from_slice(octets);
            } else {
                chunks.push(small.split().freeze());
                chunks.push(shared.clone());
            }
            parts.push(shared);
        }
        if !small.is_empty() {
            chunks.push(small.freeze());
        }
        Some(Self { message: Message::from_parts(parts)?, chunks: chunks.into(), len })
    }

    /// The parts that were framed.
    #[must_use]
    pub const fn message(&self) -> &Message {
        &self.message
    }

    /// Octets on the wire.
    #[must_use]
    pub const fn wire_len(&self) -> usize {
        self.len
    }

    pub(crate) fn chunks(&self) -> &[Bytes] {
        &self.chunks
    }
}

/// Shared payloads from this size on are sent from where they lie, in a vectored write. Below it, copying into the
/// staging buffer costs less than the reference count and the extra slice in the write.
pub const LINK_FROM: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_at_least_one_part() {
        assert_eq!(Message::from_parts(Vec::<Bytes>::new()), None);
        assert_eq!(EncodedMessage::encode(&Vec::<Bytes>::new()).map(|_| ()), None);
        let message = Message::from_parts(["a", "", "c"]).unwrap();
        assert_eq!(message.part_count(), 3);
        assert_eq!(message.payload_len(), 2);
        assert_eq!(message.into_parts(), ["a", "", "c"]);
    }

    #[test]
    fn debug_output_shows_sizes_and_no_payload() {
        let shown = format!("{:?}", Message::from_parts(["secret", "x"]).unwrap());
        assert_eq!(shown, "Message of [6, 1] octets");
    }

    #[test]
    fn what_looks_like_octets_is_one_part_and_a_list_of_them_is_several() {
        fn count<M: AsMessage + ?Sized>(message: &M) -> usize {
            message.part_count()
        }
        assert_eq!(count("text"), 1);
        assert_eq!(count(b"octets"), 1);
        assert_eq!(count(&b"octets"[..]), 1);
        assert_eq!(count(&Bytes::from_static(b"x")), 1);
        assert_eq!(count(&["a", "b"]), 2);
        assert_eq!(count(&[b"a", b"b", b"c"]), 3);
        assert_eq!(count(&vec![Bytes::new(), Bytes::new()]), 2);
        assert_eq!(count(&Message::from("x")), 1);
    }

    #[test]
    fn an_encoded_message_has_its_frames_in_wire_order_and_shares_large_parts() {
        let large = Bytes::from(vec![7; LINK_FROM]);
        let encoded = EncodedMessage::encode(&[Bytes::from_static(b"topic"), large.clone(), Bytes::new()]).unwrap();
        let wire = encoded.chunks().concat();
        let mut expected = b"\x01\x05topic\x03\0\0\0\0\0\0\x10\0".to_vec();
        expected.extend_from_slice(&large);
        expected.extend_from_slice(b"\0\0");
        assert_eq!(wire, expected);
        assert_eq!(encoded.wire_len(), wire.len());
        assert!(encoded.chunks().iter().any(|chunk| chunk.as_ptr() == large.as_ptr()));
    }
}
