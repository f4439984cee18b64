//! The steps that are cargo's own commands on the workspace: fmt, clippy, test, doc, benches.

use super::{Context, DENY_WARNINGS, Outcome, cargo};
use crate::matrix;
use crate::workspace::Metadata;
use anyhow::Result;

pub(super) fn fmt(_: &Context) -> Result<Outcome> {
    cargo(&["fmt", "--all", "--check"]).run()?;
    Ok(Outcome::Passed)
}

pub(super) fn clippy(context: &Context) -> Result<Outcome> {
    for row in matrix::rows(context.quick) {
        let clippy = cargo(&["clippy"]).args(row.cargo_args()).arg("--all-targets");
        clippy.args(DENY_WARNINGS).run()?;
    }
    Ok(Outcome::Passed)
}

pub(super) fn test(context: &Context) -> Result<Outcome> {
    for row in matrix::rows(context.quick).filter(matrix::Row::is_tested) {
        cargo(&["test"]).args(row.cargo_args()).run()?;
    }
    Ok(Outcome::Passed)
}

pub(super) fn doc(_: &Context) -> Result<Outcome> {
    let products = ["--workspace", "--exclude", "zmtp-bench", "--all-features"];
    // Not with every feature: documentation is no reason to compile libzmq.
    let bench = ["--package", "zmtp-bench"];
    for selection in [&products[..], &bench[..]] {
        let doc = cargo(&["doc", "--no-deps"]).args(selection);
        doc.env("RUSTDOCFLAGS", "-D warnings").run()?;
    }
    Ok(Outcome::Passed)
}

/// Without measuring, each benchmark runs once: it cannot rot unseen, and what it asserts about itself is checked.
pub(super) fn benches(_: &Context) -> Result<Outcome> {
    let metadata = Metadata::read()?;
    let mut packages = metadata.packages();
    let benches: Vec<String> = packages
        .find(|package| package.name() == "zmtp-bench")
        .map(|package| package.targets("bench").map(str::to_owned).collect())
        .unwrap_or_default();
    if benches.is_empty() {
        return Ok(Outcome::PassedExcept("zmtp-bench has no benches".to_owned()));
    }
    let named = benches.iter().flat_map(|bench| ["--bench", bench]);
    cargo(&["test", "--package", "zmtp-bench"]).args(named).run()?;
    Ok(Outcome::Passed)
}
