//! A guard before a cache: it limits the time of an operation, stops asking a cache that is broken, and counts. Whatever is wrong with
//! the cache, its user gets no error.

use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout};

use super::{Cache, CacheError, CacheFault};
use crate::error_chain::error_chain;
use crate::mutex::lock;

/// The time that an operation may take.
pub const OPERATION_LIMIT: Duration = Duration::from_millis(50);

/// The time that the first operation may take, because it connects.
pub const FIRST_OPERATION_LIMIT: Duration = Duration::from_millis(500);

/// Faults in a row after which the cache is not asked for a while.
const MAX_FAULTS: u32 = 3;

/// How long the cache is not asked then. One more fault after that is enough for the next pause.
pub const PAUSE: Duration = Duration::from_secs(60);

/// How often a fault is logged.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// A cache behind a guard.
#[derive(Debug)]
pub(super) struct GuardedCache<C> {
    cache: C,
    state: Mutex<State>,
}

/// What a cache said about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lookup {
    /// It has a value.
    Hit(Bytes),
    /// It has none.
    Miss,
    /// It failed, or took too long.
    Fault,
    /// It was not asked, because it failed before.
    Paused,
}

#[derive(Debug, Default)]
struct State {
    was_asked: bool,
    faults_in_a_row: u32,
    paused_until: Option<Instant>,
    logged_at: Option<Instant>,
}

impl<C: Cache> GuardedCache<C> {
    pub(super) fn new(cache: C) -> Self {
        Self { cache, state: Mutex::default() }
    }

    pub(super) fn inner(&self) -> &C {
        &self.cache
    }

    pub(super) async fn get(&self, key: &str) -> Lookup {
        match self.guard("get", key, self.cache.get(key)).await {
            Some(Ok(Some(value))) => Lookup::Hit(value),
            Some(Ok(None)) => Lookup::Miss,
            Some(Err(())) => Lookup::Fault,
            None => Lookup::Paused,
        }
    }

    pub(super) async fn set(&self, key: &str, value: Bytes, ttl: Duration) {
        self.guard("set", key, self.cache.set(key, value, ttl)).await;
    }

    pub(super) async fn delete(&self, key: &str) {
        self.guard("delete", key, self.cache.delete(key)).await;
    }

    /// Runs an operation within its limit, and logs how long it took. `None` while the cache is not asked.
    async fn guard<T>(
        &self,
        name: &'static str,
        key: &str,
        operation: impl Future<Output = Result<T, CacheError>>,
    ) -> Option<Result<T, ()>> {
        let limit = self.begin()?;
        let began = Instant::now();
        let done = timeout(limit, operation).await.unwrap_or_else(|elapsed| {
            Err(CacheError { fault: CacheFault::Timeout, source: Box::new(elapsed) })
        });
        let (took, limit) = (milliseconds(began.elapsed()), milliseconds(limit));
        tracing::debug!(operation = name, key, milliseconds = took, limit, "the cache was used");
        Some(done.map_err(|error| self.failed(&error, took)).inspect(|_| self.succeeded()))
    }

    /// Returns the limit of the next operation, unless the cache is not asked.
    fn begin(&self) -> Option<Duration> {
        let mut state = lock(&self.state);
        if state.paused_until.is_some_and(|until| until > Instant::now()) {
            return None;
        }
        let is_first = !std::mem::replace(&mut state.was_asked, true);
        Some(if is_first { FIRST_OPERATION_LIMIT } else { OPERATION_LIMIT })
    }

    fn succeeded(&self) {
        lock(&self.state).faults_in_a_row = 0;
    }

    /// Counts a fault, and logs it with the milliseconds that the worker lost.
    fn failed(&self, error: &CacheError, milliseconds: u64) {
        let now = Instant::now();
        let mut state = lock(&self.state);
        state.faults_in_a_row += 1;
        let pauses = state.faults_in_a_row >= MAX_FAULTS;
        if pauses {
            state.paused_until = Some(now + PAUSE);
        }
        if state.logged_at.is_some_and(|at| now < at + LOG_INTERVAL) {
            return;
        }
        state.logged_at = Some(now);
        drop(state);
        let fault = error.fault.as_str();
        tracing::warn!(fault, pauses, milliseconds, error = error_chain(error), "the cache did not answer");
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::MemoryCache;

    async fn guarded() -> GuardedCache<MemoryCache> {
        let cache = GuardedCache::new(MemoryCache::default());
        cache.set("key", Bytes::from_static(b"value"), Duration::from_secs(3600)).await;
        cache
    }

    fn hit() -> Lookup {
        Lookup::Hit(Bytes::from_static(b"value"))
    }

    #[tokio::test(start_paused = true)]
    async fn operation_that_takes_too_long_ends_at_its_limit() {
        let cache = guarded().await;
        cache.cache.delay_by(Duration::from_secs(5));
        let begun = Instant::now();
        assert_eq!((cache.get("key").await, begun.elapsed()), (Lookup::Fault, OPERATION_LIMIT));
        cache.cache.delay_by(OPERATION_LIMIT / 2);
        assert_eq!(cache.get("key").await, hit());
    }

    #[tokio::test(start_paused = true)]
    async fn first_operation_has_time_to_connect() {
        let cache = GuardedCache::new(MemoryCache::default());
        cache.cache.delay_by(FIRST_OPERATION_LIMIT - Duration::from_millis(1));
        assert_eq!(cache.get("key").await, Lookup::Miss);
        assert_eq!(cache.get("key").await, Lookup::Fault, "the second one has not");
    }

    #[tokio::test(start_paused = true)]
    async fn cache_with_three_faults_in_a_row_is_not_asked_for_a_minute() {
        let cache = guarded().await;
        for _ in 0..2 {
            cache.cache.fail_with(CacheFault::Connection);
            assert_eq!([cache.get("key").await, cache.get("key").await], [Lookup::Fault, Lookup::Fault]);
            cache.cache.fail_with(None);
            assert_eq!(cache.get("key").await, hit(), "two faults are too few");
        }
        cache.cache.fail_with(CacheFault::Connection);
        for _ in 0..3 {
            assert_eq!(cache.get("key").await, Lookup::Fault);
        }
        let asked = cache.cache.operations();
        tokio::time::advance(PAUSE - Duration::from_millis(1)).await;
        assert_eq!(cache.get("key").await, Lookup::Paused);
        cache.delete("key").await;
        assert_eq!(cache.cache.operations(), asked);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(cache.get("key").await, Lookup::Fault, "one more is enough for the next pause");
        assert_eq!(cache.get("key").await, Lookup::Paused);
        tokio::time::advance(PAUSE).await;
        cache.cache.fail_with(None);
        assert_eq!([cache.get("key").await, cache.get("key").await], [hit(), hit()]);
    }
}
