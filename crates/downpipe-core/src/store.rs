//! Where files go. A port: an object store, or a disk.

use std::collections::BTreeMap;
use std::error::Error;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::definition::Retention;
use crate::job::JobId;
use crate::receipt::Receipt;

/// An object to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewObject {
    /// Its final key.
    pub key: String,
    /// What a browser saves it as, in any language.
    pub file_name: String,
    /// Its media type.
    pub content_type: String,
    /// The job and attempt that write it: an object that carries them is ours.
    pub token: WriteToken,
    /// How long it is kept.
    pub retention: Retention,
    /// The receipt in short, for whoever finds the object without it: written on the object as its user metadata, beside
    /// `downpipe-job` and `downpipe-attempt`, which say the token and are reserved. Names are in lower case. Values are
    /// ASCII, as they travel in headers, and S3 takes 2 KiB of names and values in all.
    pub metadata: BTreeMap<&'static str, String>,
}

impl NewObject {
    /// What is needed to know an object of this attempt, and those of earlier ones, without what it is like.
    #[must_use]
    pub fn known_by(key: impl Into<String>, token: WriteToken) -> Self {
        Self {
            key: key.into(),
            file_name: String::new(),
            content_type: String::new(),
            token,
            retention: Retention::default(),
            metadata: BTreeMap::new(),
        }
    }

    /// The object of this number while its final name is not known: in the same folder, under a hidden name that no other
    /// attempt has. [`ObjectStore::rename`] makes it what it is to be.
    #[must_use]
    pub fn staged(&self, number: u32) -> Self {
        let key = format!("{}{}{number}{STAGED}", self.folder(), self.staging_name());
        Self { key, metadata: BTreeMap::new(), ..self.clone() }
    }

    /// Whether it has no final name yet.
    #[must_use]
    pub fn is_staged(&self) -> bool {
        let name = self.key.strip_prefix(self.folder()).unwrap_or_default();
        name.starts_with(&self.staging_name()) && name.ends_with(STAGED)
    }

    /// The folder it is in: its key up to the last slash.
    #[must_use]
    pub fn folder(&self) -> &str {
        let end = self.key.rfind('/').map_or(0, |slash| slash + 1);
        &self.key[..end]
    }

    fn staging_name(&self) -> String {
        format!(".downpipe-{}-{}-", self.token.job, self.token.attempt)
    }
}

/// How the name of a staged object ends.
const STAGED: &str = ".partial";

/// Whether a key is a receipt's.
#[must_use]
pub fn is_receipt(key: &str) -> bool {
    key.ends_with(&Receipt::key_of(""))
}

/// Which attempt at which job wrote an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteToken {
    /// The job.
    pub job: JobId,
    /// The attempt, from 1.
    pub attempt: u32,
}

impl WriteToken {
    /// Whether this attempt, or an earlier one at the same job, wrote the object that carries the token. A later attempt's
    /// is not ours to touch: we are the ones who were taken for dead.
    #[must_use]
    pub fn covers(&self, object: &Self) -> bool {
        self.job == object.job && object.attempt <= self.attempt
    }
}

/// The size of a file and the checksum of its bytes, to hold the stored object against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Total {
    /// Bytes.
    pub bytes: u64,
    /// CRC-64/NVME, the full-object checksum that S3 recommends.
    pub crc64nvme: u64,
}

impl Total {
    /// The checksum as S3 shows and takes it: its big-endian bytes in base64.
    #[must_use]
    pub fn crc64nvme_base64(&self) -> String {
        BASE64_STANDARD.encode(self.crc64nvme.to_be_bytes())
    }
}

/// A piece of a file.
#[derive(Debug, Clone)]
pub struct Part {
    /// From 1.
    pub number: u32,
    /// Where in the file it begins, in bytes.
    pub offset: u64,
    /// Its bytes. Never empty.
    pub body: Bytes,
}

/// A part that has arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPart {
    /// From 1.
    pub number: u32,
    /// What the store calls this content.
    pub etag: String,
    /// The checksum the store computed, in its own notation, if it gave one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub checksum: Option<String>,
}

/// An upload that nobody has completed or given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenUpload {
    /// The key of its object.
    pub key: String,
    /// By what name [`ObjectStore::discard`] finds it.
    pub upload: String,
}

impl OpenUpload {
    /// Whether a [name](Upload::name) is this upload's. What is before a colon in it says of what kind it is, which a store may
    /// not tell of an upload that it lists.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        fn id(name: &str) -> &str {
            name.rsplit_once(':').map_or(name, |(_, id)| id)
        }
        id(&self.upload) == id(name)
    }
}

/// Stores files whole: an object is complete at its key, or absent.
pub trait ObjectStore: Send + Sync {
    /// A file on its way in parts.
    type Upload: Upload + 'static;

    /// Stores a small file in one go.
    ///
    /// # Errors
    /// See [`StoreError`]. [`StoreError::Exists`] when the key holds an object of another attempt; one of our own
    /// attempt means that an answer was lost, and is success.
    fn put(
        &self,
        object: &NewObject,
        body: Bytes,
        total: Total,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Begins a file that comes in parts. Nothing is at the key until [`Upload::complete`].
    ///
    /// # Errors
    /// See [`StoreError`].
    fn begin(&self, object: &NewObject) -> impl Future<Output = Result<Self::Upload, StoreError>> + Send;

    /// Goes on with an upload that an earlier run began for this object, and in which it has stored these parts. `None` when it is
    /// not there any more, or when these parts are not in it as they were: somebody else has written to it.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn go_on(
        &self,
        _object: &NewObject,
        _upload: &str,
        _parts: &[StoredPart],
    ) -> impl Future<Output = Result<Option<Self::Upload>, StoreError>> + Send {
        // Files on a disk, say, whose uploads end with the process.
        std::future::ready(Ok(None))
    }

    /// Gives up an upload that somebody else began, and leaves no part of it behind. One that is not there any more is nothing to
    /// do.
    ///
    /// # Errors
    /// When parts may have been left behind.
    fn discard(&self, _key: &str, _upload: &str) -> impl Future<Output = Result<(), StoreError>> + Send {
        std::future::ready(Ok(()))
    }

    /// The receipt beside the object, if it is one of this or an earlier attempt at the job and every file it speaks of is there,
    /// with its size and, where the store tells, its checksum: then the work is done, and was only never recorded.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn find_receipt(
        &self,
        _object: &NewObject,
    ) -> impl Future<Output = Result<Option<Receipt>, StoreError>> + Send {
        std::future::ready(Ok(None))
    }

    /// Stores the receipt beside the object, at [`Receipt::key_of`](crate::receipt::Receipt::key_of) its key, replacing what
    /// an earlier attempt left there.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn put_receipt(
        &self,
        object: &NewObject,
        receipt: Bytes,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Gives a complete object its final key, name and metadata, without its bytes coming by here. Afterwards it is at
    /// `to.key`, held against `total` once more, and nothing is at `from.key`; after an error it may be at either, or at
    /// both. Calling it again after a lost answer is success.
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
        total: Total,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Removes what this or an earlier attempt at the same job completed in the object's folder but never recorded: the
    /// object itself, staged ones, the other files of the same export. The folder is the job's own. Receipts stay, as the
    /// next attempt replaces them. Where nothing is, nothing is to be done.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when there is an object of another job or of a later attempt, after all that is ours has been
    /// removed; else see [`StoreError`].
    fn clear(&self, object: &NewObject) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Aborts uploads in the object's folder that earlier attempts at the same job have begun and never ended: a worker that dies
    /// just then, or an answer that is lost, leaves one that nobody knows of. Whose an upload is cannot be seen. So this is only
    /// for whoever has the job, and goes on with no upload of an earlier attempt.
    ///
    /// # Errors
    /// See [`StoreError`]. What is left then costs money and does no harm.
    fn clear_uploads(&self, object: &NewObject) -> impl Future<Output = Result<(), StoreError>> + Send {
        // Where nothing stays of a worker that dies, there is nothing to do.
        let _ = object;
        async { Ok(()) }
    }

    /// Uploads of objects whose keys begin with this that were begun before this time, and neither completed nor given up; at
    /// most so many.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn open_uploads(
        &self,
        _prefix: &str,
        _begun_before: jiff::Timestamp,
        _most: usize,
    ) -> impl Future<Output = Result<Vec<OpenUpload>, StoreError>> + Send {
        // Files on a disk, say, whose uploads end with the process.
        std::future::ready(Ok(Vec::new()))
    }

    /// Removes the files that a receipt speaks of, and the receipts beside them: their time is over. What has gone already is
    /// nothing to do, and neither are files that another store has.
    ///
    /// # Errors
    /// When something may still be there.
    fn remove(&self, _receipt: &Receipt) -> impl Future<Output = Result<(), StoreError>> + Send {
        std::future::ready(Ok(()))
    }

    /// Whether one export may be several files there.
    fn holds_several(&self) -> bool {
        true
    }

    /// The object's address, for a person: `s3://bucket/key` or a path.
    fn address(&self, key: &str) -> String;
}

/// A file on its way in parts.
pub trait Upload: Send + Sync {
    /// What the store calls it: by this name, [`ObjectStore::go_on`] finds it again.
    fn name(&self) -> String {
        String::new()
    }

    /// Parts that may be under way at once. Memory holds this many and one more.
    fn parallelism(&self) -> usize;

    /// Stores a part. Parts may arrive in any order when [`parallelism`](Self::parallelism) is above 1.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn part(&self, part: Part) -> impl Future<Output = Result<StoredPart, StoreError>> + Send;

    /// Puts the parts, in order, at the key, and sees that the object has the size and checksum it must have: one that
    /// has not is never at the key. Calling it again after a lost answer is success.
    ///
    /// # Errors
    /// As [`ObjectStore::put`].
    fn complete(
        &self,
        parts: Vec<StoredPart>,
        total: Total,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Gives up, and leaves no part behind. Call it when no part is under way.
    ///
    /// # Errors
    /// When parts may have been left behind.
    fn abort(&self) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Why a file could not be stored.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store did not answer, or not in time. It may work later.
    #[error("{operation}: the store could not be reached or did not answer in time")]
    Unavailable {
        /// What was being done.
        operation: &'static str,
        /// What the client says.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The store said no, and will say so again: no permission, no such bucket.
    #[error("{operation}: the store refused")]
    Refused {
        /// What was being done.
        operation: &'static str,
        /// What the store says.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The key holds an object that is not ours.
    #[error("the key holds an object of {holder} already")]
    Exists {
        /// Whose it is.
        holder: String,
    },
    /// The object is not what was sent.
    #[error("the stored object has {actual} bytes, expected {expected}")]
    SizeMismatch {
        /// Bytes sent.
        expected: u64,
        /// Bytes found.
        actual: u64,
    },
    /// The object has the right size and the wrong content.
    #[error("the stored object has the checksum {actual}, expected {expected}")]
    ChecksumMismatch {
        /// CRC-64/NVME of what was sent, in base64.
        expected: String,
        /// What the store computed.
        actual: String,
    },
}
