//! The context: libzmq's I/O thread and the sockets that share it; who uses it, and who merely serves those.

use core::convert::Infallible;
use core::ffi::c_void;
use core::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use super::error::{ZmqError, retry};
use super::ffi;
use super::socket::{Socket, SocketKind};

/// Owner of an I/O thread and of the namespace of `inproc://` endpoints. Cheap to clone: clones are the same context.
///
/// It ends when its last clone, socket and monitor are gone, and ends without waiting for unsent messages unless a
/// socket was given a linger time. The last of them to be dropped waits until it has ended.
#[derive(Debug, Clone)]
pub struct Context(Hold);

/// How a context is held, which decides who waits for whom at its end.
#[derive(Debug, Clone)]
enum Hold {
    User(Arc<User>),
    Background(Arc<Handle>),
}

impl Context {
    /// Starts a context with libzmq's defaults: one I/O thread, 1,023 sockets.
    ///
    /// # Errors
    /// When the process has no file descriptors or memory left.
    pub fn new() -> Result<Self, ZmqError> {
        // SAFETY: takes no arguments; null is checked below.
        let context = unsafe { ffi::zmq_ctx_new() };
        let context = NonNull::new(context).ok_or_else(|| ZmqError::last("zmq_ctx_new"))?;
        let (alive, ended) = mpsc::channel();
        let handle = Arc::new(Handle { context, _alive: alive });
        Ok(Self(Hold::User(Arc::new(User { handle, _end: End(Mutex::new(ended)) }))))
    }

    /// The same context for a thread that serves the others, a ZAP handler for example, and ends with them: when the last
    /// clone, socket and monitor that did not come from here are gone, every call on its sockets fails at once
    /// ([`ZmqError::is_terminated`]), however long it would have waited. The thread has to drop its sockets then: who dropped
    /// the last of the others waits for that.
    #[must_use]
    pub fn background(&self) -> Self {
        Self(Hold::Background(Arc::clone(self.handle())))
    }

    /// Makes a socket with linger zero and [`DEFAULT_TIMEOUT`](super::DEFAULT_TIMEOUT) as the limit of every send and receive.
    ///
    /// # Errors
    /// When the context is out of sockets or the process out of file descriptors.
    pub fn socket(&self, kind: SocketKind) -> Result<Socket, ZmqError> {
        Socket::new(self, kind)
    }

    pub(super) fn as_ptr(&self) -> *mut c_void {
        self.handle().context.as_ptr()
    }

    fn handle(&self) -> &Arc<Handle> {
        match &self.0 {
            Hold::User(user) => &user.handle,
            Hold::Background(handle) => handle,
        }
    }
}

/// What all who use the context share.
#[derive(Debug)]
struct User {
    /// In front of the wait for its end.
    handle: Arc<Handle>,
    _end: End,
}

impl Drop for User {
    fn drop(&mut self) {
        // Whoever is left is in the background, and waits for nobody any more. A failure could only be an invalid
        // context, which this is not.
        // SAFETY: the context is alive as long as the handle. The call waits for nothing and frees nothing.
        let _shut_down = unsafe { ffi::zmq_ctx_shutdown(self.handle.context.as_ptr()) };
    }
}

/// Waits, when it is dropped, until the context has ended.
#[derive(Debug)]
struct End(Mutex<mpsc::Receiver<Infallible>>);

impl Drop for End {
    fn drop(&mut self) {
        // Nothing is ever sent: this returns when the last handle is gone, and the context with it.
        let ended = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        let Err(mpsc::RecvError) = ended.recv();
    }
}

/// Who holds one may use the context.
#[derive(Debug)]
struct Handle {
    context: NonNull<c_void>,
    /// Dropped when the context has ended.
    _alive: mpsc::Sender<Infallible>,
}

// SAFETY: the functions on a context may be called from any thread (zmq_ctx_new(3): "A 0MQ context is thread safe").
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

impl Drop for Handle {
    fn drop(&mut self) {
        // Waits for the sockets to be closed. All are: each of them holds a handle, and this is the last.
        // A failure could only be an invalid context, which this is not, so there is nothing to report.
        // SAFETY: the pointer came from zmq_ctx_new, and only this call, made once, ends it.
        let _ended = retry("zmq_ctx_term", || unsafe { ffi::zmq_ctx_term(self.context.as_ptr()) });
    }
}
