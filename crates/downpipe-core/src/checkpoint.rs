//! A checkpoint: what the next run needs to go on with a file that is not finished.

use downpipe_format::ColumnChanges;
use serde::{Deserialize, Serialize};

use crate::object_writer::RowMark;
use crate::resume::Key;
use crate::store::{StoredPart, Total};

/// How far a file is. All of it speaks of the end of the same part, where a row ends, and with it a gzip member or a Zstandard
/// frame: whoever goes on from here writes the same bytes as the run that made it would have written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The upload, as the store calls it. `None` between two files of a spreadsheet.
    pub upload: Option<String>,
    /// The object it is of: its final key, or that of a file that has no final name yet.
    pub object_key: String,
    /// The attempt that began the upload: the finished object carries its token.
    pub attempt: u32,
    /// The parts that have arrived, in order, from number 1 without a gap.
    pub parts: Vec<StoredPart>,
    /// The key of the last row in them.
    pub key: Key,
    /// Rows written so far, of all files.
    pub rows: u64,
    /// Rows of those that are in the file that is being written.
    pub rows_in_file: u64,
    /// Bytes in the parts.
    pub bytes: u64,
    /// The state of SHA-256 after them, in hexadecimal.
    pub sha256: String,
    /// The state of CRC-64/NVME after them.
    pub crc64nvme: u64,
    /// Files before this one, when a spreadsheet has more rows than a sheet takes.
    pub files: Vec<FullFile>,
    /// What was changed so far, column by column.
    pub changes: Vec<ColumnChanges>,
    /// The headings: they must still be the same.
    pub columns: Vec<String>,
    /// The version of the definition: it must still be the same.
    pub definition_sha256: String,
    /// The snapshot that the first run read.
    pub as_of: jiff::Timestamp,
    /// Seconds that queries have taken so far.
    pub seconds: u64,
}

impl Checkpoint {
    /// How far the rows are.
    pub(crate) fn row_mark(&self) -> RowMark {
        RowMark {
            key: self.key.clone(),
            rows: self.rows,
            rows_in_file: self.rows_in_file,
            changes: self.changes.clone(),
        }
    }
}

/// A file that is whole, under a name that is not its own yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FullFile {
    /// Its size and checksum.
    pub total: Total,
    /// SHA-256, in hexadecimal.
    pub sha256: String,
    /// Rows in it.
    pub rows: u64,
}
