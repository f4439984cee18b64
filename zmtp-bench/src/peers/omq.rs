//! omq, an implementation in Rust that shares no code with ours or with libzmq: its ZMTP state machine, with its own CURVE,
//! driven over a blocking TCP stream.
//!
//! It is one connection, as ours is: no sockets, no queues between peers, no reconnecting. Every wait has a limit
//! ([`TIMEOUT`]), so that a test against a peer that says nothing fails instead of hanging.

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use omq_proto::proto::command::{Command, PeerProperties};
use omq_proto::proto::connection::{Connection, ConnectionConfig, Event, Role};
use omq_proto::{
    CurveKeypair, CurvePublicKey, CurveSecretKey, CurveServerOptions, Error, MechanismSetup, Message, PeerPublicKey,
};

pub use omq_proto::SocketType;

/// How long a read or a write waits.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// What a peer is configured for. Keys are 32 octets each.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names of the fields say what there is to say")]
pub enum Security {
    /// NULL.
    Null,
    /// CURVE, as a client that expects this server.
    CurveClient { secret: [u8; 32], server: [u8; 32] },
    /// CURVE, as a server that lets in this client, or everybody.
    CurveServer { secret: [u8; 32], client: Option<[u8; 32]> },
}

impl Security {
    fn setup(self) -> MechanismSetup {
        match self {
            Self::Null => MechanismSetup::Null,
            Self::CurveClient { secret, server } => MechanismSetup::CurveClient {
                our_keypair: keypair(secret),
                server_public: CurvePublicKey::from_bytes(server),
            },
            Self::CurveServer { secret, client } => {
                let options = CurveServerOptions::new();
                let options = match client {
                    None => options,
                    Some(client) => options.authenticator(move |peer| peer.public_key == client),
                };
                MechanismSetup::CurveServer { our_keypair: keypair(secret), options }
            }
        }
    }
}

fn keypair(secret: [u8; 32]) -> CurveKeypair {
    let secret = CurveSecretKey::from_bytes(secret);
    CurveKeypair { public: secret.derive_public(), secret }
}

/// Why a peer is not connected, or no longer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OmqError {
    /// omq's own words.
    #[error("omq: {0}")]
    Omq(#[from] Error),
    /// The stream failed, or nothing came in time.
    #[error("the stream")]
    Io(#[from] io::Error),
    /// The stream ended before the handshake did.
    #[error("the stream ended during the handshake")]
    Closed,
}

impl OmqError {
    /// The reason in the ERROR by which the other side ended the handshake, if that is what happened.
    #[must_use]
    pub fn refusal(&self) -> Option<&str> {
        match self {
            Self::Omq(Error::HandshakeRefused(refusal)) => Some(&refusal.reason),
            _ => None,
        }
    }
}

/// Something the other side sent. PINGs are answered and PONGs dropped by omq; see [`Peer::received`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Received {
    /// A message with its parts.
    Message(Vec<Vec<u8>>),
    /// SUBSCRIBE to a topic.
    Subscribe(Vec<u8>),
    /// CANCEL of a topic.
    Cancel(Vec<u8>),
    /// JOIN of a group.
    Join(Vec<u8>),
    /// LEAVE of a group.
    Leave(Vec<u8>),
    /// A command of another name.
    Other(Vec<u8>),
}

/// A ready connection of omq's.
#[derive(Debug)]
pub struct Peer {
    stream: TcpStream,
    connection: Connection,
    properties: Option<PeerProperties>,
    waiting: VecDeque<Received>,
    received: u64,
}

impl Peer {
    /// Shakes hands at the other end of `stream`. Who listens makes no difference to it.
    ///
    /// # Errors
    /// [`OmqError`]; the other side was told what omq tells it.
    pub fn handshake(
        stream: TcpStream,
        socket_type: SocketType,
        identity: &[u8],
        security: Security,
    ) -> Result<Self, OmqError> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let config = ConnectionConfig::new(Role::Client, socket_type)
            .identity(identity.to_vec().into())
            .mechanism(security.setup());
        let mut peer = Self {
            stream,
            connection: Connection::new(config),
            properties: None,
            waiting: VecDeque::new(),
            received: 0,
        };
        peer.flush()?;
        while peer.properties.is_none() {
            if !peer.read()? {
                return Err(OmqError::Closed);
            }
        }
        Ok(peer)
    }

    /// The name of the other side's socket type.
    #[must_use]
    pub fn socket_type(&self) -> Option<&'static str> {
        self.properties.as_ref()?.socket_type.map(SocketType::as_str)
    }

    /// The other side's identity, if it announced one.
    #[must_use]
    pub fn identity(&self) -> Option<&[u8]> {
        self.properties.as_ref()?.identity.as_deref()
    }

    /// A property that the other side announced beside those two.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&[u8]> {
        let mut others = self.properties.as_ref()?.other.iter();
        others.find_map(|(other, value)| other.eq_ignore_ascii_case(name).then_some(value.as_ref()))
    }

    /// The other side's long-term key, if the mechanism has proven one.
    #[must_use]
    pub fn public_key(&self) -> Option<[u8; 32]> {
        match self.properties.as_ref()?.authentication.public_key {
            Some(PeerPublicKey::Curve(key)) => Some(key),
            _ => None,
        }
    }

    /// The minor version of ZMTP that is spoken.
    #[must_use]
    pub fn minor_version(&self) -> u8 {
        self.connection.peer_minor()
    }

    /// After how much silence the other side asked to be given up, by the PING that came last and that nothing has followed.
    #[must_use]
    pub fn ttl(&self) -> Option<Duration> {
        self.connection.peer_heartbeat_ttl()
    }

    /// How many octets have come from the other side, by which a PONG shows.
    #[must_use]
    pub const fn received(&self) -> u64 {
        self.received
    }

    /// Sends one message.
    ///
    /// # Errors
    /// [`OmqError`].
    pub fn send<P: AsRef<[u8]>>(&mut self, parts: &[P]) -> Result<(), OmqError> {
        let message = Message::multipart(parts.iter().map(|part| part.as_ref().to_vec()));
        self.connection.send_message(&message)?;
        self.flush()
    }

    /// Sends SUBSCRIBE, or a message in its place to a peer of ZMTP 3.0.
    ///
    /// # Errors
    /// [`OmqError`].
    pub fn subscribe(&mut self, topic: &[u8]) -> Result<(), OmqError> {
        self.command(&Command::Subscribe(topic.to_vec().into()))
    }

    /// Sends CANCEL, likewise.
    ///
    /// # Errors
    /// [`OmqError`].
    pub fn cancel(&mut self, topic: &[u8]) -> Result<(), OmqError> {
        self.command(&Command::Cancel(topic.to_vec().into()))
    }

    /// Sends JOIN.
    ///
    /// # Errors
    /// [`OmqError`].
    pub fn join(&mut self, group: &[u8]) -> Result<(), OmqError> {
        self.command(&Command::Join(group.to_vec().into()))
    }

    /// Sends LEAVE.
    ///
    /// # Errors
    /// [`OmqError`].
    pub fn leave(&mut self, group: &[u8]) -> Result<(), OmqError> {
        self.command(&Command::Leave(group.to_vec().into()))
    }

    /// Sends a PING with this TTL in tenths of a second, and with this context (16 octets at most).
    ///
    /// # Errors
    /// [`OmqError`].
    pub fn ping(&mut self, ttl: u16, context: &[u8]) -> Result<(), OmqError> {
        self.command(&Command::Ping { ttl_deciseconds: ttl, context: context.to_vec().into() })
    }

    fn command(&mut self, command: &Command) -> Result<(), OmqError> {
        self.connection.send_command(command)?;
        self.flush()
    }

    /// The next message or command; `None` once the other side has closed. omq keeps commands and messages apart: those that
    /// came in one read are given commands first.
    ///
    /// # Errors
    /// [`OmqError`], also where nothing came in time.
    pub fn recv(&mut self) -> Result<Option<Received>, OmqError> {
        loop {
            if let Some(received) = self.waiting.pop_front() {
                return Ok(Some(received));
            }
            if !self.read()? {
                return Ok(None);
            }
        }
    }

    /// Reads until something is so, and keeps what came meanwhile.
    ///
    /// # Errors
    /// As [`recv`](Self::recv), and where the stream ends before that.
    pub fn read_until(&mut self, reached: impl Fn(&Self) -> bool) -> Result<(), OmqError> {
        while !reached(self) {
            if !self.read()? {
                return Err(OmqError::Closed);
            }
        }
        Ok(())
    }

    /// Reads once, and answers what omq answers on its own. `false` at the end of the stream.
    fn read(&mut self) -> Result<bool, OmqError> {
        let mut buffer = vec![0; 1 << 16];
        let count = self.stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(false);
        }
        buffer.truncate(count);
        self.received += count as u64;
        let handled = self.connection.handle_input(buffer.into());
        // What omq has to say about an error, and its PONGs.
        self.flush()?;
        handled?;
        while let Some(event) = self.connection.poll_event() {
            match event {
                Event::HandshakeSucceeded { peer_properties, .. } => {
                    self.properties = Some(PeerProperties::clone(&peer_properties));
                }
                Event::Message(message) => self.waiting.push_back(Received::Message(parts(&message))),
                Event::Command(command) => self.waiting.push_back(match command {
                    Command::Subscribe(topic) => Received::Subscribe(topic.into()),
                    Command::Cancel(topic) => Received::Cancel(topic.into()),
                    Command::Join(group) => Received::Join(group.into()),
                    Command::Leave(group) => Received::Leave(group.into()),
                    other => Received::Other(format!("{:?}", other.kind()).into_bytes()),
                }),
            }
        }
        while let Some(message) = self.connection.poll_message() {
            self.waiting.push_back(Received::Message(parts(&message)));
        }
        Ok(true)
    }

    fn flush(&mut self) -> Result<(), OmqError> {
        while self.connection.has_pending_transmit() {
            let octets = self.connection.poll_transmit();
            self.stream.write_all(&octets)?;
            self.connection.advance_transmit(octets.len());
        }
        Ok(())
    }
}

fn parts(message: &Message) -> Vec<Vec<u8>> {
    message.iter().map(|part| part.to_vec()).collect()
}
