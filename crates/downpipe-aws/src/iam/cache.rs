//! Logs in to a cache of ElastiCache as the worker's own role.
//!
//! <https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/auth-iam.html>

use std::time::SystemTime;

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::config::Credentials;
use aws_sdk_secretsmanager::error::BoxError;
use percent_encoding::utf8_percent_encode;

use super::{CannotSign, Signer, signed};
use crate::cache::ValkeyAddress;
use crate::percent::RESERVED;

const SERVICE: &str = "elasticache";

/// Signs tokens for caches.
#[derive(Debug)]
pub(crate) struct CacheTokens {
    signer: Signer,
}

impl CacheTokens {
    pub(crate) fn new(config: &SdkConfig) -> Result<Self, CannotSign> {
        Ok(Self { signer: Signer::new(config)? })
    }

    /// Returns a new token for the cache and the user that the address names.
    pub(crate) async fn token(&self, address: &ValkeyAddress, now: SystemTime) -> Result<String, BoxError> {
        let credentials = self.signer.credentials().await?;
        cache_token(address, credentials, self.signer.region(), now)
    }
}

/// Returns a token for the cache and the user that an address names.
///
/// It is valid for a quarter of an hour from this moment.
///
/// # Errors
/// When a URL cannot have the cache's name as its host.
pub fn cache_token(
    address: &ValkeyAddress,
    credentials: Credentials,
    region: &str,
    now: SystemTime,
) -> Result<String, BoxError> {
    let cache = address.cache.to_ascii_lowercase();
    let user = utf8_percent_encode(&address.user, RESERVED);
    let kind = if address.serverless { "&ResourceType=ServerlessCache" } else { "" };
    signed(SERVICE, format!("{cache}/?Action=connect&User={user}{kind}"), credentials, region, now)
}
