//! `cargo xtask interop`: the interoperability tests alone.

use crate::ci;
use anyhow::Result;

pub(crate) fn run() -> Result<()> {
    ci::run(&ci::Args::only("interop"))
}
