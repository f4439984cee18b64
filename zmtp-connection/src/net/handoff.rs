//! A value behind one lock, and a letterbox for those who find it locked.
//!
//! The receiving half of a split connection has small things to send (the answer to a PING) through the writer that
//! the sending half owns for the moment. It never waits for the lock, since the other side may be in a system call:
//! it leaves its reply in a slot, and tries the lock. If that fails, whoever holds the lock serves the slot before
//! unlocking and looks again after, so no reply is left lying.

use core::ops::{Deref, DerefMut};

use super::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// What deals with a reply that was left in the slot.
pub(crate) trait Serve<R> {
    /// Adds a newer reply to one that still waits: the slot never holds more than one.
    fn merge(waiting: &mut R, newer: R);

    /// Called under the lock; must not block.
    fn serve(&mut self, reply: R);
}

/// A `T` behind a lock, with a slot for one `R`.
#[derive(Debug)]
pub(crate) struct Handoff<T, R> {
    value: Mutex<T>,
    slot: Mutex<Option<R>>,
}

impl<T: Serve<R>, R> Handoff<T, R> {
    pub(crate) fn new(value: T) -> Self {
        Self { value: Mutex::new(value), slot: Mutex::new(None) }
    }

    /// Waits for the lock. What is done under it is short and never awaits.
    pub(crate) fn lock(&self) -> Guard<'_, T, R> {
        let value = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        Guard { handoff: self, value: Some(value) }
    }

    /// Leaves `reply` to be served: now, or by whoever holds the value. Never waits for it.
    pub(crate) fn leave(&self, reply: R) {
        {
            let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
            match &mut *slot {
                Some(waiting) => T::merge(waiting, reply),
                None => *slot = Some(reply),
            }
        }
        // Unlocking serves the slot.
        drop(self.try_lock().map(|value| Guard { handoff: self, value: Some(value) }));
    }

    /// A panic under the lock (in somebody's stream) leaves nothing half done here, so it is passed over.
    fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.value.try_lock() {
            Ok(value) => Some(value),
            Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn take_reply(&self) -> Option<R> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The value, locked. Dropping it serves the slot.
#[derive(Debug)]
pub(crate) struct Guard<'a, T: Serve<R>, R> {
    handoff: &'a Handoff<T, R>,
    /// `None` only while it is dropped.
    value: Option<MutexGuard<'a, T>>,
}

impl<T: Serve<R>, R> Deref for Guard<'_, T, R> {
    type Target = T;

    #[expect(clippy::expect_used, reason = "the value leaves only in drop")]
    fn deref(&self) -> &T {
        self.value.as_ref().expect("the guard was not dropped")
    }
}

impl<T: Serve<R>, R> DerefMut for Guard<'_, T, R> {
    #[expect(clippy::expect_used, reason = "the value leaves only in drop")]
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("the guard was not dropped")
    }
}

impl<T: Serve<R>, R> Drop for Guard<'_, T, R> {
    fn drop(&mut self) {
        while let Some(mut value) = self.value.take() {
            while let Some(reply) = self.handoff.take_reply() {
                value.serve(reply);
            }
            drop(value);
            // Somebody may have left a reply between the last look and the unlocking.
            let waiting = self.handoff.slot.lock().unwrap_or_else(PoisonError::into_inner).is_some();
            if waiting {
                // If this fails, the new holder serves it.
                self.value = self.handoff.try_lock();
            }
        }
    }
}
