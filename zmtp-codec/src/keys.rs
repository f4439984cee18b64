//! The keys of the security mechanisms that have any (CURVE, BLAKE3): Curve25519 keys, their Z85 text, and the certificate
//! files in which `ZeroMQ` programs keep them.
//!
//! | what | where |
//! |---|---|
//! | a peer's or our own key to show around | [`PublicKey`] |
//! | the key to keep | [`SecretKey`], [`SecretText`], [`SharedSecret`] |
//! | both, and they belong together | [`KeyPair`] |
//! | all those of a server that changes its key | [`ServerKeys`] |
//! | on disk, as czmq and pyzmq write and read it | [`Certificate`] |
//! | what was refused, and why | [`KeyError`], [`KeyCountError`], [`CertificateError`] |
//!
//! A key is checked where it is made, so a mechanism need not check it again: no all-zero key, and no public key of low
//! order, with which every secret would agree on the same value. Secret keys are wiped when they are dropped, are left out
//! of `Debug`, and are compared in constant time; their octets leave only through methods named `danger_…`. No error of
//! this module repeats text that may have been a secret.
//!
//! Make a key pair, hand out its public half, and keep both in a certificate:
//!
//! ```
//! use zmtp_codec::keys::{Certificate, KeyPair, PublicKey};
//! # let temporary = tempfile::tempdir()?;
//! # let dir = temporary.path();
//!
//! let pair = KeyPair::generate()?;
//! println!("configure clients with this server key: {}", pair.public_key());
//!
//! // Writes `server.key` to give away and `server.key_secret` to keep.
//! let path = dir.join("server.key");
//! Certificate::new(pair).with_metadata("name", "weather station")?.save(&path)?;
//!
//! // Where the secret file is at hand, `load` finds both keys; elsewhere the public one.
//! let pair = Certificate::load(&path)?.into_key_pair()?;
//! let shown: PublicKey = pair.public_key().to_string().parse()?;
//! assert_eq!(&shown, pair.public_key());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod certificate;
mod error;
mod files;
mod pair;
mod public;
mod secret;
mod server;
mod text;
mod zpl;

pub use certificate::Certificate;
pub use error::{CertificateError, KeyError};
pub use pair::KeyPair;
pub use public::PublicKey;
pub use secret::{SecretKey, SecretText, SharedSecret};
pub use server::{KeyCountError, ServerKeys};

/// How many octets a key has, public or secret.
pub const KEY_LEN: usize = 32;

/// How many characters the Z85 text of a key has (RFC 32: five for every four octets).
pub const KEY_TEXT_LEN: usize = 40;
