//! Why a peer refused a handshake, in its own words.

use core::fmt;

use bytes::{BufMut, Bytes};

use crate::error::{CommandError, Escaped};

/// The reason that an ERROR carries: a text of at most 255 octets for the log (RFC 37).
///
/// A received one is kept as sent, and shown by `Display` and `Debug` with everything but printable ASCII escaped. Only
/// three texts have a meaning: see [`status_code`](Self::status_code).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ErrorReason(Bytes);

impl ErrorReason {
    /// The longest reason, in octets.
    pub const MAX_LEN: usize = 255;

    /// Our socket and the peer's may not talk to each other, or the peer's Socket-Type is unknown.
    pub const INVALID_SOCKET_TYPE: Self = Self(Bytes::from_static(b"Invalid socket type"));

    /// The peer sent no Socket-Type.
    pub const MISSING_SOCKET_TYPE: Self = Self(Bytes::from_static(b"Missing socket type"));

    /// The peer sent something that the handshake does not allow.
    pub const PROTOCOL_VIOLATION: Self = Self(Bytes::from_static(b"Protocol violation"));

    /// Authentication failed, in the convention of ZAP (RFC 27).
    pub const AUTHENTICATION_FAILURE: Self = Self(Bytes::from_static(b"400"));

    /// The authenticator failed, in the convention of ZAP (RFC 27). A peer does not come back after any ERROR: if the
    /// trouble is temporary, close without one.
    pub const INTERNAL_ERROR: Self = Self(Bytes::from_static(b"500"));

    /// Makes a reason to send.
    ///
    /// # Errors
    /// [`CommandError::ReasonTooLong`] over 255 octets, [`CommandError::ReasonCharacter`] if a character is not printable
    /// ASCII. Nothing is ever cut or replaced.
    pub fn new(text: &str) -> Result<Self, CommandError> {
        let octets = text.as_bytes();
        if octets.len() > Self::MAX_LEN {
            return Err(CommandError::ReasonTooLong { len: octets.len() });
        }
        match octets.iter().enumerate().find(|(_, octet)| !(b' '..=b'~').contains(*octet)) {
            Some((position, &octet)) => Err(CommandError::ReasonCharacter { position, octet }),
            None => Ok(Self(Bytes::copy_from_slice(octets))),
        }
    }

    /// Reads what follows the name in the body of an ERROR, and copies the reason.
    ///
    /// Octets behind the reason are ignored, as libzmq does: the command says well enough that the peer refuses.
    ///
    /// # Errors
    /// [`CommandError::ReasonLengthMissing`] or [`CommandError::ReasonTruncated`].
    pub fn decode(data: &[u8]) -> Result<Self, CommandError> {
        let (&declared, rest) = data.split_first().ok_or(CommandError::ReasonLengthMissing)?;
        let declared = usize::from(declared);
        let reason = rest.get(..declared).ok_or(CommandError::ReasonTruncated { declared, available: rest.len() })?;
        Ok(Self(Bytes::copy_from_slice(reason)))
    }

    /// The octets as sent. They may be anything: show the reason with `Display`.
    #[must_use]
    pub const fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// The status of a ZAP reply, if the reason is exactly `300`, `400` or `500` (RFC 27): a temporary failure, an
    /// authentication failure, an internal error.
    #[must_use]
    pub fn status_code(&self) -> Option<u16> {
        match &*self.0 {
            b"300" => Some(300),
            b"400" => Some(400),
            b"500" => Some(500),
            _ => None,
        }
    }

    /// Writes what follows the name in the body of an ERROR.
    pub(super) fn encode(&self, out: &mut impl BufMut) {
        #[expect(clippy::cast_possible_truncation, reason = "every reason was checked or decoded: at most 255 octets")]
        out.put_u8(self.0.len() as u8);
        out.put_slice(&self.0);
    }
}

impl fmt::Display for ErrorReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaped(&self.0).fmt(f)
    }
}

impl fmt::Debug for ErrorReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ErrorReason(\"{self}\")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;
    use alloc::vec;

    #[test]
    fn own_reasons_have_0_to_255_octets() {
        assert_eq!(ErrorReason::new("").unwrap().as_bytes(), "");
        assert_eq!(ErrorReason::new(&"r".repeat(255)).unwrap().as_bytes().len(), 255);
        assert_eq!(ErrorReason::new(&"r".repeat(256)), Err(CommandError::ReasonTooLong { len: 256 }));
    }

    #[test]
    fn own_reasons_are_printable_ascii() {
        for octet in 0..=0x7f_u8 {
            let text = format!("a{}", char::from(octet));
            let printable = octet == b' ' || octet.is_ascii_graphic();
            let expected = if printable { None } else { Some(CommandError::ReasonCharacter { position: 1, octet }) };
            assert_eq!(ErrorReason::new(&text).err(), expected, "{octet:#04x}");
        }
        assert_eq!(ErrorReason::new("\u{e9}"), Err(CommandError::ReasonCharacter { position: 0, octet: 0xc3 }));
    }

    #[test]
    fn constants_could_have_been_made_with_new() {
        for constant in [
            ErrorReason::INVALID_SOCKET_TYPE,
            ErrorReason::MISSING_SOCKET_TYPE,
            ErrorReason::PROTOCOL_VIOLATION,
            ErrorReason::AUTHENTICATION_FAILURE,
            ErrorReason::INTERNAL_ERROR,
        ] {
            assert_eq!(ErrorReason::new(&constant.to_string()), Ok(constant));
        }
    }

    // H33
    #[test]
    fn exactly_three_texts_are_status_codes() {
        let code = |reason: &[u8]| {
            let mut data = vec![u8::try_from(reason.len()).unwrap()];
            data.extend_from_slice(reason);
            ErrorReason::decode(&data).unwrap().status_code()
        };
        assert_eq!(code(b"300"), Some(300));
        assert_eq!(code(b"400"), Some(400));
        assert_eq!(code(b"500"), Some(500));
        for other in [&b"200"[..], b"", b"40", b"4000", b" 400", b"400\0", b"Invalid socket type"] {
            assert_eq!(code(other), None, "{other:?}");
        }
        assert_eq!(ErrorReason::AUTHENTICATION_FAILURE.status_code(), Some(400));
        assert_eq!(ErrorReason::INTERNAL_ERROR.status_code(), Some(500));
    }

    // H34
    #[test]
    fn a_missing_reason_length_is_refused() {
        assert_eq!(ErrorReason::decode(b""), Err(CommandError::ReasonLengthMissing));
    }

    // H35
    #[test]
    fn a_reason_past_the_end_is_refused() {
        let error = CommandError::ReasonTruncated { declared: 9, available: 3 };
        assert_eq!(ErrorReason::decode(b"\x09abc"), Err(error));
        let error = CommandError::ReasonTruncated { declared: 255, available: 254 };
        assert_eq!(ErrorReason::decode(&[255; 255]), Err(error));
    }

    // H36
    #[test]
    fn octets_behind_the_reason_are_ignored() {
        assert_eq!(ErrorReason::decode(b"\x03400zzz"), Ok(ErrorReason::AUTHENTICATION_FAILURE));
    }

    #[test]
    fn received_reasons_of_0_and_255_octets_are_accepted() {
        assert_eq!(ErrorReason::decode(b"\0").unwrap().as_bytes(), "");
        assert_eq!(ErrorReason::decode(&[255; 256]).unwrap().as_bytes().len(), 255);
    }

    #[test]
    fn display_and_debug_escape_what_a_peer_chose() {
        let reason = ErrorReason::decode(b"\x06a\n\x1b[\xff\\").unwrap();
        assert_eq!(reason.to_string(), "a\\x0a\\x1b[\\xff\\\\");
        assert_eq!(format!("{reason:?}"), "ErrorReason(\"a\\x0a\\x1b[\\xff\\\\\")");
    }
}
