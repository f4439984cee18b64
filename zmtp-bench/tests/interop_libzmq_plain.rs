//! Our connection (the tokio shell, mechanism PLAIN) against libzmq 4.3.5 over loopback TCP: libzmq as PLAIN server with us as
//! its client, and the other way round, each of them both listening and connecting.
//!
//! The conversations are those of `interop_libzmq`, with another `security` module:
//!
//! | module | shows |
//! |---|---|
//! | `pairs` | every valid pair of socket types, single and multipart, in both directions |
//! | `sizes` | every boundary of framing and buffering up to 16 MiB, octet by octet |
//! | `subscriptions` | SUBSCRIBE and CANCEL, JOIN and LEAVE, and that filters work |
//! | `heartbeats` | PING and PONG both ways |
//! | `identities` | routing by identity, properties both ways, many connections to one ROUTER |
//! | `limits` | what is too large for either side |
//! | `endings` | peers that go away, at any time |
//!
//! and what only PLAIN has:
//!
//! | module | shows |
//! |---|---|
//! | `plain_admission` | clients that are let in, refused, sent away or kept waiting, by us |
//! | `plain_zap` | the same by libzmq's ZAP handler, and what it is asked about us |
//! | `plain_refusals` | another mechanism, the same part twice, a wrong socket type, commands out of order |
//!
//! libzmq's PLAIN misspells ERROR since 4.3.0: its server sends `^RROR`, which our client takes for an ERROR, and its client
//! knows no other. The ERROR that we send as RFC 24 has it is an unexpected command to it. It does not come back all the
//! same; what differs is the event.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail tests")]

#[path = "interop_libzmq/endings.rs"]
mod endings;
#[path = "interop_libzmq/events.rs"]
mod events;
#[path = "interop_libzmq/heartbeats.rs"]
mod heartbeats;
#[path = "interop_libzmq/identities.rs"]
mod identities;
#[path = "interop_libzmq/limits.rs"]
mod limits;
#[path = "interop_libzmq/pairs.rs"]
mod pairs;
#[path = "interop_libzmq/payload.rs"]
mod payload;
#[path = "interop_libzmq/plain_admission.rs"]
mod plain_admission;
#[path = "interop_libzmq/plain_refusals.rs"]
mod plain_refusals;
#[path = "interop_libzmq/plain_zap.rs"]
mod plain_zap;
#[path = "interop_libzmq/raw.rs"]
#[expect(dead_code, reason = "some of it is for NULL")]
mod raw;
#[path = "interop_libzmq/security_plain.rs"]
mod security;
#[path = "interop_libzmq/sizes.rs"]
mod sizes;
#[path = "interop_libzmq/subscriptions.rs"]
mod subscriptions;
#[path = "interop_libzmq/tap.rs"]
mod tap;
#[path = "interop_libzmq/theirs.rs"]
mod theirs;
#[path = "interop_libzmq/zap_handler.rs"]
mod zap_handler;
