//! Where files go. A port: an object is complete at its key, or absent.
//!
//! [`ObjectStore`] is what every store can do, a folder or standard output included. [`ResumableStore`] is what a job of several
//! attempts needs besides: finding, resuming and removing what another attempt has left. [`DownloadStore`] hands files to people.

mod download;
mod error;
pub(crate) mod keys;
mod object;
mod retention;

pub use self::download::{DownloadStore, SignedUrl};
pub use self::error::StoreError;
pub use self::keys::{folder_prefix, is_receipt};
pub use self::object::{NewObject, OpenUpload, Part};
pub use self::retention::Retention;

use bytes::Bytes;

use crate::job::{ObjectDigest, Receipt, StoredPart};

/// Stores files whole: an object is complete at its key, or absent.
pub trait ObjectStore: Send + Sync {
    /// A file that is sent in parts.
    type Upload: Upload + 'static;

    /// Stores a small file in one request.
    ///
    /// # Errors
    /// See [`StoreError`]. [`StoreError::Exists`] when the key holds an object of another attempt. An object of our own attempt
    /// means that an answer was lost, and is success.
    fn put(
        &self,
        object: &NewObject,
        body: Bytes,
        total: ObjectDigest,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Begins a file that is sent in parts. Nothing is at the key until [`Upload::complete`].
    ///
    /// # Errors
    /// See [`StoreError`].
    fn begin(&self, object: &NewObject) -> impl Future<Output = Result<Self::Upload, StoreError>> + Send;

    /// Whether one export may be several files there. Otherwise nothing is ever [renamed](Self::rename).
    fn holds_several(&self) -> bool;

    /// Gives a complete object its final key, name and metadata, without sending its bytes again. Afterwards it is at `to.key`,
    /// held against `total` once more, and nothing is at `from.key`. After an error it may be at either key, or at both. Calling
    /// it again after a lost answer is success.
    ///
    /// # Errors
    /// See [`StoreError`]. As with [`Upload::complete`], an object of our own attempt at `to.key` means that an answer was
    /// lost, and one of another attempt is [`StoreError::Exists`]; then `from.key` keeps what it has. An object at
    /// `from.key` that is not ours is not renamed. One that is at neither key has 0 bytes: [`StoreError::SizeMismatch`].
    /// Two keys that are the same are [`StoreError::Refused`].
    fn rename(
        &self,
        from: &NewObject,
        to: &NewObject,
        total: ObjectDigest,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Removes what this or an earlier attempt at the same job has completed in the object's folder and never recorded: the
    /// object itself, staged ones, the other files of the same export. The folder is the job's own. Receipts stay, as the
    /// next attempt replaces them. Where nothing is, nothing is removed. An object that takes the place of another meanwhile
    /// stays.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when there is an object of another job or of a later attempt, after all that is ours has been
    /// removed; else see [`StoreError`].
    fn delete_job_objects(&self, object: &NewObject) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Returns the object's address, for a person: a URL or a path.
    fn address(&self, key: &str) -> String;
}

/// A store in which one attempt at a job finds, resumes and removes what another has left.
pub trait ResumableStore: ObjectStore {
    /// Resumes an upload that an earlier run has begun for this object, and in which it has stored these parts. `None` when it is
    /// not there any more, or when these parts are not in it as they were, because another worker has written to it.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn resume_upload(
        &self,
        object: &NewObject,
        upload: &str,
        parts: &[StoredPart],
    ) -> impl Future<Output = Result<Option<Self::Upload>, StoreError>> + Send;

    /// Aborts an upload of another run by its [name](Upload::name), and leaves no part of it behind. One that is not there any
    /// more is success.
    ///
    /// # Errors
    /// When parts may have been left behind.
    fn abort_upload(&self, key: &str, upload: &str) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Aborts the uploads in the object's folder that earlier attempts at the same job have begun and never ended. A worker that
    /// dies just then, or an answer that is lost, leaves one that no checkpoint names. Which attempt has begun an upload cannot be
    /// seen. So only the attempt that holds the lease may call this, and only if it resumes no upload.
    ///
    /// # Errors
    /// See [`StoreError`]. What is left then costs money and does no harm.
    fn abort_job_uploads(&self, object: &NewObject) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Lists uploads of objects whose keys begin with this prefix that were begun before this time and are neither completed nor
    /// aborted; at most so many.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn open_uploads(
        &self,
        prefix: &str,
        begun_before: jiff::Timestamp,
        max: usize,
    ) -> impl Future<Output = Result<Vec<OpenUpload>, StoreError>> + Send;

    /// Returns the receipt beside the object, if it is one of this or an earlier attempt at the job and every file that it names
    /// is there with its size and, where the store tells, its checksum. Then the work is done, and was only never recorded.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn find_receipt(
        &self,
        object: &NewObject,
    ) -> impl Future<Output = Result<Option<Receipt>, StoreError>> + Send;

    /// Returns whether every file that a receipt names is there: with its size, with the token of the receipt's job
    /// ([`Receipt::covers`]), and, where the store tells, with its checksum. A receipt without files has none.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn holds(&self, receipt: &Receipt) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Stores the receipt beside the object, at [`Receipt::key_of`] its key, and replaces what an earlier attempt has left there.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn put_receipt(
        &self,
        object: &NewObject,
        receipt: Bytes,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Returns the command with which a person downloads the files of a receipt, if the store has one.
    fn download_command(&self, receipt: &Receipt) -> Option<String>;

    /// Removes the files that a receipt names, and the receipts beside them, because their retention is over. Files that are gone
    /// or in another store are success. A file that a later attempt has put in the place of one stays ([`Receipt::covers`]), also
    /// when it is put there meanwhile.
    ///
    /// # Errors
    /// When something may still be there.
    fn remove(&self, receipt: &Receipt) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// A file that is sent in parts.
pub trait Upload: Send + Sync {
    /// Returns the store's name of the upload. By this name [`ResumableStore::resume_upload`] finds it again.
    fn name(&self) -> String;

    /// Returns how many parts may be in flight at once. Memory holds this many and one more.
    fn parallelism(&self) -> usize;

    /// Stores a part. Parts may arrive in any order when [`parallelism`](Self::parallelism) is above 1.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn part(&self, part: Part) -> impl Future<Output = Result<StoredPart, StoreError>> + Send;

    /// Puts the parts, in order, at the key, and holds the object against its size and checksum: one that differs is never at the
    /// key. Calling it again after a lost answer is success.
    ///
    /// # Errors
    /// As [`ObjectStore::put`].
    fn complete(
        &self,
        parts: Vec<StoredPart>,
        total: ObjectDigest,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Aborts the upload, and leaves no part behind. Call it when no part is in flight.
    ///
    /// # Errors
    /// When parts may have been left behind.
    fn abort(&self) -> impl Future<Output = Result<(), StoreError>> + Send;
}
