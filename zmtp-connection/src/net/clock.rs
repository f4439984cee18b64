//! Monotonic time as the core wants it: a duration since one origin for the whole process.

use core::time::Duration;
use std::sync::OnceLock;

use tokio::time::Instant;

static FIRST_LOOK: OnceLock<Instant> = OnceLock::new();

/// The first look at the clock is so long after the origin. Where tests pause their clocks, another thread's time may
/// lie before it, by as much as the first one's clock was put forward.
const BEFORE_FIRST_LOOK: Duration = Duration::from_secs(86_400 * 365);

/// Follows tokio's clock, also where a test has paused it.
pub(super) fn now() -> Duration {
    let now = Instant::now();
    let first = *FIRST_LOOK.get_or_init(|| now);
    match now.checked_duration_since(first) {
        Some(after) => BEFORE_FIRST_LOOK.saturating_add(after),
        None => BEFORE_FIRST_LOOK.saturating_sub(first.saturating_duration_since(now)),
    }
}

/// The instant `time` after the origin.
pub(super) fn instant(time: Duration) -> Instant {
    let first = *FIRST_LOOK.get_or_init(Instant::now);
    let instant = match time.checked_sub(BEFORE_FIRST_LOOK) {
        Some(after) => first.checked_add(after),
        None => first.checked_sub(BEFORE_FIRST_LOOK.saturating_sub(time)),
    };
    // Far beyond any deadline that will be waited for.
    instant.unwrap_or_else(|| Instant::now() + Duration::from_secs(86_400 * 365))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two runtimes with clocks of their own, of which the first was put forward before anybody looked.
    #[test]
    fn a_paused_clock_that_lags_behind_the_first_one_runs_all_the_same() {
        let paused = || tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let late = paused();
        paused().block_on(async {
            tokio::time::advance(Duration::from_secs(3600)).await;
            now();
        });
        late.block_on(async {
            let before = now();
            tokio::time::advance(Duration::from_secs(1)).await;
            assert_eq!(now() - before, Duration::from_secs(1));
            assert_eq!(instant(now()), Instant::now());
        });
    }
}
