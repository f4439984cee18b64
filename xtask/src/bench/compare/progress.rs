//! How far the measurements are: a bar on a terminal, a line now and then elsewhere.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

pub(super) struct Progress {
    bar: ProgressBar,
    on_a_terminal: bool,
    begun: Instant,
    count: usize,
    done: usize,
}

impl Progress {
    /// Of `count` measurements.
    pub(super) fn new(count: usize) -> Self {
        let bar = ProgressBar::new(count as u64);
        if let Ok(style) =
            ProgressStyle::with_template("{elapsed_precise} [{bar:30}] {pos}/{len}, {eta} left  {wide_msg}")
        {
            bar.set_style(style);
        }
        Self { bar, on_a_terminal: std::io::stderr().is_terminal(), begun: Instant::now(), count, done: 0 }
    }

    /// What is measured from now on.
    pub(super) fn measuring(&self, what: String) {
        self.bar.set_message(what);
    }

    pub(super) fn measured(&mut self) {
        self.done += 1;
        self.bar.inc(1);
    }

    /// So many will not be measured after all.
    pub(super) fn skip(&mut self, count: usize) {
        self.count -= count;
        self.bar.set_length(self.count as u64);
    }

    /// A line where there is no bar.
    pub(super) fn milestone(&self, line: &str) {
        if !self.on_a_terminal {
            println!("{line}{}", self.left().map(|left| format!(", {left} left")).unwrap_or_default());
        }
    }

    /// A line that everybody gets to see.
    pub(super) fn notice(&self, line: &str) {
        if self.on_a_terminal {
            self.bar.println(line);
        } else {
            println!("{line}");
        }
    }

    fn left(&self) -> Option<String> {
        let done = u32::try_from(self.done).ok().filter(|&done| done > 0)?;
        let rest = u32::try_from(self.count.saturating_sub(self.done)).ok()?;
        let left: Duration = self.begun.elapsed() / done * rest;
        Some(format!("about {} min {} s", left.as_secs() / 60, left.as_secs() % 60))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
