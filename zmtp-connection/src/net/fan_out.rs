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

    /// Wakes one of the two: what it waits for has been done by the other.
    pub(crate) fn wake_half(&self, half: Half) {
        let waker = self.wakers.lock().unwrap_or_else(PoisonError::into_inner)[half as usize].take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Wake for FanOut {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_half(Half::Sender);
        self.wake_half(Half::Receiver);
    }
}
