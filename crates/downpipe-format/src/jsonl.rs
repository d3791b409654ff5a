//! The JSON Lines encoder: one object a row, one row a line. <https://jsonlines.org>, RFC 8259.
//!
//! A line holds what the database sent, in JSON's own types where it has them. Numbers keep every digit: it is the reader who
//! decides whether a binary number is enough for them.

use std::borrow::Cow;

use serde::de::IgnoredAny;

use crate::buffer::take_all;
use crate::cell::Cell;
use crate::changes::ColumnChanges;
use crate::column::ColumnKind;
use crate::encoder::{EncodeError, Encoder};
use crate::format::Format;
use crate::layout::{FileColumn, TreatAs, unique_labels};
use crate::number::{push_float, push_hex, push_integer};
use crate::value::push_value;

/// Writes rows as objects.
#[derive(Debug)]
pub(crate) struct JsonlEncoder {
    columns: Vec<JsonColumn>,
    out: Vec<u8>,
    /// What `out` may be next.
    spare: Vec<u8>,
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
    /// What stands before the value, the same in every row: `{"id":`, `,"total":`.
    key: Vec<u8>,
    kind: ColumnKind,
    /// The definition wants a string, whatever the value is.
    as_text: bool,
    /// The definition wants a number where the text is one.
    as_number: bool,
    changes: ColumnChanges,
}

impl JsonlEncoder {
    /// An encoder for these columns. Nothing stands before the first row.
    pub(crate) fn new(columns: &[FileColumn]) -> Self {
        let labelled = columns.iter().zip(unique_labels(columns)).enumerate();
        Self {
            columns: labelled.map(|(index, (column, label))| JsonColumn::new(index, column, label)).collect(),
            out: Vec::new(),
            spare: Vec::new(),
            text: Vec::new(),
            at: 0,
            rows: 0,
            error: None,
        }
    }

    fn push_cell(&mut self, cell: &Cell<'_>) -> Result<(), Unfit> {
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
            // The zeros of ZEROFILL must go: no number in JSON begins with one.
            Cell::Int(value) => push_integer(out, value, 0),
            Cell::UInt(value) => push_integer(out, value, 0),
            Cell::Decimal(digits) => return push_decimal(out, digits),
            // MySQL stores neither infinities nor NaN, and `null` for one would not be what it sent.
            Cell::Float(value) if !value.is_finite() => return Err(Unfit::NOT_FINITE),
            Cell::Double(value) if !value.is_finite() => return Err(Unfit::NOT_FINITE),
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
        if let Err(Unfit { expected, actual }) = self.push_cell(cell) {
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
        Ok(take_all(&mut self.out, &mut self.spare))
    }

    fn reuse(&mut self, buffer: Vec<u8>) {
        self.spare = buffer;
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
            // What a mask shows is no number, even where a hash happens to have no letters but an `e`.
            as_number: column.treat_as == Some(TreatAs::Number) && column.mask.is_none(),
            changes: ColumnChanges::default(),
        }
    }
}

/// Why a value cannot be in JSON.
struct Unfit {
    expected: &'static str,
    actual: &'static str,
}

impl Unfit {
    const NOT_FINITE: Self = Self { expected: "finite numbers", actual: "infinity or NaN" };
    const NO_DECIMAL: Self = Self { expected: "decimal numbers", actual: "something else" };
}

/// The text, with U+FFFD for bytes that are no UTF-8.
fn valid_utf8<'a>(text: &'a [u8], changes: &mut ColumnChanges) -> Cow<'a, str> {
    let valid = String::from_utf8_lossy(text);
    changes.invalid_text += u64::from(matches!(valid, Cow::Owned(_)));
    valid
}

/// Appends a string in quotes. Only what must be escaped is: text in any script stays readable in the file.
fn push_string(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut clean = text.as_bytes();
    while let Some(at) = clean.iter().position(|byte| MUST_ESCAPE[usize::from(*byte)]) {
        out.extend_from_slice(&clean[..at]);
        push_escape(out, clean[at]);
        clean = &clean[at + 1..];
    }
    out.extend_from_slice(clean);
    out.push(b'"');
}

/// The bytes that a string cannot have: control characters, the quote and the backslash (RFC 8259, section 7).
static MUST_ESCAPE: [bool; 256] = {
    let mut table = [false; 256];
    let mut control = 0;
    while control < 0x20 {
        table[control] = true;
        control += 1;
    }
    table[b'"' as usize] = true;
    table[b'\\' as usize] = true;
    table
};

fn push_escape(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0C => b'f',
        _ => {
            out.extend_from_slice(b"\\u00");
            return push_hex(out, &[byte]);
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Appends a `DECIMAL` with the digits that the server sent. Only what JSON has no room for goes: the zeros that `ZEROFILL`
/// puts in front. A number without a digit before the point, which MySQL does not send, gets its zero.
fn push_decimal(out: &mut Vec<u8>, text: &[u8]) -> Result<(), Unfit> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let point = memchr::memchr(b'.', digits).unwrap_or(digits.len());
    let (whole, fraction) = digits.split_at(point);
    let fraction = fraction.strip_prefix(b".").unwrap_or(fraction);
    if whole.len() + fraction.len() == 0 || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
        return Err(Unfit::NO_DECIMAL);
    }
    let zeros = whole.iter().take_while(|digit| **digit == b'0').count();
    if digits.len() < text.len() {
        out.push(b'-');
    }
    out.extend_from_slice(if zeros == whole.len() { b"0" } else { &whole[zeros..] });
    if !fraction.is_empty() {
        out.push(b'.');
        out.extend_from_slice(fraction);
    }
    Ok(())
}

/// Whether the text is a number as JSON writes them (RFC 8259, section 6), with nothing around it.
fn is_number(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let (whole, rest) = split_digits(digits);
    let (fraction, rest) = match rest.strip_prefix(b".") {
        Some(rest) => split_digits(rest),
        None => (&b"0"[..], rest),
    };
    let exponent = match rest.strip_prefix(b"e").or_else(|| rest.strip_prefix(b"E")) {
        Some(rest) => rest.strip_prefix(b"-").or_else(|| rest.strip_prefix(b"+")).unwrap_or(rest),
        None if rest.is_empty() => b"0",
        None => return false,
    };
    let (exponent, rest) = split_digits(exponent);
    let leading_zero = whole.len() > 1 && whole[0] == b'0';
    !leading_zero && rest.is_empty() && ![whole, fraction, exponent].iter().any(|digits| digits.is_empty())
}

fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|byte| byte.is_ascii_digit()).count())
}

/// Whether the text is one JSON value. The server has checked what it stores as JSON, but one value that is none would make the
/// whole line unreadable, and reading past it once costs less than fetching it did.
fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Appends a JSON value on one line. MySQL sends none with line breaks; if there were any, they could only be the white space
/// between tokens, as a string has them escaped.
fn push_json(out: &mut Vec<u8>, value: &str) {
    let start = out.len();
    out.extend_from_slice(value.as_bytes());
    if memchr::memchr2(b'\n', b'\r', value.as_bytes()).is_some() {
        for byte in out[start..].iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')) {
            *byte = b' ';
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Option<String> {
        let mut out = Vec::new();
        push_decimal(&mut out, text.as_bytes()).ok()?;
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn decimals_keep_their_digits_and_become_numbers() {
        for same in ["0", "-0.10", "12.50", "100", "0.000000000000000000000000000001", "-0.00"] {
            assert_eq!(decimal(same).as_deref(), Some(same));
        }
        for (sent, written) in
            [(".5", "0.5"), ("-.5", "-0.5"), ("007.50", "7.50"), ("-000", "-0"), ("1.", "1")]
        {
            assert_eq!(decimal(sent).as_deref(), Some(written));
        }
        for none in ["", "-", ".", "1e5", "1.2.3", "--1", " 1", "NaN"] {
            assert_eq!(decimal(none), None, "{none:?}");
        }
    }

    #[test]
    fn a_text_is_a_number_exactly_when_json_says_so() {
        for text in [
            "0", "-0", "10", "-1.50", "1e5", "1E+5", "1.5e-07", "0.0", "", "-", "01", "1.", ".5", "+1", "1e",
            "1e+", " 1", "1 ", "0x1", "1_000", "NaN", "true", "1.5.5", "１",
        ] {
            let begins_and_ends = |byte: u8| byte.is_ascii_digit() || byte == b'-';
            let bare = text.bytes().next().is_some_and(begins_and_ends)
                && text.bytes().last().is_some_and(begins_and_ends);
            let expected = bare && is_json(text);
            assert_eq!(is_number(text.as_bytes()), expected, "{text:?}");
        }
    }
}
