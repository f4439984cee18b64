//! The handshake: one READY each way, or an ERROR.

use zmtp_codec::{
    ClearOpener, ClearSealer, Command, CommandName, Commands, ErrorReason, Handshake, MechanismError, Progress,
    Properties, Session, Verdict, WireCommand,
};

/// A NULL handshake under way on one connection.
#[derive(Debug)]
pub struct NullHandshake {
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nothing was sent yet; these are the properties for our READY.
    AwaitingVerdict(Properties),
    /// Our READY was sent.
    AwaitingReady,
}

impl NullHandshake {
    pub(crate) fn judged(properties: &Properties) -> Self {
        Self { state: State::AwaitingVerdict(properties.clone()) }
    }

    /// Sends READY. RFC 23 and libzmq do it at once; the RFC 37 text, by which the binding side answers, would leave
    /// two waiting peers.
    pub(crate) fn ready(properties: &Properties, out: &mut Commands) -> Self {
        out.push_command(&Command::Ready(properties.clone()));
        Self { state: State::AwaitingReady }
    }
}

impl Handshake for NullHandshake {
    type Sealer = ClearSealer;
    type Opener = ClearOpener;

    fn handle(self, command: WireCommand<'_>, _out: &mut Commands) -> Result<Progress<Self>, MechanismError> {
        if let State::AwaitingVerdict(_) = self.state {
            return Err(MechanismError::Misuse("a command was handled before the verdict"));
        }
        let command = command.parse()?;
        match command.name {
            name if name == CommandName::READY.as_bytes() => {
                let properties = Properties::decode(command.data, Properties::DEFAULT_MAX_COUNT)
                    .map_err(|source| MechanismError::Properties { command: CommandName::READY, source })?;
                Ok(Progress::Complete(Session::new(ClearSealer::new(), ClearOpener::new(), properties)))
            }
            name if name == CommandName::ERROR.as_bytes() => {
                Err(MechanismError::PeerError { reason: ErrorReason::decode(command.data)? })
            }
            other => Err(MechanismError::unexpected(CommandName::READY, other)),
        }
    }

    fn authorize(self, verdict: Verdict, out: &mut Commands) -> Result<Progress<Self>, MechanismError> {
        let State::AwaitingVerdict(properties) = self.state else {
            return Err(MechanismError::Misuse("NULL asked for no verdict"));
        };
        match verdict {
            Verdict::Accept(_) => Ok(Progress::NeedCommand(Self::ready(&properties, out))),
            Verdict::Refuse(refusal) => {
                if let Some(reason) = refusal.reason() {
                    out.push_command(&Command::Error(reason.clone()));
                }
                Err(MechanismError::Refused(refusal))
            }
        }
    }
}
