//! The side that asks for a username and a password: answers HELLO with WELCOME once the application has judged them, and
//! INITIATE with READY.

use core::ops::RangeInclusive;

use zmtp_codec::{
    Claim, ClearOpener, ClearSealer, Command, Commands, Credentials, Handshake, HandshakeContext, Mechanism,
    MechanismError, MechanismName, PlainCredentials, Progress, Properties, Role, Session, Verdict, WireCommand,
};

use crate::wire::{HELLO, HELLO_LEN, INITIATE, INITIATE_LEN, credentials, expect, properties};

/// PLAIN as a server: puts every client's username and password to the application's judgement.
///
/// It knows no passwords itself, and lets in nobody whom the application has not let in. One value serves any number of
/// connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlainServer(());

impl PlainServer {
    /// A server.
    #[must_use]
    pub const fn new() -> Self {
        Self(())
    }
}

impl Mechanism for PlainServer {
    type Handshake = ServerHandshake;

    fn name(&self) -> MechanismName {
        MechanismName::PLAIN
    }

    fn role(&self) -> Role {
        Role::Server
    }

    fn start(
        &self,
        cx: HandshakeContext<'_>,
        _out: &mut Commands,
    ) -> Result<Progress<ServerHandshake>, MechanismError> {
        Ok(Progress::NeedCommand(ServerHandshake { state: State::Hello, ours: cx.properties().clone() }))
    }
}

/// A server's handshake under way on one connection.
#[derive(Debug)]
pub struct ServerHandshake {
    state: State,
    /// What our READY will say.
    ours: Properties,
}

/// What is awaited.
#[derive(Debug)]
enum State {
    Hello,
    Verdict,
    Initiate,
}

impl Handshake for ServerHandshake {
    type Sealer = ClearSealer;
    type Opener = ClearOpener;

    fn body_len(&self) -> RangeInclusive<u64> {
        match self.state {
            State::Hello => HELLO_LEN,
            State::Verdict => 0..=0,
            State::Initiate => INITIATE_LEN,
        }
    }

    fn handle(self, command: WireCommand<'_>, out: &mut Commands) -> Result<Progress<Self>, MechanismError> {
        let Self { state, ours } = self;
        match state {
            State::Hello => {
                let command = command.parse()?;
                expect(&command, HELLO, HELLO)?;
                let (username, password) = credentials(command.data)?;
                let shown = PlainCredentials::new(username, password)
                    .map_err(|_| MechanismError::Malformed { command: HELLO, problem: "a field is too long" })?;
                let claim = Claim::new(Credentials::Plain(shown));
                Ok(Progress::Authorize(Self { state: State::Verdict, ours }, claim))
            }
            State::Verdict => Err(MechanismError::Misuse("a command was handled before the verdict")),
            State::Initiate => {
                let command = command.parse()?;
                expect(&command, INITIATE, INITIATE)?;
                let theirs = properties(INITIATE, command.data)?;
                out.push_command(&Command::Ready(ours));
                Ok(Progress::Complete(Session::new(ClearSealer::new(), ClearOpener::new(), theirs)))
            }
        }
    }

    fn authorize(self, verdict: Verdict, out: &mut Commands) -> Result<Progress<Self>, MechanismError> {
        let State::Verdict = self.state else {
            return Err(MechanismError::Misuse("PLAIN asked for no verdict"));
        };
        match verdict {
            Verdict::Accept(_) => {
                out.push(crate::wire::WELCOME, &[]);
                Ok(Progress::NeedCommand(Self { state: State::Initiate, ours: self.ours }))
            }
            Verdict::Refuse(refusal) => {
                // Spelt as RFC 24 has it. libzmq's client of 4.3 knows only its own spelling and takes this for a breach of
                // protocol: it closes and does not come back either way, and reports another event.
                if let Some(reason) = refusal.reason() {
                    out.push_command(&Command::Error(reason.clone()));
                }
                Err(MechanismError::Refused(refusal))
            }
        }
    }
}
