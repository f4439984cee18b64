//! Sockets: where they are bound and connected, and what goes through them.

use core::cell::Cell;
use core::ffi::{c_char, c_int, c_void};
use core::ptr::NonNull;
use core::time::Duration;
use std::sync::{Arc, Mutex, PoisonError};

use super::context::Context;
use super::error::{ZmqError, c_string, check, retry};
use super::ffi;
use super::message::Message;
use super::monitor::{Monitor, Watch};

/// How long a send or receive of a new socket waits before it fails, so that no test hangs.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// The type of a socket, the names being those of the `Socket-Type` property (RFC 37), with libzmq's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names are ZeroMQ's own, each a socket type of the same name")]
#[repr(i32)]
pub enum SocketKind {
    Pair = 0,
    Pub = 1,
    Sub = 2,
    Req = 3,
    Rep = 4,
    Dealer = 5,
    Router = 6,
    Pull = 7,
    Push = 8,
    Xpub = 9,
    Xsub = 10,
    /// Raw TCP, no ZMTP at all.
    Stream = 11,
    // Draft from here on.
    Server = 12,
    Client = 13,
    Radio = 14,
    Dish = 15,
    Gather = 16,
    Scatter = 17,
    /// Raw UDP, no ZMTP at all.
    Dgram = 18,
    Peer = 19,
    Channel = 20,
}

/// A socket. It can move to another thread but is used by one at a time.
///
/// Dropping it closes it; see [`set_linger`](Self::set_linger) for what happens to messages that were not sent yet.
#[derive(Debug)]
pub struct Socket {
    handle: NonNull<c_void>,
    watch: Arc<Mutex<Watch>>,
    /// Keeps `Sync` away whatever the other fields are: libzmq's sockets are not thread-safe.
    _not_sync: core::marker::PhantomData<Cell<()>>,
    /// Last, so that the context outlives the handle.
    context: Context,
}

// SAFETY: a socket may be used from another thread after a full fence (zmq_socket(3)), and every safe way of
// moving a value to another thread is one.
unsafe impl Send for Socket {}

impl Socket {
    pub(super) fn new(context: &Context, kind: SocketKind) -> Result<Self, ZmqError> {
        // SAFETY: the context is alive; null is checked below.
        let handle = unsafe { ffi::zmq_socket(context.as_ptr(), kind as c_int) };
        let Some(handle) = NonNull::new(handle) else {
            return Err(ZmqError::last("zmq_socket"));
        };
        let socket = Self {
            handle,
            watch: Arc::new(Mutex::new(Watch::new(handle))),
            _not_sync: core::marker::PhantomData,
            context: context.clone(),
        };
        socket.set_linger(Duration::ZERO)?;
        socket.set_sndtimeo(DEFAULT_TIMEOUT)?;
        socket.set_rcvtimeo(DEFAULT_TIMEOUT)?;
        Ok(socket)
    }

    /// The context it belongs to; sockets meet over `inproc://` only within one.
    #[must_use]
    pub const fn context(&self) -> &Context {
        &self.context
    }

    /// Listens on an endpoint and returns the one that it became, so that `tcp://127.0.0.1:*` comes back with its port.
    ///
    /// # Errors
    /// When the endpoint is malformed, taken or not supported.
    pub fn bind(&self, endpoint: &str) -> Result<String, ZmqError> {
        self.with_endpoint("zmq_bind", ffi::zmq_bind, endpoint)?;
        self.last_endpoint()
    }

    /// Connects to an endpoint, in the background and again whenever the connection is lost.
    ///
    /// # Errors
    /// When the endpoint is malformed or not supported; never because nobody listens there.
    pub fn connect(&self, endpoint: &str) -> Result<(), ZmqError> {
        self.with_endpoint("zmq_connect", ffi::zmq_connect, endpoint)
    }

    /// Stops listening on an endpoint, as [`bind`](Self::bind) returned it. Connections that it accepted stay.
    ///
    /// # Errors
    /// When the socket is not bound there.
    pub fn unbind(&self, endpoint: &str) -> Result<(), ZmqError> {
        self.with_endpoint("zmq_unbind", ffi::zmq_unbind, endpoint)
    }

    /// Closes the connection that [`connect`](Self::connect) made to an endpoint.
    ///
    /// # Errors
    /// When the socket is not connected there.
    pub fn disconnect(&self, endpoint: &str) -> Result<(), ZmqError> {
        self.with_endpoint("zmq_disconnect", ffi::zmq_disconnect, endpoint)
    }

    fn with_endpoint(
        &self,
        operation: &'static str,
        call: unsafe extern "C" fn(*mut c_void, *const c_char) -> c_int,
        argument: &str,
    ) -> Result<(), ZmqError> {
        let argument = c_string(operation, argument)?;
        // SAFETY: every function passed in takes a live socket and a string that ends in NUL, and keeps neither.
        let result = unsafe { call(self.as_ptr(), argument.as_ptr()) };
        check(operation, result).map(drop)
    }

    /// Receives the messages of a group (DISH, draft).
    ///
    /// # Errors
    /// When this is no DISH, the group is too long, or was joined before.
    pub fn join(&self, group: &str) -> Result<(), ZmqError> {
        self.with_endpoint("zmq_join", ffi::zmq_join, group)
    }

    /// Receives the messages of a group no longer (DISH, draft).
    ///
    /// # Errors
    /// When this is no DISH, or the group was not joined.
    pub fn leave(&self, group: &str) -> Result<(), ZmqError> {
        self.with_endpoint("zmq_leave", ffi::zmq_leave, group)
    }

    /// Sends one message of one or more parts.
    ///
    /// # Errors
    /// When it is still refused by the queue when the send timeout has passed, or the socket type cannot send now, or
    /// there is no part.
    pub fn send(&self, parts: &[&[u8]]) -> Result<(), ZmqError> {
        let Some((last, others)) = parts.split_last() else {
            return Err(ZmqError::refused("zmq_send", "a message has at least one part"));
        };
        for part in others {
            self.send_raw(part, true)?;
        }
        self.send_raw(last, false)
    }

    /// Receives one message with all its parts.
    ///
    /// # Errors
    /// When none came within the receive timeout, or the socket type cannot receive now.
    pub fn recv(&self) -> Result<Vec<Vec<u8>>, ZmqError> {
        let mut message = Message::new();
        let mut parts = Vec::new();
        loop {
            self.recv_message(&mut message)?;
            parts.push(message.body().to_vec());
            if !message.more() {
                return Ok(parts);
            }
        }
    }

    /// Sends to a group (RADIO, draft).
    ///
    /// # Errors
    /// As [`send`](Self::send) and [`Message::for_group`].
    pub fn send_group(&self, group: &str, body: &[u8]) -> Result<(), ZmqError> {
        self.send_message(Message::for_group(group, body)?, false)
    }

    /// Sends one part, which libzmq copies: into the message itself up to 33 octets, else into an allocation of its own.
    /// `more` says that the message goes on.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    #[inline]
    pub fn send_raw(&self, part: &[u8], more: bool) -> Result<(), ZmqError> {
        let data = part.as_ptr().cast::<c_void>();
        // SAFETY: the socket is alive, and the slice is valid for the call.
        retry("zmq_send", || unsafe { ffi::zmq_send(self.as_ptr(), data, part.len(), flags(more)) }).map(drop)
    }

    /// Sends one part out of a shared buffer without a copy; see [`Message::shared`].
    ///
    /// # Errors
    /// As [`send`](Self::send).
    #[inline]
    pub fn send_zero_copy<B: AsRef<[u8]> + Send + Sync + 'static>(
        &self,
        buffer: Arc<B>,
        more: bool,
    ) -> Result<(), ZmqError> {
        self.send_message(Message::shared(buffer)?, more)
    }

    /// Sends one part that was made before. A part that cannot be sent is dropped.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    #[inline]
    pub fn send_message(&self, mut part: Message, more: bool) -> Result<(), ZmqError> {
        // SAFETY: socket and message are alive; on success the library takes the body and leaves an empty message.
        retry("zmq_msg_send", || unsafe { ffi::zmq_msg_send(part.as_mut_ptr(), self.as_ptr(), flags(more)) }).map(drop)
    }

    /// Receives one part without a copy, in place of what `part` held.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    #[inline]
    pub fn recv_message(&self, part: &mut Message) -> Result<(), ZmqError> {
        // SAFETY: socket and message are alive; the library closes what the message held and leaves it initialised.
        retry("zmq_msg_recv", || unsafe { ffi::zmq_msg_recv(part.as_mut_ptr(), self.as_ptr(), 0) }).map(drop)
    }

    /// Receives one part into `buffer` and returns the part's length. Of a part longer than the buffer the rest is lost, and the
    /// length returned is more than the buffer's.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    #[inline]
    pub fn recv_into(&self, buffer: &mut [u8]) -> Result<usize, ZmqError> {
        let data = buffer.as_mut_ptr().cast::<c_void>();
        // SAFETY: the socket is alive, and the function writes no more than the slice's length.
        retry("zmq_recv", || unsafe { ffi::zmq_recv(self.as_ptr(), data, buffer.len(), 0) })
    }

    /// Reports from now on what happens to the connections of this socket. A second monitor stops the first.
    ///
    /// # Errors
    /// When the context is out of sockets.
    pub fn monitor(&self) -> Result<Monitor, ZmqError> {
        Monitor::new(self, &self.watch)
    }

    pub(super) const fn as_ptr(&self) -> *mut c_void {
        self.handle.as_ptr()
    }
}

/// Carries every message from each of the two sockets to the other, until their context ends: a thread of its own for two
/// sockets of a [`Context::background`]. Returns why it ended.
#[must_use = "anything but the end of the context is a failure"]
pub fn proxy(frontend: &Socket, backend: &Socket) -> ZmqError {
    // SAFETY: both sockets are alive and used by this thread alone; null is for no third one that sees every message.
    let carried = unsafe { ffi::zmq_proxy(frontend.as_ptr(), backend.as_ptr(), core::ptr::null_mut()) };
    match check("zmq_proxy", carried) {
        Err(error) => error,
        Ok(_) => ZmqError::refused("zmq_proxy", "it ended without an error, which needs a control socket"),
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        watch.end();
        // SAFETY: the pointer came from zmq_socket and is closed only here; the watch, the one other place that
        // knows it, forgot it above. The call fails for an invalid socket only.
        unsafe { ffi::zmq_close(self.as_ptr()) };
    }
}

const fn flags(more: bool) -> c_int {
    if more { ffi::SNDMORE } else { 0 }
}
