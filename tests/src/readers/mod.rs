//! Reads files back with independent software: Python's libraries, DuckDB, `LibreOffice`, `gzip`,
//! `zstd`, `unzip`.
//!
//! Each reader returns every value as text for comparison. A file that a reader refuses is an error
//! with the reader's own message.

mod archives;
mod csv;
mod json;
mod office;
mod parquet;
mod xlsx;

use std::path::Path;
use std::process::{Command, Output};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::STACK;

pub use self::archives::{Decompressed, decompressed_with_python, gunzip, unzip, unzip_list, unzstd};
pub use self::csv::{RowCounts, csv_row_counts, csv_with_duckdb, csv_with_python};
pub use self::json::{jsonl_with_duckdb, jsonl_with_python};
pub use self::office::{Charset, Import, Rendered, render, shown_in_office};
pub use self::parquet::{ParquetColumn, ParquetLayout, ParquetReader, RowGroup, parquet, parquet_layout};
pub use self::xlsx::{Sheet, XlsxReader, xlsx};

/// A reader's result, or its error message.
pub type Read<T> = Result<T, String>;

/// Columns and rows of text; `None` is `NULL`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Table {
    /// The columns' names.
    pub columns: Vec<String>,
    /// The rows, with one value for each column.
    pub rows: Vec<Vec<Option<String>>>,
    /// The columns' types as the reader names them; empty where the format has none.
    #[serde(default)]
    pub types: Vec<String>,
}

/// Columns and rows of typed values.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TypedTable {
    /// The columns' names.
    pub columns: Vec<String>,
    /// The rows, with one value for each column.
    pub rows: Vec<Vec<Value>>,
}

/// A value with the kind that the reader gives it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Value(pub Kind, pub String);

/// The kind of a value. The texts are those of `canonical.py`: a moment is
/// `2026-01-31T23:59:59.000001`, a duration `-838:59:59.000000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// No value; the text is empty.
    Null,
    /// `true` or `false`.
    Bool,
    /// Digits.
    Number,
    /// Text.
    Text,
    /// A day.
    Date,
    /// A day and a time.
    DateTime,
    /// A time of day.
    Time,
    /// A length of time.
    Duration,
    /// An object or a list, as JSON.
    Json,
    /// A cell that computes.
    Formula,
    /// A cell with an error in it.
    Error,
}

/// Returns a value of this kind.
pub fn value(kind: Kind, text: &str) -> Value {
    Value(kind, text.to_owned())
}

/// Runs the Python script with this name, from this package's folder `readers`.
fn script<T: DeserializeOwned>(name: &str, file: &Path, args: &[&str]) -> Read<T> {
    let for_tests =
        STACK.for_tests.as_ref().ok_or("run `cargo xtask stack up`: the readers are not installed")?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("readers").join(name);
    // Writes no compiled files beside the sources, and ignores the person's own Python packages.
    let mut command = Command::new(&for_tests.python);
    command.args(["-B", "-s"]).env_remove("PYTHONPATH").env("PYTHONUTF8", "1");
    let json = run(command.arg(script).arg(file).args(args))?;
    serde_json::from_slice(&json).map_err(|error| format!("{name} printed something else: {error}"))
}

/// Runs a program and returns its output, if it succeeds.
fn run(command: &mut Command) -> Read<Vec<u8>> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("cannot run {program}: {error}"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(format!("{program} failed ({}): {}", output.status, output_text(&output)))
}

/// Returns all that a program has printed.
fn output_text(output: &Output) -> String {
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    said.trim().to_owned()
}
