//! What a peer shows to be let in, and the username and password of PLAIN.

use alloc::sync::Arc;
use core::fmt;

use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};
use thiserror::Error;
use zeroize::Zeroizing;

/// What a peer shows to be let in.
///
/// `==` takes the same time wherever usernames and passwords differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credentials {
    /// Nothing: the mechanism has no credentials.
    #[default]
    Anonymous,
    /// A username and a password, as they came: nothing is proven yet.
    Plain(PlainCredentials),
    /// A long-term public key whose possession the handshake has proven.
    PublicKey([u8; 32]),
}

impl Credentials {
    /// The long-term public key, if that is what the peer shows.
    #[must_use]
    pub const fn public_key(&self) -> Option<&[u8; 32]> {
        match self {
            Self::PublicKey(key) => Some(key),
            Self::Anonymous | Self::Plain(_) => None,
        }
    }

    /// The username and password, if that is what the peer shows.
    #[must_use]
    pub const fn plain(&self) -> Option<&PlainCredentials> {
        match self {
            Self::Plain(credentials) => Some(credentials),
            Self::Anonymous | Self::PublicKey(_) => None,
        }
    }
}

/// A username and a password, up to 255 octets each, as the mechanism PLAIN sends them (RFC 24).
///
/// They lie in one place, padded to one length; clones share it, and it is wiped when the last one is dropped. `==` takes
/// the same time whatever is in them and however long they are. `Debug` shows the username and never the password.
#[derive(Clone)]
pub struct PlainCredentials(Arc<Zeroizing<Fields>>);

/// Each with its length in front and zeros behind, so that equal fields are equal arrays.
type Fields = [[u8; 1 + PlainCredentials::MAX_LEN]; 2];

impl PlainCredentials {
    /// Octets of a username, and of a password, at most.
    pub const MAX_LEN: usize = 255;

    /// Any octets, and none at all, are a username or a password (RFC 24 has printable characters; libzmq takes any, but
    /// its own options take no empty ones).
    ///
    /// They are copied; wipe your own copy of the password.
    ///
    /// # Errors
    /// [`CredentialsError`] if one of them is longer than 255 octets.
    pub fn new(username: impl AsRef<[u8]>, password: impl AsRef<[u8]>) -> Result<Self, CredentialsError> {
        let (username, password) = (username.as_ref(), password.as_ref());
        // Filled where they stay: no copy is left behind on the stack.
        let mut fields = Arc::new(Zeroizing::new([[0; 1 + Self::MAX_LEN]; 2]));
        if let Some(fields) = Arc::get_mut(&mut fields) {
            let [first, second] = &mut **fields;
            put(first, username).ok_or(CredentialsError { what: "username", len: username.len() })?;
            put(second, password).ok_or(CredentialsError { what: "password", len: password.len() })?;
        }
        Ok(Self(fields))
    }

    /// The username.
    #[must_use]
    pub fn username(&self) -> &[u8] {
        let [username, _] = &**self.0;
        taken(username)
    }

    /// The username as text, if it is UTF-8.
    #[must_use]
    pub fn username_str(&self) -> Option<&str> {
        core::str::from_utf8(self.username()).ok()
    }

    /// The password. Whoever sees it can be this user; to find out whether it is the right one, use
    /// [`has_password`](Self::has_password), and wipe what you copy.
    #[must_use]
    pub fn danger_password(&self) -> &[u8] {
        let [_, password] = &**self.0;
        taken(password)
    }

    /// Whether this is the password, in a time that does not depend on where or in how much they differ.
    #[must_use]
    pub fn has_password(&self, password: impl AsRef<[u8]>) -> bool {
        let [_, ours] = &**self.0;
        let mut padded = Zeroizing::new([0; 1 + Self::MAX_LEN]);
        put(&mut padded, password.as_ref()).is_some() && bool::from(same(ours, &padded))
    }

    /// Where in `list` these credentials are, the first place if there are several; `None` if nowhere.
    ///
    /// It takes a time that depends on the length of the list alone: an unknown username takes as long as a known one with
    /// a wrong password. Some 0.1 µs for each entry.
    #[must_use]
    pub fn find_in<'a>(&self, list: impl IntoIterator<Item = &'a Self>) -> Option<usize> {
        let mut found = Choice::from(0);
        let mut place = 0;
        for (index, entry) in (0_u64..).zip(list) {
            let here = self.same(entry);
            place.conditional_assign(&index, here & !found);
            found |= here;
        }
        if bool::from(found) { usize::try_from(place).ok() } else { None }
    }

    fn same(&self, other: &Self) -> Choice {
        let ([our_name, our_word], [their_name, their_word]) = (&**self.0, &**other.0);
        same(our_name, their_name) & same(our_word, their_word)
    }
}

fn put(field: &mut [u8; 256], octets: &[u8]) -> Option<()> {
    let (len, rest) = field.split_first_mut()?;
    *len = u8::try_from(octets.len()).ok()?;
    rest.get_mut(..octets.len())?.copy_from_slice(octets);
    Some(())
}

fn taken(field: &[u8; 256]) -> &[u8] {
    let [len, rest @ ..] = field;
    rest.get(..usize::from(*len)).unwrap_or_default()
}

/// Compares in steps of eight octets, since each step has a fixed cost.
fn same(one: &[u8; 256], other: &[u8; 256]) -> Choice {
    let words = |field: &[u8; 256]| -> [u64; 32] {
        let mut words = [0; 32];
        for (word, octets) in words.iter_mut().zip(field.as_chunks().0) {
            *word = u64::from_ne_bytes(*octets);
        }
        words
    };
    let (one, other) = (Zeroizing::new(words(one)), Zeroizing::new(words(other)));
    one[..].ct_eq(&other[..])
}

impl PartialEq for PlainCredentials {
    fn eq(&self, other: &Self) -> bool {
        bool::from(self.same(other))
    }
}

impl Eq for PlainCredentials {}

impl fmt::Debug for PlainCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlainCredentials")
            .field("username", &format_args!("\"{}\"", self.username().escape_ascii()))
            .finish_non_exhaustive()
    }
}

/// A username or a password that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a {what} of {len} octets does not fit: 255 at most")]
pub struct CredentialsError {
    what: &'static str,
    len: usize,
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    fn plain(username: &str, password: &str) -> PlainCredentials {
        PlainCredentials::new(username, password).unwrap()
    }

    #[test]
    fn what_was_put_in_comes_out() {
        for len in [0, 1, 7, 8, 254, 255] {
            let (username, password) = ("u".repeat(len), "p".repeat(255 - len));
            let credentials = plain(&username, &password);
            assert_eq!(credentials.username_str(), Some(&*username));
            assert_eq!(credentials.danger_password(), password.as_bytes());
            assert!(credentials.has_password(&password));
        }
        assert_eq!(PlainCredentials::new(b"\xff\0", b"").unwrap().username(), b"\xff\0");
        assert_eq!(PlainCredentials::new(b"\xff\0", b"").unwrap().username_str(), None);
    }

    #[test]
    fn what_is_longer_than_255_octets_is_refused_and_named() {
        let long = "x".repeat(256);
        let said = |error: CredentialsError| format!("{error}");
        assert_eq!(
            said(PlainCredentials::new(&long, "").unwrap_err()),
            "a username of 256 octets does not fit: 255 at most"
        );
        assert_eq!(
            said(PlainCredentials::new("", &long).unwrap_err()),
            "a password of 256 octets does not fit: 255 at most"
        );
        assert!(!plain("", "x").has_password(&long));
    }

    #[test]
    fn one_octet_or_one_zero_octet_makes_a_difference() {
        let right = plain("alice", "secret");
        assert_eq!(right, plain("alice", "secret"));
        for other in
            [plain("alice", "secreT"), plain("Alice", "secret"), plain("alice", ""), plain("alice", "secret\0")]
        {
            assert_ne!(right, other);
        }
        // The border between the two is not for the peer to move.
        assert_ne!(plain("ab", "c"), plain("a", "bc"));
        for password in ["secre", "secrets", "secret\0", "", "Secret"] {
            assert!(!right.has_password(password), "{password:?}");
        }
    }

    #[test]
    fn each_octet_of_either_field_is_compared() {
        let zeros = [0; 255];
        let blank = PlainCredentials::new(zeros, zeros).unwrap();
        for at in 0..255 {
            let mut other = zeros;
            other[at] = 0x80;
            assert_ne!(blank, PlainCredentials::new(other, zeros).unwrap(), "username, octet {at}");
            assert_ne!(blank, PlainCredentials::new(zeros, other).unwrap(), "password, octet {at}");
            assert!(!blank.has_password(other));
        }
    }

    #[test]
    fn credentials_are_found_where_both_halves_are_right() {
        let list = [plain("alice", "a"), plain("bob", "b"), plain("", ""), plain("bob", "b")];
        let found = |username, password| plain(username, password).find_in(&list);
        assert_eq!(found("alice", "a"), Some(0));
        assert_eq!(found("bob", "b"), Some(1));
        assert_eq!(found("", ""), Some(2));
        // Each half is somewhere on the list, and the two not together.
        assert_eq!((found("alice", "b"), found("bob", ""), found("", "a")), (None, None, None));
        assert_eq!(found("carol", "a"), None);
        assert_eq!(plain("alice", "a").find_in([]), None);
    }

    #[test]
    fn a_password_is_never_shown() {
        let shown = format!("{:?}", Credentials::Plain(plain("al\nice", "hunter2")));
        assert_eq!(shown, r#"Plain(PlainCredentials { username: "al\nice", .. })"#);
    }

    #[test]
    fn only_the_credentials_that_were_shown_are_there() {
        let key = Credentials::PublicKey([7; 32]);
        assert_eq!((key.public_key(), key.plain()), (Some(&[7; 32]), None));
        let plain = Credentials::Plain(plain("alice", ""));
        assert_eq!(plain.public_key(), None);
        assert_eq!(plain.plain().unwrap().username(), b"alice");
        assert_eq!((Credentials::Anonymous.public_key(), Credentials::Anonymous.plain()), (None, None));
    }
}
