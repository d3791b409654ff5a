//! Standard output as a store.

use bytes::Bytes;
use downpipe_core::job::{ObjectDigest, StoredPart};
use downpipe_core::store::{NewObject, ObjectStore, Part, StoreError, Upload};
use tokio::io::AsyncWriteExt as _;

use super::refused;

/// Writes to standard output. What has been written cannot be removed, so only the exit status tells whether the result is whole.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StdoutStore;

impl ObjectStore for StdoutStore {
    type Upload = Self;

    async fn put(&self, _: &NewObject, body: Bytes, _: ObjectDigest) -> Result<(), StoreError> {
        self.part(Part { number: 1, offset: 0, body }).await.map(drop)
    }

    async fn begin(&self, _: &NewObject) -> Result<Self, StoreError> {
        Ok(*self)
    }

    /// A reader could not tell where one ends and the next begins.
    fn holds_several(&self) -> bool {
        false
    }

    async fn rename(&self, _: &NewObject, _: &NewObject, _: ObjectDigest) -> Result<(), StoreError> {
        Err(irrevocable("renaming the file"))
    }

    async fn delete_job_objects(&self, _: &NewObject) -> Result<(), StoreError> {
        Err(irrevocable("removing the file"))
    }

    fn address(&self, _: &str) -> String {
        "standard output".to_owned()
    }
}

impl Upload for StdoutStore {
    fn name(&self) -> String {
        self.address("")
    }

    fn parallelism(&self) -> usize {
        1
    }

    async fn part(&self, part: Part) -> Result<StoredPart, StoreError> {
        let mut stdout = tokio::io::stdout();
        let written = async {
            stdout.write_all(&part.body).await?;
            stdout.flush().await
        };
        written.await.map_err(|error| refused("writing to standard output", error))?;
        Ok(StoredPart { number: part.number, etag: String::new(), checksum: None })
    }

    async fn complete(&self, _: Vec<StoredPart>, _: ObjectDigest) -> Result<(), StoreError> {
        tokio::io::stdout().flush().await.map_err(|error| refused("writing to standard output", error))
    }

    async fn abort(&self) -> Result<(), StoreError> {
        Err(irrevocable("aborting the upload"))
    }
}

fn irrevocable(operation: &'static str) -> StoreError {
    refused(operation, std::io::Error::other("what is on standard output cannot be changed"))
}
