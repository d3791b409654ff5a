//! Files in S3: one PutObject for a small one, a multipart upload for the rest. S3 has no renaming: a file is copied to its
//! final key, in the store, and removed from the old one.
//!
//! Every body carries a CRC-64/NVME that S3 checks. A file is written only where none is (`If-None-Match`; its receipt
//! replaces an older one), and each carries the job and attempt that wrote it: when an answer is lost, a HEAD tells whether
//! the object came to be.

mod headers;
mod open;
mod rename;
mod timeouts;
mod upload;

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStreamError;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, ChecksumType};
use bytes::Bytes;
use downpipe_core::receipt::Receipt;
use downpipe_core::store::{
    NewObject, ObjectStore, OpenUpload, StoreError, StoredPart, Total, WriteToken, is_receipt,
};

use self::headers::{content_disposition, marks, metadata, tagging};
use self::timeouts::Timeouts;
use self::upload::S3Upload;
use crate::client;
use crate::errors::{is_absent, of_store};

/// A bucket.
#[derive(Debug, Clone)]
pub struct S3Store {
    client: Client,
    bucket: String,
    timeouts: Timeouts,
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
        Self { client: client::s3(config), bucket: bucket.into(), timeouts: Timeouts::of(config) }
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
        let Some(mismatch) = found.mismatch(total) else { return Ok(()) };
        if error.is_some() {
            // Not what this worker has sent. It was taken for dead, perhaps, and whoever went on with its upload has completed it.
            return Err(StoreError::Exists { holder: found.holder() });
        }
        // S3 would not have taken it. Whoever did must not keep it where people look for a file that is right.
        self.delete(&object.key).await?;
        Err(mismatch)
    }

    /// The key of an [address](ObjectStore::address) of this bucket's.
    fn key_of<'a>(&self, address: &'a str) -> Option<&'a str> {
        address.strip_prefix("s3://")?.strip_prefix(&self.bucket)?.strip_prefix('/')
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

    async fn go_on(
        &self,
        object: &NewObject,
        upload: &str,
        parts: &[StoredPart],
    ) -> Result<Option<S3Upload>, StoreError> {
        let Some(upload) = S3Upload::named(self, object.clone(), upload) else { return Ok(None) };
        let Some(there) = upload.parts().await? else { return Ok(None) };
        let unchanged = parts.iter().all(|part| there.get(&part.number) == Some(&part.etag));
        Ok(unchanged.then_some(upload))
    }

    async fn discard(&self, key: &str, upload: &str) -> Result<(), StoreError> {
        match upload::id_in(upload) {
            Some(id) => open::abort(self, key, id).await,
            None => Ok(()),
        }
    }

    async fn open_uploads(
        &self,
        prefix: &str,
        begun_before: jiff::Timestamp,
        most: usize,
    ) -> Result<Vec<OpenUpload>, StoreError> {
        let mut open = open::list(self, prefix).await?;
        open.retain(|upload| upload.begun < begun_before.as_second());
        let named =
            |upload: open::OpenUpload| OpenUpload { upload: upload::name_of(&upload.id), key: upload.key };
        Ok(open.into_iter().take(most).map(named).collect())
    }

    async fn remove(&self, receipt: &Receipt) -> Result<(), StoreError> {
        let keys: Vec<&str> = receipt.files.iter().filter_map(|file| self.key_of(&file.address)).collect();
        let folder = keys.first().and_then(|key| key.rfind('/').map(|slash| &key[..=slash]));
        for key in &keys {
            self.delete(key).await?;
        }
        // Its name is not in the receipt: that of one file of several is not the others'. The folder is the job's own.
        let beside = match folder {
            Some(folder) => self.list(folder).await?,
            None => Vec::new(),
        };
        for key in beside.iter().filter(|key| is_receipt(key)) {
            self.delete(key).await?;
        }
        Ok(())
    }

    async fn find_receipt(&self, object: &NewObject) -> Result<Option<Receipt>, StoreError> {
        let key = Receipt::key_of(&object.key);
        let got = match self.client.get_object().bucket(&self.bucket).key(key).send().await {
            Ok(got) => got,
            Err(error) if is_absent(&error, "NoSuchKey") => return Ok(None),
            Err(error) => return Err(of_store("reading the receipt", error)),
        };
        let ours = headers::token(got.metadata()).is_some_and(|token| object.token.covers(&token));
        let unreadable = |error: ByteStreamError| StoreError::Unavailable {
            operation: "reading the receipt",
            source: Box::new(error),
        };
        let json = got.body.collect().await.map_err(unreadable)?.into_bytes();
        let Some(receipt) = serde_json::from_slice::<Receipt>(&json).ok().filter(|_| ours) else {
            return Ok(None);
        };
        for file in &receipt.files {
            let Some(key) = self.key_of(&file.address) else { return Ok(None) };
            let Some(found) = self.find(key).await? else { return Ok(None) };
            let ours = found.token.is_some_and(|token| object.token.covers(&token));
            let whole = found.crc64nvme.is_none_or(|checksum| checksum == file.crc64nvme);
            if !ours || found.bytes != file.bytes || !whole {
                return Ok(None);
            }
        }
        Ok(Some(receipt).filter(|receipt| !receipt.files.is_empty()))
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

    async fn clear_uploads(&self, object: &NewObject) -> Result<(), StoreError> {
        let mut aborted = Ok(());
        for upload in open::list(self, object.folder()).await? {
            aborted = aborted.and(open::abort(self, &upload.key, &upload.id).await);
        }
        aborted
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
