//! Keeps values in Memcached.
//!
//! Memcached knows neither users nor tokens, and nothing is encrypted: the network is its only guard.
//!
//! The client spreads keys over the nodes by rendezvous hashing. The nodes are asked for when the cache is first used, and again when
//! one of them cannot be reached: ElastiCache replaces nodes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use downpipe_core::cache::{Cache, CacheError, CacheFault};
use memcache::exp::{AsyncMetaClient, Error, MetaClientBuilder, MutationStatus, Ttl};
use sha2::{Digest as _, Sha256};

use super::KEY_PREFIX;
use super::address::HostPort;
use super::discovery::nodes;
use super::limits::CacheLimits;
use super::slot::{Numbered, Slot};

/// The longest key that Memcached takes.
const MAX_KEY_BYTES: usize = 250;

/// A cache in Memcached.
pub struct MemcachedCache {
    server: HostPort,
    limits: CacheLimits,
    slot: Arc<Slot<AsyncMetaClient>>,
}

impl MemcachedCache {
    /// Makes a cache that looks for its nodes when it is first used.
    #[must_use]
    pub fn new(server: HostPort, limits: CacheLimits) -> Self {
        Self { server, limits, slot: Slot::new() }
    }

    async fn client(&self) -> Result<Numbered<AsyncMetaClient>, CacheError> {
        if let Some(kept) = self.slot.get(|_| true) {
            return Ok(kept);
        }
        let (server, limits) = (self.server.clone(), self.limits);
        self.slot.connect(limits.connect, async move { connect(&server, limits).await }).await
    }

    /// Sorts an error, and forgets nodes that cannot be reached.
    fn failed(&self, client: &Numbered<AsyncMetaClient>, error: Error) -> CacheError {
        let fault = fault_of(&error);
        if matches!(fault, CacheFault::Connection | CacheFault::Timeout) {
            self.slot.discard(client);
        }
        CacheError { fault, source: error.into() }
    }
}

impl std::fmt::Debug for MemcachedCache {
    /// Leaves out the client, which has no such form.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemcachedCache").field("server", &self.server).finish_non_exhaustive()
    }
}

async fn connect(server: &HostPort, limits: CacheLimits) -> Result<AsyncMetaClient, CacheError> {
    let nodes = nodes(server).await?;
    let client = MetaClientBuilder::new()
        .connect_timeout(Some(limits.connect))
        .io_timeout(Some(limits.operation))
        .connect_multiple_async(nodes.iter().map(HostPort::to_string));
    client.await.map_err(|error| CacheError { fault: CacheFault::Name, source: error.into() })
}

impl Cache for MemcachedCache {
    async fn get(&self, key: &str) -> Result<Option<Bytes>, CacheError> {
        let client = self.client().await?;
        let got = client.connection.get(fitting(key)).send().await;
        let got = got.map_err(|error| self.failed(&client, error))?;
        Ok(got.value.map(Bytes::from))
    }

    async fn set(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), CacheError> {
        let client = self.client().await?;
        // Not rounded up: a value must not outlive its time.
        let seconds = u32::try_from(ttl.as_secs()).unwrap_or(u32::MAX);
        let set = client.connection.set(fitting(key), &value).ttl(Ttl::secs(seconds)).send().await;
        match set.map_err(|error| self.failed(&client, error))?.status {
            MutationStatus::Applied => Ok(()),
            status => {
                let source = format!("the value was not stored: {status:?}").into();
                Err(CacheError { fault: CacheFault::Refused, source })
            }
        }
    }

    async fn delete(&self, key: &str) -> Result<(), CacheError> {
        let client = self.client().await?;
        let deleted = client.connection.delete(fitting(key)).send().await;
        deleted.map(drop).map_err(|error| self.failed(&client, error))
    }
}

/// Returns a key that Memcached takes.
///
/// A digest stands in place of a key that is long, or has blanks or other characters than ASCII's.
fn fitting(key: &str) -> String {
    let is_short = KEY_PREFIX.len() + key.len() <= MAX_KEY_BYTES;
    if is_short && key.bytes().all(|byte| byte.is_ascii_graphic()) {
        format!("{KEY_PREFIX}{key}")
    } else {
        // No other key has this form: a blank is never left in one.
        format!("{KEY_PREFIX}sha256:{}", hex::encode(Sha256::digest(key)))
    }
}

fn fault_of(error: &Error) -> CacheFault {
    match error {
        Error::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => CacheFault::Timeout,
        Error::Io(_) => CacheFault::Connection,
        Error::Timeout { .. } => CacheFault::Timeout,
        Error::Ambiguous { source, .. } => fault_of(source),
        _ => CacheFault::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_that_fits_is_kept_and_another_is_hashed() {
        assert_eq!(fitting("a:b/c"), "downpipe:a:b/c");
        for key in ["a b", "a\r\nb", "注文", &"k".repeat(242)] {
            let fitting = fitting(key);
            assert_eq!(fitting.len(), KEY_PREFIX.len() + "sha256:".len() + 64, "{fitting}");
            assert!(fitting.bytes().all(|byte| byte.is_ascii_graphic()));
        }
        assert_eq!(fitting(&"k".repeat(241)).len(), MAX_KEY_BYTES);
    }
}
