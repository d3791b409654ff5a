//! Excel workbooks of one sheet (ECMA-376), with real numbers and dates.
//!
//! Values that a spreadsheet would change are written as text, digit for digit as MySQL shows them, and counted: numbers of more
//! than 15 digits, and dates that do not exist. Text is always a string and never a formula, so no text is escaped here. A value
//! that does not fit a cell is an error; no value is cut.
//!
//! `NULL` has no cell, and neither has the empty text, because the library cannot write an empty string.

mod column;
mod serial;
mod sheet;
mod shown;

use std::borrow::Cow;
use std::fs::File;
use std::io::Read as _;

use self::column::{Value, XlsxColumn};
use self::sheet::Sheet;
use crate::encode::encoder::{EncodeError, Encoder};
use crate::model::{Cell, ColumnChanges, FileColumn};
use crate::text::CELL_UNITS;

/// The columns of a sheet, `A` to `XFD`.
/// <https://support.microsoft.com/office/1672db73-8c91-4bb8-b25c-4e50d2f2b0f5> (specifications and limits).
const SHEET_COLUMNS: usize = 16_384;

/// Writes a workbook. Rows go to a temporary file, so that memory does not grow with them. [`finish`](Encoder::finish) puts the
/// workbook together in another one.
#[derive(Debug)]
pub(crate) struct XlsxEncoder {
    columns: Vec<XlsxColumn>,
    state: State,
    /// The text of a value that is no text.
    text: Vec<u8>,
    /// The column the next cell belongs to.
    at: u16,
    /// The row that is being written, from 1; the header is 0.
    row: u32,
    /// Whether the row has a cell in the sheet.
    has_cell: bool,
    /// The first thing wrong with the row.
    error: Option<EncodeError>,
}

#[derive(Debug)]
enum State {
    Rows(Box<Sheet>),
    Finished {
        file: File,
        /// Bytes of it that have not been taken.
        remaining: u64,
    },
    /// Writing or finishing failed.
    Broken,
}

impl XlsxEncoder {
    /// Creates an encoder for these columns. Their header is bold, and stays in sight while scrolling.
    ///
    /// # Errors
    /// When there are too many columns for a sheet, or a label is too long.
    pub(crate) fn new(columns: &[FileColumn]) -> Result<Self, EncodeError> {
        if columns.len() > SHEET_COLUMNS {
            return Err(EncodeError::DoesNotFit {
                format: "xlsx",
                place: "columns".to_owned(),
                expected: format!("at most {SHEET_COLUMNS}"),
                actual: columns.len().to_string(),
            });
        }
        Ok(Self {
            state: State::Rows(Box::new(Sheet::new(columns)?)),
            columns: columns.iter().map(XlsxColumn::new).collect(),
            text: Vec::new(),
            at: 0,
            row: 1,
            has_cell: false,
            error: None,
        })
    }

    fn write(&mut self, cell: &Cell<'_>) -> Result<(), EncodeError> {
        let (row, at) = (self.row, self.at);
        let column = &mut self.columns[usize::from(at)];
        let State::Rows(sheet) = &mut self.state else {
            return Err(not_open());
        };
        // Before its text is written, which may take a gigabyte.
        if let Cell::Bytes(bytes) = cell {
            fits(bytes.len().saturating_mul(2), row, &column.name)?;
        }
        self.text.clear();
        match column.value(cell, &mut self.text) {
            // The library would write nothing for the empty text.
            Value::Nothing | Value::Text([]) => return Ok(()),
            Value::Number(number, shown) => sheet.number(row, at, number, shown)?,
            Value::Text(text) => {
                let text = String::from_utf8_lossy(text);
                column.changes.invalid_text += u64::from(matches!(text, Cow::Owned(_)));
                if text.len() > CELL_UNITS {
                    fits(text.encode_utf16().count(), row, &column.name)?;
                }
                sheet.text(row, at, text, &column.name)?;
            }
        }
        self.has_cell = true;
        Ok(())
    }

    fn close_row(&mut self) -> Result<(), EncodeError> {
        match (self.error.take(), &mut self.state) {
            (Some(error), _) => Err(error),
            // A row of NULLs is a row, too.
            (None, State::Rows(sheet)) if !self.has_cell => sheet.empty_row(self.row),
            (None, State::Rows(_)) => Ok(()),
            (None, _) => Err(not_open()),
        }
    }
}

impl Encoder for XlsxEncoder {
    fn cell(&mut self, cell: &Cell<'_>) {
        if self.error.is_none() {
            self.error = self.write(cell).err();
        }
        self.at += 1;
    }

    fn end_row(&mut self) -> Result<(), EncodeError> {
        let result = self.close_row();
        if matches!(result, Err(EncodeError::Disk(_))) {
            // The sheet may have half a row.
            self.state = State::Broken;
        }
        self.at = 0;
        self.row += 1;
        self.has_cell = false;
        result
    }

    fn finish(&mut self) -> Result<(), EncodeError> {
        if let State::Rows(sheet) = std::mem::replace(&mut self.state, State::Broken) {
            let (file, remaining) = sheet.finish()?;
            self.state = State::Finished { file, remaining };
            Ok(())
        } else {
            Err(not_open())
        }
    }

    fn buffered(&self) -> usize {
        match self.state {
            State::Finished { remaining, .. } => usize::try_from(remaining).unwrap_or(usize::MAX),
            State::Rows(_) | State::Broken => 0,
        }
    }

    fn take(&mut self, at_most: usize) -> Result<Vec<u8>, EncodeError> {
        let length = self.buffered().min(at_most.max(1));
        let mut piece = vec![0; length];
        if let State::Finished { file, remaining } = &mut self.state {
            file.read_exact(&mut piece)?;
            *remaining = remaining.saturating_sub(u64::try_from(length).unwrap_or(u64::MAX));
        }
        Ok(piece)
    }

    fn changes(&self) -> Vec<ColumnChanges> {
        self.columns.iter().map(|column| column.changes).collect()
    }
}

/// Checks that a cell has room for a text of so many UTF-16 code units.
fn fits(units: usize, row: u32, column: &str) -> Result<(), EncodeError> {
    if units <= CELL_UNITS {
        return Ok(());
    }
    let expected = format!("at most {CELL_UNITS} characters in a cell");
    Err(EncodeError::cell("xlsx", u64::from(row), column, expected, units.to_string()))
}

/// The error of a call after the end, or after an earlier error: a bug in the caller.
fn not_open() -> EncodeError {
    EncodeError::Disk(std::io::Error::other("the workbook is not open any more"))
}
