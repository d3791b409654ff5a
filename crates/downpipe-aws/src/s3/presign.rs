//! Signed URLs with which a person downloads a file.

use std::time::{Duration, SystemTime};

use aws_sdk_s3::config::{Builder, ResponseChecksumValidation};
use aws_sdk_s3::presigning::PresigningConfig;
use downpipe_core::job::FileReceipt;
use downpipe_core::store::{DownloadStore, SignedUrl, StoreError};
use jiff::Timestamp;

use super::S3Store;
use super::headers::content_disposition;
use crate::errors::store_error;

/// What was asked, for errors.
const OPERATION: &str = "signing a download";

impl DownloadStore for S3Store {
    /// The URL ends earlier if the credentials that sign it do. S3 holds it against its own clock.
    async fn sign_download(
        &self,
        file: &FileReceipt,
        valid_for: Duration,
    ) -> Result<Option<SignedUrl>, StoreError> {
        let Some(key) = self.0.key_of(&file.address) else { return Ok(None) };
        let now = SystemTime::now();
        let config = PresigningConfig::builder().start_time(now).expires_in(valid_for).build();
        let config =
            config.map_err(|error| StoreError::Refused { operation: OPERATION, source: Box::new(error) })?;
        // The SDK would have a browser send a header that asks for the checksum, and no browser does.
        let without_header =
            Builder::new().response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        let request = self
            .0
            .client
            .get_object()
            .bucket(&self.0.name)
            .key(key)
            .response_content_disposition(content_disposition(&file.file_name))
            .customize()
            .config_override(without_header)
            .presigned(config)
            .await
            .map_err(|error| store_error(OPERATION, error))?;
        let now = Timestamp::try_from(now)
            .map_err(|error| StoreError::Refused { operation: OPERATION, source: Box::new(error) })?;
        Ok(Some(SignedUrl { url: request.uri().to_owned(), expires_at: now + valid_for }))
    }
}
