//! NULL, the ZMTP mechanism that protects nothing (RFC 37, "The NULL Security Mechanism").
//!
//! Both sides send READY with their properties as soon as the greetings were exchanged, without waiting for each
//! other, and are done when one was sent and one received. Afterwards frames travel as they are.
//!
//! Nothing here authenticates or encrypts: anyone on the path reads, changes and injects what they like.
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

mod handshake;

pub use handshake::NullHandshake;
use zmtp_codec::{Claim, Commands, HandshakeContext, Mechanism, MechanismError, MechanismName, Progress, Role};

/// The NULL mechanism. One value serves any number of connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Null {
    asks: bool,
}

impl Null {
    /// NULL as most peers speak it: READY goes out at once, and this mechanism asks nobody about the peer.
    ///
    /// Who is refused after that gets an ERROR behind our READY, which libzmq does not heed: it sees the connection close,
    /// loses what it has sent, and comes back. To refuse peers of libzmq, use
    /// [`with_authorization`](Self::with_authorization).
    #[must_use]
    pub const fn new() -> Self {
        Self { asks: false }
    }

    /// NULL that asks the application before it sends its READY.
    ///
    /// The claim is empty, since the peer has shown nothing but its greeting: judge it by its address. This is where
    /// libzmq asks a ZAP handler, so a refused peer sees the same as from libzmq: an ERROR in place of READY.
    #[must_use]
    pub const fn with_authorization() -> Self {
        Self { asks: true }
    }
}

impl Mechanism for Null {
    type Handshake = NullHandshake;

    fn name(&self) -> MechanismName {
        MechanismName::NULL
    }

    fn role(&self) -> Role {
        Role::Peer
    }

    fn start(&self, cx: HandshakeContext<'_>, out: &mut Commands) -> Result<Progress<NullHandshake>, MechanismError> {
        if self.asks {
            return Ok(Progress::Authorize(NullHandshake::judged(cx.properties()), Claim::default()));
        }
        Ok(Progress::NeedCommand(NullHandshake::ready(cx.properties(), out)))
    }
}
