//! Multipart uploads.

use std::time::Duration;

use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::config::Builder;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart};
use downpipe_core::store::{NewObject, Part, StoreError, StoredPart, Total, Upload};

use super::S3Store;
use crate::client::{ATTEMPT_TIMEOUT, OPERATION_TIMEOUT};
use crate::errors::{is_absent, of_store};

/// Two parts under way hide the latency of one while the next is being read; more only cost memory.
const PARALLEL_PARTS: usize = 2;

/// The slowest link on which a part may still arrive in time, in bytes a second.
const SLOWEST_LINK: u64 = 1 << 20;

/// How often an aborted upload is looked at again for parts that arrived late.
const ABORT_ROUNDS: u32 = 5;

/// A multipart upload.
#[derive(Debug)]
pub struct S3Upload {
    pub(super) store: S3Store,
    pub(super) object: NewObject,
    pub(super) upload_id: String,
    /// Whether the store will hold the whole object against one checksum. S3 does; not every stand-in can.
    pub(super) checks_whole: bool,
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
            // Otherwise every part is hashed once more, with SHA-256. Its CRC is signed, and S3 holds the part against it.
            .disable_payload_signing()
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
            .config_override(at_leisure())
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

/// Settings for what S3 may take minutes to do, sending little more than white space meanwhile.
pub(super) fn at_leisure() -> Builder {
    Builder::new()
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(OPERATION_TIMEOUT).build())
}

fn transfer_time(bytes: usize) -> Duration {
    Duration::from_secs(bytes as u64 / SLOWEST_LINK)
}
