//! The example program zmtpcat, run as a program: its command line, its output and its exit codes.
#![cfg(all(feature = "net", feature = "null"))]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod cat;
mod command_line;
#[cfg(feature = "curve")]
mod curve;
#[cfg(feature = "curve")]
mod curve_usage;
mod endings;
mod failures;
#[cfg(feature = "zap")]
mod handler;
#[cfg(feature = "curve")]
mod keygen;
mod lines;
mod patterns;
#[cfg(feature = "plain")]
mod plain;
#[cfg(feature = "plain")]
mod plain_usage;
mod publishing;
mod raw;
#[cfg(feature = "curve")]
mod relay;
#[cfg(feature = "zap")]
mod zap;
