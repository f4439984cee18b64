//! Traffic in the clear: the sealer and opener of mechanisms that protect nothing after the handshake (NULL, PLAIN).

use super::{OpenError, Opened, Opener, SealError, SealPlan, Sealer};
use crate::FrameKind;

/// Sends frames as they are. Compiles to nothing.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ClearSealer;

impl ClearSealer {
    /// A sealer without state.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl Sealer for ClearSealer {
    #[inline]
    fn plan(&self, kind: FrameKind, payload_len: usize) -> SealPlan {
        SealPlan::new(kind, payload_len)
    }

    #[inline]
    fn seal(&mut self, _header: &[u8], _kind: FrameKind, payload: &[u8], body: &mut [u8]) -> Result<(), SealError> {
        if body.len() != payload.len() {
            return Err(SealError::Misuse("the body is not as long as was planned"));
        }
        body.copy_from_slice(payload);
        Ok(())
    }

    #[inline]
    fn is_identity(&self) -> bool {
        true
    }
}

/// Takes frames as they come. Compiles to nothing.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ClearOpener;

impl ClearOpener {
    /// An opener without state.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl Opener for ClearOpener {
    #[inline]
    fn open(&mut self, _header: &[u8], kind: FrameKind, body: &mut [u8]) -> Result<Opened, OpenError> {
        Ok(Opened::new(kind, 0..body.len()))
    }

    #[inline]
    fn is_identity(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_filled_where_it_is_as_long_as_the_payload_and_else_it_is_a_misuse() {
        let mut body = [0xee; 3];
        assert_eq!(ClearSealer::new().seal(&[], FrameKind::Last, b"abc", &mut body), Ok(()));
        assert_eq!(body, *b"abc");
        for payload in [&b""[..], b"xy", b"wxyz"] {
            let sealed = ClearSealer::new().seal(&[], FrameKind::Last, payload, &mut body);
            assert!(matches!(sealed, Err(SealError::Misuse(_))), "{sealed:?}");
            assert_eq!(body, *b"abc");
        }
    }
}
