//! The context: libzmq's I/O thread and the sockets that share it.

use core::ffi::c_void;
use core::ptr::NonNull;
use std::sync::Arc;

use super::error::{ZmqError, retry};
use super::ffi;
use super::socket::{Socket, SocketKind};

/// Owner of an I/O thread and of the namespace of `inproc://` endpoints. Cheap to clone: clones are the same context.
///
/// It ends when its last clone, socket and monitor are gone, and ends without waiting for unsent messages unless a
/// socket was given a linger time.
#[derive(Debug, Clone)]
pub struct Context(Arc<Handle>);

impl Context {
    /// Starts a context with libzmq's defaults: one I/O thread, 1,023 sockets.
    ///
    /// # Errors
    /// When the process has no file descriptors or memory left.
    pub fn new() -> Result<Self, ZmqError> {
        // SAFETY: takes no arguments; null is checked below.
        let context = unsafe { ffi::zmq_ctx_new() };
        NonNull::new(context)
            .map(|context| Self(Arc::new(Handle(context))))
            .ok_or_else(|| ZmqError::last("zmq_ctx_new"))
    }

    /// Makes a socket with linger zero and [`DEFAULT_TIMEOUT`](super::DEFAULT_TIMEOUT) as the limit of every send and receive.
    ///
    /// # Errors
    /// When the context is out of sockets or the process out of file descriptors.
    pub fn socket(&self, kind: SocketKind) -> Result<Socket, ZmqError> {
        Socket::new(self, kind)
    }

    pub(super) fn as_ptr(&self) -> *mut c_void {
        self.0.0.as_ptr()
    }
}

#[derive(Debug)]
struct Handle(NonNull<c_void>);

// SAFETY: the functions on a context may be called from any thread (zmq_ctx_new(3): "A 0MQ context is thread safe").
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

impl Drop for Handle {
    fn drop(&mut self) {
        // Waits for the sockets to be closed. All are: each of them holds a clone of the context, and this is the last.
        // A failure could only be an invalid context, which this is not, so there is nothing to report.
        // SAFETY: the pointer came from zmq_ctx_new, and only this call, made once, ends it.
        let _ended = retry("zmq_ctx_term", || unsafe { ffi::zmq_ctx_term(self.0.as_ptr()) });
    }
}
