//! What is measured.

use clap::{Args as ClapArgs, ValueEnum};
use std::time::Duration;

/// Arguments of `measure run`.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Args {
    /// Whom to measure.
    #[arg(long)]
    pub(crate) peer: String,
    /// In which way of using it.
    #[arg(long)]
    pub(crate) mode: String,
    #[command(flatten)]
    pub(crate) job: Job,
}

/// One situation, the same for everybody.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Job {
    #[arg(long, value_enum)]
    pub(crate) scenario: Scenario,
    #[arg(long, value_enum, default_value = "null")]
    pub(crate) mechanism: Mechanism,
    #[arg(long, value_enum, default_value = "tcp")]
    pub(crate) transport: Transport,
    /// Octets in a message's one part.
    #[arg(long, default_value_t = 128)]
    pub(crate) size: usize,
    /// How many connections share the work.
    #[arg(long, default_value_t = 1)]
    pub(crate) connections: usize,
    /// About how long the measured stretch lasts, in milliseconds.
    #[arg(long, default_value_t = 200)]
    time: u64,
    /// Exactly so many messages instead, after as many that are not measured.
    #[arg(long)]
    pub(crate) messages: Option<u64>,
    /// Both ends on one processor core.
    #[arg(long)]
    pub(crate) one_core: bool,
}

impl Job {
    pub(crate) const fn time(&self) -> Duration {
        Duration::from_millis(self.time)
    }
}

/// What goes on between the two ends. They are two threads of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// One end sends (PUSH), the other receives (PULL), both as fast as they can. With several connections each
    /// carries its share.
    Throughput,
    /// One end sends a message and waits for it to come back (DEALER to DEALER), again and again.
    RoundTrip,
    /// One end publishes (PUB): each message goes to every connection.
    FanOut,
    /// A connection is made, one message goes there and back (DEALER to DEALER), and it is closed, again and again.
    Visits,
    /// Connections are made, each carries one message (PUSH to PULL), and then nothing more comes.
    Idle,
}

impl Scenario {
    pub(crate) const ALL: &[Self] = &[Self::Throughput, Self::RoundTrip, Self::FanOut, Self::Visits, Self::Idle];

    /// What the end that connects does.
    pub(crate) const fn connecting(self) -> Role {
        match self {
            Self::Throughput | Self::Idle => Role::Send,
            Self::RoundTrip => Role::Ask,
            Self::FanOut => Role::Subscribe,
            Self::Visits => Role::Visit,
        }
    }

    /// What the end that binds does.
    pub(crate) const fn binding(self) -> Role {
        match self {
            Self::Throughput | Self::Idle => Role::Receive,
            Self::RoundTrip => Role::Echo,
            Self::FanOut => Role::Publish,
            Self::Visits => Role::Host,
        }
    }
}

/// The part that one end plays. Its work in a burst of `count`:
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Connects, and sends `count` messages in all.
    Send,
    /// Binds, and receives `count` messages in all.
    Receive,
    /// Connects; `count` times sends a message and waits for the answer, and says how long each took.
    Ask,
    /// Binds, and sends `count` messages back.
    Echo,
    /// Binds, and sends `count` messages to each connection.
    Publish,
    /// Connects, and receives `count` messages on each connection.
    Subscribe,
    /// `count` times connects, sends a message, waits for the answer and closes.
    Visit,
    /// Binds; takes `count` connections, one after the other, and sends back one message on each.
    Host,
}

impl Role {
    pub(crate) const fn binds(self) -> bool {
        matches!(self, Self::Receive | Self::Echo | Self::Publish | Self::Host)
    }

    /// Whether a burst is over when this end is done with it.
    pub(crate) const fn finishes(self) -> bool {
        matches!(self, Self::Receive | Self::Ask | Self::Subscribe | Self::Visit)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mechanism {
    Null,
    Curve,
    /// BLAKE3-CHACHAPOLY.
    Blake3,
    /// BLAKE3, the weaker suite.
    Blake3zmq,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    Tcp,
    Unix,
}

impl Transport {
    /// Those that this operating system has.
    pub(crate) const HERE: &[Self] = if cfg!(unix) { &[Self::Tcp, Self::Unix] } else { &[Self::Tcp] };
}
