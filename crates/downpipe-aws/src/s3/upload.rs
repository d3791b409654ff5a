//! Multipart uploads: beginning, resuming, parts, and completing.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_s3::config::Builder;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart};
use downpipe_core::job::{ObjectDigest, StoredPart};
use downpipe_core::store::{NewObject, Part, StoreError, Upload};

use super::bucket::Bucket;
use super::headers::{content_disposition, metadata, tagging};
use super::open::{self, OpenUpload};
use crate::errors::{is_absent, store_error};

/// Two parts in flight hide the latency of one while the next is being read; more only cost memory.
const PARALLEL_PARTS: usize = 2;

/// The slowest link on which a part may still arrive in time, in bytes a second.
const SLOWEST_LINK: u64 = 1 << 20;

/// The time to abort other uploads after one is completed: the file is there already.
const ABORT_OTHERS_TIMEOUT: Duration = Duration::from_secs(3);

/// A multipart upload.
#[derive(Debug)]
pub struct S3Upload {
    pub(super) bucket: Bucket,
    pub(super) object: NewObject,
    pub(super) upload_id: String,
    /// Whether the store will hold the whole object against one checksum. S3 does; not every stand-in can.
    full_object_checksum: bool,
}

/// How the name of an upload begins whose whole object the store holds against one checksum.
const WHOLE: &str = "whole:";
/// How the name of any other upload begins.
const LISTED: &str = "listed:";

impl S3Upload {
    /// Begins an upload.
    pub(super) async fn begin(bucket: &Bucket, object: &NewObject) -> Result<Self, StoreError> {
        let begun = bucket
            .client
            .create_multipart_upload()
            .bucket(&bucket.name)
            .key(&object.key)
            .content_type(&object.content_type)
            .content_disposition(content_disposition(&object.file_name))
            .set_metadata(Some(metadata(object)))
            .tagging(tagging(object))
            .checksum_algorithm(ChecksumAlgorithm::Crc64Nvme)
            .checksum_type(ChecksumType::FullObject)
            .send()
            .await
            .map_err(|error| store_error("beginning the upload", error))?;
        Ok(Self {
            bucket: bucket.clone(),
            object: object.clone(),
            upload_id: begun.upload_id().unwrap_or_default().to_owned(),
            full_object_checksum: begun.checksum_type() == Some(&ChecksumType::FullObject),
        })
    }

    /// Resumes the upload of this [name](Upload::name), if it is there and these parts are in it as they were.
    pub(super) async fn resume(
        bucket: &Bucket,
        object: &NewObject,
        name: &str,
        parts: &[StoredPart],
    ) -> Result<Option<Self>, StoreError> {
        let Some(id) = id_in(name) else { return Ok(None) };
        let upload = Self {
            bucket: bucket.clone(),
            object: object.clone(),
            upload_id: id.to_owned(),
            full_object_checksum: name.starts_with(WHOLE),
        };
        let Some(there) = upload.parts().await? else { return Ok(None) };
        let are_unchanged = parts.iter().all(|part| there.get(&part.number) == Some(&part.etag));
        Ok(are_unchanged.then_some(upload))
    }

    /// Lists the parts that are in it, by number. `None` when there is no such upload.
    async fn parts(&self) -> Result<Option<BTreeMap<u32, String>>, StoreError> {
        let Bucket { client, name, .. } = &self.bucket;
        let list = client.list_parts().bucket(name).key(&self.object.key).upload_id(&self.upload_id);
        let mut pages = list.into_paginator().send();
        let mut parts = BTreeMap::new();
        while let Some(page) = pages.next().await {
            match page {
                Ok(page) => parts.extend(page.parts().iter().filter_map(|part| {
                    let number = u32::try_from(part.part_number()?).ok()?;
                    Some((number, part.e_tag()?.to_owned()))
                })),
                Err(error) if is_absent(&error, "NoSuchUpload") => return Ok(None),
                Err(error) => return Err(store_error("listing the parts", error)),
            }
        }
        Ok(Some(parts))
    }
}

impl Upload for S3Upload {
    fn name(&self) -> String {
        format!("{}{}", if self.full_object_checksum { WHOLE } else { LISTED }, self.upload_id)
    }

    fn parallelism(&self) -> usize {
        PARALLEL_PARTS
    }

    async fn part(&self, part: Part) -> Result<StoredPart, StoreError> {
        let timeouts = self.bucket.timeouts.plus(transfer_time(part.body.len()));
        let stored = self
            .bucket
            .client
            .upload_part()
            .bucket(&self.bucket.name)
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
            .map_err(|error| store_error("storing a part", error))?;
        Ok(StoredPart {
            number: part.number,
            etag: stored.e_tag().unwrap_or_default().to_owned(),
            checksum: stored.checksum_crc64_nvme().map(str::to_owned),
        })
    }

    async fn complete(&self, parts: Vec<StoredPart>, total: ObjectDigest) -> Result<(), StoreError> {
        let parts = parts.into_iter().map(|part| {
            CompletedPart::builder()
                .part_number(i32::try_from(part.number).unwrap_or(i32::MAX))
                .e_tag(part.etag)
                .set_checksum_crc64_nvme(part.checksum)
                .build()
        });
        let completed = self
            .bucket
            .client
            .complete_multipart_upload()
            .bucket(&self.bucket.name)
            .key(&self.object.key)
            .upload_id(&self.upload_id)
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build())
            .set_checksum_type(self.full_object_checksum.then_some(ChecksumType::FullObject))
            .set_checksum_crc64_nvme(self.full_object_checksum.then(|| total.crc64nvme_base64()))
            .mpu_object_size(i64::try_from(total.bytes).unwrap_or(i64::MAX))
            .if_none_match("*")
            .customize()
            .config_override(self.bucket.timeouts.at_leisure())
            .send()
            .await;
        let doubt = completed.err().map(|error| store_error("completing the upload", error));
        self.bucket.verify_after_error(&self.object, total, doubt).await?;
        // Where the answer to CreateMultipartUpload was lost, there is an upload that no checkpoint names. It is one to the same
        // key, and none of those can be completed any more. The bucket's lifecycle aborts what cannot be aborted now.
        let aborted = async {
            for other in self.others(|_, _| true).await {
                open::abort(&self.bucket, &other.key, &other.id).await?;
            }
            Ok::<_, StoreError>(())
        };
        drop(tokio::time::timeout(ABORT_OTHERS_TIMEOUT, aborted).await);
        Ok(())
    }

    async fn abort(&self) -> Result<(), StoreError> {
        // Those of a later attempt are younger, and stay.
        let older = self.others(|other, ours| ours.is_some_and(|ours| other <= ours));
        let older = tokio::time::timeout(ABORT_OTHERS_TIMEOUT, older).await.unwrap_or_default();
        let mut aborted = open::abort(&self.bucket, &self.object.key, &self.upload_id).await;
        for other in older {
            aborted = aborted.and(open::abort(&self.bucket, &other.key, &other.id).await);
        }
        aborted
    }
}

impl S3Upload {
    /// Lists other uploads to the same key, chosen by when they and this one were begun, in seconds. Where the answer to
    /// CreateMultipartUpload was lost and the request repeated, there is one that no checkpoint names. The bucket's lifecycle
    /// aborts those that cannot be listed.
    async fn others(&self, is_wanted: impl Fn(i64, Option<i64>) -> bool) -> Vec<OpenUpload> {
        let mut same_key = open::list(&self.bucket, &self.object.key).await.unwrap_or_default();
        same_key.retain(|upload| upload.key == self.object.key);
        let ours = same_key.iter().find(|upload| upload.id == self.upload_id).map(|upload| upload.begun);
        same_key.retain(|upload| upload.id != self.upload_id && is_wanted(upload.begun, ours));
        same_key
    }
}

/// Returns the names that an upload of this id may have. A listing does not say whether S3 holds the whole object against one
/// checksum.
pub(super) fn names_of(upload_id: &str) -> [String; 2] {
    [LISTED, WHOLE].map(|kind| format!("{kind}{upload_id}"))
}

/// Returns the store's id of an upload of this [name](Upload::name).
pub(super) fn id_in(name: &str) -> Option<&str> {
    name.strip_prefix(WHOLE).or_else(|| name.strip_prefix(LISTED))
}

fn transfer_time(bytes: usize) -> Duration {
    Duration::from_secs(bytes as u64 / SLOWEST_LINK)
}
