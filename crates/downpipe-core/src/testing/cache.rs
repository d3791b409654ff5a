//! A cache in memory, which tests can empty, slow down and break.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::lock;
use crate::cache::{Cache, CacheError, CacheFault};

/// Keeps values in memory until they expire on tokio's clock, which a test can stop and move.
#[derive(Debug, Default)]
pub struct MemoryCache {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    values: BTreeMap<String, (Bytes, Instant)>,
    fault: Option<CacheFault>,
    delay: Duration,
    operations: usize,
}

impl MemoryCache {
    /// Makes every operation fail with this fault from now on. `None` mends it.
    pub fn fail_with(&self, fault: impl Into<Option<CacheFault>>) {
        lock(&self.state).fault = fault.into();
    }

    /// Makes every operation take this long from now on.
    pub fn delay_by(&self, delay: Duration) {
        lock(&self.state).delay = delay;
    }

    /// Forgets every value, as a cache may at any time.
    pub fn forget_all(&self) {
        lock(&self.state).values.clear();
    }

    /// Returns the keys whose values have not expired, in order.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let mut state = lock(&self.state);
        state.expire();
        state.values.keys().cloned().collect()
    }

    /// Returns how many operations were begun, failed ones included.
    #[must_use]
    pub fn operations(&self) -> usize {
        lock(&self.state).operations
    }

    async fn operate<T>(&self, operation: impl FnOnce(&mut State) -> T + Send) -> Result<T, CacheError> {
        let delay = {
            let mut state = lock(&self.state);
            state.operations += 1;
            state.delay
        };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let mut state = lock(&self.state);
        if let Some(fault) = state.fault {
            return Err(CacheError { fault, source: "the cache was told to fail".into() });
        }
        state.expire();
        Ok(operation(&mut state))
    }
}

impl State {
    fn expire(&mut self) {
        let now = Instant::now();
        self.values.retain(|_, (_, until)| *until > now);
    }
}

impl Cache for MemoryCache {
    async fn get(&self, key: &str) -> Result<Option<Bytes>, CacheError> {
        self.operate(|state| state.values.get(key).map(|(value, _)| value.clone())).await
    }

    async fn set(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), CacheError> {
        self.operate(|state| {
            state.values.insert(key.to_owned(), (value, Instant::now() + ttl));
        })
        .await
    }

    async fn delete(&self, key: &str) -> Result<(), CacheError> {
        self.operate(|state| {
            state.values.remove(key);
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::contracts::cache_contract;

    #[tokio::test(start_paused = true)]
    async fn memory_cache_keeps_the_contract() {
        cache_contract(&MemoryCache::default(), str::to_owned).await;
    }

    #[tokio::test]
    async fn memory_cache_told_to_fail_fails_until_it_is_mended() {
        let cache = MemoryCache::default();
        cache.fail_with(CacheFault::Login);
        let error = cache.get("key").await.unwrap_err();
        assert_eq!(error.fault, CacheFault::Login);
        cache.fail_with(None);
        assert_eq!(cache.get("key").await.unwrap(), None);
        assert_eq!(cache.operations(), 2);
    }

    #[tokio::test]
    async fn memory_cache_that_forgot_all_has_no_keys() {
        let cache = MemoryCache::default();
        cache.set("key", Bytes::from_static(b"value"), Duration::from_secs(60)).await.unwrap();
        assert_eq!(cache.keys(), ["key"]);
        cache.forget_all();
        assert_eq!((cache.keys().len(), cache.get("key").await.unwrap()), (0, None));
    }

    #[tokio::test(start_paused = true)]
    async fn memory_cache_with_a_delay_answers_after_it() {
        let cache = MemoryCache::default();
        cache.delay_by(Duration::from_secs(5));
        let begun = Instant::now();
        cache.delete("key").await.unwrap();
        assert_eq!(begun.elapsed(), Duration::from_secs(5));
    }
}
