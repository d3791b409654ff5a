//! The receipt, which proves a file.

use downpipe_format::Changes;
use serde::{Deserialize, Serialize};

use super::attempt::JobAttempt;
use super::session::Session;

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
    /// SHA-256 of the definition's text, which names its version.
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
    /// The time zone in which the query was evaluated and its date parameters are meant.
    #[serde(default)]
    pub sql_time_zone: String,
    /// The settings of the database session that decide which rows and values came, the same at the beginning and at the end.
    #[serde(default)]
    pub session: Session,
    /// Headings, in order.
    pub columns: Vec<String>,
    /// Rows of data in all files, without headers. The database counted as many.
    pub rows: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// The files: one, unless a spreadsheet has more rows than a sheet takes. None in a receipt from before there could be several.
    #[serde(default)]
    pub files: Vec<FileReceipt>,
    /// What was changed on the way, by column: cells whose formulas were escaped, values that the format does not have.
    pub changes: serde_json::Map<String, serde_json::Value>,
    /// The statement that reads a lossless file back, with the placeholders `{file}` and `{table}`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub load_data: Option<String>,
    /// The statement that sets the session before.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub load_session: Option<String>,
    /// Whether the file was written in several runs.
    pub continued: bool,
}

/// One file's part of a receipt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileReceipt {
    /// Its name.
    pub file_name: String,
    /// Its address.
    pub address: String,
    /// Rows of data, without the header.
    pub rows: u64,
    /// Bytes. The store counted as many.
    pub bytes: u64,
    /// SHA-256 in hexadecimal, as `sha256sum` prints it.
    pub sha256: String,
    /// CRC-64/NVME in base64, as S3 shows it.
    pub crc64nvme: String,
}

impl Receipt {
    /// Returns the receipt's key, beside its object's.
    #[must_use]
    pub fn key_of(object_key: &str) -> String {
        format!("{object_key}.receipt.json")
    }

    /// Returns whether an object with this token may be one of the receipt's files: the same attempt wrote it, or an earlier one at the
    /// same job began it. A later attempt's object is another file, whatever its key is.
    #[must_use]
    pub fn covers(&self, object: &JobAttempt) -> bool {
        self.job_id == object.job.as_str() && object.attempt <= self.attempt
    }

    /// Returns the receipt as a file.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = serde_json::to_string_pretty(self)
            .unwrap_or_else(|error| unreachable!("a receipt has nothing that JSON cannot say: {error}"));
        json.push('\n');
        json
    }
}

/// Returns the changes as JSON without unchanged columns. Columns of the same name stay apart: `id`, `id (2)`.
pub(crate) fn changes_to_json(changes: &Changes) -> serde_json::Map<String, serde_json::Value> {
    let mut json = serde_json::Map::new();
    for (column, counts) in changes {
        let numbered = (2..).map(|number| format!("{column} ({number})"));
        let free = std::iter::once(column.clone()).chain(numbered).find(|name| !json.contains_key(name));
        json.insert(free.unwrap_or_default(), serde_json::to_value(counts).unwrap_or_default());
    }
    json
}
