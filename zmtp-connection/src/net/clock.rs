//! Monotonic time as the core wants it: a duration since one origin for the whole process.

use core::time::Duration;
use std::sync::OnceLock;

use tokio::time::Instant;

/// Before every instant that this process will ask about. Some tokio runtimes of a process may have a paused clock that
/// stands behind, or was advanced beyond, the real one; so the origin is a real time, and lies well in the past.
static ORIGIN: OnceLock<Instant> = OnceLock::new();

fn origin() -> Instant {
    *ORIGIN.get_or_init(|| {
        let now = std::time::Instant::now();
        let past = [86_400, 3_600, 60].into_iter().find_map(|secs| now.checked_sub(Duration::from_secs(secs)));
        Instant::from_std(past.unwrap_or(now))
    })
}

/// Follows tokio's clock, also where a test has paused it.
pub(super) fn now() -> Duration {
    Instant::now().saturating_duration_since(origin())
}

/// The instant `time` after the origin.
pub(super) fn instant(time: Duration) -> Instant {
    // What cannot be represented is far beyond any deadline that will be waited for.
    origin().checked_add(time).unwrap_or_else(|| Instant::now() + Duration::from_secs(86_400 * 365))
}
