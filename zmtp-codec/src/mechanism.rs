//! The contract between a connection and a security mechanism.
//!
//! A mechanism lives through three stages, and each stage is consumed by the next, so that a failed or finished
//! one cannot be used again:
//!
//! ```text
//! Mechanism ──start──► Handshake ──handle──► … ──► Session { Sealer, Opener }
//! configuration        one connection,  │          one direction each,
//! for many             one command      │          sharing nothing
//! connections          at a time        └─► Authorize: a pause until the application has judged the peer
//! ```
//!
//! A mechanism never sees a socket, never reads a clock and knows no other mechanism. What it needs from outside
//! comes in as arguments: the greetings and time in [`HandshakeContext`], entropy through its own configuration.
//!
//! Users who choose a mechanism at compile time pay nothing for this seam: the traits are generic and NULL compiles
//! to no code. Users who choose at run time wrap theirs in [`AnyMechanism`], at the cost of one virtual call per frame.

mod clear;
mod commands;
mod credentials;
mod erased;
mod error;
mod verdict;

use core::ops::{Range, RangeInclusive};
use core::time::Duration;

pub use clear::{ClearOpener, ClearSealer};
pub use commands::{Commands, WireCommand};
pub use credentials::{Credentials, CredentialsError, PlainCredentials};
pub use erased::{AnyHandshake, AnyMechanism};
pub use error::{MechanismError, OpenError, SealError};
pub use verdict::{Admission, Claim, Refusal, Verdict};

use crate::{FrameKind, GREETING_LEN, MechanismName, Properties};

/// The configuration of a security mechanism: keys, credentials, choices. One value serves many connections.
pub trait Mechanism: Send + Sync + 'static {
    /// The state of one connection's handshake.
    type Handshake: Handshake;

    /// The name for the greeting. The connection compares all 20 octets of the peer's field with it.
    fn name(&self) -> MechanismName;

    /// Which side of the security handshake this is. Independent of who bound and who connected.
    fn role(&self) -> Role;

    /// Begins the handshake of one connection, after both greetings were exchanged and the mechanisms found equal.
    ///
    /// The commands put in `out` are sent also when an error is returned.
    ///
    /// # Errors
    /// [`MechanismError`] when this configuration cannot start, for want of entropy for example.
    fn start(&self, cx: HandshakeContext<'_>, out: &mut Commands) -> Result<Progress<Self::Handshake>, MechanismError>;
}

/// A handshake under way on one connection.
///
/// Every step consumes the state and returns the next one in a [`Progress`], so a state that failed is gone.
pub trait Handshake: Sized + Send + 'static {
    /// Protects what we send once the handshake is complete.
    type Sealer: Sealer;
    /// Opens what the peer sends once the handshake is complete.
    type Opener: Opener;

    /// How many octets the body of the next command may have. The connection refuses another size from the frame
    /// header alone, before it waits for the body. The connection's own limit for handshake commands applies as well.
    fn body_len(&self) -> RangeInclusive<u64> {
        0..=u64::MAX
    }

    /// Takes the peer's next command.
    ///
    /// The commands put in `out` are sent also when an error is returned: an ERROR for the peer belongs there.
    ///
    /// # Errors
    /// [`MechanismError`] ends the connection. Nothing that a peer sends may panic.
    fn handle(self, command: WireCommand<'_>, out: &mut Commands) -> Result<Progress<Self>, MechanismError>;

    /// Continues after [`Progress::Authorize`] with what the application decided.
    ///
    /// # Errors
    /// [`MechanismError::Refused`] when the verdict was a refusal, after the ERROR (if the refusal has one) was put
    /// in `out`. [`MechanismError::Misuse`] from a state that asked for no verdict.
    fn authorize(self, verdict: Verdict, out: &mut Commands) -> Result<Progress<Self>, MechanismError>;
}

/// What a step of a handshake led to.
#[expect(clippy::exhaustive_enums, reason = "a connection must handle every outcome; a new one has to break it")]
pub enum Progress<H: Handshake> {
    /// The peer's next command is awaited.
    NeedCommand(H),
    /// The application must judge the peer before the handshake continues with [`Handshake::authorize`].
    /// No command is handled in between; the handshake deadline goes on running.
    Authorize(H, Claim),
    /// The peer is who it claims to be, and both directions are ready.
    ///
    /// What this step put in `out` is the end of our handshake. Where nothing is sealed, a peer whose properties turn out
    /// not to suit us hears an ERROR in its place; so a mechanism that knows the properties before it says READY says it
    /// here, and not before.
    Complete(Session<H::Sealer, H::Opener>),
}

impl<H: Handshake> core::fmt::Debug for Progress<H> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::NeedCommand(_) => "NeedCommand",
            Self::Authorize(..) => "Authorize",
            Self::Complete(_) => "Complete",
        })
    }
}

/// The result of a handshake: an independent half for each direction, and what is known of the peer.
///
/// The halves share no state, so that they can live on different tasks without a lock.
#[non_exhaustive]
pub struct Session<S, O> {
    /// Protects what we send.
    pub sealer: S,
    /// Opens what the peer sends.
    pub opener: O,
    /// The properties of the peer's READY or INITIATE, as they came. The Socket-Type is not yet checked.
    pub properties: Properties,
    /// The peer's long-term public key, proven by the handshake; `None` where the mechanism has none.
    pub public_key: Option<[u8; 32]>,
    /// Whether others on the path cannot read what is sent. Sealing alone does not say so: it may only authenticate.
    pub encrypted: bool,
}

impl<S, O> Session<S, O> {
    /// A session with a peer that announced `properties`, under a mechanism without keys and encryption.
    #[must_use]
    pub const fn new(sealer: S, opener: O, properties: Properties) -> Self {
        Self { sealer, opener, properties, public_key: None, encrypted: false }
    }

    /// Says that what is sent cannot be read by others on the path.
    #[must_use]
    pub const fn encrypted(mut self) -> Self {
        self.encrypted = true;
        self
    }

    /// Adds the peer's long-term public key, which the handshake has proven.
    #[must_use]
    pub const fn with_public_key(mut self, key: [u8; 32]) -> Self {
        self.public_key = Some(key);
        self
    }
}

impl<S, O> core::fmt::Debug for Session<S, O> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // Sealer and opener hold keys.
        f.debug_struct("Session").field("properties", &self.properties).finish_non_exhaustive()
    }
}

/// Protects the frames that one side sends. Owns that direction's nonce counter.
///
/// Object-safe: `Box<dyn Sealer>` is a `Sealer`.
pub trait Sealer: Send + Sync + 'static {
    /// Where the payload of a frame goes and how large its body becomes. Pure: it changes nothing, so a caller may
    /// plan a whole message before it commits to sending it.
    fn plan(&self, kind: FrameKind, payload_len: usize) -> SealPlan;

    /// Writes the body of one frame: reads `payload`, fills all of `body`, whose length is the
    /// [`body_len`](SealPlan::body_len) that was planned.
    ///
    /// Source and destination are separate so that a cipher can encrypt while it copies, in one pass. `header` holds
    /// the frame header exactly as it will stand on the wire (for mechanisms that authenticate it).
    /// Frames are sealed in the order in which they are sent.
    ///
    /// # Errors
    /// [`SealError`] when this direction can seal no more (its nonces are used up), or when `body` has another length than
    /// was planned. Nothing of the frame is sent, and the connection sends nothing after it.
    fn seal(&mut self, header: &[u8], kind: FrameKind, payload: &[u8], body: &mut [u8]) -> Result<(), SealError>;

    /// True when sealing changes nothing (NULL, PLAIN): then a payload may be sent from where it lies, without a copy,
    /// and frames encoded in advance may be sent as they are. `seal` is not called in that case.
    fn is_identity(&self) -> bool {
        false
    }
}

/// What sealing does to the shape of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealPlan {
    kind: FrameKind,
    body_len: usize,
}

impl SealPlan {
    /// A frame of `kind` on the wire whose body has `body_len` octets.
    ///
    /// The kind on the wire may differ from the kind of the payload: a CURVE MESSAGE is always a message-last frame
    /// and carries the real kind inside.
    #[must_use]
    pub const fn new(kind: FrameKind, body_len: usize) -> Self {
        Self { kind, body_len }
    }

    /// The frame kind that the wire shows.
    #[must_use]
    pub const fn kind(self) -> FrameKind {
        self.kind
    }

    /// Octets of the sealed body.
    #[must_use]
    pub const fn body_len(self) -> usize {
        self.body_len
    }
}

/// Opens the frames that the peer sends. Owns that direction's nonce counter.
///
/// Object-safe: `Box<dyn Opener>` is an `Opener`.
pub trait Opener: Send + Sync + 'static {
    /// Opens the body of one frame in place and says where in it the payload lies.
    ///
    /// `header` holds the frame header exactly as it was received, for mechanisms that authenticate it or demand its
    /// shortest form. State (the highest nonce seen) advances only after the tag was verified.
    ///
    /// # Errors
    /// [`OpenError`] ends the connection. An opener never leaves plaintext in `body` whose tag did not verify.
    fn open(&mut self, header: &[u8], kind: FrameKind, body: &mut [u8]) -> Result<Opened, OpenError>;

    /// Octets that a sealed body may have beyond its payload, at most. Limits that are stated for payloads are
    /// checked against header sizes with this much added.
    fn overhead(&self) -> usize {
        0
    }

    /// True when opening changes nothing (NULL, PLAIN). `open` is not called in that case.
    fn is_identity(&self) -> bool {
        false
    }
}

/// Where the payload of an opened frame lies, and what kind of frame it really is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    kind: FrameKind,
    payload: Range<usize>,
}

impl Opened {
    /// A frame of `kind` whose payload is at `payload` within the body.
    #[must_use]
    pub const fn new(kind: FrameKind, payload: Range<usize>) -> Self {
        Self { kind, payload }
    }

    /// The kind of the frame inside.
    #[must_use]
    pub const fn kind(&self) -> FrameKind {
        self.kind
    }

    /// The payload's place in the body.
    #[must_use]
    pub fn payload(&self) -> Range<usize> {
        self.payload.clone()
    }
}

/// Which side of a security handshake a mechanism plays (RFC 37, "as-server").
#[expect(clippy::exhaustive_enums, reason = "the as-server field has two values, and NULL has no sides")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The mechanism has no sides (NULL). The greeting says as-server 0.
    Peer,
    /// The side that proves itself to a server. The greeting says as-server 0.
    Client,
    /// The side that clients are configured to trust. The greeting says as-server 1.
    Server,
}

impl Role {
    /// The as-server field of our greeting. What the peer's says is never checked: libzmq always sends 0.
    #[must_use]
    pub const fn as_server(self) -> bool {
        matches!(self, Self::Server)
    }
}

/// What a handshake may know of the world.
#[derive(Clone, Copy, Debug)]
pub struct HandshakeContext<'a> {
    local_greeting: &'a [u8; GREETING_LEN],
    peer_greeting: &'a [u8; GREETING_LEN],
    properties: &'a Properties,
    now: Duration,
}

impl<'a> HandshakeContext<'a> {
    /// The context of one connection. `now` is a monotonic time from an origin that the caller keeps for all
    /// connections of one mechanism value.
    #[must_use]
    pub const fn new(
        local_greeting: &'a [u8; GREETING_LEN],
        peer_greeting: &'a [u8; GREETING_LEN],
        properties: &'a Properties,
        now: Duration,
    ) -> Self {
        Self { local_greeting, peer_greeting, properties, now }
    }

    /// Our greeting, octet for octet as sent.
    #[must_use]
    pub const fn local_greeting(&self) -> &'a [u8; GREETING_LEN] {
        self.local_greeting
    }

    /// The peer's greeting, octet for octet as received.
    #[must_use]
    pub const fn peer_greeting(&self) -> &'a [u8; GREETING_LEN] {
        self.peer_greeting
    }

    /// The properties to announce to the peer, Socket-Type first.
    #[must_use]
    pub const fn properties(&self) -> &'a Properties {
        self.properties
    }

    /// Monotonic time, for what must not live too long (cookie keys).
    #[must_use]
    pub const fn now(&self) -> Duration {
        self.now
    }
}
