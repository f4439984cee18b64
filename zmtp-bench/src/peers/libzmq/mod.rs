//! The reference implementation, libzmq 4.3.5, with CURVE from libsodium and the draft API on.
//!
//! A thin, blocking, safe interface: [`Context`] makes [`Socket`]s, [`Monitor`] reports what happens to a socket's
//! connections, [`Message`] is one part with the metadata that libzmq keeps for it. Every wait has a limit
//! ([`DEFAULT_TIMEOUT`] unless changed), so that a test against a peer that says nothing fails instead of hanging.
//!
//! Dropping closes: a socket at once and without sending what is queued (linger is zero), the context when the
//! last of its sockets and monitors is gone. No order of drops can hang. What serves the others, as a ZAP handler does,
//! lives in [`Context::background`] and ends with them.

use core::ffi::{c_char, c_int};
use std::ffi::CString;

mod context;
mod error;
mod ffi;
mod message;
mod monitor;
mod options;
mod socket;

// Linked for the static library that it carries; none of its bindings are used.
use libsodium_sys as _;

pub use context::Context;
pub use error::ZmqError;
pub use message::Message;
pub use monitor::{EventKind, Monitor, MonitorEvent, ProtocolError};
pub use options::SocketOption;
pub use socket::{DEFAULT_TIMEOUT, Socket, SocketKind, proxy};

/// Version of the library that is linked: major, minor, patch.
#[must_use]
pub fn version() -> (i32, i32, i32) {
    let (mut major, mut minor, mut patch) = (0, 0, 0);
    // SAFETY: three valid pointers to integers, written before the call returns.
    unsafe { ffi::zmq_version(&raw mut major, &raw mut minor, &raw mut patch) };
    (major, minor, patch)
}

/// Whether the library was built with a capability such as `"curve"`, `"ipc"` or `"draft"`.
#[must_use]
pub fn has(capability: &str) -> bool {
    CString::new(capability).is_ok_and(|capability| {
        // SAFETY: a string that ends in NUL and outlives the call.
        unsafe { ffi::zmq_has(capability.as_ptr()) == 1 }
    })
}

/// A CURVE key pair as libzmq writes keys: 40 characters of Z85 each (RFC 32).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CurveKeypair {
    /// The public key.
    pub public: String,
    /// The secret key. It is shown by `Debug`: these keys are for tests.
    pub secret: String,
}

/// Makes a new key pair from the operating system's randomness.
///
/// # Errors
/// When the library was built without CURVE.
pub fn curve_keypair() -> Result<CurveKeypair, ZmqError> {
    let mut public = [0; ffi::CURVE_KEY_Z85_SIZE];
    let mut secret = [0; ffi::CURVE_KEY_Z85_SIZE];
    // SAFETY: both buffers hold the 41 octets that the function writes.
    let result = unsafe { ffi::zmq_curve_keypair(public.as_mut_ptr(), secret.as_mut_ptr()) };
    error::check("zmq_curve_keypair", result)?;
    Ok(CurveKeypair { public: text(&public), secret: text(&secret) })
}

/// Derives the public key of a secret key in Z85 (40 characters).
///
/// # Errors
/// When the key is not 40 characters of Z85.
pub fn curve_public(secret: &str) -> Result<String, ZmqError> {
    // The function decodes into 32 octets whatever the length of the key, so a longer one must not reach it.
    if secret.len() != ffi::CURVE_KEY_Z85_SIZE - 1 {
        return Err(ZmqError::refused("zmq_curve_public", "the secret key is not 40 characters long"));
    }
    let secret = error::c_string("zmq_curve_public", secret)?;
    let mut public = [0; ffi::CURVE_KEY_Z85_SIZE];
    // SAFETY: the buffer holds the 41 octets that the function writes; the key ends in NUL and is 40 characters long,
    // which decode to the 32 octets that the function has room for.
    let result = unsafe { ffi::zmq_curve_public(public.as_mut_ptr(), secret.as_ptr()) };
    error::check("zmq_curve_public", result)?;
    Ok(text(&public))
}

/// The characters before the first NUL.
fn text(buffer: &[c_char]) -> String {
    buffer.iter().map(|&octet| char::from(octet.cast_unsigned())).take_while(|&character| character != '\0').collect()
}

/// An `int` of C from a flag.
const fn int(flag: bool) -> c_int {
    if flag { 1 } else { 0 }
}
