//! PING and PONG, with which idle peers show that they are alive (RFC 37, *Connection Heartbeating*).

use core::fmt;
use core::time::Duration;

use bytes::BufMut;

use crate::command::{CommandName, put_name};
use crate::error::{CommandError, Escaped};

/// How long a peer may wait for further traffic after our PING before it gives the connection up: tenths of a second, 16 bits.
///
/// Zero asks for nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ttl(u16);

impl Ttl {
    /// No time limit.
    pub const ZERO: Self = Self(0);

    /// The longest TTL that is safe to send: 65.5 s.
    ///
    /// libzmq converts a received TTL to milliseconds in 16 bits, modulo 65,536: 65.6 s become 64 ms there, and a healthy
    /// connection is dropped.
    pub const MAX_SAFE: Self = Self(655);

    /// The TTL to send for a duration: rounded up, so that no peer gives up early, and at most [`MAX_SAFE`](Self::MAX_SAFE).
    #[must_use]
    pub const fn from_duration(duration: Duration) -> Self {
        let deciseconds = duration.as_nanos().div_ceil(100_000_000);
        if deciseconds >= Self::MAX_SAFE.0 as u128 {
            return Self::MAX_SAFE;
        }
        #[expect(clippy::cast_possible_truncation, reason = "below 655")]
        Self(deciseconds as u16)
    }

    /// Any TTL, as the wire has it; a peer may send up to 6553.5 s.
    #[must_use]
    pub const fn from_deciseconds(deciseconds: u16) -> Self {
        Self(deciseconds)
    }

    /// The tenths of a second on the wire.
    #[must_use]
    pub const fn as_deciseconds(self) -> u16 {
        self.0
    }

    /// The TTL as a duration.
    #[must_use]
    pub const fn as_duration(self) -> Duration {
        Duration::from_millis(self.0 as u64 * 100)
    }

    /// True if no time limit is asked for.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

/// Up to 16 octets that a PING carries and its PONG returns. Held in place: nothing is allocated for a heartbeat.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct HeartbeatContext {
    // Zeros behind `len`, so that derived equality is that of the octets.
    octets: [u8; Self::MAX_LEN],
    len: u8,
}

impl HeartbeatContext {
    /// The longest context, in octets.
    pub const MAX_LEN: usize = 16;

    /// No context.
    pub const EMPTY: Self = Self { octets: [0; Self::MAX_LEN], len: 0 };

    /// Copies a context.
    ///
    /// # Errors
    /// [`CommandError::ContextTooLong`] over 16 octets.
    pub fn new(context: &[u8]) -> Result<Self, CommandError> {
        let too_long = CommandError::ContextTooLong { len: context.len() };
        let mut octets = [0; Self::MAX_LEN];
        match (octets.get_mut(..context.len()), u8::try_from(context.len())) {
            (Some(place), Ok(len)) => {
                place.copy_from_slice(context);
                Ok(Self { octets, len })
            }
            _ => Err(too_long),
        }
    }

    /// The octets.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.octets.get(..usize::from(self.len)).unwrap_or(&self.octets)
    }
}

impl fmt::Debug for HeartbeatContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HeartbeatContext(\"{}\")", Escaped(self.as_bytes()))
    }
}

/// Asks the peer for a PONG, and tells it how long to wait for further traffic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Ping {
    /// How long the peer should wait for further traffic.
    pub ttl: Ttl,
    /// What the PONG has to return.
    pub context: HeartbeatContext,
}

impl Ping {
    const TTL_LEN: usize = 2;

    /// Makes a PING.
    #[must_use]
    pub const fn new(ttl: Ttl, context: HeartbeatContext) -> Self {
        Self { ttl, context }
    }

    /// Reads what follows the name in a PING's body.
    ///
    /// # Errors
    /// [`CommandError::TtlTruncated`] below 2 octets, [`CommandError::ContextTooLong`] over 18. Such a PING must not be
    /// answered: an answer could only be made of octets that the peer never sent.
    pub fn decode(data: &[u8]) -> Result<Self, CommandError> {
        let Some((ttl, context)) = data.split_first_chunk::<{ Self::TTL_LEN }>() else {
            return Err(CommandError::TtlTruncated { available: data.len() });
        };
        Ok(Self { ttl: Ttl(u16::from_be_bytes(*ttl)), context: HeartbeatContext::new(context)? })
    }

    /// The answer: the same context.
    #[must_use]
    pub const fn pong(&self) -> Pong {
        Pong { context: self.context }
    }

    /// The length of the whole command body, 7 to 23 octets.
    #[must_use]
    pub const fn body_len(&self) -> usize {
        1 + CommandName::PING.len() + Self::TTL_LEN + self.context.len as usize
    }

    /// Writes the whole command body, name included.
    ///
    /// # Panics
    /// If `out` has less room than [`body_len`](Self::body_len).
    pub fn encode_body(&self, out: &mut impl BufMut) {
        put_name(out, CommandName::PING);
        out.put_u16(self.ttl.0);
        out.put_slice(self.context.as_bytes());
    }
}

/// Answers a PING.
///
/// One that nobody asked for, or whose context matches no PING, means no more than that the peer is alive: libzmq 4.2
/// returns no context at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Pong {
    /// The context of the PING.
    pub context: HeartbeatContext,
}

impl Pong {
    /// Makes a PONG; [`Ping::pong`] makes the right one.
    #[must_use]
    pub const fn new(context: HeartbeatContext) -> Self {
        Self { context }
    }

    /// Reads what follows the name in a PONG's body.
    ///
    /// # Errors
    /// [`CommandError::ContextTooLong`] over 16 octets.
    pub fn decode(data: &[u8]) -> Result<Self, CommandError> {
        HeartbeatContext::new(data).map(Self::new)
    }

    /// The length of the whole command body, 5 to 21 octets.
    #[must_use]
    pub const fn body_len(&self) -> usize {
        1 + CommandName::PONG.len() + self.context.len as usize
    }

    /// Writes the whole command body, name included.
    ///
    /// # Panics
    /// If `out` has less room than [`body_len`](Self::body_len).
    pub fn encode_body(&self, out: &mut impl BufMut) {
        put_name(out, CommandName::PONG);
        out.put_slice(self.context.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use alloc::{format, vec};

    fn ttl_of(duration: Duration) -> u16 {
        Ttl::from_duration(duration).as_deciseconds()
    }

    #[test]
    fn durations_round_up_to_tenths_of_a_second() {
        assert_eq!(ttl_of(Duration::ZERO), 0);
        assert_eq!(ttl_of(Duration::from_nanos(1)), 1);
        assert_eq!(ttl_of(Duration::from_millis(1)), 1);
        assert_eq!(ttl_of(Duration::from_millis(100)), 1);
        assert_eq!(ttl_of(Duration::from_millis(100) + Duration::from_nanos(1)), 2);
        assert_eq!(ttl_of(Duration::from_millis(101)), 2);
        assert_eq!(ttl_of(Duration::from_millis(199) + Duration::from_nanos(1)), 2);
        assert_eq!(ttl_of(Duration::from_secs(12)), 120);
    }

    #[test]
    fn durations_saturate_at_the_largest_ttl_that_libzmq_survives() {
        assert_eq!(ttl_of(Duration::from_millis(65_400)), 654);
        assert_eq!(ttl_of(Duration::from_millis(65_401)), 655);
        assert_eq!(ttl_of(Duration::from_millis(65_500)), 655);
        assert_eq!(ttl_of(Duration::from_millis(65_501)), 655);
        assert_eq!(ttl_of(Duration::from_millis(65_600)), 655);
        assert_eq!(ttl_of(Duration::from_secs(86_400)), 655);
        assert_eq!(ttl_of(Duration::MAX), 655);
    }

    // B06, B07, B08
    #[test]
    fn received_ttls_have_their_full_range() {
        for (deciseconds, milliseconds) in [(0, 0), (1, 100), (655, 65_500), (656, 65_600), (65_535, 6_553_500)] {
            let ping = Ping::decode(&u16::to_be_bytes(deciseconds)).unwrap();
            assert_eq!(ping.ttl.as_deciseconds(), deciseconds);
            assert_eq!(ping.ttl, Ttl::from_deciseconds(deciseconds));
            assert_eq!(ping.ttl.as_duration(), Duration::from_millis(milliseconds));
            assert_eq!(ping.ttl.is_zero(), deciseconds == 0);
        }
    }

    #[test]
    fn contexts_hold_zero_to_sixteen_octets() {
        let octets: Vec<u8> = (1..=17).collect();
        for len in 0..=16 {
            assert_eq!(HeartbeatContext::new(&octets[..len]).unwrap().as_bytes(), &octets[..len]);
        }
        assert_eq!(HeartbeatContext::new(&octets), Err(CommandError::ContextTooLong { len: 17 }));
        assert_eq!(HeartbeatContext::new(&[0; 300]), Err(CommandError::ContextTooLong { len: 300 }));
    }

    #[test]
    fn contexts_that_differ_in_length_only_are_different() {
        assert_ne!(HeartbeatContext::new(&[0]).unwrap(), HeartbeatContext::EMPTY);
        assert_ne!(HeartbeatContext::new(&[0; 15]).unwrap(), HeartbeatContext::new(&[0; 16]).unwrap());
        assert_eq!(HeartbeatContext::new(&[]).unwrap(), HeartbeatContext::default());
    }

    #[test]
    fn debug_escapes_the_context() {
        let context = HeartbeatContext::new(b"a\n").unwrap();
        assert_eq!(format!("{context:?}"), "HeartbeatContext(\"a\\x0a\")");
    }

    #[test]
    fn bodies_are_7_to_23_and_5_to_21_octets() {
        for len in 0..=16 {
            let context = HeartbeatContext::new(&vec![b'c'; len]).unwrap();
            let ping = Ping::new(Ttl::from_deciseconds(0x0102), context);
            let mut body = Vec::new();
            ping.encode_body(&mut body);
            assert_eq!(body, [&b"\x04PING\x01\x02"[..], &vec![b'c'; len]].concat());
            assert_eq!((body.len(), ping.body_len()), (7 + len, 7 + len));

            let mut body = Vec::new();
            ping.pong().encode_body(&mut body);
            assert_eq!(body, [&b"\x04PONG"[..], &vec![b'c'; len]].concat());
            assert_eq!((body.len(), ping.pong().body_len()), (5 + len, 5 + len));
        }
    }

    // B01, B02
    #[test]
    fn a_ping_without_its_whole_ttl_is_refused() {
        assert_eq!(Ping::decode(b""), Err(CommandError::TtlTruncated { available: 0 }));
        assert_eq!(Ping::decode(b"\0"), Err(CommandError::TtlTruncated { available: 1 }));
        assert_eq!(Ping::decode(b"\0\x07"), Ok(Ping::new(Ttl::from_deciseconds(7), HeartbeatContext::EMPTY)));
    }

    // B03, B04
    #[test]
    fn a_ping_context_over_16_octets_is_refused() {
        assert_eq!(Ping::decode(&[0; 2 + 16]).unwrap().context.as_bytes(), [0; 16]);
        assert_eq!(Ping::decode(&[0; 2 + 17]), Err(CommandError::ContextTooLong { len: 17 }));
        assert_eq!(Ping::decode(&[0; 2 + 300]), Err(CommandError::ContextTooLong { len: 300 }));
    }

    // B10
    #[test]
    fn a_pong_context_over_16_octets_is_refused() {
        assert_eq!(Pong::decode(&[0; 16]).unwrap().context.as_bytes(), [0; 16]);
        assert_eq!(Pong::decode(&[0; 17]), Err(CommandError::ContextTooLong { len: 17 }));
        assert_eq!(Pong::decode(&[0; 300]), Err(CommandError::ContextTooLong { len: 300 }));
    }

    #[test]
    fn the_pong_returns_exactly_the_context_of_the_ping() {
        let ping = Ping::decode(b"\x00\x01\x00context\x00").unwrap();
        assert_eq!(ping.pong().context.as_bytes(), b"\x00context\x00");
    }
}
