//! How many clients may be half in at a time.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Counts the handshakes that a server has answered with WELCOME and that have not come to their end.
#[derive(Clone, Debug)]
pub(crate) struct HalfOpen {
    count: Arc<AtomicUsize>,
    limit: usize,
}

impl HalfOpen {
    pub(crate) fn new(limit: usize) -> Self {
        Self { count: Arc::default(), limit }
    }

    /// A place among the half-open, until it is dropped; `None` when all are taken.
    ///
    /// Relaxed: the count guards no other memory.
    pub(crate) fn enter(&self) -> Option<HalfOpenGuard> {
        let more = |count: usize| (count < self.limit).then_some(count + 1);
        self.count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(HalfOpenGuard { count: Arc::clone(&self.count) })
    }

    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

/// One place among the half-open.
#[derive(Debug)]
pub(crate) struct HalfOpenGuard {
    count: Arc<AtomicUsize>,
}

impl Drop for HalfOpenGuard {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}
