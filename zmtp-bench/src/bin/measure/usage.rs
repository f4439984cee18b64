//! What the operating system and the C library say that this process has used.

use anyhow::{Result, bail};
use std::mem::MaybeUninit;
use std::ops::Sub;

/// Resources of the whole process, all its threads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Seconds of processor time outside and inside the kernel.
    pub(crate) user: f64,
    pub(crate) system: f64,
    /// How often a thread gave its processor up because it had to wait.
    pub(crate) waits: i64,
}

impl Usage {
    pub(crate) fn now() -> Result<Self> {
        let mut usage = MaybeUninit::<libc::rusage>::zeroed();
        // SAFETY: the pointer is to a `rusage` of our own.
        if unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) } != 0 {
            bail!("getrusage: {}", std::io::Error::last_os_error());
        }
        // SAFETY: all zeros is a value of this type, and the call has filled it in.
        let usage = unsafe { usage.assume_init() };
        Ok(Self { user: seconds(usage.ru_utime), system: seconds(usage.ru_stime), waits: usage.ru_nvcsw })
    }
}

impl Sub for Usage {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self { user: self.user - before.user, system: self.system - before.system, waits: self.waits - before.waits }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a process does not run for 285 years")]
fn seconds(time: libc::timeval) -> f64 {
    time.tv_sec as f64 + time.tv_usec as f64 / 1e6
}

/// Octets that are allocated at this moment, as far as the C library's allocator knows: everybody here uses it, in whatever
/// language. `None` where it does not say.
pub(crate) fn heap() -> Option<usize> {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: the function has no preconditions.
        let info = unsafe { libc::mallinfo2() };
        Some(info.uordblks + info.hblkhd)
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    None
}

/// Keeps this thread, and those that it starts, on the first processor core that the process may use.
pub(crate) fn stay_on_one_core() -> Result<()> {
    #[cfg(target_os = "linux")]
    {
        let mut set = MaybeUninit::<libc::cpu_set_t>::zeroed();
        let size = size_of::<libc::cpu_set_t>();
        // SAFETY: the pointer is to a set of our own, all zeros is a value of its type, and its size is right.
        let core = unsafe {
            if libc::sched_getaffinity(0, size, set.as_mut_ptr()) != 0 {
                bail!("sched_getaffinity: {}", std::io::Error::last_os_error());
            }
            (0..8 * size).find(|&core| libc::CPU_ISSET(core, set.assume_init_ref()))
        };
        let Some(core) = core else { bail!("this process may use no processor core") };
        let mut one = MaybeUninit::<libc::cpu_set_t>::zeroed();
        // SAFETY: as above, and `core` is within the set.
        unsafe {
            libc::CPU_SET(core, one.assume_init_mut());
            if libc::sched_setaffinity(0, size, one.as_ptr()) != 0 {
                bail!("sched_setaffinity: {}", std::io::Error::last_os_error());
            }
        }
        Ok(())
    }
    #[cfg(not(target_os = "linux"))]
    bail!("keeping to one core is written for Linux alone")
}
