//! The uploads of a [`MemoryStore`].

use std::collections::BTreeMap;

use bytes::Bytes;
use tokio::task::yield_now;

use super::lock;
use super::store::{MemoryStore, StoreFault};
use crate::store::{NewObject, Part, StoreError, StoredPart, Total, Upload};

/// A file on its way into a [`MemoryStore`]. Parts with odd numbers travel longer, so parts arrive out of order.
#[derive(Debug)]
pub struct MemoryUpload {
    store: MemoryStore,
    id: u64,
    object: NewObject,
}

impl MemoryUpload {
    pub(super) fn new(store: MemoryStore, id: u64, object: NewObject) -> Self {
        Self { store, id, object }
    }

    fn refused(&self, reason: String) -> StoreError {
        StoreError::Refused { operation: "completing the upload", source: reason.into() }
    }
}

impl Upload for MemoryUpload {
    fn name(&self) -> String {
        self.id.to_string()
    }

    fn parallelism(&self) -> usize {
        2
    }

    async fn part(&self, part: Part) -> Result<StoredPart, StoreError> {
        let journey = Journey::begin(&self.store);
        for _ in 0..4 + 8 * (part.number % 2) {
            yield_now().await;
        }
        journey.end();
        self.store.reach(StoreFault::Part(part.number), "sending a part")?;
        let stored = StoredPart { number: part.number, etag: etag(&part.body), checksum: None };
        let mut state = lock(self.store.state());
        match state.uploads.get_mut(&self.id) {
            Some(parts) => {
                parts.insert(part.number, part.body);
                Ok(stored)
            }
            None => {
                state.orphans += 1;
                Err(self.refused("there is no such upload".to_owned()))
            }
        }
    }

    async fn complete(&self, parts: Vec<StoredPart>, total: Total) -> Result<(), StoreError> {
        self.store.reach(StoreFault::Complete, "completing the upload")?;
        let mut state = lock(self.store.state());
        let Some(arrived) = state.uploads.get(&self.id).cloned() else {
            // Completed before, or aborted: whether the object is ours tells them apart.
            drop(state);
            return match self.store.token(&self.object.key) {
                Some(token) if token == self.object.token => Ok(()),
                _ => Err(self.refused("there is no such upload".to_owned())),
            };
        };
        // Parts that nobody lists are left out, as S3 does.
        let listed: Option<Vec<Bytes>> = parts.iter().map(|part| find(&arrived, part).cloned()).collect();
        let Some(pieces) = listed else {
            return Err(self.refused(format!("not all of the parts {parts:?} are there")));
        };
        state.store(&self.object, pieces, total)?;
        state.uploads.remove(&self.id);
        self.store.reach(StoreFault::Answer, "completing the upload")
    }

    async fn abort(&self) -> Result<(), StoreError> {
        lock(self.store.state()).uploads.remove(&self.id);
        Ok(())
    }
}

/// A part under way. One that its sender drops half-way may arrive all the same, at any time: it counts as left behind.
struct Journey<'a> {
    store: &'a MemoryStore,
    ended: bool,
}

impl<'a> Journey<'a> {
    fn begin(store: &'a MemoryStore) -> Self {
        let mut state = lock(store.state());
        state.under_way += 1;
        state.most_under_way = state.most_under_way.max(state.under_way);
        Self { store, ended: false }
    }

    fn end(mut self) {
        self.ended = true;
    }
}

impl Drop for Journey<'_> {
    fn drop(&mut self) {
        let mut state = lock(self.store.state());
        state.under_way -= 1;
        state.orphans += usize::from(!self.ended);
    }
}

/// A part that has arrived, if it is the one that was sent.
pub(super) fn find<'a>(arrived: &'a BTreeMap<u32, Bytes>, part: &StoredPart) -> Option<&'a Bytes> {
    arrived.get(&part.number).filter(|body| etag(body) == part.etag)
}

fn etag(body: &Bytes) -> String {
    format!("{:016x}", crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, body))
}
