//! Files in S3: one PutObject for a small one, a multipart upload for the rest. S3 has no renaming: a file is copied to its
//! final key, in the store, and removed from the old one.
//!
//! An object is removed by its entity tag, so that an object that has taken its place since stays (`removal.rs`). Every body
//! carries a CRC-64/NVME that S3 checks. A file is written only where none is (`If-None-Match`; its receipt replaces an older
//! one), and each carries the job and attempt that wrote it: when an answer is lost, a HEAD tells whether the object came to be.

mod bucket;
mod download;
mod headers;
pub(crate) mod listing;
mod open;
mod presign;
mod put;
mod receipts;
mod removal;
mod rename;
mod timeouts;
mod upload;

use aws_config::SdkConfig;
use bytes::Bytes;
use downpipe_core::job::{ObjectDigest, Receipt, StoredPart};
use downpipe_core::store::{NewObject, ObjectStore, OpenUpload, ResumableStore, StoreError, is_receipt};

use self::bucket::{Bucket, Found, Listed};
use self::upload::S3Upload;

/// A bucket as a store.
#[derive(Debug, Clone)]
pub struct S3Store(Bucket);

impl S3Store {
    /// A store in this bucket.
    #[must_use]
    pub fn new(config: &SdkConfig, bucket: impl Into<String>) -> Self {
        Self(Bucket::new(config, bucket.into()))
    }
}

impl ObjectStore for S3Store {
    type Upload = S3Upload;

    async fn put(&self, object: &NewObject, body: Bytes, total: ObjectDigest) -> Result<(), StoreError> {
        self.0.put(object, body, total).await
    }

    async fn begin(&self, object: &NewObject) -> Result<S3Upload, StoreError> {
        S3Upload::begin(&self.0, object).await
    }

    fn holds_several(&self) -> bool {
        true
    }

    async fn rename(&self, from: &NewObject, to: &NewObject, total: ObjectDigest) -> Result<(), StoreError> {
        rename::rename(&self.0, from, to, total).await
    }

    async fn delete_job_objects(&self, object: &NewObject) -> Result<(), StoreError> {
        let mut holder = None;
        let listed = self.0.list(object.folder()).await?;
        let is_ours = |found: &Found| found.token.as_ref().is_some_and(|token| object.token.covers(token));
        for Listed { key, .. } in listed.into_iter().filter(|listed| !is_receipt(&listed.key)) {
            // A listing says nothing of metadata, and names prove nothing: a later attempt has the same.
            if let Some(found) = self.0.remove_if(&key, is_ours).await? {
                holder = Some(found.holder());
            }
        }
        holder.map_or(Ok(()), |holder| Err(StoreError::Exists { holder }))
    }

    fn address(&self, key: &str) -> String {
        self.0.address(key)
    }
}

impl ResumableStore for S3Store {
    async fn resume_upload(
        &self,
        object: &NewObject,
        upload: &str,
        parts: &[StoredPart],
    ) -> Result<Option<S3Upload>, StoreError> {
        S3Upload::resume(&self.0, object, upload, parts).await
    }

    async fn abort_upload(&self, key: &str, upload: &str) -> Result<(), StoreError> {
        match upload::id_in(upload) {
            Some(id) => open::abort(&self.0, key, id).await,
            None => Ok(()),
        }
    }

    async fn abort_job_uploads(&self, object: &NewObject) -> Result<(), StoreError> {
        let mut aborted = Ok(());
        for upload in open::list(&self.0, object.folder()).await? {
            aborted = aborted.and(open::abort(&self.0, &upload.key, &upload.id).await);
        }
        aborted
    }

    async fn open_uploads(
        &self,
        prefix: &str,
        begun_before: jiff::Timestamp,
        max: usize,
    ) -> Result<Vec<OpenUpload>, StoreError> {
        let mut open = open::list(&self.0, prefix).await?;
        open.retain(|upload| upload.begun < begun_before.as_second());
        let named = |open::OpenUpload { key, id, .. }| {
            let [upload, other] = upload::names_of(&id);
            OpenUpload { key, upload, other_names: vec![other] }
        };
        Ok(open.into_iter().take(max).map(named).collect())
    }

    async fn find_receipt(&self, object: &NewObject) -> Result<Option<Receipt>, StoreError> {
        self.0.find_receipt(object).await
    }

    async fn holds(&self, receipt: &Receipt) -> Result<bool, StoreError> {
        self.0.holds(&receipt.files, |token| receipt.covers(token)).await
    }

    async fn put_receipt(&self, object: &NewObject, receipt: Bytes) -> Result<(), StoreError> {
        self.0.put_receipt(object, receipt).await
    }

    fn download_command(&self, receipt: &Receipt) -> Option<String> {
        let addresses: Vec<&str> = receipt.files.iter().map(|file| file.address.as_str()).collect();
        download::command(&addresses)
    }

    async fn remove(&self, receipt: &Receipt) -> Result<(), StoreError> {
        self.0.remove_with_files(receipt).await
    }
}
