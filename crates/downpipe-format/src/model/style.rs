//! Formats and compressions, and which of them go together.

use jiff::tz::TimeZone;

use super::choice::UnknownName;
use super::profile::Profile;
use crate::named_choice;

/// The file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Values separated by the profile's delimiter, a comma by default.
    Csv,
    /// Values separated by tabs, otherwise as the profile says.
    Tsv,
    /// JSON Lines: an object a row. Numbers have all their digits. <https://jsonlines.org>
    Jsonl,
    /// An Excel workbook of one sheet, with real numbers and dates.
    Xlsx,
    /// Apache Parquet, its pages compressed with Zstandard.
    Parquet,
}

named_choice!(Format, Csv = "csv", Tsv = "tsv", Jsonl = "jsonl", Xlsx = "xlsx", Parquet = "parquet");

/// How the file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, RFC 1952: a member for every part of the upload.
    Gzip,
    /// Zstandard, RFC 8878: a frame for every part of the upload.
    Zstd,
    /// A zip archive, which has all the files of a split spreadsheet.
    Zip,
}

named_choice!(Compression, None = "none", Gzip = "gzip", Zstd = "zstd", Zip = "zip");

/// The data rows that a sheet takes below its header. <https://support.microsoft.com/office/1672db73-8c91-4bb8-b25c-4e50d2f2b0f5>
const SHEET_ROWS: u64 = 1_048_575;

/// Where an encoder begins to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileStart {
    /// At the beginning of the first file.
    First,
    /// At the beginning of a later file.
    Next,
    /// Behind rows that another run wrote to the file.
    Within,
}

/// Profile, format and compression that go together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Style {
    profile: Profile,
    format: Format,
    compression: Compression,
    session_zone: TimeZone,
}

impl Style {
    /// Creates a style for instants that arrive in UTC.
    ///
    /// # Errors
    /// When the format does not have this compression. Lists those that it has.
    pub fn new(profile: Profile, format: Format, compression: Compression) -> Result<Self, UnknownName> {
        if format.compressions().contains(&compression) {
            Ok(Self { profile, format, compression, session_zone: TimeZone::UTC })
        } else {
            Err(UnknownName {
                allowed: format.compressions().iter().map(|choice| choice.as_str().to_owned()).collect(),
                actual: compression.as_str().to_owned(),
            })
        }
    }

    /// Sets the zone on whose clock instants arrive: the session's, in which the server sends `TIMESTAMP`.
    #[must_use]
    pub fn arriving_in(self, session_zone: TimeZone) -> Self {
        Self { session_zone, ..self }
    }

    /// Returns the zone on whose clock instants arrive.
    #[must_use]
    pub fn session_zone(&self) -> &TimeZone {
        &self.session_zone
    }

    /// Returns the zone on whose clock files show instants: the profile's, or UTC where the format has instants.
    #[must_use]
    pub fn time_zone(&self) -> TimeZone {
        match self.format {
            Format::Parquet => TimeZone::UTC,
            _ => self.profile.time_zone.clone().unwrap_or(TimeZone::UTC),
        }
    }

    /// Returns how CSV and TSV are written.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Returns the file format.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Returns how the file is compressed.
    #[must_use]
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// Returns the extension of the file's name: `csv.gz`.
    #[must_use]
    pub fn extension(&self) -> String {
        let format = self.format.as_str();
        match self.compression {
            Compression::None => format.to_owned(),
            Compression::Gzip => format!("{format}.gz"),
            Compression::Zstd => format!("{format}.zst"),
            Compression::Zip => "zip".to_owned(),
        }
    }

    /// Returns the media type for `Content-Type`.
    #[must_use]
    pub fn content_type(&self) -> String {
        let header = if self.profile.header { "present" } else { "absent" };
        let charset = self.profile.charset.name().to_lowercase();
        match (self.compression, self.format) {
            (Compression::Gzip, _) => "application/gzip".to_owned(),
            (Compression::Zstd, _) => "application/zstd".to_owned(),
            (Compression::Zip, _) => "application/zip".to_owned(),
            (_, Format::Csv) => format!("text/csv; charset={charset}; header={header}"),
            (_, Format::Tsv) => format!("text/tab-separated-values; charset={charset}"),
            (_, Format::Jsonl) => "application/x-ndjson".to_owned(),
            (_, Format::Xlsx) => {
                "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet".to_owned()
            }
            (_, Format::Parquet) => "application/vnd.apache.parquet".to_owned(),
        }
    }

    /// Returns the most rows of a file, if its readers have a limit: Excel cuts longer sheets silently.
    #[must_use]
    pub fn rows_per_file(&self) -> Option<u64> {
        match self.format {
            Format::Xlsx => Some(SHEET_ROWS),
            Format::Csv | Format::Tsv if self.profile.spreadsheet => Some(SHEET_ROWS),
            _ => None,
        }
    }

    /// Returns whether another run can resume a file. A workbook, a Parquet file and a zip archive end with a table of their
    /// contents, which only the run that wrote all of them can write.
    #[must_use]
    pub fn is_resumable(&self) -> bool {
        self.format.is_resumable() && self.compression != Compression::Zip
    }

    /// Returns whether `NULL` is written as the empty string in a file of so many columns. Alone, it would be a blank line, which
    /// many readers skip.
    #[must_use]
    pub fn writes_null_as_empty(&self, columns: usize) -> bool {
        let is_text = matches!(self.format, Format::Csv | Format::Tsv);
        is_text && columns == 1 && self.profile.null.trim().is_empty()
    }
}

impl Format {
    /// Returns the compressions of this format. Workbooks and Parquet files are compressed already.
    #[must_use]
    pub fn compressions(self) -> &'static [Compression] {
        match self {
            Self::Csv | Self::Tsv | Self::Jsonl => Compression::ALL,
            Self::Xlsx => &[Compression::None, Compression::Zip],
            Self::Parquet => &[Compression::None],
        }
    }

    /// Returns whether another run can resume a file of this format: see [`Style::is_resumable`].
    #[must_use]
    pub fn is_resumable(self) -> bool {
        matches!(self, Self::Csv | Self::Tsv | Self::Jsonl)
    }
}
