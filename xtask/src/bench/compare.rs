//! This library beside others: a process for each measurement, the contenders in turn, and a report with the ratios first.

mod contender;
mod contest;
mod document;
mod machine;
mod plan;
mod plot;
mod program;
mod progress;
mod ratios;
mod report;
mod rounds;
mod situation;
mod stats;
mod syscalls;
mod tables;
mod targets;

use super::Setting;
use anyhow::{Context as _, Result, bail};
use clap::builder::PossibleValuesParser;
use machine::Machine;
use plan::Selection;
use program::{PEERS, Program};
use report::Report;
use situation::{Mechanism, Scenario};
use std::num::NonZeroUsize;
use std::time::Duration;

/// What is compared; each of these asks for a comparison, and for no micro-benches.
#[derive(Debug, clap::Args)]
pub(super) struct Choice {
    /// Only beside this implementation (and the bare socket); may be repeated, like the three that follow.
    #[arg(long = "peer", value_name = "PEER", value_parser = PossibleValuesParser::new(PEERS), conflicts_with = "without_peers")]
    peers: Vec<String>,
    #[arg(long = "mechanism", value_name = "MECHANISM", value_enum)]
    mechanisms: Vec<Mechanism>,
    /// Octets in a message, instead of the usual sizes.
    #[arg(long = "size", value_name = "OCTETS")]
    sizes: Vec<usize>,
    #[arg(long = "scenario", value_name = "SCENARIO", value_enum)]
    scenarios: Vec<Scenario>,
    /// How often everybody is measured: 15 times, or 3 times if it is to be quick.
    #[arg(long)]
    rounds: Option<NonZeroUsize>,
}

impl Choice {
    /// Whether less is asked for than everything.
    pub(super) const fn narrows(&self) -> bool {
        let Self { peers, mechanisms, sizes, scenarios, rounds: _ } = self;
        !(peers.is_empty() && mechanisms.is_empty() && sizes.is_empty() && scenarios.is_empty())
    }

    fn rounds(&self, quick: bool) -> usize {
        self.rounds.map_or(if quick { 3 } else { 15 }, NonZeroUsize::get)
    }

    fn peers(&self, setting: &Setting) -> Vec<&str> {
        let asked: Vec<&str> = self.peers.iter().map(String::as_str).collect();
        match (setting.peers, asked.is_empty()) {
            (false, _) => Vec::new(),
            (true, true) => PEERS.to_vec(),
            (true, false) => asked,
        }
    }
}

pub(super) fn run(choice: &Choice, setting: &Setting) -> Result<()> {
    let (program, left_out) = Program::build(&choice.peers(setting), &setting.target)?;
    let contenders = program.contenders()?;
    let selection = Selection {
        quick: setting.quick,
        rounds: choice.rounds(setting.quick),
        mechanisms: choice.mechanisms.clone(),
        sizes: choice.sizes.clone(),
        scenarios: choice.scenarios.clone(),
    };
    let mut contests = plan::plan(&contenders, &selection);
    if contests.is_empty() {
        bail!("nobody can do what was asked for");
    }
    std::fs::create_dir_all(&setting.out).with_context(|| format!("cannot create {}", setting.out.display()))?;

    // Long enough for buffers to be full many times over.
    let time = Duration::from_millis(if setting.quick { 40 } else { 100 });
    rounds::run(&mut contests, |contender, situation| program.measure(contender, situation, time));
    let uncounted = syscalls::count(&mut contests, &program, &setting.out);
    let report = Report {
        machine: Machine::here(),
        command_line: command_line(),
        rounds: selection.rounds,
        milliseconds: time.as_millis(),
        verdicts: ratios::verdicts(&contests),
        contests,
        notes: left_out.iter().map(|peer| format!("{peer} did not build.")).chain(uncounted).collect(),
    };
    report.write(&setting.out)?;
    println!("\n{}\nreport: {}", report.summary(), setting.out.join("report.md").display());
    Ok(())
}

fn command_line() -> String {
    std::iter::once("cargo xtask".to_owned()).chain(std::env::args().skip(1)).collect::<Vec<_>>().join(" ")
}
