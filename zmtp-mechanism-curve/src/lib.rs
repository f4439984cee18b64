//! CURVE, the ZMTP mechanism that encrypts and authenticates (CurveZMQ, RFC 26), byte-compatible with libzmq.
//!
//! A client knows the server's long-term public key beforehand, and shows its own, whose possession it proves. Both
//! make a transient pair for each connection, so what was recorded cannot be read later by who steals the long-term
//! keys. Afterwards everything, messages and commands alike, travels in XSalsa20-Poly1305 boxes.
//!
//! ```text
//! CurveClient                              CurveServer
//!   HELLO      C', proof of c'      ──►
//!              S', cookie           ◄──    WELCOME     only who holds s can make it
//!   INITIATE   C, vouch, metadata   ──►    Authorize   the application judges C
//!              metadata             ◄──    READY
//!   MESSAGE …                       ◄─►    MESSAGE …
//! ```
//!
//! What CURVE does not give: it hides neither that two peers talk nor how much and when, nor the server from who
//! tries its public key; and nobody notices a connection whose end was cut off.
//!
//! # Against libzmq
//! On the wire this follows libzmq wherever it and RFC 26 disagree. On receipt it is stricter where no real peer is
//! affected: the padding and the box of HELLO must hold zeros, the vouch must name the server's key, reserved flags must be
//! zero, points of low order are refused.
//!
//! # Example
//! The mechanism alone, without a connection: two handshakes hand their commands to each other.
//! See `zmtp-connection` for what a program usually does.
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

extern crate alloc;

mod agreement;
mod cipher;
mod client;
mod half_open;
mod server;
mod session;
mod wire;

pub use client::{ClientHandshake, CurveClient};
pub use server::{CurveServer, KeyCountError, ServerHandshake};
pub use session::{CurveOpener, CurveSealer};
pub use zmtp_codec::Entropy;
pub use zmtp_codec::keys::{Certificate, KeyError, KeyPair, PublicKey, SecretKey};

const NO_ENTROPY: zmtp_codec::MechanismError =
    zmtp_codec::MechanismError::Local("the operating system has no randomness to give");

/// A key pair for one connection.
fn transient(entropy: &Entropy) -> Result<KeyPair, zmtp_codec::MechanismError> {
    let mut octets = zeroize::Zeroizing::new([0; 32]);
    entropy.fill(octets.as_mut_slice()).map_err(|_| NO_ENTROPY)?;
    SecretKey::from_bytes(*octets).map(KeyPair::from_secret).map_err(|_| NO_ENTROPY)
}
