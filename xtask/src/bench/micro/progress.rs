//! Progress of a criterion run on a terminal: results scroll by, the bar below them says what is being measured.

use crate::process::Process;
use anyhow::{Context as _, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{BufRead as _, BufReader, Read};
use std::process::Stdio;
use std::time::Duration;

/// Runs criterion, which will measure `count` benchmarks.
pub(super) fn run(process: Process, count: usize) -> Result<()> {
    process.announce();
    let shown = process.shown().to_owned();
    let mut command = process.into_command();
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("`{shown}` could not be started"))?;

    let style = ProgressStyle::with_template("{elapsed_precise} [{bar:30}] {pos}/{len} {wide_msg}")?;
    let bar = ProgressBar::new(u64::try_from(count)?).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(200));

    let errors = child.stderr.take();
    let results = child.stdout.take();
    std::thread::scope(|scope| {
        scope.spawn(|| lines(errors, |line| show(&bar, line)));
        lines(results, |line| show(&bar, line));
    });
    let status = child.wait().with_context(|| format!("`{shown}` was lost"))?;
    bar.finish_and_clear();
    if !status.success() {
        bail!("`{shown}` ended with {status}");
    }
    Ok(())
}

fn show(bar: &ProgressBar, line: &str) {
    match phase(line) {
        Some(Phase { benchmark, starts }) => {
            bar.set_message(benchmark.to_owned());
            bar.inc(u64::from(starts));
        }
        None => bar.println(line),
    }
}

/// What criterion says between results: `Benchmarking NAME`, later `Benchmarking NAME: Warming up for 3.0000 s` and so on.
#[derive(Debug, PartialEq, Eq)]
struct Phase<'a> {
    benchmark: &'a str,
    starts: bool,
}

fn phase(line: &str) -> Option<Phase<'_>> {
    let benchmark = line.trim_end().strip_prefix("Benchmarking ")?;
    Some(match benchmark.split_once(": ") {
        None => Phase { benchmark, starts: true },
        Some((benchmark, _)) => Phase { benchmark, starts: false },
    })
}

fn lines(stream: Option<impl Read>, mut each: impl FnMut(&str)) {
    let Some(stream) = stream else { return };
    for line in BufReader::new(stream).split(b'\n') {
        // A stream that breaks ends the output; how the child fared is for its exit code to say.
        let Ok(line) = line else { return };
        each(&String::from_utf8_lossy(&line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_benchmark_is_counted_when_it_starts_and_only_then() {
        let phase_of = |line| phase(line).map(|phase| (phase.benchmark, phase.starts));
        assert_eq!(phase_of("Benchmarking codec/encode/64"), Some(("codec/encode/64", true)));
        let warming = "Benchmarking codec/encode/64: Warming up for 3.0000 s";
        assert_eq!(phase_of(warming), Some(("codec/encode/64", false)));
        assert_eq!(phase_of("codec/encode/64  time:   [1 ns 2 ns 3 ns]"), None);
    }

    #[test]
    fn lines_need_be_neither_terminated_nor_utf8() {
        let mut seen = Vec::new();
        lines(Some(&b"a\n\xffb\nlast"[..]), |line| seen.push(line.to_owned()));
        assert_eq!(seen, ["a", "\u{fffd}b", "last"]);
    }
}
