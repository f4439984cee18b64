//! The octets of the handshake commands (RFC 26, "Command formats"), and the nonces of their boxes.
//!
//! ```text
//! HELLO     version 2 │ zeros 72 │ C' 32 │ short nonce 8 │ box[64 zeros] 80
//! WELCOME   long nonce 16 │ box[S' 32 │ cookie 96] 144
//! INITIATE  cookie 96 │ short nonce 8 │ box[C 32 │ vouch 96 │ metadata] 144 + n
//! READY     short nonce 8 │ box[metadata] 16 + n
//! cookie    long nonce 16 │ secretbox[C' 32 │ s' 32] 80
//! vouch     long nonce 16 │ box[C' 32 │ S 32] 80
//! ```
//!
//! These are the data of a command, behind its name.

use core::ops::RangeInclusive;

pub(crate) use crate::cipher::TAG_LEN;
use zmtp_codec::{ErrorReason, MechanismError, RawCommand};

pub(crate) const HELLO: &str = "HELLO";
pub(crate) const WELCOME: &str = "WELCOME";
pub(crate) const INITIATE: &str = "INITIATE";
pub(crate) const READY: &str = "READY";
pub(crate) const ERROR: &str = "ERROR";

pub(crate) const KEY_LEN: usize = 32;
/// The cookie and the vouch each carry two keys, boxed, behind their nonce.
pub(crate) const COOKIE_LEN: usize = 16 + TAG_LEN + 2 * KEY_LEN;
pub(crate) const VOUCH_LEN: usize = COOKIE_LEN;

/// Version 1.0, the only one there is.
pub(crate) const VERSION: [u8; 2] = [1, 0];
/// RFC 26 says 70 in its prose and 72 in its grammar; 200 octets of HELLO, and libzmq, say 72.
pub(crate) const PADDING_LEN: usize = 72;

/// Octets of a HELLO's body, and no other number.
pub(crate) const HELLO_LEN: u64 = 200;
/// Octets of an INITIATE's body without metadata.
pub(crate) const INITIATE_MIN: u64 = 257;
/// A WELCOME has 168 octets, an ERROR from 7 to 262; the header alone does not tell which of the two it is.
pub(crate) const WELCOME_OR_ERROR: RangeInclusive<u64> = 7..=262;
/// A READY has 30 octets and more.
pub(crate) const READY_OR_ERROR: RangeInclusive<u64> = 7..=u64::MAX;

/// The prefixes of short nonces, behind which a counter stands, big-endian. The RFC's grammar has another one for
/// MESSAGE; its prose and libzmq have these.
pub(crate) mod short {
    pub(crate) const HELLO: &[u8; 16] = b"CurveZMQHELLO---";
    pub(crate) const INITIATE: &[u8; 16] = b"CurveZMQINITIATE";
    pub(crate) const READY: &[u8; 16] = b"CurveZMQREADY---";
    pub(crate) const FROM_CLIENT: &[u8; 16] = b"CurveZMQMESSAGEC";
    pub(crate) const FROM_SERVER: &[u8; 16] = b"CurveZMQMESSAGES";
}

/// The prefixes of long nonces, behind which 16 random octets stand.
pub(crate) mod long {
    pub(crate) const WELCOME: &[u8; 8] = b"WELCOME-";
    pub(crate) const COOKIE: &[u8; 8] = b"COOKIE--";
    pub(crate) const VOUCH: &[u8; 8] = b"VOUCH---";
}

/// The nonce of a box whose counter is on the wire.
pub(crate) fn short_nonce(prefix: &[u8; 16], counter: u64) -> [u8; 24] {
    compose([prefix, &counter.to_be_bytes()])
}

/// The nonce of a box whose random half is on the wire.
pub(crate) fn long_nonce(prefix: &[u8; 8], random: &[u8; 16]) -> [u8; 24] {
    compose([prefix, random])
}

/// The pieces, one behind the other. Together they have `N` octets: each one's length is a constant.
pub(crate) fn compose<const N: usize, const PIECES: usize>(pieces: [&[u8]; PIECES]) -> [u8; N] {
    let mut whole = [0; N];
    let mut rest = whole.as_mut_slice();
    for piece in pieces {
        let (room, behind) = rest.split_at_mut(piece.len());
        room.copy_from_slice(piece);
        rest = behind;
    }
    debug_assert!(rest.is_empty(), "the pieces do not fill the whole");
    whole
}

/// A HELLO in its parts.
pub(crate) struct Hello<'a> {
    pub(crate) transient: &'a [u8; KEY_LEN],
    pub(crate) counter: u64,
    pub(crate) boxed: &'a [u8; TAG_LEN + 64],
}

impl<'a> Hello<'a> {
    /// Everything of it that can be checked without a key.
    pub(crate) fn parse(command: RawCommand<'a>) -> Result<Self, MechanismError> {
        expect(&command, HELLO, HELLO)?;
        let malformed = |problem| MechanismError::Malformed { command: HELLO, problem };
        let fields = (|| {
            let (version, rest) = command.data.split_first_chunk::<2>()?;
            let (padding, rest) = rest.split_first_chunk::<PADDING_LEN>()?;
            let (transient, rest) = rest.split_first_chunk()?;
            let (counter, rest) = rest.split_first_chunk()?;
            let hello = Hello { transient, counter: u64::from_be_bytes(*counter), boxed: rest.try_into().ok()? };
            Some((version, padding, hello))
        })();
        let (version, padding, hello) = fields.ok_or(malformed("it does not have 200 octets"))?;
        if *version != VERSION {
            return Err(malformed("the version is not 1.0"));
        }
        // libzmq does not look; every version of it sends zeros.
        if padding != &[0; PADDING_LEN] {
            return Err(malformed("the padding is not zero"));
        }
        Ok(hello)
    }
}

/// A WELCOME in its parts.
pub(crate) struct Welcome<'a> {
    pub(crate) nonce: &'a [u8; 16],
    pub(crate) boxed: &'a [u8; TAG_LEN + KEY_LEN + COOKIE_LEN],
}

impl<'a> Welcome<'a> {
    pub(crate) fn parse(command: RawCommand<'a>) -> Result<Self, MechanismError> {
        expect(&command, WELCOME, "WELCOME or ERROR")?;
        let fields = command.data.split_first_chunk();
        fields
            .and_then(|(nonce, rest)| Some(Self { nonce, boxed: rest.try_into().ok()? }))
            .ok_or(MechanismError::Malformed { command: WELCOME, problem: "it does not have 168 octets" })
    }
}

/// An INITIATE in its parts.
pub(crate) struct Initiate<'a> {
    pub(crate) cookie_nonce: &'a [u8; 16],
    pub(crate) cookie: &'a [u8; COOKIE_LEN - 16],
    pub(crate) counter: u64,
    pub(crate) boxed: &'a [u8],
}

impl<'a> Initiate<'a> {
    pub(crate) fn parse(command: RawCommand<'a>) -> Result<Self, MechanismError> {
        expect(&command, INITIATE, INITIATE)?;
        let fields = (|| {
            let (cookie_nonce, rest) = command.data.split_first_chunk()?;
            let (cookie, rest) = rest.split_first_chunk()?;
            let (counter, boxed) = rest.split_first_chunk()?;
            let counter = u64::from_be_bytes(*counter);
            (boxed.len() >= TAG_LEN + KEY_LEN + VOUCH_LEN).then_some(Self { cookie_nonce, cookie, counter, boxed })
        })();
        fields.ok_or(MechanismError::Malformed { command: INITIATE, problem: "it has fewer than 257 octets" })
    }
}

/// A READY in its parts.
pub(crate) struct Ready<'a> {
    pub(crate) counter: u64,
    pub(crate) boxed: &'a [u8],
}

impl<'a> Ready<'a> {
    pub(crate) fn parse(command: RawCommand<'a>) -> Result<Self, MechanismError> {
        expect(&command, READY, "READY or ERROR")?;
        let fields = command.data.split_first_chunk();
        fields
            .filter(|(_, boxed)| boxed.len() >= TAG_LEN)
            .map(|(counter, boxed)| Self { counter: u64::from_be_bytes(*counter), boxed })
            .ok_or(MechanismError::Malformed { command: READY, problem: "it has fewer than 30 octets" })
    }
}

/// Fails with what the server says if `command` is its ERROR.
pub(crate) fn refuse_error(command: &RawCommand<'_>) -> Result<(), MechanismError> {
    if command.name == ERROR.as_bytes() {
        return Err(MechanismError::PeerError { reason: ErrorReason::decode(command.data)? });
    }
    Ok(())
}

fn expect(command: &RawCommand<'_>, name: &str, expected: &'static str) -> Result<(), MechanismError> {
    if command.name == name.as_bytes() { Ok(()) } else { Err(MechanismError::unexpected(expected, command.name)) }
}
