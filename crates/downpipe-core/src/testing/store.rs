//! An object store in memory, with a record of what went on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use crc_fast::{CrcAlgorithm, checksum};
use jiff::Timestamp;

use super::lock;
use super::upload::{self, MemoryUpload};
use crate::receipt::{FileReceipt, Receipt};
use crate::store::{NewObject, ObjectStore, OpenUpload, StoreError, StoredPart, Total, WriteToken};

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
    /// The rename of this number does not answer, and nothing is renamed.
    Rename(u32),
    /// The rename of this number breaks off half-way: the file is at both keys.
    RenameHalfway(u32),
    /// The rename of this number takes place, and the answer is lost.
    RenameAnswer(u32),
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
    /// The keys of all uploads that were ever begun, and when that was.
    beginnings: BTreeMap<u64, (String, Timestamp)>,
    now: Timestamp,
    /// Parts that arrived when their upload was over. Nothing will ever remove them.
    pub(super) orphans: usize,
    pub(super) under_way: usize,
    pub(super) most_under_way: usize,
    begun: u64,
    renames: u32,
}

#[derive(Debug)]
struct Stored {
    token: WriteToken,
    file_name: String,
    metadata: BTreeMap<&'static str, String>,
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

    /// The same store, in good health.
    #[must_use]
    pub fn healed(&self) -> Self {
        Self { state: Arc::clone(&self.state), fault: None }
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

    /// What a browser saves the object at a key as.
    #[must_use]
    pub fn file_name(&self, key: &str) -> Option<String> {
        lock(&self.state).objects.get(key).map(|object| object.file_name.clone())
    }

    /// The metadata of the object at a key, the token aside.
    #[must_use]
    pub fn metadata(&self, key: &str) -> Option<BTreeMap<&'static str, String>> {
        lock(&self.state).objects.get(key).map(|object| object.metadata.clone())
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

    /// Sets the clock by which uploads begin. It stands still, and begins in 1970.
    pub fn set_clock(&self, now: Timestamp) {
        lock(&self.state).now = now;
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
        let now = state.now;
        state.beginnings.insert(id, (object.key.clone(), now));
        Ok(MemoryUpload::new(self.clone(), id, object.clone()))
    }

    async fn go_on(
        &self,
        object: &NewObject,
        upload: &str,
        parts: &[StoredPart],
    ) -> Result<Option<MemoryUpload>, StoreError> {
        self.reach(StoreFault::Begin, "going on with an upload")?;
        let state = lock(&self.state);
        let Some((id, arrived)) = upload.parse().ok().and_then(|id: u64| state.uploads.get_key_value(&id))
        else {
            return Ok(None);
        };
        let unchanged = parts.iter().all(|part| upload::find(arrived, part).is_some());
        Ok(unchanged.then(|| MemoryUpload::new(self.clone(), *id, object.clone())))
    }

    async fn discard(&self, _: &str, upload: &str) -> Result<(), StoreError> {
        self.reach(StoreFault::Clear, "giving up an upload")?;
        if let Ok(id) = upload.parse::<u64>() {
            lock(&self.state).uploads.remove(&id);
        }
        Ok(())
    }

    async fn open_uploads(
        &self,
        prefix: &str,
        begun_before: Timestamp,
        most: usize,
    ) -> Result<Vec<OpenUpload>, StoreError> {
        let state = lock(&self.state);
        let open = state.uploads.keys().filter_map(|id| {
            let (key, begun) = state.beginnings.get(id)?;
            let found = key.starts_with(prefix) && *begun < begun_before;
            found.then(|| OpenUpload { key: key.clone(), upload: id.to_string() })
        });
        Ok(open.take(most).collect())
    }

    async fn remove(&self, receipt: &Receipt) -> Result<(), StoreError> {
        self.reach(StoreFault::Clear, "removing the files")?;
        let mut state = lock(&self.state);
        for file in &receipt.files {
            let Some(key) = file.address.strip_prefix("memory://") else { continue };
            state.objects.remove(key);
            let folder = key.rfind('/').map_or("", |slash| &key[..=slash]).to_owned();
            state.receipts.retain(|key, _| !key.starts_with(&folder));
        }
        Ok(())
    }

    async fn find_receipt(&self, object: &NewObject) -> Result<Option<Receipt>, StoreError> {
        let state = lock(&self.state);
        let receipt = state.receipts.get(&Receipt::key_of(&object.key));
        let receipt = receipt.and_then(|json| serde_json::from_slice::<Receipt>(json).ok());
        let is_there = |file: &FileReceipt| {
            let key = file.address.strip_prefix("memory://").unwrap_or_default();
            state.objects.get(key).is_some_and(|stored| {
                let bytes: usize = stored.pieces.iter().map(Bytes::len).sum();
                object.token.covers(&stored.token) && bytes as u64 == file.bytes
            })
        };
        Ok(receipt.filter(|receipt| {
            receipt.job_id == object.token.job.as_str() && receipt.files.iter().all(is_there)
        }))
    }

    async fn put_receipt(&self, object: &NewObject, receipt: Bytes) -> Result<(), StoreError> {
        self.reach(StoreFault::PutReceipt, "putting the receipt")?;
        lock(&self.state).receipts.insert(Receipt::key_of(&object.key), receipt);
        Ok(())
    }

    async fn rename(&self, from: &NewObject, to: &NewObject, total: Total) -> Result<(), StoreError> {
        const OPERATION: &str = "renaming the file";
        let number = {
            let mut state = lock(&self.state);
            state.renames += 1;
            state.renames
        };
        self.reach(StoreFault::Rename(number), OPERATION)?;
        if from.key == to.key {
            let source = "the new key is the old one".into();
            return Err(StoreError::Refused { operation: OPERATION, source });
        }
        lock(&self.state).copy(from, to, total)?;
        self.reach(StoreFault::RenameHalfway(number), OPERATION)?;
        lock(&self.state).objects.remove(&from.key);
        self.reach(StoreFault::RenameAnswer(number), OPERATION)
    }

    async fn clear(&self, object: &NewObject) -> Result<(), StoreError> {
        self.reach(StoreFault::Clear, "clearing the folder")?;
        let mut state = lock(&self.state);
        let in_folder = |key: &String| key.starts_with(object.folder());
        state.objects.retain(|key, stored| !in_folder(key) || !object.token.covers(&stored.token));
        match state.objects.iter().find(|(key, _)| in_folder(key)) {
            Some((_, stored)) => Err(exists(&stored.token)),
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
            return stored.confirm(object, total);
        }
        let NewObject { file_name, token, metadata, .. } = object.clone();
        let stored = Stored { token, file_name, metadata, pieces };
        stored.confirm(object, total)?;
        self.objects.insert(object.key.clone(), stored);
        Ok(())
    }

    /// Puts the object that is at one key at another as well. It may be there already.
    fn copy(&mut self, from: &NewObject, to: &NewObject, total: Total) -> Result<(), StoreError> {
        match (self.objects.get(&from.key), self.objects.get(&to.key)) {
            (None, None) => Err(StoreError::SizeMismatch { expected: total.bytes, actual: 0 }),
            (None, Some(renamed)) => renamed.confirm(to, total),
            (Some(source), _) => {
                source.confirm(from, total)?;
                let pieces = source.pieces.clone();
                self.store(to, pieces, total)
            }
        }
    }
}

impl Stored {
    /// Sees whether it is what was sent, by whom it was sent.
    fn confirm(&self, object: &NewObject, total: Total) -> Result<(), StoreError> {
        if self.token != object.token {
            return Err(exists(&self.token));
        }
        let body = self.pieces.concat();
        let actual = Total { bytes: body.len() as u64, crc64nvme: checksum(CrcAlgorithm::Crc64Nvme, &body) };
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

fn exists(token: &WriteToken) -> StoreError {
    StoreError::Exists { holder: format!("job {}, attempt {}", token.job, token.attempt) }
}
