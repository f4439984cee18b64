//! `cargo xtask bench`: this library beside others, a process for each measurement; then its parts alone, by criterion.

mod bars;
mod compare;
mod micro;
mod numbers;

use crate::workspace::Metadata;
use anyhow::Result;
use clap::ValueEnum;
use std::path::PathBuf;

const PACKAGE: &str = "zmtp-bench";

/// Arguments of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only micro-benches whose name contains this (a regular expression), and no comparison: `codec`,
    /// `connection/.*1024`, …
    filter: Option<String>,
    /// Minutes instead of half an hour, and noisier: few situations, sizes and rounds, and no micro-benches unless they are
    /// asked for.
    #[arg(long)]
    quick: bool,
    /// Only one of the two parts.
    #[arg(long, value_enum)]
    only: Option<Part>,
    #[command(flatten)]
    compare: compare::Choice,
    /// Leave out the foreign libraries that we are measured against; then no C++ compiler is needed.
    #[arg(long)]
    without_peers: bool,
    /// Where the reports go, instead of `target/bench`.
    #[arg(long)]
    out: Option<PathBuf>,
    /// More arguments for criterion, and no comparison: `-- --save-baseline before`.
    #[arg(last = true)]
    criterion: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// This library beside others.
    Compare,
    /// Its parts alone, by criterion.
    Micro,
}

/// What both parts need to know.
#[derive(Debug)]
struct Setting {
    /// Where cargo builds.
    target: PathBuf,
    /// Where reports go.
    out: PathBuf,
    quick: bool,
    peers: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let metadata = Metadata::read()?;
    let target = metadata.target_dir()?;
    let out = args.out.clone().unwrap_or_else(|| target.join("bench"));
    // Children start at the workspace's root, we do not.
    let out = std::path::absolute(out)?;
    let setting = Setting { target, out, quick: args.quick, peers: !args.without_peers };
    for part in args.parts() {
        match part {
            Part::Compare => compare::run(&args.compare, &setting)?,
            Part::Micro => micro::run(args.filter.as_deref(), &args.criterion, &metadata, &setting)?,
        }
    }
    Ok(())
}

impl Args {
    /// What is said of one part alone asks for that part alone.
    fn parts(&self) -> Vec<Part> {
        let micro = self.filter.is_some() || !self.criterion.is_empty();
        match (self.only, self.compare.narrows(), micro) {
            (Some(part), _, _) => vec![part],
            (None, true, false) => vec![Part::Compare],
            (None, false, true) => vec![Part::Micro],
            (None, false, false) if self.quick => vec![Part::Compare],
            (None, _, _) => vec![Part::Compare, Part::Micro],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[derive(Debug, clap::Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn parts(line: &str) -> Vec<Part> {
        let line = format!("bench {line}");
        Cli::try_parse_from(line.split_whitespace()).unwrap().args.parts()
    }

    #[test]
    fn what_is_said_of_one_part_asks_for_that_part_alone() {
        assert_eq!(parts(""), [Part::Compare, Part::Micro]);
        assert_eq!(parts("codec/encode"), [Part::Micro]);
        assert_eq!(parts("-- --save-baseline before"), [Part::Micro]);
        assert_eq!(parts("--peer libzmq --size 128"), [Part::Compare]);
        assert_eq!(parts("--mechanism curve"), [Part::Compare]);
        assert_eq!(parts("--scenario round-trip"), [Part::Compare]);
        assert_eq!(parts("codec --peer libzmq"), [Part::Compare, Part::Micro]);
    }

    #[test]
    fn a_quick_run_has_no_micro_benches_unless_they_are_asked_for() {
        assert_eq!(parts("--quick"), [Part::Compare]);
        assert_eq!(parts("--quick codec"), [Part::Micro]);
        assert_eq!(parts("--quick --only micro"), [Part::Micro]);
    }
}
