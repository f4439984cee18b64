//! The steps of `cargo xtask ci`, in the order in which they run.

mod deny;
mod examples;
mod instructions;
mod interop;
mod no_std;
mod reference;
mod sources;
mod tools;

use crate::process::Process;
use anyhow::{Result, bail};

/// The steps, the fast ones first where they do not build on one another.
pub(crate) const STEPS: &[Step] = &[
    Step { name: "tools", about: "the tools that the other steps need", quick: false, run: tools::run },
    Step { name: "fmt", about: "the code is formatted", quick: true, run: sources::fmt },
    Step { name: "clippy", about: "no warnings, per crate and feature set", quick: true, run: sources::clippy },
    Step {
        name: "test",
        about: "unit, integration and documentation tests, per crate and feature set",
        quick: true,
        run: sources::test,
    },
    Step { name: "doc", about: "the documentation builds without warnings", quick: false, run: sources::doc },
    Step { name: "no-std", about: "crates that promise to do without std do", quick: false, run: no_std::run },
    Step {
        name: "deny",
        about: "dependencies: licences, sources, duplicates, advisories",
        quick: false,
        run: deny::run,
    },
    Step {
        name: "interop",
        about: "against the real libzmq, built from source, omq, and a reference in Python",
        quick: false,
        run: interop::run,
    },
    Step { name: "examples", about: "every example runs and exits with 0", quick: false, run: examples::run },
    Step { name: "benches", about: "every bench runs once, unmeasured", quick: false, run: sources::benches },
    Step {
        name: "instructions",
        about: "the hot paths take no more instructions than their budgets",
        quick: false,
        run: instructions::run,
    },
];

/// One step.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    /// What it establishes.
    pub(crate) about: &'static str,
    /// Whether a quick run does it too.
    pub(crate) quick: bool,
    pub(crate) run: fn(&Context) -> Result<Outcome>,
}

/// What a step is told about the whole run.
#[derive(Debug)]
pub(crate) struct Context {
    /// Only the widest features of each crate.
    pub(crate) quick: bool,
    /// Missing cargo tools may be installed.
    pub(crate) install_tools: bool,
}

/// How a step passed.
#[derive(Debug)]
pub(crate) enum Outcome {
    Passed,
    /// Passed as far as it went; the text says what was not checked.
    PassedExcept(String),
}

/// Compares what a table lists with what is there, so that neither an entry nor a file is forgotten silently.
fn listed_is_found(what: &str, table: &str, listed: &[String], found: &[String]) -> Result<()> {
    let missing: Vec<_> = listed.iter().filter(|name| !found.contains(name)).collect();
    if !missing.is_empty() {
        bail!("{table} lists {what} that do not exist: {missing:?}");
    }
    let unlisted: Vec<_> = found.iter().filter(|name| !listed.contains(name)).collect();
    if !unlisted.is_empty() {
        bail!("{table} does not list these {what}: {unlisted:?}; add them there");
    }
    Ok(())
}

/// Warnings are errors.
const DENY_WARNINGS: [&str; 3] = ["--", "-D", "warnings"];

fn cargo(args: &[&str]) -> Process {
    Process::cargo().args(args)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn step_names_are_unique_words() {
        let names: BTreeSet<_> = STEPS.iter().map(|step| step.name).collect();
        assert_eq!(names.len(), STEPS.len());
        let is_word = |name: &str| name.chars().all(|c| c.is_ascii_lowercase() || c == '-');
        assert!(names.iter().all(|name| is_word(name)));
    }

    #[test]
    fn a_table_must_list_exactly_what_is_there() {
        let names = |names: &[&str]| -> Vec<String> { names.iter().map(|&name| name.to_owned()).collect() };
        let check = |listed: &[&str], found: &[&str]| listed_is_found("things", "TABLE", &names(listed), &names(found));
        assert!(check(&["a", "b"], &["b", "a"]).is_ok());
        assert!(check(&["a"], &[]).unwrap_err().to_string().contains("do not exist"));
        assert!(check(&[], &["a"]).unwrap_err().to_string().contains("add them there"));
    }
}
