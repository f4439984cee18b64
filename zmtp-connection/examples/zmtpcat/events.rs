//! What happens to connections, as lines on stderr.

use std::error::Error;
use std::fmt::Display;
use std::io::Write;

use zmtp_connection::{HandshakeError, Limited, Peer, RecvError, SendError, Stage};

/// Writes events, if they are wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Events {
    pub(crate) wanted: bool,
}

/// Why a connection ended badly.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    stage: &'static str,
    cause: String,
}

impl Events {
    pub(crate) fn listening(self, endpoint: &str) {
        self.line(format_args!("listening {endpoint}"));
    }

    pub(crate) fn accepted(self, address: &str) {
        self.line(format_args!("accepted {address}"));
    }

    pub(crate) fn connected(self, address: &str) {
        self.line(format_args!("connected {address}"));
    }

    pub(crate) fn ready(self, address: &str, peer: &Peer) {
        let identity = shown(peer.identity());
        let (kind, version, mechanism) = (peer.socket_type(), peer.version(), peer.mechanism());
        let key = key(peer).map(|key| format!(" key={key}")).unwrap_or_default();
        let user = peer.user_id().map(|user| format!(" user={}", shown(user))).unwrap_or_default();
        self.line(format_args!(
            "ready {address} type={kind} zmtp={version} mechanism={mechanism} identity={identity}{key}{user}"
        ));
    }

    pub(crate) fn failed(self, address: &str, failed: &Failed) {
        self.line(format_args!("{failed} peer={address}"));
    }

    pub(crate) fn closed(self, address: &str) {
        self.line(format_args!("closed {address}"));
    }

    /// A failure that ends the program is said in any case, but once.
    pub(crate) fn fatal(self, failed: &Failed, said: bool) {
        if !(self.wanted && said) {
            say(failed);
        }
    }

    fn line(self, line: impl Display) {
        if self.wanted {
            say(line);
        }
    }
}

/// The key that the peer has proven to be its own.
#[cfg(any(feature = "curve", feature = "blake3"))]
fn key(peer: &Peer) -> Option<zmtp_connection::PublicKey> {
    zmtp_connection::PublicKey::from_bytes(peer.public_key()?).ok()
}

/// No mechanism with keys is built in.
#[cfg(not(any(feature = "curve", feature = "blake3")))]
fn key(_: &Peer) -> Option<&str> {
    None
}

/// What a peer calls itself, as one word: with a space in it, it could add a `key=` to the line that it has not proven.
fn shown(octets: &[u8]) -> String {
    octets.escape_ascii().to_string().replace(' ', "\\x20")
}

/// Says something on stderr, in one write; nobody need listen.
pub(crate) fn say(line: impl Display) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

impl Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "failed stage={} cause={}", self.stage, self.cause)
    }
}

impl Failed {
    pub(crate) fn new(stage: &'static str, cause: impl Display) -> Self {
        Self { stage, cause: cause.to_string() }
    }

    /// Says where a handshake in a limited place stopped, and why.
    pub(crate) fn limited(error: &Limited<HandshakeError>) -> Self {
        match error {
            Limited::Failed(error) => Self::handshake(error),
            error => Self::new("handshake", error),
        }
    }

    /// Says where a handshake stopped, and why.
    pub(crate) fn handshake(error: &HandshakeError) -> Self {
        let stage = match error.stage() {
            Stage::Greeting => "greeting",
            Stage::Mechanism => "mechanism",
            Stage::Authorization => "authorization",
            Stage::Properties => "properties",
            _ => "handshake",
        };
        let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
        Self { stage, cause: chain(error.cause()) + &hint }
    }

    pub(crate) fn receiving(error: &RecvError) -> Self {
        let stage = if matches!(error, RecvError::Protocol(_)) { "traffic" } else { "connection" };
        Self { stage, cause: chain(error) }
    }

    pub(crate) fn sending(error: &SendError) -> Self {
        Self { stage: "connection", cause: chain(error) }
    }
}

/// An error and what caused it, on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
