//! Downpipe's AWS.
//!
//! What lives here: the [`S3Store`], the [`SqsQueue`], the [`SnsTopic`], the [`DatabaseLogin`] and the catalog in S3. What does
//! not: any rule about jobs or files; those are `downpipe-core`'s.

mod catalog;
mod client;
mod errors;
mod iam;
mod login;
mod s3;
mod secrets;
mod sns;
mod sqs;

pub use aws_config::SdkConfig;
pub use catalog::{CatalogFetchError, fetch_catalog};
pub use client::load_config;
pub use iam::{CannotSign, IamLogin, database_token};
pub use login::DatabaseLogin;
pub use s3::S3Store;
pub use secrets::SecretLogin;
pub use sns::{SnsTopic, SubscribeError};
pub use sqs::{Received, SqsQueue};
