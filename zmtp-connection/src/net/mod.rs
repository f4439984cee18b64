//! The tokio shell: the sans-I/O core on a byte stream.

mod api;
mod clock;
mod connection;
mod fan_out;
#[cfg(feature = "futures")]
mod futures;
mod handoff;
mod handshake;
mod limiter;
mod linger;
mod outbox;
mod reader;
mod shared;
mod split;
mod streams;
mod sync;
pub(crate) mod trace;
mod turn;
mod writer;

pub use connection::{Connection, Permit};
pub use limiter::{HandshakeLimiter, HandshakePermit, Limited};
pub use outbox::{Flusher, Outbox};
pub use split::{Receiver, Sender};
pub use streams::{IntoSplit, Joined};
