//! Contenders: who takes part, in which way of being used, and what each can do.

use super::situation::{Mechanism, Scenario, Situation, Transport};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What `measure` calls this library, and who moves the same octets without a protocol.
const OURS: &str = "zmtp";
const BARE: &str = "bare socket";

/// One implementation, used in one way, as `measure list` describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Contender {
    pub(crate) peer: String,
    pub(crate) version: String,
    pub(crate) mode: String,
    pub(crate) kind: Kind,
    pub(crate) scenarios: Vec<Scenario>,
    pub(crate) mechanisms: Vec<Mechanism>,
    pub(crate) transports: Vec<Transport>,
    /// The most connections that it is asked for.
    pub(crate) connections: usize,
}

/// When a message leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// No protocol at all: the floor.
    Bare,
    /// The caller says when what it has queued is to leave.
    Batch,
    /// Messages leave by themselves, those that wait together in one go.
    SelfFlushing,
    /// Each message is written by itself.
    Eager,
}

impl Contender {
    pub(crate) fn can_do(&self, situation: &Situation) -> bool {
        self.scenarios.contains(&situation.scenario)
            && self.mechanisms.contains(&situation.mechanism)
            && self.transports.contains(&situation.transport)
            && self.connections >= situation.connections
    }

    pub(crate) fn is_ours(&self) -> bool {
        self.peer == OURS
    }

    /// Another implementation of the protocol.
    pub(crate) fn is_foreign(&self) -> bool {
        !self.is_ours() && self.kind != Kind::Bare
    }

    pub(crate) fn is_foreign_and_self_flushing(&self) -> bool {
        self.is_foreign() && self.kind == Kind::SelfFlushing
    }

    pub(crate) fn is_libzmq(&self) -> bool {
        self.peer == "libzmq"
    }

    /// Ours, in batches; what is received is not kept.
    pub(crate) fn is_our_batch(&self) -> bool {
        self.is_ours() && self.kind == Kind::Batch && !self.keeps()
    }

    /// Ours, in batches; each message that is received is one to keep.
    pub(crate) fn is_our_batch_kept(&self) -> bool {
        self.is_ours() && self.kind == Kind::Batch && self.keeps()
    }

    pub(crate) fn is_our_self_flushing(&self) -> bool {
        self.is_ours() && self.kind == Kind::SelfFlushing
    }

    pub(crate) fn is_bare_in_place(&self) -> bool {
        self.peer == BARE && !self.keeps()
    }

    pub(crate) fn is_bare_kept(&self) -> bool {
        self.peer == BARE && self.keeps()
    }

    /// Whether each message that is received gets memory of its own.
    pub(crate) fn keeps(&self) -> bool {
        self.mode.ends_with("owned") || self.mode.ends_with("copied")
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.peer, self.mode)
    }
}

#[cfg(test)]
pub(crate) mod samples {
    use super::*;

    /// Does everything.
    pub(crate) fn contender(peer: &str, mode: &str, kind: Kind) -> Contender {
        Contender {
            peer: peer.to_owned(),
            version: "1.2.3".to_owned(),
            mode: mode.to_owned(),
            kind,
            scenarios: vec![
                Scenario::Throughput,
                Scenario::RoundTrip,
                Scenario::FanOut,
                Scenario::Visits,
                Scenario::Idle,
            ],
            mechanisms: vec![Mechanism::Null, Mechanism::Curve, Mechanism::Blake3],
            transports: vec![Transport::Tcp, Transport::Unix],
            connections: 1000,
        }
    }

    pub(crate) fn ours() -> Contender {
        contender(OURS, "batch,borrowed", Kind::Batch)
    }

    pub(crate) fn bare() -> Contender {
        Contender {
            scenarios: vec![Scenario::Throughput, Scenario::RoundTrip],
            mechanisms: vec![Mechanism::Null],
            connections: 1,
            ..contender(BARE, "1 MiB writes", Kind::Bare)
        }
    }

    pub(crate) fn libzmq() -> Contender {
        Contender {
            mechanisms: vec![Mechanism::Null, Mechanism::Curve],
            ..contender("libzmq", "copy", Kind::SelfFlushing)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{bare, contender, libzmq, ours};
    use super::*;

    #[test]
    fn the_list_of_measure_is_understood() {
        let list = r#"[{"connections":1,"kind":"self-flushing","mechanisms":["null","blake3"],"mode":"m","peer":"p",
            "scenarios":["throughput","round-trip","fan-out"],"transports":["tcp","unix"],"version":""}]"#;
        let list: Vec<Contender> = serde_json::from_str(list).unwrap();
        assert_eq!(list[0].kind, Kind::SelfFlushing);
        assert_eq!(list[0].mechanisms, [Mechanism::Null, Mechanism::Blake3]);
    }

    #[test]
    fn nobody_can_do_what_he_does_not_say() {
        let sealed = Situation { mechanism: Mechanism::Blake3, ..Situation::new(Scenario::Throughput, 16) };
        let many = Situation { connections: 10, ..Situation::new(Scenario::Throughput, 16) };
        assert!(ours().can_do(&sealed) && ours().can_do(&many));
        assert!(!libzmq().can_do(&sealed) && libzmq().can_do(&many));
        assert!(!bare().can_do(&sealed) && !bare().can_do(&many));
    }

    #[test]
    fn our_modes_are_told_apart_by_what_becomes_of_a_received_message() {
        let lent = contender(OURS, "batch,lent in batches", Kind::Batch);
        let owned = contender(OURS, "batch,owned", Kind::Batch);
        assert!(lent.is_our_batch() && !owned.is_our_batch() && owned.is_our_batch_kept());
        assert!(bare().is_bare_in_place() && !bare().is_foreign());
        assert!(libzmq().is_foreign_and_self_flushing() && !libzmq().is_our_self_flushing());
    }
}
