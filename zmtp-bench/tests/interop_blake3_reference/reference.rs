//! The reference at work: `peer.py` in a process of its own, which says in lines of JSON what happens to it.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

/// More than anything here takes on a machine that is busy with other things.
const LIMIT: Duration = Duration::from_secs(30);

/// Which Python has the libraries of the reference.
const PYTHON: &str = "ZMTP_REFERENCE_PYTHON";

/// Fails the test instead of hanging.
pub(crate) async fn within<F: Future>(what: &str, future: F) -> F::Output {
    timeout(LIMIT, future).await.unwrap_or_else(|_| panic!("{what} took longer than {LIMIT:?}"))
}

/// The process, which is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Reference {
    child: Child,
    /// Its lines. They are read at once, or else it would wait with its frames until there is room for more lines.
    events: UnboundedReceiver<String>,
}

/// Where we meet it, as often as its scenario has connections.
#[derive(Debug)]
pub(crate) enum Meeting {
    WeListen(TcpListener),
    ItListens(SocketAddr),
}

impl Meeting {
    pub(crate) async fn stream(&self) -> TcpStream {
        let stream = match self {
            Self::WeListen(listener) => within("its connection", listener.accept()).await.unwrap().0,
            Self::ItListens(address) => within("our connection", TcpStream::connect(address)).await.unwrap(),
        };
        stream.set_nodelay(true).unwrap();
        stream
    }
}

impl Reference {
    /// Starts it as `role` with `options`, separated by spaces.
    pub(crate) async fn start(we_listen: bool, role: &str, options: &str) -> (Self, Meeting) {
        if we_listen {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let port = listener.local_addr().unwrap().port();
            (Self::spawn("connect", port, role, options), Meeting::WeListen(listener))
        } else {
            let mut this = Self::spawn("listen", 0, role, options);
            let port = this.event("listening").await["port"].as_u64().unwrap();
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.try_into().unwrap()));
            (this, Meeting::ItListens(address))
        }
    }

    fn spawn(how: &str, port: u16, role: &str, options: &str) -> Self {
        let Some(python) = std::env::var_os(PYTHON) else {
            panic!(
                "the environment variable {PYTHON} is missing: it names a Python that has the libraries in \
                 zmtp-mechanism-blake3/tests/reference/requirements.txt; `cargo xtask interop` makes one and sets it"
            );
        };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../zmtp-mechanism-blake3/tests/reference/peer.py");
        let mut command = Command::new(&python);
        // -B: it leaves nothing behind in the source tree.
        command.arg("-B").arg(script).args([how, "127.0.0.1", &port.to_string(), role]);
        command.args(["--timeout", &LIMIT.as_secs().to_string()]).args(options.split_whitespace());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{python:?}, as {PYTHON} says: {error}"));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (put, events) = unbounded_channel();
        tokio::spawn(async move {
            while let Some(line) = lines.next_line().await.unwrap() {
                // Whoever is no longer interested has dropped the process too.
                let _ = put.send(line);
            }
        });
        Self { child, events }
    }

    async fn next(&mut self) -> Option<Value> {
        let line = within("an event of the reference", self.events.recv()).await;
        line.map(|line| serde_json::from_str(&line).unwrap())
    }

    /// The next event, which is of this kind.
    pub(crate) async fn event(&mut self, kind: &str) -> Value {
        let event = self.next().await.unwrap_or_else(|| panic!("{kind} was due, and it has ended"));
        assert_eq!(event["event"], kind, "{event}");
        event
    }

    /// All that happened since, when it has ended; and whether its scenario went as it should.
    pub(crate) async fn end(mut self) -> (Vec<Value>, bool) {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        let status = within("the end of the reference", self.child.wait()).await.unwrap();
        assert!(matches!(status.code(), Some(0 | 1)), "{status}: {events:?}");
        (events, status.success())
    }

    /// As [`end`](Self::end), of a scenario that went as it should.
    #[track_caller]
    pub(crate) fn success(self) -> impl Future<Output = Vec<Value>> {
        let caller = std::panic::Location::caller();
        async move {
            let (events, succeeded) = self.end().await;
            assert!(succeeded, "{caller}: {events:?}");
            events
        }
    }
}

/// The only one of these events that is of this kind.
pub(crate) fn the<'a>(kind: &str, events: &'a [Value]) -> &'a Value {
    let mut found = events.iter().filter(|event| event["event"] == kind);
    match (found.next(), found.next()) {
        (Some(event), None) => event,
        _ => panic!("one {kind} was due: {events:?}"),
    }
}

/// Lower-case hexadecimal, as in its events.
pub(crate) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// What it sends as a part of this size.
pub(crate) fn content(size: usize) -> Vec<u8> {
    (0..size).map(|at| (7 * at + size).to_le_bytes()[0]).collect()
}
