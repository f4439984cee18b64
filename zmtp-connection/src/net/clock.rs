//! Monotonic time as the core wants it: a duration since one origin for the whole process.

use core::time::Duration;
use std::sync::OnceLock;

use tokio::time::Instant;

static ORIGIN: OnceLock<Instant> = OnceLock::new();

/// Follows tokio's clock, also where a test has paused it.
pub(super) fn now() -> Duration {
    let now = Instant::now();
    now.saturating_duration_since(*ORIGIN.get_or_init(|| now))
}

/// The instant `time` after the origin.
pub(super) fn instant(time: Duration) -> Instant {
    let origin = *ORIGIN.get_or_init(Instant::now);
    // Far beyond any deadline that will be waited for.
    origin.checked_add(time).unwrap_or_else(|| Instant::now() + Duration::from_secs(86_400 * 365))
}
