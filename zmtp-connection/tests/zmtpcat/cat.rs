//! One run of zmtpcat, and what it says.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// No test waits so long for anything unless it fails; the children are killed then.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running zmtpcat; killed when dropped.
pub(crate) struct Cat {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Receiver<Vec<u8>>,
    stderr: Receiver<Vec<u8>>,
    name: String,
}

/// A run that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<String>,
    pub(crate) stderr: Vec<String>,
}

fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let name = format!("zmtpcat{}", std::env::consts::EXE_SUFFIX);
    let path = test.parent().and_then(|deps| deps.parent()).unwrap().join("examples").join(name);
    assert!(path.exists(), "build it first: cargo build -p zmtp-connection --example zmtpcat");
    path
}

impl Cat {
    /// Starts `zmtpcat ARGS`; the arguments are separated by spaces.
    pub(crate) fn run(args: &str) -> Self {
        Self::with(&args.split_whitespace().collect::<Vec<_>>())
    }

    pub(crate) fn with(args: &[&str]) -> Self {
        let mut child = Command::new(program())
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        let stdout = lines(child.stdout.take().unwrap());
        let stderr = lines(child.stderr.take().unwrap());
        Self { child, stdin, stdout, stderr, name: args.join(" ") }
    }

    /// Starts a binder on a port of its own, and says at which endpoint it listens.
    pub(crate) fn bind(args: &str) -> (Self, String) {
        let cat = Self::run(&format!("--bind tcp://127.0.0.1:0 --events {args}"));
        let endpoint = cat.event("listening ");
        (cat, endpoint)
    }

    /// Starts a connector, and waits until it is ready.
    pub(crate) fn connect(endpoint: &str, args: &str) -> Self {
        let cat = Self::run(&format!("--connect {endpoint} --events {args}"));
        cat.event("ready ");
        cat
    }

    /// Starts a connector with all of its stdin.
    pub(crate) fn fed(endpoint: &str, args: &str, input: &str) -> Self {
        let mut cat = Self::run(&format!("--connect {endpoint} {args}"));
        cat.write(input.as_bytes());
        cat.close();
        cat
    }

    /// Writes to its stdin, which must be open.
    pub(crate) fn write(&mut self, input: &[u8]) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(input).and_then(|()| stdin.flush()).unwrap_or_else(|error| panic!("{}: {error}", self.name));
    }

    /// Writes to its stdin, and says whether anybody takes it.
    pub(crate) fn try_write(&mut self, input: &[u8]) -> bool {
        self.stdin.as_mut().is_some_and(|stdin| stdin.write_all(input).is_ok())
    }

    /// The number of its process.
    #[cfg(all(unix, feature = "zap"))]
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Ends its stdin.
    pub(crate) fn close(&mut self) {
        self.stdin = None;
    }

    /// Nobody reads its stdout any more.
    pub(crate) fn stop_reading(&mut self) {
        self.stdout = channel().1;
    }

    /// The next line of stdout.
    pub(crate) fn octets(&self) -> Vec<u8> {
        self.stdout.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("{}: no line: {error}", self.name))
    }

    pub(crate) fn line(&self) -> String {
        String::from_utf8(self.octets()).unwrap()
    }

    /// Waits for a line of stderr that begins so, and returns the rest of it.
    pub(crate) fn event(&self, start: &str) -> String {
        let mut seen = String::new();
        loop {
            let line = self.stderr.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|error| panic!("{}: no event {start:?}: {error}; {seen}", self.name));
            let line = String::from_utf8(line).unwrap();
            if let Some(rest) = line.strip_prefix(start) {
                return rest.to_owned();
            }
            seen.push_str(&line);
            seen.push('\n');
        }
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ended {
        self.stdin = None;
        let rest = |from: &Receiver<Vec<u8>>| {
            let mut all = Vec::new();
            loop {
                match from.recv_timeout(PATIENCE) {
                    Ok(line) => all.push(String::from_utf8_lossy(&line).into_owned()),
                    Err(RecvTimeoutError::Disconnected) => return all,
                    Err(RecvTimeoutError::Timeout) => panic!("{}: does not end", self.name),
                }
            }
        };
        let (stdout, stderr) = (rest(&self.stdout), rest(&self.stderr));
        // Both pipes are closed, so this is a matter of moments.
        let code = self.child.wait().unwrap().code();
        for line in &stderr {
            assert!(!line.contains("panicked"), "{}: {line}", self.name);
        }
        Ended { code, stdout, stderr }
    }

    /// Waits for its end without ending its stdin.
    pub(crate) fn end_by_itself(mut self) -> Ended {
        let stdin = self.stdin.take();
        let ended = self.end();
        drop(stdin);
        ended
    }

    #[cfg(unix)]
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Cat {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// That it ended with this code and wrote these lines.
    #[track_caller]
    pub(crate) fn expect(&self, code: i32, stdout: &[&str]) {
        assert_eq!(self.code, Some(code), "{:?}", self.stderr);
        assert_eq!(self.stdout, stdout, "{:?}", self.stderr);
    }

    /// That a line of stderr begins so.
    #[track_caller]
    pub(crate) fn expect_said(&self, start: &str) {
        assert!(self.stderr.iter().any(|line| line.starts_with(start)), "{start:?} is missing in {:?}", self.stderr);
    }
}

/// The lines that come out of a pipe, read by a thread as they come; the pipe is closed when nobody takes them.
fn lines(pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n') {
            let Ok(line) = line else { return };
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
