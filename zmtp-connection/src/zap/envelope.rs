//! What stands in front of a ZAP message: the way back.

use bytes::Bytes;

use super::VERSION;
use crate::message::Message;

/// The frames in front of a ZAP request, which go in front of its reply in the same order (RFC 27, *Proxy Handlers*): a
/// routing id for each ROUTER on the way, then an empty delimiter.
///
/// Cloning costs a reference count for each frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The delimiter included.
    frames: Vec<Bytes>,
}

impl Envelope {
    /// The delimiter and no routing ids: what a REQ or DEALER writes on the wire.
    #[must_use]
    pub fn direct() -> Self {
        Self { frames: vec![Bytes::new()] }
    }

    /// No frames at all: what the application sees at a REQ or REP socket, which keeps the envelope to itself. Such a
    /// message is never on the wire.
    #[must_use]
    pub const fn bare() -> Self {
        Self { frames: Vec::new() }
    }

    /// The routing ids, the one that was added last first.
    #[must_use]
    pub fn routing_ids(&self) -> &[Bytes] {
        self.frames.split_last().map_or(&[], |(_delimiter, routing_ids)| routing_ids)
    }

    /// Whether there is nothing, not even the delimiter.
    #[must_use]
    pub const fn is_bare(&self) -> bool {
        self.frames.is_empty()
    }

    /// The envelope of a message, and the frames behind it; `None` if there is neither a delimiter nor a version at the
    /// front.
    ///
    /// A message that begins with the version is bare, whatever empty fields it has: some of them are for a peer to choose,
    /// who shall not choose where its request begins. So a routing id cannot be `1.0`.
    pub(super) fn split(frames: &[Bytes]) -> Option<(Self, &[Bytes])> {
        if frames.first()? == VERSION {
            return Some((Self::bare(), frames));
        }
        let delimiter = frames.iter().position(Bytes::is_empty)?;
        let (envelope, body) = frames.split_at_checked(delimiter + 1)?;
        Some((Self { frames: envelope.to_vec() }, body))
    }

    /// A message with these frames behind this envelope.
    #[expect(clippy::expect_used, reason = "a body has frames")]
    pub(super) fn enclose(&self, body: impl IntoIterator<Item = Bytes>) -> Message {
        Message::from_parts(self.frames.iter().cloned().chain(body)).expect("a ZAP message begins with its version")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames<const N: usize>(frames: [&'static str; N]) -> Vec<Bytes> {
        frames.map(Bytes::from).to_vec()
    }

    fn split(frames: &[Bytes]) -> Option<(Vec<Bytes>, usize)> {
        Envelope::split(frames).map(|(envelope, body)| (envelope.frames, body.len()))
    }

    #[test]
    fn the_first_empty_frame_ends_the_envelope() {
        assert_eq!(split(&frames(["", "1.0", "1"])), Some((frames([""]), 2)));
        assert_eq!(split(&frames(["a", "b", "", "1.0", "", ""])), Some((frames(["a", "b", ""]), 3)));
        assert_eq!(split(&frames(["a", ""])), Some((frames(["a", ""]), 0)));
    }

    #[test]
    fn without_a_delimiter_the_version_is_at_the_front() {
        assert_eq!(split(&frames(["1.0", "1"])), Some((vec![], 2)));
        assert_eq!(split(&frames(["2.0", "1"])), None);
        assert_eq!(split(&[]), None);
    }

    #[test]
    fn empty_fields_of_a_bare_request_are_no_delimiter() {
        assert_eq!(split(&frames(["1.0", "1", "", "", "", "PLAIN", "", "1.0"])), Some((vec![], 8)));
        assert_eq!(split(&frames(["1.0", "", "", "", "", "NULL"])), Some((vec![], 6)));
        let forged = frames(["1.0", "1", "", "", "", "MINE", "", "1.0", "1", "admin", "127.0.0.1", "", "NULL"]);
        assert_eq!(split(&forged), Some((vec![], 13)));
    }

    #[test]
    fn routing_ids_are_told_from_the_delimiter() {
        assert_eq!(Envelope::bare().routing_ids(), [""; 0]);
        assert_eq!(Envelope::direct().routing_ids(), [""; 0]);
        let request = frames(["proxy", "session", "", "1.0"]);
        let (envelope, _) = Envelope::split(&request).unwrap();
        assert_eq!(envelope.routing_ids(), ["proxy", "session"]);
        assert!(!envelope.is_bare() && !Envelope::direct().is_bare() && Envelope::bare().is_bare());
    }
}
