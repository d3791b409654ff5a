//! The object store: the one in memory behind a network, and a register of its uploads.

use bytes::Bytes;
use downpipe_core::job::{ObjectDigest, Receipt, StoredPart};
use downpipe_core::store::{NewObject, ObjectStore, OpenUpload, Part, ResumableStore, StoreError, Upload};
use downpipe_core::testing::MemoryUpload;
use jiff::Timestamp;

use crate::world::{Begun, FaultyPorts};

pub(crate) struct SlowUpload {
    ports: FaultyPorts,
    inner: MemoryUpload,
}

impl ObjectStore for FaultyPorts {
    type Upload = SlowUpload;

    async fn put(&self, object: &NewObject, body: Bytes, total: ObjectDigest) -> Result<(), StoreError> {
        self.travel("store.put", self.world.store.put(object, body, total)).await
    }

    async fn begin(&self, object: &NewObject) -> Result<SlowUpload, StoreError> {
        let begin = async {
            let inner = self.world.store.begin(object).await?;
            self.note(format!("begins upload {} for {}", inner.name(), object.key));
            let begun = Begun { by: self.number, open: true, completed: false, recorded: false };
            self.world.lock().uploads.insert(inner.name(), begun);
            Ok(SlowUpload { ports: self.clone(), inner })
        };
        self.travel("store.begin", begin).await
    }

    async fn rename(&self, from: &NewObject, to: &NewObject, total: ObjectDigest) -> Result<(), StoreError> {
        self.travel("store.rename", self.world.store.rename(from, to, total)).await
    }

    async fn delete_job_objects(&self, object: &NewObject) -> Result<(), StoreError> {
        let clear = async {
            self.note(format!("clears {}", object.folder()));
            self.world.store.delete_job_objects(object).await
        };
        self.travel("store.clear", clear).await
    }

    fn holds_several(&self) -> bool {
        self.world.store.holds_several()
    }

    fn address(&self, key: &str) -> String {
        self.world.store.address(key)
    }
}

impl ResumableStore for FaultyPorts {
    async fn resume_upload(
        &self,
        object: &NewObject,
        upload: &str,
        parts: &[StoredPart],
    ) -> Result<Option<SlowUpload>, StoreError> {
        let resume = async {
            let inner = self.world.store.resume_upload(object, upload, parts).await?;
            let how = if inner.is_some() { "goes on with" } else { "cannot go on with" };
            self.note(format!("{how} upload {upload}, {} parts", parts.len()));
            self.world.lock().count(format!("{how} an upload"));
            Ok(inner.map(|inner| SlowUpload { ports: self.clone(), inner }))
        };
        self.travel("store.resume", resume).await
    }

    async fn abort_upload(&self, key: &str, upload: &str) -> Result<(), StoreError> {
        let discard = async {
            self.world.store.abort_upload(key, upload).await?;
            self.closed(upload, false);
            Ok(())
        };
        self.travel("store.discard", discard).await
    }

    async fn find_receipt(&self, object: &NewObject) -> Result<Option<Receipt>, StoreError> {
        self.travel("store.find_receipt", self.world.store.find_receipt(object)).await
    }

    async fn holds(&self, receipt: &Receipt) -> Result<bool, StoreError> {
        self.travel("store.holds", self.world.store.holds(receipt)).await
    }

    async fn put_receipt(&self, object: &NewObject, receipt: Bytes) -> Result<(), StoreError> {
        self.travel("store.put_receipt", self.world.store.put_receipt(object, receipt)).await
    }

    async fn abort_job_uploads(&self, object: &NewObject) -> Result<(), StoreError> {
        let abort = async {
            for open in
                ResumableStore::open_uploads(&self.world.store, object.folder(), Timestamp::MAX, usize::MAX)
                    .await?
            {
                self.world.store.abort_upload(&open.key, &open.upload).await?;
                self.closed(&open.upload, false);
            }
            Ok(())
        };
        self.travel("store.abort_job_uploads", abort).await
    }

    async fn open_uploads(
        &self,
        prefix: &str,
        begun_before: Timestamp,
        max: usize,
    ) -> Result<Vec<OpenUpload>, StoreError> {
        let list = ResumableStore::open_uploads(&self.world.store, prefix, begun_before, max);
        self.travel("store.open_uploads", list).await
    }

    fn download_command(&self, receipt: &Receipt) -> Option<String> {
        self.world.store.download_command(receipt)
    }

    async fn remove(&self, receipt: &Receipt) -> Result<(), StoreError> {
        self.travel("store.remove", self.world.store.remove(receipt)).await
    }
}

impl FaultyPorts {
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
        let mut rng = fastrand::Rng::with_seed(u64::from(part.number) << 32 | self.ports.number as u64);
        let (there, back) = (rng.u64(1..=3000), rng.u64(1..=300));
        let arrive = self.inner.part(part);
        self.ports.call_taking(there, back, "store.part", arrive, || unavailable("store.part")).await
    }

    async fn complete(&self, parts: Vec<StoredPart>, total: ObjectDigest) -> Result<(), StoreError> {
        let complete = async {
            let completed = self.inner.complete(parts, total).await;
            if let Err(StoreError::ChecksumMismatch { .. } | StoreError::SizeMismatch { .. }) = &completed {
                self.ports.world.violated(format!("upload {} is not what was sent", self.inner.name()));
            }
            completed?;
            self.ports.closed(&self.inner.name(), true);
            Ok(())
        };
        self.ports.travel("store.complete", complete).await
    }

    async fn abort(&self) -> Result<(), StoreError> {
        let abort = async {
            self.inner.abort().await?;
            self.ports.closed(&self.inner.name(), false);
            Ok(())
        };
        self.ports.travel("store.abort", abort).await
    }
}

fn unavailable(operation: &'static str) -> StoreError {
    StoreError::Unavailable { operation, source: "the store was told to fail".into() }
}
