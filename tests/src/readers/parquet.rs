//! Parquet, read by Arrow, `DuckDB` and pandas.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::{Read, Table, script};

/// A library for Parquet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParquetReader {
    /// `DuckDB`.
    DuckDb,
    /// Arrow's own.
    PyArrow,
    /// Reads as notebooks do: integers become floats where one of them is `NULL`.
    Pandas,
}

/// Reads the values of a Parquet file, in the reader's own types. Floats are written as Python
/// does: `1.5e-07`, `nan`.
///
/// Returns an error when the reader refuses the file.
pub fn parquet(file: &Path, reader: ParquetReader) -> Read<Table> {
    match reader {
        ParquetReader::DuckDb => script("read_duckdb.py", file, &["--format", "parquet"]),
        ParquetReader::PyArrow => script("read_parquet.py", file, &["--engine", "pyarrow"]),
        ParquetReader::Pandas => script("read_parquet.py", file, &["--engine", "pandas"]),
    }
}

/// The layout of a Parquet file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ParquetLayout {
    /// The columns' names.
    pub columns: Vec<String>,
    /// The columns' types.
    pub schema: Vec<ParquetColumn>,
    /// The row groups.
    pub groups: Vec<RowGroup>,
    /// The program that wrote the file, as the file names it.
    pub created_by: String,
    /// The file's metadata, without Arrow's own schema.
    pub metadata: BTreeMap<String, String>,
}

/// A column of a Parquet file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ParquetColumn {
    /// `INT64`, `BYTE_ARRAY`, …
    pub physical: String,
    /// `Decimal(precision=38, scale=10)`, `String`, `None`, …
    pub logical: String,
    /// Whether the column may hold `NULL`.
    pub optional: bool,
}

/// A row group of a Parquet file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RowGroup {
    /// The number of rows.
    pub rows: u64,
    /// The size before compression.
    pub bytes: u64,
    /// The size after compression.
    pub compressed: u64,
    /// `ZSTD`, `SNAPPY`, `UNCOMPRESSED`, …
    pub codecs: Vec<String>,
}

/// Reads the layout of a Parquet file with Arrow.
///
/// Returns an error when the file is not Parquet.
pub fn parquet_layout(file: &Path) -> Read<ParquetLayout> {
    script("read_parquet.py", file, &["--engine", "pyarrow"])
}
