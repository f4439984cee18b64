//! The core stays a function of octets and time.

use std::fs;
use std::path::Path;

/// No line of code in `src/proto` (comments aside) names a runtime, an I/O type or a clock.
#[test]
fn the_core_names_no_runtime_no_io_and_no_clock() {
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/proto");
    let mut files = 0;
    for entry in fs::read_dir(&proto).expect("src/proto is there") {
        let path = entry.expect("src/proto can be listed").path();
        let source = fs::read_to_string(&path).expect("a source file can be read");
        files += 1;
        for (number, line) in source.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for name in ["tokio", "std::io", "Instant", "SystemTime", "async ", ".await"] {
                assert!(!code.contains(name), "{}:{} names {name}", path.display(), number + 1);
            }
        }
    }
    assert!(files >= 8, "only {files} files were looked at");
}
