//! The sans-I/O core: a connection as a pure function of octets and time.
//!
//! ```text
//! octets in ──► Establish ──► Established ─┬─► Decoder ──► messages, commands, heartbeats
//!                                          └─► Encoder ◄── messages, commands ──► octets out
//! ```
//!
//! Nothing here does I/O, reads a clock or names a runtime. Use it to put ZMTP on something that is not a tokio
//! stream; everybody else wants [`Connection`](crate::Connection).

mod decoder;
mod encoder;
mod establish;
mod heartbeat;
mod input;
mod large;
mod message_ref;
mod pattern;
mod queue;

pub use decoder::{Decoded, DecodedFrame, Decoder};
pub use encoder::Encoder;
pub use establish::{Authorize, Establish, Established, Failure, Outcome};
pub use heartbeat::{Heartbeat, HeartbeatAction};
pub use large::LARGE_BODY;
pub use message_ref::MessageRef;
pub use queue::Chunks;
