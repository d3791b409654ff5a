//! Multipart uploads.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_s3::config::Builder;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart};
use downpipe_core::store::{NewObject, Part, StoreError, StoredPart, Total, Upload};

use super::S3Store;
use super::open::{self, OpenUpload};
use crate::errors::{is_absent, of_store};

/// Two parts under way hide the latency of one while the next is being read; more only cost memory.
const PARALLEL_PARTS: usize = 2;

/// The slowest link on which a part may still arrive in time, in bytes a second.
const SLOWEST_LINK: u64 = 1 << 20;

/// What tidying up after a completed upload may take: the file is there already.
const TIDY_TIMEOUT: Duration = Duration::from_secs(3);

/// A multipart upload.
#[derive(Debug)]
pub struct S3Upload {
    pub(super) store: S3Store,
    pub(super) object: NewObject,
    pub(super) upload_id: String,
    /// Whether the store will hold the whole object against one checksum. S3 does; not every stand-in can.
    pub(super) checks_whole: bool,
}

/// How the name of an upload begins of which the store holds the whole object against one checksum, and of which it does not.
const WHOLE: &str = "whole:";
const LISTED: &str = "listed:";

impl S3Upload {
    /// The upload of this [name](Upload::name), which may be gone.
    pub(super) fn named(store: &S3Store, object: NewObject, name: &str) -> Option<Self> {
        let checks_whole = name.starts_with(WHOLE);
        Some(Self { store: store.clone(), object, upload_id: id_in(name)?.to_owned(), checks_whole })
    }

    /// The parts that are in it, by number. `None` when there is no such upload.
    pub(super) async fn parts(&self) -> Result<Option<BTreeMap<u32, String>>, StoreError> {
        let S3Store { client, bucket, .. } = &self.store;
        let list = client.list_parts().bucket(bucket).key(&self.object.key).upload_id(&self.upload_id);
        let mut pages = list.into_paginator().send();
        let mut parts = BTreeMap::new();
        while let Some(page) = pages.next().await {
            match page {
                Ok(page) => parts.extend(page.parts().iter().filter_map(|part| {
                    let number = u32::try_from(part.part_number()?).ok()?;
                    Some((number, part.e_tag()?.to_owned()))
                })),
                Err(error) if is_absent(&error, "NoSuchUpload") => return Ok(None),
                Err(error) => return Err(of_store("listing the parts", error)),
            }
        }
        Ok(Some(parts))
    }
}

impl Upload for S3Upload {
    fn name(&self) -> String {
        format!("{}{}", if self.checks_whole { WHOLE } else { LISTED }, self.upload_id)
    }

    fn parallelism(&self) -> usize {
        PARALLEL_PARTS
    }

    async fn part(&self, part: Part) -> Result<StoredPart, StoreError> {
        let timeouts = self.store.timeouts.plus(transfer_time(part.body.len()));
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
            .config_override(self.store.timeouts.at_leisure())
            .send()
            .await;
        let doubt = completed.err().map(|error| of_store("completing the upload", error));
        self.store.confirm(&self.object, total, doubt).await?;
        // Where the answer to its beginning was lost, there is an upload of which nobody knows. It can only be one to the same
        // key, and none of those can be completed any more. What cannot be aborted now goes with the bucket's lifecycle.
        let tidied = async {
            for other in self.others(|_, _| true).await {
                open::abort(&self.store, &other.key, &other.id).await?;
            }
            Ok::<_, StoreError>(())
        };
        drop(tokio::time::timeout(TIDY_TIMEOUT, tidied).await);
        Ok(())
    }

    async fn abort(&self) -> Result<(), StoreError> {
        // Those of a later attempt are younger, and not ours to touch.
        let older = self.others(|other, ours| ours.is_some_and(|ours| other <= ours));
        let older = tokio::time::timeout(TIDY_TIMEOUT, older).await.unwrap_or_default();
        let mut aborted = open::abort(&self.store, &self.object.key, &self.upload_id).await;
        for other in older {
            aborted = aborted.and(open::abort(&self.store, &other.key, &other.id).await);
        }
        aborted
    }
}

impl S3Upload {
    /// Other uploads to the same key, chosen by when they were begun and when this one was, in seconds: where the answer to a
    /// beginning was lost, and it was asked for again, there is one of which nobody knows. What cannot be listed goes with the
    /// bucket's lifecycle.
    async fn others(&self, is_wanted: impl Fn(i64, Option<i64>) -> bool) -> Vec<OpenUpload> {
        let mut same_key = open::list(&self.store, &self.object.key).await.unwrap_or_default();
        same_key.retain(|upload| upload.key == self.object.key);
        let ours = same_key.iter().find(|upload| upload.id == self.upload_id).map(|upload| upload.begun);
        same_key.retain(|upload| upload.id != self.upload_id && is_wanted(upload.begun, ours));
        same_key
    }
}

/// The name of an upload that was listed. Whether S3 holds the whole object against one checksum is not known of it, and makes no
/// difference to somebody who gives it up.
pub(super) fn name_of(upload_id: &str) -> String {
    format!("{LISTED}{upload_id}")
}

/// The store's id of an upload of this [name](Upload::name).
pub(super) fn id_in(name: &str) -> Option<&str> {
    name.strip_prefix(WHOLE).or_else(|| name.strip_prefix(LISTED))
}

fn transfer_time(bytes: usize) -> Duration {
    Duration::from_secs(bytes as u64 / SLOWEST_LINK)
}
