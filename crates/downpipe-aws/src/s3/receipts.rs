//! Receipts: storing one beside its file, finding it again, and removing it with its files.

use aws_sdk_s3::primitives::ByteStreamError;
use aws_sdk_s3::types::ChecksumAlgorithm;
use bytes::Bytes;
use downpipe_core::job::{FileReceipt, JobAttempt, Receipt};
use downpipe_core::store::{NewObject, StoreError, is_receipt};

use super::bucket::{Bucket, Found, Listed};
use super::headers::{self, ownership_metadata, tagging};
use crate::errors::{is_absent, store_error};

impl Bucket {
    /// See [`ResumableStore::put_receipt`](downpipe_core::store::ResumableStore::put_receipt).
    pub(super) async fn put_receipt(&self, object: &NewObject, receipt: Bytes) -> Result<(), StoreError> {
        self.client
            .put_object()
            .bucket(&self.name)
            .key(Receipt::key_of(&object.key))
            .content_type("application/json")
            .set_metadata(Some(ownership_metadata(&object.token)))
            .tagging(tagging(object))
            .checksum_algorithm(ChecksumAlgorithm::Crc64Nvme)
            .body(receipt.into())
            .send()
            .await
            .map(drop)
            .map_err(|error| store_error("storing the receipt", error))
    }

    /// See [`ResumableStore::find_receipt`](downpipe_core::store::ResumableStore::find_receipt).
    pub(super) async fn find_receipt(&self, object: &NewObject) -> Result<Option<Receipt>, StoreError> {
        let key = Receipt::key_of(&object.key);
        let got = match self.client.get_object().bucket(&self.name).key(key).send().await {
            Ok(got) => got,
            Err(error) if is_absent(&error, "NoSuchKey") => return Ok(None),
            Err(error) => return Err(store_error("reading the receipt", error)),
        };
        let is_ours = headers::token(got.metadata()).is_some_and(|token| object.token.covers(&token));
        let unreadable = |error: ByteStreamError| StoreError::Unavailable {
            operation: "reading the receipt",
            source: Box::new(error),
        };
        let json = got.body.collect().await.map_err(unreadable)?.into_bytes();
        let Some(receipt) = serde_json::from_slice::<Receipt>(&json).ok().filter(|_| is_ours) else {
            return Ok(None);
        };
        let is_there = self.holds(&receipt.files, |token| object.token.covers(token)).await?;
        Ok(is_there.then_some(receipt))
    }

    /// Returns whether there are files, and each is there with its size, its checksum and a token that is right.
    pub(super) async fn holds(
        &self,
        files: &[FileReceipt],
        is_right: impl Fn(&JobAttempt) -> bool,
    ) -> Result<bool, StoreError> {
        for file in files {
            let Some(key) = self.key_of(&file.address) else { return Ok(false) };
            let Some(found) = self.find(key).await? else { return Ok(false) };
            let is_ours = found.token.is_some_and(|token| is_right(&token));
            let is_whole = found.crc64nvme.is_none_or(|checksum| checksum == file.crc64nvme);
            if !is_ours || found.bytes != file.bytes || !is_whole {
                return Ok(false);
            }
        }
        Ok(!files.is_empty())
    }

    /// See [`ResumableStore::remove`](downpipe_core::store::ResumableStore::remove).
    pub(super) async fn remove_with_files(&self, receipt: &Receipt) -> Result<(), StoreError> {
        let keys: Vec<&str> = receipt.files.iter().filter_map(|file| self.key_of(&file.address)).collect();
        let folder = keys.first().and_then(|key| key.rfind('/').map(|slash| &key[..=slash]));
        for key in &keys {
            let is_of_receipt =
                |found: &Found| found.token.as_ref().is_some_and(|token| receipt.covers(token));
            self.remove_if(key, is_of_receipt).await?;
        }
        // The receipt does not name its own key, and that of one file of several is not the others'. The folder is the job's own.
        let beside = match folder {
            Some(folder) => self.list(folder).await?,
            None => Vec::new(),
        };
        for Listed { key, etag } in beside.iter().filter(|listed| is_receipt(&listed.key)) {
            self.remove_object(key, etag.as_deref()).await?;
        }
        Ok(())
    }

    /// Returns the address of a key.
    pub(super) fn address(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.name)
    }

    /// Returns the key at an address, if that is in this bucket.
    pub(super) fn key_of<'a>(&self, address: &'a str) -> Option<&'a str> {
        address.strip_prefix("s3://")?.strip_prefix(&self.name)?.strip_prefix('/')
    }
}
