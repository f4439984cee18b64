//! An allocator that counts what the current thread allocates.
//!
//! Allocations repeat exactly where times do not, so they are what a test asserts: that the steady state allocates
//! nothing, and that nobody is made to reserve memory by a length that was merely announced.
//!
//! ```
//! use zmtp_bench::alloc::{CountingAllocator, measure};
//!
//! #[global_allocator]
//! static ALLOCATOR: CountingAllocator = CountingAllocator;
//!
//! let (octets, counts) = measure(|| vec![0u8; 1000]);
//! assert_eq!((counts.allocations, counts.live), (1, 1000));
//! drop(octets);
//! ```

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

/// The system's allocator, with counters for each thread.
///
/// To be declared as `#[global_allocator]` by the test binary that measures. Costs some nanoseconds per allocation, so
/// it has no place in a bench.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "a global allocator is written down as a constant")]
pub struct CountingAllocator;

/// What a thread has allocated, over a stretch of its work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Calls that asked for memory: allocations, and reallocations whether or not they moved.
    pub allocations: u64,
    /// Octets asked for: whole sizes of allocations, and the growth of reallocations.
    pub bytes: u64,
    /// Octets that are still allocated, less those that already were: negative where more was freed than allocated.
    pub live: i64,
    /// The highest that `live` has been: at least zero.
    ///
    /// A reallocation counts with the larger of its two sizes. Where the system cannot grow the memory in place, both
    /// exist for a moment.
    pub peak: i64,
}

thread_local! {
    /// Constant and without a destructor, so that the allocator may use it at any time of a thread's life.
    static COUNTS: Cell<Counts> = const { Cell::new(Counts { allocations: 0, bytes: 0, live: 0, peak: 0 }) };
}

/// Runs `work` and counts what this thread allocates meanwhile. What `work` returns is still live when it is counted.
///
/// Measurements may be nested. What other threads do is not seen, and memory that one thread allocates and another
/// one frees stays in both their counts: keep to one thread.
///
/// # Panics
/// If [`CountingAllocator`] is not the program's global allocator: every count would be zero, and a test that asserts
/// "no allocations" would prove nothing.
pub fn measure<T>(work: impl FnOnce() -> T) -> (T, Counts) {
    let probe = COUNTS.get().allocations;
    drop(black_box(Box::new(0u8)));
    assert!(COUNTS.get().allocations > probe, "CountingAllocator is not the global allocator of this program");

    let before = COUNTS.get();
    COUNTS.set(Counts { peak: before.live, ..before });
    let result = work();
    let after = COUNTS.get();
    COUNTS.set(Counts { peak: after.peak.max(before.peak), ..after });
    let counts = Counts {
        allocations: after.allocations - before.allocations,
        bytes: after.bytes - before.bytes,
        live: after.live - before.live,
        peak: after.peak - before.live,
    };
    (result, counts)
}

/// Octets that this thread has allocated and not freed, since it began: for looking at a course of events from within
/// a measurement. Only differences mean anything.
#[must_use]
pub fn live() -> i64 {
    COUNTS.get().live
}

/// Counts one call. A thread that is being torn down has no counters left, which is no reason to fail.
fn count(allocations: u64, grown: usize, shrunk: usize) {
    let _ = COUNTS.try_with(|counts| {
        let mut now = counts.get();
        now.allocations += allocations;
        now.bytes += grown as u64;
        // No allocation is larger than isize::MAX.
        now.live += grown.cast_signed() as i64 - shrunk.cast_signed() as i64;
        now.peak = now.peak.max(now.live);
        counts.set(now);
    });
}

// SAFETY: every method hands its arguments to the system's allocator, which upholds the contract, and returns what that
// returned. Counting neither allocates nor unwinds: the counters are plain constants of the thread, and at a billion
// octets a second their 64 bits last for centuries.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size(), 0);
        // SAFETY: the caller upholds the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size(), 0);
        // SAFETY: the caller upholds the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(1, new_size.saturating_sub(layout.size()), layout.size().saturating_sub(new_size));
        // SAFETY: the caller upholds the contract of `realloc`; `ptr` came from the system's allocator, like every
        // pointer that we return.
        unsafe { System.realloc(ptr, layout, new_size) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(0, 0, layout.size());
        // SAFETY: the caller upholds the contract of `dealloc`; `ptr` came from the system's allocator.
        unsafe { System.dealloc(ptr, layout) }
    }
}
