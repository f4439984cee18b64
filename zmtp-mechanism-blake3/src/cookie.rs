//! The keys of cookies: one for all connections that come within a minute, owned by those of them that are half open.

use alloc::sync::{Arc, Weak};
use core::time::Duration;
use std::sync::{Mutex, PoisonError};

use zmtp_codec::{Entropy, MechanismError};

use crate::kdf::{Secret, derive};
use crate::suite::Suite;

/// How long a key makes cookies. It opens them for as long again.
pub(crate) const PERIOD: Duration = Duration::from_secs(60);

/// A key, and since when there is it. It stays where it was made, and is wiped with the last handshake that has a cookie
/// of it: there is no clock here by which it could be wiped, and whoever has it can read what was recorded with it.
pub(crate) struct CookieKey {
    secret: Secret<32>,
    since: Duration,
}

impl CookieKey {
    /// The key for a cookie that is made.
    pub(crate) fn making<S: Suite>(&self) -> Secret<32> {
        derive(S::CONTEXTS.cookie, &[self.secret.as_slice()])
    }

    /// The key for a cookie that comes back now; `None` if that is too late.
    pub(crate) fn opening<S: Suite>(&self, now: Duration) -> Option<Secret<32>> {
        (now.saturating_sub(self.since) < 2 * PERIOD).then(|| self.making::<S>())
    }
}

/// The newest cookie key of a server and its clones, for as long as a handshake has a cookie of it.
#[derive(Clone, Default)]
pub(crate) struct CookieKeys(Arc<Mutex<Weak<CookieKey>>>);

impl CookieKeys {
    /// The key of a handshake that begins now.
    pub(crate) fn at(&self, now: Duration, entropy: &Entropy) -> Result<Arc<CookieKey>, MechanismError> {
        // Each change below is whole.
        let mut newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = newest.upgrade().filter(|key| now.checked_sub(key.since).is_some_and(|age| age < PERIOD)) {
            return Ok(key);
        }
        let mut key = Arc::new(CookieKey { secret: Secret::default(), since: now });
        // Filled where it stays; nobody else has it yet.
        if let Some(key) = Arc::get_mut(&mut key) {
            entropy.fill(key.secret.as_mut_slice()).map_err(|_| crate::NO_ENTROPY)?;
        }
        *newest = Arc::downgrade(&key);
        Ok(key)
    }
}

impl core::fmt::Debug for CookieKeys {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("CookieKeys").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicU8, Ordering};

    use super::*;
    use crate::ChachaPoly;
    use crate::suite::sealed::Suite as _;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Keys that are told apart by their first octet.
    fn keys() -> (CookieKeys, Entropy) {
        let next = AtomicU8::new(1);
        (CookieKeys::default(), Entropy::danger_from_fn(move |out| out.fill(next.fetch_add(1, Ordering::Relaxed))))
    }

    fn of(octet: u8) -> Secret<32> {
        derive(ChachaPoly::CONTEXTS.cookie, &[&[octet; 32]])
    }

    #[test]
    fn a_key_makes_cookies_for_a_period_and_opens_them_for_one_more() {
        let (keys, entropy) = keys();
        let at = |now| keys.at(seconds(now), &entropy).unwrap();
        let first = at(10);
        assert_eq!(first.making::<ChachaPoly>(), of(1));
        assert_eq!(at(69).making::<ChachaPoly>(), of(1));
        let second = at(70);
        assert_eq!(second.making::<ChachaPoly>(), of(2));
        assert_eq!(first.opening::<ChachaPoly>(seconds(129)), Some(of(1)));
        assert_eq!(first.opening::<ChachaPoly>(seconds(130)), None);
        assert_eq!(second.opening::<ChachaPoly>(seconds(130)), Some(of(2)));
    }

    #[test]
    fn a_key_is_gone_with_the_last_handshake_that_has_a_cookie_of_it() {
        let (keys, entropy) = keys();
        let (one, other) = (keys.at(seconds(0), &entropy).unwrap(), keys.clone().at(seconds(1), &entropy).unwrap());
        assert!(Arc::ptr_eq(&one, &other), "clones have the same keys");
        let watched = Arc::downgrade(&one);
        drop(one);
        assert!(watched.upgrade().is_some());
        drop(other);
        assert!(watched.upgrade().is_none(), "it is kept although nobody needs it");
        assert_eq!(keys.at(seconds(2), &entropy).unwrap().making::<ChachaPoly>(), of(2));
    }

    #[test]
    fn a_clock_that_goes_back_or_to_its_end_makes_no_key_older_than_it_is() {
        let (keys, entropy) = keys();
        let first = keys.at(seconds(100), &entropy).unwrap();
        assert_eq!(keys.at(seconds(50), &entropy).unwrap().making::<ChachaPoly>(), of(2));
        assert_eq!(first.opening::<ChachaPoly>(Duration::MAX), None);
        let last = keys.at(Duration::MAX, &entropy).unwrap();
        assert_eq!(last.opening::<ChachaPoly>(Duration::MAX), Some(of(3)));
    }
}
