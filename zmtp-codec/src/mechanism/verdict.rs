//! The pause for the application's judgement: what it is told, and what it may answer.

use crate::{ErrorReason, Properties};

/// What a mechanism knows of a peer at the moment it asks for a verdict.
///
/// How much that is depends on the mechanism: NULL asks before anything was received, so both fields are empty and
/// only what the transport knows (the peer's address) can be judged; a mechanism with keys asks when the key is
/// proven and the properties are decrypted.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Claim {
    /// Who the peer claims to be; proven where it is a public key.
    pub credentials: Credentials,
    /// The peer's properties, where they are known by now.
    pub properties: Option<Properties>,
}

impl Claim {
    /// A claim of a peer that shows `credentials`.
    #[must_use]
    pub const fn new(credentials: Credentials) -> Self {
        Self { credentials, properties: None }
    }

    /// Adds the properties that the peer sent.
    #[must_use]
    pub fn with_properties(mut self, properties: Properties) -> Self {
        self.properties = Some(properties);
        self
    }
}

/// What a peer shows to be let in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credentials {
    /// Nothing: the mechanism has no credentials.
    #[default]
    Anonymous,
    /// A long-term public key whose possession the handshake has proven.
    PublicKey([u8; 32]),
}

/// The application's answer to a [`Claim`].
#[expect(clippy::exhaustive_enums, reason = "a mechanism must handle every verdict; a new one has to break it")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Let the peer in.
    Accept,
    /// Turn the peer away.
    Refuse(Refusal),
}

impl Verdict {
    /// Turns the peer away for good: it receives an ERROR with the reason `400`, as from libzmq.
    #[must_use]
    pub const fn deny() -> Self {
        Self::Refuse(Refusal::Error(ErrorReason::AUTHENTICATION_FAILURE))
    }
}

/// How a peer is turned away.
///
/// A peer that receives an ERROR does not come back (libzmq never reconnects after one), so a temporary refusal must
/// be silent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Temporary (ZAP status 300): the connection is closed without a word, and the peer will try again.
    Silent,
    /// Permanent: the peer receives an ERROR with this reason.
    Error(ErrorReason),
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Silent => f.write_str("for now, without a reason to the peer"),
            Self::Error(reason) => write!(f, "with the reason \"{reason}\""),
        }
    }
}
