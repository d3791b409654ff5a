//! The CSV encoder.
//!
//! Quoting is `csv-core`'s, the engine of the `csv` crate. `csv::Writer` itself writes `NULL` and the empty string alike,
//! and our files must tell them apart; it stays as the reference in this crate's tests.

use crate::cell::Cell;
use crate::changes::{Changes, ColumnChanges};
use crate::column::{Column, ColumnKind, LaidOut, Layout, LayoutError, TreatAs};
use crate::guard::{is_long_number, is_number, runs_as_formula};
use crate::number::{push_date, push_float, push_hex, push_integer, push_time};
use crate::profile::Profile;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
const QUOTE: u8 = b'"';

/// Turns cells into CSV bytes, row by row, in a buffer that the caller takes away in pieces.
///
/// Call [`start`](Self::start) once, then [`cell`](Self::cell) for every column of the result, hidden ones included, and
/// [`end_row`](Self::end_row) after each row.
#[derive(Debug)]
pub struct CsvEncoder {
    profile: Profile,
    layout: Layout,
    columns: Vec<EncodedColumn>,
    quoting: csv_core::Writer,
    out: Vec<u8>,
    /// The column the next cell belongs to.
    at: usize,
    /// Whether this row has a cell already, and so the next one a delimiter in front.
    row_begun: bool,
    rows: u64,
}

#[derive(Debug)]
struct EncodedColumn {
    laid_out: LaidOut,
    /// Text in the eyes of a spreadsheet: formulas are guarded here.
    guarded: bool,
    changes: ColumnChanges,
}

impl CsvEncoder {
    /// An encoder that will write in this profile and layout.
    #[must_use]
    pub fn new(profile: Profile, layout: Layout) -> Self {
        Self {
            profile,
            layout,
            columns: Vec::new(),
            quoting: csv_core::Writer::new(),
            out: Vec::new(),
            at: 0,
            row_begun: false,
            rows: 0,
        }
    }

    /// Writes what stands before the first row: byte order mark and header.
    ///
    /// # Errors
    /// When the layout does not fit these columns.
    pub fn start(&mut self, columns: &[Column]) -> Result<(), LayoutError> {
        self.columns = self.layout.apply(columns)?.into_iter().map(EncodedColumn::new).collect();
        if self.profile.byte_order_mark {
            self.out.extend_from_slice(BYTE_ORDER_MARK);
        }
        for label in self.labels() {
            self.delimit();
            // A label comes from the definition, but a column name without one can come from anywhere.
            let guard = self.profile.spreadsheet && runs_as_formula(label.as_bytes());
            self.push_text(label.as_bytes(), guard);
        }
        self.end_line();
        Ok(())
    }

    /// Writes the next cell of the row.
    ///
    /// # Panics
    /// When a row has more cells than [`start`](Self::start) had columns, which is a bug in the caller.
    pub fn cell(&mut self, cell: Cell<'_>) {
        let index = self.at;
        self.at += 1;
        let LaidOut { kind, hidden, .. } = self.columns[index].laid_out;
        if hidden {
            return;
        }
        self.delimit();
        let start = self.out.len();
        match (cell, kind) {
            (Cell::Null, _) => {}
            (Cell::Text(text), _) => self.text_cell(index, text),
            (Cell::Bytes(bytes), _) => push_hex_or_empty(&mut self.out, bytes),
            (Cell::Int(value), ColumnKind::Integer { zerofill }) => {
                push_integer(&mut self.out, value, zerofill)
            }
            (Cell::UInt(value), ColumnKind::Integer { zerofill }) => {
                push_integer(&mut self.out, value, zerofill)
            }
            (Cell::Int(value), _) => push_integer(&mut self.out, value, 0),
            (Cell::UInt(value), _) => push_integer(&mut self.out, value, 0),
            (Cell::Float(value), _) => push_float(&mut self.out, value),
            (Cell::Double(value), _) => push_float(&mut self.out, value),
            (Cell::Decimal(digits), _) => self.out.extend_from_slice(digits),
            (Cell::Date(date), _) => push_date(&mut self.out, date),
            (Cell::DateTime(date, time), kind) => {
                push_date(&mut self.out, date);
                self.out.push(b' ');
                push_time(&mut self.out, time, kind.fraction());
            }
            (Cell::Time(time), kind) => push_time(&mut self.out, time, kind.fraction()),
        }
        if self.profile.spreadsheet {
            match cell {
                Cell::Int(_) | Cell::UInt(_) | Cell::Decimal(_) => self.keep_digits(index, start),
                // Hexadecimal without a letter in it is read as a number too.
                Cell::Bytes(bytes) if !bytes.is_empty() => self.keep_digits(index, start),
                // A float has no more digits than it shows, so they are kept only where the definition asks for it.
                Cell::Float(_) | Cell::Double(_) if self.as_text(index) => self.keep_digits(index, start),
                _ => {}
            }
        }
    }

    /// Ends the row.
    ///
    /// # Panics
    /// When the row had fewer cells than there are columns, which is a bug in the caller.
    pub fn end_row(&mut self) {
        assert_eq!(self.at, self.columns.len(), "a row must have a cell for every column");
        self.rows += 1;
        self.end_line();
    }

    /// The headings, in order; empty before [`start`](Self::start).
    #[must_use]
    pub fn labels(&self) -> Vec<String> {
        self.columns.iter().filter(|c| !c.laid_out.hidden).map(|c| c.laid_out.label.clone()).collect()
    }

    /// Rows written so far, the header not counted.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes in the buffer.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.out.len()
    }

    /// Takes the bytes away. Called after [`end_row`](Self::end_row), so that a piece always ends at a row.
    #[must_use]
    pub fn take(&mut self) -> Vec<u8> {
        // The next piece will be about as long, give or take a row. Without the slack that row would double the buffer.
        let next = Vec::with_capacity(self.out.len() + self.out.len() / 16);
        std::mem::replace(&mut self.out, next)
    }

    /// What the profile changed so far, for the receipt.
    #[must_use]
    pub fn changes(&self) -> Changes {
        self.columns
            .iter()
            .filter(|column| column.changes != ColumnChanges::default())
            .map(|column| (column.laid_out.label.clone(), column.changes))
            .collect()
    }

    fn text_cell(&mut self, index: usize, text: &[u8]) {
        if !self.profile.spreadsheet {
            return self.push_text(text, false);
        }
        let as_text = self.as_text(index);
        let column = &mut self.columns[index];
        if is_long_number(text) || (as_text && is_number(text)) {
            column.changes.long_numbers_as_text += u64::from(!as_text);
            push_as_formula_text(&mut self.out, text);
            return;
        }
        let guard = column.guarded && runs_as_formula(text);
        column.changes.formulas_guarded += u64::from(guard);
        self.push_text(text, guard);
    }

    /// Rewrites the number that begins at `start` when a spreadsheet would not keep its digits.
    fn keep_digits(&mut self, index: usize, start: usize) {
        let as_text = self.as_text(index);
        if as_text || is_long_number(&self.out[start..]) {
            self.columns[index].changes.long_numbers_as_text += u64::from(!as_text);
            let digits = self.out.split_off(start);
            push_as_formula_text(&mut self.out, &digits);
        }
    }

    /// Whether the definition wants this column as text.
    fn as_text(&self, index: usize) -> bool {
        self.columns[index].laid_out.treat_as == Some(TreatAs::Text)
    }

    /// Appends a text field, quoted where it must be. The empty string is always quoted: bare, it would be `NULL`.
    fn push_text(&mut self, text: &[u8], guard: bool) {
        // Bare and alone on its line, `\.` is the end of the data to PostgreSQL's COPY.
        if text.is_empty() || text == b"\\." || self.quoting.should_quote(text) {
            self.out.push(QUOTE);
            if guard {
                self.out.push(b'\'');
            }
            push_doubling_quotes(&mut self.out, text);
            self.out.push(QUOTE);
        } else {
            if guard {
                self.out.push(b'\'');
            }
            self.out.extend_from_slice(text);
        }
    }

    fn delimit(&mut self) {
        if self.row_begun {
            self.out.push(b',');
        }
        self.row_begun = true;
    }

    fn end_line(&mut self) {
        self.out.extend_from_slice(self.profile.line_end.bytes());
        self.row_begun = false;
        self.at = 0;
    }
}

impl EncodedColumn {
    fn new(laid_out: LaidOut) -> Self {
        let guarded = match laid_out.treat_as {
            Some(treat_as) => treat_as == TreatAs::Text,
            None => laid_out.kind == ColumnKind::Text,
        };
        Self { laid_out, guarded, changes: ColumnChanges::default() }
    }
}

impl ColumnKind {
    fn fraction(self) -> u8 {
        match self {
            Self::Time { fraction } => fraction,
            _ => 0,
        }
    }
}

/// An empty byte string must not look like `NULL` either.
fn push_hex_or_empty(out: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.is_empty() {
        out.extend_from_slice(b"\"\"");
    } else {
        push_hex(out, bytes);
    }
}

/// Appends `="123"` as a quoted field: the one form in which Excel shows all digits and no stray character.
fn push_as_formula_text(out: &mut Vec<u8>, digits: &[u8]) {
    out.extend_from_slice(b"\"=\"\"");
    out.extend_from_slice(digits);
    out.extend_from_slice(b"\"\"\"");
}

fn push_doubling_quotes(out: &mut Vec<u8>, mut text: &[u8]) {
    while let Some(quote) = memchr::memchr(QUOTE, text) {
        out.extend_from_slice(&text[..=quote]);
        out.push(QUOTE);
        text = &text[quote + 1..];
    }
    out.extend_from_slice(text);
}
