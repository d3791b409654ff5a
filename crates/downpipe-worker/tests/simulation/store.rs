//! The object store: the memory's behind a network, and a register of the uploads in it.

use bytes::Bytes;
use downpipe_core::receipt::Receipt;
use downpipe_core::store::{NewObject, ObjectStore, Part, StoreError, StoredPart, Total, Upload};
use downpipe_core::testing::MemoryUpload;

use crate::world::{Begun, Hand};

pub(crate) struct SlowUpload {
    hand: Hand,
    inner: MemoryUpload,
}

impl ObjectStore for Hand {
    type Upload = SlowUpload;

    async fn put(&self, object: &NewObject, body: Bytes, total: Total) -> Result<(), StoreError> {
        self.travel("store.put", self.world.store.put(object, body, total)).await
    }

    async fn begin(&self, object: &NewObject) -> Result<SlowUpload, StoreError> {
        let begin = async {
            let inner = self.world.store.begin(object).await?;
            self.note(format!("begins upload {} for {}", inner.name(), object.key));
            let begun = Begun { by: self.number, open: true, completed: false, recorded: false };
            self.world.lock().uploads.insert(inner.name(), begun);
            Ok(SlowUpload { hand: self.clone(), inner })
        };
        self.travel("store.begin", begin).await
    }

    async fn go_on(
        &self,
        object: &NewObject,
        upload: &str,
        parts: &[StoredPart],
    ) -> Result<Option<SlowUpload>, StoreError> {
        let go_on = async {
            let inner = self.world.store.go_on(object, upload, parts).await?;
            let how = if inner.is_some() { "goes on with" } else { "cannot go on with" };
            self.note(format!("{how} upload {upload}, {} parts", parts.len()));
            self.world.lock().count(format!("{how} an upload"));
            Ok(inner.map(|inner| SlowUpload { hand: self.clone(), inner }))
        };
        self.travel("store.go_on", go_on).await
    }

    async fn discard(&self, key: &str, upload: &str) -> Result<(), StoreError> {
        let discard = async {
            self.world.store.discard(key, upload).await?;
            self.closed(upload, false);
            Ok(())
        };
        self.travel("store.discard", discard).await
    }

    async fn find_receipt(&self, object: &NewObject) -> Result<Option<Receipt>, StoreError> {
        self.travel("store.find_receipt", self.world.store.find_receipt(object)).await
    }

    async fn put_receipt(&self, object: &NewObject, receipt: Bytes) -> Result<(), StoreError> {
        self.travel("store.put_receipt", self.world.store.put_receipt(object, receipt)).await
    }

    async fn rename(&self, from: &NewObject, to: &NewObject, total: Total) -> Result<(), StoreError> {
        self.travel("store.rename", self.world.store.rename(from, to, total)).await
    }

    async fn clear(&self, object: &NewObject) -> Result<(), StoreError> {
        let clear = async {
            self.note(format!("clears {}", object.folder()));
            self.world.store.clear(object).await
        };
        self.travel("store.clear", clear).await
    }

    fn address(&self, key: &str) -> String {
        self.world.store.address(key)
    }
}

impl Hand {
    async fn travel<T>(
        &self,
        name: &'static str,
        act: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.call(name, act, || unavailable(name)).await
    }

    fn closed(&self, upload: &str, completed: bool) {
        if let Some(begun) = self.world.lock().uploads.get_mut(upload) {
            begun.open = false;
            begun.completed |= completed;
        }
        self.note(format!("{} upload {upload}", if completed { "completes" } else { "gives up" }));
    }
}

impl Upload for SlowUpload {
    fn name(&self) -> String {
        self.inner.name()
    }

    fn parallelism(&self) -> usize {
        self.inner.parallelism()
    }

    async fn part(&self, part: Part) -> Result<StoredPart, StoreError> {
        // Its task may come to this line now or a little later: what it draws must not depend on that.
        let mut rng = fastrand::Rng::with_seed(u64::from(part.number) << 32 | self.hand.number as u64);
        let (there, back) = (rng.u64(1..=3000), rng.u64(1..=300));
        let arrive = self.inner.part(part);
        self.hand.call_taking(there, back, "store.part", arrive, || unavailable("store.part")).await
    }

    async fn complete(&self, parts: Vec<StoredPart>, total: Total) -> Result<(), StoreError> {
        let complete = async {
            let completed = self.inner.complete(parts, total).await;
            if let Err(StoreError::ChecksumMismatch { .. } | StoreError::SizeMismatch { .. }) = &completed {
                self.hand.world.violated(format!("upload {} is not what was sent", self.inner.name()));
            }
            completed?;
            self.hand.closed(&self.inner.name(), true);
            Ok(())
        };
        self.hand.travel("store.complete", complete).await
    }

    async fn abort(&self) -> Result<(), StoreError> {
        let abort = async {
            self.inner.abort().await?;
            self.hand.closed(&self.inner.name(), false);
            Ok(())
        };
        self.hand.travel("store.abort", abort).await
    }
}

fn unavailable(operation: &'static str) -> StoreError {
    StoreError::Unavailable { operation, source: "the store was told to fail".into() }
}
