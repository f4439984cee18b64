//! Step `interop`: what needs a foreign peer, and so is in no row of the matrix. Lints too.

use super::{Context, DENY_WARNINGS, Outcome, cargo, reference};
use crate::process::Process;
use crate::table::{Align, Table};
use crate::workspace::Metadata;
use anyhow::{Context as _, Result, bail};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

const PACKAGE: [&str; 4] = ["--package", "zmtp-bench", "--features", "libzmq,omq,omq-blake3,blake3-reference,measure"];

/// The conversations, by the name of their test target, and the column in which they are counted.
const CONVERSATIONS: [(&str, &str); 7] = [
    ("interop_libzmq", "libzmq, NULL"),
    ("interop_libzmq_plain", "libzmq, PLAIN"),
    ("interop_libzmq_curve", "libzmq, CURVE"),
    ("interop_libzmq_zap", "libzmq, ZAP"),
    ("interop_omq", "omq, NULL and CURVE"),
    ("interop_omq_blake3", "omq, BLAKE3"),
    (reference::TARGET, "Python, BLAKE3-CHACHAPOLY"),
];

pub(super) fn run(_: &Context) -> Result<Outcome> {
    // The peers themselves first; and whatever test is added next is among them.
    let metadata = Metadata::read()?;
    let python = match reference::python(&metadata.target_dir()?) {
        Ok(python) => {
            reference::check(&python)?;
            Ok(python)
        }
        // Its vectors are tested in any case; to talk to it takes what this machine does not have.
        Err(error) => Err(format!("the reference of BLAKE3-CHACHAPOLY WAS NOT TALKED TO: {error:#}")),
    };
    let test = || {
        let test = cargo(&["test"]).args(PACKAGE);
        if let Ok(python) = &python { test.env(reference::PYTHON, python) } else { test }
    };
    let bench = metadata.packages().find(|package| package.name() == "zmtp-bench").context("zmtp-bench is gone")?;
    let others = bench.targets("test").filter(|test| CONVERSATIONS.iter().all(|(target, _)| target != test));
    let others: Vec<_> = others.flat_map(|test| ["--test", test]).collect();
    test().args(["--lib"]).args(others).run()?;
    test().args(["--doc"]).run()?;

    let mut passed = BTreeMap::<String, [usize; CONVERSATIONS.len()]>::new();
    let reachable = |target: &str| target != reference::TARGET || python.is_ok();
    for (column, (target, _)) in CONVERSATIONS.iter().enumerate().filter(|(_, (target, _))| reachable(target)) {
        for module in conversation(test().args(["--test", target]))? {
            passed.entry(module).or_default()[column] += 1;
        }
    }
    // Those besides who are only measured.
    let clippy = cargo(&["clippy", "--package", "zmtp-bench", "--all-features", "--all-targets"]);
    clippy.args(DENY_WARNINGS).run()?;
    println!("\n{}", table(&passed).to_text());
    Ok(python.map_or_else(Outcome::PassedExcept, |_| Outcome::Passed))
}

/// Runs the tests of one target with its output passed through, and says for each test that passed which module it is in.
fn conversation(process: Process) -> Result<Vec<String>> {
    process.announce();
    let shown = process.shown().to_owned();
    let mut child = process.into_command().stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().context("the output of the tests")?;
    let mut modules = Vec::new();
    for line in BufReader::new(output).lines() {
        let line = line?;
        println!("{line}");
        modules.extend(module_of_passed(&line));
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("`{shown}` ended with {status}");
    }
    Ok(modules)
}

/// The module in a line that says that a test has passed; the target's own tests are in none.
fn module_of_passed(line: &str) -> Option<String> {
    let name = line.strip_prefix("test ")?.strip_suffix(" ... ok")?;
    Some(name.split_once("::").map_or("", |(module, _)| module).to_owned())
}

/// Tests that passed, by subject and peer.
fn table(passed: &BTreeMap<String, [usize; CONVERSATIONS.len()]>) -> Table {
    let peers = CONVERSATIONS.iter().map(|(_, heading)| (*heading, Align::Right));
    let columns: Vec<_> = std::iter::once(("tests passed", Align::Left)).chain(peers).collect();
    let mut table = Table::new(&columns);
    for (module, counts) in passed {
        let counts = counts.iter().map(|&count| if count == 0 { String::new() } else { count.to_string() });
        let module = if module.is_empty() { "(all subjects)" } else { module };
        table.push(std::iter::once(module.to_owned()).chain(counts));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tests_that_passed_are_counted_and_by_their_module() {
        assert_eq!(module_of_passed("test pairs::req_with_rep ... ok").as_deref(), Some("pairs"));
        assert_eq!(module_of_passed("test pings ... ok").as_deref(), Some(""));
        for line in ["test pairs::req_with_rep ... FAILED", "test a ... ignored", "running 3 tests", ""] {
            assert_eq!(module_of_passed(line), None, "{line}");
        }
    }

    #[test]
    fn subjects_are_rows_and_peers_are_columns() {
        let passed =
            BTreeMap::from([(String::new(), [0, 0, 0, 0, 14, 9, 20]), ("pairs".to_owned(), [30, 30, 30, 0, 0, 0, 0])]);
        let text = table(&passed).to_text();
        let rows: Vec<_> = text.lines().skip(2).map(|row| row.split_whitespace().collect::<Vec<_>>()).collect();
        assert_eq!(rows, [vec!["(all", "subjects)", "14", "9", "20"], vec!["pairs", "30", "30", "30"]]);
    }

    #[test]
    fn every_conversation_is_a_test_of_the_bench() {
        let metadata = Metadata::read().unwrap();
        let bench = metadata.packages().find(|package| package.name() == "zmtp-bench").unwrap();
        let tests: Vec<_> = bench.targets("test").collect();
        for (target, _) in CONVERSATIONS {
            assert!(tests.contains(&target), "{target}");
        }
    }
}
