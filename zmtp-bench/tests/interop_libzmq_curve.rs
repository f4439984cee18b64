//! Our connection (the tokio shell, mechanism CURVE) against libzmq 4.3.5 over loopback TCP: libzmq as CURVE server with us as
//! its client, and the other way round, each of them both listening and connecting.
//!
//! The conversations are those of `interop_libzmq`, with another `security` module:
//!
//! | module | shows |
//! |---|---|
//! | `pairs` | every valid pair of socket types, single and multipart, in both directions |
//! | `sizes` | every boundary of framing and buffering up to 16 MiB, octet by octet |
//! | `subscriptions` | SUBSCRIBE and CANCEL, JOIN and LEAVE, all of them encrypted, and that filters work |
//! | `heartbeats` | PING and PONG both ways, encrypted |
//! | `identities` | routing by identity, properties both ways, many connections to one ROUTER |
//! | `limits` | what is too large for either side: theirs count the ciphertext, ours the payload |
//! | `endings` | peers that go away, at any time |
//!
//! `refusals` is not among them: it is about NULL's own greeting and READY. Its place is taken by what only CURVE has:
//!
//! | module | shows |
//! |---|---|
//! | `curve_keys` | who is who: the keys of both sides, several keys of one server, and what is to be seen on the way |
//! | `curve_refusals` | a wrong server key, another mechanism, the same part twice, a wrong socket type |
//! | `curve_admission` | clients that are let in, refused, sent away or kept waiting, by us |
//! | `curve_zap` | the same by libzmq's ZAP handler |
//!
//! Left out: messages encoded in advance (`EncodedMessage`), which an encrypted connection refuses to send.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail tests")]

#[path = "interop_libzmq/curve_admission.rs"]
mod curve_admission;
#[path = "interop_libzmq/curve_keys.rs"]
mod curve_keys;
#[path = "interop_libzmq/curve_refusals.rs"]
mod curve_refusals;
#[path = "interop_libzmq/curve_zap.rs"]
mod curve_zap;
#[path = "interop_libzmq/endings.rs"]
mod endings;
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
#[path = "interop_libzmq/security_curve.rs"]
mod security;
#[path = "interop_libzmq/sizes.rs"]
mod sizes;
#[path = "interop_libzmq/subscriptions.rs"]
mod subscriptions;
#[path = "interop_libzmq/tap.rs"]
mod tap;
#[path = "interop_libzmq/theirs.rs"]
mod theirs;
