//! Builds the cache.

use downpipe_aws::{AnyCache, CacheAuthorities, CacheLimits, CannotSign, InvalidCacheAuthorities, SdkConfig};

use crate::config::CacheConfig;

/// Why there can be no cache with these settings.
#[derive(Debug, thiserror::Error)]
pub enum CacheSettingsError {
    /// The file with the root certificates cannot be read.
    #[error("DOWNPIPE_CACHE_CA: the file {file} cannot be read")]
    CaFile {
        /// The file.
        file: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The root certificates cannot be used.
    #[error("DOWNPIPE_CACHE_CA: {0}")]
    Ca(#[from] InvalidCacheAuthorities),
    /// Tokens cannot be signed.
    #[error("DOWNPIPE_CACHE: {0}")]
    CannotSign(#[from] CannotSign),
}

/// Builds the cache. It connects when it is first used.
///
/// # Errors
/// When the root certificates cannot be read, or tokens cannot be signed.
pub fn cache(
    config: &CacheConfig,
    aws: &SdkConfig,
    limits: CacheLimits,
) -> Result<AnyCache, CacheSettingsError> {
    let authorities = match &config.ca {
        None => CacheAuthorities::of_the_web()?,
        Some(path) => {
            let file = path.display().to_string();
            let pem = std::fs::read(path).map_err(|source| CacheSettingsError::CaFile { file, source })?;
            CacheAuthorities::from_pem(&pem)?
        }
    };
    Ok(AnyCache::at(&config.address, &authorities, aws, limits)?)
}
