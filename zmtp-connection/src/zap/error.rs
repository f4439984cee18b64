//! What is wrong with a ZAP message.

use thiserror::Error;
use zmtp_codec::{MechanismName, MechanismNameError, PropertyError};

/// Why there is no ZAP message: what was received is none, or what is to be sent does not fit into one.
///
/// No error shows a credential, and what it shows of a message is escaped and cut short.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ZapError {
    /// Where the envelope should end there is no empty frame.
    #[error(
        "a ZAP message begins with an empty delimiter frame, behind the routing ids if there are any; this has none"
    )]
    NoDelimiter,
    /// Another version of ZAP, or no ZAP at all.
    #[error("the version of a ZAP message is 1.0, this one says \"{version}\"")]
    Version {
        /// What it says.
        version: Box<str>,
    },
    /// A request ends before its mechanism.
    #[error("a ZAP request has 6 frames and its credentials behind the delimiter, this one has {frames} in all")]
    Incomplete {
        /// How many frames there are.
        frames: usize,
    },
    /// A reply has too few or too many frames.
    #[error("a ZAP reply has 7 frames, the delimiter among them; this one has {frames}")]
    FrameCount {
        /// How many frames there are.
        frames: usize,
    },
    /// A reply is not to the request that was sent.
    #[error("the ZAP reply has another request id than the request")]
    RequestId,
    /// The status of a reply is none of the four.
    #[error("the status of a ZAP reply is 200, 300, 400 or 500; this one says \"{status}\"")]
    Status {
        /// What it says.
        status: Box<str>,
    },
    /// The metadata of a reply breaks the grammar.
    #[error("the metadata of the ZAP reply is malformed")]
    Metadata(#[from] PropertyError),
    /// A field is longer than ZAP allows. Nothing is ever cut, but for the status text.
    #[error("the {field} has {len} octets, ZAP carries 255 at most")]
    TooLong {
        /// Which one.
        field: &'static str,
        /// How long it is.
        len: usize,
    },
    /// A field that is a text is not UTF-8. (RFC 27 has ASCII.)
    #[error("the {field} of the ZAP request is no text")]
    NotText {
        /// Which one.
        field: &'static str,
    },
    /// The name of the mechanism cannot be one.
    #[error("the ZAP request names no mechanism")]
    MechanismName(#[from] MechanismNameError),
    /// Nobody here knows what the credentials of this mechanism mean.
    #[error("the credentials of the mechanism {mechanism} are not known here")]
    UnknownMechanism {
        /// The mechanism.
        mechanism: MechanismName,
    },
    /// These are not the credentials of the mechanism.
    #[error("the mechanism {mechanism} has no credentials of {frames} frames; only its server side has any to judge")]
    Credentials {
        /// The mechanism.
        mechanism: MechanismName,
        /// How many frames of credentials there are.
        frames: usize,
    },
    /// The public key has another length.
    #[error("a public key of {mechanism} has 32 octets, not {len}")]
    KeyLength {
        /// The mechanism.
        mechanism: MechanismName,
        /// How long it is.
        len: usize,
    },
}

/// The longest string in a ZAP message, in octets.
pub(super) const MAX_LEN: usize = 255;

/// How much of a field that is wrong an error shows: enough to see what was meant.
const SHOWN: usize = 8;

/// Refuses what is longer than a string may be.
pub(super) const fn check_len(field: &'static str, len: usize) -> Result<(), ZapError> {
    if len > MAX_LEN { Err(ZapError::TooLong { field, len }) } else { Ok(()) }
}

/// A field that is wrong, to be shown.
pub(super) fn shown(octets: &[u8]) -> Box<str> {
    octets.get(..SHOWN).unwrap_or(octets).escape_ascii().to_string().into()
}
