//! Child processes: every command is printed before it runs, and a failure names it.

use crate::workspace;
use anyhow::{Context as _, Result, bail};
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

/// A child process that starts at the workspace root and shows itself before it runs.
///
/// Children stay in our process group, so an interrupt from the terminal ends them too.
#[derive(Debug)]
pub(crate) struct Process {
    command: Command,
    shown: String,
}

impl Process {
    /// The program `name`, looked up in `PATH`.
    pub(crate) fn new(name: &str) -> Self {
        let mut command = Command::new(name);
        command.current_dir(workspace::root()).stdin(Stdio::null());
        // What `cargo run` told us about this package is not meant for others: build scripts that watch these
        // variables would run again each time somebody changes between `cargo xtask` and plain cargo.
        for (key, _) in std::env::vars_os() {
            let key = key.to_string_lossy();
            if key.starts_with("CARGO_PKG_") || key.starts_with("CARGO_MANIFEST_") {
                command.env_remove(key.as_ref());
            }
        }
        Self { command, shown: name.to_owned() }
    }

    /// The cargo that runs us.
    pub(crate) fn cargo() -> Self {
        let mut this = Self::new(&std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
        this.shown = "cargo".to_owned();
        this
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        let arg = arg.as_ref();
        self.shown.push(' ');
        self.shown.push_str(&quoted(&arg.to_string_lossy()));
        self.command.arg(arg);
        self
    }

    pub(crate) fn args<A: AsRef<OsStr>>(self, args: impl IntoIterator<Item = A>) -> Self {
        args.into_iter().fold(self, Self::arg)
    }

    pub(crate) fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        let value = value.as_ref();
        self.shown = format!("{key}={} {}", quoted(&value.to_string_lossy()), self.shown);
        self.command.env(key, value);
        self
    }

    /// Starts in `dir`; to be called last, since it wraps what is shown so far.
    pub(crate) fn dir(mut self, dir: &Path) -> Self {
        self.shown = format!("(cd {} && {})", quoted(&dir.to_string_lossy()), self.shown);
        self.command.current_dir(dir);
        self
    }

    /// The command as one would type it.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// Prints the command.
    pub(crate) fn announce(&self) {
        println!("$ {}", self.shown);
    }

    /// Prints and runs the command with its output passed through; anything but exit code 0 is an error.
    pub(crate) fn run(mut self) -> Result<()> {
        self.announce();
        let status = self.command.status().with_context(|| format!("`{}` could not be started", self.shown))?;
        if !status.success() {
            bail!("`{}` ended with {status}", self.shown);
        }
        Ok(())
    }

    /// Runs the command silently: whether it succeeded, and everything that it printed.
    pub(crate) fn output(mut self) -> Result<(bool, String)> {
        let output = self.command.output().with_context(|| format!("`{}` could not be started", self.shown))?;
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        Ok((output.status.success(), text))
    }

    /// Runs the command silently for its standard output; anything but exit code 0 is an error.
    pub(crate) fn stdout(mut self) -> Result<String> {
        let output = self
            .command
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("`{}` could not be started", self.shown))?;
        if !output.status.success() {
            bail!("`{}` ended with {}", self.shown, output.status);
        }
        String::from_utf8(output.stdout)
            .with_context(|| format!("`{}` printed something that is not UTF-8", self.shown))
    }

    /// Whether the command can be started and succeeds; prints nothing.
    pub(crate) fn works(self) -> bool {
        self.output().is_ok_and(|(succeeded, _)| succeeded)
    }

    /// The standard library's command, for a caller who wires the streams differently.
    pub(crate) fn into_command(self) -> Command {
        self.command
    }
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,@+~".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        let shown = Process::cargo()
            .args(["doc", "--no-deps", "it's", ""])
            .env("RUSTDOCFLAGS", "-D warnings")
            .shown()
            .to_owned();
        assert_eq!(shown, r"RUSTDOCFLAGS='-D warnings' cargo doc --no-deps 'it'\''s' ''");
    }

    #[test]
    fn a_failing_command_is_an_error_that_names_it() {
        let error = Process::cargo().arg("no-such-command-here").run().unwrap_err();
        assert!(error.to_string().contains("`cargo no-such-command-here`"), "{error}");
    }

    #[test]
    fn a_missing_program_does_not_work() {
        assert!(!Process::new("no-such-program-anywhere").works());
        assert!(Process::cargo().arg("--version").works());
    }
}
