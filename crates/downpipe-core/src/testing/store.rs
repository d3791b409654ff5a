//! An object store in memory, with a record of what went on.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;

use super::store_state::{SharedState, State, StoreFault, exists, find};
use super::upload::MemoryUpload;
use crate::job::{FileReceipt, JobAttempt, ObjectDigest, Receipt, StoredPart};
use crate::store::{NewObject, ObjectStore, OpenUpload, ResumableStore, StoreError};

/// Keeps objects in memory. Two parts of an upload may be in flight at once. Clones share their objects.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore(SharedState);

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the same store with this fault.
    #[must_use]
    pub fn failing(&self, fault: StoreFault) -> Self {
        Self(self.0.with_fault(Some(fault)))
    }

    /// Returns the same store without a fault.
    #[must_use]
    pub fn healed(&self) -> Self {
        Self(self.0.with_fault(None))
    }

    /// Returns the bytes at a key, be it an object's or a receipt's.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        let state = self.0.lock();
        let receipt = state.receipts.get(key).map(|receipt| receipt.to_vec());
        receipt.or_else(|| state.objects.get(key).map(|object| object.pieces.concat()))
    }

    /// Returns the pieces of an object: one when it was put, else its parts.
    #[must_use]
    pub fn pieces(&self, key: &str) -> Vec<Bytes> {
        self.0.lock().objects.get(key).map(|object| object.pieces.clone()).unwrap_or_default()
    }

    /// Returns the attempt that wrote the object at a key.
    #[must_use]
    pub fn token(&self, key: &str) -> Option<JobAttempt> {
        self.0.lock().objects.get(key).map(|object| object.token.clone())
    }

    /// Returns the name under which a browser saves the object at a key.
    #[must_use]
    pub fn file_name(&self, key: &str) -> Option<String> {
        self.0.lock().objects.get(key).map(|object| object.file_name.clone())
    }

    /// Returns the metadata of the object at a key, the token aside.
    #[must_use]
    pub fn metadata(&self, key: &str) -> Option<BTreeMap<&'static str, String>> {
        self.0.lock().objects.get(key).map(|object| object.metadata.clone())
    }

    /// Returns the keys of all objects and receipts.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let state = self.0.lock();
        state.objects.keys().chain(state.receipts.keys()).cloned().collect()
    }

    /// Counts parts that are left behind: of uploads that were neither completed nor aborted, and those that came too late.
    #[must_use]
    pub fn orphaned_parts(&self) -> usize {
        let state = self.0.lock();
        state.orphans + state.uploads.values().map(BTreeMap::len).sum::<usize>()
    }

    /// Counts uploads that were neither completed nor aborted, with parts or without.
    #[must_use]
    pub fn open_uploads(&self) -> usize {
        self.0.lock().uploads.len()
    }

    /// Counts uploads that were ever begun.
    #[must_use]
    pub fn uploads_begun(&self) -> u64 {
        self.0.lock().begun
    }

    /// Counts bytes of the parts that have arrived, in uploads that are neither completed nor aborted.
    #[must_use]
    pub fn bytes_arrived(&self) -> usize {
        let state = self.0.lock();
        state.uploads.values().flat_map(BTreeMap::values).map(Bytes::len).sum()
    }

    /// Returns the most parts that were ever in flight at once.
    #[must_use]
    pub fn most_parts_under_way(&self) -> usize {
        self.0.lock().max_in_flight
    }

    /// Sets the clock by which uploads begin. It stands still, and begins in 1970.
    pub fn set_clock(&self, now: Timestamp) {
        self.0.lock().now = now;
    }
}

impl ObjectStore for MemoryStore {
    type Upload = MemoryUpload;

    async fn put(&self, object: &NewObject, body: Bytes, total: ObjectDigest) -> Result<(), StoreError> {
        self.0.reach(StoreFault::Put, "putting the file")?;
        self.0.lock().store(object, vec![body], total)?;
        self.0.reach(StoreFault::Answer, "putting the file")
    }

    async fn begin(&self, object: &NewObject) -> Result<Self::Upload, StoreError> {
        self.0.reach(StoreFault::Begin, "beginning an upload")?;
        let mut state = self.0.lock();
        state.begun += 1;
        let id = state.begun;
        state.uploads.insert(id, BTreeMap::new());
        let now = state.now;
        state.beginnings.insert(id, (object.key.clone(), now));
        Ok(MemoryUpload::new(self.0.clone(), id, object.clone()))
    }

    fn holds_several(&self) -> bool {
        true
    }

    async fn rename(&self, from: &NewObject, to: &NewObject, total: ObjectDigest) -> Result<(), StoreError> {
        const OPERATION: &str = "renaming the file";
        let number = {
            let mut state = self.0.lock();
            state.renames += 1;
            state.renames
        };
        self.0.reach(StoreFault::Rename(number), OPERATION)?;
        if from.key == to.key {
            let source = "the new key is the old one".into();
            return Err(StoreError::Refused { operation: OPERATION, source });
        }
        self.0.lock().copy(from, to, total)?;
        self.0.reach(StoreFault::RenameHalfway(number), OPERATION)?;
        self.0.lock().objects.remove(&from.key);
        self.0.reach(StoreFault::RenameAnswer(number), OPERATION)
    }

    async fn delete_job_objects(&self, object: &NewObject) -> Result<(), StoreError> {
        self.0.reach(StoreFault::Clear, "removing the job's objects")?;
        let mut state = self.0.lock();
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

impl ResumableStore for MemoryStore {
    async fn resume_upload(
        &self,
        object: &NewObject,
        upload: &str,
        parts: &[StoredPart],
    ) -> Result<Option<MemoryUpload>, StoreError> {
        self.0.reach(StoreFault::Begin, "resuming an upload")?;
        let state = self.0.lock();
        let Some((id, arrived)) = upload.parse().ok().and_then(|id: u64| state.uploads.get_key_value(&id))
        else {
            return Ok(None);
        };
        let unchanged = parts.iter().all(|part| find(arrived, part).is_some());
        Ok(unchanged.then(|| MemoryUpload::new(self.0.clone(), *id, object.clone())))
    }

    async fn abort_upload(&self, _: &str, upload: &str) -> Result<(), StoreError> {
        self.0.reach(StoreFault::Clear, "aborting an upload")?;
        if let Ok(id) = upload.parse::<u64>() {
            self.0.lock().uploads.remove(&id);
        }
        Ok(())
    }

    async fn abort_job_uploads(&self, object: &NewObject) -> Result<(), StoreError> {
        self.0.reach(StoreFault::Clear, "aborting the job's uploads")?;
        let mut state = self.0.lock();
        let State { uploads, beginnings, .. } = &mut *state;
        uploads.retain(|id, _| beginnings.get(id).is_none_or(|(key, _)| !key.starts_with(object.folder())));
        Ok(())
    }

    async fn open_uploads(
        &self,
        prefix: &str,
        begun_before: Timestamp,
        max: usize,
    ) -> Result<Vec<OpenUpload>, StoreError> {
        let state = self.0.lock();
        let open = state.uploads.keys().filter_map(|id| {
            let (key, begun) = state.beginnings.get(id)?;
            let found = key.starts_with(prefix) && *begun < begun_before;
            found.then(|| OpenUpload { key: key.clone(), upload: id.to_string(), other_names: Vec::new() })
        });
        Ok(open.take(max).collect())
    }

    async fn find_receipt(&self, object: &NewObject) -> Result<Option<Receipt>, StoreError> {
        let state = self.0.lock();
        let receipt = state.receipts.get(&Receipt::key_of(&object.key));
        let receipt = receipt.and_then(|json| serde_json::from_slice::<Receipt>(json).ok());
        Ok(receipt.filter(|receipt| {
            receipt.job_id == object.token.job.as_str()
                && holds(&state, &receipt.files, |token| object.token.covers(token))
        }))
    }

    async fn holds(&self, receipt: &Receipt) -> Result<bool, StoreError> {
        self.0.reach(StoreFault::Look, "looking for the files")?;
        Ok(holds(&self.0.lock(), &receipt.files, |token| receipt.covers(token)))
    }

    async fn put_receipt(&self, object: &NewObject, receipt: Bytes) -> Result<(), StoreError> {
        self.0.reach(StoreFault::PutReceipt, "putting the receipt")?;
        self.0.lock().receipts.insert(Receipt::key_of(&object.key), receipt);
        Ok(())
    }

    fn download_command(&self, receipt: &Receipt) -> Option<String> {
        receipt.files.first().map(|file| format!("download {}", file.address))
    }

    async fn remove(&self, receipt: &Receipt) -> Result<(), StoreError> {
        self.0.reach(StoreFault::Clear, "removing the files")?;
        let mut state = self.0.lock();
        for file in &receipt.files {
            let Some(key) = file.address.strip_prefix("memory://") else { continue };
            if state.objects.get(key).is_some_and(|stored| !receipt.covers(&stored.token)) {
                continue;
            }
            state.objects.remove(key);
            let folder = key.rfind('/').map_or("", |slash| &key[..=slash]).to_owned();
            state.receipts.retain(|key, _| !key.starts_with(&folder));
        }
        Ok(())
    }
}

/// Returns whether there are files, and each is there with its size, its checksum and a token that is right.
fn holds(state: &State, files: &[FileReceipt], is_right: impl Fn(&JobAttempt) -> bool) -> bool {
    let is_there = |file: &FileReceipt| {
        let key = file.address.strip_prefix("memory://").unwrap_or_default();
        state.objects.get(key).is_some_and(|stored| {
            let total = stored.total;
            let is_whole = total.bytes == file.bytes && total.crc64nvme_base64() == file.crc64nvme;
            is_right(&stored.token) && is_whole
        })
    };
    !files.is_empty() && files.iter().all(is_there)
}
