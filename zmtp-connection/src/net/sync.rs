//! The locks of [`handoff`](super::handoff) and [`fan_out`](super::fan_out), named here so that their loom test can put
//! others in their place.

pub(super) use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
