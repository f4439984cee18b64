//! The program `measure`: built with whoever can be built, and started once for each measurement.

use super::contender::Contender;
use super::contest::Figures;
use super::situation::Situation;
use crate::bench::PACKAGE;
use crate::process::Process;
use anyhow::{Context as _, Result};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// Others who take part; each is a feature of the same name.
pub(super) const PEERS: [&str; 5] = ["libzmq", "omq-tokio", "monocoque", "zeromq", "rzmq"];

/// Nothing here takes as long: who is not done by then hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// The built program.
#[derive(Debug)]
pub(crate) struct Program {
    path: PathBuf,
}

impl Program {
    /// Builds it below `target` with `peers`, or with those of them that build; the names of the others come with it.
    pub(crate) fn build<'a>(peers: &[&'a str], target: &Path) -> Result<(Self, Vec<&'a str>)> {
        let (built, left_out) = match build(peers) {
            Ok(()) => (peers.to_vec(), Vec::new()),
            Err(_) if !peers.is_empty() => {
                println!("not with all of them: each alone, to see who does not build");
                peers.iter().partition(|peer| build(&[**peer]).is_ok())
            }
            Err(error) => return Err(error),
        };
        if !left_out.is_empty() {
            build(&built)?;
        }
        let name = format!("measure{}", std::env::consts::EXE_SUFFIX);
        Ok((Self { path: target.join("release").join(name) }, left_out))
    }

    /// Who was compiled in.
    pub(crate) fn contenders(&self) -> Result<Vec<Contender>> {
        let list = self.process().arg("list").stdout()?;
        serde_json::from_str(&list).context("`measure list` printed something else than a list of contenders")
    }

    /// Measures one contender for about `time`; an error is one line.
    pub(crate) fn measure(
        &self,
        contender: &Contender,
        situation: &Situation,
        time: Duration,
    ) -> Result<Figures, String> {
        let milliseconds = time.as_millis().to_string();
        let process = self.process().args(arguments(contender, situation)).args(["--time", &milliseconds]);
        let printed = answer(process, PATIENCE)?;
        serde_json::from_str(&printed).map_err(|error| format!("printed no figures: {error}"))
    }

    /// Moves a number of messages, below another program that watches.
    pub(crate) fn watched(
        &self,
        watcher: Process,
        contender: &Contender,
        situation: &Situation,
        messages: u64,
    ) -> Result<(), String> {
        let process = watcher.arg(&self.path).args(arguments(contender, situation));
        answer(process.args(["--messages", &messages.to_string()]), PATIENCE).map(drop)
    }

    fn process(&self) -> Process {
        Process::new(&self.path.to_string_lossy())
    }
}

fn build(peers: &[&str]) -> Result<()> {
    let features = std::iter::once("measure").chain(peers.iter().copied()).collect::<Vec<_>>().join(",");
    let arguments = ["build", "--release", "--package", PACKAGE, "--bin", "measure", "--features", &features];
    Process::cargo().args(arguments).run()
}

fn arguments(contender: &Contender, situation: &Situation) -> Vec<String> {
    let whom = ["run", "--peer", &contender.peer, "--mode", &contender.mode].map(str::to_owned);
    whom.into_iter().chain(situation.arguments()).collect()
}

/// What the process prints; an error is the first line of what it complains about. Who is not done in time is ended.
fn answer(process: Process, patience: Duration) -> Result<String, String> {
    let mut command = process.into_command();
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("could not be started: {error}"))?;
    let (printed, complaints) = (gather(child.stdout.take()), gather(child.stderr.take()));
    let deadline = Instant::now() + patience;
    let by_then = |stream: Receiver<String>| stream.recv_timeout(deadline - Instant::now().min(deadline));
    let (Ok(printed), Ok(complaints)) = (by_then(printed), by_then(complaints)) else {
        end(&mut child);
        return Err(format!("not done within {} s", patience.as_secs_f64()));
    };
    let status = child.wait().map_err(|error| format!("was lost: {error}"))?;
    if status.success() {
        return Ok(printed);
    }
    let first = complaints.lines().map(str::trim).find(|line| !line.is_empty());
    Err(first.map_or_else(|| status.to_string(), |line| line.trim_start_matches("Error: ").to_owned()))
}

/// Reads a stream to its end, on a thread: a full pipe would stop who writes it.
fn gather(stream: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (done, all) = mpsc::channel();
    thread::spawn(move || {
        let mut octets = Vec::new();
        if let Some(mut stream) = stream {
            // A stream that breaks ends there; how the child fared is for its exit code to say.
            let _ = stream.read_to_end(&mut octets);
        }
        let _ = done.send(String::from_utf8_lossy(&octets).into_owned());
    });
    all
}

fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str, patience: Duration) -> Result<String, String> {
        answer(Process::new("sh").args(["-c", script]), patience)
    }

    #[test]
    fn an_answer_is_what_is_printed() {
        assert_eq!(shell("echo figures; echo warning >&2", PATIENCE).unwrap(), "figures\n");
    }

    #[test]
    fn a_failure_is_the_first_line_of_the_complaint() {
        assert_eq!(shell("echo; (echo; echo 'Error: gone'; echo why) >&2; exit 1", PATIENCE).unwrap_err(), "gone");
        assert_eq!(shell("exit 3", PATIENCE).unwrap_err(), "exit status: 3");
        assert!(shell("kill -9 $$", PATIENCE).unwrap_err().contains("signal: 9"));
    }

    #[test]
    fn who_hangs_is_ended() {
        let begun = Instant::now();
        let failure = shell("exec sleep 600", Duration::from_millis(50)).unwrap_err();
        assert_eq!(failure, "not done within 0.05 s");
        assert!(begun.elapsed() < PATIENCE);
    }
}
