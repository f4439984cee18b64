//! The locks of [`handoff`](super::handoff), named here so that its loom test can put others in their place.

pub(super) use std::sync::{Mutex, MutexGuard, PoisonError};
