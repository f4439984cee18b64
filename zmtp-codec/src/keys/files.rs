//! Certificates in files: the public one under a name, the secret one beside it under that name with `_secret` added.

use core::fmt::Write as _;
use core::str;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::string::String;
use std::vec::Vec;

use zeroize::Zeroizing;

use super::{Certificate, CertificateError};

/// Files. They block on the disk; asynchronous code calls them before it starts or on a thread for it.
impl Certificate {
    /// Reads the certificate with the name `path`: both keys from the secret file (`path` with `_secret` added), or else
    /// what is in `path` itself, as czmq does. To read just one file, name it by its whole name; an ending `_secret` is
    /// nothing special, only one that is added is looked for first.
    ///
    /// It falls back to `path` only where there is no secret file. One that is broken or not for us to read is an error,
    /// for continuing without the secret key would surprise later. Whether others can read the file is not checked: pyzmq
    /// writes it so.
    ///
    /// # Errors
    /// [`CertificateError::Io`], and what [`parse`](Self::parse) refuses.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, CertificateError> {
        let path = path.as_ref();
        match read(&secret_path(path)) {
            Err(CertificateError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => read(path),
            done => done,
        }
    }

    /// Writes both files: `path` to give away, `path` with `_secret` added to keep.
    ///
    /// The secret file is written first and never over another one, not even if that appears at the same moment. On Unix
    /// only its owner can read and write it (mode 0600) from the start; elsewhere it gets the permissions of its directory.
    /// An existing public file is replaced, by renaming, so that its readers see all of the old or all of the new one.
    /// Where the public file cannot be written, the secret one is removed again.
    ///
    /// # Errors
    /// [`CertificateError::SecretExists`] if there is a secret file, see [`save_overwriting`](Self::save_overwriting);
    /// [`CertificateError::NoSecretKey`] if there is only the public key, see [`save_public`](Self::save_public);
    /// [`CertificateError::Io`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), CertificateError> {
        let path = path.as_ref();
        let text = self.danger_to_secret_text()?;
        let secret_path = secret_path(path);
        create(&secret_path, &text, Access::Owner).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => CertificateError::SecretExists { path: secret_path.clone() },
            _ => cannot_write(&secret_path, source),
        })?;
        self.save_public(path).inspect_err(|_| {
            // Made by us just now. If it stays, the error that is returned still says what went wrong first.
            let _ = fs::remove_file(&secret_path);
        })
    }

    /// Writes both files as [`save`](Self::save) does, and replaces a secret file that is there: its key is lost.
    ///
    /// Each file is replaced by renaming a new one over it, the secret one first. So nobody ever reads half a file, but a
    /// reader may find the new secret file beside the old public one, also after an error. A symbolic link is replaced, not
    /// followed.
    ///
    /// # Errors
    /// [`CertificateError::NoSecretKey`] if there is only the public key; [`CertificateError::Io`].
    pub fn save_overwriting(&self, path: impl AsRef<Path>) -> Result<(), CertificateError> {
        let path = path.as_ref();
        let text = self.danger_to_secret_text()?;
        replace(&secret_path(path), &text, Access::Owner)?;
        self.save_public(path)
    }

    /// Writes the public file only, over one that is there.
    ///
    /// # Errors
    /// [`CertificateError::Io`].
    pub fn save_public(&self, path: impl AsRef<Path>) -> Result<(), CertificateError> {
        replace(path.as_ref(), &self.to_public_text(), Access::Everybody)
    }
}

/// Who may read a file that is created, as far as the operating system asks.
#[derive(Clone, Copy)]
enum Access {
    Owner,
    /// As the process was told to create files.
    Everybody,
}

fn secret_path(path: &Path) -> PathBuf {
    with_suffix(path, "_secret")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = OsString::from(path);
    path.push(suffix);
    path.into()
}

fn read(path: &Path) -> Result<Certificate, CertificateError> {
    let fail = |source| CertificateError::Io { action: "cannot read", path: path.into(), source };
    // One octet more than a certificate has, to tell that it is too long; the buffer never grows and leaves no copy behind.
    let limit = Certificate::MAX_LEN + 1;
    let mut octets = Zeroizing::new(Vec::with_capacity(limit));
    File::open(path).map_err(fail)?.take(limit as u64).read_to_end(&mut octets).map_err(fail)?;
    if octets.len() > Certificate::MAX_LEN {
        return Err(CertificateError::TooLong { max: Certificate::MAX_LEN });
    }
    let text = str::from_utf8(&octets).map_err(|error| CertificateError::Encoding { position: error.valid_up_to() })?;
    Certificate::parse(text)
}

/// Creates a file that must not be there yet, and removes it if it cannot be filled.
fn create(path: &Path, text: &str, access: Access) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if let Access::Owner = access {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    #[cfg(not(unix))]
    let _ = access;
    let mut file = options.open(path)?;
    // Synchronised, for after a rename a crash must not leave an empty file in place of the old one.
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).inspect_err(|_| {
        let _ = fs::remove_file(path);
    })
}

/// Puts a new file in place of what is at `path`, if anything.
fn replace(path: &Path, text: &str, access: Access) -> Result<(), CertificateError> {
    let fail = |source| cannot_write(path, source);
    let new = with_suffix(path, &random_suffix().map_err(fail)?);
    create(&new, text, access).map_err(fail)?;
    fs::rename(&new, path).map_err(|source| {
        let _ = fs::remove_file(&new);
        fail(source)
    })
}

/// A name that nobody else is using: two processes may save at once, and a file may be left from a crash.
fn random_suffix() -> io::Result<String> {
    let mut octets = [0; 8];
    getrandom::fill(&mut octets).map_err(io::Error::other)?;
    let mut suffix = String::from(".new-");
    for octet in octets {
        write!(suffix, "{octet:02x}").map_err(io::Error::other)?;
    }
    Ok(suffix)
}

fn cannot_write(path: &Path, source: io::Error) -> CertificateError {
    CertificateError::Io { action: "cannot write", path: path.into(), source }
}
