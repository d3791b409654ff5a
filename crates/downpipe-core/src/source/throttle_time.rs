//! The time for which the throttle has held an export back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::error::SourceError;

/// Adds up how long an export was held back, by key of its definition. Clones share the sums.
#[derive(Debug, Clone, Default)]
pub struct ThrottleTime(Arc<Mutex<BTreeMap<&'static str, Duration>>>);

/// Counts a wait until it is dropped.
#[derive(Debug)]
pub struct ThrottleGuard {
    waits: ThrottleTime,
    key: &'static str,
    since: Instant,
}

impl ThrottleTime {
    /// Begins a wait because of this key.
    #[must_use]
    pub fn begin(&self, key: &'static str) -> ThrottleGuard {
        ThrottleGuard { waits: self.clone(), key, since: Instant::now() }
    }

    /// Returns the key that has held the export back the longest, and for how long.
    #[must_use]
    pub fn longest(&self) -> Option<(&'static str, Duration)> {
        self.lock().iter().max_by_key(|(_, time)| **time).map(|(key, time)| (*key, *time))
    }

    /// Returns the error, or one that names the throttle if the deadline was reached after it had held the export back.
    pub(crate) fn explain(&self, error: SourceError) -> SourceError {
        match (error, self.longest()) {
            (SourceError::TimedOut, Some((key, time))) if time >= Duration::from_secs(1) => {
                SourceError::HeldBack { key, seconds: time.as_secs() }
            }
            (error, _) => error,
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Duration>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ThrottleGuard {
    fn drop(&mut self) {
        *self.waits.lock().entry(self.key).or_default() += self.since.elapsed();
    }
}
