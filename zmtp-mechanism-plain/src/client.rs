//! The side that has a username and a password: HELLO, then INITIATE.

use alloc::vec::Vec;
use core::ops::RangeInclusive;

use zmtp_codec::{
    ClearOpener, ClearSealer, CommandName, Commands, Handshake, HandshakeContext, Mechanism, MechanismError,
    MechanismName, PlainCredentials, Progress, Properties, Role, Session, Verdict, WireCommand,
};

use crate::wire::{HELLO, INITIATE, READY_OR_ERROR, WELCOME, WELCOME_OR_ERROR, expect, from_server, properties};

/// PLAIN as a client: shows the server a username and a password, in the clear.
///
/// One value serves any number of connections. Cloning it is cheap, and copies no password.
#[derive(Clone, Debug)]
pub struct PlainClient {
    credentials: PlainCredentials,
}

impl PlainClient {
    /// A client with these credentials. Whoever is on the path reads them, and so does whoever answers as a server.
    #[must_use]
    pub const fn new(credentials: PlainCredentials) -> Self {
        Self { credentials }
    }
}

impl Mechanism for PlainClient {
    type Handshake = ClientHandshake;

    fn name(&self) -> MechanismName {
        MechanismName::PLAIN
    }

    fn role(&self) -> Role {
        Role::Client
    }

    fn start(&self, cx: HandshakeContext<'_>, out: &mut Commands) -> Result<Progress<ClientHandshake>, MechanismError> {
        let (username, password) = (self.credentials.username(), self.credentials.danger_password());
        // Neither is longer than 255 octets.
        let len = |field: &[u8]| [u8::try_from(field.len()).unwrap_or(u8::MAX)];
        out.push(HELLO, &[&len(username), username, &len(password), password]);
        Ok(Progress::NeedCommand(ClientHandshake { state: State::Welcome(cx.properties().clone()) }))
    }
}

/// A client's handshake under way on one connection.
#[derive(Debug)]
pub struct ClientHandshake {
    state: State,
}

/// What is awaited.
#[derive(Debug)]
enum State {
    /// These are the properties for our INITIATE. It is not sent ahead: libzmq closes on one that comes before its own
    /// WELCOME has gone out.
    Welcome(Properties),
    Ready,
}

impl Handshake for ClientHandshake {
    type Sealer = ClearSealer;
    type Opener = ClearOpener;

    fn body_len(&self) -> RangeInclusive<u64> {
        match self.state {
            State::Welcome(_) => WELCOME_OR_ERROR,
            State::Ready => READY_OR_ERROR,
        }
    }

    fn handle(self, command: WireCommand<'_>, out: &mut Commands) -> Result<Progress<Self>, MechanismError> {
        let command = from_server(command)?;
        match self.state {
            State::Welcome(ours) => {
                expect(&command, WELCOME, "WELCOME or ERROR")?;
                if !command.data.is_empty() {
                    return Err(MechanismError::Malformed { command: WELCOME, problem: "it does not have 8 octets" });
                }
                let mut metadata = Vec::with_capacity(ours.encoded_len());
                ours.encode(&mut metadata);
                out.push(INITIATE, &[&metadata]);
                Ok(Progress::NeedCommand(Self { state: State::Ready }))
            }
            State::Ready => {
                expect(&command, CommandName::READY, "READY or ERROR")?;
                let theirs = properties(CommandName::READY, command.data)?;
                Ok(Progress::Complete(Session::new(ClearSealer::new(), ClearOpener::new(), theirs)))
            }
        }
    }

    fn authorize(self, _verdict: Verdict, _out: &mut Commands) -> Result<Progress<Self>, MechanismError> {
        Err(MechanismError::Misuse("a PLAIN client asks for no verdict"))
    }
}
