//! From the first octet to a ready connection: greeting, mechanism, the peer's properties.
//!
//! ```text
//! Establish ──advance──► Pending(Establish)        more octets are needed
//!                    ├─► Authorize(Authorize)      judge the peer, then decide()
//!                    ├─► Ready(Established)        judge the peer now if nobody was asked before
//!                    └─► Failed(Failure)           with the last words to send before closing
//! ```
//!
//! Where the mechanism asks about a peer, the answer comes before everything else that is to be said about it: a stranger
//! hears that it is a stranger, and not which socket type would have been welcome.
//!
//! Every step consumes the state, so a failed handshake cannot be continued.

use core::time::Duration;

use bytes::BytesMut;
use bytes::buf::Limit;
use zeroize::Zeroize as _;
use zmtp_codec::{
    Admission, Claim, Command, Commands, Credentials, ErrorReason, FrameHeader, GREETING_LEN, Greeting, GreetingError,
    Handshake, HandshakeContext, Mechanism, MechanismError, Progress, Properties, Refusal, Sealer, Session,
    SocketTypeError, Verdict, Version, WireCommand,
};

use super::decoder::Decoder;
use super::encoder::Encoder;
use super::heartbeat::Heartbeat;
use super::input::Input;
use super::pattern::Pattern;
use super::queue::Queue;
use crate::auth::AuthRequest;
use crate::config::ConnectionConfig;
use crate::error::{HandshakeCause, HandshakeError, Stage};
use crate::peer::{Peer, PeerInfo};

/// Memory lent for one read, at least; the usual handshake fits.
const READ_MIN: usize = 256;
/// Memory lent for one read, at most. A large command is received in several.
const READ_MAX: usize = 8 * 1024;
/// Commands in one handshake, at most. Mechanisms take two or three; one that skips what it does not know must not be
/// kept busy for ever.
const COMMANDS: u32 = 64;

/// A handshake under way.
///
/// Write out [`transmit`](Self::transmit), fill [`receive_buffer`](Self::receive_buffer), call
/// [`advance`](Self::advance), again and again. Our whole greeting is there to be sent from the start: libzmq waits
/// for parts of it before it sends its own.
pub struct Establish<'a, M: Mechanism> {
    wire: Wire<'a, M>,
    state: State<M::Handshake>,
}

/// What stays the same through all states.
struct Wire<'a, M> {
    config: &'a ConnectionConfig,
    mechanism: &'a M,
    input: Input,
    output: Queue,
    commands: Commands,
    /// What the command at the front of `input` still lacks.
    missing: usize,
    /// Commands that the peer may still send.
    commands_left: u32,
    version: Version,
    /// What the application attaches to the peer.
    admission: Admission,
    judged: bool,
}

enum State<H> {
    Greeting,
    Mechanism(H),
}

/// Where [`Establish::advance`] has led.
#[expect(clippy::exhaustive_enums, reason = "a driver must handle every outcome; a new one has to break it")]
#[expect(clippy::large_enum_variant, reason = "lives for one match on the stack, a handful of times per connection")]
pub enum Outcome<'a, M: Mechanism> {
    /// Nothing is wrong, more octets are needed.
    Pending(Establish<'a, M>),
    /// The application is to judge the peer.
    Authorize(Authorize<'a, M>),
    /// The connection is ready. Not every mechanism asks: if nobody has [judged](Established::judged) the peer, a driver that
    /// has somebody to do it lets it be done now ([`Established::decide`]).
    Ready(Established<<M::Handshake as Handshake>::Sealer, <M::Handshake as Handshake>::Opener>),
    /// The connection has failed.
    Failed(Failure),
}

/// A handshake that waits for the application's verdict.
///
/// Octets may wait to be sent meanwhile, our greeting among them.
pub struct Authorize<'a, M: Mechanism> {
    wire: Wire<'a, M>,
    handshake: M::Handshake,
    claim: Claim,
}

/// A ready connection, as its parts. They share nothing and may live on different tasks.
#[derive(Debug)]
#[non_exhaustive]
pub struct Established<S, O> {
    /// The sending direction. The end of our handshake may still wait in it.
    pub encoder: Encoder<S>,
    /// The receiving direction. The peer's first messages may already wait in it.
    pub decoder: Decoder<O>,
    /// What is known of the peer.
    pub peer: Peer,
    /// Signs of life.
    pub heartbeat: Heartbeat,
    /// Whether somebody has judged the peer: [`Authorize`] came before, or [`decide`](Self::decide) was called.
    pub judged: bool,
}

/// A handshake that has failed, and what the peer should still be told. `Debug` shows how much that is.
#[non_exhaustive]
pub struct Failure {
    /// Stage and cause.
    pub error: HandshakeError,
    /// Octets to write before the connection is closed, gently: an ERROR that is reset with the connection is lost.
    /// Empty where there is nothing to say. Overwrite them then: what was to be sent before is among them, and may have a
    /// password in it.
    pub last_words: Vec<u8>,
}

impl<'a, M: Mechanism> Establish<'a, M> {
    /// Begins with our greeting.
    #[must_use]
    pub fn new(config: &'a ConnectionConfig, mechanism: &'a M) -> Self {
        let mut output = Queue::for_handshake();
        output.extend(&Greeting::new(mechanism.name(), mechanism.role().as_server()).to_bytes());
        let wire = Wire {
            config,
            mechanism,
            input: Input::new(),
            output,
            commands: Commands::new(),
            missing: GREETING_LEN,
            commands_left: COMMANDS,
            version: Version::V3_1,
            admission: Admission::new(),
            judged: false,
        };
        Self { wire, state: State::Greeting }
    }

    /// How far the handshake has come.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        match self.state {
            State::Greeting => Stage::Greeting,
            State::Mechanism(_) => Stage::Mechanism,
        }
    }

    /// Octets to write.
    #[must_use]
    pub fn transmit(&self) -> &[u8] {
        self.wire.output.chunks().next().unwrap_or_default()
    }

    /// The first `count` octets of [`transmit`](Self::transmit) were written.
    pub fn transmitted(&mut self, count: usize) {
        self.wire.output.advance(count);
    }

    /// Memory to read into: some kilobytes at most, whatever the peer has announced.
    pub fn receive_buffer(&mut self) -> Limit<&mut BytesMut> {
        let want = self.wire.missing.clamp(READ_MIN, READ_MAX);
        self.wire.input.room(want)
    }

    /// Copies `octets` in, for callers that have them in a buffer of their own. Limits are checked by `advance`, so
    /// call it between pieces of a few kilobytes.
    pub fn receive(&mut self, octets: &[u8]) {
        self.wire.input.extend(octets);
    }

    /// Takes the handshake as far as the octets received allow. `now` is a monotonic time, from the same origin for
    /// all connections of one mechanism value.
    pub fn advance(self, now: Duration) -> Outcome<'a, M> {
        let Self { mut wire, state } = self;
        match state {
            State::Mechanism(handshake) => wire.run(handshake, now),
            State::Greeting => match wire.greeting(now) {
                Ok(None) => Outcome::Pending(Self { wire, state: State::Greeting }),
                Ok(Some(progress)) => wire.progress(progress, now),
                Err(error) => wire.fail(error),
            },
        }
    }
}

impl<'a, M: Mechanism> Authorize<'a, M> {
    /// What the peer shows, as far as the mechanism knows it by now.
    #[must_use]
    pub const fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Octets to write.
    #[must_use]
    pub fn transmit(&self) -> &[u8] {
        self.wire.output.chunks().next().unwrap_or_default()
    }

    /// The first `count` octets of [`transmit`](Self::transmit) were written.
    pub fn transmitted(&mut self, count: usize) {
        self.wire.output.advance(count);
    }

    /// All there is to judge the peer by, in the form that an [`Authenticator`](crate::Authenticator) takes. Where the
    /// peer comes from only you know: [`AuthRequest::with_address`] adds it here, and
    /// [`Peer::set_address`] to the [`peer`](Established::peer) that is ready.
    ///
    /// Copies the list of properties, and shares their values.
    #[must_use]
    pub fn request(&self) -> AuthRequest {
        AuthRequest::new(self.wire.mechanism.name(), self.claim.clone())
            .with_domain(self.wire.config.shared_domain().clone())
    }

    /// Continues with the application's verdict. What it attaches to a peer that it lets in is found on the
    /// [`peer`](Established::peer); of a mechanism that asks several times, the last answer counts. The mechanism learns
    /// only that the peer is let in.
    ///
    /// A peer that is let in, and whose properties are known and do not suit us, is refused for that, before anything of
    /// ours is told to it. One that is not let in hears nothing of them.
    pub fn decide(self, verdict: Verdict, now: Duration) -> Outcome<'a, M> {
        let Self { mut wire, handshake, claim } = self;
        let verdict = match verdict {
            Verdict::Accept(admission) => {
                if let Some(properties) = &claim.properties
                    && let Err(cause) = check_properties(wire.config, properties)
                {
                    let refusal = Refusal::error(reason_for(&cause));
                    // Either way the outcome is the failure below; what matters is the ERROR that goes out with it.
                    let _ = handshake.authorize(Verdict::Refuse(refusal), &mut wire.commands);
                    return wire.fail(HandshakeError::new(Stage::Properties, cause));
                }
                wire.admission = admission;
                wire.judged = true;
                Verdict::accept()
            }
            refused @ Verdict::Refuse(_) => refused,
        };
        match handshake.authorize(verdict, &mut wire.commands) {
            Ok(progress) => wire.progress(progress, now),
            Err(error) => wire.fail(HandshakeError::new(Stage::Authorization, error)),
        }
    }
}

impl<S: Sealer, O> Established<S, O> {
    /// As [`Authorize::request`], about a peer that is ready although its mechanism has asked nobody: NULL as most speak
    /// it, and every client of a server. All that will ever be known of the peer is in it, the server's proven key for
    /// example.
    ///
    /// `config` is the configuration of the handshake. Costs as much as [`Authorize::request`].
    #[must_use]
    pub fn request(&self, config: &ConnectionConfig) -> AuthRequest {
        let peer = &self.peer;
        let credentials = peer.public_key().map_or(Credentials::Anonymous, |key| Credentials::PublicKey(*key));
        let claim = Claim::new(credentials).with_properties(peer.properties().clone());
        let request = AuthRequest::new(peer.mechanism(), claim).with_domain(config.shared_domain().clone());
        match peer.address() {
            Some(address) => request.with_address(address.clone()),
            None => request,
        }
    }

    /// Lets the peer in, with what is attached to it, or turns it away. What it has sent already is dropped then.
    ///
    /// A second verdict takes the place of the first. Its handshake was over, so a refusal comes late. In the clear, the last words are an ERROR behind all of our
    /// handshake, if the refusal has a reason. Under a mechanism that seals, an ERROR in the clear would break the
    /// protocol: there is nothing to say, and closing the connection says it.
    ///
    /// # Errors
    /// [`Failure`] if the peer is turned away, at [`Stage::Authorization`] and with [`MechanismError::Refused`], as if the
    /// mechanism had asked.
    pub fn decide(mut self, verdict: Verdict) -> Result<Self, Failure> {
        let refusal = match verdict {
            Verdict::Accept(admission) => {
                self.peer.admission = admission;
                self.judged = true;
                return Ok(self);
            }
            Verdict::Refuse(refusal) => refusal,
        };
        let mut last_words = Vec::new();
        if let Some(reason) = refusal.reason()
            && self.encoder.is_identity()
        {
            let mut commands = Commands::new();
            commands.push_command(&Command::Error(reason.clone()));
            // In one piece, as in a handshake that fails.
            last_words.reserve_exact(self.encoder.pending() + commands.as_slice().len());
            last_words.extend(self.encoder.chunks().flatten());
            last_words.extend_from_slice(commands.as_slice());
        }
        Err(Failure { error: HandshakeError::new(Stage::Authorization, MechanismError::Refused(refusal)), last_words })
    }
}

type SealerOf<M> = <<M as Mechanism>::Handshake as Handshake>::Sealer;
type OpenerOf<M> = <<M as Mechanism>::Handshake as Handshake>::Opener;

impl<'a, M: Mechanism> Wire<'a, M> {
    /// Reads the peer's greeting and starts the mechanism.
    fn greeting(&mut self, now: Duration) -> Result<Option<Progress<M::Handshake>>, HandshakeError> {
        let at = |cause: HandshakeCause| HandshakeError::new(Stage::Greeting, cause);
        let Some(greeting) = Greeting::decode(&self.input).map_err(|error| at(error.into()))? else {
            self.missing = GREETING_LEN.saturating_sub(self.input.len());
            return Ok(None);
        };
        let (ours, theirs) = (self.mechanism.name(), greeting.mechanism());
        if ours != theirs {
            return Err(at(HandshakeCause::MechanismMismatch { ours, theirs }));
        }
        self.version = greeting.version();
        let Some((theirs, _)) = self.input.split_first_chunk::<GREETING_LEN>() else { return Ok(None) };
        let ours = Greeting::new(ours, self.mechanism.role().as_server()).to_bytes();
        let cx = HandshakeContext::new(&ours, theirs, self.config.properties(), now);
        let progress = self.mechanism.start(cx, &mut self.commands);
        self.input.take(GREETING_LEN);
        progress.map(Some).map_err(|error| HandshakeError::new(Stage::Mechanism, error))
    }

    /// Feeds the peer's commands to the handshake until it needs more octets or is over.
    fn run(mut self, mut handshake: M::Handshake, now: Duration) -> Outcome<'a, M> {
        loop {
            let (mut frame, header_len) = match self.next_command(&handshake) {
                Ok(Some(frame)) => frame,
                Ok(None) => return Outcome::Pending(Establish { wire: self, state: State::Mechanism(handshake) }),
                Err(cause) => return self.fail(HandshakeError::new(Stage::Mechanism, cause)),
            };
            let progress = handshake.handle(WireCommand::new(&frame, header_len, now), &mut self.commands);
            // It may have had a password in it.
            frame.zeroize();
            match progress {
                Ok(Progress::NeedCommand(next)) => {
                    handshake = next;
                    self.send_commands();
                }
                Ok(progress) => return self.progress(progress, now),
                Err(error) => return self.fail(HandshakeError::new(Stage::Mechanism, error)),
            }
        }
    }

    /// The next command frame, once it is there whole; judged by its header before that.
    fn next_command(&mut self, handshake: &M::Handshake) -> Result<Option<(BytesMut, usize)>, HandshakeCause> {
        let Some((header, header_len)) = FrameHeader::decode(&self.input)? else {
            self.missing = 1;
            return Ok(None);
        };
        if !header.kind().is_command() {
            return Err(HandshakeCause::NotACommand);
        }
        let accepted = handshake.body_len();
        let (least, most) = (*accepted.start(), (*accepted.end()).min(self.config.limits().handshake_command as u64));
        let size = header.size();
        match usize::try_from(size) {
            Ok(body_len) if (least..=most).contains(&size) => {
                let frame_len = header_len.saturating_add(body_len);
                if self.input.len() < frame_len {
                    self.missing = frame_len - self.input.len();
                    return Ok(None);
                }
                let Some(left) = self.commands_left.checked_sub(1) else {
                    return Err(HandshakeCause::TooManyCommands { limit: COMMANDS });
                };
                self.commands_left = left;
                Ok(Some((self.input.take(frame_len), header_len)))
            }
            _ => Err(HandshakeCause::CommandSize { size, least, most }),
        }
    }

    /// Goes on from where a step of the mechanism has led.
    fn progress(mut self, progress: Progress<M::Handshake>, now: Duration) -> Outcome<'a, M> {
        match progress {
            Progress::NeedCommand(handshake) => {
                self.send_commands();
                self.run(handshake, now)
            }
            Progress::Authorize(handshake, claim) => {
                self.send_commands();
                Outcome::Authorize(self.authorize(handshake, claim))
            }
            Progress::Complete(session) => self.complete(session, now),
        }
    }

    /// A verdict may take long. Meanwhile the peer occupies what it has claimed and what it has sent behind that, and no
    /// longer the buffer in which its claim came.
    fn authorize(mut self, handshake: M::Handshake, mut claim: Claim) -> Authorize<'a, M> {
        self.input.shrink();
        claim.properties = claim.properties.map(without_reserved);
        Authorize { wire: self, handshake, claim }
    }

    fn complete(mut self, session: Session<SealerOf<M>, OpenerOf<M>>, now: Duration) -> Outcome<'a, M> {
        let Session { sealer, opener, properties, public_key, encrypted, .. } = session;
        let (socket_type, identity) = match check_properties(self.config, &properties) {
            Ok(checked) => checked,
            Err(cause) => {
                // Under a mechanism that encrypts, the peer took this decision from our side of the handshake already;
                // an ERROR in the clear would mean nothing to it.
                if sealer.is_identity() {
                    // Our READY, if it was to go out only now: this takes its place.
                    self.commands.clear();
                    self.commands.push_command(&Command::Error(reason_for(&cause)));
                }
                return self.fail(HandshakeError::new(Stage::Properties, cause));
            }
        };
        self.send_commands();
        let config = self.config;
        let ours = config.socket_type();
        let peer = Peer {
            info: PeerInfo { public_key, identity },
            socket_type,
            properties: without_reserved(properties),
            version: self.version,
            mechanism: self.mechanism.name(),
            encrypted,
            admission: self.admission,
            address: None,
        };
        let heartbeat = Heartbeat::new(config.heartbeat().cloned(), self.version, socket_type, now);
        let pattern = Pattern::of(ours);
        let encoder =
            Encoder::new(sealer, self.output.end_of_handshake(), pattern, self.version, config.high_water_mark());
        let decoder = Decoder::new(opener, config.limits().clone(), pattern, self.input.into_rest());
        Outcome::Ready(Established { encoder, decoder, peer, heartbeat, judged: self.judged })
    }

    /// Nothing more is received; what the mechanism wants to say is said.
    fn fail(mut self, error: HandshakeError) -> Outcome<'a, M> {
        self.send_commands();
        // To something that does not speak ZMTP there is nothing to say. An old peer gets our whole greeting, as the
        // RFC wants it: it may be waiting for that to learn that we do not match.
        let silent = matches!(
            error.cause(),
            HandshakeCause::Greeting(GreetingError::NotZmtp { .. } | GreetingError::Signature { .. })
        );
        let mut last_words = Vec::new();
        if !silent {
            // In one piece, since nothing is overwritten where a vector grows.
            last_words.reserve_exact(self.output.len());
            last_words.extend(self.output.chunks().flatten());
        }
        Outcome::Failed(Failure { error, last_words })
    }

    fn send_commands(&mut self) {
        self.output.extend(self.commands.as_slice());
        self.commands.clear();
    }
}

/// The peer's socket type and identity, if they suit ours.
fn check_properties(
    config: &ConnectionConfig,
    properties: &Properties,
) -> Result<(zmtp_codec::SocketType, zmtp_codec::Identity), HandshakeCause> {
    let (ours, theirs) = (config.socket_type(), properties.socket_type()?);
    if !ours.accepts(theirs) {
        return Err(HandshakeCause::Incompatible { ours, theirs });
    }
    Ok((theirs, properties.identity()?))
}

/// What the peer is told.
const fn reason_for(cause: &HandshakeCause) -> ErrorReason {
    match cause {
        HandshakeCause::SocketType(SocketTypeError::Missing) => ErrorReason::MISSING_SOCKET_TYPE,
        HandshakeCause::SocketType(_) | HandshakeCause::Incompatible { .. } => ErrorReason::INVALID_SOCKET_TYPE,
        _ => ErrorReason::PROTOCOL_VIOLATION,
    }
}

/// `User-Id` and `Peer-Address` are set by the receiving side; from the wire they would be forgeries.
fn without_reserved(properties: Properties) -> Properties {
    if !properties.iter().any(|(name, _)| Properties::is_reserved(name)) {
        return properties;
    }
    let mut kept = Properties::new();
    for (name, value) in properties.iter().filter(|(name, _)| !Properties::is_reserved(name)) {
        // They were in one list already, so none of them is refused.
        let _ = kept.push(name.to_owned(), value.clone());
    }
    kept
}

impl std::fmt::Debug for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Failure")
            .field("error", &self.error)
            .field("last_words", &format_args!("{} octets", self.last_words.len()))
            .finish()
    }
}

macro_rules! opaque_debug {
    ($($kind:ident),*) => {$(
        impl<M: Mechanism> std::fmt::Debug for $kind<'_, M> {
            /// The state of a mechanism holds keys.
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($kind)).finish_non_exhaustive()
            }
        }
    )*};
}
opaque_debug!(Establish, Authorize);

impl<M: Mechanism> std::fmt::Debug for Outcome<'_, M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Pending(_) => "Pending",
            Self::Authorize(_) => "Authorize",
            Self::Ready(_) => "Ready",
            Self::Failed(_) => "Failed",
        })
    }
}

#[cfg(all(test, feature = "null"))]
mod tests {
    use zmtp_codec::{MechanismName, Role, SocketType};
    use zmtp_mechanism_null::Null;

    use super::*;

    const NOW: Duration = Duration::from_secs(1);

    /// While a verdict is awaited, only what came behind the claim is kept, and all of that.
    #[test]
    fn the_input_buffer_is_given_back_while_a_verdict_is_awaited() {
        let (config, null) = (ConnectionConfig::new(SocketType::Pull), Null::with_authorization());
        let greeting = Greeting::new(MechanismName::NULL, Role::Peer.as_server()).to_bytes();
        let ready = b"\x04\x1a\x05READY\x0bSocket-Type\0\0\0\x04PUSH";
        let leftover = [&ready[..], b"\0\x05early", b"\0\x09cut"].concat();
        for behind in [&b""[..], &leftover] {
            let mut establish = Establish::new(&config, &null);
            establish.wire.input.room(100_000);
            establish.receive(&[&greeting[..], behind].concat());
            let Outcome::Authorize(authorize) = establish.advance(NOW) else { panic!("nobody was asked") };
            assert_eq!(&authorize.wire.input[..], behind);
            assert_eq!(authorize.wire.input.capacity(), behind.len());
            match authorize.decide(Verdict::accept(), NOW) {
                Outcome::Pending(_) => assert!(behind.is_empty()),
                Outcome::Ready(mut established) => {
                    assert_eq!(established.decoder.poll(), Ok(Some(crate::proto::Decoded::Message)));
                    assert_eq!(established.decoder.take_message().first(), "early");
                    assert_eq!(established.decoder.poll(), Ok(None));
                    assert_eq!(established.decoder.into_leftover(), &b"\0\x09cut"[..]);
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
