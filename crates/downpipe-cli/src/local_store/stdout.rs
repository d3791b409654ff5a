//! Standard output as a store.

use bytes::Bytes;
use downpipe_core::store::{NewObject, ObjectStore, Part, StoreError, StoredPart, Total, Upload};
use tokio::io::AsyncWriteExt as _;

use super::refused;

/// Writes to standard output. What has been written cannot be taken back: only the exit status tells a whole result.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StdoutStore;

impl ObjectStore for StdoutStore {
    type Upload = Self;

    async fn put(&self, _: &NewObject, body: Bytes, _: Total) -> Result<(), StoreError> {
        self.part(Part { number: 1, offset: 0, body }).await.map(drop)
    }

    async fn begin(&self, _: &NewObject) -> Result<Self, StoreError> {
        Ok(*self)
    }

    async fn put_receipt(&self, _: &NewObject, _: Bytes) -> Result<(), StoreError> {
        Ok(())
    }

    async fn rename(&self, _: &NewObject, _: &NewObject, _: Total) -> Result<(), StoreError> {
        let error = std::io::Error::other("what has been written there has no name");
        Err(refused("renaming the file", error))
    }

    async fn clear(&self, _: &NewObject) -> Result<(), StoreError> {
        Ok(())
    }

    /// Nobody could tell where one ends and the next begins.
    fn holds_several(&self) -> bool {
        false
    }

    fn address(&self, _: &str) -> String {
        "standard output".to_owned()
    }
}

impl Upload for StdoutStore {
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

    async fn complete(&self, _: Vec<StoredPart>, _: Total) -> Result<(), StoreError> {
        Ok(())
    }

    async fn abort(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
