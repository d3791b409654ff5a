//! File formats and compressions, and which of them go together.

use crate::csv::CsvEncoder;
use crate::encoder::{EncodeError, Encoder};
use crate::jsonl::JsonlEncoder;
use crate::layout::FileColumn;
use crate::parquet::ParquetEncoder;
use crate::profile::{Profile, UnknownName};
use crate::xlsx::XlsxEncoder;

/// Implements a choice by name: `ALL`, `as_str`, and a `FromStr` whose error lists what is allowed.
#[macro_export]
macro_rules! named_choice {
    ($type:ident, $($variant:ident = $name:literal),+ $(,)?) => {
        impl $type {
            /// Every choice, in the order in which messages list them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in messages, definitions and receipts.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::UnknownName;

            fn from_str(name: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|choice| choice.as_str() == name).ok_or_else(|| $crate::UnknownName {
                    allowed: Self::ALL.iter().map(|choice| choice.as_str().to_owned()).collect(),
                    actual: name.to_owned(),
                })
            }
        }
    };
}

/// The file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Values separated by the profile's delimiter, a comma by default.
    Csv,
    /// Values separated by tabs, else as the profile says.
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
    /// gzip, RFC 1952: one member a part of the upload.
    Gzip,
    /// Zstandard, RFC 8878: one frame a part of the upload.
    Zstd,
    /// A zip archive; where a spreadsheet is split, all its files are in it.
    Zip,
}
named_choice!(Compression, None = "none", Gzip = "gzip", Zstd = "zstd", Zip = "zip");

/// The data rows that a sheet takes below its header. <https://support.microsoft.com/office/1672db73-8c91-4bb8-b25c-4e50d2f2b0f5>
const SHEET_ROWS: u64 = 1_048_575;

/// Profile, format and compression that go together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Style {
    profile: Profile,
    format: Format,
    compression: Compression,
}

impl Style {
    /// A style.
    ///
    /// # Errors
    /// When the format is not compressed in this way; says which ways there are.
    pub fn new(profile: Profile, format: Format, compression: Compression) -> Result<Self, UnknownName> {
        if format.compressions().contains(&compression) {
            Ok(Self { profile, format, compression })
        } else {
            Err(UnknownName {
                allowed: format.compressions().iter().map(|choice| choice.as_str().to_owned()).collect(),
                actual: compression.as_str().to_owned(),
            })
        }
    }

    /// How CSV and TSV are written.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The file format.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// How the file is compressed.
    #[must_use]
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// What the file's name ends in: `csv.gz`.
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

    /// The media type for `Content-Type`.
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

    /// The rows of data that one file holds, where its reader has a limit: Excel cuts a sheet off there without a word.
    #[must_use]
    pub fn rows_per_file(&self) -> Option<u64> {
        match self.format {
            Format::Xlsx => Some(SHEET_ROWS),
            Format::Csv | Format::Tsv if self.profile.spreadsheet => Some(SHEET_ROWS),
            _ => None,
        }
    }

    /// Whether instants are shown on the clock of the profile's time zone. Where the format itself knows instants, that would
    /// only lose the zone.
    #[must_use]
    pub fn shows_local_time(&self) -> bool {
        self.profile.time_zone.is_some() && self.format != Format::Parquet
    }

    /// Whether a file that was begun in one run can be gone on with in another. A workbook, a Parquet file and a zip archive end
    /// with a table of what is in them, which only the run that wrote it all can write.
    #[must_use]
    pub fn is_continuable(&self) -> bool {
        self.format.is_continuable() && self.compression != Compression::Zip
    }

    /// An encoder for a file of these columns: the first, or one of those that follow.
    ///
    /// # Errors
    /// When the format cannot have such columns.
    pub(crate) fn encoder(
        &self,
        columns: &[FileColumn],
        first: bool,
    ) -> Result<Box<dyn Encoder>, EncodeError> {
        Ok(match self.format {
            Format::Csv => Box::new(CsvEncoder::new(&self.profile, columns, first)),
            Format::Tsv => Box::new(CsvEncoder::new(
                &Profile { delimiter: b'\t', ..self.profile.clone() },
                columns,
                first,
            )),
            Format::Jsonl => Box::new(JsonlEncoder::new(columns)),
            Format::Parquet => Box::new(ParquetEncoder::new(columns)),
            Format::Xlsx => Box::new(XlsxEncoder::new(columns)?),
        })
    }
}

impl Format {
    /// The ways in which a file of this format may be compressed. Workbooks and Parquet files are so already.
    #[must_use]
    pub fn compressions(self) -> &'static [Compression] {
        match self {
            Self::Csv | Self::Tsv | Self::Jsonl => Compression::ALL,
            Self::Xlsx => &[Compression::None, Compression::Zip],
            Self::Parquet => &[Compression::None],
        }
    }

    /// See [`Style::is_continuable`].
    #[must_use]
    pub fn is_continuable(self) -> bool {
        matches!(self, Self::Csv | Self::Tsv | Self::Jsonl)
    }
}
