//! Benches and foreign peers.
