//! The ratios to reach, as far as whole processes side by side can decide them.

use super::contender::Contender;
use super::contest::Quantity;
use super::situation::{Mechanism, Scenario, Situation, Transport};
use serde::Serialize;
use std::fmt;

/// One row of the ratios to reach.
pub(crate) struct Target {
    pub(crate) title: &'static str,
    /// In which situations.
    pub(crate) holds_in: fn(&Situation) -> bool,
    pub(crate) quantity: Quantity,
    /// The best of those of ours counts.
    pub(crate) ours: fn(&Contender) -> bool,
    /// Whose best ours is divided by; nobody's where the quantity itself is the target.
    pub(crate) against: Option<Against>,
    /// By the size up to which each is the goal, smallest first; a larger message than the last has none.
    goals: &'static [(usize, Goal)],
}

pub(crate) struct Against {
    pub(crate) who: fn(&Contender) -> bool,
    /// Under which mechanism, if it is another one than ours.
    pub(crate) mechanism: Option<Mechanism>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

const ANY: usize = usize::MAX;

/// In the order in which they are reported.
pub(crate) const TARGETS: [Target; 11] = [
    Target {
        title: "NULL throughput, in batches and lent, against a bare socket with its best size of writes",
        holds_in: null_throughput,
        quantity: Quantity::Rate,
        ours: Contender::is_our_batch,
        against: same_mechanism(Contender::is_bare_in_place),
        goals: &[(ANY, Goal::AtLeast(0.8))],
    },
    Target {
        title: "NULL throughput, in batches and owned, against a bare socket that copies each message",
        holds_in: null_throughput,
        quantity: Quantity::Rate,
        ours: Contender::is_our_batch_kept,
        against: same_mechanism(Contender::is_bare_kept),
        goals: &[(128, Goal::AtLeast(0.7)), (ANY, Goal::AtLeast(0.85))],
    },
    Target {
        title: "NULL throughput, against the best other implementation",
        holds_in: null_throughput,
        quantity: Quantity::Rate,
        ours: Contender::is_our_batch,
        against: same_mechanism(Contender::is_foreign),
        goals: &[(128, Goal::AtLeast(2.0)), (65_536, Goal::AtLeast(1.3)), (ANY, Goal::AtLeast(0.95))],
    },
    Target {
        title: "NULL throughput, self-flushing, against the best other self-flushing implementation",
        holds_in: null_throughput,
        quantity: Quantity::Rate,
        ours: Contender::is_our_self_flushing,
        against: same_mechanism(Contender::is_foreign_and_self_flushing),
        goals: &[(512, Goal::AtLeast(2.0)), (65_536, Goal::AtLeast(1.3))],
    },
    Target {
        title: "NULL throughput, against libzmq",
        holds_in: null_throughput,
        quantity: Quantity::Rate,
        ours: Contender::is_our_batch,
        against: same_mechanism(Contender::is_libzmq),
        goals: &[
            (128, Goal::AtLeast(5.0)),
            (8192, Goal::AtLeast(4.0)),
            (65_536, Goal::AtLeast(2.0)),
            (ANY, Goal::AtLeast(1.1)),
        ],
    },
    Target {
        title: "NULL round trip on one core, against bare blocking sockets",
        holds_in: round_trip_on_one_core,
        quantity: Quantity::Median,
        ours: Contender::is_ours,
        against: same_mechanism(Contender::is_bare_in_place),
        goals: &[(ANY, Goal::AtMost(1.15))],
    },
    Target {
        title: "NULL round trip on one core, against the best other implementation",
        holds_in: round_trip_on_one_core,
        quantity: Quantity::Median,
        ours: Contender::is_ours,
        against: same_mechanism(Contender::is_foreign),
        goals: &[(ANY, Goal::AtMost(1.0))],
    },
    Target {
        title: "NULL round trip on one core, system calls",
        holds_in: round_trip_on_one_core,
        quantity: Quantity::Syscalls,
        ours: Contender::is_ours,
        against: None,
        // Six; a wake-up in vain now and then is nobody's fault.
        goals: &[(ANY, Goal::AtMost(6.2))],
    },
    Target {
        title: "CURVE throughput, against libzmq",
        holds_in: curve_throughput,
        quantity: Quantity::Rate,
        ours: Contender::is_our_batch,
        against: same_mechanism(Contender::is_libzmq),
        goals: &[(128, Goal::AtLeast(2.0)), (8192, Goal::AtLeast(1.6)), (ANY, Goal::AtLeast(1.2))],
    },
    Target {
        title: "BLAKE3-CHACHAPOLY throughput, against CURVE of libzmq",
        holds_in: blake3_throughput,
        quantity: Quantity::Rate,
        ours: Contender::is_our_batch,
        against: Some(Against { who: Contender::is_libzmq, mechanism: Some(Mechanism::Curve) }),
        goals: &[(8192, Goal::AtLeast(2.0)), (ANY, Goal::AtLeast(1.5))],
    },
    Target {
        title: "Octets of heap for one end of an idle connection",
        holds_in: idle,
        quantity: Quantity::Heap,
        ours: Contender::is_ours,
        against: None,
        goals: &[(ANY, Goal::AtMost(4096.0))],
    },
];

const fn same_mechanism(who: fn(&Contender) -> bool) -> Option<Against> {
    Some(Against { who, mechanism: None })
}

fn null_throughput(situation: &Situation) -> bool {
    is_throughput(situation, Mechanism::Null)
}

fn curve_throughput(situation: &Situation) -> bool {
    is_throughput(situation, Mechanism::Curve)
}

fn blake3_throughput(situation: &Situation) -> bool {
    is_throughput(situation, Mechanism::Blake3)
}

fn is_throughput(situation: &Situation, mechanism: Mechanism) -> bool {
    *situation == Situation { mechanism, ..Situation::new(Scenario::Throughput, situation.size) }
}

fn round_trip_on_one_core(situation: &Situation) -> bool {
    *situation == Situation { one_core: true, ..Situation::new(Scenario::RoundTrip, situation.size) }
}

fn idle(situation: &Situation) -> bool {
    situation.scenario == Scenario::Idle && situation.transport == Transport::Tcp
}

impl Target {
    /// What is wanted in a situation, if anything.
    pub(crate) fn goal(&self, situation: &Situation) -> Option<Goal> {
        if !(self.holds_in)(situation) {
            return None;
        }
        let goal = self.goals.iter().find(|(most, _)| situation.size <= *most);
        goal.map(|(_, goal)| *goal)
    }
}

impl Goal {
    pub(crate) fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, "≥ {least}"),
            Self::AtMost(most) => write!(f, "≤ {most}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_size_has_the_goal_of_its_row() {
        let goal = |title: &str, size| {
            let target = TARGETS.iter().find(|target| target.title == title).unwrap();
            target.goal(&Situation::new(Scenario::Throughput, size))
        };
        let libzmq = |size| goal("NULL throughput, against libzmq", size);
        assert_eq!(libzmq(128), Some(Goal::AtLeast(5.0)));
        assert_eq!(libzmq(512), Some(Goal::AtLeast(4.0)));
        assert_eq!(libzmq(65_536), Some(Goal::AtLeast(2.0)));
        assert_eq!(libzmq(1 << 20), Some(Goal::AtLeast(1.1)));
        assert_eq!(goal("CURVE throughput, against libzmq", 128), None);
        let self_flushing = "NULL throughput, self-flushing, against the best other self-flushing implementation";
        assert_eq!(goal(self_flushing, 1 << 20), None);
    }

    #[test]
    fn goals_of_throughput_are_not_those_of_other_situations() {
        let tcp = Situation::new(Scenario::Throughput, 128);
        let others = [
            Situation { transport: Transport::Unix, ..tcp },
            Situation { connections: 10, ..tcp },
            Situation { scenario: Scenario::FanOut, ..tcp },
        ];
        let goals = |situation: &Situation| TARGETS.iter().filter_map(|target| target.goal(situation)).count();
        assert_eq!(goals(&tcp), 5);
        assert_eq!(others.each_ref().map(goals), [0, 0, 0]);
    }

    #[test]
    fn a_goal_is_a_bound_from_below_or_above() {
        assert!(Goal::AtLeast(2.0).is_met(2.0) && !Goal::AtLeast(2.0).is_met(1.99));
        assert!(Goal::AtMost(1.15).is_met(1.15) && !Goal::AtMost(1.15).is_met(1.16));
        assert_eq!(Goal::AtMost(1.15).to_string(), "≤ 1.15");
    }
}
