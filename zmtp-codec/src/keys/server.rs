//! The key pairs of a server that changes its key while clients still have the old one.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Deref;

use super::KeyPair;

/// The key pairs by any of which clients may know a server: one, or several while it changes its key.
///
/// For servers of mechanisms, which try them in their order. Cloning is cheap, and clones share the keys.
#[derive(Clone, Debug)]
pub struct ServerKeys(Arc<[KeyPair]>);

impl ServerKeys {
    /// Key pairs on one server, at most: each is one more scalar multiplication for a HELLO that nobody can open.
    pub const MAX: usize = 4;

    /// These, in this order.
    ///
    /// # Errors
    /// [`KeyCountError`] when it is none, or more than [`MAX`](Self::MAX).
    pub fn new(keys: impl IntoIterator<Item = KeyPair>) -> Result<Self, KeyCountError> {
        // One more than is allowed is enough to know.
        let keys: Vec<_> = keys.into_iter().take(Self::MAX + 1).collect();
        if keys.is_empty() || keys.len() > Self::MAX {
            return Err(KeyCountError { count: keys.len() });
        }
        Ok(Self(keys.into()))
    }
}

impl From<KeyPair> for ServerKeys {
    fn from(keys: KeyPair) -> Self {
        Self(Arc::new([keys]))
    }
}

impl Deref for ServerKeys {
    type Target = [KeyPair];

    fn deref(&self) -> &[KeyPair] {
        &self.0
    }
}

/// A server has one to four key pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a server has 1 to {max} key pairs, not {}", if *count > ServerKeys::MAX { "more" } else { "none" }, max = ServerKeys::MAX)]
pub struct KeyCountError {
    count: usize,
}
