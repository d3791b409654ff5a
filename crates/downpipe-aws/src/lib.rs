//! The adapters to AWS: [`S3Store`], [`DynamoJobTable`], [`SqsQueue`], [`SnsTopic`], [`SesMailer`], [`DatabaseLogin`], [`AnyCache`] and the catalog in
//! S3.
//!
//! Rules about jobs and files do not live here; they are in `downpipe-core`.

mod cache;
mod catalog;
mod client;
mod dynamodb;
mod errors;
mod iam;
mod login;
mod notifier;
mod percent;
mod s3;
mod s3_address;
mod secrets;
mod ses;
mod sns;
mod sqs;

pub use aws_config::SdkConfig;
pub use cache::{
    AnyCache, CacheAddress, CacheAuthorities, CacheLimits, HostPort, InvalidCacheAddress,
    InvalidCacheAuthorities, KEY_PREFIX, MemcachedCache, VALKEY_COMMANDS, ValkeyAddress, ValkeyCache,
};
pub use catalog::{CatalogFetchError, fetch_catalog};
pub use client::{load_config, while_a_person_waits};
pub use dynamodb::{
    DynamoJobTable, DynamoLedgerConfig, LocalClock, LocalTime, TABLE_INDEXES, TABLE_KEY, TABLE_TIME_TO_LIVE,
    TableIndex,
};
pub use iam::{CannotSign, IamLogin, cache_token, database_token};
pub use login::DatabaseLogin;
pub use notifier::AnyNotifier;
pub use s3::S3Store;
pub use s3_address::{InvalidS3Address, S3Address};
pub use secrets::{SecretFetchError, SecretLogin, fetch_secret};
pub use ses::SesMailer;
pub use sns::{SnsTopic, SubscribeError};
pub use sqs::SqsQueue;
