//! A list of public keys that can be changed while it is in use.

use std::collections::HashMap;
use std::fmt;
use std::future::{Future, ready};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use zmtp_codec::{Admission, Verdict};

use super::{AuthRequest, Authenticator};

/// Lets in the peers whose long-term public key is on a list, which can be changed at any time.
///
/// Clones share one list. A change is seen by every handshake that asks after it; peers that are connected already stay
/// connected. Peers that are not on the list, or have no key, are denied for good ([`Verdict::deny`]): libzmq's do not
/// come back after that, so put a key on the list before its owner connects.
///
/// Under NULL nobody has a key, so nobody is let in (and libzmq's come back all the same, see `Null::new`). A client that uses a list needs the server's key on it.
///
/// A lookup costs one hash of the key, under a lock that is held for nothing else. It takes no constant time, and need
/// not: public keys are no secret, and to be looked up a peer must have proven that it has the secret one, so what it could
/// learn from the time is what the verdict tells it anyway.
///
/// ```
/// use zmtp_connection::AllowList;
///
/// let list = AllowList::new([[1; 32], [2; 32]]);
/// let control = list.clone();
/// control.insert_as([3; 32], "carol");
/// control.remove([1; 32]);
/// assert!(list.contains([3; 32]) && !list.contains([1; 32]));
/// ```
#[derive(Clone, Default)]
pub struct AllowList {
    keys: Arc<RwLock<Entries>>,
}

/// The keys, and the user id that each of them stands for. The hash is seeded, so that nobody can choose keys that
/// collide.
type Entries = HashMap<[u8; 32], Option<Bytes>>;

impl AllowList {
    /// A list of these keys; [`AllowList::default`] is an empty one, on which nobody is let in.
    #[must_use]
    pub fn new<K: Into<[u8; 32]>>(keys: impl IntoIterator<Item = K>) -> Self {
        Self { keys: Arc::new(RwLock::new(without_users(keys))) }
    }

    /// Lets in the owner of this key from now on, without a user id. True if the key was not on the list before; if it
    /// was, a user id that it had is taken away.
    pub fn insert(&self, key: impl Into<[u8; 32]>) -> bool {
        self.put(key.into(), None)
    }

    /// Lets in the owner of this key from now on, as this user ([`Peer::user_id`](crate::Peer::user_id)). True if the
    /// key was not on the list before; if it was, the user id replaces the one that it had.
    pub fn insert_as(&self, key: impl Into<[u8; 32]>, user_id: impl Into<Bytes>) -> bool {
        self.put(key.into(), Some(user_id.into()))
    }

    /// No longer lets in the owner of this key. True if the key was on the list.
    pub fn remove(&self, key: impl Into<[u8; 32]>) -> bool {
        let key = key.into();
        let before = self.write().remove(&key);
        before.is_some()
    }

    /// Puts other keys in place of all that were on the list, in one step: no handshake sees some of both. User ids are
    /// dropped, see [`replace_as`](Self::replace_as).
    pub fn replace<K: Into<[u8; 32]>>(&self, keys: impl IntoIterator<Item = K>) {
        self.swap(without_users(keys));
    }

    /// As [`replace`](Self::replace), with a user id for each key. Of a key that is given twice the last one counts.
    pub fn replace_as<K: Into<[u8; 32]>, U: Into<Bytes>>(&self, keys: impl IntoIterator<Item = (K, U)>) {
        self.swap(keys.into_iter().map(|(key, user_id)| (key.into(), Some(user_id.into()))).collect());
    }

    /// Whether the owner of this key would be let in now.
    #[must_use]
    pub fn contains(&self, key: impl Into<[u8; 32]>) -> bool {
        let key = key.into();
        self.read().contains_key(&key)
    }

    /// How many keys are on the list.
    #[must_use]
    pub fn len(&self) -> usize {
        self.read().len()
    }

    /// Whether nobody is let in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn put(&self, key: [u8; 32], user_id: Option<Bytes>) -> bool {
        // What was there is freed after the lock.
        let before = self.write().insert(key, user_id);
        before.is_none()
    }

    fn swap(&self, entries: Entries) {
        let before = std::mem::replace(&mut *self.write(), entries);
        // A long list takes a while to free, and nobody should wait for that.
        drop(before);
    }

    fn verdict(&self, request: &AuthRequest) -> Verdict {
        let Some(key) = request.public_key() else { return Verdict::deny().because("it has no public key") };
        match self.read().get(key) {
            None => Verdict::deny().because("its public key is not on the list"),
            Some(None) => Verdict::accept(),
            Some(Some(user_id)) => Verdict::Accept(Admission::new().with_user_id(user_id.clone())),
        }
    }

    // No code of anybody else runs under the lock, and each change is one call of the map: the list is whole even after
    // a panic.

    fn read(&self) -> RwLockReadGuard<'_, Entries> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Entries> {
        self.keys.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn without_users<K: Into<[u8; 32]>>(keys: impl IntoIterator<Item = K>) -> Entries {
    keys.into_iter().map(|key| (key.into(), None)).collect()
}

impl Authenticator for AllowList {
    fn authenticate(&self, request: AuthRequest) -> impl Future<Output = Verdict> + Send {
        ready(self.verdict(&request))
    }
}

impl fmt::Debug for AllowList {
    /// How long the list is; not who is on it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AllowList").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn a_panic_in_the_callers_keys_changes_nothing_and_locks_nobody_out() {
        let list = AllowList::new([[1; 32]]);
        let keys = (2..4).map(|first| if first == 3 { panic!("no such key") } else { [first; 32] });
        assert!(catch_unwind(AssertUnwindSafe(|| list.replace(keys))).is_err());
        assert!(!list.keys.is_poisoned(), "nothing of the caller's runs under the lock");
        assert!(list.contains([1; 32]) && list.len() == 1);
    }

    #[test]
    fn a_lock_that_was_poisoned_all_the_same_is_used_on() {
        let list = AllowList::new([[1; 32]]);
        let poison = catch_unwind(AssertUnwindSafe(|| {
            let _guard = list.write();
            panic!("in the middle");
        }));
        assert!(poison.is_err() && list.keys.is_poisoned());
        assert!(list.insert([2; 32]) && list.remove([1; 32]));
        assert!(list.contains([2; 32]));
    }
}
