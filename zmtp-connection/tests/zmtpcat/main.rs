//! The example program zmtpcat, run as a program: its command line, its output and its exit codes.
#![cfg(all(feature = "net", feature = "null"))]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

#[cfg(feature = "blake3")]
mod blake3;
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
#[cfg(any(feature = "curve", feature = "blake3"))]
mod keys;
mod lines;
mod patterns;
#[cfg(feature = "plain")]
mod plain;
#[cfg(feature = "plain")]
mod plain_usage;
mod publishing;
mod raw;
#[cfg(any(feature = "curve", feature = "blake3"))]
mod relay;
#[cfg(feature = "zap")]
mod zap;
