//! Foreign ZeroMQ implementations, each behind the feature of its name, with just enough safe interface to test and to
//! measure against.

#[cfg(feature = "libzmq")]
pub mod libsodium;
#[cfg(feature = "libzmq")]
pub mod libzmq;
#[cfg(feature = "omq")]
pub mod omq;
#[cfg(feature = "omq-blake3")]
pub mod omq_blake3;
