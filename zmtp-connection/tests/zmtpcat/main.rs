//! The example program zmtpcat, run as a program: its command line, its output and its exit codes.
#![cfg(all(feature = "net", feature = "null"))]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod cat;
mod command_line;
mod endings;
mod failures;
mod lines;
mod patterns;
mod publishing;
mod raw;
