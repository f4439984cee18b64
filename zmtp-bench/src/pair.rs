//! A connection without a socket: both sides in one thread, to measure and to count what the core does and nothing
//! else.

use core::time::Duration;

use zmtp_connection::codec::{Handshake, Mechanism, Verdict};
use zmtp_connection::proto::{Establish, Established, Outcome};
use zmtp_connection::{ConnectionConfig, HandshakeError};

/// One side of a ready connection under the mechanism `M`.
pub type Side<M> =
    Established<<<M as Mechanism>::Handshake as Handshake>::Sealer, <<M as Mechanism>::Handshake as Handshake>::Opener>;

/// Why two sides are not connected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PairError {
    /// One of them has refused the other.
    #[error("the handshake between the two sides failed")]
    Handshake(#[from] HandshakeError),
    /// Both sides wait for the other to speak.
    #[error("neither side has anything left to say, and the handshake is not over")]
    Stuck,
}

/// Shakes hands between two sides with the same mechanism. Nothing waits to be sent or to be decoded afterwards.
///
/// # Errors
/// [`PairError`] where the two do not suit each other.
pub fn pair<M: Mechanism>(
    ours: &ConnectionConfig,
    theirs: &ConnectionConfig,
    mechanism: &M,
) -> Result<(Side<M>, Side<M>), PairError> {
    pair_of((ours, mechanism), (theirs, mechanism))
}

/// As [`pair`], with a mechanism for each side. Whoever is asked about the other lets it in.
///
/// # Errors
/// [`PairError`] where the two do not suit each other.
pub fn pair_of<A: Mechanism, B: Mechanism>(
    (ours, our_mechanism): (&ConnectionConfig, &A),
    (theirs, their_mechanism): (&ConnectionConfig, &B),
) -> Result<(Side<A>, Side<B>), PairError> {
    let mut a = Half::Under(Establish::new(ours, our_mechanism));
    let mut b = Half::Under(Establish::new(theirs, their_mechanism));
    loop {
        let to_b = a.said();
        let to_a = b.said();
        if to_a.is_empty() && to_b.is_empty() {
            break;
        }
        a = a.told(&to_a)?;
        b = b.told(&to_b)?;
    }
    match (a, b) {
        (Half::Ready(a), Half::Ready(b)) => Ok((*a, *b)),
        _ => Err(PairError::Stuck),
    }
}

#[expect(clippy::large_enum_variant, reason = "two of them live on the stack for one handshake")]
enum Half<'a, M: Mechanism> {
    Under(Establish<'a, M>),
    Ready(Box<Side<M>>),
}

impl<M: Mechanism> Half<'_, M> {
    /// What it wants to send.
    fn said(&mut self) -> Vec<u8> {
        match self {
            Self::Under(establish) => {
                let octets = establish.transmit().to_vec();
                establish.transmitted(octets.len());
                octets
            }
            Self::Ready(side) => {
                let octets: Vec<u8> = side.encoder.chunks().flatten().copied().collect();
                side.encoder.advance(octets.len());
                octets
            }
        }
    }

    /// It receives `octets`. All of it belongs to the handshake: nobody sends a message before both are ready.
    fn told(self, octets: &[u8]) -> Result<Self, PairError> {
        let Self::Under(mut establish) = self else { return Ok(self) };
        establish.receive(octets);
        let mut outcome = establish.advance(Duration::ZERO);
        loop {
            outcome = match outcome {
                Outcome::Pending(establish) => return Ok(Self::Under(establish)),
                Outcome::Ready(side) => return Ok(Self::Ready(Box::new(side))),
                Outcome::Authorize(authorize) => authorize.decide(Verdict::accept(), Duration::ZERO),
                Outcome::Failed(failure) => return Err(failure.error.into()),
            };
        }
    }
}
