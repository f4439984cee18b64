//! The BLAKE3 mechanisms of ZMTP: X25519, a BLAKE3 transcript and key schedule, and an AEAD.
//!
//! ```text
//! Client                                   Server
//!   HELLO      C', proof of c'      ──►
//!              S', cookie           ◄──    WELCOME     only who holds s can make it
//!   INITIATE   C, vouch, metadata   ──►    Authorize   the application judges C
//!              metadata             ◄──    READY
//!   frames …                        ◄─►    frames …    sealed where they stand
//! ```
//!
//! **Neither the design nor the code has had a third-party review.** The specification, octet for octet, is
//! `docs/blake3.md` in the repository, with what is claimed and what is not.
//!
//! There are two suites: [`ChachaPoly`] (`BLAKE3-CHACHAPOLY`), the one to use, and with the feature `blake3zmq` `Blake3Zmq`, the
//! format of omq-blake3zmq 0.4 and omq-proto 0.16 to 0.22, which does not bind a frame's position.
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

extern crate alloc;

#[cfg(feature = "blake3zmq")]
mod blake3zmq;
mod chachapoly;
mod client;
mod cookie;
mod kdf;
mod schedule;
mod server;
mod session;
mod suite;
mod wire;

#[cfg(feature = "blake3zmq")]
pub use blake3zmq::Blake3Zmq;
pub use chachapoly::ChachaPoly;
pub use client::{Client, ClientHandshake};
pub use server::{Server, ServerHandshake};
pub use session::{Blake3Opener, Blake3Sealer};
pub use suite::Suite;
pub use zmtp_codec::Entropy;
pub use zmtp_codec::keys::{Certificate, CertificateError, KeyCountError, KeyError, KeyPair, PublicKey, SecretKey};

/// A client of `BLAKE3-CHACHAPOLY`.
pub type Blake3Client = Client<ChachaPoly>;
/// A server of `BLAKE3-CHACHAPOLY`.
pub type Blake3Server = Server<ChachaPoly>;
/// A client of `BLAKE3`, for servers that know no better: read [`Blake3Zmq`] first, and prefer [`Blake3Client`].
#[cfg(feature = "blake3zmq")]
pub type Blake3ZmqClient = Client<Blake3Zmq>;
/// A server of `BLAKE3`, for clients that know no better: read [`Blake3Zmq`] first, and prefer [`Blake3Server`].
#[cfg(feature = "blake3zmq")]
pub type Blake3ZmqServer = Server<Blake3Zmq>;

const NO_ENTROPY: zmtp_codec::MechanismError =
    zmtp_codec::MechanismError::Local("the operating system has no randomness to give");

/// A key pair for one connection.
fn transient(entropy: &Entropy) -> Result<KeyPair, zmtp_codec::MechanismError> {
    let mut octets = zeroize::Zeroizing::new([0; 32]);
    entropy.fill(octets.as_mut_slice()).map_err(|_| NO_ENTROPY)?;
    SecretKey::from_bytes(*octets).map(KeyPair::from_secret).map_err(|_| NO_ENTROPY)
}
