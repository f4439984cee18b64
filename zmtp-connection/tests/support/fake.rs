//! FAKE, a mechanism that protects nothing and has the shape of one that does.
//!
//! ```text
//! client                     server
//! HELLO     key(32)    ──►
//!                      ◄──   WELCOME
//! INITIATE  metadata   ──►   Authorize
//!                      ◄──   READY  metadata  |  ERROR
//!
//! frame body = counter(8) ‖ masked( kind(1) ‖ payload ) ‖ checksum(4)
//! ```
//!
//! As with CURVE, the wire shows only message-last frames and the real kind is inside; as with an AEAD that
//! authenticates the header, the checksum covers it. Neither is secure: the mask is a function of the counter.

use std::ops::RangeInclusive;

use zmtp_connection::codec::{
    Claim, Command, CommandName, Commands, Credentials, ErrorReason, FrameHeader, FrameKind, Handshake,
    HandshakeContext, Mechanism, MechanismError, MechanismName, OpenError, Opened, Opener, Progress, Properties, Role,
    SealError, SealPlan, Sealer, Session, Verdict, WireCommand,
};

const COUNTER: usize = 8;
const CHECKSUM: usize = 4;
/// Octets of a sealed body beyond its payload.
pub(crate) const OVERHEAD: usize = COUNTER + 1 + CHECKSUM;

const HELLO: &str = "HELLO";
const WELCOME: &str = "WELCOME";
const INITIATE: &str = "INITIATE";

/// The configuration.
#[derive(Clone, Debug)]
pub(crate) struct Fake {
    role: Role,
    key: [u8; 32],
    /// The number of a frame that cannot be sealed.
    unsealable: Option<u64>,
}

impl Fake {
    pub(crate) const fn client(key: [u8; 32]) -> Self {
        Self { role: Role::Client, key, unsealable: None }
    }

    pub(crate) const fn server() -> Self {
        Self { role: Role::Server, key: [0; 32], unsealable: None }
    }

    /// Refuses to seal the frame of this number (from 1), and only that one: whoever goes on after it has not listened.
    pub(crate) const fn unsealable(mut self, number: u64) -> Self {
        self.unsealable = Some(number);
        self
    }
}

impl Mechanism for Fake {
    type Handshake = FakeHandshake;

    fn name(&self) -> MechanismName {
        MechanismName::new("FAKE").unwrap()
    }

    fn role(&self) -> Role {
        self.role
    }

    fn start(&self, cx: HandshakeContext<'_>, out: &mut Commands) -> Result<Progress<FakeHandshake>, MechanismError> {
        let stage = if self.role == Role::Server {
            Stage::Hello
        } else {
            out.push(HELLO, &[&self.key]);
            Stage::Welcome
        };
        Ok(Progress::NeedCommand(FakeHandshake { stage, ours: cx.properties().clone(), unsealable: self.unsealable }))
    }
}

/// What is awaited next.
#[derive(Debug)]
enum Stage {
    Hello,
    Initiate([u8; 32]),
    Verdict([u8; 32], Properties),
    Welcome,
    Ready,
}

#[derive(Debug)]
pub(crate) struct FakeHandshake {
    stage: Stage,
    ours: Properties,
    unsealable: Option<u64>,
}

impl FakeHandshake {
    fn next(self, stage: Stage) -> Result<Progress<Self>, MechanismError> {
        Ok(Progress::NeedCommand(Self { stage, ..self }))
    }

    fn complete(self, theirs: Properties) -> Session<FakeSealer, FakeOpener> {
        Session::new(FakeSealer { sealed: 0, unsealable: self.unsealable }, FakeOpener { newest: 0 }, theirs)
            .encrypted()
    }
}

impl Handshake for FakeHandshake {
    type Sealer = FakeSealer;
    type Opener = FakeOpener;

    fn body_len(&self) -> RangeInclusive<u64> {
        match self.stage {
            Stage::Hello => 38..=38,
            // The shortest ERROR is shorter than WELCOME.
            Stage::Welcome => 7..=262,
            _ => 0..=u64::MAX,
        }
    }

    fn handle(self, command: WireCommand<'_>, out: &mut Commands) -> Result<Progress<Self>, MechanismError> {
        let command = command.parse()?;
        let expected = match self.stage {
            Stage::Hello => HELLO,
            Stage::Initiate(_) => INITIATE,
            Stage::Welcome => WELCOME,
            Stage::Ready => CommandName::READY,
            Stage::Verdict(..) => return Err(MechanismError::Misuse("a command was handled before the verdict")),
        };
        if command.name != expected.as_bytes() {
            if command.name == CommandName::ERROR.as_bytes() && !matches!(self.stage, Stage::Hello | Stage::Initiate(_))
            {
                return Err(MechanismError::PeerError { reason: ErrorReason::decode(command.data)? });
            }
            return Err(MechanismError::unexpected(expected, command.name));
        }
        let properties = || {
            Properties::decode(command.data, Properties::DEFAULT_MAX_COUNT)
                .map_err(|source| MechanismError::Properties { command: expected, source })
        };
        match self.stage {
            Stage::Hello => {
                let key = command.data.try_into().map_err(|_| MechanismError::Cryptographic { command: HELLO })?;
                out.push(WELCOME, &[]);
                self.next(Stage::Initiate(key))
            }
            Stage::Initiate(key) => {
                let theirs = properties()?;
                let claim = Claim::new(Credentials::PublicKey(key)).with_properties(theirs.clone());
                Ok(Progress::Authorize(Self { stage: Stage::Verdict(key, theirs), ..self }, claim))
            }
            Stage::Welcome => {
                let mut metadata = Vec::new();
                self.ours.encode(&mut metadata);
                out.push(INITIATE, &[&metadata]);
                self.next(Stage::Ready)
            }
            Stage::Ready | Stage::Verdict(..) => {
                let theirs = properties()?;
                Ok(Progress::Complete(self.complete(theirs)))
            }
        }
    }

    fn authorize(mut self, verdict: Verdict, out: &mut Commands) -> Result<Progress<Self>, MechanismError> {
        let Stage::Verdict(key, theirs) = self.stage else {
            return Err(MechanismError::Misuse("no verdict was asked for"));
        };
        self.stage = Stage::Hello;
        match verdict {
            Verdict::Accept(_) => {
                out.push_command(&Command::Ready(self.ours.clone()));
                Ok(Progress::Complete(self.complete(theirs).with_public_key(key)))
            }
            Verdict::Refuse(refusal) => {
                if let Some(reason) = refusal.reason() {
                    out.push_command(&Command::Error(reason.clone()));
                }
                Err(MechanismError::Refused(refusal))
            }
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct FakeSealer {
    sealed: u64,
    unsealable: Option<u64>,
}

impl FakeSealer {
    /// The next frame as it goes over the wire, for peers that are written by hand.
    pub(crate) fn frame(&mut self, kind: FrameKind, payload: &[u8]) -> Vec<u8> {
        let plan = self.plan(kind, payload.len());
        let header = FrameHeader::new(plan.kind(), plan.body_len() as u64).encode();
        let mut body = vec![0; plan.body_len()];
        self.seal(&header, kind, payload, &mut body).unwrap();
        [&header[..], &body].concat()
    }
}

impl Sealer for FakeSealer {
    fn plan(&self, _kind: FrameKind, payload_len: usize) -> SealPlan {
        SealPlan::new(FrameKind::Last, payload_len + OVERHEAD)
    }

    fn seal(&mut self, header: &[u8], kind: FrameKind, payload: &[u8], body: &mut [u8]) -> Result<(), SealError> {
        self.sealed += 1;
        if self.unsealable == Some(self.sealed) {
            return Err(SealError::NoncesExhausted);
        }
        let (counter, rest) = body.split_at_mut(COUNTER);
        counter.copy_from_slice(&self.sealed.to_be_bytes());
        let (inside, checksum) = rest.split_at_mut(1 + payload.len());
        inside[0] = match kind {
            FrameKind::Last => 0,
            FrameKind::More => 1,
            FrameKind::Command => 2,
        };
        inside[1..].copy_from_slice(payload);
        checksum.copy_from_slice(&checksum_of(header, counter, inside));
        mask(self.sealed, inside);
        Ok(())
    }
}

#[derive(Debug)]
pub(crate) struct FakeOpener {
    newest: u64,
}

impl Opener for FakeOpener {
    fn open(&mut self, header: &[u8], kind: FrameKind, body: &mut [u8]) -> Result<Opened, OpenError> {
        if kind != FrameKind::Last {
            return Err(OpenError::Malformed("a sealed frame is a message frame without MORE"));
        }
        let inside = COUNTER..body.len().saturating_sub(CHECKSUM);
        let (counter, inside, checksum) = match body.split_first_chunk_mut::<COUNTER>() {
            Some((counter, rest)) if rest.len() > CHECKSUM => {
                let (masked, checksum) = rest.split_at_mut(inside.len());
                (counter, masked, checksum)
            }
            _ => return Err(OpenError::Malformed("too short to be sealed")),
        };
        let number = u64::from_be_bytes(*counter);
        if number <= self.newest {
            return Err(OpenError::Sequence);
        }
        mask(number, inside);
        if *checksum != checksum_of(header, counter, inside) {
            inside.fill(0);
            return Err(OpenError::Forged);
        }
        self.newest = number;
        let kind = match inside[0] {
            0 => FrameKind::Last,
            1 => FrameKind::More,
            2 => FrameKind::Command,
            flags => return Err(OpenError::InnerFlags { flags }),
        };
        Ok(Opened::new(kind, COUNTER + 1..COUNTER + inside.len()))
    }

    fn overhead(&self) -> usize {
        OVERHEAD
    }
}

fn mask(counter: u64, octets: &mut [u8]) {
    let [.., low] = counter.to_be_bytes();
    octets.iter_mut().for_each(|octet| *octet ^= low.wrapping_mul(31) ^ 0x5a);
}

/// FNV-1a.
fn checksum_of(header: &[u8], counter: &[u8], inside: &[u8]) -> [u8; CHECKSUM] {
    let octets = header.iter().chain(counter).chain(inside);
    octets.fold(0x811c_9dc5_u32, |sum, octet| (sum ^ u32::from(*octet)).wrapping_mul(0x0100_0193)).to_be_bytes()
}
