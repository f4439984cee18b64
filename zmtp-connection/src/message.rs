//! Messages: what is received, and what can be sent as one.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use zmtp_codec::{FrameHeader, FrameKind};

/// A message as it was received: one or more parts, each a reference-counted slice.
///
/// Parts are cheap to clone and to move to other tasks. A message of one part of up to 1 KiB has memory of its own. Other
/// parts share the memory of the reads that brought them: one that is kept holds all of that (up to 96 KiB, or as much
/// as all the parts of the message together). Whoever keeps small parts of large messages for long copies them.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Message(Repr);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Repr {
    One(Bytes),
    /// Two or more.
    Many(Vec<Bytes>),
}

impl Repr {
    /// `None` if there are none.
    fn collect(mut parts: impl Iterator<Item = Bytes>) -> Option<Self> {
        let first = parts.next()?;
        let Some(second) = parts.next() else {
            return Some(Self::One(first));
        };
        let mut all = Vec::with_capacity(parts.size_hint().0.saturating_add(2));
        all.push(first);
        all.push(second);
        all.extend(parts);
        Some(Self::Many(all))
    }

    const fn as_slice(&self) -> &[Bytes] {
        match self {
            Self::One(part) => std::slice::from_ref(part),
            Self::Many(parts) => parts.as_slice(),
        }
    }
}

impl Message {
    /// A message of one part with memory of its own. By way of a box: `Bytes::copy_from_slice` is two calls more, a
    /// twentieth of what it takes to receive and keep a small message.
    #[inline]
    pub(crate) fn copied(part: &[u8]) -> Self {
        Self::from(Bytes::from(Box::<[u8]>::from(part)))
    }

    /// A message of several parts; `None` if there are none, since ZMTP has no message without a frame.
    pub fn from_parts<P: Into<Bytes>>(parts: impl IntoIterator<Item = P>) -> Option<Self> {
        Repr::collect(parts.into_iter().map(Into::into)).map(Self)
    }

    /// How many parts there are: at least one.
    #[must_use]
    pub const fn part_count(&self) -> usize {
        self.parts().len()
    }

    /// The parts, in order: at least one.
    #[must_use]
    pub const fn parts(&self) -> &[Bytes] {
        self.0.as_slice()
    }

    /// The parts, one after the other.
    pub fn iter(&self) -> std::slice::Iter<'_, Bytes> {
        self.parts().iter()
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

impl<'a> IntoIterator for &'a Message {
    type Item = &'a Bytes;
    type IntoIter = std::slice::Iter<'a, Bytes>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for Message {
    type Item = Bytes;
    type IntoIter = IntoParts;

    fn into_iter(self) -> IntoParts {
        IntoParts(match self.0 {
            Repr::One(part) => Some(part).into_iter().chain(Vec::new()),
            Repr::Many(parts) => None.into_iter().chain(parts),
        })
    }
}

/// The parts of a [`Message`] that was taken apart. Allocates nothing.
#[derive(Clone)]
pub struct IntoParts(std::iter::Chain<std::option::IntoIter<Bytes>, std::vec::IntoIter<Bytes>>);

impl Iterator for IntoParts {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl DoubleEndedIterator for IntoParts {
    fn next_back(&mut self) -> Option<Bytes> {
        self.0.next_back()
    }
}

// Both halves of the chain know their length, and together they are far from overflowing it.
impl ExactSizeIterator for IntoParts {}

impl std::iter::FusedIterator for IntoParts {}

impl std::fmt::Debug for IntoParts {
    /// Shows how many are left, never payload.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} parts", self.len())
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
    #[inline]
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

    /// The memory to send from without a copy, if it is shared and large enough for that to pay.
    fn linked(self) -> Option<&'a Bytes> {
        match self {
            Self::Shared(octets) if octets.len() >= LINK_FROM => Some(octets),
            _ => None,
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
borrowed_part!([u8], str, Vec<u8>, String, BytesMut, Box<[u8]>, Arc<[u8]>, Cow<'_, [u8]>);

impl AsPart for Cow<'_, str> {
    #[inline]
    fn as_part(&self) -> Part<'_> {
        Part::Borrowed(self.as_bytes())
    }
}

/// For a message that mixes borrowed and shared parts.
///
/// ```
/// use bytes::Bytes;
/// use zmtp_connection::{EncodedMessage, Part};
///
/// let update = Bytes::from(vec![7; 1 << 20]);
/// let message = [Part::Borrowed(b"topic"), Part::Shared(&update)];
/// assert_eq!(EncodedMessage::encode(&message).unwrap().message().parts(), [&b"topic"[..], &update]);
/// ```
impl AsPart for Part<'_> {
    #[inline]
    fn as_part(&self) -> Part<'_> {
        *self
    }
}

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
single_part!(Box<[u8]>, Arc<[u8]>, Cow<'_, [u8]>, Cow<'_, str>, Part<'_>);

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
#[derive(Clone)]
pub struct EncodedMessage {
    framed: Arc<Framed>,
    len: usize,
}

struct Framed {
    /// Parts that were copied are slices of `chunks`.
    message: Message,
    /// Headers with copied parts, and linked parts by reference, in wire order; none is empty.
    chunks: Repr,
}

/// Where a part of an encoded message lies.
enum Place {
    /// There in the buffer of headers and copied parts.
    Staged(Range<usize>),
    /// In memory of its own, to be sent when the buffer was sent up to `at`.
    Linked { at: usize, octets: Bytes },
}

impl EncodedMessage {
    /// Frames `message`. Shared parts of [`LINK_FROM`] octets and more are referred to; all others are copied, once,
    /// into one buffer.
    ///
    /// `None` if the message has no parts.
    #[must_use]
    pub fn encode<M: AsMessage + ?Sized>(message: &M) -> Option<Self> {
        let count = message.part_count();
        if count == 1
            && let part = message.part(0)
            && part.linked().is_none()
        {
            return Some(Self::encode_copied(part.as_slice()));
        }
        let parts = || (0..count).map(|index| (index, message.part(index)));
        let header = |index, len: usize| FrameHeader::new(FrameKind::message(index + 1 < count), len as u64).encode();
        let (mut room, mut len) = (0, 0);
        for (index, part) in parts() {
            let octets = part.as_slice().len();
            let header = header(index, octets).len();
            room += header + if part.linked().is_some() { 0 } else { octets };
            len += header + octets;
        }
        let mut staged = BytesMut::with_capacity(room);
        let mut places = Vec::with_capacity(count);
        for (index, part) in parts() {
            staged.extend_from_slice(&header(index, part.as_slice().len()));
            let at = staged.len();
            places.push(if let Some(octets) = part.linked() {
                Place::Linked { at, octets: octets.clone() }
            } else {
                staged.extend_from_slice(part.as_slice());
                Place::Staged(at..staged.len())
            });
        }
        let staged = staged.freeze();
        let chunks = Repr::collect(in_wire_order(&staged, &places))?;
        let message = Message::from_parts(places.into_iter().map(|place| match place {
            Place::Staged(range) => staged.slice(range),
            Place::Linked { octets, .. } => octets,
        }))?;
        Some(Self { framed: Arc::new(Framed { message, chunks }), len })
    }

    /// The usual message, for which there is nothing to arrange.
    fn encode_copied(part: &[u8]) -> Self {
        let header = FrameHeader::new(FrameKind::message(false), part.len() as u64).encode();
        let mut staged = Vec::with_capacity(header.len() + part.len());
        staged.extend_from_slice(&header);
        staged.extend_from_slice(part);
        let (chunk, len) = (Bytes::from(staged), header.len() + part.len());
        let message = Message::from(chunk.slice(header.len()..));
        Self { framed: Arc::new(Framed { message, chunks: Repr::One(chunk) }), len }
    }

    /// The parts that were framed. Those that were copied share the memory of the frames.
    #[must_use]
    pub fn message(&self) -> &Message {
        &self.framed.message
    }

    /// Octets on the wire.
    #[must_use]
    pub const fn wire_len(&self) -> usize {
        self.len
    }

    pub(crate) fn chunks(&self) -> &[Bytes] {
        self.framed.chunks.as_slice()
    }
}

impl std::fmt::Debug for EncodedMessage {
    /// Shows sizes, never payload.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}, {} on the wire", self.message(), self.len)
    }
}

/// The octets up to each linked part, then that part; at last what is left.
fn in_wire_order(staged: &Bytes, places: &[Place]) -> impl Iterator<Item = Bytes> {
    let mut sent = 0;
    let linked = places.iter().filter_map(|place| match place {
        Place::Staged(_) => None,
        Place::Linked { at, octets } => Some((*at, octets.clone())),
    });
    let end = std::iter::once((staged.len(), Bytes::new()));
    linked.chain(end).flat_map(move |(at, octets)| {
        let before = staged.slice(sent..at);
        sent = at;
        [before, octets].into_iter().filter(|chunk| !chunk.is_empty())
    })
}

/// Shared payloads from this size on are sent from where they lie, in a vectored write. Below it, a copy into the staging
/// buffer, which the processor has in its cache, takes less time than the slice in the write: half as much at 4 KiB, as
/// much at 16 KiB.
pub const LINK_FROM: usize = 16 * 1024;

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
        let shown = format!("{:?}", EncodedMessage::encode(&["secret", "x"]).unwrap());
        assert_eq!(shown, "Message of [6, 1] octets, 11 on the wire");
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
        let mut expected = b"\x01\x05topic\x03\0\0\0\0\0\0\x40\0".to_vec();
        expected.extend_from_slice(&large);
        expected.extend_from_slice(b"\0\0");
        assert_eq!(wire, expected);
        assert_eq!(encoded.wire_len(), wire.len());
        assert!(encoded.chunks().iter().any(|chunk| chunk.as_ptr() == large.as_ptr()));
    }
}
