//! The octets of the handshake commands.
//!
//! ```text
//! HELLO     version 2 │ C' 32 │ zeros │ box[64 zeros]
//! WELCOME   (nonce 24 │) box[S' 32 │ cookie]
//! INITIATE  cookie │ box[C 32 │ vouch │ metadata]
//! READY     box[metadata]
//! cookie    nonce 24 │ box[C' 32 │ s' 32 │ h1 32]
//! vouch     box[C' 32 │ S 32]
//! ```
//!
//! These are the data of a command, behind its name. A box is as long as its plaintext and the tag of the suite.

use core::ops::RangeInclusive;

use zmtp_codec::{ErrorReason, MechanismError, RawCommand, WireCommand};

use crate::session::is_canonical;
use crate::suite::Suite;

pub(crate) const HELLO: &str = "HELLO";
pub(crate) const WELCOME: &str = "WELCOME";
pub(crate) const INITIATE: &str = "INITIATE";
pub(crate) const READY: &str = "READY";
const ERROR: &str = "ERROR";

/// What the box of a cookie is bound to.
pub(crate) const COOKIE: &str = "COOKIE";
/// What the box of a vouch is bound to.
pub(crate) const VOUCH: &str = "VOUCH";

/// Version 1.0, the only one there is.
pub(crate) const VERSION: [u8; 2] = [1, 0];

pub(crate) const KEY: usize = 32;
pub(crate) const NONCE: usize = 24;
pub(crate) const ZEROS: [u8; 64] = [0; 64];

/// The sizes of a suite.
pub(crate) struct Sizes<S>(core::marker::PhantomData<S>);

impl<S: Suite> Sizes<S> {
    pub(crate) const COOKIE: usize = NONCE + 3 * KEY + S::TAG;
    pub(crate) const VOUCH: usize = 2 * KEY + S::TAG;

    /// Octets of bodies, the command's name included.
    const HELLO: u64 = (1 + HELLO.len() + VERSION.len() + KEY + S::PADDING + ZEROS.len() + S::TAG) as u64;
    const INITIATE: u64 = (1 + INITIATE.len() + Self::COOKIE + KEY + Self::VOUCH + S::TAG) as u64;

    pub(crate) const AWAITING_HELLO: RangeInclusive<u64> = Self::HELLO..=Self::HELLO;
    pub(crate) const AWAITING_INITIATE: RangeInclusive<u64> = Self::INITIATE..=u64::MAX;
    /// A WELCOME, or an ERROR of 7 to 262 octets: the header alone does not tell which of the two it is.
    pub(crate) const AWAITING_WELCOME: RangeInclusive<u64> = 7..=262;
    pub(crate) const AWAITING_READY: RangeInclusive<u64> = 7..=u64::MAX;
}

/// A HELLO in its parts.
pub(crate) struct Hello<'a> {
    pub(crate) transient: &'a [u8; KEY],
    pub(crate) boxed: &'a [u8],
}

impl<'a> Hello<'a> {
    /// Everything of it that can be checked without a key.
    pub(crate) fn parse<S: Suite>(command: &WireCommand<'a>) -> Result<Self, MechanismError> {
        let data = named(command, HELLO, HELLO)?;
        let malformed = |problem| MechanismError::Malformed { command: HELLO, problem };
        let fields = (|| {
            let (version, rest) = data.split_first_chunk::<2>()?;
            let (transient, rest) = rest.split_first_chunk()?;
            let (padding, boxed) = rest.split_at_checked(S::PADDING)?;
            (boxed.len() == ZEROS.len() + S::TAG).then_some((version, padding, Hello { transient, boxed }))
        })();
        let (version, padding, hello) = fields.ok_or(malformed("it has another length than a HELLO"))?;
        if *version != VERSION {
            return Err(malformed("the version is not 1.0"));
        }
        if padding.iter().any(|&octet| octet != 0) {
            return Err(malformed("the padding is not zero"));
        }
        Ok(hello)
    }
}

/// A WELCOME in its parts.
pub(crate) struct Welcome<'a> {
    pub(crate) nonce: Option<&'a [u8; NONCE]>,
    pub(crate) boxed: &'a [u8],
}

impl<'a> Welcome<'a> {
    pub(crate) fn parse<S: Suite>(command: &WireCommand<'a>) -> Result<Self, MechanismError> {
        let data = named(command, WELCOME, "WELCOME or ERROR")?;
        let fields = if S::WELCOME_NONCE {
            data.split_first_chunk().map(|(nonce, boxed)| Self { nonce: Some(nonce), boxed })
        } else {
            Some(Self { nonce: None, boxed: data })
        };
        fields
            .filter(|welcome| welcome.boxed.len() == KEY + Sizes::<S>::COOKIE + S::TAG)
            .ok_or(MechanismError::Malformed { command: WELCOME, problem: "it has another length than a WELCOME" })
    }
}

/// An INITIATE in its parts.
pub(crate) struct Initiate<'a> {
    pub(crate) cookie_nonce: &'a [u8; NONCE],
    pub(crate) cookie: &'a [u8],
    pub(crate) boxed: &'a [u8],
}

impl<'a> Initiate<'a> {
    pub(crate) fn parse<S: Suite>(command: &WireCommand<'a>) -> Result<Self, MechanismError> {
        let data = named(command, INITIATE, INITIATE)?;
        let fields = (|| {
            let (cookie_nonce, rest) = data.split_first_chunk()?;
            let (cookie, boxed) = rest.split_at_checked(Sizes::<S>::COOKIE - NONCE)?;
            (boxed.len() >= KEY + Sizes::<S>::VOUCH + S::TAG).then_some(Self { cookie_nonce, cookie, boxed })
        })();
        fields.ok_or(MechanismError::Malformed { command: INITIATE, problem: "it is shorter than an INITIATE" })
    }
}

/// The box of a READY.
pub(crate) fn ready<'a, S: Suite>(command: &WireCommand<'a>) -> Result<&'a [u8], MechanismError> {
    let boxed = named(command, READY, "READY or ERROR")?;
    if boxed.len() < S::TAG {
        return Err(MechanismError::Malformed { command: READY, problem: "it is shorter than a READY" });
    }
    Ok(boxed)
}

/// Fails with what the server says if `command` is its ERROR, in the clear and unproven.
pub(crate) fn refuse_error(command: &WireCommand<'_>) -> Result<(), MechanismError> {
    let RawCommand { name, data, .. } = command.parse()?;
    if name == ERROR.as_bytes() {
        return Err(MechanismError::PeerError { reason: ErrorReason::decode(data)? });
    }
    Ok(())
}

/// The data of a command of this name. Its header must be the shortest one: it is part of the transcript, and other
/// implementations hash one that they put together anew.
fn named<'a>(
    command: &WireCommand<'a>,
    name: &'static str,
    expected: &'static str,
) -> Result<&'a [u8], MechanismError> {
    let parsed = command.parse()?;
    if parsed.name != name.as_bytes() {
        return Err(MechanismError::unexpected(expected, parsed.name));
    }
    if !is_canonical(command.header(), zmtp_codec::FrameKind::Command, command.body().len()) {
        return Err(MechanismError::Malformed { command: name, problem: "its header is not the shortest one" });
    }
    Ok(parsed.data)
}
