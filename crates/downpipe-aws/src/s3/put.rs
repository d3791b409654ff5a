//! Storing a small file in one request, and deciding after an error whether an object came to be.

use bytes::Bytes;
use downpipe_core::job::ObjectDigest;
use downpipe_core::store::{NewObject, StoreError};

use super::bucket::Bucket;
use super::headers::{content_disposition, metadata, tagging};
use crate::errors::store_error;

impl Bucket {
    /// See [`ObjectStore::put`](downpipe_core::store::ObjectStore::put).
    pub(super) async fn put(
        &self,
        object: &NewObject,
        body: Bytes,
        total: ObjectDigest,
    ) -> Result<(), StoreError> {
        let sent = self
            .client
            .put_object()
            .bucket(&self.name)
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
            // S3 has checked the checksum of the whole object: nothing is left to verify.
            Ok(_) => Ok(()),
            Err(error) => {
                self.verify_after_error(object, total, Some(store_error("storing the file", error))).await
            }
        }
    }

    /// Verifies that the object is there, ours, and what was sent. `error` is the request's, if that has failed; without one it
    /// was answered, or never sent.
    pub(super) async fn verify_after_error(
        &self,
        object: &NewObject,
        total: ObjectDigest,
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
            // Not what this worker has sent. If its lease has expired, its successor has resumed its upload and completed it.
            return Err(StoreError::Exists { holder: found.holder() });
        }
        // S3 would not have taken it. A store that did must not keep it where people expect a right file.
        self.remove_object(&object.key, found.etag.as_deref()).await?;
        Err(mismatch)
    }
}
