//! Lines and messages: stdin read when it is wanted, stdout written at once.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Write};
use std::sync::mpsc as blocking;

use bytes::Bytes;
use tokio::sync::mpsc;

/// What is read from stdin at once, in octets: as much as a pipe holds.
const BUFFER: usize = 64 << 10;

/// How a message is written as a line.
#[derive(Clone, Debug)]
pub(crate) struct Format {
    hex: bool,
    /// Empty: a line is one part.
    separator: Vec<u8>,
}

impl Format {
    pub(crate) fn new(hex: bool, separator: &str, single_part: bool) -> Self {
        Self { hex, separator: if single_part { Vec::new() } else { separator.into() } }
    }

    /// The parts that a line stands for: at least one.
    pub(crate) fn parse(&self, line: Vec<u8>) -> Result<Vec<Bytes>, String> {
        if self.hex {
            return line.split(|&octet| octet == b',').map(unhex).collect();
        }
        let line = Bytes::from(line);
        if self.separator.is_empty() {
            return Ok(vec![line]);
        }
        let mut parts = Vec::new();
        let mut start = 0;
        while let Some(at) = find(&line[start..], &self.separator) {
            parts.push(line.slice(start..start + at));
            start += at + self.separator.len();
        }
        parts.push(line.slice(start..));
        Ok(parts)
    }

    /// The line for a message, with its end.
    pub(crate) fn line(&self, parts: &[Bytes]) -> Vec<u8> {
        let mut line = Vec::with_capacity(parts.iter().map(|part| part.len() + 1).sum::<usize>() + 1);
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                line.extend_from_slice(if self.hex { b"," } else { &self.separator });
            }
            if self.hex {
                line.extend(part.iter().flat_map(|octet| [digit(octet >> 4), digit(octet & 15)]));
            } else {
                line.extend_from_slice(part);
            }
        }
        line.push(b'\n');
        line
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    if let [octet] = needle {
        return haystack.iter().position(|other| other == octet);
    }
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' + value - 10 }
}

fn unhex(text: &[u8]) -> Result<Bytes, String> {
    let value = |octet: &u8| char::from(*octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let octets: Option<Vec<u8>> = text
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(value(high)? << 4 | value(low)?),
            _ => None,
        })
        .collect();
    octets.map(Bytes::from).ok_or_else(|| format!("\"{}\" is not hex", text.escape_ascii()))
}

/// Stdin, read only when asked.
pub(crate) struct Lines {
    requests: blocking::Sender<()>,
    answers: mpsc::UnboundedReceiver<Vec<Vec<u8>>>,
    asked: bool,
    /// Lines that came in one read with one that was asked for.
    ahead: VecDeque<Vec<u8>>,
}

impl Lines {
    /// Starts the thread that waits for stdin; it cannot be interrupted, so it is a thread of its own.
    pub(crate) fn start() -> Self {
        let (requests, asked) = blocking::channel();
        let (answer, answers) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            let mut stdin = BufReader::with_capacity(BUFFER, io::stdin());
            while asked.recv().is_ok() {
                let mut lines: Vec<Vec<u8>> = read_line(&mut stdin).into_iter().collect();
                while !lines.is_empty() && stdin.buffer().contains(&b'\n') {
                    lines.extend(read_line(&mut stdin));
                }
                if answer.send(lines).is_err() {
                    return;
                }
            }
        });
        Self { requests, answers, asked: false, ahead: VecDeque::new() }
    }

    /// Asks for a line, unless one is there or asked for already.
    pub(crate) fn ask(&mut self) {
        if !self.asked && self.ahead.is_empty() {
            self.asked = self.requests.send(()).is_ok();
        }
    }

    /// Whether a line was asked for and has not come.
    pub(crate) const fn asked(&self) -> bool {
        self.asked
    }

    /// Waits for the line that was asked for; `false` at the end of stdin. Can be given up and called again.
    pub(crate) async fn fetch(&mut self) -> bool {
        let lines = self.answers.recv().await.unwrap_or_default();
        self.asked = false;
        self.ahead.extend(lines);
        !self.ahead.is_empty()
    }

    /// A line that has come.
    pub(crate) fn take(&mut self) -> Option<Vec<u8>> {
        self.ahead.pop_front()
    }
}

/// One line without its end; `None` at the end of stdin.
fn read_line(stdin: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    // An unreadable stdin is at its end.
    let read = stdin.read_until(b'\n', &mut line).unwrap_or(0);
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    (read > 0).then_some(line)
}

/// Writes one line to stdout, and says whether anybody still reads it.
pub(crate) fn print(line: &[u8]) -> bool {
    let mut stdout = io::stdout().lock();
    stdout.write_all(line).and_then(|()| stdout.flush()).is_ok()
}
