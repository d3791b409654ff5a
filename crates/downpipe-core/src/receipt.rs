//! The receipt: what a file is, and the proof that it is whole. It lies beside the object as JSON.

use downpipe_format::Changes;
use serde::{Deserialize, Serialize};

/// A file's receipt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// The job.
    pub job_id: String,
    /// The attempt that wrote the file.
    pub attempt: u32,
    /// The definition's name.
    pub export: String,
    /// The definition's title.
    pub title: String,
    /// SHA-256 of the definition's text: which version of it was run.
    pub definition_sha256: String,
    /// The parameters' values.
    pub params: serde_json::Map<String, serde_json::Value>,
    /// Who asked.
    pub requested_by: String,
    /// The moment of the snapshot in the database.
    pub as_of: jiff::Timestamp,
    /// When the file was complete.
    pub completed_at: jiff::Timestamp,
    /// When it will be deleted, at the earliest.
    pub expires_at: jiff::Timestamp,
    /// `csv`, `tsv`, `jsonl`, `xlsx` or `parquet`.
    pub format: String,
    /// How CSV is written.
    pub profile: String,
    /// How it is compressed.
    pub compression: String,
    /// The encoding of CSV, by its IANA name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub encoding: Option<String>,
    /// The time zone that `TIMESTAMP` columns are shown in.
    #[serde(default)]
    pub time_zone: String,
    /// Headings, in order.
    pub columns: Vec<String>,
    /// Rows of data in all files, headers not counted; the database counted as many.
    pub rows: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// The files: one, unless a spreadsheet has more rows than a sheet takes. (None in a receipt from before there could be more,
    /// which the ledger may still have.)
    #[serde(default)]
    pub files: Vec<FileReceipt>,
    /// What was changed on the way, per column: cells that the profile guarded, values that the format does not have.
    pub changes: serde_json::Map<String, serde_json::Value>,
    /// The statement that reads a lossless file back, with `{file}` and `{table}` to fill in.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub load_data: Option<String>,
    /// What the session must be set to before that statement.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub load_session: Option<String>,
    /// Whether the file was written in several runs.
    pub continued: bool,
}

/// One file's part of a receipt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileReceipt {
    /// What it is called.
    pub file_name: String,
    /// Where it is.
    pub address: String,
    /// Rows of data in it, the header not counted.
    pub rows: u64,
    /// Bytes; the store counted as many.
    pub bytes: u64,
    /// SHA-256 of the file, in hexadecimal, as `sha256sum` prints it.
    pub sha256: String,
    /// CRC-64/NVME of the file in base64, as S3 shows it.
    pub crc64nvme: String,
}

impl Receipt {
    /// The receipt's key beside its object's.
    #[must_use]
    pub fn key_of(object_key: &str) -> String {
        format!("{object_key}.receipt.json")
    }

    /// The receipt as a file.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = serde_json::to_string_pretty(self)
            .unwrap_or_else(|error| unreachable!("a receipt has nothing that JSON cannot say: {error}"));
        json.push('\n');
        json
    }
}

/// The changes as JSON, unchanged columns left out. Columns of the same name stay apart: `id`, `id (2)`.
pub(crate) fn changes_to_json(changes: &Changes) -> serde_json::Map<String, serde_json::Value> {
    let mut json = serde_json::Map::new();
    for (column, counts) in changes {
        let numbered = (2..).map(|number| format!("{column} ({number})"));
        let free = std::iter::once(column.clone()).chain(numbered).find(|name| !json.contains_key(name));
        json.insert(free.unwrap_or_default(), serde_json::to_value(counts).unwrap_or_default());
    }
    json
}
