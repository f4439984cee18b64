//! Situations: what is measured, and how a report groups it. The words are those of the program `measure`.

use crate::bench::numbers::octets;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What goes on between two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scenario {
    /// One end sends, the other receives, both as fast as they can.
    Throughput,
    /// A message there and back, again and again.
    RoundTrip,
    /// One end publishes to all connections.
    FanOut,
    /// Connections made and closed, again and again.
    Visits,
    /// Connections on which nothing happens.
    Idle,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mechanism {
    Null,
    Curve,
    Blake3,
    Blake3zmq,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Transport {
    Tcp,
    Unix,
}

/// One situation, the same for all who take part in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Situation {
    pub(crate) scenario: Scenario,
    pub(crate) mechanism: Mechanism,
    pub(crate) transport: Transport,
    /// Octets in a message.
    pub(crate) size: usize,
    pub(crate) connections: usize,
    /// Both ends on one processor core.
    pub(crate) one_core: bool,
}

impl Situation {
    /// NULL over one TCP connection that may use every core; what is different is changed by the caller.
    pub(crate) const fn new(scenario: Scenario, size: usize) -> Self {
        let (mechanism, transport) = (Mechanism::Null, Transport::Tcp);
        Self { scenario, mechanism, transport, size, connections: 1, one_core: false }
    }

    /// The arguments that tell `measure` about it.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let mut arguments: Vec<String> = [
            ("--scenario", word(&self.scenario)),
            ("--mechanism", word(&self.mechanism)),
            ("--transport", word(&self.transport)),
            ("--size", self.size.to_string()),
            ("--connections", self.connections.to_string()),
        ]
        .into_iter()
        .flat_map(|(name, value)| [name.to_owned(), value])
        .collect();
        if self.one_core {
            arguments.push("--one-core".to_owned());
        }
        arguments
    }

    /// The heading of the table in which it is a column.
    pub(crate) fn family(&self) -> String {
        let Self { mechanism, .. } = self;
        match self.scenario {
            Scenario::Throughput if self.transport == Transport::Unix => {
                format!("{mechanism} throughput over a Unix socket")
            }
            Scenario::Throughput if self.connections == 1 => format!("{mechanism} throughput"),
            Scenario::Throughput => format!("{mechanism} throughput of {} over many connections", octets(self.size)),
            Scenario::RoundTrip if self.one_core => format!("{mechanism} round trip on one core"),
            Scenario::RoundTrip => format!("{mechanism} round trip on all cores"),
            Scenario::FanOut => format!("{mechanism} fan-out of {}", octets(self.size)),
            Scenario::Visits => "Visits".to_owned(),
            Scenario::Idle => format!("{} idle connections", self.connections),
        }
    }

    /// The heading of its column in that table.
    pub(crate) fn column(&self) -> String {
        match self.scenario {
            Scenario::Throughput if self.connections == 1 => octets(self.size),
            Scenario::RoundTrip => octets(self.size),
            Scenario::Throughput | Scenario::FanOut if self.connections == 1 => "1 connection".to_owned(),
            Scenario::Throughput | Scenario::FanOut => format!("{} connections", self.connections),
            Scenario::Visits | Scenario::Idle => self.mechanism.to_string(),
        }
    }
}

impl fmt::Display for Situation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.family(), self.column())
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "NULL",
            Self::Curve => "CURVE",
            Self::Blake3 => "BLAKE3-CHACHAPOLY",
            Self::Blake3zmq => "BLAKE3ZMQ",
        })
    }
}

/// As it is written on a command line.
fn word(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_situation_is_told_in_the_words_of_measure() {
        let situation = Situation { one_core: true, ..Situation::new(Scenario::RoundTrip, 16) };
        let expected = "--scenario round-trip --mechanism null --transport tcp --size 16 --connections 1 --one-core";
        assert_eq!(situation.arguments().join(" "), expected);
    }

    #[test]
    fn the_columns_of_a_family_are_what_differs_within_it() {
        let sizes = [Situation::new(Scenario::Throughput, 16), Situation::new(Scenario::Throughput, 65536)];
        assert_eq!(sizes[0].family(), sizes[1].family());
        assert_eq!(sizes.map(|situation| situation.column()), ["16 B", "64 KiB"]);
        let many = Situation { connections: 10, ..sizes[0] };
        assert_eq!(many.to_string(), "NULL throughput of 16 B over many connections, 10 connections");
    }
}
