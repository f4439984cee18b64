//! Developer tasks of the zmtp workspace, run as `cargo xtask COMMAND`.
//!
//! This file only dispatches. Each command lives in the file of its name; the steps of `ci` live in `steps/`.
#![forbid(unsafe_code)]

mod bench;
mod ci;
mod interop;
mod matrix;
mod process;
mod steps;
mod table;
mod workspace;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Developer tasks of the zmtp workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, disable_version_flag = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run every check that a change has to pass.
    Ci(ci::Args),
    /// Run the benches, then print and plot the medians.
    Bench(bench::Args),
    /// Run the interoperability tests against the real libzmq and omq (the `interop` step of `ci`).
    Interop,
    /// Show which crates are checked with which features.
    Matrix(matrix::Args),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Ci(args) => ci::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Interop => interop::run(),
        Command::Matrix(args) => matrix::run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
