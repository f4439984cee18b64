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
