//! Workbooks, read by openpyxl and pandas.

use std::path::Path;

use serde::Deserialize;

use super::{Read, Value, script};

/// A library for workbooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum XlsxReader {
    /// Shows every cell as it is.
    Openpyxl,
    /// Reads as notebooks do: an empty text is missing, a day is a moment, and the layout is lost.
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
    /// The first cell that scrolls; the cells above and left of it are frozen.
    #[serde(default)]
    pub frozen: Option<String>,
    /// The first column, the last column (from 1) and their width in characters.
    #[serde(default)]
    pub widths: Vec<(u32, u32, f64)>,
    /// The number formats of the second row, the first with data.
    #[serde(default)]
    pub formats: Vec<Option<String>>,
}

/// Reads the sheets of a workbook.
///
/// Returns an error when the reader refuses the file.
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
