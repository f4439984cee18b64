//! The criterion benches: every median in one table and one picture.

mod compare;
mod progress;
mod results;

use super::bars::{self, Bar};
use super::numbers::nanoseconds;
use super::{PACKAGE, Setting};
use crate::process::Process;
use crate::table::{Align, Table};
use crate::workspace::Metadata;
use anyhow::{Context as _, Result, bail};
use results::Measurement;
use std::io::IsTerminal as _;
use std::path::Path;
use std::time::SystemTime;

/// Features with which others take part.
const PEERS: &str = "libzmq";

pub(super) fn run(filter: Option<&str>, criterion: &[String], metadata: &Metadata, setting: &Setting) -> Result<()> {
    let benches = benches(metadata)?;
    let home = setting.target.join("criterion");

    // Building and counting apart from measuring, so that the progress is that of the measurements alone.
    let bench = || bench(&benches, setting.peers);
    bench().arg("--no-run").run()?;
    let mut arguments: Vec<&str> = filter.into_iter().collect();
    let listing = bench().arg("--quiet").arg("--").args(&arguments).arg("--list").stdout()?;
    let count = listing.lines().filter(|line| line.ends_with(": benchmark")).count();
    if count == 0 {
        bail!("no benchmark matches {:?}", filter.unwrap_or_default());
    }

    arguments.extend(pace(setting.quick, filter.is_none() && criterion.is_empty()));
    arguments.extend(criterion.iter().map(String::as_str));
    let measuring = bench().arg("--").args(&arguments).env("CRITERION_HOME", &home);
    let started = SystemTime::now();
    if std::io::stderr().is_terminal() {
        progress::run(measuring, count)?;
    } else {
        measuring.run()?;
    }

    let measurements = results::read(&home, started)?;
    if measurements.is_empty() {
        // For example after `-- --test`: nothing was measured, and old figures are not passed off as new.
        println!("nothing was measured");
        return Ok(());
    }
    report(&measurements, &setting.out)
}

/// At criterion's own pace all of them take half an hour; and its plots take longer to draw than a short measurement takes.
fn pace(quick: bool, all: bool) -> &'static [&'static str] {
    match (quick, all) {
        (true, _) => &["--quick", "--noplot"],
        (false, true) => &["--warm-up-time", "1", "--measurement-time", "2", "--noplot"],
        (false, false) => &[],
    }
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
            nanoseconds(measurement.median),
            nanoseconds(measurement.low),
            nanoseconds(measurement.high),
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
    let heading = "Median time per iteration, logarithmic (whisker: 95 % confidence interval)";
    let bars: Vec<_> = measurements.iter().map(bar).collect();
    bars::draw(heading, &bars, &picture).with_context(|| format!("cannot draw {}", picture.display()))?;
    println!("table:   {}\npicture: {}", markdown.display(), picture.display());
    Ok(())
}

fn bar(measurement: &Measurement) -> Bar {
    let Measurement { name, group, median, low, high, .. } = measurement.clone();
    Bar { name, group, median, low, high }
}
