//! The caches: [`ValkeyCache`], [`MemcachedCache`], and [`AnyCache`] for the configured one.

mod address;
mod dial;
mod discovery;
mod limits;
mod memcached;
mod slot;
mod tls;
mod valkey;

pub use self::address::{CacheAddress, HostPort, InvalidCacheAddress, ValkeyAddress};
pub use self::limits::CacheLimits;
pub use self::memcached::MemcachedCache;
pub use self::tls::{CacheAuthorities, InvalidCacheAuthorities};
pub use self::valkey::{VALKEY_COMMANDS, ValkeyCache};

use std::time::Duration;

use aws_config::SdkConfig;
use bytes::Bytes;
use downpipe_core::cache::{Cache, CacheError};

use crate::iam::CannotSign;

/// What every key begins with. The user of the cache may use no others.
pub const KEY_PREFIX: &str = "downpipe:";

/// The cache that the configuration names.
#[derive(Debug)]
pub enum AnyCache {
    /// Forgets every value at once.
    None,
    /// Valkey, with a login by IAM.
    Valkey(ValkeyCache),
    /// Memcached.
    Memcached(MemcachedCache),
}

impl AnyCache {
    /// Makes the cache at an address. It connects when it is first used.
    ///
    /// # Errors
    /// When tokens cannot be signed.
    pub fn at(
        address: &CacheAddress,
        authorities: &CacheAuthorities,
        config: &SdkConfig,
        limits: CacheLimits,
    ) -> Result<Self, CannotSign> {
        Ok(match address {
            CacheAddress::None => Self::None,
            CacheAddress::Valkey(address) => {
                Self::Valkey(ValkeyCache::new(address.clone(), authorities.clone(), config, limits)?)
            }
            CacheAddress::Memcached(server) => Self::Memcached(MemcachedCache::new(server.clone(), limits)),
        })
    }
}

impl Cache for AnyCache {
    async fn get(&self, key: &str) -> Result<Option<Bytes>, CacheError> {
        match self {
            Self::None => Ok(None),
            Self::Valkey(cache) => cache.get(key).await,
            Self::Memcached(cache) => cache.get(key).await,
        }
    }

    async fn set(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), CacheError> {
        match self {
            Self::None => Ok(()),
            Self::Valkey(cache) => cache.set(key, value, ttl).await,
            Self::Memcached(cache) => cache.set(key, value, ttl).await,
        }
    }

    async fn delete(&self, key: &str) -> Result<(), CacheError> {
        match self {
            Self::None => Ok(()),
            Self::Valkey(cache) => cache.delete(key).await,
            Self::Memcached(cache) => cache.delete(key).await,
        }
    }
}
