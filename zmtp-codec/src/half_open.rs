//! How many clients may be half in at a time, for mechanisms whose servers keep something of them.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Counts the handshakes that a server has answered and that have not come to their end. Clones count together.
///
/// The bound is one for all peers; limits per address belong to who accepts connections.
#[derive(Clone, Debug)]
pub struct HalfOpen {
    count: Arc<AtomicUsize>,
    limit: usize,
}

impl HalfOpen {
    /// A bound of so many; with 0 nobody gets in.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { count: Arc::default(), limit }
    }

    /// A place among the half-open, until it is dropped; `None` when all are taken.
    ///
    /// Relaxed: the count guards no other memory.
    #[must_use]
    pub fn enter(&self) -> Option<HalfOpenGuard> {
        let more = |count: usize| (count < self.limit).then_some(count + 1);
        self.count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(HalfOpenGuard { count: Arc::clone(&self.count) })
    }

    /// How many there are at this moment.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

/// One place among the half-open, given back when it is dropped.
#[derive(Debug)]
pub struct HalfOpenGuard {
    count: Arc<AtomicUsize>,
}

impl Drop for HalfOpenGuard {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}
