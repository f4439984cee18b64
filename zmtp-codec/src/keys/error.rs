//! What is refused of keys and certificates, and why. Nothing here repeats what was in the place of a key.

use std::io;
use std::path::PathBuf;

/// Why octets or a text are not a key, or two keys not a pair.
///
/// Positions and lengths are told, characters never: the text may be a secret key with a typing error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Neither the 32 octets of a key nor the 40 characters of its Z85 text.
    #[error("a key is 40 characters of Z85 or 32 raw octets, this has {len} octets; check that it was copied whole")]
    Length {
        /// The length found, in octets.
        len: usize,
    },
    /// A character that Z85 does not have (RFC 32): a space, a quotation mark, a comma, an underscore …
    #[error("a key has a character outside the Z85 alphabet at position {position}; check how it was copied")]
    Character {
        /// Where in the text, counted in octets from 0.
        position: usize,
    },
    /// Five characters whose value is above 2³² − 1, which no encoder writes (RFC 32).
    #[error("a key has five characters from position {position} that stand for no octets; check how it was copied")]
    Chunk {
        /// Where the five characters start, counted in octets from 0.
        position: usize,
    },
    /// A secret key of zeros only: a buffer that nobody filled.
    #[error("a secret key is all zeros; generate one instead")]
    Zero,
    /// A public key of low order, all zeros among them: the agreed secret would be known to everybody.
    #[error("a public key is of low order, so every secret made with it is public; use the peer's real key")]
    LowOrder,
    /// The public key is not the one of the secret key.
    #[error("the public key does not belong to the secret key; leave it out, it follows from the secret key")]
    Mismatch,
    /// The operating system has no randomness to give.
    #[error("the operating system gave no randomness; check that its random device is available here")]
    Entropy,
}

/// Why a certificate was not read or written.
///
/// Lines are told by number only: a broken line may hold a secret key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The operating system refused.
    #[error("{action} the certificate {path:?}: {source}")]
    Io {
        /// What was tried: `cannot read`, `cannot write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// More than [`Certificate::MAX_LEN`](super::Certificate::MAX_LEN) octets: this is no certificate.
    #[error("a certificate is longer than {max} octets; check that this is a certificate file")]
    TooLong {
        /// The longest certificate that is read, in octets.
        max: usize,
    },
    /// Not a text in UTF-8.
    #[error("a certificate is not UTF-8 from octet {position}; check that this is a certificate file")]
    Encoding {
        /// The first octet that is not UTF-8, counted from 0.
        position: usize,
    },
    /// A line that is not ZPL (RFC 4).
    #[error("line {line} of a certificate: {problem}")]
    Syntax {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it and what it should be.
        problem: &'static str,
    },
    /// The same key, or the same metadata name, twice.
    #[error("line {line} of a certificate: the same name was given before; remove one of the two lines")]
    Duplicate {
        /// The second line with the name, counted from 1.
        line: usize,
    },
    /// A `public-key` or `secret-key` whose value is no key.
    #[error("line {line} of a certificate: {name}: {source}")]
    Key {
        /// The line, counted from 1.
        line: usize,
        /// `public-key` or `secret-key`.
        name: &'static str,
        /// What is wrong with the value.
        source: KeyError,
    },
    /// The two keys of the certificate do not belong together.
    #[error("the keys of a certificate: {0}")]
    Pair(#[source] KeyError),
    /// There is no key in it.
    #[error(
        "a certificate has no `public-key = \"…\"` indented below a line `curve`; check that this is a certificate file"
    )]
    NoKey,
    /// The secret key is needed and the certificate has only the public one.
    #[error("a certificate has no secret key; use the file whose name ends in `_secret`")]
    NoSecretKey,
    /// A secret key is in the way, and what it opens may depend on it.
    #[error("there is a secret key in {path:?} already; move it away, or ask for it to be overwritten")]
    SecretExists {
        /// The file of the other secret key.
        path: PathBuf,
    },
    /// A metadata name that the format does not hold (RFC 4), that another reader would take for a key, or that is there
    /// already.
    #[error(
        "a metadata name is refused: a name is made of letters, digits and $-_@.&+/, neither starts nor ends with /, \
         does not start with public-key or secret-key, and is given once"
    )]
    MetadataName,
    /// A metadata value that the format does not hold.
    #[error(
        "a metadata value is refused: the format has no escapes; leave out control characters, or one of \" and ' \
         where it has both"
    )]
    MetadataValue,
}
