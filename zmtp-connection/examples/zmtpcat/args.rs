//! The command line.

use std::time::Duration;

use clap::{ArgGroup, Parser, Subcommand};
use zmtp_connection::codec::SocketType;
use zmtp_connection::{ConnectionConfig, HeartbeatConfig, Limits};

use crate::endpoint::Endpoint;
use crate::keygen::KeygenArgs;
use crate::lines::Format;
use crate::pattern::Pattern;
use crate::security::{Security, SecurityArgs};

/// Netcat for ZMTP, the wire protocol of ZeroMQ.
///
/// One line of stdin is one message, one message received is one line of stdout. Exit code 0: done; 1: the handshake
/// failed, the peer broke the protocol, or the connection was lost with work undone; 2: wrong usage.
#[expect(clippy::doc_markdown, reason = "these comments are the text of --help")]
#[derive(Parser)]
#[command(name = "zmtpcat", version, group = ArgGroup::new("endpoint").required(true).args(["bind", "connect"]))]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, disable_help_subcommand = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) action: Option<Action>,
    /// Serve peers at tcp://HOST:PORT (HOST may be *, PORT 0) or ipc://PATH.
    #[arg(long, value_name = "ENDPOINT")]
    bind: Option<String>,
    /// Connect to tcp://HOST:PORT or ipc://PATH, and keep trying until it answers.
    #[arg(long, value_name = "ENDPOINT")]
    connect: Option<String>,
    /// Socket type: PAIR PUB SUB REQ REP DEALER ROUTER PULL PUSH XPUB XSUB, or a draft type.
    ///
    /// A ROUTER shows the peer's identity as the first part, and the first part of a line names the receiver; an
    /// anonymous peer is called anonymous-1 and so on. SERVER and PEER answer whom they heard last. A DISH joins the
    /// groups given by --subscribe; the first part of a RADIO's or DISH's message is the group.
    #[arg(short = 't', long = "type", value_name = "TYPE", required = true)]
    socket_type: Option<String>,
    #[command(flatten)]
    security: SecurityArgs,
    /// Identity to announce.
    #[arg(long, value_name = "TEXT")]
    identity: Option<String>,
    /// Topic prefix of a SUB or XSUB, or group of a DISH (repeatable). A SUB without any takes everything.
    #[arg(long, value_name = "PREFIX", allow_hyphen_values = true)]
    subscribe: Vec<String>,
    /// Send every message received back to its sender; stdin is not read.
    #[arg(long)]
    echo: bool,
    /// A line is the parts of a message in hex, separated by commas: 61,,62 is "a", "", "b".
    #[arg(long)]
    hex: bool,
    /// Separates the parts of a message in a line; TAB by default.
    #[arg(long, value_name = "TEXT", default_value = "\t", hide_default_value = true, allow_hyphen_values = true)]
    part_sep: String,
    /// End after N messages received (sent, for a type that only sends).
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Stay that long after the end of stdin; -1: for ever.
    #[arg(short = 'q', long, value_name = "SECONDS", allow_negative_numbers = true)]
    quit_after: Option<f64>,
    /// Send a PING every MS milliseconds.
    #[arg(long, value_name = "MS")]
    heartbeat_ivl: Option<u64>,
    /// Drop a peer that is silent for MS milliseconds after a PING; the interval by default.
    #[arg(long, value_name = "MS", requires = "heartbeat_ivl")]
    heartbeat_timeout: Option<u64>,
    /// Ask the peer to drop us after MS milliseconds of silence.
    #[arg(long, value_name = "MS", requires = "heartbeat_ivl")]
    heartbeat_ttl: Option<u64>,
    /// A larger frame or message ends its connection.
    #[arg(long, value_name = "BYTES")]
    max_msg_size: Option<usize>,
    /// Time for the whole handshake; 0: no limit.
    #[arg(long, value_name = "MS", default_value_t = 30_000)]
    handshake_timeout: u64,
    /// Connection events as lines on stderr.
    #[arg(long)]
    events: bool,
}

/// What else can be done than to talk.
#[derive(Subcommand)]
pub(crate) enum Action {
    /// Make a key pair for any mechanism that has keys: print it in Z85, or write it into files.
    Keygen(KeygenArgs),
}

/// What the command line means, checked.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) side: Side,
    pub(crate) pattern: Pattern,
    pub(crate) config: ConnectionConfig,
    pub(crate) security: Security,
    pub(crate) subscriptions: Vec<String>,
    pub(crate) echo: bool,
    pub(crate) format: Format,
    pub(crate) count: Option<u64>,
    pub(crate) quit_after: Option<QuitAfter>,
    pub(crate) events: bool,
    /// To be said in any case, before anything else.
    pub(crate) warnings: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) enum Side {
    Bind(Endpoint),
    Connect(Endpoint),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum QuitAfter {
    Time(Duration),
    Never,
}

impl Args {
    /// Makes sense of it all, or says what makes none.
    pub(crate) fn check(self) -> Result<Settings, String> {
        let side = match (&self.bind, &self.connect) {
            (Some(text), _) => Side::Bind(Endpoint::parse(text, true)?),
            (None, Some(text)) => Side::Connect(Endpoint::parse(text, false)?),
            (None, None) => return Err("one of --bind and --connect is needed".to_owned()),
        };
        // Required, but where a subcommand takes the place of it all.
        let socket_type = self.socket_type.as_deref().ok_or("--type is needed")?;
        let socket_type: SocketType = socket_type.parse().map_err(|error| format!("{error}"))?;
        let pattern = Pattern::of(socket_type);
        if self.echo && !pattern.can_echo() {
            return Err(format!("--echo makes no sense for {socket_type}: it does not send to whom it receives from"));
        }
        let security = self.security.check(self.bind.is_some())?;
        let (Side::Bind(endpoint) | Side::Connect(endpoint)) = &side;
        Ok(Settings {
            warnings: security.warnings(endpoint),
            side,
            pattern,
            config: self.config(socket_type)?,
            security,
            echo: self.echo,
            format: Format::new(self.hex, &self.part_sep, pattern.is_single_part()),
            count: self.count,
            quit_after: self.quit_after.map(quit_after).transpose()?,
            events: self.events,
            subscriptions: self.subscribe,
        })
    }

    fn config(&self, socket_type: SocketType) -> Result<ConnectionConfig, String> {
        let mut limits = Limits::new();
        if let Some(octets) = self.max_msg_size {
            limits = limits.max_frame(octets).max_message(octets);
        }
        let timeout = (self.handshake_timeout > 0).then(|| Duration::from_millis(self.handshake_timeout));
        let mut builder = ConnectionConfig::builder(socket_type).limits(limits).handshake_timeout(timeout);
        if let Some(identity) = &self.identity {
            builder = builder.identity(identity.clone());
        }
        if let Some(interval) = self.heartbeat_ivl.filter(|&interval| interval > 0) {
            let mut heartbeat = HeartbeatConfig::every(Duration::from_millis(interval));
            if let Some(timeout) = self.heartbeat_timeout {
                heartbeat = heartbeat.timeout((timeout > 0).then(|| Duration::from_millis(timeout)));
            }
            if let Some(ttl) = self.heartbeat_ttl {
                heartbeat = heartbeat.ttl(Duration::from_millis(ttl));
            }
            builder = builder.heartbeat(heartbeat);
        }
        builder.build().map_err(|error| {
            let cause = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
            format!("{error}{cause}")
        })
    }
}

fn quit_after(seconds: f64) -> Result<QuitAfter, String> {
    if seconds < 0.0 {
        return Ok(QuitAfter::Never);
    }
    let time = Duration::try_from_secs_f64(seconds);
    time.map(QuitAfter::Time).map_err(|error| format!("--quit-after {seconds}: {error}"))
}
