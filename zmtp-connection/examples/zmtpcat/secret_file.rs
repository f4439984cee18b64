//! Secrets out of files, since arguments are visible to others on the machine.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

/// Reads up to `limit` octets, once, so that they may come out of a pipe.
pub(crate) fn read(path: &Path, limit: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    // The buffer never grows, which would leave a copy behind.
    let mut octets = Zeroizing::new(Vec::with_capacity(limit));
    File::open(path)?.take(limit as u64).read_to_end(&mut octets)?;
    Ok(octets)
}
