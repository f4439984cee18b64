//! Step `tools`: says at the start, not an hour into the run, which tool is missing and where to get it.

use super::{Context, Outcome, cargo};
use crate::process::Process;
use anyhow::{Result, bail};

/// The cargo-deny that a run installs. Any recent one that is already there will do.
const CARGO_DENY: &str = "cargo-deny@0.20.2";

/// A tool, whether it is there, and how one gets it.
struct Tool {
    name: &'static str,
    wanted_by: &'static str,
    found: bool,
    advice: &'static str,
}

pub(super) fn run(context: &Context) -> Result<Outcome> {
    let tools = [
        Tool {
            name: "rustfmt",
            wanted_by: "fmt",
            found: cargo(&["fmt", "--version"]).works(),
            advice: "rustup component add rustfmt",
        },
        Tool {
            name: "clippy",
            wanted_by: "clippy",
            found: cargo(&["clippy", "--version"]).works(),
            advice: "rustup component add clippy",
        },
        Tool {
            name: "Rust 1.93",
            wanted_by: "interop",
            // omq-proto asks for it; the products themselves do with an older one.
            found: rust_minor().is_some_and(|minor| minor >= 93),
            advice: "rustup update stable",
        },
        Tool {
            name: "cargo-deny",
            wanted_by: "deny",
            found: cargo(&["deny", "--version"]).works(),
            advice: "cargo install --locked cargo-deny",
        },
        Tool {
            name: "a C++ compiler",
            wanted_by: "interop",
            found: compiler("CXX", &["c++", "g++", "clang++"]),
            advice: "the package g++ or clang (Xcode's command line tools, Visual Studio's build tools)",
        },
        Tool {
            name: "a C compiler",
            wanted_by: "interop",
            found: compiler("CC", &["cc", "gcc", "clang"]),
            advice: "the package gcc or clang (Xcode's command line tools, Visual Studio's build tools)",
        },
        Tool {
            name: "make",
            wanted_by: "interop",
            found: Process::new("make").arg("--version").works(),
            advice: "the package make",
        },
    ];
    let mut missing = Vec::new();
    for tool in tools {
        if tool.found {
            println!("found {} (for the step {})", tool.name, tool.wanted_by);
        } else if tool.name == "cargo-deny" && context.install_tools {
            install_cargo_deny()?;
        } else {
            println!("MISSING {} (for the step {}): {}", tool.name, tool.wanted_by, tool.advice);
            missing.push(tool.name);
        }
    }
    if !missing.is_empty() {
        bail!("missing: {}; see above how to get it", missing.join(", "));
    }
    Ok(Outcome::Passed)
}

/// The second number of rustc's version: 95 of `rustc 1.95.0 (…)`.
fn rust_minor() -> Option<u32> {
    let (_, said) = Process::new("rustc").arg("--version").output().ok()?;
    said.strip_prefix("rustc 1.")?.split('.').next()?.parse().ok()
}

/// Installs cargo-deny where `cargo install` always does, so that it outlives the checkout.
///
/// Unoptimised, it takes one minute instead of four on two cores to build, and a second longer to run.
fn install_cargo_deny() -> Result<()> {
    cargo(&["install", "--locked", CARGO_DENY])
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .run()
}

fn compiler(variable: &str, usual: &[&str]) -> bool {
    let works = |name: &str| Process::new(name).arg("--version").works();
    match std::env::var(variable) {
        // It may carry arguments, as in `ccache g++`.
        Ok(chosen) => chosen.split_whitespace().next().is_some_and(works),
        // Visual Studio's compiler is in nobody's PATH; the build script knows where to look.
        Err(_) => cfg!(windows) || usual.iter().copied().any(works),
    }
}
