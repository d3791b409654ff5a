//! The CSV encoder.
//!
//! What must be quoted is `csv-core`'s judgement, the engine of the `csv` crate. `csv::Writer` itself writes `NULL` and the
//! empty string alike, and our files must tell them apart; it stays as the reference in this crate's tests.

use crate::buffer::take_all;
use crate::cell::Cell;
use crate::changes::ColumnChanges;
use crate::charset::Charset;
use crate::column::ColumnKind;
use crate::encoder::{EncodeError, Encoder};
use crate::guard::{has_leading_zeros, is_number, loses_digits, runs_as_formula};
use crate::layout::{FileColumn, TreatAs};
use crate::profile::{Profile, Quoting};
use crate::value::push_value;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// What Excel takes between quotes in a formula: 255 characters, of which none has less than a byte.
/// <https://support.microsoft.com/office/1672db73-8c91-4bb8-b25c-4e50d2f2b0f5>
const LITERAL_BYTES: usize = 255;

/// Writes rows as a profile says.
#[derive(Debug)]
pub(crate) struct CsvEncoder {
    profile: Profile,
    columns: Vec<CsvColumn>,
    judge: csv_core::Writer,
    /// Texts that mean something else when they are bare.
    words: Words,
    /// What is no text is written as it is: neither quoted nor looked at again.
    bare_numbers: bool,
    /// UTF-8 is not the file's encoding.
    encodes: bool,
    out: Vec<u8>,
    /// What `out` may be next.
    spare: Vec<u8>,
    /// A field on its way into another encoding.
    field: Vec<u8>,
    /// The column of the cell that is being written, or else of the next.
    at: usize,
}

#[derive(Debug)]
struct CsvColumn {
    kind: ColumnKind,
    /// Text in the eyes of a spreadsheet: formulas are guarded here.
    guarded: bool,
    /// The definition wants it shown as it is.
    as_text: bool,
    /// The definition says that its texts are numbers.
    as_number: bool,
    changes: ColumnChanges,
}

impl CsvEncoder {
    /// An encoder for these columns, with what stands before the first row: byte order mark and header. What had to be changed in
    /// the headings is counted in the first file only.
    pub(crate) fn new(profile: &Profile, columns: &[FileColumn], first: bool) -> Self {
        let judge = csv_core::WriterBuilder::new().delimiter(profile.delimiter).quote(profile.quote).build();
        let mut encoder = Self {
            profile: profile.clone(),
            columns: columns.iter().map(|column| CsvColumn::new(column, profile)).collect(),
            judge,
            words: Words::of(profile),
            bare_numbers: profile.quoting == Quoting::Needed
                && !profile.spreadsheet
                && profile.decimal == b'.',
            encodes: profile.charset != Charset::UTF_8,
            out: Vec::new(),
            spare: Vec::new(),
            field: Vec::new(),
            at: 0,
        };
        if profile.byte_order_mark {
            encoder.out.extend_from_slice(BYTE_ORDER_MARK);
        }
        if profile.header {
            for column in columns {
                // A label comes from the definition, but a column name without one can come from anywhere.
                let guard = profile.guard && runs_as_formula(column.label.as_bytes());
                let start = encoder.begin_field();
                encoder.columns[encoder.at].changes.formulas_guarded += u64::from(guard);
                encoder.push_text(column.label.as_bytes(), guard);
                encoder.end_field(start);
            }
            encoder.end_line();
        }
        if !first {
            encoder.columns.iter_mut().for_each(|column| column.changes = ColumnChanges::default());
        }
        encoder
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

    /// Fields are written in UTF-8; this brings the one that began here into the file's encoding. Kept apart, because most
    /// files stay in UTF-8.
    #[inline(never)]
    fn encode(&mut self, start: usize) {
        self.field.clear();
        self.field.extend_from_slice(&self.out[start..]);
        self.out.truncate(start);
        self.profile.charset.encode(&self.field, &mut self.out, &mut self.columns[self.at].changes);
    }

    fn end_line(&mut self) {
        self.out.extend_from_slice(self.profile.line_end.bytes());
        self.at = 0;
    }

    fn text_cell(&mut self, text: &[u8]) {
        let column = &mut self.columns[self.at];
        if self.profile.spreadsheet && is_literal(text) {
            let spoilt = loses_digits(text) || has_leading_zeros(text);
            if spoilt || column.as_text {
                column.changes.numbers_as_text += u64::from(spoilt && !column.as_text);
                return self.push_formula_text(text);
            }
        }
        let guard = column.guarded && runs_as_formula(text) && !(column.as_number && is_number(text));
        column.changes.formulas_guarded += u64::from(guard);
        self.push_text(text, guard);
    }

    /// A value that is no text, and so has nothing to be quoted or guarded.
    fn plain_cell(&mut self, cell: &Cell<'_>, start: usize) {
        push_value(&mut self.out, cell, self.columns[self.at].kind);
        if !self.bare_numbers {
            self.adapt_number(cell, start);
        }
    }

    /// Brings the value that was written from here on into the profile's form: its point, its quotes, and a text where a
    /// spreadsheet would not keep the digits.
    fn adapt_number(&mut self, cell: &Cell<'_>, start: usize) {
        let column = &mut self.columns[self.at];
        let written = &self.out[start..];
        let spoilt = self.profile.spreadsheet
            && match *cell {
                Cell::Int(_) | Cell::UInt(_) | Cell::Decimal(_) => {
                    loses_digits(written) || has_leading_zeros(written)
                }
                // Hexadecimal may look like a number: 0012, 12E4.
                Cell::Bytes(_) => is_number(written),
                // A double has no more digits than it needs, and what a spreadsheet shows of them is its own affair.
                _ => false,
            };
        if self.profile.decimal != b'.' && matches!(cell, Cell::Decimal(_) | Cell::Float(_) | Cell::Double(_))
        {
            for byte in self.out[start..].iter_mut().filter(|byte| **byte == b'.') {
                *byte = self.profile.decimal;
            }
        }
        if spoilt || (self.profile.spreadsheet && column.as_text && self.out.len() - start <= LITERAL_BYTES) {
            column.changes.numbers_as_text += u64::from(!column.as_text);
            let digits = self.out.split_off(start);
            self.push_formula_text(&digits);
        } else if self.profile.quoting == Quoting::Always {
            self.out.insert(start, self.profile.quote);
            self.out.push(self.profile.quote);
        }
    }

    /// Appends `="123"`: the one form in which Excel takes a text as it is and shows no stray character.
    fn push_formula_text(&mut self, text: &[u8]) {
        let quote = self.profile.quote;
        self.out.push(quote);
        push_doubling(&mut self.out, b"=\"", quote);
        // Quotes are doubled for the formula, and again for CSV.
        for (index, piece) in text.split(|byte| *byte == b'"').enumerate() {
            if index > 0 {
                push_doubling(&mut self.out, b"\"\"", quote);
            }
            push_doubling(&mut self.out, piece, quote);
        }
        push_doubling(&mut self.out, b"\"", quote);
        self.out.push(quote);
    }

    /// Appends a text field, quoted where it must be. The empty string is always quoted: bare, it could be `NULL`.
    fn push_text(&mut self, text: &[u8], guard: bool) {
        let quoted = self.profile.quoting == Quoting::Always
            || self.words.contain(text)
            // In another encoding it may become something that must be quoted.
            || (self.encodes && !text.is_ascii())
            // The apostrophe in front would be taken for the quote.
            || (guard && self.profile.quote == b'\'')
            || self.judge.should_quote(text);
        if quoted {
            self.out.push(self.profile.quote);
        }
        if guard {
            push_doubling(&mut self.out, b"'", self.profile.quote);
        }
        match (quoted, self.profile.escape) {
            (_, true) => self.push_escaping(text, quoted),
            (true, false) => push_doubling(&mut self.out, text, self.profile.quote),
            (false, false) => self.out.extend_from_slice(text),
        }
        if quoted {
            self.out.push(self.profile.quote);
        }
    }

    /// Appends with backslashes doubled, and quotes too where the field is quoted.
    fn push_escaping(&mut self, text: &[u8], quoted: bool) {
        for &byte in text {
            if byte == b'\\' || (quoted && byte == self.profile.quote) {
                self.out.push(byte);
            }
            self.out.push(byte);
        }
    }
}

/// Texts that are quoted although nothing in them asks for it.
#[derive(Debug)]
struct Words {
    words: Vec<Vec<u8>>,
    longest: usize,
}

impl Words {
    fn of(profile: &Profile) -> Self {
        // The empty text could be `NULL`. Alone on its line, `\.` is the end of the data to PostgreSQL's COPY.
        let mut words = vec![Vec::new(), profile.null.as_bytes().to_vec(), b"\\.".to_vec()];
        if profile.escape {
            // LOAD DATA takes this word for what it says.
            words.push(b"NULL".to_vec());
        }
        let longest = words.iter().map(Vec::len).max().unwrap_or_default();
        Self { words, longest }
    }

    fn contain(&self, text: &[u8]) -> bool {
        // Of most texts the length says it.
        text.len() <= self.longest && self.words.iter().any(|word| word == text)
    }
}

impl Encoder for CsvEncoder {
    fn cell(&mut self, cell: &Cell<'_>) {
        let start = self.begin_field();
        match *cell {
            Cell::Null => self.out.extend_from_slice(self.profile.null.as_bytes()),
            Cell::Text(text) => self.text_cell(text),
            // Empty bytes must not look like NULL either.
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
        Ok(take_all(&mut self.out, &mut self.spare))
    }

    fn reuse(&mut self, buffer: Vec<u8>) {
        self.spare = buffer;
    }

    fn changes(&self) -> Vec<ColumnChanges> {
        self.columns.iter().map(|column| column.changes).collect()
    }
}

impl CsvColumn {
    fn new(column: &FileColumn, profile: &Profile) -> Self {
        // JSON cannot begin like a formula that does anything: -5 is a number, and texts have quotes.
        let text = column.kind == ColumnKind::Text || column.treat_as == Some(TreatAs::Text);
        Self {
            kind: column.kind,
            guarded: profile.guard && text,
            as_text: column.treat_as == Some(TreatAs::Text),
            as_number: column.treat_as == Some(TreatAs::Number),
            changes: ColumnChanges::default(),
        }
    }
}

/// Whether Excel takes the text between quotes in a formula.
fn is_literal(text: &[u8]) -> bool {
    (1..=LITERAL_BYTES).contains(&text.len()) && !text.iter().any(u8::is_ascii_control)
}

fn push_doubling(out: &mut Vec<u8>, mut text: &[u8], quote: u8) {
    while let Some(at) = memchr::memchr(quote, text) {
        out.extend_from_slice(&text[..=at]);
        out.push(quote);
        text = &text[at + 1..];
    }
    out.extend_from_slice(text);
}
