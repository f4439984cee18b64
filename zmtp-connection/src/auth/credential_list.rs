//! A list of usernames and passwords that can be changed while it is in use.

use std::collections::HashMap;
use std::fmt;
use std::future::{Future, ready};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use zmtp_codec::{PlainCredentials, Verdict};

use super::{AuthRequest, Authenticator};

/// Lets in the clients of PLAIN whose username and password are on a list, which can be changed at any time.
///
/// Clones share one list. A change is seen by every handshake that asks after it; peers that are connected already stay
/// connected. A peer that is let in is known by its username ([`Peer::user_id`](crate::Peer::user_id)), or by what
/// [`insert_as`](Self::insert_as) has said. Peers that are not on the list, or show no username because their mechanism has
/// none, are denied for good ([`Verdict::deny`]): libzmq's do not come back after that. Which half was wrong is said neither
/// to them nor to our own log.
///
/// It is for servers: a PLAIN client is shown no username by its server, and a list that is asked about one denies it.
///
/// A verdict compares what the peer shows with every entry, always the whole list and every octet, so that the time says
/// nothing of who is on it. That costs some 0.1 µs for each entry on the task of the connection, and each entry half a
/// kilobyte. The passwords are kept as they are, and wiped when they are dropped. For many thousands of users, or to keep
/// hashes of passwords, write an [`Authenticator`] of your own that is `async` and computes the slow hash elsewhere
/// (`tokio::task::spawn_blocking`), for unknown usernames too.
///
/// ```
/// use zmtp_connection::{CredentialList, PlainCredentials};
///
/// # fn main() -> Result<(), zmtp_connection::CredentialsError> {
/// let list = CredentialList::new([PlainCredentials::new("alice", "correct horse")?]);
/// let control = list.clone();
/// control.insert(PlainCredentials::new("bob", "battery staple")?);
/// control.remove("alice");
/// assert!(list.contains("bob") && !list.contains("alice"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct CredentialList {
    users: Arc<RwLock<Entries>>,
}

/// By username. The hash is for changes of the list alone: a peer's username is not looked up, it is compared.
type Entries = HashMap<Bytes, Entry>;

struct Entry {
    credentials: PlainCredentials,
    user_id: Bytes,
}

impl CredentialList {
    /// A list of these usernames and passwords; [`CredentialList::default`] is an empty one, on which nobody is let in. Of
    /// a username that is given twice the last password counts.
    #[must_use]
    pub fn new(credentials: impl IntoIterator<Item = PlainCredentials>) -> Self {
        Self { users: Arc::new(RwLock::new(known_by_username(credentials))) }
    }

    /// Lets in whoever shows this username and password from now on, known by the username. True if the username was not
    /// on the list before; if it was, this password replaces the one that it had.
    #[expect(clippy::must_use_candidate, reason = "it is called for what it does")]
    pub fn insert(&self, credentials: PlainCredentials) -> bool {
        let (username, entry) = by_username(credentials);
        self.put(username, entry)
    }

    /// As [`insert`](Self::insert), known by this user id. Several usernames may stand for one user.
    pub fn insert_as(&self, credentials: PlainCredentials, user_id: impl Into<Bytes>) -> bool {
        let username = Bytes::copy_from_slice(credentials.username());
        self.put(username, Entry { credentials, user_id: user_id.into() })
    }

    /// No longer lets in anybody under this username. True if it was on the list.
    pub fn remove(&self, username: impl AsRef<[u8]>) -> bool {
        let username = username.as_ref();
        let before = self.write().remove(username);
        before.is_some()
    }

    /// Puts other usernames and passwords in place of all that were on the list, in one step: no handshake sees some of
    /// both. Each is known by its username.
    pub fn replace(&self, credentials: impl IntoIterator<Item = PlainCredentials>) {
        let entries = known_by_username(credentials);
        let before = std::mem::replace(&mut *self.write(), entries);
        // A long list takes a while to wipe, and nobody should wait for that.
        drop(before);
    }

    /// Whether this username is on the list. Takes no constant time: it is for who keeps the list, and not for judging
    /// peers.
    #[must_use]
    pub fn contains(&self, username: impl AsRef<[u8]>) -> bool {
        let username = username.as_ref();
        self.read().contains_key(username)
    }

    /// How many usernames are on the list.
    #[must_use]
    pub fn len(&self) -> usize {
        self.read().len()
    }

    /// Whether nobody is let in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn put(&self, username: Bytes, entry: Entry) -> bool {
        // What was there is wiped after the lock.
        let before = self.write().insert(username, entry);
        before.is_none()
    }

    fn verdict(&self, request: &AuthRequest) -> Verdict {
        let Some(shown) = request.plain() else {
            return Verdict::deny().because("a username and a password are asked for, and it shows none");
        };
        match self.user_id(shown) {
            Some(user_id) => Verdict::accept_as(user_id),
            None => Verdict::deny().because("its username and password are not on the list"),
        }
    }

    fn user_id(&self, shown: &PlainCredentials) -> Option<Bytes> {
        let users = self.read();
        let place = shown.find_in(users.values().map(|entry| &entry.credentials))?;
        // In the same order, as the list cannot change meanwhile.
        users.values().nth(place).map(|entry| entry.user_id.clone())
    }

    // No code of anybody else runs under the lock, and each change is one call of the map: the list is whole even after
    // a panic.

    fn read(&self) -> RwLockReadGuard<'_, Entries> {
        self.users.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Entries> {
        self.users.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn known_by_username(credentials: impl IntoIterator<Item = PlainCredentials>) -> Entries {
    credentials.into_iter().map(by_username).collect()
}

fn by_username(credentials: PlainCredentials) -> (Bytes, Entry) {
    let username = Bytes::copy_from_slice(credentials.username());
    (username.clone(), Entry { credentials, user_id: username })
}

impl Authenticator for CredentialList {
    fn authenticate(&self, request: AuthRequest) -> impl Future<Output = Verdict> + Send {
        ready(self.verdict(&request))
    }
}

impl fmt::Debug for CredentialList {
    /// How long the list is; not who is on it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialList").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use zmtp_codec::{Claim, Credentials, MechanismName};

    use super::*;

    fn plain(username: &str, password: &str) -> PlainCredentials {
        PlainCredentials::new(username, password).unwrap()
    }

    fn judge(list: &CredentialList, username: &str, password: &str) -> Verdict {
        let claim = Claim::new(Credentials::Plain(plain(username, password)));
        list.verdict(&AuthRequest::new(MechanismName::PLAIN, claim))
    }

    fn is_let_in(list: &CredentialList, username: &str, password: &str) -> bool {
        matches!(judge(list, username, password), Verdict::Accept(_))
    }

    #[test]
    fn whoever_is_on_the_list_is_let_in_as_the_user_of_the_entry() {
        let list = CredentialList::new((0..50).map(|n| plain(&format!("user {n}"), &format!("password {n}"))));
        assert!(list.insert_as(plain("svc-1", "s"), "service") && list.insert_as(plain("svc-2", "s"), "service"));
        assert_eq!(list.len(), 52);
        for n in 0..50 {
            let verdict = judge(&list, &format!("user {n}"), &format!("password {n}"));
            assert_eq!(verdict, Verdict::accept_as(format!("user {n}")));
            assert!(!is_let_in(&list, &format!("user {n}"), &format!("password {}", n + 1)));
        }
        for username in ["svc-1", "svc-2"] {
            assert_eq!(judge(&list, username, "s"), Verdict::accept_as("service"));
        }
    }

    #[test]
    fn all_who_are_denied_are_denied_alike_and_no_word_of_theirs_is_repeated() {
        let list = CredentialList::new([plain("alice", "a"), plain("bob", "b")]);
        let wrong = judge(&list, "alice", "hunter2");
        for (username, password) in [("carol", "a"), ("alice", "b"), ("", ""), ("alice", ""), ("ALICE", "a")] {
            assert_eq!(judge(&list, username, password), wrong);
        }
        assert_eq!(judge(&CredentialList::default(), "alice", "hunter2"), wrong, "nor is said that the list is empty");
        let Verdict::Refuse(refusal) = wrong else { panic!("let in") };
        assert_eq!(refusal.status_code(), 400);
        assert_eq!(refusal.text(), Some("its username and password are not on the list"));
    }

    #[test]
    fn who_shows_no_username_is_denied() {
        let list = CredentialList::new([plain("", "")]);
        for credentials in [Credentials::Anonymous, Credentials::PublicKey([0; 32])] {
            let request = AuthRequest::new(MechanismName::NULL, Claim::new(credentials));
            let Verdict::Refuse(refusal) = list.verdict(&request) else { panic!("let in") };
            assert_eq!(refusal.status_code(), 400);
            assert!(refusal.text().unwrap().contains("shows none"));
        }
        assert!(is_let_in(&list, "", ""), "which is another thing than an empty one");
    }

    #[test]
    fn a_change_replaces_what_there_was_and_says_whether_there_was_something() {
        let list = CredentialList::new([plain("alice", "old"), plain("alice", "a")]);
        let control = list.clone();
        assert!(list.len() == 1 && is_let_in(&list, "alice", "a") && !is_let_in(&list, "alice", "old"));
        assert!(!control.insert_as(plain("alice", "new"), "Alice"));
        assert_eq!(judge(&list, "alice", "new"), Verdict::accept_as("Alice"));
        assert!(!is_let_in(&list, "alice", "a"), "it has one password");
        assert!(!control.insert(plain("alice", "new")));
        assert_eq!(judge(&list, "alice", "new"), Verdict::accept_as("alice"), "the user id is the username again");

        assert!(control.insert(plain("bob", "b")) && control.remove("bob") && !control.remove(b"bob"));
        assert!(!is_let_in(&list, "bob", "b") && !list.contains("bob"));
        control.replace([plain("carol", "c")]);
        assert!(list.contains("carol") && !list.contains("alice") && !is_let_in(&list, "alice", "new"));
        control.replace([]);
        assert!(list.is_empty() && !is_let_in(&list, "carol", "c"));
    }

    #[test]
    fn debug_shows_how_long_it_is_and_nobody() {
        let list = CredentialList::new([plain("alice", "hunter2")]);
        assert_eq!(format!("{list:?}"), "CredentialList { len: 1, .. }");
    }

    #[test]
    fn a_panic_in_the_callers_list_changes_nothing_and_locks_nobody_out() {
        let list = CredentialList::new([plain("alice", "a")]);
        let broken = (0..2).map(|n| if n == 1 { panic!("no such user") } else { plain("bob", "b") });
        assert!(catch_unwind(AssertUnwindSafe(|| list.replace(broken))).is_err());
        assert!(!list.users.is_poisoned(), "nothing of the caller's runs under the lock");
        assert!(list.contains("alice") && list.len() == 1);
    }

    #[test]
    fn a_lock_that_was_poisoned_all_the_same_is_used_on() {
        let list = CredentialList::new([plain("alice", "a")]);
        let poison = catch_unwind(AssertUnwindSafe(|| {
            let _guard = list.write();
            panic!("in the middle");
        }));
        assert!(poison.is_err() && list.users.is_poisoned());
        assert!(list.insert(plain("bob", "b")) && list.remove("alice"));
        assert!(is_let_in(&list, "bob", "b") && !is_let_in(&list, "alice", "a"));
    }
}
