//! The cache: the one in memory behind a network.

use std::time::Duration;

use bytes::Bytes;
use downpipe_core::cache::{Cache, CacheError, CacheFault};

use crate::world::FaultyPorts;

impl Cache for FaultyPorts {
    async fn get(&self, key: &str) -> Result<Option<Bytes>, CacheError> {
        self.ask("cache.get", self.world.cache.get(key)).await
    }

    async fn set(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), CacheError> {
        self.ask("cache.set", self.world.cache.set(key, value, ttl)).await
    }

    async fn delete(&self, key: &str) -> Result<(), CacheError> {
        self.ask("cache.delete", self.world.cache.delete(key)).await
    }
}

impl FaultyPorts {
    async fn ask<T>(
        &self,
        name: &str,
        act: impl Future<Output = Result<T, CacheError>>,
    ) -> Result<T, CacheError> {
        let (there, back) = (self.draw(1..=10), self.draw(1..=10));
        self.call_taking(there, back, name, act, || CacheError {
            fault: CacheFault::Connection,
            source: "the cache was told to fail".into(),
        })
        .await
    }
}
