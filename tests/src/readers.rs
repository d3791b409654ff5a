//! Files read back with software that is not ours: Python's libraries, DuckDB, `LibreOffice`, `gzip`, `zstd`, `unzip`.
//!
//! Each reader gives every value as text that can be compared one by one. A file that a reader refuses is an error with
//! the reader's own words.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use xtask::workspace;

use crate::STACK;

/// What a reader has read, or why it could not.
pub type Read<T> = Result<T, String>;

/// Columns and rows of text; `None` is `NULL`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Table {
    /// Their names.
    pub columns: Vec<String>,
    /// As many values as there are columns.
    pub rows: Vec<Vec<Option<String>>>,
    /// The columns' types in the reader's own words; empty where the format has none.
    #[serde(default)]
    pub types: Vec<String>,
}

/// Columns and rows of values that have kinds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TypedTable {
    /// Their names.
    pub columns: Vec<String>,
    /// As many values as there are columns.
    pub rows: Vec<Vec<Value>>,
}

/// A value as a reader sees it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Value(pub Kind, pub String);

/// What a reader takes a value for. The texts are those of `canonical.py`: a moment is `2026-01-31T23:59:59.000001`, a
/// duration `-838:59:59.000000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Nothing; the text is empty.
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

/// A value of this kind.
pub fn value(kind: Kind, text: &str) -> Value {
    Value(kind, text.to_owned())
}

/// Python's own CSV reader. Every value is text, for it knows no other.
///
/// # Errors
/// When the file is not CSV in that encoding (a name that Python knows: `utf-8`, `utf-8-sig`, `cp932`).
pub fn csv_with_python(file: &Path, delimiter: char, encoding: &str) -> Read<Table> {
    let delimiter = delimiter.to_string();
    script("read_csv.py", file, &["--delimiter", &delimiter, "--encoding", encoding])
}

/// `DuckDB`'s CSV reader. What stands unquoted where a value should be and is `null` is `NULL`; quoted it is text.
///
/// # Errors
/// When it does not take the file for CSV.
pub fn csv_with_duckdb(file: &Path, delimiter: char, null: &str) -> Read<Table> {
    let delimiter = delimiter.to_string();
    script("read_duckdb.py", file, &["--format", "csv", "--delimiter", &delimiter, "--null", null])
}

/// Python's own JSON reader, line by line. Numbers keep their digits.
///
/// # Errors
/// When a line is not JSON, or has other names than the first.
pub fn jsonl_with_python(file: &Path) -> Read<TypedTable> {
    script("read_jsonl.py", file, &[])
}

/// `DuckDB`'s JSON reader, which finds types of its own.
///
/// # Errors
/// When it does not take the file for JSON lines.
pub fn jsonl_with_duckdb(file: &Path) -> Read<Table> {
    script("read_duckdb.py", file, &["--format", "json"])
}

/// A library for workbooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum XlsxReader {
    /// Shows every cell as it is.
    Openpyxl,
    /// As people read workbooks in notebooks: an empty text is missing, a day is a moment, and no layout is shown.
    Pandas,
}

/// A sheet of a workbook.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Sheet {
    /// The name on its tab.
    pub name: String,
    /// The first row.
    pub columns: Vec<String>,
    /// The rows below.
    pub rows: Vec<Vec<Value>>,
    /// The first cell that scrolls; above and left of it nothing does.
    #[serde(default)]
    pub frozen: Option<String>,
    /// First column, last column (from 1) and their width in characters.
    #[serde(default)]
    pub widths: Vec<(u32, u32, f64)>,
    /// The number formats of the second row, the first with data.
    #[serde(default)]
    pub formats: Vec<Option<String>>,
}

/// The sheets of a workbook.
///
/// # Errors
/// When the reader does not take the file for a workbook.
pub fn xlsx(file: &Path, reader: XlsxReader) -> Read<Vec<Sheet>> {
    #[derive(Deserialize)]
    struct Workbook {
        sheets: Vec<Sheet>,
    }
    let engine = match reader {
        XlsxReader::Openpyxl => "openpyxl",
        XlsxReader::Pandas => "pandas",
    };
    script("read_xlsx.py", file, &["--engine", engine]).map(|workbook: Workbook| workbook.sheets)
}

/// A library for Parquet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParquetReader {
    /// `DuckDB`.
    DuckDb,
    /// Arrow's own.
    PyArrow,
    /// As people read it in notebooks: integers with a `NULL` among them become floats there.
    Pandas,
}

/// The values of a Parquet file, in the reader's own types. Floats are written as Python does: `1.5e-07`, `nan`.
///
/// # Errors
/// When the reader does not take the file for Parquet.
pub fn parquet(file: &Path, reader: ParquetReader) -> Read<Table> {
    match reader {
        ParquetReader::DuckDb => script("read_duckdb.py", file, &["--format", "parquet"]),
        ParquetReader::PyArrow => script("read_parquet.py", file, &["--engine", "pyarrow"]),
        ParquetReader::Pandas => script("read_parquet.py", file, &["--engine", "pandas"]),
    }
}

/// How a Parquet file is made.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ParquetLayout {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// How the columns are kept.
    pub schema: Vec<ParquetColumn>,
    /// The row groups.
    pub groups: Vec<RowGroup>,
    /// The program that says it has written the file.
    pub created_by: String,
    /// Keys and values for whoever reads the file; Arrow's own schema is left out.
    pub metadata: std::collections::BTreeMap<String, String>,
}

/// A column of a Parquet file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ParquetColumn {
    /// `INT64`, `BYTE_ARRAY`, …
    pub physical: String,
    /// `Decimal(precision=38, scale=10)`, `String`, `None`, …
    pub logical: String,
    /// Whether it may hold `NULL`.
    pub optional: bool,
}

/// A row group of a Parquet file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RowGroup {
    /// How many rows.
    pub rows: u64,
    /// Their size before compression.
    pub bytes: u64,
    /// And after it.
    pub compressed: u64,
    /// `ZSTD`, `SNAPPY`, `UNCOMPRESSED`, …
    pub codecs: Vec<String>,
}

/// How a Parquet file is made, as Arrow sees it.
///
/// # Errors
/// When it is not Parquet.
pub fn parquet_layout(file: &Path) -> Read<ParquetLayout> {
    script("read_parquet.py", file, &["--engine", "pyarrow"])
}

/// What is in a gzip file, after `gzip` has found it sound.
///
/// # Errors
/// When it is not sound.
pub fn gunzip(file: &Path) -> Read<Vec<u8>> {
    run(Command::new("gzip").arg("--test").arg(file))?;
    run(Command::new("gzip").args(["--decompress", "--stdout"]).arg(file))
}

/// What is in a Zstandard file, after `zstd` has found it sound.
///
/// # Errors
/// When it is not sound.
pub fn unzstd(file: &Path) -> Read<Vec<u8>> {
    run(Command::new("zstd").args(["--quiet", "--test"]).arg(file))?;
    run(Command::new("zstd").args(["--quiet", "--decompress", "--stdout"]).arg(file))
}

/// The names in a zip archive with their sizes, after `unzip` has found it sound.
///
/// # Errors
/// When it is not sound.
pub fn unzip_list(file: &Path) -> Read<Vec<(String, u64)>> {
    run(Command::new("unzip").arg("-tqq").arg(file))?;
    let listing = String::from_utf8_lossy(&run(Command::new("unzip").arg("-lqq").arg(file))?).into_owned();
    let entry = |line: &str| {
        // Size, date, time and name; the name may have blanks in it, and three of them stand before it.
        let (size, rest) = line.trim_start().split_once(' ')?;
        let (_, rest) = rest.trim_start().split_once(' ')?;
        let (_, name) = rest.split_once("   ")?;
        Some((name.to_owned(), size.parse().ok()?))
    };
    listing.lines().map(|line| entry(line).ok_or_else(|| format!("not an entry: {line}"))).collect()
}

/// The bytes of one entry of a zip archive.
///
/// # Errors
/// When there is no such entry.
pub fn unzip(file: &Path, entry: &str) -> Read<Vec<u8>> {
    // unzip takes the name for a pattern, and a workbook has `[Content_Types].xml` in it.
    let pattern: String =
        entry.chars().flat_map(|c| "[*?\\".contains(c).then_some('\\').into_iter().chain([c])).collect();
    run(Command::new("unzip").arg("-pqq").arg(file).arg(pattern))
}

/// How `LibreOffice` is told to read a file; a person chooses the same in its import dialogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Import {
    /// What the file's name says.
    ByName,
    /// CSV with this delimiter.
    Csv {
        /// Between the fields.
        delimiter: char,
        /// How its bytes are characters.
        charset: Charset,
    },
    /// CSV as Windows in Germany has it: semicolons, code page 1252, and commas in numbers.
    GermanCsv,
}

/// A character set that `LibreOffice` can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// UTF-8, with or without a mark.
    Utf8,
    /// Windows' Japanese, CP932.
    ShiftJis,
}

impl Import {
    /// <https://help.libreoffice.org/latest/en-US/text/shared/guide/csv_params.html>
    fn filter(self) -> Option<String> {
        match self {
            Self::ByName => None,
            Self::Csv { delimiter, charset } => {
                let charset = match charset {
                    Charset::Utf8 => 76,
                    Charset::ShiftJis => 64,
                };
                Some(format!("--infilter=CSV:{},34,{charset}", u32::from(delimiter)))
            }
            // 1 is Windows-1252, and 1031 German as spoken in Germany.
            Self::GermanCsv => Some(format!("--infilter=CSV:{},34,1,1,,1031", u32::from(';'))),
        }
    }
}

/// A file as a person sees it in `LibreOffice`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The text on all pages, laid out as they are.
    pub text: String,
    /// Pictures of the pages, under `target`, to be looked at.
    pub pages: Vec<PathBuf>,
}

/// Opens the file in `LibreOffice`, prints it, and shows the pages. The pictures stay in a folder of this name, which no
/// other test may use.
///
/// # Errors
/// When `LibreOffice` does not open it.
pub fn render(file: &Path, import: Import, name: &str) -> Read<Rendered> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let pdf = office(file, import, "pdf", folder.path())?;
    let text = run(Command::new("pdftotext").args(["-layout", "-enc", "UTF-8"]).arg(&pdf).arg("-"))?;
    let pictures = workspace::path("target/readers").join(name);
    drop(fs::remove_dir_all(&pictures));
    fs::create_dir_all(&pictures).map_err(|error| error.to_string())?;
    run(Command::new("pdftoppm").args(["-r", "60", "-png"]).arg(&pdf).arg(pictures.join("page")))?;
    Ok(Rendered { text: String::from_utf8_lossy(&text).into_owned(), pages: files_in(&pictures)? })
}

/// The first sheet as `LibreOffice` shows it, cell by cell.
///
/// # Errors
/// When `LibreOffice` does not open it.
pub fn shown_in_office(file: &Path, import: Import) -> Read<Table> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    // Comma, quote, UTF-8, from the first line; numbers and dates as they are shown.
    let csv =
        office(file, import, "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true", folder.path())?;
    csv_with_python(&csv, ',', "utf-8")
}

/// Converts a file with `LibreOffice`.
fn office(file: &Path, import: Import, to: &str, folder: &Path) -> Read<PathBuf> {
    // Two at once cannot share a profile; a new one costs half a second.
    let profile = folder.join("profile");
    let results = folder.join("output");
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", "120", "soffice", "--headless", "--norestore", "--nologo"]);
    command.arg(format!("-env:UserInstallation=file://{}", profile.display()));
    command.env("HOME", folder).env("LC_ALL", "C.UTF-8");
    command.args(["--convert-to", to]).args(import.filter()).arg("--outdir").arg(&results).arg(file);
    let output = command.output().map_err(|error| format!("cannot run LibreOffice: {error}"))?;
    // It ends well even when it could not read the file.
    let written = files_in(&results).ok().and_then(|files| files.into_iter().next());
    written.ok_or_else(|| said(&output))
}

/// The files in a folder, by name.
fn files_in(folder: &Path) -> Read<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(|error| error.to_string())?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    Ok(files)
}

/// The Python script with this name, in this package's `readers`.
fn script<T: DeserializeOwned>(name: &str, file: &Path, args: &[&str]) -> Read<T> {
    let for_tests =
        STACK.for_tests.as_ref().ok_or("run `cargo xtask stack up`: the readers are not installed")?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("readers").join(name);
    // No compiled files beside the sources, and nothing of the person's own Python.
    let mut command = Command::new(&for_tests.python);
    command.args(["-B", "-s"]).env_remove("PYTHONPATH").env("PYTHONUTF8", "1");
    let json = run(command.arg(script).arg(file).args(args))?;
    serde_json::from_slice(&json).map_err(|error| format!("{name} printed something else: {error}"))
}

/// What a program prints, if it ends well.
fn run(command: &mut Command) -> Read<Vec<u8>> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("cannot run {program}: {error}"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(format!("{program} failed ({}): {}", output.status, said(&output)))
}

/// All that a program has printed.
fn said(output: &Output) -> String {
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    said.trim().to_owned()
}
