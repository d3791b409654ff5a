//! Decides what becomes of the values of a column: a number, a text, or nothing.

use super::serial;
use super::shown::Shown;
use crate::model::{Cell, ColumnChanges, ColumnKind, Date, FileColumn, Time, TreatAs};
use crate::text::{loses_digits, push_float, push_value};

/// The least whole number of 16 digits, which Excel does not keep.
const TOO_LONG: u64 = 1_000_000_000_000_000;

/// The longest `ZEROFILL` that stays a number: Excel keeps as many digits.
const ZEROFILL_DIGITS: u8 = 15;

/// A column of a sheet.
#[derive(Debug)]
pub(super) struct XlsxColumn {
    pub(super) name: String,
    kind: ColumnKind,
    treat_as: Option<TreatAs>,
    pub(super) changes: ColumnChanges,
}

/// What becomes of a value.
#[derive(Debug, PartialEq)]
pub(super) enum Value<'a> {
    Nothing,
    Number(f64, Shown),
    Text(&'a [u8]),
}

impl XlsxColumn {
    pub(super) fn new(column: &FileColumn) -> Self {
        Self {
            name: column.name.clone(),
            kind: column.kind,
            treat_as: column.treat_as,
            changes: ColumnChanges::default(),
        }
    }

    /// Returns what becomes of a cell. A text that the cell does not have as it is, is written to `text`.
    pub(super) fn value<'a>(&mut self, cell: &Cell<'a>, text: &'a mut Vec<u8>) -> Value<'a> {
        let number = match *cell {
            Cell::Null => return Value::Nothing,
            Cell::Text(text) if self.treat_as == Some(TreatAs::Number) => self.number_in(text),
            Cell::Text(text) => return Value::Text(text),
            _ if self.treat_as == Some(TreatAs::Text) => None,
            Cell::Int(value) => self.integer(value.unsigned_abs(), value as f64),
            Cell::UInt(value) => self.integer(value, value as f64),
            Cell::Float(value) => {
                // By its decimal digits, because `0.1` as a single is not `0.1` as a double.
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

    fn integer(&mut self, magnitude: u64, value: f64) -> Option<(f64, Shown)> {
        let zerofill = match self.kind {
            ColumnKind::Integer { zerofill, .. } => zerofill,
            _ => 0,
        };
        let keeps = magnitude < TOO_LONG && zerofill <= ZEROFILL_DIGITS;
        self.changes.numbers_as_text += u64::from(!keeps);
        keeps.then_some((value, Shown::Number { integer: zerofill.max(1), fraction: 0 }))
    }

    fn decimal(&mut self, digits: &[u8]) -> Option<(f64, Shown)> {
        let loses = loses_digits(digits);
        self.changes.numbers_as_text += u64::from(loses);
        let number = if loses { None } else { as_number(digits) };
        number.map(|number| (number, Shown::like(digits)))
    }

    /// Returns the number that a text is, where the definition treats the column's texts as numbers.
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

    /// Returns the digits after the seconds: the column's, or three where a value has more than the column declares.
    fn shown_fraction(&mut self, time: Time) -> u8 {
        self.changes.microseconds_hidden += u64::from(!time.microseconds.is_multiple_of(1000));
        let fraction = self.kind.fraction().min(3);
        let declared = 10_u32.pow(6 - u32::from(fraction));
        if time.microseconds.is_multiple_of(declared) { fraction } else { 3 }
    }
}

/// Returns whether a text is digits, with at most a sign and a point.
fn is_plain_number(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let mut parts = digits.splitn(2, |byte| *byte == b'.');
    parts.all(|part| !part.is_empty() && part.iter().all(u8::is_ascii_digit))
}

/// Returns the number nearest to a decimal text.
fn as_number(text: &[u8]) -> Option<f64> {
    std::str::from_utf8(text).ok()?.parse().ok().filter(|number: &f64| number.is_finite())
}
