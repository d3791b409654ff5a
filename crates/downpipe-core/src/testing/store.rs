//! An object store in memory, with a record of what went on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use crc_fast::{CrcAlgorithm, checksum};

use super::lock;
use super::upload::MemoryUpload;
use crate::receipt::Receipt;
use crate::store::{NewObject, ObjectStore, StoreError, Total, WriteToken};

/// What a [`MemoryStore`] is told to fail at, each time it comes there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreFault {
    /// [`ObjectStore::put`] does not answer, and nothing is stored.
    Put,
    /// [`ObjectStore::begin`] does not answer.
    Begin,
    /// The part of this number does not arrive.
    Part(u32),
    /// [`Upload::complete`](crate::store::Upload::complete) does not answer, and nothing is at the key.
    Complete,
    /// The file is put or completed, and the answer is lost.
    Answer,
    /// [`ObjectStore::put_receipt`] does not answer.
    PutReceipt,
    /// [`ObjectStore::clear`] does not answer.
    Clear,
}

/// Keeps objects in memory. Two parts of an upload may be under way at once. Clones share their objects.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    fault: Option<StoreFault>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    objects: BTreeMap<String, Stored>,
    receipts: BTreeMap<String, Bytes>,
    /// Parts of uploads that are neither completed nor aborted.
    pub(super) uploads: BTreeMap<u64, BTreeMap<u32, Bytes>>,
    /// Parts that arrived when their upload was over. Nothing will ever remove them.
    pub(super) orphans: usize,
    pub(super) under_way: usize,
    pub(super) most_under_way: usize,
    begun: u64,
}

#[derive(Debug)]
struct Stored {
    token: WriteToken,
    /// One for an object that was put, else one for every part.
    pieces: Vec<Bytes>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same store, failing here.
    #[must_use]
    pub fn failing(&self, fault: StoreFault) -> Self {
        Self { state: Arc::clone(&self.state), fault: Some(fault) }
    }

    /// The bytes at a key, be it an object's or a receipt's.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        let state = lock(&self.state);
        let receipt = state.receipts.get(key).map(|receipt| receipt.to_vec());
        receipt.or_else(|| state.objects.get(key).map(|object| object.pieces.concat()))
    }

    /// The pieces an object was put together of: one when it was put, else its parts.
    #[must_use]
    pub fn pieces(&self, key: &str) -> Vec<Bytes> {
        lock(&self.state).objects.get(key).map(|object| object.pieces.clone()).unwrap_or_default()
    }

    /// Which attempt wrote the object at a key.
    #[must_use]
    pub fn token(&self, key: &str) -> Option<WriteToken> {
        lock(&self.state).objects.get(key).map(|object| object.token.clone())
    }

    /// The keys of all objects and receipts.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let state = lock(&self.state);
        state.objects.keys().chain(state.receipts.keys()).cloned().collect()
    }

    /// Parts that are left behind: of uploads that were neither completed nor aborted, and those that came too late.
    #[must_use]
    pub fn orphaned_parts(&self) -> usize {
        let state = lock(&self.state);
        state.orphans + state.uploads.values().map(BTreeMap::len).sum::<usize>()
    }

    /// Uploads that were neither completed nor aborted, with parts or without.
    #[must_use]
    pub fn open_uploads(&self) -> usize {
        lock(&self.state).uploads.len()
    }

    /// Uploads that were ever begun.
    #[must_use]
    pub fn uploads_begun(&self) -> u64 {
        lock(&self.state).begun
    }

    /// Bytes of the parts that have arrived, in uploads that are neither completed nor aborted.
    #[must_use]
    pub fn bytes_arrived(&self) -> usize {
        let state = lock(&self.state);
        state.uploads.values().flat_map(BTreeMap::values).map(Bytes::len).sum()
    }

    /// The most parts that were ever under way at once.
    #[must_use]
    pub fn most_parts_under_way(&self) -> usize {
        lock(&self.state).most_under_way
    }

    pub(super) fn state(&self) -> &Mutex<State> {
        &self.state
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

impl ObjectStore for MemoryStore {
    type Upload = MemoryUpload;

    async fn put(&self, object: &NewObject, body: Bytes, total: Total) -> Result<(), StoreError> {
        self.reach(StoreFault::Put, "putting the file")?;
        lock(&self.state).store(object, vec![body], total)?;
        self.reach(StoreFault::Answer, "putting the file")
    }

    async fn begin(&self, object: &NewObject) -> Result<Self::Upload, StoreError> {
        self.reach(StoreFault::Begin, "beginning an upload")?;
        let mut state = lock(&self.state);
        state.begun += 1;
        let id = state.begun;
        state.uploads.insert(id, BTreeMap::new());
        Ok(MemoryUpload::new(self.clone(), id, object.clone()))
    }

    async fn put_receipt(&self, object: &NewObject, receipt: Bytes) -> Result<(), StoreError> {
        self.reach(StoreFault::PutReceipt, "putting the receipt")?;
        lock(&self.state).receipts.insert(Receipt::key_of(&object.key), receipt);
        Ok(())
    }

    async fn clear(&self, object: &NewObject) -> Result<(), StoreError> {
        self.reach(StoreFault::Clear, "clearing the key")?;
        let mut state = lock(&self.state);
        match state.objects.get(&object.key) {
            Some(stored) if !object.token.covers(&stored.token) => Err(exists(&stored.token)),
            Some(_) => {
                state.objects.remove(&object.key);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn address(&self, key: &str) -> String {
        format!("memory://{key}")
    }
}

impl State {
    /// Puts an object at its key, unless the bytes are not what was announced, or the key is taken.
    pub(super) fn store(
        &mut self,
        object: &NewObject,
        pieces: Vec<Bytes>,
        total: Total,
    ) -> Result<(), StoreError> {
        if let Some(stored) = self.objects.get(&object.key) {
            return if stored.token == object.token { Ok(()) } else { Err(exists(&stored.token)) };
        }
        let body = pieces.concat();
        let actual = body.len() as u64;
        if actual != total.bytes {
            return Err(StoreError::SizeMismatch { expected: total.bytes, actual });
        }
        let stored = Total { bytes: actual, crc64nvme: checksum(CrcAlgorithm::Crc64Nvme, &body) };
        if stored != total {
            let (expected, actual) = (total.crc64nvme_base64(), stored.crc64nvme_base64());
            return Err(StoreError::ChecksumMismatch { expected, actual });
        }
        self.objects.insert(object.key.clone(), Stored { token: object.token.clone(), pieces });
        Ok(())
    }
}

fn exists(token: &WriteToken) -> StoreError {
    StoreError::Exists { holder: format!("job {}, attempt {}", token.job, token.attempt) }
}
