//! Our connection (the tokio shell, mechanism NULL) against libzmq 4.3.5 over loopback TCP, in both roles.
//!
//! | module | shows |
//! |---|---|
//! | `pairs` | every valid pair of socket types, single and multipart, in both directions |
//! | `sizes` | every boundary of framing and buffering up to 16 MiB, octet by octet |
//! | `subscriptions` | SUBSCRIBE and CANCEL, JOIN and LEAVE, and that filters work |
//! | `heartbeats` | PING and PONG both ways, whole and split, idle, busy and deaf |
//! | `refusals` | wrong mechanism, wrong socket type, and who tries again afterwards |
//! | `null_zap` | who is let in, by our own verdict and by libzmq's ZAP handler |
//! | `identities` | routing by identity, properties both ways, many connections to one ROUTER |
//! | `limits` | what is too large for either side |
//! | `endings` | peers that go away, at any time |
//!
//! All but `refusals` and `null_zap` run once more under PLAIN, in `interop_libzmq_plain`, and under CURVE, in
//! `interop_libzmq_curve`.
//!
//! Every wait has a limit and an event that ends it. The heartbeat tests are the exception: a foreign library lives in real
//! time, so showing that it stays content for seconds takes those seconds.
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
#[path = "interop_libzmq/null_zap.rs"]
mod null_zap;
#[path = "interop_libzmq/pairs.rs"]
mod pairs;
#[path = "interop_libzmq/payload.rs"]
mod payload;
#[path = "interop_libzmq/raw.rs"]
mod raw;
#[path = "interop_libzmq/refusals.rs"]
mod refusals;
#[path = "interop_libzmq/security_null.rs"]
mod security;
#[path = "interop_libzmq/sizes.rs"]
mod sizes;
#[path = "interop_libzmq/subscriptions.rs"]
mod subscriptions;
#[path = "interop_libzmq/tap.rs"]
#[expect(dead_code, reason = "other mechanisms need all of it")]
mod tap;
#[path = "interop_libzmq/theirs.rs"]
mod theirs;
#[path = "interop_libzmq/zap_handler.rs"]
mod zap_handler;
