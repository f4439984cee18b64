//! The keys of cookies: one for all connections, replaced by the clock, the one before accepted for a while.

use alloc::sync::Arc;
use core::time::Duration;
use std::sync::{Mutex, MutexGuard, PoisonError};

use zmtp_codec::{Entropy, MechanismError};

use crate::kdf::{Secret, derive};
use crate::suite::Suite;

/// How long a key makes cookies. It opens them for as long again.
pub(crate) const PERIOD: Duration = Duration::from_secs(60);

/// The cookie keys of a server and its clones.
#[derive(Clone, Default)]
pub(crate) struct CookieKeys(Arc<Mutex<Keys>>);

#[derive(Default)]
struct Keys {
    /// The key that makes cookies, and since when. It never moves in memory, so what is wiped is all there is of it.
    current: Option<(Box<Secret<32>>, Duration)>,
    /// The key before, and until when it opens.
    previous: Option<(Box<Secret<32>>, Duration)>,
}

impl CookieKeys {
    /// The key for a cookie that is made now.
    pub(crate) fn making<S: Suite>(&self, now: Duration, entropy: &Entropy) -> Result<Secret<32>, MechanismError> {
        let mut keys = self.at(now);
        if keys.current.is_none() {
            let mut secret = Box::<Secret<32>>::default();
            entropy.fill(secret.as_mut_slice()).map_err(|_| crate::NO_ENTROPY)?;
            keys.current = Some((secret, now));
        }
        let (secret, _) = keys.current.as_ref().ok_or(crate::NO_ENTROPY)?;
        Ok(derive(S::CONTEXTS.cookie, &[secret.as_slice()]))
    }

    /// The keys for a cookie that comes back now, the newest first.
    pub(crate) fn opening<S: Suite>(&self, now: Duration) -> impl Iterator<Item = Secret<32>> + use<S> {
        let keys = self.at(now);
        let secrets = [&keys.current, &keys.previous];
        let derived = secrets.map(|key| Some(derive(S::CONTEXTS.cookie, &[key.as_ref()?.0.as_slice()])));
        derived.into_iter().flatten()
    }

    /// The keys as they are at this time: what has served its time is wiped. There is no clock here, so this is when somebody
    /// next shakes hands.
    fn at(&self, now: Duration) -> MutexGuard<'_, Keys> {
        // Each change below is whole.
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((secret, since)) = keys.current.take_if(|(_, since)| now.saturating_sub(*since) >= PERIOD) {
            keys.previous = Some((secret, since.saturating_add(2 * PERIOD)));
        }
        keys.previous.take_if(|(_, until)| now >= *until);
        keys
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

    fn seconds(seconds: u64) -> Duration {
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

    use crate::suite::sealed::Suite as _;

    fn opening(keys: &CookieKeys, now: Duration) -> Vec<Secret<32>> {
        keys.opening::<ChachaPoly>(now).collect()
    }

    #[test]
    fn a_key_makes_cookies_for_a_period_and_opens_them_for_one_more() {
        let (keys, entropy) = keys();
        let making = |now| keys.making::<ChachaPoly>(now, &entropy).unwrap();
        assert_eq!(opening(&keys, seconds(5)), []);
        assert_eq!(making(seconds(10)), of(1));
        assert_eq!(making(seconds(69)), of(1));
        assert_eq!(opening(&keys, seconds(69)), [of(1)]);
        assert_eq!(making(seconds(70)), of(2));
        assert_eq!(opening(&keys, seconds(129)), [of(2), of(1)]);
        assert_eq!(opening(&keys, seconds(130)), [of(2)]);
        assert_eq!(making(seconds(130)), of(3));
        assert_eq!(opening(&keys, seconds(130)), [of(3), of(2)]);
    }

    #[test]
    fn nothing_is_left_after_an_idle_spell() {
        let (keys, entropy) = keys();
        keys.making::<ChachaPoly>(seconds(0), &entropy).unwrap();
        // Nobody came when its time to make cookies was over; its time to open them went on.
        assert_eq!(opening(&keys, seconds(119)), [of(1)]);
        assert_eq!(opening(&keys, seconds(120)), []);
        keys.making::<ChachaPoly>(seconds(200), &entropy).unwrap();
        assert_eq!(opening(&keys, seconds(1000)), []);
        assert!(keys.at(seconds(1000)).previous.is_none());
    }

    #[test]
    fn clones_have_the_same_keys_and_a_clock_that_stands_still_is_none_to_fear() {
        let (keys, entropy) = keys();
        keys.making::<ChachaPoly>(seconds(100), &entropy).unwrap();
        assert_eq!(opening(&keys.clone(), seconds(50)), [of(1)]);
    }
}
