//! Two mechanisms that shake hands without a connection around them, to measure what they alone do.

use core::time::Duration;
use std::time::Instant;

use zmtp_connection::codec::{
    Commands, FrameHeader, GREETING_LEN, Greeting, Handshake, HandshakeContext, Mechanism, MechanismError, Progress,
    Properties, Session, Verdict, WireCommand,
};

/// The session of a side under the mechanism `M`.
pub type SessionOf<M> =
    Session<<<M as Mechanism>::Handshake as Handshake>::Sealer, <<M as Mechanism>::Handshake as Handshake>::Opener>;

/// Two sessions that fit together.
#[derive(Debug)]
#[non_exhaustive]
pub struct Sessions<A, B> {
    /// The first side's.
    pub ours: A,
    /// The other side's.
    pub theirs: B,
    /// How long the first side has worked for it.
    pub our_time: Duration,
    /// How long the other side has.
    pub their_time: Duration,
}

/// Shakes hands; both sides announce `properties` and let the other in.
///
/// # Errors
/// [`MechanismError`] where the two do not suit each other.
pub fn sessions<A: Mechanism, B: Mechanism>(
    ours: &A,
    theirs: &B,
    properties: &Properties,
) -> Result<Sessions<SessionOf<A>, SessionOf<B>>, MechanismError> {
    let greetings = [
        Greeting::new(ours.name(), ours.role().as_server()).to_bytes(),
        Greeting::new(theirs.name(), theirs.role().as_server()).to_bytes(),
    ];
    let mut a = Side::start(ours, &greetings[0], &greetings[1], properties)?;
    let mut b = Side::start(theirs, &greetings[1], &greetings[0], properties)?;
    while !a.said.is_empty() || !b.said.is_empty() {
        let (to_b, to_a) = (core::mem::take(&mut a.said), core::mem::take(&mut b.said));
        b.hear(to_b.as_slice())?;
        a.hear(to_a.as_slice())?;
    }
    match (a.state, b.state) {
        (Some(Progress::Complete(ours)), Some(Progress::Complete(theirs))) => {
            Ok(Sessions { ours, theirs, our_time: a.time, their_time: b.time })
        }
        _ => Err(MechanismError::Misuse("neither side has anything left to say, and the handshake is not over")),
    }
}

struct Side<H: Handshake> {
    state: Option<Progress<H>>,
    said: Commands,
    time: Duration,
}

impl<H: Handshake> Side<H> {
    fn start<M: Mechanism<Handshake = H>>(
        mechanism: &M,
        ours: &[u8; GREETING_LEN],
        theirs: &[u8; GREETING_LEN],
        properties: &Properties,
    ) -> Result<Self, MechanismError> {
        let begun = Instant::now();
        let mut said = Commands::new();
        let progress = mechanism.start(HandshakeContext::new(ours, theirs, properties, Duration::ZERO), &mut said)?;
        let state = Some(accept(progress, &mut said)?);
        Ok(Self { state, said, time: begun.elapsed() })
    }

    /// Takes the commands in `wire`, one after the other.
    fn hear(&mut self, mut wire: &[u8]) -> Result<(), MechanismError> {
        let begun = Instant::now();
        while let Ok(Some((header, header_len))) = FrameHeader::decode(wire) {
            let end = usize::try_from(header.size()).map_or(wire.len(), |size| header_len + size);
            let (command, rest) = wire.split_at(end);
            wire = rest;
            let Some(Progress::NeedCommand(handshake)) = self.state.take() else {
                return Err(MechanismError::Misuse("a side that is ready was sent a command"));
            };
            let progress = handshake.handle(WireCommand::new(command, header_len, Duration::ZERO), &mut self.said)?;
            self.state = Some(accept(progress, &mut self.said)?);
        }
        self.time += begun.elapsed();
        Ok(())
    }
}

fn accept<H: Handshake>(progress: Progress<H>, said: &mut Commands) -> Result<Progress<H>, MechanismError> {
    match progress {
        Progress::Authorize(handshake, _) => handshake.authorize(Verdict::accept(), said),
        progress => Ok(progress),
    }
}
