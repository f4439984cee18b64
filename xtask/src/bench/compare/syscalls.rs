//! System calls for a message, counted by strace in runs of their own: being watched costs too much to measure anything else.

use super::contender::Contender;
use super::contest::Contest;
use super::program::Program;
use super::progress::Progress;
use super::situation::{Mechanism, Scenario, Situation, Transport};
use crate::process::Process;
use std::path::{Path, PathBuf};

const SIZES: [usize; 3] = [16, 512, 8192];
/// Messages to begin with; more until there are enough calls, or enough octets, for those of the beginning not to matter.
const FEW: u64 = 256;
const ENOUGH_CALLS: u64 = 2000;
const ENOUGH_OCTETS: u64 = 8 << 20;

/// Counts for everybody in the contests of which it says most; a note where that is not possible.
pub(crate) fn count(contests: &mut [Contest], program: &Program, dir: &Path) -> Option<String> {
    let summary = dir.join("strace.txt");
    if !strace(&summary).arg("true").works() {
        return Some("System calls were not counted: strace is not there, or is not allowed to watch.".to_owned());
    }
    let counted = contests.iter_mut().filter(|contest| is_counted(&contest.situation));
    let work: Vec<_> = counted
        .flat_map(|Contest { situation, entries, .. }| entries.iter_mut().map(|entry| (&*situation, entry)))
        .filter(|(_, entry)| entry.failure.is_none())
        .collect();
    let mut progress = Progress::new(work.len());
    progress.milestone("system calls");
    let mut failures = Vec::new();
    for (situation, entry) in work {
        progress.measuring(format!("system calls: {}, {situation}", entry.contender));
        match per_message(program, &entry.contender, situation, &summary) {
            Ok(calls) => entry.syscalls = Some(calls),
            Err(failure) => failures.push(format!("{} in {situation} ({failure})", entry.contender)),
        }
        progress.measured();
    }
    let _ = std::fs::remove_file(&summary);
    (!failures.is_empty()).then(|| format!("System calls were not counted for {}.", failures.join("; ")))
}

fn is_counted(situation: &Situation) -> bool {
    let Situation { scenario, mechanism, transport, size, connections, one_core } = *situation;
    mechanism == Mechanism::Null
        && transport == Transport::Tcp
        && connections == 1
        && match scenario {
            Scenario::Throughput => SIZES.contains(&size),
            Scenario::RoundTrip => one_core,
            _ => false,
        }
}

/// What a run has more than one with half as many messages, so that what is called once does not count.
fn per_message(program: &Program, contender: &Contender, situation: &Situation, summary: &Path) -> Result<f64, String> {
    let calls = |messages| {
        program.watched(strace(summary), contender, situation, messages)?;
        let text = std::fs::read_to_string(summary).map_err(|error| error.to_string())?;
        total(&text).ok_or_else(|| "the summary of strace has no total".to_owned())
    };
    let enough = |messages, calls| calls >= ENOUGH_CALLS || messages * situation.size as u64 >= ENOUGH_OCTETS;
    let mut messages = FEW;
    let mut few = calls(messages)?;
    while !enough(messages, few) {
        messages *= 8;
        few = calls(messages)?;
    }
    let many = calls(2 * messages)?;
    // As many messages again go before those that are asked for.
    #[expect(clippy::cast_precision_loss, reason = "a statistic")]
    Ok(many.saturating_sub(few) as f64 / (2 * messages) as f64)
}

fn strace(summary: &Path) -> Process {
    let options = ["-f", "-c", "-o"].map(PathBuf::from);
    Process::new("strace").args(options).arg(summary)
}

/// The calls in the last line. The column before may be empty there, and the one behind often is: what counts is the place.
fn total(summary: &str) -> Option<u64> {
    let heading = summary.lines().find(|line| line.contains("calls ") && line.contains("syscall"))?;
    let end = heading.find(" calls ")? + " calls".len();
    let line = summary.lines().rfind(|line| line.trim_end().ends_with(" total"))?;
    line.get(..end)?.split_whitespace().last()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_found_with_and_without_its_neighbours() {
        let summary = |total| {
            format!(
                "% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 50.00    0.100000          10       29         1 total_of_something
------ ----------- ----------- --------- --------- ----------------
{total}
"
            )
        };
        let new = "100.00    0.209859          43      4841        58 total";
        let without_errors = "100.00    0.209859          43      4841           total";
        let old = "100.00    0.209859                  4841        58 total";
        for line in [new, without_errors, old] {
            assert_eq!(total(&summary(line)), Some(4841), "{line}");
        }
        assert_eq!(total(&summary("")), None);
        assert_eq!(total("strace: cannot"), None);
    }

    #[test]
    fn calls_are_counted_where_the_targets_ask_and_in_some_sizes() {
        assert!(is_counted(&Situation::new(Scenario::Throughput, 512)));
        assert!(!is_counted(&Situation::new(Scenario::Throughput, 64)));
        assert!(is_counted(&Situation { one_core: true, ..Situation::new(Scenario::RoundTrip, 16) }));
        assert!(!is_counted(&Situation::new(Scenario::Visits, 16)));
    }
}
