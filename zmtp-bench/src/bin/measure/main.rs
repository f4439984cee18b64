//! Measures one contender in one situation, in a process of its own, and prints the figures as JSON.
//!
//! `cargo xtask bench` runs it many times, the contenders in turn, and makes a report of what it prints; BENCHMARKING.md
//! says what is measured and how a contender is added. A process for each measurement: nobody's threads, heap or processor time
//! are counted with anybody else's.
//!
//! ```text
//! measure list                                           who can do what
//! measure run --peer zmtp --mode batch,borrowed --scenario throughput --size 128
//! ```

mod contenders;
mod drive;
mod job;
mod meeting;
mod usage;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use serde_json::json;

/// Measures one contender in one situation and prints the figures as JSON.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The contenders that were compiled in, and what each can do.
    List,
    /// Measures one of them.
    Run(job::Args),
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::List => {
            let list: Vec<_> = contenders::all().iter().map(contenders::Contender::describe).collect();
            println!("{}", json!(list));
            Ok(())
        }
        Command::Run(args) => {
            let contender = contenders::all()
                .into_iter()
                .find(|contender| contender.peer == args.peer && contender.mode == args.mode)
                .with_context(|| format!("no contender {} with mode {}; see `measure list`", args.peer, args.mode))?;
            let figures = drive::measure(&contender, &args.job)?;
            println!("{}", json!(figures));
            // Whoever has threads and queues of its own may take its time to stop; nobody is waiting for that.
            std::process::exit(0)
        }
    }
}
