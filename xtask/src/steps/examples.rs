//! Step `examples`: an example that does not run teaches the wrong thing.

use super::{Context, Outcome, cargo, listed_is_found};
use crate::workspace::Metadata;
use anyhow::Result;

/// How each example is run; every example of every package has to be listed.
///
/// An example must end by itself, without input and without a network beyond this machine.
const EXAMPLES: &[Example] = &[
    Example { package: "zmtp-connection", name: "tour", cargo: &["--features", "curve,plain,blake3"], args: &[] },
    // What it does is shown by zmtp-connection/tests/zmtpcat.
    Example {
        package: "zmtp-connection",
        name: "zmtpcat",
        cargo: &["--features", "curve,plain,blake3,blake3zmq,zap"],
        args: &["--help"],
    },
];

struct Example {
    package: &'static str,
    name: &'static str,
    /// Options for cargo: the features that the example needs.
    cargo: &'static [&'static str],
    /// Arguments for the example itself.
    args: &'static [&'static str],
}

pub(super) fn run(_: &Context) -> Result<Outcome> {
    let metadata = Metadata::read()?;
    let packages = metadata.packages();
    let found: Vec<String> = packages
        .flat_map(|package| {
            let name = package.name();
            package.targets("example").map(move |example| format!("{name}/{example}"))
        })
        .collect();
    let listed = EXAMPLES.iter().map(|example| format!("{}/{}", example.package, example.name));
    let table = "EXAMPLES in xtask/src/steps/examples.rs";
    listed_is_found("examples", table, &listed.collect::<Vec<_>>(), &found)?;
    for example in EXAMPLES {
        cargo(&["run", "--quiet", "--package", example.package, "--example", example.name])
            .args(example.cargo)
            .arg("--")
            .args(example.args)
            .run()?;
    }
    if EXAMPLES.is_empty() {
        return Ok(Outcome::PassedExcept("there are no examples".to_owned()));
    }
    Ok(Outcome::Passed)
}
