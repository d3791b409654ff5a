//! The uploads of a [`MemoryStore`](super::MemoryStore).

use bytes::Bytes;
use tokio::task::yield_now;

use super::store_state::{SharedState, StoreFault, etag, find};
use crate::job::{JobAttempt, ObjectDigest, StoredPart};
use crate::store::{NewObject, Part, StoreError, Upload};

/// An upload to a [`MemoryStore`](super::MemoryStore). Parts with odd numbers travel longer, so parts arrive out of order.
#[derive(Debug)]
pub struct MemoryUpload {
    state: SharedState,
    id: u64,
    object: NewObject,
}

impl MemoryUpload {
    pub(super) fn new(state: SharedState, id: u64, object: NewObject) -> Self {
        Self { state, id, object }
    }

    /// Returns the attempt that wrote the object at the upload's key.
    fn stored_token(&self) -> Option<JobAttempt> {
        self.state.lock().objects.get(&self.object.key).map(|object| object.token.clone())
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
        let in_flight = PartInFlight::begin(&self.state);
        for _ in 0..4 + 8 * (part.number % 2) {
            yield_now().await;
        }
        in_flight.end();
        self.state.reach(StoreFault::Part(part.number), "sending a part")?;
        let stored = StoredPart { number: part.number, etag: etag(&part.body), checksum: None };
        let mut state = self.state.lock();
        match state.uploads.get_mut(&self.id) {
            Some(parts) => {
                parts.insert(part.number, part.body);
                Ok(stored)
            }
            None => {
                state.orphans += 1;
                let source = "there is no such upload".into();
                Err(StoreError::Unavailable { operation: "sending a part", source })
            }
        }
    }

    async fn complete(&self, parts: Vec<StoredPart>, total: ObjectDigest) -> Result<(), StoreError> {
        self.state.reach(StoreFault::Complete, "completing the upload")?;
        let mut state = self.state.lock();
        let Some(arrived) = state.uploads.get(&self.id).cloned() else {
            // Completed before, or aborted: whether the object is ours tells them apart.
            drop(state);
            return match self.stored_token() {
                Some(token) if token == self.object.token => Ok(()),
                _ => Err(self.refused("there is no such upload".to_owned())),
            };
        };
        // Parts that are not listed are left out, as S3 does.
        let listed: Option<Vec<Bytes>> = parts.iter().map(|part| find(&arrived, part).cloned()).collect();
        let Some(pieces) = listed else {
            return Err(self.refused(format!("not all of the parts {parts:?} are there")));
        };
        state.store(&self.object, pieces, total)?;
        state.uploads.remove(&self.id);
        self.state.reach(StoreFault::Answer, "completing the upload")
    }

    async fn abort(&self) -> Result<(), StoreError> {
        self.state.lock().uploads.remove(&self.id);
        Ok(())
    }
}

/// A part in flight. One that its sender drops half-way may arrive all the same, at any time: it counts as left behind.
struct PartInFlight<'a> {
    state: &'a SharedState,
    ended: bool,
}

impl<'a> PartInFlight<'a> {
    fn begin(state: &'a SharedState) -> Self {
        let mut counts = state.lock();
        counts.in_flight += 1;
        counts.max_in_flight = counts.max_in_flight.max(counts.in_flight);
        Self { state, ended: false }
    }

    fn end(mut self) {
        self.ended = true;
    }
}

impl Drop for PartInFlight<'_> {
    fn drop(&mut self) {
        let mut state = self.state.lock();
        state.in_flight -= 1;
        state.orphans += usize::from(!self.ended);
    }
}
