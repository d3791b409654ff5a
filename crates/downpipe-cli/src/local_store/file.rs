//! A folder as a store. An object's key is its file's name.

use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use downpipe_core::job::{ObjectDigest, StoredPart};
use downpipe_core::store::{NewObject, ObjectStore, Part, StoreError, Upload};
use tempfile::NamedTempFile;

use super::files::Files;
use super::refused;

/// Writes a file under a hidden name and gives it its own when it is complete: a file at its path is whole, or absent.
#[derive(Debug, Clone)]
pub(crate) struct FileStore {
    /// Empty for the folder the command runs in.
    folder: PathBuf,
    files: Arc<Mutex<Files>>,
}

/// A file being written.
#[derive(Debug)]
pub(crate) struct FileUpload {
    store: FileStore,
    object: NewObject,
    file: Arc<tokio::sync::Mutex<Option<NamedTempFile>>>,
}

impl FileStore {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, files: Arc::default() }
    }

    fn create(&self) -> io::Result<NamedTempFile> {
        // Beside the file itself: a rename is atomic only within one file system.
        let here = Path::new(".");
        let folder = if self.folder.as_os_str().is_empty() { here } else { &self.folder };
        tempfile::Builder::new()
            .prefix(".downpipe-")
            .suffix(".partial")
            .permissions(PermissionsExt::from_mode(0o644))
            .tempfile_in(folder)
    }
}

impl ObjectStore for FileStore {
    type Upload = FileUpload;

    async fn put(&self, object: &NewObject, body: Bytes, total: ObjectDigest) -> Result<(), StoreError> {
        let upload = self.begin(object).await?;
        upload.part(Part { number: 1, offset: 0, body }).await?;
        upload.complete(Vec::new(), total).await
    }

    async fn begin(&self, object: &NewObject) -> Result<FileUpload, StoreError> {
        let file = self.create().map_err(|error| refused("creating the file", error))?;
        Ok(FileUpload {
            store: self.clone(),
            object: object.clone(),
            file: Arc::new(tokio::sync::Mutex::new(Some(file))),
        })
    }

    fn holds_several(&self) -> bool {
        true
    }

    async fn rename(&self, from: &NewObject, to: &NewObject, total: ObjectDigest) -> Result<(), StoreError> {
        let (store, from, to) = (self.clone(), from.key.clone(), to.key.clone());
        let rename = move || lock(&store.files).rename(&store.folder, &from, &to, total.bytes);
        let renamed = blocking(rename).await;
        of_size(renamed.map_err(|error| refused("renaming the file", error))?, total)
    }

    /// Removes the files that this run has completed, and nothing else: the folder is the user's.
    async fn delete_job_objects(&self, _: &NewObject) -> Result<(), StoreError> {
        let store = self.clone();
        let removed = blocking(move || lock(&store.files).remove(&store.folder)).await;
        removed.map_err(|error| refused("removing the file", error))
    }

    fn address(&self, key: &str) -> String {
        self.folder.join(key).display().to_string()
    }
}

impl Upload for FileUpload {
    fn name(&self) -> String {
        self.object.key.clone()
    }

    /// Parts are appended, so they come one by one.
    fn parallelism(&self) -> usize {
        1
    }

    async fn part(&self, part: Part) -> Result<StoredPart, StoreError> {
        let mut file = Arc::clone(&self.file).lock_owned().await;
        let number = part.number;
        let write = move || match file.as_mut() {
            Some(file) => file.write_all(&part.body),
            None => Err(closed()),
        };
        blocking(write).await.map_err(|error| refused("writing the file", error))?;
        Ok(StoredPart { number, etag: String::new(), checksum: None })
    }

    async fn complete(&self, _: Vec<StoredPart>, total: ObjectDigest) -> Result<(), StoreError> {
        let file = self.file.lock().await.take();
        let (store, object) = (self.store.clone(), self.object.clone());
        let complete = move || {
            let file = file.ok_or_else(closed)?;
            file.as_file().sync_all()?;
            let bytes = file.as_file().metadata()?.len();
            if bytes == total.bytes {
                lock(&store.files).keep(&store.folder, &object, file.into_temp_path())?;
            }
            Ok(bytes)
        };
        let completed = blocking(complete).await;
        of_size(completed.map_err(|error| refused("completing the file", error))?, total)
    }

    async fn abort(&self) -> Result<(), StoreError> {
        // Dropping it deletes it.
        drop(self.file.lock().await.take());
        Ok(())
    }
}

/// Holds the size of a file against what it must be.
fn of_size(actual: u64, total: ObjectDigest) -> Result<(), StoreError> {
    if actual == total.bytes {
        Ok(())
    } else {
        Err(StoreError::SizeMismatch { expected: total.bytes, actual })
    }
}

fn closed() -> io::Error {
    io::Error::other("the file is closed already")
}

/// Does blocking work on a thread for such work.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|panic| Err(io::Error::other(panic)))
}

/// Locks. After a panic with the lock in hand, one file is lost at most, and the others must still be removed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use downpipe_core::job::{JobAttempt, JobId};
    use downpipe_core::store::Retention;
    use downpipe_core::testing::contracts::store_contract;
    use tempfile::TempDir;

    use super::*;

    fn object(key: &str) -> NewObject {
        NewObject {
            key: key.to_owned(),
            file_name: key.to_owned(),
            content_type: "text/csv".to_owned(),
            token: JobAttempt { job: JobId::of_unreadable("key", "body"), attempt: 1 },
            retention: Retention::default(),
            metadata: BTreeMap::new(),
        }
    }

    fn total(body: &'static str) -> ObjectDigest {
        ObjectDigest { bytes: body.len() as u64, crc64nvme: 0 }
    }

    async fn put(store: &FileStore, object: &NewObject, body: &'static str) {
        store.put(object, body.into(), total(body)).await.unwrap();
    }

    fn files(folder: &TempDir) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn file_store_keeps_the_rules_of_every_store() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::new(folder.path().to_owned());
        let fetch = async |key: &str| fs::read(folder.path().join(key)).ok();
        store_contract(&store, |rule| format!("{rule}.csv"), fetch).await;
        drop(store);
        assert_eq!(files(&folder), ["abort.csv", "parts.csv", "put.csv"]);
    }

    #[tokio::test]
    async fn several_files_renamed_at_the_end_are_whole() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::new(folder.path().to_owned());
        let last = object("注文-2-of-2.csv");
        let first = object("注文-1-of-2.csv");
        put(&store, &first.staged(1), "one").await;
        put(&store, &last.staged(2), "two!").await;
        assert!(files(&folder).iter().all(|name| name.starts_with(".downpipe-")), "{:?}", files(&folder));
        store.rename(&first.staged(1), &first, total("one")).await.unwrap();
        store.rename(&last.staged(2), &last, total("two!")).await.unwrap();
        // Once more, as after a lost answer.
        store.rename(&first.staged(1), &first, total("one")).await.unwrap();
        assert_eq!(files(&folder), [first.key.as_str(), last.key.as_str()]);
        assert_eq!(fs::read_to_string(folder.path().join(&first.key)).unwrap(), "one");
        assert_eq!(fs::read_to_string(folder.path().join(&last.key)).unwrap(), "two!");
        let mode = fs::metadata(folder.path().join(&last.key)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
        drop(store);
        assert_eq!(files(&folder).len(), 2, "a file with its final name stays");
    }

    #[tokio::test]
    async fn file_of_the_wrong_size_gets_no_name() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::new(folder.path().to_owned());
        let file = object("a.csv");
        put(&store, &file.staged(1), "one").await;
        let renamed = store.rename(&file.staged(1), &file, total("four")).await;
        assert!(matches!(renamed, Err(StoreError::SizeMismatch { expected: 4, actual: 3 })), "{renamed:?}");
        let renamed = store.rename(&file.staged(2), &file, total("one")).await;
        assert!(matches!(renamed, Err(StoreError::Refused { .. })), "{renamed:?}");
        assert!(!files(&folder).contains(&file.key));
        drop(store);
        assert_eq!(files(&folder), [""; 0], "a file without a final name is removed with the store");
    }

    #[tokio::test]
    async fn removal_of_job_objects_leaves_files_of_others() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, body: &str| fs::write(folder.path().join(name), body).unwrap();
        write("mine.csv", "a user's");
        write("a-2-of-3.csv", "a user's, to be replaced");
        write(".downpipe-x.partial", "another run's");
        let store = FileStore::new(folder.path().to_owned());
        for (number, name) in [(1, "a-1-of-3.csv"), (2, "a-2-of-3.csv"), (3, "a-3-of-3.csv")] {
            put(&store, &object(name).staged(number), "ours").await;
            store.rename(&object(name).staged(number), &object(name), total("ours")).await.unwrap();
        }
        put(&store, &object("b.csv"), "ours").await;
        put(&store, &object("c.csv").staged(4), "ours").await;
        // The user puts a file in the place of ours.
        write("new", "a user's");
        fs::rename(folder.path().join("new"), folder.path().join("a-3-of-3.csv")).unwrap();
        for _ in 0..2 {
            store.delete_job_objects(&object("a.csv")).await.unwrap();
            assert_eq!(files(&folder), [".downpipe-x.partial", "a-2-of-3.csv", "a-3-of-3.csv", "mine.csv"]);
        }
        assert_eq!(fs::read_to_string(folder.path().join("a-2-of-3.csv")).unwrap(), "ours");
        assert_eq!(fs::read_to_string(folder.path().join("a-3-of-3.csv")).unwrap(), "a user's");
    }

    #[tokio::test]
    async fn file_that_cannot_be_named_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("a.csv")).unwrap();
        let store = FileStore::new(folder.path().to_owned());
        let file = object("a.csv");
        put(&store, &file.staged(1), "ours").await;
        let renamed = store.rename(&file.staged(1), &file, total("ours")).await;
        assert!(matches!(renamed, Err(StoreError::Refused { .. })), "{renamed:?}");
        assert_eq!(files(&folder), ["a.csv"]);
        store.delete_job_objects(&file).await.unwrap();
        assert_eq!(files(&folder), ["a.csv"], "the user's folder stays");
    }

    #[test]
    fn address_in_any_folder_is_the_path_as_given() {
        for (folder, address) in [("", "a.csv"), (".", "./a.csv"), ("b/c", "b/c/a.csv"), ("/", "/a.csv")] {
            assert_eq!(FileStore::new(folder.into()).address("a.csv"), address);
        }
    }
}
