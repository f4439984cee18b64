//! One message part with the metadata that libzmq keeps for it.

use core::ffi::{CStr, c_void};
use core::{fmt, slice};
use std::sync::Arc;

use super::error::{ZmqError, c_string, check};
use super::ffi;

/// One part of a message in libzmq's own storage.
///
/// Receiving into the same `Message` again ([`Socket::recv_message`](super::Socket::recv_message)) is the way without a copy.
pub struct Message(ffi::Msg);

// SAFETY: a message belongs to no thread; what it shares with others (its buffer, its metadata) is counted atomically.
unsafe impl Send for Message {}

impl Message {
    /// An empty part, to receive into.
    #[must_use]
    pub fn new() -> Self {
        let mut message = ffi::Msg::uninitialised();
        // SAFETY: storage for one message; always succeeds (zmq_msg_init(3): always returns zero).
        unsafe { ffi::zmq_msg_init(&raw mut message) };
        Self(message)
    }

    /// A part with a copy of `body`.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn copied(body: &[u8]) -> Result<Self, ZmqError> {
        let mut message = ffi::Msg::uninitialised();
        // SAFETY: storage for one message.
        let result = unsafe { ffi::zmq_msg_init_size(&raw mut message, body.len()) };
        check("zmq_msg_init_size", result)?;
        // SAFETY: the message is initialised, owned by us alone, and has room for exactly as many octets as `body`.
        unsafe {
            let data = ffi::zmq_msg_data(&raw mut message).cast::<u8>();
            data.copy_from_nonoverlapping(body.as_ptr(), body.len());
        }
        Ok(Self(message))
    }

    /// A part that lends out a shared buffer: nothing is copied, and the buffer's count is kept until libzmq has let go of it,
    /// which may be on another thread and after the socket was dropped.
    ///
    /// Costs one allocation of libzmq's, for its own reference count.
    ///
    /// # Errors
    /// When there is no memory for that.
    pub fn shared<B: AsRef<[u8]> + Send + Sync + 'static>(buffer: Arc<B>) -> Result<Self, ZmqError> {
        /// Gives back the count that `shared` kept.
        unsafe extern "C" fn release<B>(_data: *mut c_void, hint: *mut c_void) {
            // SAFETY: `hint` is the pointer that `shared` took out of an `Arc<B>`, and libzmq calls this once.
            drop(unsafe { Arc::from_raw(hint.cast_const().cast::<B>()) });
        }

        let mut message = ffi::Msg::uninitialised();
        let body: *const [u8] = (*buffer).as_ref();
        let hint = Arc::into_raw(buffer);
        // SAFETY: `body` stays valid while the count that `hint` stands for is kept, which is until `release::<B>`, and libzmq
        // only reads it. B is Send and Sync, so `release` may run anywhere.
        let result = unsafe {
            ffi::zmq_msg_init_data(
                &raw mut message,
                body.cast::<c_void>().cast_mut(),
                body.len(),
                Some(release::<B>),
                hint.cast::<c_void>().cast_mut(),
            )
        };
        if let Err(error) = check("zmq_msg_init_data", result) {
            // SAFETY: the call failed, so libzmq will not call `release`, and the count is still ours.
            drop(unsafe { Arc::from_raw(hint) });
            return Err(error);
        }
        Ok(Self(message))
    }

    /// A part that lends out a buffer which is never freed. Nothing is copied, counted or allocated.
    #[must_use]
    pub fn from_static(body: &'static [u8]) -> Self {
        let mut message = ffi::Msg::uninitialised();
        // SAFETY: `body` is valid for ever and libzmq only reads it. Without a function to free it the call
        // allocates nothing and so cannot fail.
        unsafe {
            ffi::zmq_msg_init_data(
                &raw mut message,
                body.as_ptr().cast::<c_void>().cast_mut(),
                body.len(),
                None,
                core::ptr::null_mut(),
            );
        }
        Self(message)
    }

    /// The octets of this part.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        let message = (&raw const self.0).cast_mut();
        // SAFETY: the message is initialised and neither function changes it. The octets live as long as the
        // message is not sent, received into or closed, all of which need it exclusively; data is not null when
        // there are octets.
        unsafe {
            let len = ffi::zmq_msg_size(message);
            if len == 0 {
                return &[];
            }
            slice::from_raw_parts(ffi::zmq_msg_data(message).cast::<u8>(), len)
        }
    }

    /// Whether more parts of the same message follow.
    #[must_use]
    pub fn more(&self) -> bool {
        // SAFETY: the message is initialised.
        unsafe { ffi::zmq_msg_more(&raw const self.0) == 1 }
    }

    /// A property of the connection that this part came from, as `zmq_msg_gets` knows them: the peer's metadata
    /// (`"Socket-Type"`, `"Identity"`, `"X-…"`), `"User-Id"` from the ZAP handler, and `"Peer-Address"`.
    ///
    /// `None` when there is no such property; the value may be lossy when the peer's was not UTF-8 or had a NUL in it.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<String> {
        let name = c_string("zmq_msg_gets", name).ok()?;
        // SAFETY: the message is initialised and the name ends in NUL. The string belongs to the message and
        // is copied before anything else can happen to it.
        unsafe {
            let value = ffi::zmq_msg_gets(&raw const self.0, name.as_ptr());
            (!value.is_null()).then(|| CStr::from_ptr(value).to_string_lossy().into_owned())
        }
    }

    /// The number by which a SERVER or PEER knows the connection that this part came from; zero elsewhere (draft).
    #[must_use]
    pub fn routing_id(&self) -> u32 {
        // SAFETY: the message is initialised, and the function does not change it.
        unsafe { ffi::zmq_msg_routing_id((&raw const self.0).cast_mut()) }
    }

    /// Addresses this part to one of a SERVER's or PEER's connections (draft).
    ///
    /// # Errors
    /// When the number is zero.
    pub fn set_routing_id(&mut self, routing_id: u32) -> Result<(), ZmqError> {
        // SAFETY: the message is initialised.
        let result = unsafe { ffi::zmq_msg_set_routing_id(self.as_mut_ptr(), routing_id) };
        check("zmq_msg_set_routing_id", result).map(drop)
    }

    /// The group that a DISH received this part for; empty elsewhere (draft).
    #[must_use]
    pub fn group(&self) -> String {
        // SAFETY: the message is initialised, and the function does not change it. It returns a string that ends in
        // NUL and lives in the message; it is copied at once.
        unsafe { CStr::from_ptr(ffi::zmq_msg_group((&raw const self.0).cast_mut())) }.to_string_lossy().into_owned()
    }

    /// A copy of `body` for a group, as a RADIO sends it (draft).
    ///
    /// There is no way to change the group of a message: libzmq 4.3.5 loses track of its storage when a short group
    /// follows one of more than 14 octets.
    ///
    /// # Errors
    /// When the group is longer than 255 octets or has a NUL in it, or there is no memory.
    pub fn for_group(group: &str, body: &[u8]) -> Result<Self, ZmqError> {
        // libzmq would cut it off instead.
        if group.len() > ffi::GROUP_MAX_LENGTH {
            return Err(ZmqError::refused("zmq_msg_set_group", "the group is longer than 255 octets"));
        }
        let group = c_string("zmq_msg_set_group", group)?;
        let mut message = Self::copied(body)?;
        // SAFETY: the message is initialised and has no group yet, and the string ends in NUL.
        let result = unsafe { ffi::zmq_msg_set_group(message.as_mut_ptr(), group.as_ptr()) };
        check("zmq_msg_set_group", result)?;
        Ok(message)
    }

    /// An initialised message, for the functions that send it or receive into it. Both leave it initialised.
    pub(super) const fn as_mut_ptr(&mut self) -> *mut ffi::Msg {
        &raw mut self.0
    }
}

impl Default for Message {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Message {
    /// The length, not the octets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message").field("len", &self.body().len()).field("more", &self.more()).finish_non_exhaustive()
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        // SAFETY: the message is initialised and closed only here.
        unsafe { ffi::zmq_msg_close(&raw mut self.0) };
    }
}
