//! The JSON Lines encoder: one object a row, one row a line. <https://jsonlines.org>, RFC 8259.
//!
//! A line holds what the database sent, in JSON's own types where it has them. Numbers keep every digit: the reader decides
//! whether a binary number is enough.

mod number;
mod unsupported_value;
mod value;

use std::borrow::Cow;

use self::number::{is_number, push_decimal};
use self::unsupported_value::UnsupportedValue;
use self::value::{is_json, push_json, push_string};
use super::encoder::{EncodeError, Encoder};
use crate::buffer::take_all;
use crate::model::{Cell, ColumnChanges, ColumnKind, FileColumn, Format, TreatAs, unique_labels};
use crate::text::{push_float, push_hex, push_integer, push_value};

/// Writes rows as objects.
#[derive(Debug)]
pub(crate) struct JsonlEncoder {
    columns: Vec<JsonColumn>,
    out: Vec<u8>,
    /// The next buffer for `out`.
    spare_buffer: Vec<u8>,
    /// A value as MySQL shows it, on its way into a string.
    text: Vec<u8>,
    /// The column the next cell belongs to.
    at: usize,
    /// Rows ended so far.
    rows: u64,
    /// The first thing wrong with the row that is being written.
    error: Option<EncodeError>,
}

#[derive(Debug)]
struct JsonColumn {
    label: String,
    /// The bytes before every value: `{"id":`, `,"total":`.
    key: Vec<u8>,
    kind: ColumnKind,
    /// The definition treats its values as text.
    as_text: bool,
    /// The definition treats its texts as numbers.
    as_number: bool,
    changes: ColumnChanges,
}

impl JsonlEncoder {
    /// Creates an encoder for these columns. Nothing precedes the first row.
    pub(crate) fn new(columns: &[FileColumn]) -> Self {
        let labelled = columns.iter().zip(unique_labels(columns)).enumerate();
        Self {
            columns: labelled.map(|(index, (column, label))| JsonColumn::new(index, column, label)).collect(),
            out: Vec::new(),
            spare_buffer: Vec::new(),
            text: Vec::new(),
            at: 0,
            rows: 0,
            error: None,
        }
    }

    fn push_cell(&mut self, cell: &Cell<'_>) -> Result<(), UnsupportedValue> {
        let Self { columns, out, text, at, .. } = self;
        let JsonColumn { kind, as_text, as_number, changes, .. } = &mut columns[*at];
        match *cell {
            Cell::Null => out.extend_from_slice(b"null"),
            Cell::Text(value) => match valid_utf8(value, changes).as_ref() {
                value if *as_number && is_number(value.as_bytes()) => out.extend_from_slice(value.as_bytes()),
                value if *kind == ColumnKind::Json && !*as_text && is_json(value) => push_json(out, value),
                value => push_string(out, value),
            },
            Cell::Bytes(bytes) => {
                out.push(b'"');
                push_hex(out, bytes);
                out.push(b'"');
            }
            _ if *as_text => {
                text.clear();
                push_value(text, cell, *kind);
                push_string(out, &valid_utf8(text, changes));
            }
            // Without the zeros of ZEROFILL: no number in JSON begins with one.
            Cell::Int(value) => push_integer(out, value, 0),
            Cell::UInt(value) => push_integer(out, value, 0),
            Cell::Decimal(digits) => return push_decimal(out, digits),
            // MySQL stores neither infinities nor NaN, and `null` would not be what it sent.
            Cell::Float(value) if !value.is_finite() => return Err(UnsupportedValue::NOT_FINITE),
            Cell::Double(value) if !value.is_finite() => return Err(UnsupportedValue::NOT_FINITE),
            Cell::Float(value) => push_float(out, value),
            Cell::Double(value) => push_float(out, value),
            Cell::Date(_) | Cell::DateTime(..) | Cell::Time(_) => {
                out.push(b'"');
                push_value(out, cell, *kind);
                out.push(b'"');
            }
        }
        Ok(())
    }
}

impl Encoder for JsonlEncoder {
    fn cell(&mut self, cell: &Cell<'_>) {
        self.out.extend_from_slice(&self.columns[self.at].key);
        if let Err(UnsupportedValue { expected, actual }) = self.push_cell(cell) {
            let label = &self.columns[self.at].label;
            let format = Format::Jsonl.as_str();
            self.error
                .get_or_insert_with(|| EncodeError::cell(format, self.rows + 1, label, expected, actual));
        }
        self.at += 1;
    }

    fn end_row(&mut self) -> Result<(), EncodeError> {
        self.out.extend_from_slice(b"}\n");
        self.at = 0;
        self.rows += 1;
        self.error.take().map_or(Ok(()), Err)
    }

    fn finish(&mut self) -> Result<(), EncodeError> {
        Ok(())
    }

    fn buffered(&self) -> usize {
        self.out.len()
    }

    fn take(&mut self, _: usize) -> Result<Vec<u8>, EncodeError> {
        Ok(take_all(&mut self.out, &mut self.spare_buffer))
    }

    fn reuse(&mut self, buffer: Vec<u8>) {
        self.spare_buffer = buffer;
    }

    fn changes(&self) -> Vec<ColumnChanges> {
        self.columns.iter().map(|column| column.changes).collect()
    }
}

impl JsonColumn {
    fn new(index: usize, column: &FileColumn, label: String) -> Self {
        let mut key = vec![if index == 0 { b'{' } else { b',' }];
        push_string(&mut key, &label);
        key.push(b':');
        Self {
            label,
            key,
            kind: column.kind,
            as_text: column.treat_as == Some(TreatAs::Text),
            // A masked value is no number, even if a hash has no letter but an `e`.
            as_number: column.treat_as == Some(TreatAs::Number) && column.mask.is_none(),
            changes: ColumnChanges::default(),
        }
    }
}

/// Returns the text, with U+FFFD for bytes that are no UTF-8.
fn valid_utf8<'a>(text: &'a [u8], changes: &mut ColumnChanges) -> Cow<'a, str> {
    let valid = String::from_utf8_lossy(text);
    changes.invalid_text += u64::from(matches!(valid, Cow::Owned(_)));
    valid
}
