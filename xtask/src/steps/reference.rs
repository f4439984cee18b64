//! The reference of BLAKE3-CHACHAPOLY in Python: an environment with its libraries, and its own checks.

use crate::process::Process;
use crate::workspace;
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};

/// The test target that talks to it.
pub(super) const TARGET: &str = "interop_blake3_reference";

/// Tells the tests which Python has the libraries.
pub(super) const PYTHON: &str = "ZMTP_REFERENCE_PYTHON";

/// What its libraries ask for, and how to get it.
const NEEDED: &str = "Python 3.11 or newer as `python3`, with venv (on Debian the package python3-venv)";

/// Whether there is a Python from which an environment can be made.
fn has_python() -> bool {
    let check = "import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))";
    Process::new(system_python()).args(["-c", check]).works()
}

/// The Python of an environment in the target folder with exactly the libraries in `requirements.txt`; made if there is none,
/// and made again when that file has changed.
pub(super) fn python(target: &Path) -> Result<PathBuf> {
    let requirements = folder().join("requirements.txt");
    let wanted = fs::read_to_string(&requirements).with_context(|| format!("{}", requirements.display()))?;
    let environment = target.join("blake3-reference");
    let python = environment.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    // Written last: an environment without it is not whole.
    let installed = environment.join("installed.txt");
    if fs::read_to_string(&installed).is_ok_and(|found| found == wanted) && run(&python).arg("--version").works() {
        println!("found the Python libraries of the reference in {}", environment.display());
        return Ok(python);
    }
    println!("making a virtual environment for the Python libraries of the reference in {}", environment.display());
    if !has_python() {
        bail!("it needs {NEEDED}");
    }
    Process::new(system_python()).args(["-m", "venv", "--clear"]).arg(&environment).run()?;
    let pip = run(&python).args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]);
    pip.arg(&requirements).run().with_context(|| {
        format!(
            "the libraries in {} could not be installed: pip needs a package index, or a folder with them (PIP_FIND_LINKS)",
            requirements.display()
        )
    })?;
    fs::write(&installed, wanted).with_context(|| format!("{}", installed.display()))?;
    Ok(python)
}

/// Its self-checks; one of them makes the committed vectors again and compares.
pub(super) fn check(python: &Path) -> Result<()> {
    // -B: nothing is left behind in the source tree.
    run(python).arg("-B").arg(folder().join("test_reference.py")).arg("--quick").run()
}

fn folder() -> PathBuf {
    workspace::root().join("zmtp-mechanism-blake3/tests/reference")
}

fn run(python: &Path) -> Process {
    Process::new(&python.to_string_lossy())
}

const fn system_python() -> &'static str {
    if cfg!(windows) { "python" } else { "python3" }
}
