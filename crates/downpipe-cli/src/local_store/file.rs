//! A folder as a store. An object's key is its file's name.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io::{self, ErrorKind, Write as _};
use std::mem;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use downpipe_core::store::{NewObject, ObjectStore, Part, StoreError, StoredPart, Total, Upload};
use tempfile::{NamedTempFile, TempPath};

use super::refused;

/// Writes a file under another name and gives it its own when it is complete: a file at its path is whole, or absent.
#[derive(Debug, Clone)]
pub(crate) struct FileStore {
    /// Empty for the folder the command runs in.
    folder: PathBuf,
    files: Arc<Mutex<Files>>,
}

/// What this run has completed. The folder is a person's, and nothing else in it is ours to touch.
#[derive(Debug, Default)]
struct Files {
    /// Files without a final name, by key. They have hidden names of their own, and go when this goes.
    staged: BTreeMap<String, TempPath>,
    /// Files with one, by key.
    named: BTreeMap<String, Named>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Named {
    /// Device and inode: whether what is at the path is still this file.
    identity: (u64, u64),
    /// Whether it took the place of a file that was there before.
    replaced: bool,
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
        // Beside the file itself: only within one file system is a renaming atomic.
        let here = Path::new(".");
        let folder = if self.folder.as_os_str().is_empty() { here } else { &self.folder };
        tempfile::Builder::new()
            .prefix(".downpipe-")
            .suffix(".partial")
            .permissions(PermissionsExt::from_mode(0o644))
            .tempfile_in(folder)
    }
}

impl Files {
    /// Keeps a complete file: aside, while it has no final name, else in the place of what is at its path.
    fn keep(&mut self, folder: &Path, object: &NewObject, file: TempPath) -> io::Result<()> {
        if object.is_staged() {
            self.staged.insert(object.key.clone(), file);
            return Ok(());
        }
        self.name(folder, &object.key, file)
    }

    /// Gives a file its final name. After an error it is gone.
    fn name(&mut self, folder: &Path, key: &str, file: TempPath) -> io::Result<()> {
        let path = folder.join(key);
        let identity = identity(&file.metadata()?);
        let replaced = found(&path)?.is_some();
        file.persist(&path)?;
        self.named.insert(key.to_owned(), Named { identity, replaced });
        Ok(())
    }

    /// Names a staged file if it has so many bytes, and says how many it has.
    fn rename(&mut self, folder: &Path, from: &str, to: &str, bytes: u64) -> io::Result<u64> {
        let actual = match (self.staged.get(from), self.named.get(to)) {
            (Some(staged), _) => staged.metadata()?.len(),
            // Renamed already: then only its size is still to be looked at.
            (None, Some(_)) => folder.join(to).metadata()?.len(),
            (None, None) => return Err(io::Error::other("nothing has been written under its old name")),
        };
        if actual == bytes
            && let Some(staged) = self.staged.remove(from)
        {
            self.name(folder, to, staged)?;
        }
        Ok(actual)
    }

    fn clear(&mut self, folder: &Path) -> io::Result<()> {
        let staged = mem::take(&mut self.staged).into_values().map(TempPath::close);
        let named = mem::take(&mut self.named).into_iter().map(|(key, named)| {
            let path = folder.join(key);
            // What took the place of a person's file stays, as that one cannot come back; and so does what a person has put
            // in the place of ours since.
            match found(&path)? {
                Some(found) if identity(&found) == named.identity && !named.replaced => {
                    std::fs::remove_file(path)
                }
                _ => Ok(()),
            }
        });
        // One that cannot be removed must not keep the others.
        staged.chain(named).fold(Ok(()), Result::and)
    }
}

impl ObjectStore for FileStore {
    type Upload = FileUpload;

    async fn put(&self, object: &NewObject, body: Bytes, total: Total) -> Result<(), StoreError> {
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

    /// A person who runs an export sees its receipt; no second file is put into their folder.
    async fn put_receipt(&self, _: &NewObject, _: Bytes) -> Result<(), StoreError> {
        Ok(())
    }

    async fn rename(&self, from: &NewObject, to: &NewObject, total: Total) -> Result<(), StoreError> {
        let (store, from, to) = (self.clone(), from.key.clone(), to.key.clone());
        let rename = move || lock(&store.files).rename(&store.folder, &from, &to, total.bytes);
        let renamed = blocking(rename).await;
        of_size(renamed.map_err(|error| refused("renaming the file", error))?, total)
    }

    /// Removes what this run has made, and nothing else: the folder is not the job's own here.
    async fn clear(&self, _: &NewObject) -> Result<(), StoreError> {
        let store = self.clone();
        let cleared = blocking(move || lock(&store.files).clear(&store.folder)).await;
        cleared.map_err(|error| refused("removing the file", error))
    }

    fn address(&self, key: &str) -> String {
        self.folder.join(key).display().to_string()
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
        let write = move || match file.as_mut() {
            Some(file) => file.write_all(&part.body),
            None => Err(closed()),
        };
        blocking(write).await.map_err(|error| refused("writing the file", error))?;
        Ok(StoredPart { number, etag: String::new(), checksum: None })
    }

    async fn complete(&self, _: Vec<StoredPart>, total: Total) -> Result<(), StoreError> {
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

fn of_size(actual: u64, total: Total) -> Result<(), StoreError> {
    if actual == total.bytes {
        Ok(())
    } else {
        Err(StoreError::SizeMismatch { expected: total.bytes, actual })
    }
}

/// What is at a path itself, not where a link there leads to.
fn found(path: &Path) -> io::Result<Option<Metadata>> {
    match path.symlink_metadata() {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

fn closed() -> io::Error {
    io::Error::other("the file is closed already")
}

/// Does what may take a while where it holds nobody up.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|panic| Err(io::Error::other(panic)))
}

/// Locks. Whoever panicked with the lock in hand has lost a file at most, and the others are still to be removed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use downpipe_core::definition::Retention;
    use downpipe_core::job::JobId;
    use downpipe_core::store::WriteToken;
    use tempfile::TempDir;

    use super::*;

    fn object(key: &str) -> NewObject {
        NewObject {
            key: key.to_owned(),
            file_name: key.to_owned(),
            content_type: "text/csv".to_owned(),
            token: WriteToken { job: JobId::of_unreadable("key", "body"), attempt: 1 },
            retention: Retention::default(),
            metadata: BTreeMap::new(),
        }
    }

    fn total(body: &'static str) -> Total {
        Total { bytes: body.len() as u64, crc64nvme: 0 }
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
    async fn several_files_get_their_names_at_the_end() {
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
        assert_eq!(files(&folder).len(), 2, "what has its name stays");
    }

    #[tokio::test]
    async fn a_file_of_the_wrong_size_gets_no_name() {
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
        assert_eq!(files(&folder), [""; 0], "what has no name goes with the store");
    }

    #[tokio::test]
    async fn clearing_removes_what_this_run_made_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, body: &str| fs::write(folder.path().join(name), body).unwrap();
        write("mine.csv", "a person's");
        write("a-2-of-3.csv", "a person's, to be replaced");
        write(".downpipe-x.partial", "another run's");
        let store = FileStore::new(folder.path().to_owned());
        for (number, name) in [(1, "a-1-of-3.csv"), (2, "a-2-of-3.csv"), (3, "a-3-of-3.csv")] {
            put(&store, &object(name).staged(number), "ours").await;
            store.rename(&object(name).staged(number), &object(name), total("ours")).await.unwrap();
        }
        put(&store, &object("b.csv"), "ours").await;
        put(&store, &object("c.csv").staged(4), "ours").await;
        // A person puts a file of their own in the place of ours.
        write("new", "a person's");
        fs::rename(folder.path().join("new"), folder.path().join("a-3-of-3.csv")).unwrap();
        for _ in 0..2 {
            store.clear(&object("a.csv")).await.unwrap();
            assert_eq!(files(&folder), [".downpipe-x.partial", "a-2-of-3.csv", "a-3-of-3.csv", "mine.csv"]);
        }
        assert_eq!(fs::read_to_string(folder.path().join("a-2-of-3.csv")).unwrap(), "ours");
        assert_eq!(fs::read_to_string(folder.path().join("a-3-of-3.csv")).unwrap(), "a person's");
    }

    #[tokio::test]
    async fn a_name_that_cannot_be_given_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("a.csv")).unwrap();
        let store = FileStore::new(folder.path().to_owned());
        let file = object("a.csv");
        put(&store, &file.staged(1), "ours").await;
        let renamed = store.rename(&file.staged(1), &file, total("ours")).await;
        assert!(matches!(renamed, Err(StoreError::Refused { .. })), "{renamed:?}");
        assert_eq!(files(&folder), ["a.csv"]);
        store.clear(&file).await.unwrap();
        assert_eq!(files(&folder), ["a.csv"], "the person's folder stays");
    }

    #[test]
    fn an_address_is_the_path_as_it_was_named() {
        for (folder, address) in [("", "a.csv"), (".", "./a.csv"), ("b/c", "b/c/a.csv"), ("/", "/a.csv")] {
            assert_eq!(FileStore::new(folder.into()).address("a.csv"), address);
        }
    }
}
