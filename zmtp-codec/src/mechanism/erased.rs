//! Choosing a mechanism at run time: one boxed type over all of them.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::ops::RangeInclusive;

use super::{
    Commands, Handshake, HandshakeContext, Mechanism, MechanismError, OpenError, Opened, Opener, Progress, Role,
    SealError, SealPlan, Sealer, Session, Verdict, WireCommand,
};
use crate::{FrameKind, MechanismName};

/// Any mechanism, chosen at run time. Cloning shares the configuration.
///
/// Costs one allocation per step of a handshake and one per direction, and one virtual call per frame (some
/// nanoseconds).
#[derive(Clone)]
pub struct AnyMechanism(Arc<dyn ErasedMechanism>);

impl AnyMechanism {
    /// Wraps `mechanism`.
    #[must_use]
    pub fn new<M: Mechanism>(mechanism: M) -> Self {
        Self(Arc::new(mechanism))
    }
}

impl core::fmt::Debug for AnyMechanism {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "AnyMechanism({})", self.0.name())
    }
}

impl Mechanism for AnyMechanism {
    type Handshake = AnyHandshake;

    fn name(&self) -> MechanismName {
        self.0.name()
    }

    fn role(&self) -> Role {
        self.0.role()
    }

    fn start(&self, cx: HandshakeContext<'_>, out: &mut Commands) -> Result<Progress<Self::Handshake>, MechanismError> {
        self.0.start(cx, out)
    }
}

/// One configuration for many owners.
impl<M: Mechanism> Mechanism for Arc<M> {
    type Handshake = M::Handshake;

    fn name(&self) -> MechanismName {
        (**self).name()
    }

    fn role(&self) -> Role {
        (**self).role()
    }

    fn start(&self, cx: HandshakeContext<'_>, out: &mut Commands) -> Result<Progress<Self::Handshake>, MechanismError> {
        (**self).start(cx, out)
    }
}

/// The handshake of an [`AnyMechanism`].
pub struct AnyHandshake(Box<dyn ErasedHandshake>);

impl core::fmt::Debug for AnyHandshake {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("AnyHandshake")
    }
}

impl Handshake for AnyHandshake {
    type Sealer = Box<dyn Sealer>;
    type Opener = Box<dyn Opener>;

    fn body_len(&self) -> RangeInclusive<u64> {
        self.0.body_len()
    }

    fn handle(self, command: WireCommand<'_>, out: &mut Commands) -> Result<Progress<Self>, MechanismError> {
        self.0.handle(command, out)
    }

    fn authorize(self, verdict: Verdict, out: &mut Commands) -> Result<Progress<Self>, MechanismError> {
        self.0.authorize(verdict, out)
    }
}

impl Sealer for Box<dyn Sealer> {
    fn plan(&self, kind: FrameKind, payload_len: usize) -> SealPlan {
        (**self).plan(kind, payload_len)
    }

    fn seal(&mut self, header: &[u8], kind: FrameKind, payload: &[u8], body: &mut [u8]) -> Result<(), SealError> {
        (**self).seal(header, kind, payload, body)
    }

    fn is_identity(&self) -> bool {
        (**self).is_identity()
    }
}

impl Opener for Box<dyn Opener> {
    fn open(&mut self, header: &[u8], kind: FrameKind, body: &mut [u8]) -> Result<Opened, OpenError> {
        (**self).open(header, kind, body)
    }

    fn overhead(&self) -> usize {
        (**self).overhead()
    }

    fn is_identity(&self) -> bool {
        (**self).is_identity()
    }
}

/// The object-safe twin of [`Mechanism`].
trait ErasedMechanism: Send + Sync {
    fn name(&self) -> MechanismName;
    fn role(&self) -> Role;
    fn start(&self, cx: HandshakeContext<'_>, out: &mut Commands) -> Result<Progress<AnyHandshake>, MechanismError>;
}

impl<M: Mechanism> ErasedMechanism for M {
    fn name(&self) -> MechanismName {
        Mechanism::name(self)
    }

    fn role(&self) -> Role {
        Mechanism::role(self)
    }

    fn start(&self, cx: HandshakeContext<'_>, out: &mut Commands) -> Result<Progress<AnyHandshake>, MechanismError> {
        Mechanism::start(self, cx, out).map(erase)
    }
}

/// The object-safe twin of [`Handshake`]: by `Box<Self>`, since a step consumes the state.
trait ErasedHandshake: Send {
    fn body_len(&self) -> RangeInclusive<u64>;
    fn handle(
        self: Box<Self>,
        command: WireCommand<'_>,
        out: &mut Commands,
    ) -> Result<Progress<AnyHandshake>, MechanismError>;
    fn authorize(
        self: Box<Self>,
        verdict: Verdict,
        out: &mut Commands,
    ) -> Result<Progress<AnyHandshake>, MechanismError>;
}

impl<H: Handshake> ErasedHandshake for H {
    fn body_len(&self) -> RangeInclusive<u64> {
        Handshake::body_len(self)
    }

    fn handle(
        self: Box<Self>,
        command: WireCommand<'_>,
        out: &mut Commands,
    ) -> Result<Progress<AnyHandshake>, MechanismError> {
        Handshake::handle(*self, command, out).map(erase)
    }

    fn authorize(
        self: Box<Self>,
        verdict: Verdict,
        out: &mut Commands,
    ) -> Result<Progress<AnyHandshake>, MechanismError> {
        Handshake::authorize(*self, verdict, out).map(erase)
    }
}

fn erase<H: Handshake>(progress: Progress<H>) -> Progress<AnyHandshake> {
    match progress {
        Progress::NeedCommand(handshake) => Progress::NeedCommand(AnyHandshake(Box::new(handshake))),
        Progress::Authorize(handshake, claim) => Progress::Authorize(AnyHandshake(Box::new(handshake)), claim),
        Progress::Complete(Session { sealer, opener, properties, public_key, encrypted }) => {
            let (sealer, opener): (Box<dyn Sealer>, Box<dyn Opener>) = (Box::new(sealer), Box::new(opener));
            Progress::Complete(Session { sealer, opener, properties, public_key, encrypted })
        }
    }
}
