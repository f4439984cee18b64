//! After the handshake: every frame, message or command, in a MESSAGE (RFC 26, "MESSAGE").
//!
//! ```text
//! 07 "MESSAGE" │ counter 8 │ tag 16 │ flags 1 │ payload        (the last two encrypted)
//! ```
//!
//! RFC 26 knows one inner flag, MORE. libzmq puts commands inside as well and marks them with the second one. RFC 37
//! has MESSAGE in command frames; libzmq sends it in message frames, and drops the data of one that comes in a
//! command frame. What stands outside is not authenticated, so it is written as libzmq does, and never read.

use zeroize::Zeroize as _;
use zmtp_codec::{FrameKind, OpenError, Opened, Opener, SealError, SealPlan, Sealer};

use crate::cipher::{FrameCipher, SecretBox};
use crate::wire::short;

const NAME: &[u8; 8] = b"\x07MESSAGE";
const COUNTER_AT: usize = 8;
const BOX_AT: usize = 16;
const FLAGS_AT: usize = 32;
/// Octets of a MESSAGE beyond its payload.
pub(crate) const OVERHEAD: usize = 33;

const MORE: u8 = 0x01;
const COMMAND: u8 = 0x02;

/// Seals what this side sends.
pub struct CurveSealer {
    cipher: FrameCipher,
    /// The counter of the next frame. None when all were used.
    next: Option<u64>,
}

impl CurveSealer {
    pub(crate) fn new(session: &SecretBox, prefix: &[u8; 16], next: u64) -> Self {
        Self { cipher: session.direction(prefix), next: Some(next) }
    }
}

impl Sealer for CurveSealer {
    fn plan(&self, _kind: FrameKind, payload_len: usize) -> SealPlan {
        SealPlan::new(FrameKind::Last, payload_len.saturating_add(OVERHEAD))
    }

    fn seal(&mut self, _header: &[u8], kind: FrameKind, payload: &[u8], body: &mut [u8]) -> Result<(), SealError> {
        if body.len() != payload.len() + OVERHEAD {
            return Err(SealError::Misuse("the body is not as long as was planned"));
        }
        let counter = self.next.ok_or(SealError::NoncesExhausted)?;
        self.next = counter.checked_add(1);
        let flags = match kind {
            FrameKind::Last => 0,
            FrameKind::More => MORE,
            FrameKind::Command => COMMAND,
        };
        let (clear, boxed) = body.split_at_mut(BOX_AT);
        let (name, counter_octets) = clear.split_at_mut(COUNTER_AT);
        name.copy_from_slice(NAME);
        counter_octets.copy_from_slice(&counter.to_be_bytes());
        self.cipher.seal(counter, flags, payload, boxed);
        Ok(())
    }
}

/// Which counters of the peer are accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sequence {
    /// Any that is higher than the last one, as RFC 26 and libzmq have it.
    #[default]
    Increasing,
    /// Exactly the next one, so that a frame that is missing shows.
    Gapless,
}

/// Opens what the peer sends.
pub struct CurveOpener {
    cipher: FrameCipher,
    /// The highest counter that was opened.
    last: u64,
    sequence: Sequence,
}

impl CurveOpener {
    pub(crate) fn new(session: &SecretBox, prefix: &[u8; 16], last: u64, sequence: Sequence) -> Self {
        Self { cipher: session.direction(prefix), last, sequence }
    }
}

impl Opener for CurveOpener {
    fn open(&mut self, _header: &[u8], _kind: FrameKind, body: &mut [u8]) -> Result<Opened, OpenError> {
        let len = body.len();
        let Some((clear, boxed)) = body.split_at_mut_checked(BOX_AT) else {
            return Err(OpenError::Malformed("it is no CURVE MESSAGE"));
        };
        let Some(counter) = clear.strip_prefix(NAME).and_then(|counter| <[u8; 8]>::try_from(counter).ok()) else {
            return Err(OpenError::Malformed("it is no CURVE MESSAGE"));
        };
        if len < OVERHEAD {
            return Err(OpenError::Malformed("a CURVE MESSAGE has at least 33 octets"));
        }
        let counter = u64::from_be_bytes(counter);
        let in_order = match self.sequence {
            Sequence::Increasing => counter > self.last,
            Sequence::Gapless => self.last.checked_add(1) == Some(counter),
        };
        if !in_order {
            return Err(OpenError::Sequence);
        }
        if !self.cipher.open(counter, boxed) {
            return Err(OpenError::Forged);
        }
        self.last = counter;
        let kind = match body.get(FLAGS_AT).copied().unwrap_or_default() {
            0 => FrameKind::Last,
            MORE => FrameKind::More,
            COMMAND => FrameKind::Command,
            // libzmq masks the reserved bits off and takes both for a command; the RFC wants them to be zero.
            flags => {
                body.zeroize();
                return Err(OpenError::InnerFlags { flags });
            }
        };
        Ok(Opened::new(kind, OVERHEAD..len))
    }

    fn overhead(&self) -> usize {
        OVERHEAD
    }
}

/// The two directions as a client has them.
pub(crate) fn client_halves(
    session: &SecretBox,
    next: u64,
    last: u64,
    sequence: Sequence,
) -> (CurveSealer, CurveOpener) {
    (CurveSealer::new(session, short::FROM_CLIENT, next), CurveOpener::new(session, short::FROM_SERVER, last, sequence))
}

/// The two directions as a server has them.
pub(crate) fn server_halves(
    session: &SecretBox,
    next: u64,
    last: u64,
    sequence: Sequence,
) -> (CurveSealer, CurveOpener) {
    (CurveSealer::new(session, short::FROM_SERVER, next), CurveOpener::new(session, short::FROM_CLIENT, last, sequence))
}

impl core::fmt::Debug for CurveSealer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("CurveSealer").field("next", &self.next).finish_non_exhaustive()
    }
}

impl core::fmt::Debug for CurveOpener {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("CurveOpener").field("last", &self.last).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The two ends of one direction, with two numbers left.
    fn near_the_end(sequence: Sequence) -> (CurveSealer, CurveOpener) {
        let session = SecretBox::new(&[7; 32]);
        (
            CurveSealer::new(&session, short::FROM_CLIENT, u64::MAX - 1),
            CurveOpener::new(&session, short::FROM_CLIENT, u64::MAX - 2, sequence),
        )
    }

    #[test]
    fn the_last_number_is_used_and_then_none_again() {
        for sequence in [Sequence::Increasing, Sequence::Gapless] {
            let (mut sealer, mut opener) = near_the_end(sequence);
            for number in [u64::MAX - 1, u64::MAX] {
                let mut body = [0; OVERHEAD + 1];
                sealer.seal(&[], FrameKind::Last, b"x", &mut body).unwrap();
                assert_eq!(body[COUNTER_AT..BOX_AT], number.to_be_bytes());
                assert_eq!(opener.open(&[], FrameKind::Last, &mut body), Ok(Opened::new(FrameKind::Last, 33..34)));
                assert_eq!(body[OVERHEAD], b'x');
            }
            for _ in 0..2 {
                let mut body = [0; OVERHEAD + 1];
                let sealed = sealer.seal(&[], FrameKind::Last, b"x", &mut body);
                assert_eq!(sealed, Err(SealError::NoncesExhausted));
                assert_eq!(body, [0; OVERHEAD + 1], "nothing of the frame is written");
            }
        }
    }

    #[test]
    fn a_body_of_another_length_than_was_planned_is_a_misuse_and_stays_as_it_was() {
        let (mut sealer, mut opener) = near_the_end(Sequence::Gapless);
        let planned = sealer.plan(FrameKind::Last, 3).body_len();
        for len in (0..planned).chain([planned + 1]) {
            let mut body = vec![0xee; len];
            let sealed = sealer.seal(&[], FrameKind::Last, b"abc", &mut body);
            assert!(matches!(sealed, Err(SealError::Misuse(_))), "{len} octets: {sealed:?}");
            assert_eq!(body, vec![0xee; len], "{len} octets");
        }
        let mut body = vec![0; planned];
        assert_eq!(sealer.seal(&[], FrameKind::Last, b"abc", &mut body), Ok(()));
        assert_eq!(opener.open(&[], FrameKind::Last, &mut body), Ok(Opened::new(FrameKind::Last, 33..36)));
    }
}
