//! What the figures say: the verdict on each target, and us against everybody else, like with like.

use super::contender::{Contender, Kind};
use super::contest::{Contest, Entry, Quantity};
use super::situation::{Scenario, Situation};
use super::stats::{Spread, ratios};
use super::targets::{Against, Goal, TARGETS, Target};
use serde::Serialize;

/// Whether a target is reached in one situation.
#[derive(Debug, Serialize)]
pub(crate) struct Verdict {
    pub(crate) target: &'static str,
    pub(crate) situation: Situation,
    pub(crate) goal: Goal,
    pub(crate) ours: String,
    /// Nobody where no ratio is wanted.
    pub(crate) theirs: Option<String>,
    /// The ratio in each round.
    pub(crate) rounds: Vec<f64>,
    /// Of them; none if ours has failed.
    pub(crate) spread: Option<Spread>,
    pub(crate) is_met: bool,
}

/// One for each target and situation that the contests decide, in the order of the targets.
pub(crate) fn verdicts(contests: &[Contest]) -> Vec<Verdict> {
    let pairs = TARGETS.iter().flat_map(|target| contests.iter().map(move |contest| (target, contest)));
    pairs.filter_map(|(target, contest)| verdict(target, contest, contests)).collect()
}

fn verdict(target: &Target, contest: &Contest, contests: &[Contest]) -> Option<Verdict> {
    let goal = target.goal(&contest.situation)?;
    let theirs = match &target.against {
        Some(against) => Some(opponent(against, target.quantity, contest, contests)?),
        None => None,
    };
    let Some(ours) = contest.best(target.quantity, target.ours) else {
        return failure(target, goal, contest);
    };
    let values = ours.values(target.quantity);
    let rounds = theirs.map_or_else(|| values.clone(), |theirs| ratios(&values, &theirs.values(target.quantity)));
    let spread = Spread::of(&rounds)?;
    Some(Verdict {
        target: target.title,
        situation: contest.situation,
        goal,
        ours: ours.contender.mode.clone(),
        theirs: theirs.map(|theirs| theirs.contender.to_string()),
        rounds,
        spread: Some(spread),
        is_met: goal.is_met(as_told(spread.median)),
    })
}

/// What a report shows is what counts: no figure may contradict its verdict.
fn as_told(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

fn opponent<'a>(
    against: &Against,
    quantity: Quantity,
    contest: &'a Contest,
    contests: &'a [Contest],
) -> Option<&'a Entry> {
    let mechanism = against.mechanism.unwrap_or(contest.situation.mechanism);
    let situation = Situation { mechanism, ..contest.situation };
    contests.iter().find(|contest| contest.situation == situation)?.best(quantity, against.who)
}

/// Who does not come to the end has not reached the target either; who was not asked has not missed it.
fn failure(target: &Target, goal: Goal, contest: &Contest) -> Option<Verdict> {
    let failed = |entry: &&Entry| (target.ours)(&entry.contender) && entry.failure.is_some();
    let ours = contest.entries.iter().find(failed)?;
    Some(Verdict {
        target: target.title,
        situation: contest.situation,
        goal,
        ours: format!("{} failed", ours.contender.mode),
        theirs: None,
        rounds: Vec::new(),
        spread: None,
        is_met: false,
    })
}

/// Ours over somebody else's, used the same way.
#[derive(Debug)]
pub(crate) struct Comparison<'a> {
    pub(crate) theirs: &'a Contender,
    pub(crate) spread: Spread,
    /// Whether theirs is the better one.
    pub(crate) is_behind: bool,
}

/// Us against each of the others in a contest.
pub(crate) fn like_with_like(contest: &Contest) -> Vec<Comparison<'_>> {
    let others = contest.entries.iter().filter(|entry| !entry.contender.is_ours());
    others.filter_map(|theirs| comparison(contest, theirs)).collect()
}

fn comparison<'a>(contest: &Contest, theirs: &'a Entry) -> Option<Comparison<'a>> {
    let quantity = leading_quantity(contest.situation.scenario);
    let ours = contest
        .best(quantity, |ours| ours.is_ours() && is_like(ours, &theirs.contender))
        .or_else(|| contest.best(quantity, Contender::is_ours))?;
    let spread = Spread::of(&ratios(&ours.values(quantity), &theirs.values(quantity)))?;
    let is_behind = if quantity.more_is_better() { spread.median < 1.0 } else { spread.median > 1.0 };
    Some(Comparison { theirs: &theirs.contender, spread, is_behind })
}

/// The floor is compared with what is nearest to it.
fn is_like(ours: &Contender, theirs: &Contender) -> bool {
    match theirs.kind {
        Kind::Bare => ours.kind == Kind::Batch && ours.keeps() == theirs.keeps(),
        kind => ours.kind == kind,
    }
}

/// What a scenario is about.
pub(crate) const fn leading_quantity(scenario: Scenario) -> Quantity {
    match scenario {
        Scenario::Throughput | Scenario::FanOut | Scenario::Visits => Quantity::Rate,
        Scenario::RoundTrip => Quantity::Median,
        Scenario::Idle => Quantity::Heap,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::compare::contender::samples::{bare, contender, libzmq, ours};
    use crate::bench::compare::contest::samples::{entry, idle};
    use crate::bench::compare::situation::Mechanism;

    const LIBZMQ: &str = "NULL throughput, against libzmq";

    fn contest(situation: Situation, entries: Vec<Entry>) -> Contest {
        Contest { situation, rounds: 3, entries }
    }

    fn throughput(entries: Vec<Entry>) -> Contest {
        contest(Situation::new(Scenario::Throughput, 16), entries)
    }

    fn only<'a>(verdicts: &'a [Verdict], title: &str) -> &'a Verdict {
        verdicts.iter().find(|verdict| verdict.target == title).unwrap()
    }

    #[test]
    fn a_verdict_is_on_the_median_of_the_ratios_of_each_round() {
        // The medians alone, 60 and 10, would say 6; two rounds of three say 4.
        let contests = [throughput(vec![entry(ours(), &[40.0, 60.0, 80.0]), entry(libzmq(), &[10.0, 5.0, 20.0])])];
        let verdicts = verdicts(&contests);
        let verdict = only(&verdicts, LIBZMQ);
        assert_eq!(verdict.rounds, [4.0, 12.0, 4.0]);
        assert_eq!(verdict.spread.unwrap().median, 4.0);
        assert!(!verdict.is_met);
        assert_eq!(verdict.theirs.as_deref(), Some("libzmq (copy)"));
    }

    #[test]
    fn a_target_is_met_against_the_best_of_them() {
        let zero_copy = Contender { mode: "zero-copy".to_owned(), ..libzmq() };
        let contests = [throughput(vec![entry(ours(), &[55.0]), entry(libzmq(), &[9.0]), entry(zero_copy, &[10.0])])];
        let verdicts = verdicts(&contests);
        let verdict = only(&verdicts, LIBZMQ);
        assert!(verdict.is_met);
        assert_eq!(verdict.theirs.as_deref(), Some("libzmq (zero-copy)"));
    }

    #[test]
    fn a_verdict_does_not_contradict_the_figure_beside_it() {
        let met = |rate| {
            let verdicts = verdicts(&[throughput(vec![entry(ours(), &[rate]), entry(libzmq(), &[10.0])])]);
            only(&verdicts, LIBZMQ).is_met
        };
        assert!(met(49.96) && !met(49.94));
    }

    #[test]
    fn nothing_is_said_of_who_did_not_take_part() {
        let contests = [throughput(vec![entry(ours(), &[55.0])])];
        assert!(verdicts(&contests).is_empty());
    }

    #[test]
    fn whoever_of_us_fails_has_missed_the_target() {
        let failed = Entry { failure: Some("gone".to_owned()), ..entry(ours(), &[1000.0]) };
        let contests = [throughput(vec![failed, entry(libzmq(), &[1.0])])];
        let verdicts = verdicts(&contests);
        let verdict = only(&verdicts, LIBZMQ);
        assert!(!verdict.is_met && verdict.spread.is_none());
        assert_eq!(verdict.ours, "batch,borrowed failed");
    }

    #[test]
    fn blake3_is_held_against_curve() {
        let under = |mechanism| Situation { mechanism, ..Situation::new(Scenario::Throughput, 8192) };
        let contests = [
            contest(under(Mechanism::Curve), vec![entry(libzmq(), &[10.0])]),
            contest(under(Mechanism::Blake3), vec![entry(ours(), &[30.0])]),
        ];
        let verdicts = verdicts(&contests);
        let [verdict] = verdicts.as_slice() else { panic!("{} verdicts", verdicts.len()) };
        assert_eq!(verdict.situation.mechanism, Mechanism::Blake3);
        assert_eq!(verdict.spread.unwrap().median, 3.0);
    }

    #[test]
    fn what_is_wanted_less_of_is_bounded_from_above() {
        let one_core = Situation { one_core: true, ..Situation::new(Scenario::RoundTrip, 16) };
        let idle_connections = Situation { connections: 1000, ..Situation::new(Scenario::Idle, 128) };
        let mut us = entry(ours(), &[100.0]);
        us.syscalls = Some(6.5);
        let contests = [
            contest(one_core, vec![us, entry(bare(), &[110.0])]),
            contest(idle_connections, vec![idle(ours(), 9000.0)]),
        ];
        let verdicts = verdicts(&contests);
        let met = |title| only(&verdicts, title).is_met;
        assert!(met("NULL round trip on one core, against bare blocking sockets"));
        assert!(!met("NULL round trip on one core, system calls"));
        assert!(!met("Octets of heap for one end of an idle connection"));
    }

    #[test]
    fn only_like_is_compared_with_like_where_there_is_like() {
        let feed = contender("zmtp", "feed,borrowed", Kind::SelfFlushing);
        let owned = contender("zmtp", "batch,owned", Kind::Batch);
        let copying = Contender { mode: "1 MiB writes,copied".to_owned(), ..bare() };
        let eager = contender("other", "send", Kind::Eager);
        let entries =
            [(ours(), 8.0), (feed, 4.0), (owned, 6.0), (bare(), 1.0), (copying, 1.0), (libzmq(), 1.0), (eager, 16.0)];
        let contest = throughput(entries.map(|(contender, rate)| entry(contender, &[rate])).into());
        let comparisons = like_with_like(&contest);
        assert_eq!(comparisons.iter().map(|one| one.spread.median).collect::<Vec<_>>(), [8.0, 6.0, 4.0, 0.5]);
        assert_eq!(comparisons.iter().map(|one| one.is_behind).collect::<Vec<_>>(), [false, false, false, true]);
    }
}
