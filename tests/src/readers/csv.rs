//! CSV, read by Python's and `DuckDB`'s readers.

use std::path::Path;

use serde::Deserialize;

use super::{Read, Table, script};

/// Reads CSV with Python's own reader, in which every value is text.
///
/// Returns an error when the file is not CSV in that encoding (a name that Python knows: `utf-8`,
/// `utf-8-sig`, `cp932`).
pub fn csv_with_python(file: &Path, delimiter: char, encoding: &str) -> Read<Table> {
    let delimiter = delimiter.to_string();
    script("read_csv.py", file, &["--delimiter", &delimiter, "--encoding", encoding])
}

/// Reads CSV with `DuckDB`. An unquoted value equal to `null` is `NULL`; a quoted one is text.
///
/// Returns an error when `DuckDB` refuses the file.
pub fn csv_with_duckdb(file: &Path, delimiter: char, null: &str) -> Read<Table> {
    let delimiter = delimiter.to_string();
    script("read_duckdb.py", file, &["--format", "csv", "--delimiter", &delimiter, "--null", null])
}

/// The rows that common calls find in a CSV file of one column, each reader with its defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct RowCounts {
    /// `pandas.read_csv`.
    pub pandas: usize,
    /// `pyarrow.csv.read_csv`.
    pub pyarrow: usize,
    /// Python's `csv.DictReader`.
    pub dict_reader: usize,
}

/// Counts the rows that each reader finds in a CSV file.
///
/// Returns an error when a reader refuses the file.
pub fn csv_row_counts(file: &Path, delimiter: char, encoding: &str) -> Read<RowCounts> {
    let delimiter = delimiter.to_string();
    script("count_rows.py", file, &["--delimiter", &delimiter, "--encoding", encoding])
}
