//! The core stays a function of octets and time, and judging peers for it needs no runtime.
#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files_in(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(src().join(folder)).expect("the folder is there");
    entries.map(|entry| entry.expect("the folder can be listed").path()).collect()
}

/// No line of code (comments aside) has any of the names.
fn assert_none_names(files: &[PathBuf], names: &[&str]) {
    for path in files {
        let source = fs::read_to_string(path).expect("a source file can be read");
        for (number, line) in source.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for name in names {
                assert!(!code.contains(name), "{}:{} names {name}", path.display(), number + 1);
            }
        }
    }
}

#[test]
fn the_core_names_no_runtime_no_io_and_no_clock() {
    let files = files_in("proto");
    assert!(files.len() >= 8, "only {files:?}");
    assert_none_names(&files, &["tokio", "std::io", "Instant", "SystemTime", "async ", ".await"]);
}

#[test]
fn judging_names_no_runtime_no_io_and_no_clock() {
    let mut files = files_in("auth");
    files.push(src().join("auth.rs"));
    assert!(files.len() >= 4, "only {files:?}");
    assert_none_names(&files, &["tokio", "std::io", "Instant", "SystemTime"]);
}
