//! Objects, parts and uploads, as the core names them.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::retention::Retention;
use crate::job::JobAttempt;

/// An object to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewObject {
    /// Its final key.
    pub key: String,
    /// The name under which a browser saves it, in any language.
    pub file_name: String,
    /// Its media type.
    pub content_type: String,
    /// The job and attempt that write it. An object that carries them is ours.
    pub token: JobAttempt,
    /// How long it is kept.
    pub retention: Retention,
    /// The receipt in short, written on the object as its user metadata, beside `downpipe-job` and `downpipe-attempt`, which say
    /// the token and are reserved. Names are in lower case. Values are ASCII, as they travel in headers, and S3 takes 2 KiB of
    /// names and values in all.
    pub metadata: BTreeMap<&'static str, String>,
}

impl NewObject {
    /// An object known by key and attempt alone: enough to find or remove it, and not enough to write it.
    #[must_use]
    pub fn known_by(key: impl Into<String>, token: JobAttempt) -> Self {
        Self {
            key: key.into(),
            file_name: String::new(),
            content_type: String::new(),
            token,
            retention: Retention::default(),
            metadata: BTreeMap::new(),
        }
    }

    /// Returns the object of this number while its final name is not known: in the same folder, under a hidden name that no other
    /// attempt has. [`ObjectStore::rename`](super::ObjectStore::rename) gives it the final one.
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

    /// Returns the folder it is in: its key up to the last slash.
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

/// An upload that is neither completed nor aborted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenUpload {
    /// The key of its object.
    pub key: String,
    /// The name by which [`ResumableStore::abort_upload`](super::ResumableStore::abort_upload) finds it.
    pub upload: String,
    /// Other names that it may have in a checkpoint, where the store's listing does not tell which it is.
    pub other_names: Vec<String>,
}

impl OpenUpload {
    /// Whether a [name](super::Upload::name) is this upload's.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.upload == name || self.other_names.iter().any(|other| other == name)
    }
}
