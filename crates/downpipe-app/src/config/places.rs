//! Where things are that the environment names: the database, the ledger, the cache, the catalog, secrets.

use std::fmt;
use std::path::{Path, PathBuf};

use downpipe_aws::{CacheAddress, DynamoLedgerConfig, S3Address};

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretLocation {
    /// In a file: `file:PATH`.
    File(PathBuf),
    /// In Secrets Manager, by name or ARN.
    Named(String),
}

/// The portal to which notices link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortalLink {
    /// `DOWNPIPE_PORTAL_URL`, without a slash at its end.
    pub url: String,
    /// `DOWNPIPE_LINK_SECRET`.
    pub secret: SecretLocation,
}

/// How to reach the cache.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CacheConfig {
    /// `DOWNPIPE_CACHE`.
    pub address: CacheAddress,
    /// `DOWNPIPE_CACHE_CA`; the authorities of the web without it.
    pub ca: Option<PathBuf>,
}

/// How to reach the database.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseConfig {
    /// `DATABASE_URL`, with a password in it.
    Url {
        /// The URL.
        url: String,
        /// `DOWNPIPE_DATABASE_CA`; RDS's without it.
        ca: Option<PathBuf>,
    },
    /// A login that goes only to a server that is verified.
    Login {
        /// Where it comes from.
        login: LoginConfig,
        /// `DOWNPIPE_DATABASE_CA`; RDS's without it.
        ca: Option<PathBuf>,
    },
}

/// Where the login comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum LoginConfig {
    /// `DOWNPIPE_DATABASE_SECRET`, password and all.
    Secret(String),
    /// A token for the account in `DOWNPIPE_DATABASE_SECRET`.
    TokenForSecret(String),
    /// A token for the account in `DATABASE_URL`.
    TokenForUrl(String),
}

impl DatabaseConfig {
    /// Stands for a database that is missing or wrong, until the error is returned.
    pub(super) const NONE: Self = Self::Url { url: String::new(), ca: None };
}

impl fmt::Debug for DatabaseConfig {
    /// Writes the kind alone: the URL has a password in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Url { .. } => "Url",
            Self::Login { .. } => "Login",
        })
    }
}

/// Where the ledger is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LedgerConfig {
    /// In the database to export from.
    MySql,
    /// In a table of DynamoDB, with long documents in the bucket of the files.
    DynamoDb(DynamoLedgerConfig),
}

/// Where the definitions are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CatalogLocation {
    /// A folder of `*.toml`.
    Folder(PathBuf),
    /// `s3://bucket/prefix`
    S3 {
        /// The bucket.
        bucket: String,
        /// The prefix, possibly empty.
        prefix: String,
    },
}

impl CatalogLocation {
    /// Parses a location. A relative folder is relative to `root`.
    ///
    /// # Errors
    /// When an `s3://` address names no bucket.
    pub fn parse(location: &str, root: &Path) -> Result<Self, String> {
        match S3Address::parse(location) {
            Some(Ok(S3Address { bucket, prefix })) => Ok(Self::S3 { bucket, prefix }),
            Some(Err(error)) => Err(error.to_string()),
            None => Ok(Self::Folder(root.join(location))),
        }
    }
}
