//! What libzmq refused, as it says it.

use core::ffi::{CStr, c_int};
use std::ffi::CString;
use std::io;

use super::ffi;

/// A call that libzmq refused, or that ran into its time limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{operation}: {text} (errno {errno})")]
pub struct ZmqError {
    operation: &'static str,
    errno: i32,
    text: String,
}

impl ZmqError {
    /// The error that this thread's last call left behind.
    pub(super) fn last(operation: &'static str) -> Self {
        // SAFETY: reads a variable of this thread.
        Self::new(operation, unsafe { ffi::zmq_errno() })
    }

    fn new(operation: &'static str, errno: i32) -> Self {
        // SAFETY: returns a string that ends in NUL for every number.
        let text = unsafe { CStr::from_ptr(ffi::zmq_strerror(errno)) };
        Self { operation, errno, text: text.to_string_lossy().into_owned() }
    }

    /// An argument that was refused before the call, which would have read past its end or half of it.
    pub(super) fn refused(operation: &'static str, why: &str) -> Self {
        Self { operation, errno: 0, text: why.to_owned() }
    }

    /// The function that failed.
    #[must_use]
    pub const fn operation(&self) -> &'static str {
        self.operation
    }

    /// The number of the error: one of the platform's, or one of libzmq's own above 156384712. Zero when an
    /// argument was refused before the call.
    #[must_use]
    pub const fn errno(&self) -> i32 {
        self.errno
    }

    /// What `zmq_strerror` says about that number.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the time limit of a send or receive passed (`EAGAIN`).
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.is(io::ErrorKind::WouldBlock)
    }

    /// Whether a ROUTER or SERVER has no such peer (`EHOSTUNREACH`).
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        self.is(io::ErrorKind::HostUnreachable)
    }

    /// Whether the context is ending (`ETERM`): what ends a thread in its [`background`](super::Context::background).
    #[must_use]
    pub const fn is_terminated(&self) -> bool {
        self.errno == ffi::ETERM
    }

    fn is(&self, kind: io::ErrorKind) -> bool {
        io::Error::from_raw_os_error(self.errno).kind() == kind
    }
}

/// A result that is negative in the case of an error.
pub(super) fn check(operation: &'static str, result: c_int) -> Result<usize, ZmqError> {
    usize::try_from(result).map_err(|_| ZmqError::last(operation))
}

/// Like [`check`], with a call that a signal interrupted made again.
///
/// Generic and inlined: the benches measure what goes through here.
#[inline]
pub(super) fn retry(operation: &'static str, mut call: impl FnMut() -> c_int) -> Result<usize, ZmqError> {
    loop {
        let result = call();
        if let Ok(result) = usize::try_from(result) {
            return Ok(result);
        }
        let error = ZmqError::last(operation);
        if !error.is(io::ErrorKind::Interrupted) {
            return Err(error);
        }
    }
}

/// An argument as C wants strings.
pub(super) fn c_string(operation: &'static str, text: &str) -> Result<CString, ZmqError> {
    CString::new(text).map_err(|_| ZmqError::refused(operation, "an argument contains a NUL"))
}
