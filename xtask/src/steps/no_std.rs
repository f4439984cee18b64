//! Step `no-std`: proves that the crates which promise it link neither std nor anything that does.
//!
//! `#![no_std]` in a crate says nothing about its dependencies, and where std is installed nobody notices. So:
//! - A program with a panic handler of its own (xtask/no-std-probe/probe.rs) links all of them on this machine. Were std below
//!   it, there would be two handlers. The step first makes sure that it would see that, with a crate that does use std.
//! - Where the target `thumbv7em-none-eabihf` is installed, which has no std at all, each crate is built for it too.

use super::{Context, Outcome, cargo};
use crate::matrix;
use crate::process::Process;
use crate::workspace::{self, Metadata};
use anyhow::{Context as _, Result, bail};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

const PROBE: &str = include_str!("../../no-std-probe/probe.rs");

const BARE_METAL: &str = "thumbv7em-none-eabihf";

/// What rustc (1.95) says when the probe depends on a crate that uses std:
/// ```text
/// error[E0152]: found duplicate lang item `panic_impl`
///   = note: the lang item is first defined in crate `std` (which `uses_std` depends on)
/// ```
const TWO_PANIC_HANDLERS: &str = "duplicate lang item `panic_impl`";

pub(super) fn run(_: &Context) -> Result<Outcome> {
    let packages: Vec<&str> = matrix::no_std_packages().collect();
    let dir = Metadata::read()?.target_dir()?.join("no-std-probe");

    fs::create_dir_all(dir.join("uses-std"))?;
    write(
        &dir.join("uses-std/Cargo.toml"),
        "[package]\nname = \"uses-std\"\nedition = \"2024\"\n[lib]\npath = \"lib.rs\"\n",
    )?;
    write(&dir.join("uses-std/lib.rs"), "pub use std::thread::sleep;\n")?;
    let control = build_probe(&dir.join("control"), &[Dependency { name: "uses-std", path: &dir.join("uses-std") }])?;
    let (linked, said) = control.output()?;
    if linked || !said.contains(TWO_PANIC_HANDLERS) {
        bail!("the probe would not notice a crate that uses std, so it proves nothing; it said:\n{said}");
    }
    println!("the probe refuses a crate that uses std, as it should");

    let paths: Vec<_> = packages.iter().map(|name| workspace::root().join(name)).collect();
    let dependencies: Vec<_> = packages.iter().zip(&paths).map(|(name, path)| Dependency { name, path }).collect();
    build_probe(&dir.join("probe"), &dependencies)?.run()?;
    println!("without std below them: {}", packages.join(", "));

    if !bare_metal_is_installed()? {
        return Ok(Outcome::PassedExcept(format!(
            "not built for {BARE_METAL}: that target is not installed (rustup target add {BARE_METAL})"
        )));
    }
    for package in packages {
        cargo(&["build", "--package", package, "--no-default-features", "--target", BARE_METAL]).run()?;
    }
    Ok(Outcome::Passed)
}

/// A crate to link into a probe.
struct Dependency<'a> {
    name: &'a str,
    path: &'a Path,
}

/// Writes the crate of a probe that links `dependencies`, and returns the command that builds it.
fn build_probe(dir: &Path, dependencies: &[Dependency<'_>]) -> Result<Process> {
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    write(&dir.join("Cargo.toml"), &manifest(dependencies)?)?;
    let name = |dependency: &Dependency<'_>| dependency.name.replace('-', "_");
    let uses = dependencies.iter().map(|dependency| format!("use {} as _;\n", name(dependency)));
    write(&dir.join("lib.rs"), &format!("{PROBE}\n{}", uses.collect::<String>()))?;
    // The versions that the workspace was tested with.
    fs::copy(workspace::root().join("Cargo.lock"), dir.join("Cargo.lock")).context("cannot copy Cargo.lock")?;
    let target = dir.parent().unwrap_or(dir).join("target");
    Ok(cargo(&["build"]).env("CARGO_TARGET_DIR", target).dir(dir))
}

fn manifest(dependencies: &[Dependency<'_>]) -> Result<String> {
    // A workspace of its own, since it lies within another; no unwinding, since only std knows how to.
    let mut manifest = "[package]\nname = \"no-std-probe\"\nedition = \"2024\"\n\n\
                        [lib]\npath = \"lib.rs\"\ncrate-type = [\"staticlib\"]\n\n\
                        [profile.dev]\npanic = \"abort\"\n\n\
                        [workspace]\n\n[dependencies]\n"
        .to_owned();
    for Dependency { name, path } in dependencies {
        // A debug-quoted path is a TOML string, backslashes and all.
        writeln!(manifest, "{name} = {{ path = {path:?}, default-features = false }}")?;
    }
    Ok(manifest)
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn bare_metal_is_installed() -> Result<bool> {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let asked = Process::new(&rustc).args(["--print", "target-libdir", "--target", BARE_METAL]);
    Ok(Path::new(asked.stdout()?.trim()).is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probe_depends_on_the_crates_without_their_default_features() {
        let path = Path::new("/src/zmtp-codec");
        let name = "zmtp-codec";
        let manifest = manifest(&[Dependency { name, path }]).unwrap();
        assert!(
            manifest
                .ends_with("[dependencies]\nzmtp-codec = { path = \"/src/zmtp-codec\", default-features = false }\n")
        );
    }
}
