//! Checks Parquet: the file has every value in the column's type.

#![no_main]

use std::convert::Infallible;
use std::str::FromStr;

use bytes::Bytes;
use downpipe_format::{Compression, Date, Format, Profile, Style, Time};
use downpipe_fuzz::{Table, TableColumn, Value, write};
use libfuzzer_sys::fuzz_target;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Field;

fuzz_target!(|table: Table| {
    let style =
        Style::new(Profile::PLAIN, Format::Parquet, Compression::None).expect("Parquet may be as it is");
    let written = write(&style, &table).expect("Parquet takes every value");
    let no_dates = table.cells().filter(|(column, value)| is_no_date(column, value)).count() as u64;
    assert_eq!(no_dates, written.changes.iter().map(|(_, c)| c.zero_dates_as_null).sum::<u64>());

    let reader = SerializedFileReader::new(Bytes::from(written.bytes)).expect("a Parquet file");
    let mut rows = 0;
    for (values, row) in table.rows.iter().zip(reader.get_row_iter(None).expect("rows")) {
        let row = row.expect("a row");
        assert_eq!(row.len(), table.columns.len());
        for ((column, value), (name, read)) in table.columns.iter().zip(values).zip(row.get_column_iter()) {
            assert!(is_same(column, value, read), "{value:?} of {name:?} was read as {read:?}");
        }
        rows += 1;
    }
    assert_eq!(rows, table.rows.len());
    assert_eq!(reader.metadata().file_metadata().num_rows(), table.rows.len() as i64);
});

fn is_no_date(column: &TableColumn, value: &Value) -> bool {
    column.treat_as != Some(downpipe_format::TreatAs::Text)
        && match value {
            Value::Date(date) | Value::DateTime(date, _) => days(*date).is_none(),
            _ => false,
        }
}

fn is_same(column: &TableColumn, value: &Value, read: &Field) -> bool {
    if *value == Value::Null || is_no_date(column, value) {
        return *read == Field::Null;
    }
    match (value, read) {
        (Value::Bytes(bytes), Field::Bytes(read)) => bytes == read.data(),
        (_, Field::Str(text)) => value.is(text, column.column.kind),
        (Value::Int(value), Field::Byte(read)) => *value == i64::from(*read),
        (Value::Int(value), Field::Short(read)) => *value == i64::from(*read),
        (Value::Int(value), Field::Int(read)) => *value == i64::from(*read),
        (Value::Int(value), Field::Long(read)) => value == read,
        (Value::UInt(value), Field::UByte(read)) => *value == u64::from(*read),
        (Value::UInt(value), Field::UShort(read)) => *value == u64::from(*read),
        (Value::UInt(value), Field::UInt(read)) => *value == u64::from(*read),
        (Value::UInt(value), Field::ULong(read)) => value == read,
        (Value::Float(value), Field::Float(read)) => value.to_bits() == read.to_bits(),
        (Value::Double(value), Field::Double(read)) => value.to_bits() == read.to_bits(),
        (Value::Decimal(digits), Field::Decimal(read)) => {
            let fraction = digits.split_once('.').map_or(0, |(_, fraction)| fraction.len());
            let scale = usize::try_from(read.scale()).expect("a scale");
            // The type has more digits than the values only where every value is a bare zero.
            let is_scale = fraction == scale || Whole::of(read.data()).digits.is_empty();
            let digits = digits.replace('.', "") + &"0".repeat(scale.saturating_sub(fraction));
            is_scale && digits.parse() == Ok(Whole::of(read.data()))
        }
        (Value::Date(date), Field::Date(read)) => days(*date) == Some(i64::from(*read)),
        (Value::DateTime(date, time), Field::TimestampMicros(read)) => {
            days(*date).map(|days| days * 86_400_000_000 + microseconds(*time)) == Some(*read)
        }
        _ => false,
    }
}

/// A whole number of any length.
#[derive(PartialEq)]
struct Whole {
    negative: bool,
    /// The digits without leading zeros.
    digits: String,
}

impl Whole {
    /// Reads a big-endian number in two's complement.
    fn of(bytes: &[u8]) -> Self {
        let negative = bytes[0] >= 0x80;
        let mut magnitude: Vec<u8> = bytes.iter().map(|byte| if negative { !byte } else { *byte }).collect();
        if negative {
            for byte in magnitude.iter_mut().rev() {
                *byte = byte.wrapping_add(1);
                if *byte != 0 {
                    break;
                }
            }
        }
        let mut digits = Vec::new();
        while magnitude.iter().any(|byte| *byte != 0) {
            let mut rest = 0_u16;
            for byte in &mut magnitude {
                let number = rest * 256 + u16::from(*byte);
                *byte = (number / 10) as u8;
                rest = number % 10;
            }
            digits.push(char::from(b'0' + rest as u8));
        }
        Self { negative, digits: digits.into_iter().rev().collect() }
    }
}

impl FromStr for Whole {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let digits = text.trim_start_matches('-').trim_start_matches('0').to_owned();
        Ok(Self { negative: text.starts_with('-'), digits })
    }
}

/// Returns the days since 1970-01-01, if the date exists.
fn days(date: Date) -> Option<i64> {
    let date = jiff::civil::Date::new(
        i16::try_from(date.year).ok()?,
        i8::try_from(date.month).ok()?,
        i8::try_from(date.day).ok()?,
    );
    Some(i64::from(date.ok()?.since(jiff::civil::date(1970, 1, 1)).ok()?.get_days()))
}

fn microseconds(time: Time) -> i64 {
    let seconds = time.hours * 3600 + u32::from(time.minutes) * 60 + u32::from(time.seconds);
    i64::from(seconds) * 1_000_000 + i64::from(time.microseconds)
}
