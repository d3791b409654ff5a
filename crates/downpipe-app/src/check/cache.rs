//! Checks that the cache can be used from here.

use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;
use downpipe_aws::{AnyCache, CacheAddress, CacheLimits, SdkConfig};
use downpipe_core::cache::{Cache, CacheError, CacheFault};

use crate::config::CacheConfig;
use crate::services::{self, CacheSettingsError};

/// How long the value of a check is kept, should deleting it fail.
const TTL: Duration = Duration::from_secs(60);

/// The cache that the configuration names, to be checked.
#[derive(Debug)]
pub struct CacheCheck {
    cache: AnyCache,
    kind: &'static str,
}

impl CacheCheck {
    /// Prepares the check. `None` when the configuration names no cache.
    ///
    /// # Errors
    /// When there can be no cache with these settings.
    pub fn of(config: &CacheConfig, aws: &SdkConfig) -> Result<Option<Self>, CacheSettingsError> {
        let kind = match config.address {
            CacheAddress::None => return Ok(None),
            CacheAddress::Valkey(_) => "Valkey",
            CacheAddress::Memcached(_) => "Memcached",
        };
        Ok(Some(Self { cache: services::cache(config, aws, limits())?, kind }))
    }

    /// Inserts a random value, fetches it, and deletes it.
    ///
    /// # Errors
    /// When one of that fails, or another value is fetched.
    pub async fn run(&self) -> Result<CheckedCache, CacheCheckError> {
        check(&self.cache, self.kind).await
    }
}

/// Returns the limits of a check: a person waits longer than an export, and hears how long it took.
fn limits() -> CacheLimits {
    CacheLimits {
        connect: Duration::from_secs(5),
        operation: Duration::from_secs(2),
        ..CacheLimits::default()
    }
}

/// A cache that works. Shown as `Success: Inserted VALUE. Fetched VALUE from Valkey.`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedCache {
    /// `Valkey` or `Memcached`.
    pub kind: &'static str,
    /// The random value that was inserted, and fetched again.
    pub value: String,
    /// How long fetching took.
    pub fetched_in: Duration,
}

impl CheckedCache {
    /// Returns a warning if a worker would not have waited so long.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let limit = CacheLimits::default().operation;
        let (took, limit) = (self.fetched_in.as_millis(), limit.as_millis());
        (took > limit)
            .then(|| format!("the cache answered after {took} ms; a worker does without it after {limit} ms"))
    }
}

impl fmt::Display for CheckedCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, value, .. } = self;
        write!(f, "Success: Inserted {value}. Fetched {value} from {kind}.")
    }
}

/// Why a cache cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheCheckError {
    /// An operation failed.
    #[error("{operation} of a random value failed ({})", advice(source.fault))]
    Fault {
        /// `SET`, `GET` or `DEL`.
        operation: &'static str,
        /// What is wrong.
        #[source]
        source: CacheError,
    },
    /// The value that was fetched is not the one that was inserted.
    #[error("Bad value retrieved. Expected {expected}, got {got}.")]
    BadValue {
        /// What was inserted.
        expected: String,
        /// What was fetched.
        got: String,
    },
}

async fn check(cache: &impl Cache, kind: &'static str) -> Result<CheckedCache, CacheCheckError> {
    let failed = |operation| move |source| CacheCheckError::Fault { operation, source };
    let value = format!("{:032x}", fastrand::u128(..));
    let key = format!("check:{value}");
    cache.set(&key, Bytes::from(value.clone()), TTL).await.map_err(failed("SET"))?;
    let asked = Instant::now();
    let fetched = cache.get(&key).await.map_err(failed("GET"))?;
    let fetched_in = asked.elapsed();
    cache.delete(&key).await.map_err(failed("DEL"))?;
    match fetched {
        Some(fetched) if fetched == value => Ok(CheckedCache { kind, value, fetched_in }),
        fetched => {
            let got = fetched.map_or_else(
                || "nothing".to_owned(),
                |fetched| String::from_utf8_lossy(&fetched).into_owned(),
            );
            Err(CacheCheckError::BadValue { expected: value, got })
        }
    }
}

/// Returns what to look at, for each kind of fault.
fn advice(fault: CacheFault) -> &'static str {
    match fault {
        CacheFault::Name => "check the host in DOWNPIPE_CACHE, and that the VPC resolves names",
        CacheFault::Connection => "check the port in DOWNPIPE_CACHE, and that the cache runs",
        CacheFault::Timeout => {
            "check that this runs in the cache's VPC, and that the security groups let the worker reach its port"
        }
        CacheFault::Tls => "check the host in DOWNPIPE_CACHE, and DOWNPIPE_CACHE_CA",
        CacheFault::Login => {
            "check the user and the cache's name in DOWNPIPE_CACHE, ?serverless, the region, the clock, and that the role may \
             elasticache:Connect to this cache as this user"
        }
        CacheFault::Permission => "check the user's access string: on ~downpipe:* -@all +get +set +del",
        CacheFault::Refused => "check that the cache is not full",
    }
}

#[cfg(test)]
mod tests {
    use downpipe_core::testing::MemoryCache;

    use super::*;

    #[tokio::test]
    async fn cache_that_works_keeps_nothing_of_its_check() {
        let cache = MemoryCache::default();
        let checked = check(&cache, "Valkey").await.unwrap();
        let value = checked.value.clone();
        assert_eq!(value.len(), 32);
        assert_eq!(checked.to_string(), format!("Success: Inserted {value}. Fetched {value} from Valkey."));
        assert_eq!((cache.keys().len(), cache.operations()), (0, 3));
    }

    #[tokio::test]
    async fn cache_with_a_fault_is_explained_in_words_of_its_own() {
        let faults = [
            CacheFault::Name,
            CacheFault::Connection,
            CacheFault::Timeout,
            CacheFault::Tls,
            CacheFault::Login,
            CacheFault::Permission,
            CacheFault::Refused,
        ];
        let mut words = std::collections::BTreeSet::new();
        for fault in faults {
            let cache = MemoryCache::default();
            cache.fail_with(fault);
            words.insert(check(&cache, "Valkey").await.unwrap_err().to_string());
        }
        assert_eq!(words.len(), faults.len());
        assert!(words.iter().all(|words| words.starts_with("SET of a random value failed (check ")));
    }

    #[test]
    fn cache_slower_than_a_worker_waits_is_warned_of() {
        let took = |millis| {
            let fetched_in = Duration::from_millis(millis);
            CheckedCache { kind: "Valkey", value: String::new(), fetched_in }.warning()
        };
        assert_eq!(took(50), None);
        let words = "the cache answered after 51 ms; a worker does without it after 50 ms";
        assert_eq!(took(51).as_deref(), Some(words));
    }
}
