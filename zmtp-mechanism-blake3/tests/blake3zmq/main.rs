//! The suite `BLAKE3`: its vectors octet for octet in both roles, and its weaknesses, so that what the documentation says
//! about them stays true.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

#[path = "../support/mod.rs"]
mod support;

mod data;
mod older_peers;
mod vectors;
mod weaknesses;
