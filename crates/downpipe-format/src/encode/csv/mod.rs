//! The CSV encoder.
//!
//! - [`column`](mod@column) knows what Excel would do to the values of a column.
//! - [`text`] quotes texts and escapes them.
//! - [`lines`] checks whole lines.
//!
//! `csv-core`, the engine of the `csv` crate, decides what must be quoted. `csv::Writer` writes `NULL` and the empty string alike,
//! so it is only the reference in this crate's tests.

mod column;
mod lines;
mod text;

use self::column::CsvColumn;
use self::lines::LineCheck;
use self::text::{LITERAL_BYTES, ReservedTexts, is_literal, push_doubling, push_escaping, push_formula_text};
use crate::buffer::take_all;
use crate::encode::encoder::{EncodeError, Encoder};
use crate::model::{Cell, Charset, ColumnChanges, FileColumn, FileStart, Profile, Quoting};
use crate::text::{has_leading_zeros, is_number, loses_digits, overflows_cell, push_value, runs_as_formula};

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Writes rows as a profile says.
#[derive(Debug)]
pub(crate) struct CsvEncoder {
    profile: Profile,
    columns: Vec<CsvColumn>,
    /// Decides which texts must be quoted for their characters.
    quoter: csv_core::Writer,
    /// Texts that would mean something else without quotes.
    reserved: ReservedTexts,
    /// Values other than text are written as they are, and never quoted.
    bare_numbers: bool,
    /// The file's encoding is not UTF-8.
    encodes: bool,
    out: Vec<u8>,
    /// The next buffer for `out`.
    spare_buffer: Vec<u8>,
    /// A field on its way into another encoding.
    field: Vec<u8>,
    /// The column of the current cell, or of the next one.
    at: usize,
    line_check: LineCheck,
}

impl CsvEncoder {
    /// Creates an encoder for these columns, and writes the byte order mark and the header. Changes in the header are counted in the
    /// first file only.
    pub(crate) fn new(profile: &Profile, columns: &[FileColumn], begin: FileStart) -> Self {
        let quoter = csv_core::WriterBuilder::new().delimiter(profile.delimiter).quote(profile.quote).build();
        let mut encoder = Self {
            profile: profile.clone(),
            columns: columns.iter().map(|column| CsvColumn::new(column, profile)).collect(),
            quoter,
            reserved: ReservedTexts::of(profile),
            bare_numbers: profile.quoting == Quoting::Needed
                && !profile.spreadsheet
                && profile.decimal == b'.',
            encodes: profile.charset != Charset::UTF_8,
            out: Vec::new(),
            spare_buffer: Vec::new(),
            field: Vec::new(),
            at: 0,
            line_check: LineCheck::new(profile, columns.len(), begin),
        };
        if begin == FileStart::Within {
            return encoder;
        }
        if profile.byte_order_mark {
            encoder.out.extend_from_slice(BYTE_ORDER_MARK);
            encoder.line_check.line = encoder.out.len();
        }
        if profile.header {
            encoder.push_header(columns);
        }
        if begin != FileStart::First {
            encoder.columns.iter_mut().for_each(|column| column.changes = ColumnChanges::default());
        }
        encoder
    }

    fn push_header(&mut self, columns: &[FileColumn]) {
        for column in columns {
            // Without a label in the definition, the header is a column's name, which may be anything.
            let label = column.label.as_bytes();
            let guard = self.profile.escape_formulas && runs_as_formula(label);
            let start = self.begin_field();
            let changes = &mut self.columns[self.at].changes;
            changes.formulas_guarded += u64::from(guard);
            changes.texts_too_long += u64::from(self.profile.spreadsheet && overflows_cell(label));
            self.push_text(label, guard);
            self.end_field(start);
        }
        self.end_line();
    }

    fn begin_field(&mut self) -> usize {
        if self.at > 0 {
            self.out.push(self.profile.delimiter);
        }
        self.out.len()
    }

    fn end_field(&mut self, start: usize) {
        if self.encodes {
            self.encode(start);
        }
        self.at += 1;
    }

    /// Encodes the field that begins at `start`, which was written in UTF-8. Not inlined, because most files are in UTF-8.
    #[inline(never)]
    fn encode(&mut self, start: usize) {
        self.field.clear();
        self.field.extend_from_slice(&self.out[start..]);
        self.out.truncate(start);
        self.profile.charset.encode(&self.field, &mut self.out, &mut self.columns[self.at].changes);
    }

    fn end_line(&mut self) {
        if self.line_check.is_needed {
            self.line_check.check(&mut self.out, &self.profile, &mut self.columns);
        }
        self.out.extend_from_slice(self.profile.line_end.bytes());
        self.at = 0;
        self.line_check.line = self.out.len();
    }

    fn text_cell(&mut self, text: &[u8]) {
        let column = &mut self.columns[self.at];
        if self.profile.spreadsheet {
            if is_literal(text) {
                let spoilt = loses_digits(text) || has_leading_zeros(text);
                if spoilt || column.as_text {
                    column.changes.numbers_as_text += u64::from(spoilt && !column.as_text);
                    return push_formula_text(&mut self.out, text, self.profile.quote);
                }
            } else {
                column.changes.texts_too_long += u64::from(overflows_cell(text));
            }
        }
        let guard = column.guarded && runs_as_formula(text) && !(column.as_number && is_number(text));
        column.changes.formulas_guarded += u64::from(guard);
        self.push_text(text, guard);
    }

    /// Writes a value that is no text, and so is neither quoted nor escaped.
    fn plain_cell(&mut self, cell: &Cell<'_>, start: usize) {
        push_value(&mut self.out, cell, self.columns[self.at].kind);
        if !self.bare_numbers {
            self.adapt_number(cell, start);
        }
    }

    /// Adapts the value that begins at `start` to the profile: its decimal point, its quotes, and a text where a spreadsheet would not
    /// keep the digits.
    fn adapt_number(&mut self, cell: &Cell<'_>, start: usize) {
        let column = &mut self.columns[self.at];
        let spoilt = self.profile.spreadsheet && column.is_changed_by_excel(cell, &self.out[start..]);
        if self.profile.decimal != b'.' && matches!(cell, Cell::Decimal(_) | Cell::Float(_) | Cell::Double(_))
        {
            for byte in self.out[start..].iter_mut().filter(|byte| **byte == b'.') {
                *byte = self.profile.decimal;
            }
        }
        if spoilt || (self.profile.spreadsheet && column.as_text && self.out.len() - start <= LITERAL_BYTES) {
            column.changes.numbers_as_text += u64::from(!column.as_text);
            let digits = self.out.split_off(start);
            push_formula_text(&mut self.out, &digits, self.profile.quote);
        } else if self.profile.quoting == Quoting::Always {
            self.out.insert(start, self.profile.quote);
            self.out.push(self.profile.quote);
        }
    }

    /// Appends a text field, quoted where it must be. The empty string is always quoted, because bare it could be `NULL`.
    fn push_text(&mut self, text: &[u8], guard: bool) {
        let quoted = self.profile.quoting == Quoting::Always
            || self.reserved.contain(text)
            // In another encoding, it may have bytes that must be quoted.
            || (self.encodes && !text.is_ascii())
            // Readers would take the apostrophe in front for the quote.
            || (guard && self.profile.quote == b'\'')
            || self.quoter.should_quote(text);
        if quoted {
            self.out.push(self.profile.quote);
        }
        if guard {
            push_doubling(&mut self.out, b"'", self.profile.quote);
        }
        match (quoted, self.profile.escape) {
            (_, true) => push_escaping(&mut self.out, text, quoted.then_some(self.profile.quote)),
            (true, false) => push_doubling(&mut self.out, text, self.profile.quote),
            (false, false) => self.out.extend_from_slice(text),
        }
        if quoted {
            self.out.push(self.profile.quote);
        }
    }
}

impl Encoder for CsvEncoder {
    fn cell(&mut self, cell: &Cell<'_>) {
        let start = self.begin_field();
        match *cell {
            Cell::Null => self.out.extend_from_slice(self.profile.null.as_bytes()),
            Cell::Text(text) => self.text_cell(text),
            // Bare, empty bytes could be NULL.
            Cell::Bytes([]) => self.push_text(b"", false),
            _ => self.plain_cell(cell, start),
        }
        self.end_field(start);
    }

    fn end_row(&mut self) -> Result<(), EncodeError> {
        self.end_line();
        Ok(())
    }

    fn finish(&mut self) -> Result<(), EncodeError> {
        Ok(())
    }

    fn buffered(&self) -> usize {
        self.out.len()
    }

    fn take(&mut self, _: usize) -> Result<Vec<u8>, EncodeError> {
        self.line_check.line = 0;
        Ok(take_all(&mut self.out, &mut self.spare_buffer))
    }

    fn reuse(&mut self, buffer: Vec<u8>) {
        self.spare_buffer = buffer;
    }

    fn changes(&self) -> Vec<ColumnChanges> {
        self.columns.iter().map(|column| column.changes).collect()
    }
}
