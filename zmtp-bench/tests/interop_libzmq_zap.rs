//! ZAP (RFC 27) between us and libzmq 4.3.5, over loopback TCP.
//!
//! | module | shows |
//! |---|---|
//! | `zap_asks` | our `ZapClient` asks a handler that is a REP or a ROUTER of libzmq's: about peers of ours under every mechanism, all verdicts, and handlers that are restarted or answer nonsense |
//! | `zap_serves` | our `serve` decides for servers of libzmq's, by way of a proxy from `inproc://zeromq.zap.01` |
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail tests")]

#[path = "interop_libzmq/events.rs"]
mod events;
#[path = "interop_libzmq/security_null.rs"]
#[expect(dead_code, reason = "the conversations use the rest")]
mod security;
#[path = "interop_libzmq/security_any.rs"]
mod security_any;
#[path = "interop_libzmq/theirs.rs"]
#[expect(dead_code, unused_imports, reason = "the conversations use the rest")]
mod theirs;
#[path = "interop_libzmq/zap_asks.rs"]
mod zap_asks;
#[path = "interop_libzmq/zap_serves.rs"]
mod zap_serves;
