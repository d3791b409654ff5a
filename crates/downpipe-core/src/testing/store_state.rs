//! The state of a store in memory, shared by the store and its uploads.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use crc_fast::{CrcAlgorithm, Digest, checksum};
use jiff::Timestamp;

use super::lock;
use crate::job::{JobAttempt, ObjectDigest, StoredPart};
use crate::store::{NewObject, StoreError};

/// Where a [`MemoryStore`](super::MemoryStore) fails, each time it gets there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreFault {
    /// [`ObjectStore::put`](crate::store::ObjectStore::put) does not answer, and nothing is stored.
    Put,
    /// [`ObjectStore::begin`](crate::store::ObjectStore::begin) does not answer.
    Begin,
    /// The part of this number does not arrive.
    Part(u32),
    /// [`Upload::complete`](crate::store::Upload::complete) does not answer, and nothing is at the key.
    Complete,
    /// The file is put or completed, and the answer is lost.
    Answer,
    /// The rename of this number does not answer, and nothing is renamed.
    Rename(u32),
    /// The rename of this number breaks off half-way: the file is at both keys.
    RenameHalfway(u32),
    /// The rename of this number takes place, and the answer is lost.
    RenameAnswer(u32),
    /// [`ResumableStore::put_receipt`](crate::store::ResumableStore::put_receipt) does not answer.
    PutReceipt,
    /// [`ResumableStore::holds`](crate::store::ResumableStore::holds) does not answer.
    Look,
    /// [`ObjectStore::delete_job_objects`](crate::store::ObjectStore::delete_job_objects) does not answer.
    Clear,
}

/// The state of a store and the fault of one of its clones.
#[derive(Debug, Clone, Default)]
pub(super) struct SharedState {
    state: Arc<Mutex<State>>,
    fault: Option<StoreFault>,
}

/// What is in a store, and what went on there.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) objects: BTreeMap<String, Stored>,
    pub(super) receipts: BTreeMap<String, Bytes>,
    /// Parts of uploads that are neither completed nor aborted.
    pub(super) uploads: BTreeMap<u64, BTreeMap<u32, Bytes>>,
    /// The keys of all uploads that were ever begun, and when that was.
    pub(super) beginnings: BTreeMap<u64, (String, Timestamp)>,
    pub(super) now: Timestamp,
    /// Parts that arrived when their upload was over. Nothing ever removes them.
    pub(super) orphans: usize,
    pub(super) in_flight: usize,
    pub(super) max_in_flight: usize,
    pub(super) begun: u64,
    pub(super) renames: u32,
}

/// An object.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) token: JobAttempt,
    pub(super) file_name: String,
    pub(super) metadata: BTreeMap<&'static str, String>,
    /// One for an object that was put, else one for every part.
    pub(super) pieces: Vec<Bytes>,
    /// The size and checksum of its bytes. Asked for often, and slow in a build for tests.
    pub(super) total: ObjectDigest,
}

impl SharedState {
    pub(super) fn with_fault(&self, fault: Option<StoreFault>) -> Self {
        Self { state: Arc::clone(&self.state), fault }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Fails if the store was told to fail here.
    pub(super) fn reach(&self, here: StoreFault, operation: &'static str) -> Result<(), StoreError> {
        if self.fault == Some(here) {
            let source = "the store was told to fail here".into();
            return Err(StoreError::Unavailable { operation, source });
        }
        Ok(())
    }
}

impl State {
    /// Puts an object at its key, unless its bytes are not those of `total`, or the key is taken.
    pub(super) fn store(
        &mut self,
        object: &NewObject,
        pieces: Vec<Bytes>,
        total: ObjectDigest,
    ) -> Result<(), StoreError> {
        if let Some(stored) = self.objects.get(&object.key) {
            return stored.verify(object, total);
        }
        let NewObject { file_name, token, metadata, .. } = object.clone();
        let stored = Stored { token, file_name, metadata, total: digest(&pieces), pieces };
        stored.verify(object, total)?;
        self.objects.insert(object.key.clone(), stored);
        Ok(())
    }

    /// Copies an object to another key. It may be there already.
    pub(super) fn copy(
        &mut self,
        from: &NewObject,
        to: &NewObject,
        total: ObjectDigest,
    ) -> Result<(), StoreError> {
        match (self.objects.get(&from.key), self.objects.get(&to.key)) {
            (None, None) => Err(StoreError::SizeMismatch { expected: total.bytes, actual: 0 }),
            (None, Some(renamed)) => renamed.verify(to, total),
            (Some(source), _) => {
                source.verify(from, total)?;
                let pieces = source.pieces.clone();
                self.store(to, pieces, total)
            }
        }
    }
}

impl Stored {
    /// Verifies that this attempt has sent it, and that nothing is wrong with it.
    fn verify(&self, object: &NewObject, total: ObjectDigest) -> Result<(), StoreError> {
        if self.token != object.token {
            return Err(exists(&self.token));
        }
        let actual = self.total;
        if actual.bytes != total.bytes {
            return Err(StoreError::SizeMismatch { expected: total.bytes, actual: actual.bytes });
        }
        if actual != total {
            let (expected, actual) = (total.crc64nvme_base64(), actual.crc64nvme_base64());
            return Err(StoreError::ChecksumMismatch { expected, actual });
        }
        Ok(())
    }
}

/// Returns the size and checksum of an object's bytes.
fn digest(pieces: &[Bytes]) -> ObjectDigest {
    let mut crc = Digest::new(CrcAlgorithm::Crc64Nvme);
    for piece in pieces {
        crc.update(piece);
    }
    let bytes = pieces.iter().map(|piece| piece.len() as u64).sum();
    ObjectDigest { bytes, crc64nvme: crc.finalize() }
}

pub(super) fn exists(token: &JobAttempt) -> StoreError {
    StoreError::Exists { holder: format!("job {}, attempt {}", token.job, token.attempt) }
}

/// Returns a part that has arrived, if it is the one that was sent.
pub(super) fn find<'a>(arrived: &'a BTreeMap<u32, Bytes>, part: &StoredPart) -> Option<&'a Bytes> {
    arrived.get(&part.number).filter(|body| etag(body) == part.etag)
}

/// Names the content of a part.
pub(super) fn etag(body: &Bytes) -> String {
    format!("{:016x}", checksum(CrcAlgorithm::Crc64Nvme, body))
}
