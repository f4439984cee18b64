//! Step `loom`: the tests that explore every interleaving of concurrent code.

use super::{Context, Outcome, cargo, listed_is_found};
use crate::workspace::{self, Metadata};
use anyhow::Result;

/// The integration tests for loom, as (package, test). Each file `PACKAGE/tests/loom*.rs` has to be listed here.
const LOOM_TESTS: &[(&str, &str)] = &[];

pub(super) fn run(_: &Context) -> Result<Outcome> {
    let listed: Vec<String> = LOOM_TESTS.iter().map(|(package, test)| format!("{package}/{test}")).collect();
    listed_is_found("loom tests", "LOOM_TESTS in xtask/src/steps/loom.rs", &listed, &found()?)?;
    // `--cfg loom` reaches every crate: in the common target directory it would throw away each ordinary build.
    let target = Metadata::read()?.target_dir()?.join("loom");
    for (package, test) in LOOM_TESTS {
        cargo(&["test", "--release", "--package", package, "--test", test])
            .env("RUSTFLAGS", "--cfg loom")
            .env("CARGO_TARGET_DIR", &target)
            .run()?;
    }
    if LOOM_TESTS.is_empty() {
        return Ok(Outcome::PassedExcept("there are no loom tests".to_owned()));
    }
    Ok(Outcome::Passed)
}

/// By the file system, not by cargo: a test that `Cargo.toml` disables is not to disappear from here.
fn found() -> Result<Vec<String>> {
    let mut found = Vec::new();
    for package in Metadata::read()?.packages() {
        let Ok(files) = std::fs::read_dir(workspace::root().join(package.name()).join("tests")) else {
            continue;
        };
        for file in files {
            let file = file?.file_name();
            let file = file.to_string_lossy();
            if let Some(test) = file.strip_suffix(".rs").filter(|test| test.starts_with("loom")) {
                found.push(format!("{}/{test}", package.name()));
            }
        }
    }
    Ok(found)
}
