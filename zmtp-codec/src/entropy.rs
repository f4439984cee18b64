//! Where the random octets of a mechanism come from.

use alloc::sync::Arc;

use crate::keys::KeyError;

/// A source of random octets for transient keys and nonces.
///
/// It is the operating system's, unless a test needs a handshake that comes out the same every time. Cloning it is
/// cheap, and the clones draw from the same source.
#[derive(Clone, Default)]
pub struct Entropy {
    /// The operating system if there is none.
    source: Option<Arc<Fill>>,
}

type Fill = dyn Fn(&mut [u8]) + Send + Sync;

impl Entropy {
    /// The operating system's source.
    #[must_use]
    pub const fn os() -> Self {
        Self { source: None }
    }

    /// Octets that `fill` writes. For tests and test vectors: whoever can guess what it writes reads every message of
    /// the session, whatever the mechanism.
    #[must_use]
    pub fn danger_from_fn(fill: impl Fn(&mut [u8]) + Send + Sync + 'static) -> Self {
        Self { source: Some(Arc::new(fill)) }
    }

    /// Fills `octets`.
    ///
    /// # Errors
    /// [`KeyError::Entropy`] when the operating system has none to give.
    pub fn fill(&self, octets: &mut [u8]) -> Result<(), KeyError> {
        match &self.source {
            Some(source) => source(octets),
            None => getrandom::fill(octets).map_err(|_| KeyError::Entropy)?,
        }
        Ok(())
    }
}

impl core::fmt::Debug for Entropy {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(if self.source.is_some() { "Entropy(given)" } else { "Entropy(os)" })
    }
}
