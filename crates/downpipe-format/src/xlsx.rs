//! Excel workbooks of one sheet (ECMA-376), with real numbers and dates.
//!
//! What a spreadsheet would change is written as text instead, digit for digit as MySQL shows it, and counted: numbers of more
//! than 15 digits, dates that are none. Text is always a string, never a formula, so nothing is guarded here. What does not fit
//! a cell is an error; nothing is cut.
//!
//! `NULL` is a cell that is not there, and so is the empty text: the library has no way to write an empty string.

mod serial;
mod sheet;
mod shown;

use std::borrow::Cow;
use std::fs::File;
use std::io::Read as _;

use crate::cell::{Cell, Date, Time};
use crate::changes::ColumnChanges;
use crate::column::ColumnKind;
use crate::encoder::{EncodeError, Encoder};
use crate::guard::loses_digits;
use crate::layout::{FileColumn, TreatAs};
use crate::number::push_float;
use crate::value::push_value;
use sheet::{CELL_UNITS, Sheet};
use shown::Shown;

/// The columns of a sheet, `A` to `XFD`.
/// <https://support.microsoft.com/office/1672db73-8c91-4bb8-b25c-4e50d2f2b0f5> (specifications and limits).
const SHEET_COLUMNS: usize = 16_384;

/// The least whole number of 16 digits, which Excel does not keep.
const TOO_LONG: u64 = 1_000_000_000_000_000;

/// The digits that Excel keeps, and so the longest `ZEROFILL` that stays a number.
const ZEROFILL_DIGITS: u8 = 15;

/// Writes a workbook. The rows wait in a temporary file, so that memory does not grow with them; the workbook becomes another
/// one in [`finish`](Encoder::finish).
#[derive(Debug)]
pub(crate) struct XlsxEncoder {
    columns: Vec<XlsxColumn>,
    state: State,
    /// The text of a value that has none of its own.
    text: Vec<u8>,
    /// The column the next cell belongs to.
    at: u16,
    /// The row that is being written, from 1; the header is 0.
    row: u32,
    /// Whether the row has a cell in the sheet yet.
    row_begun: bool,
    /// The first thing wrong with the row.
    error: Option<EncodeError>,
}

#[derive(Debug)]
enum State {
    Rows(Box<Sheet>),
    Finished {
        file: File,
        /// Bytes of it that have not been taken.
        left: u64,
    },
    /// Finishing failed, or is under way.
    Nothing,
}

#[derive(Debug)]
struct XlsxColumn {
    name: String,
    kind: ColumnKind,
    treat_as: Option<TreatAs>,
    changes: ColumnChanges,
}

/// What becomes of a value.
#[derive(Debug, PartialEq)]
enum Value<'a> {
    Nothing,
    Number(f64, Shown),
    Text(&'a [u8]),
}

impl XlsxEncoder {
    /// An encoder for these columns, with their header: bold, and in sight however far one scrolls.
    ///
    /// # Errors
    /// When there are too many columns for a sheet, or a heading is too long.
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
            row_begun: false,
            error: None,
        })
    }

    fn write(&mut self, cell: &Cell<'_>) -> Result<(), EncodeError> {
        let (row, at) = (self.row, self.at);
        let column = &mut self.columns[usize::from(at)];
        let State::Rows(sheet) = &mut self.state else {
            return Err(not_open());
        };
        // Before the text is made: its length is known, and it may be a gigabyte.
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
        self.row_begun = true;
        Ok(())
    }

    fn close_row(&mut self) -> Result<(), EncodeError> {
        match (self.error.take(), &mut self.state) {
            (Some(error), _) => Err(error),
            // A row in which all is NULL is a row nevertheless.
            (None, State::Rows(sheet)) if !self.row_begun => sheet.empty_row(self.row),
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
            // Half a row may be in the sheet.
            self.state = State::Nothing;
        }
        self.at = 0;
        self.row += 1;
        self.row_begun = false;
        result
    }

    fn finish(&mut self) -> Result<(), EncodeError> {
        if let State::Rows(sheet) = std::mem::replace(&mut self.state, State::Nothing) {
            let (file, left) = sheet.finish()?;
            self.state = State::Finished { file, left };
            Ok(())
        } else {
            Err(not_open())
        }
    }

    fn buffered(&self) -> usize {
        match self.state {
            State::Finished { left, .. } => usize::try_from(left).unwrap_or(usize::MAX),
            State::Rows(_) | State::Nothing => 0,
        }
    }

    fn take(&mut self, at_most: usize) -> Result<Vec<u8>, EncodeError> {
        let length = self.buffered().min(at_most.max(1));
        let mut piece = vec![0; length];
        if let State::Finished { file, left } = &mut self.state {
            file.read_exact(&mut piece)?;
            *left = left.saturating_sub(u64::try_from(length).unwrap_or(u64::MAX));
        }
        Ok(piece)
    }

    fn changes(&self) -> Vec<ColumnChanges> {
        self.columns.iter().map(|column| column.changes).collect()
    }
}

impl XlsxColumn {
    fn new(column: &FileColumn) -> Self {
        Self {
            name: column.name.clone(),
            kind: column.kind,
            treat_as: column.treat_as,
            changes: ColumnChanges::default(),
        }
    }

    /// Decides. A text that the cell does not have as it is, is made in `text`.
    fn value<'a>(&mut self, cell: &Cell<'a>, text: &'a mut Vec<u8>) -> Value<'a> {
        let number = match *cell {
            Cell::Null => return Value::Nothing,
            Cell::Text(text) if self.treat_as == Some(TreatAs::Number) => self.number_in(text),
            Cell::Text(text) => return Value::Text(text),
            _ if self.treat_as == Some(TreatAs::Text) => None,
            Cell::Int(value) => self.whole(value.unsigned_abs(), value as f64),
            Cell::UInt(value) => self.whole(value, value as f64),
            Cell::Float(value) => {
                // By way of the decimal digits: `0.1` as a single is not `0.1` as a double.
                push_float(text, value);
                let number = as_number(text).map(|number| (number, Shown::General));
                text.clear();
                number
            }
            Cell::Double(value) => value.is_finite().then_some((value, Shown::General)),
            Cell::Decimal(digits) => self.decimal(digits),
            Cell::Bytes(_) => None,
            Cell::Date(date) => self.date(date),
            Cell::DateTime(date, time) => self.date_time(date, time),
            Cell::Time(time) => self.duration(time),
        };
        match (number, cell) {
            (Some((number, shown)), _) => Value::Number(number, shown),
            (None, Cell::Text(text)) => Value::Text(text),
            (None, _) => {
                push_value(text, cell, self.kind);
                Value::Text(text)
            }
        }
    }

    fn whole(&mut self, magnitude: u64, value: f64) -> Option<(f64, Shown)> {
        let zerofill = match self.kind {
            ColumnKind::Integer { zerofill, .. } => zerofill,
            _ => 0,
        };
        let keeps = magnitude < TOO_LONG && zerofill <= ZEROFILL_DIGITS;
        self.changes.numbers_as_text += u64::from(!keeps);
        keeps.then_some((value, Shown::Number { whole: zerofill.max(1), fraction: 0 }))
    }

    fn decimal(&mut self, digits: &[u8]) -> Option<(f64, Shown)> {
        let loses = loses_digits(digits);
        self.changes.numbers_as_text += u64::from(loses);
        let number = if loses { None } else { as_number(digits) };
        number.map(|number| (number, Shown::like(digits)))
    }

    /// The number that a text is, where the definition says that the column has some.
    fn number_in(&mut self, text: &[u8]) -> Option<(f64, Shown)> {
        let loses = loses_digits(text);
        self.changes.numbers_as_text += u64::from(loses);
        let plain = !loses && is_plain_number(text);
        if plain { as_number(text).map(|number| (number, Shown::General)) } else { None }
    }

    fn date(&mut self, date: Date) -> Option<(f64, Shown)> {
        let serial = serial::date(date);
        self.changes.dates_as_text += u64::from(serial.is_none());
        serial.map(|serial| (serial, Shown::Date))
    }

    fn date_time(&mut self, date: Date, time: Time) -> Option<(f64, Shown)> {
        let serial = serial::date_time(date, time);
        self.changes.dates_as_text += u64::from(serial.is_none());
        serial.map(|serial| (serial, Shown::DateTime { fraction: self.shown_fraction(time) }))
    }

    fn duration(&mut self, time: Time) -> Option<(f64, Shown)> {
        let serial = serial::duration(time);
        self.changes.dates_as_text += u64::from(serial.is_none());
        serial.map(|serial| (serial, Shown::Duration { fraction: self.shown_fraction(time) }))
    }

    /// Digits after the seconds: the column's, or all three that there are where a value has more than the column says.
    fn shown_fraction(&mut self, time: Time) -> u8 {
        self.changes.microseconds_hidden += u64::from(!time.microseconds.is_multiple_of(1000));
        let fraction = self.kind.fraction().min(3);
        let declared = 10_u32.pow(6 - u32::from(fraction));
        if time.microseconds.is_multiple_of(declared) { fraction } else { 3 }
    }
}

/// Whether a text is digits, with a sign and a point at most.
fn is_plain_number(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let mut parts = digits.splitn(2, |byte| *byte == b'.');
    parts.all(|part| !part.is_empty() && part.iter().all(u8::is_ascii_digit))
}

/// The number that is nearest to a decimal text.
fn as_number(text: &[u8]) -> Option<f64> {
    std::str::from_utf8(text).ok()?.parse().ok().filter(|number: &f64| number.is_finite())
}

/// A text has so many UTF-16 code units; a cell takes a number of them.
fn fits(units: usize, row: u32, column: &str) -> Result<(), EncodeError> {
    if units <= CELL_UNITS {
        return Ok(());
    }
    let expected = format!("at most {CELL_UNITS} characters in a cell");
    Err(EncodeError::cell("xlsx", u64::from(row), column, expected, units.to_string()))
}

/// A call after the end is a bug in the caller, or nobody listened to the error before.
fn not_open() -> EncodeError {
    EncodeError::Disk(std::io::Error::other("the workbook is not open any more"))
}
