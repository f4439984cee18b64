//! The machine: figures mean nothing without it.

use crate::process::Process;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) system: String,
    pub(crate) kernel: String,
    pub(crate) rustc: String,
    /// What was built.
    pub(crate) commit: String,
    pub(crate) date: String,
}

impl Machine {
    pub(crate) fn here() -> Self {
        Self {
            processor: known(field("/proc/cpuinfo", "model name", ':')),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            system: known(field("/etc/os-release", "PRETTY_NAME", '=')),
            kernel: known(printed("uname", &["-sr"])),
            rustc: known(printed("rustc", &["--version"])),
            commit: known(printed("git", &["describe", "--always", "--dirty"])),
            date: known(printed("date", &["-u", "+%Y-%m-%d %H:%M UTC"])),
        }
    }
}

fn known(value: Option<String>) -> String {
    value.unwrap_or_else(|| "unknown".to_owned())
}

/// The value of the first line that begins with `name`.
fn field(path: &str, name: &str, separator: char) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    let (_, value) = line.split_once(separator)?;
    Some(value.trim().trim_matches('"').to_owned())
}

fn printed(program: &str, arguments: &[&str]) -> Option<String> {
    let (succeeded, text) = Process::new(program).args(arguments).output().ok()?;
    (succeeded && !text.trim().is_empty()).then(|| text.trim().to_owned())
}
