//! One object on its way into the store: bytes become parts.

use bytes::Bytes;
use crc_fast::{CrcAlgorithm, Digest as Crc};
use sha2::{Digest as _, Sha256};

use crate::job::hex;
use crate::offload::Offload;
use crate::parts::{PartUploads, part_bytes};
use crate::store::{NewObject, ObjectStore, StoreError, Total};

/// Writes one object.
pub(crate) struct ObjectWriter<S: ObjectStore> {
    object: NewObject,
    /// Bytes that were sent.
    bytes: u64,
    /// Hashes a part while it travels and the next one is being filled.
    digests: Offload<Digests>,
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

/// What proves the bytes of an object, once it has seen all of them in their order.
struct Digests {
    sha256: Sha256,
    crc64nvme: Crc,
}

impl Digests {
    fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.crc64nvme.update(bytes);
    }
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
            digests: Offload::new(Digests {
                sha256: Sha256::new(),
                crc64nvme: Crc::new(CrcAlgorithm::Crc64Nvme),
            }),
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

    /// Waits until another part may go, and gives a buffer for the one after it.
    pub(crate) async fn room(&mut self) -> Result<Vec<u8>, StoreError> {
        let Some(uploads) = &mut self.uploads else { return Ok(Vec::new()) };
        uploads.room().await?;
        Ok(uploads.spare())
    }

    /// Sends a part on its way.
    pub(crate) async fn part(&mut self, store: &S, body: Vec<u8>) -> Result<(), StoreError> {
        let uploads = match &mut self.uploads {
            Some(uploads) => uploads,
            none => none.insert(PartUploads::new(store.begin(&self.object).await?)),
        };
        let body = Bytes::from(body);
        self.bytes += body.len() as u64;
        uploads.send(body.clone()).await?;
        let hashing = move |digests: &mut Digests| {
            digests.update(&body);
            Ok(())
        };
        // Waits for the part before, so that parts are hashed in their order, and only one can be kept for its hash alone.
        let Ok(()) = self.digests.start(hashing).await;
        Ok(())
    }

    /// Sends the last part and completes the object, in which there are so many rows. Only to be called for a result that is
    /// proven whole, or under a name for which nobody looks.
    pub(crate) async fn complete(
        &mut self,
        store: &S,
        rest: Vec<u8>,
        rows: u64,
    ) -> Result<StoredObject, StoreError> {
        let rest = Bytes::from(rest);
        self.bytes += rest.len() as u64;
        let Ok(digests) = self.digests.wait().await;
        digests.update(&rest);
        let total = Total { bytes: self.bytes, crc64nvme: digests.crc64nvme.finalize() };
        let sha256 = hex(&std::mem::take(&mut digests.sha256).finalize());
        let mut stored = StoredObject { object: self.object.clone(), total, sha256 };
        match &mut self.uploads {
            None => {
                stored.object = stored.proven(stored.object.clone(), rows);
                store.put(&stored.object, rest, total).await?;
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
}
