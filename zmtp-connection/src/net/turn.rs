//! How much a connection does before other tasks get their turn.

use std::task::{Poll, Waker};

/// Octets moved in one turn: some hundred microseconds of work, beside which it costs nothing to be scheduled again.
const OCTETS: usize = 512 * 1024;
/// What a read or a write counts at least, however few octets it moves.
const LEAST: usize = 16 * 1024;

/// What is left of a task's turn, in one direction.
///
/// A peer that always has something to read, or always room, never makes us wait; then nobody else on the same thread would
/// run. tokio's own streams end a task's turn by themselves, after 128 reads or writes, which may be 100 MiB; others
/// never do. A turn ends between two reads or writes, so a message that is here already never waits for the next one.
#[derive(Debug)]
pub(crate) struct Turn {
    left: usize,
}

impl Turn {
    pub(crate) const fn new() -> Self {
        Self { left: OCTETS }
    }

    /// To be asked before a read or a write: pending when the turn is over, and then `next` is woken for another one.
    pub(crate) fn poll(&mut self, next: &Waker) -> Poll<()> {
        if self.left > 0 {
            return Poll::Ready(());
        }
        self.renew();
        next.wake_by_ref();
        Poll::Pending
    }

    /// A read or a write has moved so many octets.
    pub(crate) fn spend(&mut self, octets: usize) {
        self.left = self.left.saturating_sub(octets.max(LEAST));
    }

    /// The task waits for something else anyway.
    pub(crate) const fn renew(&mut self) {
        self.left = OCTETS;
    }
}
