//! The floor: the same frames through a blocking socket, moved by hand, without handshake or limits.

use super::{Contender, Kind};
use crate::drive::{End, Over};
use crate::job::{Job, Mechanism, Role, Scenario, Transport};
use crate::meeting::{Address, Meeting};
use anyhow::{Context as _, Result, bail};
use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
#[cfg(unix)]
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Instant;

/// Octets in one read.
const READ: usize = 64 * 1024;

pub(super) fn contenders() -> Vec<Contender> {
    // Writes of so many octets; and in the last, an allocation and a copy for each message that is received.
    let modes = ["1 MiB writes", "512 KiB writes", "256 KiB writes", "64 KiB writes", "1 MiB writes,copied"];
    let contender = |mode| Contender {
        peer: "bare socket",
        version: String::new(),
        mode,
        kind: Kind::Bare,
        scenarios: if mode == modes[0] {
            &[Scenario::Throughput, Scenario::RoundTrip]
        } else {
            &[Scenario::Throughput]
        },
        mechanisms: &[Mechanism::Null],
        transports: Transport::HERE,
        connections: 1,
        open,
    };
    modes.into_iter().map(contender).collect()
}

fn open(job: &Job, mode: &'static str, role: Role, meeting: &Meeting) -> Result<End> {
    let stream = if role.binds() { accept(meeting)? } else { connect(meeting)? };
    let payload = vec![7; job.size];
    let mut writer = Writer::new(mode);
    let mut reader = Reader::new(mode, job.size);
    let mut io = stream;
    Ok(match role {
        Role::Send => Box::new(move |count, _: &Over| {
            for _ in 0..count {
                writer.frame(&mut io, &payload)?;
            }
            writer.flush(&mut io)?;
            Ok(Vec::new())
        }),
        Role::Receive => Box::new(move |count, _| {
            reader.frames(&mut io, count)?;
            Ok(Vec::new())
        }),
        Role::Ask => Box::new(move |count, _| {
            let mut took = Vec::new();
            for _ in 0..count {
                let begun = Instant::now();
                writer.frame(&mut io, &payload)?;
                writer.flush(&mut io)?;
                reader.frames(&mut io, 1)?;
                took.push(u64::try_from(begun.elapsed().as_nanos())?);
            }
            Ok(took)
        }),
        Role::Echo => Box::new(move |count, _| {
            for _ in 0..count {
                reader.frames(&mut io, 1)?;
                writer.frame(&mut io, &payload)?;
                writer.flush(&mut io)?;
            }
            Ok(Vec::new())
        }),
        Role::Publish | Role::Subscribe | Role::Visit | Role::Host => bail!("a bare socket is not asked to {role:?}"),
    })
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

fn accept(meeting: &Meeting) -> Result<Box<dyn Stream>> {
    match meeting.address() {
        Address::Tcp(address) => {
            let listener = TcpListener::bind(address)?;
            meeting.announce();
            let (stream, _) = listener.accept()?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream))
        }
        #[cfg(unix)]
        Address::Unix(path) => {
            let listener = UnixListener::bind(path)?;
            meeting.announce();
            Ok(Box::new(listener.accept()?.0))
        }
        #[cfg(not(unix))]
        Address::Unix(_) => bail!("there are no Unix sockets here"),
    }
}

fn connect(meeting: &Meeting) -> Result<Box<dyn Stream>> {
    meeting.wait();
    match meeting.address() {
        Address::Tcp(address) => {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream))
        }
        #[cfg(unix)]
        Address::Unix(path) => Ok(Box::new(UnixStream::connect(path)?)),
        #[cfg(not(unix))]
        Address::Unix(_) => bail!("there are no Unix sockets here"),
    }
}

/// Frames in a row, written out when there are enough of them.
struct Writer {
    buffer: Vec<u8>,
    enough: usize,
}

impl Writer {
    fn new(mode: &str) -> Self {
        let enough = match mode {
            "64 KiB writes" => 64 * 1024,
            "256 KiB writes" => 256 * 1024,
            "512 KiB writes" => 512 * 1024,
            _ => 1024 * 1024,
        };
        Self { buffer: Vec::with_capacity(enough), enough }
    }

    #[inline]
    fn frame(&mut self, io: &mut dyn Stream, payload: &[u8]) -> Result<()> {
        if let Ok(short) = u8::try_from(payload.len()) {
            self.buffer.extend_from_slice(&[0, short]);
        } else {
            self.buffer.push(2);
            self.buffer.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
        self.buffer.extend_from_slice(payload);
        if self.buffer.len() >= self.enough { self.flush(io) } else { Ok(()) }
    }

    fn flush(&mut self, io: &mut dyn Stream) -> Result<()> {
        io.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

/// Octets as they come, and how far they were looked at.
struct Reader {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    copies: bool,
}

impl Reader {
    fn new(mode: &str, size: usize) -> Self {
        // A frame that has begun anywhere in one read ends within the buffer.
        Self { buffer: vec![0; 2 * READ + size], start: 0, end: 0, copies: mode.ends_with("copied") }
    }

    fn frames(&mut self, io: &mut dyn Stream, count: u64) -> Result<()> {
        let mut missing = count;
        loop {
            while missing > 0 {
                let Some(body) = self.next() else { break };
                let body = &self.buffer[body];
                if self.copies {
                    black_box(body.to_vec());
                } else {
                    black_box(body);
                }
                missing -= 1;
            }
            if missing == 0 {
                return Ok(());
            }
            self.fill(io)?;
        }
    }

    #[inline]
    fn next(&mut self) -> Option<std::ops::Range<usize>> {
        let octets = self.buffer.get(self.start..self.end)?;
        let (header, len) = match octets {
            [0, len, ..] => (2, usize::from(*len)),
            [2, rest @ ..] => (9, usize::try_from(u64::from_be_bytes(*rest.first_chunk()?)).ok()?),
            _ => return None,
        };
        let body = self.start + header..self.start + header + len;
        if body.end > self.end {
            return None;
        }
        self.start = body.end;
        Some(body)
    }

    fn fill(&mut self, io: &mut dyn Stream) -> Result<()> {
        if self.buffer.len() - self.end < READ {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let most = (self.end + READ).min(self.buffer.len());
        let count = io.read(&mut self.buffer[self.end..most])?;
        (count > 0).then_some(()).context("the other end is gone")?;
        self.end += count;
        Ok(())
    }
}
