//! The plan: which situations are measured, and who takes part in each.

use super::contender::{Contender, Kind};
use super::contest::{Contest, Entry};
use super::situation::{Mechanism, Scenario, Situation, Transport};

/// What was asked for; an empty list asks for everything.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    pub(crate) quick: bool,
    pub(crate) rounds: usize,
    pub(crate) mechanisms: Vec<Mechanism>,
    /// These sizes instead of the usual ones. What is measured with one size alone is left out unless it is among them.
    pub(crate) sizes: Vec<usize>,
    pub(crate) scenarios: Vec<Scenario>,
}

/// How much of everything.
struct Extent {
    /// Sizes for throughput over one connection: NULL over TCP, with a mechanism that seals, NULL over a Unix socket.
    null: &'static [usize],
    sealed: &'static [usize],
    unix: &'static [usize],
    round_trip: &'static [usize],
    /// Numbers of connections.
    fan_out: &'static [usize],
    many: &'static [usize],
}

const FULL: Extent = Extent {
    null: &[16, 64, 128, 512, 2048, 8192, 65_536, 1_048_576],
    sealed: &[16, 64, 128, 512, 2048, 8192, 65_536, 1_048_576],
    unix: &[128, 8192],
    round_trip: &[16, 128, 512, 2048],
    fan_out: &[1, 10, 100],
    many: &[10, 100, 1000],
};

const QUICK: Extent = Extent {
    null: &[16, 512, 8192, 65_536],
    sealed: &[16, 512, 8192, 65_536],
    unix: &[],
    round_trip: &[16],
    fan_out: &[10],
    many: &[100],
};

/// Octets in a message where the size is not what matters.
const SIZE: usize = 128;
const IDLE_CONNECTIONS: usize = 1000;
const MECHANISMS: [Mechanism; 4] = [Mechanism::Null, Mechanism::Curve, Mechanism::Blake3, Mechanism::Blake3zmq];

/// Every situation that was asked for and that somebody can do, with those who can.
pub(crate) fn plan(contenders: &[Contender], selection: &Selection) -> Vec<Contest> {
    let asked = situations(selection).into_iter().filter(|situation| selection.asks_for(situation));
    let contests = asked.map(|situation| contest(situation, contenders, selection.rounds));
    contests.filter(|contest| !contest.entries.is_empty()).collect()
}

fn contest(situation: Situation, contenders: &[Contender], rounds: usize) -> Contest {
    let able = contenders.iter().filter(|contender| contender.can_do(&situation) && takes_part(contender, &situation));
    Contest { situation, rounds: rounds_of(&situation, rounds), entries: able.cloned().map(Entry::new).collect() }
}

/// In how many rounds of all a situation is measured. The ratios that matter most get the most.
fn rounds_of(situation: &Situation, all: usize) -> usize {
    match situation.scenario {
        Scenario::Throughput if situation.connections == 1 => all,
        Scenario::RoundTrip => all,
        Scenario::Throughput | Scenario::FanOut | Scenario::Visits => all.div_ceil(3),
        // A size does not vary.
        Scenario::Idle => 1,
    }
}

/// All our modes show what they are worth under NULL over one connection. Beyond it those do that are for much traffic, lent;
/// and what an idle connection takes under a mechanism that seals is for us to know.
fn takes_part(contender: &Contender, situation: &Situation) -> bool {
    let plainest =
        situation.mechanism == Mechanism::Null && situation.transport == Transport::Tcp && situation.connections == 1;
    if contender.is_ours() {
        plainest || (!contender.keeps() && contender.kind != Kind::Eager)
    } else {
        situation.scenario != Scenario::Idle || situation.mechanism == Mechanism::Null
    }
}

fn situations(selection: &Selection) -> Vec<Situation> {
    let extent = if selection.quick { QUICK } else { FULL };
    let throughput = |size: &usize| Situation::new(Scenario::Throughput, *size);
    let mut all: Vec<Situation> = selection.sizes_or(extent.null).iter().map(throughput).collect();
    // The mechanisms side by side: one is a target of the other.
    for size in selection.sizes_or(extent.sealed) {
        let sealed = [Mechanism::Curve, Mechanism::Blake3, Mechanism::Blake3zmq];
        all.extend(sealed.map(|mechanism| Situation { mechanism, ..throughput(size) }));
    }
    all.extend(extent.unix.iter().map(|size| Situation { transport: Transport::Unix, ..throughput(size) }));
    for &size in selection.sizes_or(extent.round_trip) {
        let round_trip = Situation::new(Scenario::RoundTrip, size);
        // Staying on one core is written for Linux alone.
        all.extend(cfg!(target_os = "linux").then_some(Situation { one_core: true, ..round_trip }));
        all.push(round_trip);
    }
    let fan_out = Situation::new(Scenario::FanOut, SIZE);
    all.extend(extent.fan_out.iter().map(|&connections| Situation { connections, ..fan_out }));
    all.extend(extent.many.iter().map(|&connections| Situation { connections, ..throughput(&SIZE) }));
    let visits = Situation::new(Scenario::Visits, SIZE);
    all.extend(MECHANISMS.map(|mechanism| Situation { mechanism, ..visits }));
    let idle = Situation { connections: IDLE_CONNECTIONS, ..Situation::new(Scenario::Idle, SIZE) };
    all.extend(MECHANISMS.map(|mechanism| Situation { mechanism, ..idle }));
    all
}

impl Selection {
    fn sizes_or<'a>(&'a self, usual: &'a [usize]) -> &'a [usize] {
        if self.sizes.is_empty() { usual } else { &self.sizes }
    }

    fn asks_for(&self, situation: &Situation) -> bool {
        fn among<T: PartialEq>(asked: &[T], this: &T) -> bool {
            asked.is_empty() || asked.contains(this)
        }
        among(&self.mechanisms, &situation.mechanism)
            && among(&self.scenarios, &situation.scenario)
            && among(&self.sizes, &situation.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::compare::contender::samples::{bare, contender, libzmq, ours};

    fn all() -> Vec<Contender> {
        let owned = contender("zmtp", "batch,owned", Kind::Batch);
        let eager = contender("zmtp", "eager,borrowed", Kind::Eager);
        vec![bare(), ours(), owned, eager, libzmq()]
    }

    fn full() -> Selection {
        Selection { rounds: 15, ..Selection::default() }
    }

    #[test]
    fn contenders_are_only_asked_for_what_they_can_do() {
        for contest in plan(&all(), &full()) {
            for entry in &contest.entries {
                assert!(entry.contender.can_do(&contest.situation), "{} in {}", entry.contender, contest.situation);
            }
        }
        assert!(plan(&[], &full()).is_empty());
    }

    #[test]
    fn all_our_modes_take_part_under_null_and_one_in_what_is_sealed() {
        let modes = |mechanism| {
            let contests = plan(&all(), &full());
            let contest = contests.into_iter().find(|contest| contest.situation.mechanism == mechanism).unwrap();
            let ours = contest.entries.into_iter().filter(|entry| entry.contender.is_ours());
            ours.map(|entry| entry.contender.mode).collect::<Vec<_>>()
        };
        assert_eq!(modes(Mechanism::Null), ["batch,borrowed", "batch,owned", "eager,borrowed"]);
        assert_eq!(modes(Mechanism::Curve), ["batch,borrowed"]);
    }

    #[test]
    fn idle_connections_are_everybodys_under_null_and_ours_under_the_rest() {
        let idle = Selection { scenarios: vec![Scenario::Idle], ..full() };
        let entries = plan(&all(), &idle).into_iter().map(|contest| contest.entries.len());
        assert_eq!(entries.collect::<Vec<_>>(), [2, 1, 1]);
    }

    #[test]
    fn a_selection_narrows_the_plan() {
        let selection =
            Selection { mechanisms: vec![Mechanism::Curve], scenarios: vec![Scenario::Throughput], ..full() };
        let contests = plan(&all(), &selection);
        assert_eq!(contests.len(), FULL.sealed.len());
        assert!(contests.iter().all(|contest| contest.situation.family() == "CURVE throughput"));
    }

    #[test]
    fn sizes_replace_the_usual_ones() {
        let families = |size| {
            let contests = plan(&all(), &Selection { sizes: vec![size], ..full() });
            assert!(contests.iter().all(|contest| contest.situation.size == size));
            contests.iter().map(|contest| contest.situation.family()).collect::<Vec<_>>()
        };
        let unusual = families(1500);
        assert!(unusual.contains(&"NULL throughput".to_owned()));
        assert!(!unusual.contains(&"Visits".to_owned()));
        assert!(families(SIZE).contains(&"Visits".to_owned()));
    }

    #[test]
    fn a_quick_run_is_a_small_part_of_a_full_one() {
        let measurements = |selection: &Selection| {
            let contests = plan(&all(), selection);
            contests.iter().map(|contest| contest.rounds * contest.entries.len()).sum::<usize>()
        };
        let quick = Selection { quick: true, rounds: 3, ..Selection::default() };
        assert!(measurements(&quick) * 8 < measurements(&full()));
    }

    #[test]
    fn what_varies_little_or_matters_less_is_measured_in_fewer_rounds() {
        let rounds = |scenario| {
            let contests = plan(&all(), &full());
            contests.iter().find(|contest| contest.situation.scenario == scenario).unwrap().rounds
        };
        assert_eq!(rounds(Scenario::Throughput), 15);
        assert_eq!(rounds(Scenario::Visits), 5);
        assert_eq!(rounds(Scenario::Idle), 1);
    }
}
