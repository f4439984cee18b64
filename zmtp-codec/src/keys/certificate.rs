//! A certificate: keys and what is to be said about their owner, as text.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec::Vec;
use core::str::FromStr;

use super::zpl::{self, Entry};
use super::{CertificateError, KEY_TEXT_LEN, KeyError, KeyPair, PublicKey, SecretKey, SecretText};

/// The names of the two keys in the section `curve`.
const PUBLIC_KEY: &str = "public-key";
const SECRET_KEY: &str = "secret-key";

/// Comments for whoever opens the file.
const PUBLIC_HEADER: &str = "\
# ZeroMQ certificate with a public key. It is no secret, but make sure that
# whoever you give it to gets it unchanged: nothing in it is signed.

";
const SECRET_HEADER: &str = "\
# ZeroMQ certificate with a SECRET key. Whoever reads this file can pass for
# its owner: do not share it, and leave its permissions as they are.

";

/// Room for everything but the metadata: a header, two section lines, two lines of at most 70 characters.
const FRAME_LEN: usize = 512;
/// Room for what surrounds a metadata name and its value: four spaces, the equals sign, two quotation marks, the line's end.
const METADATA_LINE_LEN: usize = 10;

/// The keys of one peer with some words about it, as certificate files hold them (czmq's zcert, in the language of RFC 4).
///
/// It is a container and proves nothing: neither keys nor metadata are signed. It holds a public key, and possibly the
/// secret key that belongs to it. `Debug` shows all but the secret key.
///
/// ```
/// use zmtp_codec::keys::Certificate;
///
/// let certificate = Certificate::parse(
///     "metadata\n    name = \"weather station\"\ncurve\n    public-key = \"rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7\"\n",
/// )?;
/// assert_eq!(certificate.public_key().to_z85(), "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7");
/// assert_eq!(certificate.metadata_value("name"), Some("weather station"));
/// assert_eq!(certificate.secret_key(), None);
/// # Ok::<(), zmtp_codec::keys::CertificateError>(())
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct Certificate {
    keys: Keys,
    metadata: Vec<(String, String)>,
}

#[derive(Debug, PartialEq, Eq)]
enum Keys {
    Public(PublicKey),
    Pair(KeyPair),
}

impl Certificate {
    /// The longest certificate that is read or can be made, in octets. Real ones have some hundred.
    pub const MAX_LEN: usize = 65_536;

    /// A certificate with both keys.
    #[must_use]
    pub const fn new(pair: KeyPair) -> Self {
        Self { keys: Keys::Pair(pair), metadata: Vec::new() }
    }

    /// A certificate of somebody else, whose secret key is not ours to have.
    #[must_use]
    pub const fn public_only(public: PublicKey) -> Self {
        Self { keys: Keys::Public(public), metadata: Vec::new() }
    }

    /// Adds something about the owner, a name or an address. It is written into both files, so it is no secret.
    ///
    /// # Errors
    /// [`CertificateError::MetadataName`] and [`CertificateError::MetadataValue`] if the format does not hold it, the name
    /// is there already, or another reader would take it for a key; [`CertificateError::TooLong`] if the certificate would
    /// be longer than [`MAX_LEN`](Self::MAX_LEN).
    pub fn with_metadata(mut self, name: &str, value: &str) -> Result<Self, CertificateError> {
        if !is_metadata_name(name) || self.metadata_value(name).is_some() {
            return Err(CertificateError::MetadataName);
        }
        if zpl::marks_for(value).is_none() {
            return Err(CertificateError::MetadataValue);
        }
        self.metadata.push((name.to_owned(), value.to_owned()));
        if self.text_len_at_most() > Self::MAX_LEN {
            return Err(CertificateError::TooLong { max: Self::MAX_LEN });
        }
        Ok(self)
    }

    /// Reads the text of a certificate, public or secret.
    ///
    /// It takes the values `public-key` and `secret-key` of the section `curve`, and the values of the section `metadata` in
    /// their order; other sections and names are for others. The text may have comments, either kind of quotation marks or
    /// none, either kind of line ends, and any indentation. A public key that is missing is derived from the secret one. A
    /// secret key of zeros only, which is how czmq saves a certificate that has none, counts as missing.
    ///
    /// # Errors
    /// Any [`CertificateError`] but those of files and of [`with_metadata`](Self::with_metadata). Among others it refuses
    /// keys that do not belong together, and a name that is given twice, of which two readers might take different ones.
    pub fn parse(text: &str) -> Result<Self, CertificateError> {
        if text.len() > Self::MAX_LEN {
            return Err(CertificateError::TooLong { max: Self::MAX_LEN });
        }
        let mut draft = Draft::default();
        let mut section = "";
        for entry in zpl::entries(text) {
            let entry =
                entry.map_err(|zpl::SyntaxError { line, problem }| CertificateError::Syntax { line, problem })?;
            match (entry.depth, section) {
                (0, _) => section = entry.name,
                (1, "curve") => draft.take_key(&entry)?,
                (1, "metadata") => draft.take_metadata(&entry)?,
                _ => {}
            }
        }
        draft.finish()
    }

    /// The public key.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        match &self.keys {
            Keys::Public(public) => public,
            Keys::Pair(pair) => pair.public_key(),
        }
    }

    /// The secret key, if the certificate has it.
    #[must_use]
    pub const fn secret_key(&self) -> Option<&SecretKey> {
        match &self.keys {
            Keys::Public(_) => None,
            Keys::Pair(pair) => Some(pair.secret_key()),
        }
    }

    /// Both keys, for a mechanism's configuration.
    ///
    /// # Errors
    /// [`CertificateError::NoSecretKey`] if there is only the public key.
    pub fn into_key_pair(self) -> Result<KeyPair, CertificateError> {
        match self.keys {
            Keys::Public(_) => Err(CertificateError::NoSecretKey),
            Keys::Pair(pair) => Ok(pair),
        }
    }

    /// What is said about the owner, as names and values in their order.
    #[must_use]
    pub fn metadata(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.metadata.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// What is said about the owner under `name`. Upper and lower case differ.
    #[must_use]
    pub fn metadata_value(&self, name: &str) -> Option<&str> {
        self.metadata().find_map(|(key, value)| (key == name).then_some(value))
    }

    /// The text to give away: metadata and public key.
    #[must_use]
    pub fn to_public_text(&self) -> String {
        self.to_text(PUBLIC_HEADER)
    }

    /// The text to keep: metadata and both keys.
    ///
    /// # Errors
    /// [`CertificateError::NoSecretKey`] if there is only the public key.
    pub fn danger_to_secret_text(&self) -> Result<SecretText, CertificateError> {
        let secret = self.secret_key().ok_or(CertificateError::NoSecretKey)?;
        let mut text = self.to_text(SECRET_HEADER);
        // Within the capacity, so that no buffer with the secret key in it is left behind.
        push_entry(&mut text, SECRET_KEY, &secret.danger_to_z85());
        Ok(SecretText::new(text))
    }

    fn to_text(&self, header: &str) -> String {
        let mut text = String::with_capacity(self.text_len_at_most());
        text.push_str(header);
        text.push_str("metadata\n");
        for (name, value) in self.metadata() {
            push_entry(&mut text, name, value);
        }
        text.push_str("curve\n");
        push_entry(&mut text, PUBLIC_KEY, &self.public_key().to_z85());
        text
    }

    fn text_len_at_most(&self) -> usize {
        self.metadata().map(|(name, value)| name.len() + value.len() + METADATA_LINE_LEN).sum::<usize>() + FRAME_LEN
    }
}

impl FromStr for Certificate {
    type Err = CertificateError;

    /// [`parse`](Self::parse).
    fn from_str(text: &str) -> Result<Self, CertificateError> {
        Self::parse(text)
    }
}

/// Adds a line as czmq does: four spaces, which is the only indentation it reads, and a value in quotation marks.
fn push_entry(text: &mut String, name: &str, value: &str) {
    // Both ways into a certificate see to it that there is an answer; keys have no quotation marks.
    let marks = zpl::marks_for(value).unwrap_or_default();
    for part in ["    ", name, " = ", marks, value, marks, "\n"] {
        text.push_str(part);
    }
}

/// True for a name that czmq reads, and that pyzmq, which looks at the start of lines only, does not take for a key.
fn is_metadata_name(name: &str) -> bool {
    zpl::is_name(name) && !name.starts_with(PUBLIC_KEY) && !name.starts_with(SECRET_KEY)
}

/// What has been read so far.
#[derive(Default)]
struct Draft {
    public: Option<PublicKey>,
    /// The inner one is `None` for the zeros that stand for no key.
    secret: Option<Option<SecretKey>>,
    metadata: Vec<(String, String)>,
}

impl Draft {
    fn take_key(&mut self, entry: &Entry<'_>) -> Result<(), CertificateError> {
        let line = entry.line;
        let duplicate = match entry.name {
            PUBLIC_KEY => {
                let key = in_place_of_key(entry.value)
                    .and_then(PublicKey::from_str)
                    .map_err(|source| CertificateError::Key { line, name: PUBLIC_KEY, source })?;
                self.public.replace(key).is_some()
            }
            SECRET_KEY => {
                let key = match in_place_of_key(entry.value).and_then(SecretKey::from_z85) {
                    Ok(key) => Some(key),
                    Err(KeyError::Zero) => None,
                    Err(source) => return Err(CertificateError::Key { line, name: SECRET_KEY, source }),
                };
                self.secret.replace(key).is_some()
            }
            _ => false,
        };
        if duplicate { Err(CertificateError::Duplicate { line }) } else { Ok(()) }
    }

    fn take_metadata(&mut self, entry: &Entry<'_>) -> Result<(), CertificateError> {
        let line = entry.line;
        if !is_metadata_name(entry.name) {
            return Err(CertificateError::Syntax {
                line,
                problem: "the name of a key stands in the section `metadata`; indent it below a line `curve`",
            });
        }
        if self.metadata.iter().any(|(name, _)| name == entry.name) {
            return Err(CertificateError::Duplicate { line });
        }
        self.metadata.push((entry.name.to_owned(), entry.value.to_owned()));
        Ok(())
    }

    fn finish(self) -> Result<Certificate, CertificateError> {
        let keys = match (self.public, self.secret.flatten()) {
            (Some(public), Some(secret)) => Keys::Pair(KeyPair::new(public, secret).map_err(CertificateError::Pair)?),
            (None, Some(secret)) => Keys::Pair(KeyPair::from_secret(secret)),
            (Some(public), None) => Keys::Public(public),
            (None, None) => return Err(CertificateError::NoKey),
        };
        Ok(Certificate { keys, metadata: self.metadata })
    }
}

/// Lets pass what has the length of a key's text in a file, where no zero octet follows it.
fn in_place_of_key(value: &str) -> Result<&str, KeyError> {
    if value.len() == KEY_TEXT_LEN { Ok(value) } else { Err(KeyError::Length { len: value.len() }) }
}
