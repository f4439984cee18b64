//! One connection of omq's over a blocking TCP stream. Every module of a release of omq includes this file and gives it that
//! release as `super::release`.

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use super::Security;
use super::release::proto::command::{Command, PeerProperties};
use super::release::proto::connection::{Connection, ConnectionConfig, Event, Role};
use super::release::{Error, Message, SocketType};

/// How long a read or a write waits.
pub const TIMEOUT: Duration = Duration::from_secs(10);

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
            Self::Omq(error) => super::refusal(error),
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
    // The releases have something of their own to say of these two.
    pub(super) connection: Connection,
    pub(super) properties: Option<PeerProperties>,
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

    /// The minor version of ZMTP that is spoken.
    #[must_use]
    pub fn minor_version(&self) -> u8 {
        self.connection.peer_minor()
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
                Event::Message(message) => self.waiting.push_back(Received::Message(payloads(&message))),
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
            self.waiting.push_back(Received::Message(payloads(&message)));
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

fn payloads(message: &Message) -> Vec<Vec<u8>> {
    message.iter().map(|part| part.to_vec()).collect()
}
