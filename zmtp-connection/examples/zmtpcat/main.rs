//! zmtpcat: netcat for ZMTP. Talks to any ZeroMQ endpoint, a line of stdin for a message and a message for a line of
//! stdout.
//!
//! ```text
//! printf 'hello\n' | zmtpcat --connect tcp://127.0.0.1:5555 -t REQ      ask once, print the answer, end
//! zmtpcat --bind tcp://127.0.0.1:5555 -t REP --echo                     an echo service
//! zmtpcat --connect tcp://feed:5556 -t SUB --subscribe weather. -n 10   print ten publications, end
//! zmtpcat keygen --out server                                           make keys, then serve whoever knows ours
//! zmtpcat --bind 'tcp://*:5558' -t PULL --mechanism curve --secret-key-file server.key_secret
//! zmtpcat --bind ipc:///run/feed -t PUB --mechanism plain --zap ipc:///run/zap    let in whom a ZAP handler lets in
//! ```
//!
//! It is a plain user of the library: one task per peer ([`peer`]), and one that decides who gets what ([`engine`]).

mod args;
mod endpoint;
mod engine;
mod events;
mod keygen;
#[cfg(any(feature = "curve", feature = "blake3"))]
mod keys;
mod lines;
mod pattern;
mod peer;
#[cfg(feature = "plain")]
mod plain;
#[cfg(any(feature = "curve", feature = "blake3", feature = "plain"))]
mod secret_file;
mod security;
mod serve;
mod table;
#[cfg(feature = "zap")]
mod zap;

use std::process::exit;

use clap::Parser;

use crate::args::{Action, Args};

/// How the program ends; part of its interface.
mod code {
    /// All done, or told to stop.
    pub(crate) const DONE: i32 = 0;
    /// A handshake failed, a peer broke the protocol, or work was left undone.
    pub(crate) const FAILED: i32 = 1;
    /// The command line or a line of input makes no sense, or names what is not built in.
    pub(crate) const USAGE: i32 = 2;
}

fn main() {
    let mut args = Args::parse();
    if let Some(Action::Keygen(args)) = args.action.take() {
        exit(keygen::run(args));
    }
    let settings = match args.check() {
        Ok(settings) => settings,
        Err(problem) => {
            events::say(format_args!("zmtpcat: {problem}"));
            exit(code::USAGE);
        }
    };
    for warning in &settings.warnings {
        events::say(format_args!("zmtpcat: warning: {warning}"));
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            events::say(format_args!("zmtpcat: no runtime: {error}"));
            exit(code::FAILED);
        }
    };
    // `exit` rather than a return: a thread may still be waiting for stdin, and nobody waits for it.
    exit(runtime.block_on(serve::run(settings)));
}
