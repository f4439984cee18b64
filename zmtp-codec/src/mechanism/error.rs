//! What can go wrong inside a mechanism, split by whose fault it is.

use alloc::string::String;
use thiserror::Error;

use super::Refusal;
use crate::{CommandError, ErrorReason, PropertyError};

/// Why a handshake failed, as the mechanism sees it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MechanismError {
    /// The peer sent another command than its state allows.
    #[error("expected {expected}, the peer sent {received}")]
    UnexpectedCommand {
        /// What would have been right.
        expected: &'static str,
        /// The letters that the name begins with, 32 at most. What a peer puts behind them may be anything, its own
        /// password by mistake.
        received: String,
    },
    /// The peer's command breaks the grammar of its mechanism.
    #[error("malformed {command}: {problem}")]
    Malformed {
        /// The command's name.
        command: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The body is no command at all, or a standard command breaks its grammar.
    #[error("malformed command")]
    Command(#[from] CommandError),
    /// The metadata in the peer's command is not well-formed.
    #[error("malformed properties in {command}")]
    Properties {
        /// The command that carried them.
        command: &'static str,
        /// What is wrong with them.
        source: PropertyError,
    },
    /// A box did not open, a signature or a key was not acceptable. On purpose it does not say more.
    #[error("the peer's {command} failed cryptographic verification")]
    Cryptographic {
        /// The command that carried it.
        command: &'static str,
    },
    /// The peer sent ERROR.
    #[error("the peer refused with the reason \"{reason}\"")]
    PeerError {
        /// What the peer said. Anyone on the path can forge it until a session is sealed.
        reason: ErrorReason,
    },
    /// The application refused the peer.
    #[error("the peer was refused {0}")]
    Refused(Refusal),
    /// As many handshakes are under way as the mechanism was told to bear. The peer is told nothing, so that it comes
    /// back.
    #[error("too many handshakes are under way; the peer may come back later")]
    Busy,
    /// The mechanism could not do its own part.
    #[error("the mechanism cannot go on: {0}")]
    Local(&'static str),
    /// The caller used a state that it was not in: never caused by a peer.
    #[error("the mechanism was misused: {0}")]
    Misuse(&'static str),
}

impl MechanismError {
    /// An [`UnexpectedCommand`](Self::UnexpectedCommand) whose `received` name is safe to print.
    #[must_use]
    pub fn unexpected(expected: &'static str, received: &[u8]) -> Self {
        const SHOWN: usize = 32;
        let letters = received.iter().take(SHOWN).take_while(|octet| octet.is_ascii_alphabetic());
        let mut name: String = letters.map(|&octet| char::from(octet)).collect();
        if received.len() > name.len() {
            name.push('…');
        }
        Self::UnexpectedCommand { expected, received: name }
    }
}

/// Why a frame was not sealed. The direction sends nothing after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SealError {
    /// Every nonce of this direction was used. A connection that lives this long must be made anew.
    #[error("the nonces of this session are used up; open a new connection")]
    NoncesExhausted,
    /// The caller gave a body of another length than was planned, or more than a frame can hold: never caused by a peer.
    #[error("the sealer was misused: {0}")]
    Misuse(&'static str),
}

/// Why a received frame could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The frame does not have the form that the mechanism prescribes (a plaintext frame on a secured connection
    /// is one).
    #[error("the frame is not of the form that the mechanism prescribes: {0}")]
    Malformed(&'static str),
    /// The nonce is not newer than the last one: a replay, or frames out of order.
    #[error("the frame's nonce is not newer than the one before it")]
    Sequence,
    /// The tag is wrong: the frame was not made by the peer, or was changed on the way.
    #[error("the frame failed authentication")]
    Forged,
    /// The inner flags are not one of the three kinds of frame.
    #[error("the flags inside the frame are not legal: {flags:#04x}")]
    InnerFlags {
        /// The octet that came.
        flags: u8,
    },
}
