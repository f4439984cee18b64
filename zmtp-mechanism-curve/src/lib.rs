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
//! # Use
//! `zmtp-connection` has a program's view of it, with its feature `curve`. This crate alone is for who drives a
//! connection in another way, by the contract in `zmtp_codec`:
//!
//! ```
//! use zmtp_codec::{Commands, Greeting, HandshakeContext, Identity, Mechanism, Progress, Properties, SocketType};
//! use zmtp_mechanism_curve::{CurveClient, KeyPair};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server_key = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7".parse()?;
//! let client = CurveClient::new(server_key, KeyPair::generate()?);
//!
//! let ours = Greeting::new(client.name(), client.role().as_server()).to_bytes();
//! let theirs = Greeting::new(client.name(), true).to_bytes(); // as received
//! let properties = Properties::for_socket(SocketType::Dealer, &Identity::ANONYMOUS);
//! let mut out = Commands::new();
//! let now = core::time::Duration::ZERO;
//! let progress = client.start(HandshakeContext::new(&ours, &theirs, &properties, now), &mut out)?;
//! assert_eq!(out.as_slice().len(), 2 + 200); // HELLO, to be sent; then WELCOME goes to `handle`
//! assert!(matches!(progress, Progress::NeedCommand(_)));
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

extern crate alloc;

mod agreement;
mod cipher;
mod client;
mod server;
mod session;
mod wire;

pub use client::{ClientHandshake, CurveClient};
pub use server::{CurveServer, ServerHandshake};
pub use session::{CurveOpener, CurveSealer};
pub use zmtp_codec::Entropy;
pub use zmtp_codec::keys::{Certificate, CertificateError, KeyCountError, KeyError, KeyPair, PublicKey, SecretKey};

const NO_ENTROPY: zmtp_codec::MechanismError =
    zmtp_codec::MechanismError::Local("the operating system has no randomness to give");

/// A key pair for one connection.
fn transient(entropy: &Entropy) -> Result<KeyPair, zmtp_codec::MechanismError> {
    let mut octets = zeroize::Zeroizing::new([0; 32]);
    entropy.fill(octets.as_mut_slice()).map_err(|_| NO_ENTROPY)?;
    SecretKey::from_bytes(*octets).map(KeyPair::from_secret).map_err(|_| NO_ENTROPY)
}
