//! Benches of zmtp, and the foreign ZeroMQ implementations that benches and interoperability tests run against.
//!
//! Nothing here is published or part of the product. Every foreign implementation is a module of [`peers`] behind a
//! cargo feature of its own, none of them on by default:
//!
//! | feature | peer | needs |
//! |---|---|---|
//! | `libzmq` | libzmq 4.3.5 with CURVE from libsodium, draft API on | a C and C++ compiler, a shell and `make` |
//! | `omq` | the state machine of omq 0.37, with its own CURVE | Rust 1.93 |
//! | `omq-blake3` | the one of omq 0.22, the last with `BLAKE3` | Rust 1.93, a C compiler |
//!
//! A feature each, because each peer costs its own tools and build time, and because a peer that does not build
//! somewhere must not take the others with it. Sources come with the crates; no installed library is ever used, so that
//! the same lock file means the same peer on every machine.
//!
//! Three more modules serve the benches and tests of our own code: [`pair`], a connection without a socket, [`sessions`], a
//! mechanism without a connection, and [`alloc`], an allocator that counts.
//!
//! This is the one crate of the workspace with `unsafe` code: neither foreign functions nor an allocator can do without
//! it. All of it is below [`peers`], in [`alloc`] and in the build script.
#![warn(clippy::undocumented_unsafe_blocks)]

pub mod alloc;
pub mod pair;
pub mod peers;
pub mod sessions;
