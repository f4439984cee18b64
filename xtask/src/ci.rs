//! `cargo xtask ci`: every check that a change has to pass, step by step.

use crate::steps::{Context, Outcome, STEPS, Step};
use crate::table::{Align, Table};
use anyhow::{Result, bail};
use clap::builder::PossibleValuesParser;
use std::time::{Duration, Instant};

/// Arguments of `cargo xtask ci`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// Only the steps that find most mistakes, and only the widest features of each crate.
    #[arg(long)]
    quick: bool,
    /// Only these steps (separated by commas or blanks).
    #[arg(long, value_name = "STEP", num_args = 1.., value_delimiter = ',',
          value_parser = PossibleValuesParser::new(STEPS.iter().map(|step| step.name)))]
    only: Vec<String>,
    /// Go on after a step that failed.
    #[arg(long)]
    keep_going: bool,
    /// Install cargo tools that are missing (implied where the environment sets `CI`).
    #[arg(long)]
    install_tools: bool,
    /// List the steps and do nothing.
    #[arg(long)]
    list: bool,
}

impl Args {
    /// A run of this one step.
    pub(crate) fn only(step: &str) -> Self {
        Self { only: vec![step.to_owned()], ..Self::default() }
    }

    fn selected(&self) -> Vec<&'static Step> {
        let wanted = |step: &&Step| {
            if self.only.is_empty() {
                step.quick || !self.quick
            } else {
                self.only.iter().any(|name| name == step.name)
            }
        };
        STEPS.iter().filter(wanted).collect()
    }
}

/// How one step went.
#[derive(Debug)]
struct Report {
    step: &'static str,
    result: Result<Outcome>,
    took: Duration,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let steps = args.selected();
    if args.list {
        print!("{}", listing(&steps));
        return Ok(());
    }
    let context = Context { quick: args.quick, install_tools: args.install_tools || std::env::var_os("CI").is_some() };
    let mut reports = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        println!("\n━━━ {}/{} {}: {}", index + 1, steps.len(), step.name, step.about);
        let report = run_step(step, &context);
        let failed = report.result.is_err();
        reports.push(report);
        if failed && !args.keep_going {
            break;
        }
    }
    println!("\n{}", summary(&steps, &reports).to_text());
    let failed: Vec<_> = reports.iter().filter(|report| report.result.is_err()).collect();
    println!("steps: {} passed, {} failed", reports.len() - failed.len(), failed.len());
    match failed.first() {
        None => Ok(()),
        Some(first) => bail!(
            "failed: {}; run the first again with `cargo xtask ci --only {}`",
            failed.iter().map(|report| report.step).collect::<Vec<_>>().join(", "),
            first.step,
        ),
    }
}

fn run_step(step: &Step, context: &Context) -> Report {
    let started = Instant::now();
    let result = (step.run)(context);
    let took = started.elapsed();
    match &result {
        Ok(Outcome::Passed) => println!("━━━ {} passed in {}", step.name, seconds(took)),
        Ok(Outcome::PassedExcept(note)) => println!("━━━ {} passed in {}, but {note}", step.name, seconds(took)),
        // To stdout as well: the failure stands where the output of the step ends.
        Err(error) => println!("━━━ {} FAILED after {}: {error:#}", step.name, seconds(took)),
    }
    Report { step: step.name, result, took }
}

fn listing(steps: &[&Step]) -> String {
    let mut table = Table::new(&[
        ("#", Align::Right),
        ("step", Align::Left),
        ("quick", Align::Left),
        ("what it checks", Align::Left),
    ]);
    for (index, step) in steps.iter().enumerate() {
        let quick = if step.quick { "yes" } else { "" };
        table.push([&(index + 1).to_string(), step.name, quick, step.about]);
    }
    table.to_text()
}

/// One line for each step that was asked for, whether or not it came to run.
fn summary(steps: &[&Step], reports: &[Report]) -> Table {
    let mut table =
        Table::new(&[("step", Align::Left), ("result", Align::Left), ("seconds", Align::Right), ("note", Align::Left)]);
    for (index, step) in steps.iter().enumerate() {
        let (result, took, note) = match reports.get(index) {
            None => ("not run", String::new(), String::new()),
            Some(Report { result, took, .. }) => {
                let (result, note) = match result {
                    Ok(Outcome::Passed) => ("passed", String::new()),
                    Ok(Outcome::PassedExcept(note)) => ("passed", note.clone()),
                    Err(error) => ("FAILED", format!("{error:#}")),
                };
                (result, format!("{:.1}", took.as_secs_f64()), note)
            }
        };
        table.push([step.name, result, &took, &note]);
    }
    let total: Duration = reports.iter().map(|report| report.took).sum();
    table.push(["total", "", &format!("{:.1}", total.as_secs_f64())]);
    table
}

fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
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

    fn selected(args: &[&str]) -> Vec<&'static str> {
        let cli = Cli::try_parse_from([&["ci"], args].concat()).unwrap();
        cli.args.selected().iter().map(|step| step.name).collect()
    }

    #[test]
    fn everything_runs_unless_told_otherwise() {
        assert_eq!(selected(&[]), STEPS.iter().map(|step| step.name).collect::<Vec<_>>());
    }

    #[test]
    fn only_takes_blanks_and_commas_and_keeps_the_order_of_the_steps() {
        assert_eq!(selected(&["--only", "test", "fmt"]), ["fmt", "test"]);
        assert_eq!(selected(&["--only", "test,fmt"]), ["fmt", "test"]);
        assert_eq!(selected(&["--only=interop", "--quick"]), ["interop"]);
        assert!(Cli::try_parse_from(["ci", "--only", "no-such-step"]).is_err());
    }

    #[test]
    fn a_quick_run_is_a_real_part_of_the_whole() {
        let quick = selected(&["--quick"]);
        assert!(quick.contains(&"test"));
        assert!(quick.len() < STEPS.len());
    }

    #[test]
    fn the_summary_shows_failures_and_the_steps_that_never_ran() {
        let steps: Vec<&Step> = STEPS.iter().take(3).collect();
        let report =
            |index: usize, result| Report { step: steps[index].name, result, took: Duration::from_millis(1500) };
        let reports =
            [report(0, Ok(Outcome::PassedExcept("half".to_owned()))), report(1, Err(anyhow::anyhow!("broken")))];
        let text = summary(&steps, &reports).to_text();
        let lines: Vec<_> = text.lines().skip(2).map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
        assert_eq!(lines[0], [steps[0].name, "passed", "1.5", "half"]);
        assert_eq!(lines[1], [steps[1].name, "FAILED", "1.5", "broken"]);
        assert_eq!(lines[2], [steps[2].name, "not", "run"]);
        assert_eq!(lines[3], ["total", "3.0"]);
    }
}
