//! Files in S3: one PutObject for a small one, a multipart upload for the rest.
//!
//! Every body carries a CRC-64/NVME that S3 checks. A file is written only where none is (`If-None-Match`; its receipt
//! replaces an older one), and each carries the job and attempt that wrote it: when an answer is lost, a HEAD tells whether the object came to be.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::Builder;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, ChecksumType, CompletedMultipartUpload, CompletedPart,
};
use bytes::Bytes;
use downpipe_core::store::{NewObject, ObjectStore, Part, StoreError, StoredPart, Total, Upload, WriteToken};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::client::{self, ATTEMPT_TIMEOUT, OPERATION_TIMEOUT};
use crate::errors::{is_absent, of_store};

/// Two parts under way hide the latency of one while the next is being read; more only cost memory.
const PARALLEL_PARTS: usize = 2;

/// The slowest link on which a part may still arrive in time, in bytes a second.
const SLOWEST_LINK: u64 = 1 << 20;

/// How often an aborted upload is looked at again for parts that arrived late.
const ABORT_ROUNDS: u32 = 5;

const JOB: &str = "downpipe-job";
const ATTEMPT: &str = "downpipe-attempt";
const RETENTION_TAG: &str = "downpipe-retention";

/// What RFC 8187 lets stand in a header's encoded value.
const HEADER_VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A bucket.
#[derive(Debug, Clone)]
pub struct S3Store {
    client: Client,
    bucket: String,
}

/// A multipart upload.
#[derive(Debug)]
pub struct S3Upload {
    store: S3Store,
    object: NewObject,
    upload_id: String,
    /// Whether the store will hold the whole object against one checksum. S3 does; not every stand-in can.
    checks_whole: bool,
}

/// What is known of an object that is there.
struct Found {
    bytes: u64,
    /// Who wrote it, if that was one of us.
    token: Option<WriteToken>,
    /// Only when it covers the whole object: the checksum of a list of checksums proves nothing to us.
    crc64nvme: Option<String>,
}

impl S3Store {
    /// A store in this bucket.
    #[must_use]
    pub fn new(config: &SdkConfig, bucket: impl Into<String>) -> Self {
        Self { client: client::s3(config), bucket: bucket.into() }
    }

    async fn find(&self, key: &str) -> Result<Option<Found>, StoreError> {
        let request =
            self.client.head_object().bucket(&self.bucket).key(key).checksum_mode(ChecksumMode::Enabled);
        let head = match request.send().await {
            Ok(head) => head,
            Err(error) if is_absent(&error, "NotFound") => return Ok(None),
            Err(error) => return Err(of_store("looking for the object", error)),
        };
        let metadata = |name: &str| head.metadata().and_then(|metadata| metadata.get(name));
        let (job, attempt) = (metadata(JOB), metadata(ATTEMPT));
        let token = job.zip(attempt).and_then(|(job, attempt)| {
            Some(WriteToken { job: job.parse().ok()?, attempt: attempt.parse().ok()? })
        });
        let whole = head.checksum_type() == Some(&ChecksumType::FullObject);
        Ok(Some(Found {
            bytes: head.content_length().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default(),
            token,
            crc64nvme: head.checksum_crc64_nvme().filter(|_| whole).map(str::to_owned),
        }))
    }

    /// Sees whether the object is there, ours, and what was sent. `error` is why there is doubt; without one there is none
    /// but our own.
    async fn confirm(
        &self,
        object: &NewObject,
        total: Total,
        error: Option<StoreError>,
    ) -> Result<(), StoreError> {
        let Some(found) = self.find(&object.key).await? else {
            return Err(error.unwrap_or(StoreError::SizeMismatch { expected: total.bytes, actual: 0 }));
        };
        if found.token.as_ref() != Some(&object.token) {
            return Err(StoreError::Exists { holder: found.holder() });
        }
        let Some(error) = found.mismatch(total) else { return Ok(()) };
        // S3 would not have taken it. Whoever did must not keep it where people look for a file that is right.
        self.delete(&object.key).await?;
        Err(error)
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let deleted = self.client.delete_object().bucket(&self.bucket).key(key).send().await;
        deleted.map(drop).map_err(|error| of_store("removing the object", error))
    }
}

impl ObjectStore for S3Store {
    type Upload = S3Upload;

    async fn put(&self, object: &NewObject, body: Bytes, total: Total) -> Result<(), StoreError> {
        let sent = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(&object.key)
            .content_type(&object.content_type)
            .content_disposition(content_disposition(&object.file_name))
            .metadata(JOB, object.token.job.as_str())
            .metadata(ATTEMPT, object.token.attempt.to_string())
            .tagging(tagging(object))
            .checksum_crc64_nvme(total.crc64nvme_base64())
            .if_none_match("*")
            .body(body.into())
            .send()
            .await;
        match sent {
            // S3 has checked the checksum of the whole object: nothing is left to confirm.
            Ok(_) => Ok(()),
            Err(error) => self.confirm(object, total, Some(of_store("storing the file", error))).await,
        }
    }

    async fn begin(&self, object: &NewObject) -> Result<S3Upload, StoreError> {
        let begun = self
            .client
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(&object.key)
            .content_type(&object.content_type)
            .content_disposition(content_disposition(&object.file_name))
            .metadata(JOB, object.token.job.as_str())
            .metadata(ATTEMPT, object.token.attempt.to_string())
            .tagging(tagging(object))
            .checksum_algorithm(ChecksumAlgorithm::Crc64Nvme)
            .checksum_type(ChecksumType::FullObject)
            .send()
            .await
            .map_err(|error| of_store("beginning the upload", error))?;
        Ok(S3Upload {
            store: self.clone(),
            object: object.clone(),
            upload_id: begun.upload_id().unwrap_or_default().to_owned(),
            checks_whole: begun.checksum_type() == Some(&ChecksumType::FullObject),
        })
    }

    async fn put_receipt(&self, object: &NewObject, receipt: Bytes) -> Result<(), StoreError> {
        self.client
            .put_object()
            .bucket(&self.bucket)
            .key(downpipe_core::receipt::Receipt::key_of(&object.key))
            .content_type("application/json")
            .metadata(JOB, object.token.job.as_str())
            .metadata(ATTEMPT, object.token.attempt.to_string())
            .tagging(tagging(object))
            .checksum_algorithm(ChecksumAlgorithm::Crc64Nvme)
            .body(receipt.into())
            .send()
            .await
            .map(drop)
            .map_err(|error| of_store("storing the receipt", error))
    }

    async fn clear(&self, object: &NewObject) -> Result<(), StoreError> {
        match self.find(&object.key).await? {
            None => Ok(()),
            Some(found) if found.token.as_ref().is_some_and(|token| object.token.covers(token)) => {
                self.delete(&object.key).await
            }
            Some(found) => Err(StoreError::Exists { holder: found.holder() }),
        }
    }

    fn address(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
    }
}

impl Upload for S3Upload {
    fn parallelism(&self) -> usize {
        PARALLEL_PARTS
    }

    async fn part(&self, part: Part) -> Result<StoredPart, StoreError> {
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(ATTEMPT_TIMEOUT + transfer_time(part.body.len()))
            .operation_timeout(OPERATION_TIMEOUT + transfer_time(part.body.len()))
            .build();
        let stored = self
            .store
            .client
            .upload_part()
            .bucket(&self.store.bucket)
            .key(&self.object.key)
            .upload_id(&self.upload_id)
            .part_number(i32::try_from(part.number).unwrap_or(i32::MAX))
            .checksum_algorithm(ChecksumAlgorithm::Crc64Nvme)
            .body(part.body.into())
            .customize()
            .config_override(Builder::new().timeout_config(timeouts))
            .send()
            .await
            .map_err(|error| of_store("storing a part", error))?;
        Ok(StoredPart {
            number: part.number,
            etag: stored.e_tag().unwrap_or_default().to_owned(),
            checksum: stored.checksum_crc64_nvme().map(str::to_owned),
        })
    }

    async fn complete(&self, parts: Vec<StoredPart>, total: Total) -> Result<(), StoreError> {
        let parts = parts.into_iter().map(|part| {
            CompletedPart::builder()
                .part_number(i32::try_from(part.number).unwrap_or(i32::MAX))
                .e_tag(part.etag)
                .set_checksum_crc64_nvme(part.checksum)
                .build()
        });
        let completed = self
            .store
            .client
            .complete_multipart_upload()
            .bucket(&self.store.bucket)
            .key(&self.object.key)
            .upload_id(&self.upload_id)
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build())
            .set_checksum_type(self.checks_whole.then_some(ChecksumType::FullObject))
            .set_checksum_crc64_nvme(self.checks_whole.then(|| total.crc64nvme_base64()))
            .mpu_object_size(i64::try_from(total.bytes).unwrap_or(i64::MAX))
            .if_none_match("*")
            .customize()
            // S3 may take minutes to put a large object together, and sends little more than white space meanwhile.
            .config_override(
                Builder::new()
                    .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
                    .timeout_config(
                        TimeoutConfig::builder().operation_attempt_timeout(OPERATION_TIMEOUT).build(),
                    ),
            )
            .send()
            .await;
        let doubt = completed.err().map(|error| of_store("completing the upload", error));
        self.store.confirm(&self.object, total, doubt).await
    }

    async fn abort(&self) -> Result<(), StoreError> {
        let Self { store: S3Store { client, bucket }, object: NewObject { key, .. }, upload_id, .. } = self;
        let mut last = None;
        for round in 0..ABORT_ROUNDS {
            // A part that was on its way when its sender gave up may arrive after the abort; then there is one more.
            tokio::time::sleep(Duration::from_millis(200) * round).await;
            let aborted =
                client.abort_multipart_upload().bucket(bucket).key(key).upload_id(upload_id).send().await;
            match aborted {
                Err(error) if !is_absent(&error, "NoSuchUpload") => {
                    last = Some(of_store("aborting the upload", error));
                    continue;
                }
                _ => {}
            }
            let listed = client.list_parts().bucket(bucket).key(key).upload_id(upload_id).send().await;
            match listed {
                Err(error) if is_absent(&error, "NoSuchUpload") => return Ok(()),
                Ok(listed) if listed.parts().is_empty() => return Ok(()),
                Ok(_) => {}
                Err(error) => last = Some(of_store("listing the parts left", error)),
            }
        }
        Err(last.unwrap_or_else(|| StoreError::Unavailable {
            operation: "aborting the upload",
            source: "parts are still there".into(),
        }))
    }
}

impl Found {
    fn mismatch(&self, total: Total) -> Option<StoreError> {
        if self.bytes != total.bytes {
            return Some(StoreError::SizeMismatch { expected: total.bytes, actual: self.bytes });
        }
        let expected = total.crc64nvme_base64();
        let actual = self.crc64nvme.clone().filter(|actual| *actual != expected)?;
        Some(StoreError::ChecksumMismatch { expected, actual })
    }

    fn holder(&self) -> String {
        match &self.token {
            Some(WriteToken { job, attempt }) => format!("job {job}, attempt {attempt}"),
            None => "somebody else".to_owned(),
        }
    }
}

fn transfer_time(bytes: usize) -> Duration {
    Duration::from_secs(bytes as u64 / SLOWEST_LINK)
}

fn tagging(object: &NewObject) -> String {
    format!("{RETENTION_TAG}={}", object.retention.as_str())
}

/// RFC 6266: a plain name for old clients, and the real one in UTF-8.
fn content_disposition(file_name: &str) -> String {
    let plain: String = file_name
        .chars()
        .map(|c| if c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%') { c } else { '_' })
        .collect();
    format!(
        "attachment; filename=\"{plain}\"; filename*=UTF-8''{}",
        utf8_percent_encode(file_name, HEADER_VALUE)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_japanese_file_name_survives_the_header() {
        assert_eq!(
            content_disposition("注文 \"1\".csv"),
            "attachment; filename=\"____1_.csv\"; filename*=UTF-8''%E6%B3%A8%E6%96%87%20%221%22.csv"
        );
    }
}
