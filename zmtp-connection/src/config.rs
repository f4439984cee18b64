//! What a connection is told before it starts: who we are, what we accept, how long we wait.

use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;
use zmtp_codec::{Identity, IdentityError, Properties, PropertyError, SocketType, Ttl};

/// Everything a connection needs to know about our side except its security mechanism.
///
/// One value is made once and serves any number of connections; cloning it is cheap enough for that.
///
/// ```
/// use zmtp_connection::ConnectionConfig;
/// use zmtp_connection::codec::SocketType;
///
/// let config = ConnectionConfig::builder(SocketType::Dealer)
///     .identity("worker-7")
///     .property("X-Zone", "eu-north")
///     .build()?;
/// assert_eq!(config.socket_type(), SocketType::Dealer);
/// # Ok::<(), zmtp_connection::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ConnectionConfig {
    socket_type: SocketType,
    identity: Identity,
    properties: Properties,
    limits: Limits,
    handshake_timeout: Option<Duration>,
    high_water_mark: usize,
    heartbeat: Option<HeartbeatConfig>,
    domain: Arc<str>,
}

impl ConnectionConfig {
    /// A socket of this type, anonymous, with the default limits and no heartbeats of its own.
    #[must_use]
    pub fn new(socket_type: SocketType) -> Self {
        let builder = Self::builder(socket_type);
        Self {
            socket_type,
            identity: Identity::ANONYMOUS,
            properties: builder.properties_of(&Identity::ANONYMOUS),
            limits: builder.limits,
            handshake_timeout: builder.handshake_timeout,
            high_water_mark: builder.high_water_mark,
            heartbeat: builder.heartbeat,
            domain: Arc::default(),
        }
    }

    /// Starts a configuration for a socket of this type.
    pub const fn builder(socket_type: SocketType) -> ConfigBuilder {
        ConfigBuilder {
            socket_type,
            identity: None,
            extra: Vec::new(),
            limits: Limits::new(),
            handshake_timeout: Some(Duration::from_secs(30)),
            high_water_mark: 512 * 1024,
            heartbeat: None,
            domain: String::new(),
        }
    }

    /// Our socket type.
    #[must_use]
    pub const fn socket_type(&self) -> SocketType {
        self.socket_type
    }

    /// The name that we announce; empty if we are anonymous.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The properties of our READY, Socket-Type first.
    #[must_use]
    pub const fn properties(&self) -> &Properties {
        &self.properties
    }

    /// What we accept from a peer.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How long the whole handshake may take; `None` is for ever. See [`ConfigBuilder::handshake_timeout`].
    #[must_use]
    pub const fn handshake_timeout(&self) -> Option<Duration> {
        self.handshake_timeout
    }

    /// How many octets may wait to be sent before the connection asks its user to wait.
    #[must_use]
    pub const fn high_water_mark(&self) -> usize {
        self.high_water_mark
    }

    /// The heartbeats that we send, if any.
    #[must_use]
    pub const fn heartbeat(&self) -> Option<&HeartbeatConfig> {
        self.heartbeat.as_ref()
    }

    /// The ZAP domain that an authenticator sees; empty by default.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The domain, to share it.
    pub(crate) const fn shared_domain(&self) -> &Arc<str> {
        &self.domain
    }
}

/// Collects a [`ConnectionConfig`]; everything is checked by [`build`](Self::build).
#[derive(Clone, Debug)]
#[must_use]
pub struct ConfigBuilder {
    socket_type: SocketType,
    identity: Option<Bytes>,
    extra: Vec<(String, Bytes)>,
    limits: Limits,
    handshake_timeout: Option<Duration>,
    high_water_mark: usize,
    heartbeat: Option<HeartbeatConfig>,
    domain: String,
}

impl ConfigBuilder {
    /// The name by which a ROUTER peer addresses us: up to 255 octets, the first of them not zero.
    ///
    /// It is announced whatever our socket type is, so that any peer can tell who we are (libzmq announces one for REQ,
    /// DEALER and ROUTER only, and ignores it from all others). An empty one is none: the three named types announce
    /// it as such, the others nothing.
    pub fn identity(mut self, identity: impl Into<Bytes>) -> Self {
        self.identity = Some(identity.into());
        self
    }

    /// A property to announce to the peer beside Socket-Type and Identity.
    ///
    /// The name consists of letters, digits and `-_.+`; by custom an application's own names begin with `X-`. They
    /// are sent in the order in which they were given here.
    pub fn property(mut self, name: impl Into<String>, value: impl Into<Bytes>) -> Self {
        self.extra.push((name.into(), value.into()));
        self
    }

    /// What to accept from a peer.
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How long the whole handshake may take, from the first octet on; progress does not extend it. 30 s by default,
    /// `None` waits for ever.
    ///
    /// A handshake that has failed may take up to a second more than this: the time that the peer is given to read the
    /// ERROR which tells it why.
    pub const fn handshake_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// How many octets may wait to be sent before `send` waits and `feed` refuses: 512 KiB by default. One message
    /// beyond the mark is always taken whole.
    ///
    /// It is also how much is written in one go. Half as much or twice as much takes longer: a fifth to a half at 128 to
    /// 8,192 octets on the processor on which this was chosen, whose cache of the second level has 2 MiB.
    pub const fn high_water_mark(mut self, octets: usize) -> Self {
        self.high_water_mark = octets;
        self
    }

    /// Sends PINGs and drops a silent peer. Without this, the peer's PINGs are still answered and its TTL honoured.
    pub const fn heartbeat(mut self, heartbeat: HeartbeatConfig) -> Self {
        self.heartbeat = Some(heartbeat);
        self
    }

    /// The ZAP domain (RFC 27): for which of several services a peer is to be judged. An authenticator sees it in
    /// [`AuthRequest::domain`](crate::AuthRequest::domain); the peer does not. At most 255 octets, empty by default.
    ///
    /// It does not decide whether anybody is asked, as it does in libzmq: whoever brings an authenticator is asked.
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = domain.into();
        self
    }

    /// Checks it all.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting that cannot be, the first one if there are several.
    pub fn build(self) -> Result<ConnectionConfig, ConfigError> {
        let identity = match &self.identity {
            Some(identity) => Identity::new(identity.clone())?,
            None => Identity::ANONYMOUS,
        };
        let mut properties = self.properties_of(&identity);
        for (name, value) in &self.extra {
            let standard = [Properties::SOCKET_TYPE, Properties::IDENTITY];
            if Properties::is_reserved(name) || standard.iter().any(|own| own.eq_ignore_ascii_case(name)) {
                return Err(ConfigError::ReservedProperty { name: name.clone() });
            }
            properties
                .push(name.clone(), value.clone())
                .map_err(|source| ConfigError::Property { name: name.clone(), source })?;
        }
        let (count, len) = (properties.len(), properties.encoded_len());
        if count > MAX_OWN_PROPERTIES || len > MAX_OWN_METADATA {
            return Err(ConfigError::TooMuchMetadata { count, len });
        }
        if self.domain.len() > MAX_DOMAIN {
            return Err(ConfigError::DomainTooLong { len: self.domain.len() });
        }
        Ok(ConnectionConfig {
            socket_type: self.socket_type,
            identity,
            properties,
            limits: self.limits,
            handshake_timeout: self.handshake_timeout,
            high_water_mark: self.high_water_mark,
            heartbeat: self.heartbeat,
            domain: self.domain.into(),
        })
    }

    /// Socket-Type and, if there is one or libzmq sends it even so, Identity.
    fn properties_of(&self, identity: &Identity) -> Properties {
        Properties::for_socket(self.socket_type, identity)
    }
}

/// Peers count 64 properties at most (our own limit on them), so we announce no more.
const MAX_OWN_PROPERTIES: usize = 64;
/// Peers of our kind take a handshake command of 64 KiB; some room is left for the mechanism's own part.
const MAX_OWN_METADATA: usize = 60 * 1024;
/// What a string in a ZAP request may have (RFC 27).
const MAX_DOMAIN: usize = 255;

/// What a peer may send. All limits are finite by default, and a larger thing ends the connection with an error that
/// names the limit. None of them counts a security mechanism's overhead.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Limits {
    pub(crate) frame: usize,
    pub(crate) message: usize,
    pub(crate) parts: usize,
    pub(crate) command: usize,
    pub(crate) handshake_command: usize,
}

impl Limits {
    /// Frame and message 64 MiB, 4,096 parts, commands 64 KiB.
    pub const fn new() -> Self {
        Self { frame: 64 << 20, message: 64 << 20, parts: 4096, command: 64 << 10, handshake_command: 64 << 10 }
    }

    /// Octets in one frame of a message. Checked when the frame's header arrives, before anything is reserved for it.
    pub const fn max_frame(mut self, octets: usize) -> Self {
        self.frame = octets;
        self
    }

    /// Octets in all frames of one message together.
    pub const fn max_message(mut self, octets: usize) -> Self {
        self.message = octets;
        self
    }

    /// Frames in one message; 0 is taken as 1.
    pub const fn max_parts(mut self, parts: usize) -> Self {
        self.parts = if parts == 0 { 1 } else { parts };
        self
    }

    /// Octets in the body of a command after the handshake. It bounds topics; PING and PONG always fit.
    pub const fn max_command(mut self, octets: usize) -> Self {
        self.command = if octets < MIN_COMMAND { MIN_COMMAND } else { octets };
        self
    }

    /// Octets in the body of a command during the handshake, when the peer has proven nothing yet. Less than 64 is
    /// taken as 64, so that the shortest READY fits.
    pub const fn max_handshake_command(mut self, octets: usize) -> Self {
        self.handshake_command = if octets < MIN_HANDSHAKE_COMMAND { MIN_HANDSHAKE_COMMAND } else { octets };
        self
    }

    /// The most octets in one frame of a message.
    #[must_use]
    pub const fn frame(&self) -> usize {
        self.frame
    }

    /// The most octets in all frames of one message together.
    #[must_use]
    pub const fn message(&self) -> usize {
        self.message
    }

    /// The most frames in one message.
    #[must_use]
    pub const fn parts(&self) -> usize {
        self.parts
    }

    /// The most octets in the body of a command after the handshake.
    #[must_use]
    pub const fn command(&self) -> usize {
        self.command
    }

    /// The most octets in the body of a command during the handshake.
    #[must_use]
    pub const fn handshake_command(&self) -> usize {
        self.handshake_command
    }
}

/// The largest PING: name, TTL and 16 octets of context. A smaller command limit would break heartbeats.
const MIN_COMMAND: usize = 23;
/// No handshake is possible without a READY. That of an anonymous peer has 42 octets at most: 6 for the command's name,
/// 23 for the longest Socket-Type (SCATTER, CHANNEL), 13 for an empty Identity. What is left to 64 is room for a short
/// identity.
const MIN_HANDSHAKE_COMMAND: usize = 64;

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}

/// Our own heartbeats: how often a PING goes out, and how long a peer may stay silent after it (RFC 37, "Heartbeats").
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct HeartbeatConfig {
    pub(crate) interval: Duration,
    pub(crate) timeout: Option<Duration>,
    pub(crate) ttl: Ttl,
    pub(crate) ping_old_peers: bool,
}

impl HeartbeatConfig {
    /// A PING every `interval`, the first one after one interval; a peer that sends nothing at all for as long after
    /// a PING is given up. No TTL is announced. An interval below a millisecond is taken as one.
    pub const fn every(interval: Duration) -> Self {
        let interval = if interval.as_millis() == 0 { Duration::from_millis(1) } else { interval };
        Self { interval, timeout: Some(interval), ttl: Ttl::ZERO, ping_old_peers: false }
    }

    /// How long after a PING the peer may stay silent. Any octet counts as a sign of life, not only a PONG. `None`, or
    /// zero as in libzmq, never gives a peer up.
    pub const fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = match timeout {
            Some(Duration::ZERO) => None,
            other => other,
        };
        self
    }

    /// Asks the peer to give *us* up after this much silence. Rounded up to tenths of a second and capped at 65.5 s,
    /// beyond which libzmq miscalculates; zero announces none.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Ttl::from_duration(ttl);
        self
    }

    /// Sends PINGs also to peers that announced ZMTP 3.0. libzmq 4.2.0 to 4.3.2 do so and answer them; 4.0 and 4.1 do
    /// not. Such a peer is never given up for silence.
    pub const fn ping_zmtp_3_0(mut self, yes: bool) -> Self {
        self.ping_old_peers = yes;
        self
    }

    /// How often a PING goes out.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        self.interval
    }

    /// How long after a PING the peer may stay silent; `None` is for ever. Set by [`timeout`](Self::timeout).
    #[must_use]
    pub const fn silence_limit(&self) -> Option<Duration> {
        self.timeout
    }

    /// After how much silence the peer is asked to give us up, as it is announced, which is rounded and capped;
    /// [`Ttl::ZERO`] is never. Set by [`ttl`](Self::ttl).
    #[must_use]
    pub const fn announced_ttl(&self) -> Ttl {
        self.ttl
    }

    /// Whether peers of ZMTP 3.0 are sent PINGs as well. Set by [`ping_zmtp_3_0`](Self::ping_zmtp_3_0).
    #[must_use]
    pub const fn pings_zmtp_3_0(&self) -> bool {
        self.ping_old_peers
    }
}

/// A setting that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The identity is too long or begins with a zero octet.
    #[error("the identity cannot be used")]
    Identity(#[from] IdentityError),
    /// The property's name or value is not allowed, or the name was given twice.
    #[error("the property {name:?} cannot be announced")]
    Property {
        /// The name as it was given.
        name: String,
        /// Why not.
        source: PropertyError,
    },
    /// The name belongs to the protocol or to the receiving side.
    #[error(
        "the property {name:?} is reserved: set the socket type and identity by their own methods, and choose a name beginning with X- for your own"
    )]
    ReservedProperty {
        /// The name as it was given.
        name: String,
    },
    /// More than a peer would take.
    #[error("{count} properties of {len} octets in all are too much for one handshake command (64 and 61,440 at most)")]
    TooMuchMetadata {
        /// How many there are.
        count: usize,
        /// Their octets on the wire.
        len: usize,
    },
    /// A string of ZAP has 255 octets at most.
    #[error("a domain of {len} octets does not fit into a ZAP request: 255 at most")]
    DomainTooLong {
        /// Its length.
        len: usize,
    },
}
