//! `cargo xtask bench`: runs the criterion benches, then shows every median in one table and one picture.

mod compare;
mod plot;
mod progress;
mod results;

use crate::process::Process;
use crate::table::{Align, Table};
use crate::workspace::Metadata;
use anyhow::{Context as _, Result, bail};
use results::Measurement;
use std::io::IsTerminal as _;
use std::path::Path;
use std::time::SystemTime;

const PACKAGE: &str = "zmtp-bench";
/// Features with which others take part.
const PEERS: &str = "libzmq";

/// Arguments of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only benchmarks whose name contains this (a regular expression): `codec`, `connection/.*1024`, …
    filter: Option<String>,
    /// Stop measuring each as soon as it looks stable: seconds instead of minutes, and noisier.
    #[arg(long)]
    quick: bool,
    /// Leave out the foreign libraries that we are measured against; then no C++ compiler is needed.
    #[arg(long)]
    without_peers: bool,
    /// More arguments for criterion: `-- --save-baseline before`.
    #[arg(last = true)]
    criterion: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let metadata = Metadata::read()?;
    let target = metadata.target_dir()?;
    let benches = benches(&metadata)?;
    let criterion = target.join("criterion");

    // Building and counting apart from measuring, so that the progress is that of the measurements alone.
    let bench = || bench(&benches, !args.without_peers);
    bench().arg("--no-run").run()?;
    let mut arguments: Vec<&str> = args.filter.iter().map(String::as_str).collect();
    let listing = bench().arg("--quiet").arg("--").args(&arguments).arg("--list").stdout()?;
    let count = listing.lines().filter(|line| line.ends_with(": benchmark")).count();
    if count == 0 {
        bail!("no benchmark matches {:?}", args.filter.as_deref().unwrap_or_default());
    }

    if args.quick {
        // Criterion's own plots take longer to draw than a quick measurement takes.
        arguments.extend(["--quick", "--noplot"]);
    }
    arguments.extend(args.criterion.iter().map(String::as_str));
    let measuring = bench().arg("--").args(&arguments).env("CRITERION_HOME", &criterion);
    let started = SystemTime::now();
    if std::io::stderr().is_terminal() {
        progress::run(measuring, count)?;
    } else {
        measuring.run()?;
    }

    let measurements = results::read(&criterion, started)?;
    if measurements.is_empty() {
        // For example after `-- --test`: nothing was measured, and old figures are not passed off as new.
        println!("nothing was measured");
        return Ok(());
    }
    report(&measurements, &target.join("bench"))
}

fn benches(metadata: &Metadata) -> Result<Vec<&str>> {
    let package = metadata.packages().find(|package| package.name() == PACKAGE);
    let benches: Vec<_> = package.into_iter().flat_map(|package| package.targets("bench")).collect();
    if benches.is_empty() {
        bail!("{PACKAGE} has no benches");
    }
    Ok(benches)
}

/// Each bench by its name: without one, cargo would hand criterion's arguments to the unit tests too.
fn bench(benches: &[&str], peers: bool) -> Process {
    let named = benches.iter().flat_map(|bench| ["--bench", bench]);
    let features: &[&str] = if peers { &["--features", PEERS] } else { &[] };
    Process::cargo().args(["bench", "--package", PACKAGE]).args(features).args(named)
}

fn report(measurements: &[Measurement], dir: &Path) -> Result<()> {
    let mut table = Table::new(&[
        ("benchmark", Align::Left),
        ("median", Align::Right),
        ("95 % from", Align::Right),
        ("to", Align::Right),
        ("throughput", Align::Right),
    ]);
    for measurement in measurements {
        table.push([
            measurement.name.clone(),
            results::nanoseconds(measurement.median),
            results::nanoseconds(measurement.low),
            results::nanoseconds(measurement.high),
            measurement.rates().join(", "),
        ]);
    }
    println!("\n{}", table.to_text());
    let comparisons = compare::tables(measurements);
    for (group, table) in &comparisons {
        println!("{group}: medians, and our time as a ratio of theirs\n{}", table.to_text());
    }

    std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let markdown = dir.join("summary.md");
    let picture = dir.join("summary.svg");
    let text = format!(
        "# Benchmarks\n\nMedian time per iteration with its 95 % confidence interval.\n\n{}\n![summary](summary.svg)\n{}",
        table.to_markdown(),
        comparisons
            .iter()
            .map(|(group, table)| {
                format!("\n## {group}\n\nMedians, and our time as a ratio of theirs.\n\n{}", table.to_markdown())
            })
            .collect::<String>(),
    );
    std::fs::write(&markdown, text).with_context(|| format!("cannot write {}", markdown.display()))?;
    plot::draw(measurements, &picture).with_context(|| format!("cannot draw {}", picture.display()))?;
    println!("table:   {}\npicture: {}", markdown.display(), picture.display());
    Ok(())
}
