//! Files in S3: one PutObject for a small one, a multipart upload for the rest. S3 has no renaming: a file is copied to its
//! final key, in the store, and removed from the old one.
//!
//! Every body carries a CRC-64/NVME that S3 checks. A file is written only where none is (`If-None-Match`; its receipt
//! replaces an older one), and each carries the job and attempt that wrote it: when an answer is lost, a HEAD tells whether
//! the object came to be.

mod headers;
mod rename;
mod upload;

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, ChecksumType};
use bytes::Bytes;
use downpipe_core::receipt::Receipt;
use downpipe_core::store::{NewObject, ObjectStore, StoreError, Total, WriteToken, is_receipt};

use self::upload::S3Upload;

use self::headers::{content_disposition, marks, metadata, tagging};
use crate::client;
use crate::errors::{is_absent, of_store};

/// A bucket.
#[derive(Debug, Clone)]
pub struct S3Store {
    client: Client,
    bucket: String,
}

/// What is known of an object that is there.
struct Found {
    bytes: u64,
    /// Who wrote it, if that was one of us.
    token: Option<WriteToken>,
    /// What the store calls its content.
    etag: Option<String>,
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
        let whole = head.checksum_type() == Some(&ChecksumType::FullObject);
        Ok(Some(Found {
            bytes: head.content_length().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default(),
            token: headers::token(head.metadata()),
            etag: head.e_tag().map(str::to_owned),
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

    /// The keys of all objects in a folder.
    async fn list(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        let mut pages =
            self.client.list_objects_v2().bucket(&self.bucket).prefix(folder).into_paginator().send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| of_store("listing the folder", error))?;
            keys.extend(page.contents().iter().filter_map(|object| object.key().map(str::to_owned)));
        }
        Ok(keys)
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
            .set_metadata(Some(metadata(object)))
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
            .set_metadata(Some(metadata(object)))
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
            .key(Receipt::key_of(&object.key))
            .content_type("application/json")
            .set_metadata(Some(marks(&object.token)))
            .tagging(tagging(object))
            .checksum_algorithm(ChecksumAlgorithm::Crc64Nvme)
            .body(receipt.into())
            .send()
            .await
            .map(drop)
            .map_err(|error| of_store("storing the receipt", error))
    }

    async fn rename(&self, from: &NewObject, to: &NewObject, total: Total) -> Result<(), StoreError> {
        rename::rename(self, from, to, total).await
    }

    async fn clear(&self, object: &NewObject) -> Result<(), StoreError> {
        let mut left = None;
        let keys = self.list(object.folder()).await?;
        for key in keys.into_iter().filter(|key| !is_receipt(key)) {
            // A listing says nothing of metadata, and names prove nothing: a later attempt has the same.
            match self.find(&key).await? {
                None => {}
                Some(found) if found.token.as_ref().is_some_and(|token| object.token.covers(token)) => {
                    self.delete(&key).await?;
                }
                Some(found) => left = Some(found.holder()),
            }
        }
        left.map_or(Ok(()), |holder| Err(StoreError::Exists { holder }))
    }

    fn address(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
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
