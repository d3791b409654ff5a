//! Files on this machine: a path, or standard output.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use downpipe_core::store::{NewObject, ObjectStore, Part, StoreError, StoredPart, Total, Upload};
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Mutex;

/// Writes a file under another name and gives it its own when it is complete: a file at its path is whole, or absent.
#[derive(Debug, Clone)]
pub(crate) struct FileStore {
    path: PathBuf,
}

/// Writes to standard output. What has been written cannot be taken back: only the exit status tells a whole result.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StdoutStore;

/// A file being written.
#[derive(Debug)]
pub(crate) struct FileUpload {
    path: PathBuf,
    file: Arc<Mutex<Option<NamedTempFile>>>,
}

impl FileStore {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }
}

impl ObjectStore for FileStore {
    type Upload = FileUpload;

    async fn put(&self, object: &NewObject, body: Bytes, total: Total) -> Result<(), StoreError> {
        let upload = self.begin(object).await?;
        upload.part(Part { number: 1, offset: 0, body }).await?;
        upload.complete(Vec::new(), total).await
    }

    async fn begin(&self, _: &NewObject) -> Result<FileUpload, StoreError> {
        // Beside the file itself: only within one file system is a renaming atomic.
        let folder =
            self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = tempfile::Builder::new()
            .prefix(".downpipe-")
            .suffix(".partial")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .tempfile_in(folder)
            .map_err(|error| refused("creating the file", error))?;
        Ok(FileUpload { path: self.path.clone(), file: Arc::new(Mutex::new(Some(file))) })
    }

    /// A person who runs an export sees its receipt; no second file is put into their folder.
    async fn put_receipt(&self, _: &NewObject, _: Bytes) -> Result<(), StoreError> {
        Ok(())
    }

    async fn clear(&self, _: &NewObject) -> Result<(), StoreError> {
        Ok(())
    }

    fn address(&self, _: &str) -> String {
        self.path.display().to_string()
    }
}

impl Upload for FileUpload {
    /// Parts are appended, so they come one by one.
    fn parallelism(&self) -> usize {
        1
    }

    async fn part(&self, part: Part) -> Result<StoredPart, StoreError> {
        let mut file = Arc::clone(&self.file).lock_owned().await;
        let number = part.number;
        let written = tokio::task::spawn_blocking(move || match file.as_mut() {
            Some(file) => file.write_all(&part.body),
            None => Err(std::io::Error::other("the file is closed already")),
        });
        joined(written.await).map_err(|error| refused("writing the file", error))?;
        Ok(StoredPart { number, etag: String::new(), checksum: None })
    }

    async fn complete(&self, _: Vec<StoredPart>, total: Total) -> Result<(), StoreError> {
        let file = self.file.lock().await.take();
        let path = self.path.clone();
        let completed = tokio::task::spawn_blocking(move || {
            let file = file.ok_or_else(|| std::io::Error::other("the file is closed already"))?;
            file.as_file().sync_all()?;
            let bytes = file.as_file().metadata()?.len();
            if bytes == total.bytes {
                file.persist(path)?;
            }
            Ok(bytes)
        });
        let actual = joined(completed.await).map_err(|error| refused("completing the file", error))?;
        if actual == total.bytes {
            Ok(())
        } else {
            Err(StoreError::SizeMismatch { expected: total.bytes, actual })
        }
    }

    async fn abort(&self) -> Result<(), StoreError> {
        // Dropping it deletes it.
        drop(self.file.lock().await.take());
        Ok(())
    }
}

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

    async fn clear(&self, _: &NewObject) -> Result<(), StoreError> {
        Ok(())
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

fn joined<T>(result: Result<std::io::Result<T>, tokio::task::JoinError>) -> std::io::Result<T> {
    result.unwrap_or_else(|panic| Err(std::io::Error::other(panic)))
}

fn refused(operation: &'static str, error: std::io::Error) -> StoreError {
    StoreError::Refused { operation, source: Box::new(error) }
}
