//! A bucket, and looking at what is in it.

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::types::{ChecksumMode, ChecksumType, EncodingType};
use downpipe_core::job::{JobAttempt, ObjectDigest};
use downpipe_core::store::StoreError;

use super::headers;
use super::listing::decoded;
use super::timeouts::Timeouts;
use crate::client;
use crate::errors::{is_absent, store_error};

/// A bucket, with a client for it.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    pub(super) client: Client,
    pub(super) name: String,
    pub(super) timeouts: Timeouts,
}

/// What is known of an object that is there.
pub(super) struct Found {
    pub(super) bytes: u64,
    /// The job and attempt that wrote it, if it is an object of ours.
    pub(super) token: Option<JobAttempt>,
    /// The store's name of its content.
    pub(super) etag: Option<String>,
    /// Only when it covers the whole object: the checksum of a list of checksums proves nothing to us.
    pub(super) crc64nvme: Option<String>,
}

/// An object as a listing shows it.
pub(super) struct Listed {
    pub(super) key: String,
    pub(super) etag: Option<String>,
}

impl Bucket {
    pub(super) fn new(config: &SdkConfig, name: String) -> Self {
        Self { client: client::s3(config), name, timeouts: Timeouts::of(config) }
    }

    /// Looks at the object at a key.
    pub(super) async fn find(&self, key: &str) -> Result<Option<Found>, StoreError> {
        let request =
            self.client.head_object().bucket(&self.name).key(key).checksum_mode(ChecksumMode::Enabled);
        let head = match request.send().await {
            Ok(head) => head,
            Err(error) if is_absent(&error, "NotFound") => return Ok(None),
            Err(error) => return Err(store_error("looking for the object", error)),
        };
        let is_whole = head.checksum_type() == Some(&ChecksumType::FullObject);
        Ok(Some(Found {
            bytes: head.content_length().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default(),
            token: headers::token(head.metadata()),
            etag: head.e_tag().map(str::to_owned),
            crc64nvme: head.checksum_crc64_nvme().filter(|_| is_whole).map(str::to_owned),
        }))
    }

    /// Lists all objects in a folder.
    pub(super) async fn list(&self, folder: &str) -> Result<Vec<Listed>, StoreError> {
        let list = self.client.list_objects_v2().bucket(&self.name).prefix(folder);
        let mut pages = list.encoding_type(EncodingType::Url).into_paginator().send();
        let mut listed = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| store_error("listing the folder", error))?;
            listed.extend(page.contents().iter().filter_map(|object| {
                let key = decoded(object.key()?, page.encoding_type());
                Some(Listed { key, etag: object.e_tag().map(str::to_owned) })
            }));
        }
        Ok(listed)
    }
}

impl Found {
    /// Returns how the object differs from what it must be, if it does.
    pub(super) fn mismatch(&self, total: ObjectDigest) -> Option<StoreError> {
        if self.bytes != total.bytes {
            return Some(StoreError::SizeMismatch { expected: total.bytes, actual: self.bytes });
        }
        let expected = total.crc64nvme_base64();
        let actual = self.crc64nvme.clone().filter(|actual| *actual != expected)?;
        Some(StoreError::ChecksumMismatch { expected, actual })
    }

    /// Names the writer of the object.
    pub(super) fn holder(&self) -> String {
        match &self.token {
            Some(JobAttempt { job, attempt }) => format!("job {job}, attempt {attempt}"),
            None => "another writer".to_owned(),
        }
    }
}
