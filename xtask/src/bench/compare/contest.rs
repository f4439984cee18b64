//! A contest: one situation, who takes part in it, and what was measured of each in every round.

use super::contender::Contender;
use super::situation::Situation;
use super::stats::Spread;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize)]
pub(crate) struct Contest {
    pub(crate) situation: Situation,
    /// In so many rounds, the first ones, it is held.
    pub(crate) rounds: usize,
    pub(crate) entries: Vec<Entry>,
}

/// One contender's part in it.
#[derive(Debug, Serialize)]
pub(crate) struct Entry {
    pub(crate) contender: Contender,
    /// One for each round, from the first on.
    pub(crate) samples: Vec<Figures>,
    /// Why it was left out from some round on; then none of its figures count.
    pub(crate) failure: Option<String>,
    /// System calls for each message, counted in a run of their own.
    pub(crate) syscalls: Option<f64>,
}

/// What `measure run` prints, of the whole process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Figures {
    messages: f64,
    seconds: f64,
    user_seconds: f64,
    system_seconds: f64,
    waits: f64,
    latency: Option<Latency>,
    heap_per_connection: Option<f64>,
}

/// Nanoseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Latency {
    p50: f64,
    p90: f64,
    p99: f64,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Quantity {
    /// Messages (visits) per second.
    Rate,
    /// Nanoseconds of processor time for a message, of both ends, inside and outside the kernel.
    Processor,
    /// How often a thread waited, for a message.
    Waits,
    /// System calls for a message, of both ends.
    Syscalls,
    /// Nanoseconds that half of the messages, and all but a hundredth, took at most.
    Median,
    Tail,
    /// Octets of heap for one end of an idle connection.
    Heap,
}

impl Quantity {
    fn of(self, figures: &Figures) -> Option<f64> {
        let Figures { messages, seconds, user_seconds, system_seconds, waits, latency, heap_per_connection } = figures;
        match self {
            Self::Rate => Some(messages / seconds),
            Self::Processor => Some((user_seconds + system_seconds) * 1e9 / messages),
            Self::Waits => Some(waits / messages),
            Self::Median => latency.as_ref().map(|latency| latency.p50),
            Self::Tail => latency.as_ref().map(|latency| latency.p99),
            Self::Heap => heap_per_connection.map(|both_ends| both_ends / 2.0),
            Self::Syscalls => None,
        }
    }

    /// Whether who has more of it is ahead.
    pub(crate) const fn more_is_better(self) -> bool {
        matches!(self, Self::Rate)
    }
}

impl Entry {
    pub(crate) const fn new(contender: Contender) -> Self {
        Self { contender, samples: Vec::new(), failure: None, syscalls: None }
    }

    /// One value for each round; none of a contender that has failed.
    pub(crate) fn values(&self, quantity: Quantity) -> Vec<f64> {
        match quantity {
            _ if self.failure.is_some() => Vec::new(),
            Quantity::Syscalls => self.syscalls.into_iter().collect(),
            _ => self.samples.iter().filter_map(|figures| quantity.of(figures)).collect(),
        }
    }

    pub(crate) fn spread(&self, quantity: Quantity) -> Option<Spread> {
        Spread::of(&self.values(quantity))
    }
}

impl Contest {
    /// Of those who are picked the one with the best median.
    pub(crate) fn best(&self, quantity: Quantity, picked: impl Fn(&Contender) -> bool) -> Option<&Entry> {
        let candidates = self.entries.iter().filter(|entry| picked(&entry.contender));
        let medians = candidates.filter_map(|entry| Some((entry.spread(quantity)?.median, entry)));
        let best = if quantity.more_is_better() {
            medians.max_by(|(one, _), (other, _)| one.total_cmp(other))
        } else {
            medians.min_by(|(one, _), (other, _)| one.total_cmp(other))
        };
        best.map(|(_, entry)| entry)
    }
}

#[cfg(test)]
pub(crate) mod samples {
    use super::*;

    /// So many messages in a second of each round.
    pub(crate) fn entry(contender: Contender, rates: &[f64]) -> Entry {
        let figures = |&messages: &f64| Figures {
            messages,
            seconds: 1.0,
            user_seconds: 0.5,
            system_seconds: 0.25,
            waits: 0.0,
            latency: Some(Latency { p50: 1e9 / messages, p90: 2e9 / messages, p99: 3e9 / messages }),
            heap_per_connection: None,
        };
        Entry { samples: rates.iter().map(figures).collect(), ..Entry::new(contender) }
    }

    /// Connections that take so many octets of heap, both ends together.
    pub(crate) fn idle(contender: Contender, heap_per_connection: f64) -> Entry {
        let mut entry = entry(contender, &[1.0]);
        entry.samples[0].heap_per_connection = Some(heap_per_connection);
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{entry, idle};
    use super::*;
    use crate::bench::compare::contender::samples::{libzmq, ours};
    use crate::bench::compare::situation::Scenario;

    fn contest(entries: Vec<Entry>) -> Contest {
        Contest { situation: Situation::new(Scenario::Throughput, 16), rounds: 3, entries }
    }

    #[test]
    fn what_measure_prints_is_understood() {
        let printed = r#"{"heap_per_connection":9144.8,"messages":1000,"seconds":0.5,"system_seconds":0.012,
            "user_seconds":0.004,"waits":3,"latency":{"p50":10,"p90":20,"p99":30}}"#;
        let figures: Figures = serde_json::from_str(printed).unwrap();
        let of = |quantity: Quantity| quantity.of(&figures).unwrap();
        assert_eq!(of(Quantity::Rate), 2000.0);
        assert_eq!(of(Quantity::Processor).round(), 16_000.0);
        assert_eq!(of(Quantity::Waits), 0.003);
        assert_eq!((of(Quantity::Median), of(Quantity::Tail)), (10.0, 30.0));
        assert_eq!(of(Quantity::Heap), 4572.4);
    }

    #[test]
    fn the_best_has_the_highest_rate_or_the_lowest_latency() {
        let contest = contest(vec![entry(ours(), &[3.0, 1.0, 2.0]), entry(libzmq(), &[9.0, 1.0, 1.0])]);
        for quantity in [Quantity::Rate, Quantity::Median] {
            assert_eq!(contest.best(quantity, |_| true).unwrap().contender, ours());
        }
        assert_eq!(contest.best(Quantity::Rate, Contender::is_libzmq).unwrap().contender, libzmq());
    }

    #[test]
    fn the_figures_of_who_has_failed_do_not_count() {
        let failed = Entry { failure: Some("gone".to_owned()), ..entry(ours(), &[3.0]) };
        assert!(failed.values(Quantity::Rate).is_empty());
        assert!(contest(vec![failed]).best(Quantity::Rate, |_| true).is_none());
        assert_eq!(idle(ours(), 8192.0).values(Quantity::Heap), [4096.0]);
    }
}
