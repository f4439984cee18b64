//! A program without std, to find out whether the crates linked into it have one.
//!
//! `cargo xtask ci --only no-std` copies this file into a crate that it makes up, with the crates to be checked as
//! dependencies and a `use` of each at the end. It is compiled and never run. It must bring its own panic handler and
//! allocator, since nobody else does; and that is the trick: if std is anywhere below, there are two panic handlers,
//! and rustc refuses.

#![no_std]

extern crate alloc;

use core::alloc::{GlobalAlloc, Layout};

struct NoMemory;

// SAFETY: a null pointer is the contract's way to say that there is no memory.
unsafe impl GlobalAlloc for NoMemory {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static NO_MEMORY: NoMemory = NoMemory;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
