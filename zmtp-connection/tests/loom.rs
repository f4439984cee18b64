//! What the halves of a split connection share, under every interleaving of their threads.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../src/net/fan_out.rs"]
mod fan_out;
#[path = "../src/net/handoff.rs"]
mod handoff;

/// Takes the place of the locks that the two modules name.
///
/// Loom lets other threads run before a lock is taken, and never between the last thing done under a lock and its
/// release; that moment matters here. So releasing is made a step of its own.
mod sync {
    use std::ops::{Deref, DerefMut};
    use std::sync::{LockResult, TryLockResult};
    pub(crate) use std::sync::{PoisonError, TryLockError};

    use loom::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T> {
        inner: loom::sync::Mutex<T>,
        releases: AtomicUsize,
    }

    #[derive(Debug)]
    pub(crate) struct MutexGuard<'a, T> {
        inner: loom::sync::MutexGuard<'a, T>,
        releases: &'a AtomicUsize,
    }

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self { inner: loom::sync::Mutex::new(value), releases: AtomicUsize::new(0) }
        }

        pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
            let inner = self.inner.lock().unwrap();
            Ok(MutexGuard { inner, releases: &self.releases })
        }

        pub(crate) fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
            let inner = self.inner.try_lock().map_err(|_| TryLockError::WouldBlock)?;
            Ok(MutexGuard { inner, releases: &self.releases })
        }
    }

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            &self.inner
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            &mut self.inner
        }
    }

    impl<T> Drop for MutexGuard<'_, T> {
        fn drop(&mut self) {
            // Others may run before this, while the lock is still held.
            self.releases.fetch_add(1, Ordering::SeqCst);
        }
    }
}

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use fan_out::{FanOut, Half};
use handoff::{Handoff, Serve};
use loom::thread;
use sync::Mutex;

/// Collects what it is served; replies are sets of bits.
#[derive(Debug, Default)]
struct Collector {
    served: u32,
    visits: u32,
}

impl Serve<u32> for Collector {
    fn merge(waiting: &mut u32, newer: u32) {
        *waiting |= newer;
    }

    fn serve(&mut self, reply: u32) {
        assert_eq!(self.served & reply, 0, "nothing is served twice");
        self.served |= reply;
    }
}

type Shared = loom::sync::Arc<Handoff<Collector, u32>>;

fn shared() -> Shared {
    Shared::new(Handoff::new(Collector::default()))
}

fn spawn(shared: &Shared, work: impl FnOnce(&Handoff<Collector, u32>) + Send + 'static) -> thread::JoinHandle<()> {
    let shared = Shared::clone(shared);
    thread::spawn(move || work(&shared))
}

/// What was served once all threads are done. Locking serves nothing by itself, only unlocking does.
fn served(shared: &Shared) -> u32 {
    shared.lock().served
}

#[test]
fn no_reply_is_left_lying_when_the_lock_is_held_meanwhile() {
    loom::model(|| {
        let shared = shared();
        let holder = spawn(&shared, |shared| shared.lock().visits += 1);
        shared.leave(1);
        holder.join().unwrap();
        assert_eq!(served(&shared), 1);
    });
}

#[test]
fn merged_replies_are_all_served() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let shared = shared();
        let holder = spawn(&shared, |shared| shared.lock().visits += 1);
        shared.leave(1);
        shared.leave(2);
        shared.leave(4);
        holder.join().unwrap();
        assert_eq!(served(&shared), 7);
    });
}

#[test]
fn two_holders_and_one_who_leaves_replies() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let shared = shared();
        let holders = [(); 2].map(|()| spawn(&shared, |shared| shared.lock().visits += 1));
        shared.leave(1);
        shared.leave(2);
        holders.into_iter().for_each(|holder| holder.join().unwrap());
        assert_eq!(served(&shared), 3);
        assert_eq!(shared.lock().visits, 2);
    });
}

#[test]
fn two_who_leave_replies_and_one_holder() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let shared = shared();
        let leaver = spawn(&shared, |shared| shared.leave(1));
        let holder = spawn(&shared, |shared| shared.lock().visits += 1);
        shared.leave(2);
        leaver.join().unwrap();
        holder.join().unwrap();
        assert_eq!(served(&shared), 3);
    });
}

/// A stream that becomes ready once, and remembers the last waker only.
#[derive(Debug, Default)]
struct Stream(Mutex<(bool, Option<Waker>)>);

impl Stream {
    fn poll(&self, waker: &Waker) -> bool {
        let mut state = self.0.lock().unwrap();
        if !state.0 {
            state.1 = Some(waker.clone());
        }
        state.0
    }

    fn make_ready(&self) {
        let waker = {
            let mut state = self.0.lock().unwrap();
            state.0 = true;
            state.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// A task, as far as it can be woken.
#[derive(Debug, Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Polls the stream as one half does. False if the half now waits.
fn poll_as(half: Half, stream: &Stream, fan_out: &Arc<FanOut>, bell: &Arc<Bell>) -> bool {
    fan_out.register(half, &Waker::from(Arc::clone(bell)));
    stream.poll(&Waker::from(Arc::clone(fan_out)))
}

#[test]
fn neither_half_is_forgotten_when_the_stream_takes_more() {
    loom::model(|| {
        let (stream, fan_out) = (Arc::new(Stream::default()), Arc::new(FanOut::default()));
        let bells = [Arc::new(Bell::default()), Arc::new(Bell::default())];
        let sender = {
            let (stream, fan_out, bell) = (Arc::clone(&stream), Arc::clone(&fan_out), Arc::clone(&bells[0]));
            thread::spawn(move || poll_as(Half::Sender, &stream, &fan_out, &bell))
        };
        let peer = {
            let stream = Arc::clone(&stream);
            thread::spawn(move || stream.make_ready())
        };
        let receiver_done = poll_as(Half::Receiver, &stream, &fan_out, &bells[1]);
        let sender_done = sender.join().unwrap();
        peer.join().unwrap();
        for (done, bell) in [(sender_done, &bells[0]), (receiver_done, &bells[1])] {
            assert!(done || bell.0.load(Ordering::SeqCst) > 0, "a half waits that nobody will wake");
        }
    });
}
