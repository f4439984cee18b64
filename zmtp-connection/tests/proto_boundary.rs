//! The core stays a function of octets and time, and judging peers for it needs no runtime.
#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The files in a folder and in those below it.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder is there");
    let paths = entries.map(|entry| entry.expect("the folder can be listed").path());
    paths.flat_map(|path| if path.is_dir() { files_in(&path) } else { vec![path] }).collect()
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
    let files = files_in(&src().join("proto"));
    assert!(files.len() >= 8, "only {files:?}");
    assert_none_names(&files, &["tokio", "std::io", "Instant", "SystemTime", "async ", ".await"]);
}

#[test]
fn judging_names_no_runtime_no_io_and_no_clock() {
    let mut files = files_in(&src().join("auth"));
    files.push(src().join("auth.rs"));
    assert!(files.len() >= 4, "only {files:?}");
    assert_none_names(&files, &["tokio", "std::io", "Instant", "SystemTime"]);
}
