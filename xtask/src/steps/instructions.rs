//! Step `instructions`: how many instructions the hot paths of the core take, held against a budget for each.
//!
//! Nothing is timed, so a busy machine changes nothing: valgrind's callgrind counts what the program `hot_paths` of
//! zmtp-bench executes, for a number of messages and for twice as many. The difference is what the messages cost.

use super::{Context, Outcome, cargo, listed_is_found};
use crate::process::Process;
use crate::table::{Align, Table};
use crate::workspace::Metadata;
use anyhow::{Context as _, Result, bail};
use std::collections::BTreeMap;
use std::path::Path;

/// What the budgets were counted with. Another compiler chooses other instructions, and another C library copies and
/// allocates with others. The processor had AVX2, which decides how memory is copied.
const COUNTED_WITH: &str = "rustc 1.95, glibc 2.36, x86_64";

/// How far above its budget a path may be, in percent. Code that has nothing to do with it may change what is inlined.
const TOLERANCE: f64 = 5.0;
/// How far below its budget a path may be, in percent. What was gained beyond that has to be kept.
const SLACK: f64 = 15.0;

/// Of 16 and 1024 octets, and the same through `AnyMechanism`; a round of a fan-out goes to 100 peers.
const BUDGETS: [Budget; 13] = [
    Budget::per_message("encode-16", 91),
    Budget::per_message("encode-16-bare", 91),
    Budget::per_message("encode-16-any", 106),
    Budget::per_message("encode-1024", 210),
    Budget::per_message("decode-16", 101),
    Budget::per_message("decode-16-any", 101),
    Budget::per_message("decode-1024", 202),
    Budget::per_message("keep-16", 344),
    Budget::per_message("keep-16-any", 344),
    Budget::per_round("fan-out-encoded", 9_280),
    Budget::per_round("fan-out-anew", 10_337),
    Budget::per_round("fan-out-topic-encoded", 10_500),
    Budget::per_round("fan-out-topic-anew", 16_137),
];

/// What holds whatever the compiler is.
///
/// `encode-16-bare` is an encoder without a mechanism. NULL has the same sealer today, hence the same code; one of its own
/// would have to be as cheap.
const RELATIONS: [Relation; 3] = [
    Relation::Same { path: "encode-16", reference: "encode-16-bare", percent: 2.0 },
    Relation::Cheaper { path: "fan-out-encoded", than: "fan-out-anew" },
    Relation::Cheaper { path: "fan-out-topic-encoded", than: "fan-out-topic-anew" },
];

/// Octets that glibc copies in blocks. From a few thousand on it would copy with one instruction, which callgrind
/// counts once per octet.
const COPY_IN_BLOCKS: (&str, &str) = ("GLIBC_TUNABLES", "glibc.cpu.x86_rep_movsb_threshold=1073741824");

#[derive(Debug)]
struct Budget {
    path: &'static str,
    /// How often the path is gone: often enough that all buffers have their working size long before the end.
    times: u64,
    instructions: u32,
}

impl Budget {
    const fn per_message(path: &'static str, instructions: u32) -> Self {
        Self { path, times: 20_000, instructions }
    }

    const fn per_round(path: &'static str, instructions: u32) -> Self {
        Self { path, times: 600, instructions }
    }

    fn verdict(&self, counted: f64) -> Verdict {
        let percent = 100.0 * (counted / f64::from(self.instructions) - 1.0);
        if percent > TOLERANCE {
            Verdict::Over
        } else if percent < -SLACK {
            Verdict::Under
        } else {
            Verdict::Within
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Within,
    Over,
    Under,
}

impl Verdict {
    const fn text(self) -> &'static str {
        match self {
            Self::Within => "within",
            Self::Over => "OVER",
            Self::Under => "UNDER: lower the budget",
        }
    }
}

#[derive(Debug)]
enum Relation {
    Same { path: &'static str, reference: &'static str, percent: f64 },
    Cheaper { path: &'static str, than: &'static str },
}

/// Instructions, by path.
type Counts = BTreeMap<&'static str, f64>;

impl Relation {
    /// What is wrong; `None` where it holds.
    fn broken(&self, counts: &Counts) -> Option<String> {
        let of = |path: &str| counts.get(path).copied().unwrap_or(f64::NAN);
        match *self {
            Self::Same { path, reference, percent } => {
                let off = 100.0 * (of(path) / of(reference) - 1.0);
                let holds = off.abs() <= percent;
                (!holds).then(|| format!("{path} is {off:+.1} % off {reference}, and {percent} % are allowed"))
            }
            Self::Cheaper { path, than } => {
                let (cheap, dear) = (of(path), of(than));
                let holds = cheap < dear;
                (!holds).then(|| format!("{path} takes {cheap:.1}, no less than {than} with {dear:.1}"))
            }
        }
    }
}

pub(super) fn run(_: &Context) -> Result<Outcome> {
    if !Process::new("valgrind").arg("--version").works() {
        return Ok(Outcome::PassedExcept("INSTRUCTIONS WERE NOT COUNTED: valgrind is not installed".to_owned()));
    }
    cargo(&["build", "--release", "--package", "zmtp-bench", "--bin", "hot_paths"]).run()?;
    let program = Metadata::read()?.target_dir()?.join("release/hot_paths");
    every_path_has_a_budget(&program)?;

    let mut counts = Counts::new();
    for budget in &BUDGETS {
        let (once, twice) = (count(&program, budget, 1)?, count(&program, budget, 2)?);
        counts.insert(budget.path, each(once, twice, budget.times)?);
    }
    println!("\n{}", table(&counts).to_text());

    let broken: Vec<_> = RELATIONS.iter().filter_map(|relation| relation.broken(&counts)).collect();
    if !broken.is_empty() {
        bail!("{}", broken.join("; "));
    }
    judge(&off_budget(&counts), &toolchain()?)
}

fn every_path_has_a_budget(program: &Path) -> Result<()> {
    let printed = Process::new(&program.to_string_lossy()).stdout()?;
    let paths: Vec<_> = printed.lines().map(str::to_owned).collect();
    listed_is_found("paths", "BUDGETS", &BUDGETS.map(|budget| budget.path.to_owned()), &paths)
}

/// How many instructions the whole program takes.
fn count(program: &Path, budget: &Budget, factor: u64) -> Result<u64> {
    let valgrind = Process::new("valgrind").args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    let process = valgrind.arg(program).args([budget.path, &(factor * budget.times).to_string()]);
    let process = process.env(COPY_IN_BLOCKS.0, COPY_IN_BLOCKS.1);
    let shown = process.shown().to_owned();
    let (succeeded, said) = process.output()?;
    match collected(&said) {
        Some(instructions) if succeeded => Ok(instructions),
        _ => bail!("`{shown}` counted nothing; it said:\n{said}"),
    }
}

/// What callgrind counted: `==4711== Collected : 2423181`.
fn collected(said: &str) -> Option<u64> {
    let (_, count) = said.lines().find_map(|line| line.split_once("Collected :"))?;
    count.trim().parse().ok()
}

/// What going the path once costs, of two counts of which the second has gone it `times` more often.
fn each(once: u64, twice: u64, times: u64) -> Result<f64> {
    let more = twice.checked_sub(once).context("going a path more often took fewer instructions")?;
    Ok(more as f64 / times as f64)
}

fn table(counts: &Counts) -> Table {
    let columns = [("path", Align::Left), ("instructions", Align::Right), ("budget", Align::Right)];
    let mut table = Table::new(&[&columns[..], &[("verdict", Align::Left)]].concat());
    for (budget, counted) in judged(counts) {
        let cells = [format!("{counted:.1}"), budget.instructions.to_string()];
        table.push([budget.path, &cells[0], &cells[1], budget.verdict(counted).text()]);
    }
    table
}

fn judged(counts: &Counts) -> impl Iterator<Item = (&'static Budget, f64)> {
    BUDGETS.iter().filter_map(|budget| Some((budget, *counts.get(budget.path)?)))
}

/// A phrase for each path that is over its budget, or far below.
fn off_budget(counts: &Counts) -> Vec<String> {
    let off = judged(counts).filter(|(budget, counted)| budget.verdict(*counted) != Verdict::Within);
    off.map(|(budget, counted)| {
        format!("{} {counted:.1} of {} ({})", budget.path, budget.instructions, budget.verdict(counted).text())
    })
    .collect()
}

/// Off budget is a failure, unless that may be the doing of other tools than the budgets were counted with.
fn judge(off: &[String], toolchain: &str) -> Result<Outcome> {
    if off.is_empty() {
        return Ok(Outcome::Passed);
    }
    let off = off.join(", ");
    if toolchain != COUNTED_WITH {
        return Ok(Outcome::PassedExcept(format!(
            "OFF BUDGET, here with {toolchain}; the budgets hold for {COUNTED_WITH}: {off}"
        )));
    }
    bail!("off budget: {off}; make it cheaper, or move the budget and say in the commit why")
}

/// What is counted with here, in the manner of [`COUNTED_WITH`].
fn toolchain() -> Result<String> {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let rustc = Process::new(&rustc).arg("--version").stdout()?;
    // Where there is no glibc, nobody knows its version either.
    let libc = Process::new("getconf").arg("GNU_LIBC_VERSION").stdout().unwrap_or_default();
    Ok(format!("{}, {}, {}", minor(&rustc), minor(&libc), std::env::consts::ARCH))
}

/// Name and version up to the minor one: `rustc 1.95` of `rustc 1.95.0 (…)`.
fn minor(version: &str) -> String {
    let mut words = version.split_whitespace();
    let (name, number) = (words.next().unwrap_or("unknown"), words.next().unwrap_or_default());
    let number: Vec<_> = number.split('.').take(2).collect();
    format!("{name} {}", number.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace;

    const BUDGET: Budget = Budget::per_message("path", 100);

    #[test]
    fn the_count_is_found_in_what_callgrind_says() {
        let said = "==7== Callgrind\n==7== Events    : Ir\n==7== Collected : 9760253\n==7== \n";
        assert_eq!(collected(said), Some(9_760_253));
        for said in ["", "==7== Collected : ", "==7== Collected : many", "Error: no path has this name"] {
            assert_eq!(collected(said), None, "{said}");
        }
    }

    #[test]
    fn setting_up_is_not_part_of_the_difference() {
        assert!((each(1_000_000, 1_010_050, 100).unwrap() - 100.5).abs() < 1e-9);
        assert!(each(2, 1, 100).unwrap_err().to_string().contains("fewer"));
    }

    #[test]
    fn a_budget_has_a_tolerance_above_and_another_below() {
        for (counted, verdict) in [
            (100.0, Verdict::Within),
            (104.9, Verdict::Within),
            (105.1, Verdict::Over),
            (85.1, Verdict::Within),
            (84.9, Verdict::Under),
        ] {
            assert_eq!(BUDGET.verdict(counted), verdict, "{counted}");
        }
    }

    #[test]
    fn the_same_is_within_the_tolerance_on_either_side() {
        let same = Relation::Same { path: "a", reference: "b", percent: 2.0 };
        let broken = |a, b| same.broken(&Counts::from([("a", a), ("b", b)]));
        assert_eq!(broken(101.9, 100.0), None);
        assert_eq!(broken(98.1, 100.0), None);
        assert!(broken(102.1, 100.0).unwrap().contains("+2.1 % off b"));
        assert!(broken(97.9, 100.0).unwrap().contains("-2.1 % off b"));
    }

    #[test]
    fn cheaper_is_less() {
        let cheaper = Relation::Cheaper { path: "a", than: "b" };
        assert_eq!(cheaper.broken(&Counts::from([("a", 9.0), ("b", 10.0)])), None);
        assert!(cheaper.broken(&Counts::from([("a", 10.0), ("b", 10.0)])).is_some());
    }

    #[test]
    fn a_relation_of_what_was_not_counted_does_not_hold() {
        assert!(RELATIONS.iter().all(|relation| relation.broken(&Counts::new()).is_some()));
    }

    #[test]
    fn relations_are_between_paths_that_are_counted() {
        let paths = BUDGETS.map(|budget| budget.path);
        for relation in RELATIONS {
            let (Relation::Same { path, reference: other, .. } | Relation::Cheaper { path, than: other }) = relation;
            assert!(paths.contains(&path) && paths.contains(&other), "{path}, {other}");
        }
    }

    #[test]
    fn paths_that_are_off_are_named_and_others_are_not() {
        let mut counts: Counts = BUDGETS.iter().map(|budget| (budget.path, f64::from(budget.instructions))).collect();
        assert!(off_budget(&counts).is_empty());
        counts.insert("encode-16", 200.0);
        counts.insert("keep-16", 1.0);
        let off = off_budget(&counts);
        assert_eq!(off.len(), 2);
        assert!(off[0].contains("encode-16 200.0 of 91 (OVER)"), "{off:?}");
        assert!(off[1].contains("keep-16") && off[1].contains("UNDER"), "{off:?}");
    }

    #[test]
    fn off_budget_fails_with_the_tools_that_the_budgets_hold_for_and_is_noted_with_others() {
        let off = ["encode-16 200.0 of 91".to_owned()];
        assert!(matches!(judge(&[], "rustc 1.99"), Ok(Outcome::Passed)));
        assert!(judge(&off, COUNTED_WITH).unwrap_err().to_string().contains("encode-16 200.0"));
        let Outcome::PassedExcept(note) = judge(&off, "rustc 1.99").unwrap() else { panic!("passed without a note") };
        assert!(note.contains("rustc 1.99") && note.contains("encode-16 200.0"), "{note}");
    }

    #[test]
    fn versions_are_known_up_to_the_minor_one() {
        assert_eq!(minor("rustc 1.95.0 (59807616e 2026-04-14)\n"), "rustc 1.95");
        assert_eq!(minor("glibc 2.36\n"), "glibc 2.36");
        assert_eq!(minor(""), "unknown ");
    }

    /// With another image the step would note what is off, and fail for nothing.
    #[test]
    fn the_workflow_counts_with_the_compiler_that_the_budgets_hold_for() {
        let workflow = std::fs::read_to_string(workspace::root().join(".github/workflows/ci.yml")).unwrap();
        let compiler = COUNTED_WITH.split([' ', ',']).nth(1).unwrap();
        assert!(workflow.contains(&format!("container: rust:{compiler}-bookworm")), "{compiler}");
    }
}
