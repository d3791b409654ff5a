//! One object on its way into the store: bytes become parts.

use bytes::Bytes;
use crc_fast::{CrcAlgorithm, Digest as Crc};
use sha2::{Digest as _, Sha256};

use crate::job::hex;
use crate::parts::{PartUploads, part_bytes};
use crate::store::{NewObject, ObjectStore, StoreError, Total};

/// Writes one object.
pub(crate) struct ObjectWriter<S: ObjectStore> {
    object: NewObject,
    /// Bytes that were sent.
    bytes: u64,
    sha256: Sha256,
    crc64nvme: Crc,
    /// Begun with the first full part: most results are smaller than that, and one request stores them.
    uploads: Option<PartUploads<S::Upload>>,
}

/// An object that is whole in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredObject {
    pub(crate) object: NewObject,
    pub(crate) total: Total,
    pub(crate) sha256: String,
}

impl StoredObject {
    /// An object of the same content, with the proof of it among its metadata.
    pub(crate) fn proven(&self, mut object: NewObject, rows: u64) -> NewObject {
        object.metadata.insert("downpipe-rows", rows.to_string());
        object.metadata.insert("downpipe-sha256", self.sha256.clone());
        object
    }
}

impl<S: ObjectStore> ObjectWriter<S> {
    pub(crate) fn new(object: NewObject) -> Self {
        Self {
            object,
            bytes: 0,
            sha256: Sha256::new(),
            crc64nvme: Crc::new(CrcAlgorithm::Crc64Nvme),
            uploads: None,
        }
    }

    /// Bytes that were sent.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The size at which the next part is cut.
    pub(crate) fn part_bytes(&self) -> usize {
        part_bytes(self.uploads.as_ref().map_or(1, PartUploads::next_number))
    }

    /// Gives the object its final key and name, if nothing of it has been sent under another.
    pub(crate) fn readdress(&mut self, object: NewObject) {
        if self.uploads.is_none() {
            self.object = object;
        }
    }

    /// Sends a part on its way.
    pub(crate) async fn part(&mut self, store: &S, body: Vec<u8>) -> Result<(), StoreError> {
        if self.uploads.is_none() {
            self.uploads = Some(PartUploads::new(store.begin(&self.object).await?));
        }
        self.count(&body);
        match &mut self.uploads {
            Some(uploads) => uploads.send(body).await,
            None => Ok(()),
        }
    }

    /// Sends the last part and completes the object, in which there are so many rows. Only to be called for a result that is
    /// proven whole, or under a name for which nobody looks.
    pub(crate) async fn complete(
        &mut self,
        store: &S,
        rest: Vec<u8>,
        rows: u64,
    ) -> Result<StoredObject, StoreError> {
        self.count(&rest);
        let total = Total { bytes: self.bytes, crc64nvme: self.crc64nvme.finalize() };
        let sha256 = hex(&std::mem::take(&mut self.sha256).finalize());
        let mut stored = StoredObject { object: self.object.clone(), total, sha256 };
        match &mut self.uploads {
            None => {
                stored.object = stored.proven(stored.object.clone(), rows);
                store.put(&stored.object, Bytes::from(rest), total).await?;
            }
            Some(uploads) => {
                if !rest.is_empty() {
                    uploads.send(rest).await?;
                }
                uploads.complete(total).await?;
            }
        }
        Ok(stored)
    }

    /// Gives up and leaves nothing behind.
    pub(crate) async fn abandon(self) -> Result<(), StoreError> {
        match self.uploads {
            Some(uploads) => uploads.abort().await,
            None => Ok(()),
        }
    }

    /// Counts and hashes the bytes, in the order in which the object has them.
    fn count(&mut self, body: &[u8]) {
        self.bytes += body.len() as u64;
        self.sha256.update(body);
        self.crc64nvme.update(body);
    }
}
