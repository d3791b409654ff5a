//! A value's bytes in the binary protocol, read as a [`Cell`].

use downpipe_core::source::SourceError;
use downpipe_format::{Cell, Date, Time};
use sqlx::mysql::{MySqlRow, MySqlValueRef};
use sqlx::{Decode, MySql, Row as _, ValueRef as _};

use crate::columns::Wire;
use crate::errors::of_query;

/// The cell of a row at this column.
pub(crate) fn read(row: &MySqlRow, index: usize, wire: Wire) -> Result<Cell<'_>, SourceError> {
    let value = row.try_get_raw(index).map_err(of_query)?;
    if value.is_null() {
        return Ok(zero_date_or_null(value, wire));
    }
    let bytes = <&[u8] as Decode<MySql>>::decode(value)
        .map_err(|error| malformed(index, wire, &error.to_string()))?;
    decode(bytes, wire).ok_or_else(|| malformed(index, wire, &format!("{} bytes", bytes.len())))
}

/// sqlx takes `0000-00-00` for `NULL`. Only when asked for the bytes does it tell them apart, and then with an error for
/// `NULL`, so only columns that can hold a zero date are asked.
fn zero_date_or_null(value: MySqlValueRef<'_>, wire: Wire) -> Cell<'static> {
    if !matches!(wire, Wire::Date | Wire::DateTime) || <&[u8] as Decode<MySql>>::decode(value).is_err() {
        return Cell::Null;
    }
    match wire {
        Wire::Date => Cell::Date(Date::default()),
        _ => Cell::DateTime(Date::default(), Time::default()),
    }
}

fn decode(bytes: &[u8], wire: Wire) -> Option<Cell<'_>> {
    Some(match wire {
        Wire::Int => Cell::Int(match bytes.len() {
            1 => i64::from(i8::from_le_bytes(bytes.try_into().ok()?)),
            2 => i64::from(i16::from_le_bytes(bytes.try_into().ok()?)),
            4 => i64::from(i32::from_le_bytes(bytes.try_into().ok()?)),
            _ => i64::from_le_bytes(bytes.try_into().ok()?),
        }),
        Wire::UInt => Cell::UInt(match bytes.len() {
            1 => u64::from(u8::from_le_bytes(bytes.try_into().ok()?)),
            2 => u64::from(u16::from_le_bytes(bytes.try_into().ok()?)),
            4 => u64::from(u32::from_le_bytes(bytes.try_into().ok()?)),
            _ => u64::from_le_bytes(bytes.try_into().ok()?),
        }),
        Wire::Float => Cell::Float(f32::from_le_bytes(bytes.try_into().ok()?)),
        Wire::Double => Cell::Double(f64::from_le_bytes(bytes.try_into().ok()?)),
        Wire::Decimal => Cell::Decimal(bytes),
        Wire::Text => Cell::Text(bytes),
        Wire::Bytes => Cell::Bytes(bytes),
        Wire::Bit => {
            let value = bytes.iter().fold(0, |value: u64, byte| value << 8 | u64::from(*byte));
            (bytes.len() <= 8).then_some(Cell::UInt(value))?
        }
        Wire::Date => Cell::Date(date(fields(bytes)?)?),
        Wire::DateTime => {
            let fields = fields(bytes)?;
            Cell::DateTime(date(fields)?, clock(fields.get(4..).unwrap_or_default())?)
        }
        Wire::Time => Cell::Time(duration(fields(bytes)?)?),
    })
}

/// The fields behind the length byte.
fn fields(bytes: &[u8]) -> Option<&[u8]> {
    let (length, fields) = bytes.split_first()?;
    (usize::from(*length) == fields.len()).then_some(fields)
}

fn date(fields: &[u8]) -> Option<Date> {
    match fields {
        [] => Some(Date::default()),
        [low, high, month, day, ..] => {
            Some(Date { year: u16::from_le_bytes([*low, *high]), month: *month, day: *day })
        }
        _ => None,
    }
}

fn clock(fields: &[u8]) -> Option<Time> {
    let whole =
        |hours: u8, minutes, seconds| Time { hours: hours.into(), minutes, seconds, ..Time::default() };
    match *fields {
        [] => Some(Time::default()),
        [hours, minutes, seconds] => Some(whole(hours, minutes, seconds)),
        [hours, minutes, seconds, a, b, c, d] => {
            Some(Time { microseconds: u32::from_le_bytes([a, b, c, d]), ..whole(hours, minutes, seconds) })
        }
        _ => None,
    }
}

fn duration(fields: &[u8]) -> Option<Time> {
    match fields {
        [] => Some(Time::default()),
        [negative, a, b, c, d, rest @ ..] => {
            let days = u32::from_le_bytes([*a, *b, *c, *d]);
            let clock = clock(rest)?;
            let hours = days.checked_mul(24)?.checked_add(clock.hours)?;
            Some(Time { negative: *negative != 0, hours, ..clock })
        }
        _ => None,
    }
}

fn malformed(index: usize, wire: Wire, got: &str) -> SourceError {
    let message = format!("column {}: expected a {wire:?} on the wire, got {got}", index + 1);
    SourceError::QueryFailed { code: 0, message }
}
