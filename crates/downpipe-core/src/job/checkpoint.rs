//! A checkpoint: what the next run needs to resume a file that is not finished.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use downpipe_format::ColumnChanges;
use serde::{Deserialize, Serialize};

use super::resume_key::Key;
use super::session::Session;

/// How far a file is, at the end of a part.
///
/// A row ends there, and with it a gzip member or a Zstandard frame. So the run that resumes writes the same bytes as the run that
/// made the checkpoint would have written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The upload, as the store calls it. `None` between two files of a spreadsheet.
    pub upload: Option<String>,
    /// The object's key: its final one, or that of a file that has no final name yet.
    pub object_key: String,
    /// The attempt that began the upload, whose token the finished object carries.
    pub attempt: u32,
    /// The parts that are stored, in order, from number 1 without a gap.
    pub parts: Vec<StoredPart>,
    /// The key of the last row in them.
    pub key: Key,
    /// Rows written so far, of all files.
    pub rows: u64,
    /// Rows of those in the file that is being written.
    pub rows_in_file: u64,
    /// Bytes in the parts.
    pub bytes: u64,
    /// The state of SHA-256 after the parts, in hexadecimal.
    pub sha256: String,
    /// The state of CRC-64/NVME after the parts.
    pub crc64nvme: u64,
    /// Files before this one, when a spreadsheet has more rows than a sheet takes.
    pub files: Vec<CompletedFile>,
    /// What was changed so far, by column.
    pub changes: Vec<ColumnChanges>,
    /// The headings, which must be the same in the next run.
    pub columns: Vec<String>,
    /// The version of the definition, which must be the same in the next run.
    pub definition_sha256: String,
    /// The settings of the database session, which must be the same in the next run.
    #[serde(default)]
    pub session: Session,
    /// The snapshot that the first run read.
    pub as_of: jiff::Timestamp,
    /// Seconds that queries have taken so far.
    pub seconds: u64,
}

impl Checkpoint {
    /// Returns whether this checkpoint keeps more rows than an earlier one. That is progress, and renews the job's attempts, so that
    /// a job that gets further takes as many as it needs. Rows that were written and not kept are no progress.
    #[must_use]
    pub fn is_progress(&self, before: Option<&Self>) -> bool {
        self.rows > before.map_or(0, |before| before.rows)
    }

    /// Returns the position of the last row.
    pub(crate) fn row_position(&self) -> RowPosition {
        RowPosition {
            key: self.key.clone(),
            rows: self.rows,
            rows_in_file: self.rows_in_file,
            changes: self.changes.clone(),
        }
    }
}

/// A file that is complete under a temporary name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompletedFile {
    /// Its size and checksum.
    pub total: ObjectDigest,
    /// SHA-256, in hexadecimal.
    pub sha256: String,
    /// Rows in it.
    pub rows: u64,
}

/// The size of a file and the checksum of its bytes, with which the stored object is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectDigest {
    /// Bytes.
    pub bytes: u64,
    /// CRC-64/NVME, the full-object checksum that S3 recommends.
    pub crc64nvme: u64,
}

impl ObjectDigest {
    /// Returns the checksum as S3 writes it: its big-endian bytes in base64.
    #[must_use]
    pub fn crc64nvme_base64(&self) -> String {
        BASE64_STANDARD.encode(self.crc64nvme.to_be_bytes())
    }
}

/// A part that is stored.
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

/// The position of the rows at the end of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowPosition {
    pub(crate) key: Key,
    pub(crate) rows: u64,
    pub(crate) rows_in_file: u64,
    pub(crate) changes: Vec<ColumnChanges>,
}
