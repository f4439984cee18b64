//! The report: where we lose, all ratios, then what they are made of.

use super::contender::Contender;
use super::contest::{Contest, Quantity};
use super::document::{self, Block};
use super::machine::Machine;
use super::plot;
use super::ratios::{self, Verdict};
use super::tables::{self, Family};
use anyhow::{Context as _, Result};
use serde::Serialize;
use std::path::Path;

/// Everything that is known after the last round.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) command_line: String,
    pub(crate) rounds: usize,
    pub(crate) milliseconds: u128,
    pub(crate) verdicts: Vec<Verdict>,
    pub(crate) contests: Vec<Contest>,
    /// Who is missing, what could not be measured.
    pub(crate) notes: Vec<String>,
}

const FIGURES: [(Quantity, &str, &str); 7] = [
    (Quantity::Rate, "Rates", "Messages (visits) per second: the median, and half the distance between the quartiles."),
    (Quantity::Processor, "Processor time", "For a message, both ends and the kernel's part together."),
    (Quantity::Syscalls, "System calls", "For a message, both ends together, as strace counts them."),
    (Quantity::Waits, "Waits", "How often a thread had to wait, for a message, both ends together."),
    (Quantity::Median, "Latency, p50", "Half of the messages (visits) took no longer; the median of the rounds."),
    (Quantity::Tail, "Latency, p99", "All but a hundredth of them took no longer; the median of the rounds."),
    (Quantity::Heap, "Memory", "Heap of one end of an idle connection that has carried a message."),
];

impl Report {
    /// Writes it as `report.md` with its pictures and as `report.json`.
    pub(crate) fn write(&self, dir: &Path) -> Result<()> {
        let pictures = plot::draw(&self.contests, dir)?;
        let pictures = pictures.into_iter().map(|(file, caption)| Block::Picture(file, caption)).collect();
        let parts = [self.origin(), self.ratios(), pictures, self.figures(), self.remarks()];
        let blocks: Vec<Block> = parts.into_iter().flatten().collect();
        write(&dir.join("report.md"), &document::markdown("zmtp beside others", &blocks))?;
        write(&dir.join("report.json"), &serde_json::to_string_pretty(self)?)
    }

    /// The ratios, for a terminal.
    pub(crate) fn summary(&self) -> String {
        document::text(&[self.ratios(), self.remarks()].into_iter().flatten().collect::<Vec<_>>())
    }

    fn origin(&self) -> Vec<Block> {
        let Machine { processor, cores, system, kernel, rustc, commit, date } = &self.machine;
        vec![Block::List(vec![
            format!("{date}, commit {commit}: `{}`", self.command_line),
            format!("{processor}, {cores} cores; {system}, {kernel}; {rustc}"),
            format!("Beside {}", versions(&self.contests).join(", ")),
            format!(
                "{} rounds (a third of them for fan-out, many connections and visits, one for memory), about {} ms for each \
                 measurement, which is a process of its own. A ratio is taken in each round: told are the median of the \
                 rounds and the quartiles.",
                self.rounds, self.milliseconds
            ),
        ])]
    }

    fn ratios(&self) -> Vec<Block> {
        let families = tables::families(&self.contests);
        [self.losses(), self.targets(), likes(&families)].into_iter().flatten().collect()
    }

    fn losses(&self) -> Vec<Block> {
        let missed = self.verdicts.iter().filter(|verdict| !verdict.is_met);
        let failed = self.contests.iter().flat_map(|contest| failures(contest, Contender::is_ours));
        let behind = self.contests.iter().flat_map(behind);
        vec![
            Block::Section("Where we lose".to_owned()),
            list(missed.map(miss).chain(failed), "No target that was measured is missed."),
            Block::Paragraph("Others who are ahead of us, used the same way:".to_owned()),
            list(behind, "Nobody."),
        ]
    }

    fn targets(&self) -> Vec<Block> {
        let mut blocks = vec![Block::Section("The ratios to reach".to_owned())];
        for same in self.verdicts.chunk_by(|one, other| one.target == other.target) {
            blocks.extend(same.first().map(|verdict| Block::Subsection(verdict.target.to_owned())));
            blocks.push(Block::Table(tables::of_verdicts(&same.iter().collect::<Vec<_>>())));
        }
        blocks
    }

    fn figures(&self) -> Vec<Block> {
        let families = tables::families(&self.contests);
        FIGURES.iter().flat_map(|figure| chapter(&families, *figure)).collect()
    }

    fn remarks(&self) -> Vec<Block> {
        let failed = self.contests.iter().flat_map(|contest| failures(contest, |who| !who.is_ours()));
        let notes: Vec<String> = self.notes.iter().cloned().chain(failed).collect();
        if notes.is_empty() { Vec::new() } else { vec![Block::Section("Notes".to_owned()), Block::List(notes)] }
    }
}

/// Each of the others with the ratio of ours to its own.
fn likes(families: &[Family<'_>]) -> Vec<Block> {
    let mut blocks = vec![
        Block::Section("Like with like".to_owned()),
        Block::Paragraph(
            "Ours over theirs, batches over batches, self-flushing over self-flushing: of rates (more is better), of round \
             trips the p50 (less is better), of idle connections the heap (less is better)."
                .to_owned(),
        ),
    ];
    for (family, contests) in families {
        if let Some(table) = tables::of_ratios(contests) {
            blocks.extend([Block::Subsection(family.clone()), Block::Table(table)]);
        }
    }
    blocks
}

fn chapter(families: &[Family<'_>], (quantity, heading, explanation): (Quantity, &str, &str)) -> Vec<Block> {
    let tables = families.iter().filter_map(|(family, contests)| {
        let table = tables::of_medians(contests, quantity)?;
        Some([Block::Subsection(family.clone()), Block::Table(table)])
    });
    let tables: Vec<Block> = tables.flatten().collect();
    if tables.is_empty() {
        return tables;
    }
    let head = [Block::Section(heading.to_owned()), Block::Paragraph(explanation.to_owned())];
    head.into_iter().chain(tables).collect()
}

fn miss(verdict: &Verdict) -> String {
    let Verdict { target, situation, goal, ours, theirs, spread, .. } = verdict;
    let reached = spread.as_ref().map_or_else(|| "nothing".to_owned(), tables::with_quartiles);
    let theirs = theirs.as_ref().map(|theirs| format!(" against {theirs}")).unwrap_or_default();
    format!("{target}, {}: {reached}, wanted {goal} ({ours}{theirs})", situation.column())
}

fn behind(contest: &Contest) -> Vec<String> {
    let foreign = ratios::like_with_like(contest).into_iter().filter(|one| one.is_behind && one.theirs.is_foreign());
    foreign
        .map(|one| format!("{}: {} against {}", contest.situation, tables::with_quartiles(&one.spread), one.theirs))
        .collect()
}

fn failures(contest: &Contest, picked: impl Fn(&Contender) -> bool) -> Vec<String> {
    let failed = contest.entries.iter().filter_map(|entry| Some((&entry.contender, entry.failure.as_ref()?)));
    let failed = failed.filter(|(who, _)| picked(who));
    failed.map(|(who, why)| format!("{who} failed in {}: {why}", contest.situation)).collect()
}

fn list(items: impl Iterator<Item = String>, otherwise: &str) -> Block {
    let items: Vec<String> = items.collect();
    if items.is_empty() { Block::Paragraph(otherwise.to_owned()) } else { Block::List(items) }
}

fn versions(contests: &[Contest]) -> Vec<String> {
    let contenders = contests.iter().flat_map(|contest| &contest.entries).map(|entry| &entry.contender);
    let name = |contender: &Contender| format!("{} {}", contender.peer, contender.version).trim_end().to_owned();
    tables::distinct(contenders.filter(|contender| !contender.is_ours()).map(name))
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::compare::contender::samples::{libzmq, ours};
    use crate::bench::compare::contest::{Entry, samples::entry};
    use crate::bench::compare::situation::{Scenario, Situation};

    fn report(entries: Vec<Entry>) -> Report {
        let contests = vec![Contest { situation: Situation::new(Scenario::Throughput, 16), rounds: 3, entries }];
        Report {
            machine: Machine::here(),
            command_line: "cargo xtask bench".to_owned(),
            rounds: 3,
            milliseconds: 100,
            verdicts: ratios::verdicts(&contests),
            contests,
            notes: vec!["rzmq did not build.".to_owned()],
        }
    }

    #[test]
    fn a_missed_target_is_named_before_all_tables() {
        let summary = report(vec![entry(ours(), &[30.0]), entry(libzmq(), &[10.0])]).summary();
        let miss = summary.find("- NULL throughput, against libzmq, 16 B: 3.00 (3.00–3.00), wanted ≥ 5");
        let table = summary.find("wanted  median");
        assert!(miss.unwrap() < table.unwrap(), "{summary}");
        assert!(summary.contains("MISSED") && summary.contains("Nobody."), "{summary}");
    }

    #[test]
    fn who_is_ahead_is_named_even_without_a_target() {
        let fan_out = Situation { connections: 10, ..Situation::new(Scenario::FanOut, 128) };
        let mut report = report(vec![entry(ours(), &[5.0]), entry(libzmq(), &[10.0])]);
        report.contests[0].situation = fan_out;
        report.verdicts = ratios::verdicts(&report.contests);
        let summary = report.summary();
        assert!(summary.contains("No target that was measured is missed."), "{summary}");
        assert!(summary.contains("- NULL fan-out of 128 B, 10 connections: 0.50 (0.50–0.50) against libzmq (copy)"));
    }

    #[test]
    fn who_failed_or_did_not_build_is_named_with_the_reason() {
        let failed = Entry { failure: Some("connection reset".to_owned()), ..Entry::new(libzmq()) };
        let summary = report(vec![entry(ours(), &[5.0]), failed]).summary();
        assert!(summary.contains("- rzmq did not build."), "{summary}");
        assert!(summary.contains("- libzmq (copy) failed in NULL throughput, 16 B: connection reset"), "{summary}");
    }

    #[test]
    fn a_failure_of_ours_is_a_loss() {
        let failed = Entry { failure: Some("it hangs".to_owned()), ..Entry::new(ours()) };
        let summary = report(vec![failed]).summary();
        assert!(!summary.contains("No target that was measured is missed."), "{summary}");
        let loss = summary.find("- zmtp (batch,borrowed) failed in NULL throughput, 16 B: it hangs");
        assert!(loss.unwrap() < summary.find("THE RATIOS TO REACH").unwrap(), "{summary}");
    }

    #[test]
    fn the_files_hold_every_round() {
        let dir = std::env::temp_dir().join(format!("xtask-report-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let written = report(vec![entry(ours(), &[55.0, 60.0]), entry(libzmq(), &[10.0, 10.0])]).write(&dir);
        let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap_or_default();
        let (markdown, json) = (read("report.md"), read("report.json"));
        std::fs::remove_dir_all(&dir).unwrap();
        written.unwrap();
        assert!(markdown.contains("Beside libzmq 1.2.3\n") && markdown.contains("## Rates"), "{markdown}");
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["contests"][0]["entries"][0]["samples"].as_array().unwrap().len(), 2);
        assert_eq!(json["verdicts"][0]["rounds"], serde_json::json!([5.5, 6.0]));
    }
}
