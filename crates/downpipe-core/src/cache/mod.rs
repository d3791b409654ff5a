//! Keeps small values for a while, in front of the ledger. A port: whatever is wrong with a cache is a miss.
//!
//! [`JobCache`] is what a worker keeps in a [`Cache`].

mod entry;
mod error;
mod guarded;
mod jobs;

pub use self::entry::ReceiptKeys;
pub use self::error::{CacheError, CacheFault};
pub use self::guarded::{FIRST_OPERATION_LIMIT, OPERATION_LIMIT, PAUSE};
pub use self::jobs::{JobCache, LiveProgress};

use std::time::Duration;

use bytes::Bytes;

/// Keeps values by key until they expire. It may forget any value at any time.
pub trait Cache: Send + Sync {
    /// Returns the value of a key. `None` when the cache has none, or has one no more.
    ///
    /// # Errors
    /// See [`CacheError`].
    fn get(&self, key: &str) -> impl Future<Output = Result<Option<Bytes>, CacheError>> + Send;

    /// Keeps a value for at most `ttl`, which is at least a second, in place of the one before.
    ///
    /// # Errors
    /// See [`CacheError`].
    fn set(
        &self,
        key: &str,
        value: Bytes,
        ttl: Duration,
    ) -> impl Future<Output = Result<(), CacheError>> + Send;

    /// Deletes the value of a key. A key without one is success.
    ///
    /// # Errors
    /// See [`CacheError`].
    fn delete(&self, key: &str) -> impl Future<Output = Result<(), CacheError>> + Send;
}
