//! JSON lines, read by Python's and `DuckDB`'s readers.

use std::path::Path;

use super::{Read, Table, TypedTable, script};

/// Reads JSON lines with Python's own reader. Numbers keep their digits.
///
/// Returns an error when a line is not JSON, or its names differ from the first line's.
pub fn jsonl_with_python(file: &Path) -> Read<TypedTable> {
    script("read_jsonl.py", file, &[])
}

/// Reads JSON lines with `DuckDB`, which infers types.
///
/// Returns an error when `DuckDB` refuses the file.
pub fn jsonl_with_duckdb(file: &Path) -> Read<Table> {
    script("read_duckdb.py", file, &["--format", "json"])
}
