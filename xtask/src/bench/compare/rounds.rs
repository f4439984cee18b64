//! The rounds: in each, everybody is measured once in every situation.

use super::contender::Contender;
use super::contest::{Contest, Figures};
use super::progress::Progress;
use super::situation::Situation;

/// Measures all contests, `measure` doing it once. Whoever fails in a situation is left out of it from then on.
pub(crate) fn run(
    contests: &mut [Contest],
    mut measure: impl FnMut(&Contender, &Situation) -> Result<Figures, String>,
) {
    let mut progress = Progress::new(contests.iter().map(|contest| contest.rounds * contest.entries.len()).sum());
    let rounds = contests.iter().map(|contest| contest.rounds).max().unwrap_or(0);
    for round in 0..rounds {
        progress.milestone(&format!("round {} of {rounds}", round + 1));
        for contest in contests.iter_mut().filter(|contest| round < contest.rounds) {
            hold(contest, round, &mut progress, &mut measure);
        }
    }
}

/// One after the other: the neighbours of a moment share what disturbs the machine then. And each round begins with another
/// one, so that no place in the order is anybody's.
fn hold(
    contest: &mut Contest,
    round: usize,
    progress: &mut Progress,
    measure: &mut impl FnMut(&Contender, &Situation) -> Result<Figures, String>,
) {
    let Contest { situation, rounds, entries } = contest;
    let first = round % entries.len().max(1);
    let (before, from) = entries.split_at_mut(first);
    for entry in from.iter_mut().chain(before).filter(|entry| entry.failure.is_none()) {
        progress.measuring(format!("{}, {situation}", entry.contender));
        match measure(&entry.contender, situation) {
            Ok(figures) => entry.samples.push(figures),
            Err(failure) => {
                progress.notice(&format!("{} fails: {situation}: {failure}", entry.contender));
                entry.failure = Some(failure);
                progress.skip(*rounds - round - 1);
            }
        }
        progress.measured();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::compare::contender::samples::{bare, libzmq, ours};
    use crate::bench::compare::contest::{Entry, samples};
    use crate::bench::compare::situation::Scenario;

    fn contests() -> Vec<Contest> {
        let entries = [ours(), bare(), libzmq()].map(Entry::new).into();
        vec![Contest { situation: Situation::new(Scenario::Throughput, 16), rounds: 3, entries }]
    }

    fn figures() -> Figures {
        samples::entry(ours(), &[1.0]).samples.remove(0)
    }

    #[test]
    fn each_round_has_everybody_and_begins_with_another() {
        let mut order = Vec::new();
        run(&mut contests(), |contender, _| {
            order.push(contender.peer.clone());
            Ok(figures())
        });
        let rounds: Vec<_> = order.chunks(3).collect();
        assert_eq!(rounds[0], ["zmtp", "bare socket", "libzmq"]);
        assert_eq!(rounds[1], ["bare socket", "libzmq", "zmtp"]);
        assert_eq!(rounds[2], ["libzmq", "zmtp", "bare socket"]);
    }

    #[test]
    fn who_fails_is_not_asked_again_and_the_others_go_on() {
        let mut contests = contests();
        let mut asked = 0;
        run(&mut contests, |contender, _| {
            if contender.is_libzmq() {
                asked += 1;
                return Err("gone".to_owned());
            }
            Ok(figures())
        });
        assert_eq!(asked, 1);
        let entries = &contests[0].entries;
        assert_eq!(entries.iter().map(|entry| entry.samples.len()).collect::<Vec<_>>(), [3, 3, 0]);
        assert_eq!(entries[2].failure.as_deref(), Some("gone"));
    }
}
