//! A large body, received straight into its own allocation.

use bytes::buf::{BufMut, Limit};
use bytes::{Bytes, BytesMut};
use zmtp_codec::FrameKind;

/// Bodies from this size on are read into an allocation of their own, unless they are complete in the buffer.
pub const LARGE_BODY: usize = 32 * 1024;
/// How far an allocation may run ahead of what was received, on the strength of a declared length alone.
const AHEAD: usize = 256 * 1024;
/// The largest allocation that is kept for the next large body, once nobody has kept the last.
const SPARE: usize = 2 * 1024 * 1024;

/// A body of [`LARGE_BODY`] octets or more on its way.
pub(super) struct LargeBody {
    header: [u8; 9],
    header_len: usize,
    kind: FrameKind,
    body: BytesMut,
    want: usize,
}

impl LargeBody {
    /// A body of `want` octets behind `header`, of which `prefix` is here already. It is received into `spare` if that is
    /// at least as large as an allocation for it would be.
    pub(super) fn begin(header: &[u8], kind: FrameKind, prefix: &[u8], want: usize, spare: Option<BytesMut>) -> Self {
        let mut octets = [0; 9];
        octets[..header.len()].copy_from_slice(header);
        let least = want.min(prefix.len() + AHEAD);
        let mut body = spare.filter(|spare| fits(spare, least, want)).unwrap_or_else(|| BytesMut::with_capacity(least));
        body.extend_from_slice(prefix);
        Self { header: octets, header_len: header.len(), kind, body, want }
    }

    /// Room for what the body lacks, and not for more: the next frame belongs into the common buffer.
    pub(super) fn receive_buffer(&mut self) -> Limit<&mut BytesMut> {
        let missing = self.want - self.body.len();
        if self.body.capacity() == self.body.len() {
            // Grows with what was received, in place where the allocator can.
            self.body.reserve(missing.min(self.body.len().max(AHEAD)));
        }
        let room = missing.min(self.body.capacity() - self.body.len());
        (&mut self.body).limit(room)
    }

    pub(super) fn is_complete(&self) -> bool {
        self.body.len() == self.want
    }

    /// Octets received of it.
    pub(super) fn len(&self) -> usize {
        self.body.len()
    }

    pub(super) const fn kind(&self) -> FrameKind {
        self.kind
    }

    /// The header as it was received, and the body.
    pub(super) fn parts_mut(&mut self) -> (&[u8], &mut [u8]) {
        (&self.header[..self.header_len], &mut self.body)
    }

    pub(super) fn into_body(self) -> BytesMut {
        self.body
    }
}

/// Whether a spare allocation is large enough, and not so large that a body that is kept would hold far more than itself.
fn fits(spare: &BytesMut, least: usize, want: usize) -> bool {
    (least..=want.saturating_mul(2)).contains(&spare.capacity())
}

/// The allocation of a body that was only lent, for the next: large ones come in rows, and to grow an allocation to a
/// megabyte takes a quarter of the time of receiving it.
pub(super) fn spare(body: Bytes) -> Option<BytesMut> {
    let mut body = body.try_into_mut().ok().filter(|body| body.capacity() <= SPARE)?;
    body.clear();
    Some(body)
}
