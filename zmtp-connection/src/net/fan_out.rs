//! One waker for two tasks.

use std::sync::Arc;
use std::task::{Wake, Waker};

use super::sync::{Mutex, PoisonError};

/// The two who may wait for the same stream.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Half {
    Sender,
    Receiver,
}

/// Wakes both halves. A stream remembers only the waker that polled it last; with one for both, neither is forgotten.
#[derive(Debug, Default)]
pub(crate) struct FanOut {
    wakers: Mutex<[Option<Waker>; 2]>,
}

impl FanOut {
    /// Wakes `waker` next time, once. To be called before the stream is polled.
    pub(crate) fn register(&self, half: Half, waker: &Waker) {
        let mut wakers = self.wakers.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = &mut wakers[half as usize];
        match slot {
            Some(known) => known.clone_from(waker),
            None => *slot = Some(waker.clone()),
        }
    }
}

impl Wake for FanOut {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let wakers = std::mem::take(&mut *self.wakers.lock().unwrap_or_else(PoisonError::into_inner));
        for waker in wakers.into_iter().flatten() {
            waker.wake();
        }
    }
}
