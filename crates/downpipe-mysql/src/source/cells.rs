//! Reads a value's bytes in the binary protocol as a [`Cell`].

use downpipe_core::source::SourceError;
use downpipe_format::{Cell, Date, Time};
use sqlx::error::UnexpectedNullError;
use sqlx::mysql::MySqlRow;
use sqlx::{Decode, MySql, Row as _};

use super::columns::WireType;
use crate::connection::error::of_query;

/// Reads the cell of a row at this column.
///
/// Asks for its bytes to learn whether it is `NULL`, because sqlx's own `is_null` takes `0000-00-00` for `NULL`, too.
///
/// Inlined, with [`decode`] and [`RowEncoder::cell`](downpipe_format::RowEncoder::cell), to keep a cell in registers. Returned
/// through memory, it is read in larger pieces than it was written in, and the processor waits for each. That took half as long
/// as everything else that is done with a row.
#[inline(always)]
pub(crate) fn read(row: &MySqlRow, index: usize, wire: WireType) -> Result<Cell<'_>, SourceError> {
    let value = row.try_get_raw(index).map_err(of_query)?;
    match <&[u8] as Decode<MySql>>::decode(value) {
        Ok(bytes) => {
            let error = || malformed(index, wire, &format!("{} bytes that are none", bytes.len()));
            decode(bytes, wire).ok_or_else(error)
        }
        Err(error) if error.is::<UnexpectedNullError>() => Ok(Cell::Null),
        Err(error) => Err(malformed(index, wire, &error.to_string())),
    }
}

#[inline(always)]
fn decode(bytes: &[u8], wire: WireType) -> Option<Cell<'_>> {
    Some(match wire {
        WireType::Int => Cell::Int(match bytes.len() {
            1 => i64::from(i8::from_le_bytes(bytes.try_into().ok()?)),
            2 => i64::from(i16::from_le_bytes(bytes.try_into().ok()?)),
            4 => i64::from(i32::from_le_bytes(bytes.try_into().ok()?)),
            _ => i64::from_le_bytes(bytes.try_into().ok()?),
        }),
        WireType::UInt => Cell::UInt(match bytes.len() {
            1 => u64::from(u8::from_le_bytes(bytes.try_into().ok()?)),
            2 => u64::from(u16::from_le_bytes(bytes.try_into().ok()?)),
            4 => u64::from(u32::from_le_bytes(bytes.try_into().ok()?)),
            _ => u64::from_le_bytes(bytes.try_into().ok()?),
        }),
        WireType::Float => Cell::Float(f32::from_le_bytes(bytes.try_into().ok()?)),
        WireType::Double => Cell::Double(f64::from_le_bytes(bytes.try_into().ok()?)),
        WireType::Decimal => Cell::Decimal(bytes),
        WireType::Text => Cell::Text(bytes),
        WireType::Bytes => Cell::Bytes(bytes),
        WireType::Bit if bytes.len() > 8 => return None,
        WireType::Bit => Cell::UInt(bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))),
        WireType::Date => Cell::Date(date(fields(bytes)?)?),
        WireType::DateTime => {
            let fields = fields(bytes)?;
            let (day, time_of_day) = fields.split_at(fields.len().min(4));
            Cell::DateTime(date(day)?, clock(time_of_day)?)
        }
        WireType::Time => Cell::Time(duration(fields(bytes)?)?),
    })
}

/// Returns the fields behind the length byte.
fn fields(bytes: &[u8]) -> Option<&[u8]> {
    let (length, fields) = bytes.split_first()?;
    (usize::from(*length) == fields.len()).then_some(fields)
}

/// Reads a date. The formats rely on these limits, beyond which no server sends a number.
fn date(fields: &[u8]) -> Option<Date> {
    let date = match *fields {
        [] => Date::default(),
        [low, high, month, day] => Date { year: u16::from_le_bytes([low, high]), month, day },
        _ => return None,
    };
    (date.year <= 9999 && date.month <= 12 && date.day <= 31).then_some(date)
}

/// Reads a time of day, within the limits that the formats rely on.
fn clock(fields: &[u8]) -> Option<Time> {
    let (hours, minutes, seconds, microseconds) = match *fields {
        [] => (0, 0, 0, 0),
        [hours, minutes, seconds] => (hours, minutes, seconds, 0),
        [hours, minutes, seconds, a, b, c, d] => (hours, minutes, seconds, u32::from_le_bytes([a, b, c, d])),
        _ => return None,
    };
    let time = Time { negative: false, hours: hours.into(), minutes, seconds, microseconds };
    (hours <= 23 && minutes <= 59 && seconds <= 59 && microseconds <= 999_999).then_some(time)
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

fn malformed(index: usize, wire: WireType, got: &str) -> SourceError {
    let message = format!("column {}: expected a {wire:?} on the wire, got {got}", index + 1);
    SourceError::QueryFailed { code: 0, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_and_time_without_zero_fields_are_read() {
        let date = Date { year: 2026, month: 2, day: 0 };
        let time = Time { hours: 23, minutes: 59, seconds: 58, ..Time::default() };
        let micros = Time { microseconds: 999_999, ..time };
        for (bytes, cell) in [
            (&[0][..], Cell::DateTime(Date::default(), Time::default())),
            (&[4, 0xEA, 7, 2, 0], Cell::DateTime(date, Time::default())),
            (&[7, 0xEA, 7, 2, 0, 23, 59, 58], Cell::DateTime(date, time)),
            (&[11, 0xEA, 7, 2, 0, 23, 59, 58, 0x3F, 0x42, 0x0F, 0], Cell::DateTime(date, micros)),
        ] {
            assert_eq!(decode(bytes, WireType::DateTime), Some(cell));
        }
        assert_eq!(decode(&[4, 0xEA, 7, 2, 0], WireType::Date), Some(Cell::Date(date)));
        let longest = Time { negative: true, hours: 838, minutes: 59, seconds: 59, microseconds: 0 };
        assert_eq!(decode(&[8, 1, 34, 0, 0, 0, 22, 59, 59], WireType::Time), Some(Cell::Time(longest)));
    }

    #[test]
    fn bytes_of_no_date_or_time_are_refused() {
        for bytes in [
            &[][..],
            // Cut short, and longer than it says.
            &[4, 0xEA, 7, 2],
            &[5, 0xEA, 7, 2, 1, 0],
            &[4, 0xEA, 7, 2, 1, 0],
            // The year 10,000, a thirteenth month, a 32nd day.
            &[4, 0x10, 0x27, 1, 1],
            &[4, 0xEA, 7, 13, 1],
            &[4, 0xEA, 7, 1, 32],
            &[7, 0xEA, 7, 1, 1, 24, 0, 0],
            &[7, 0xEA, 7, 1, 1, 0, 60, 0],
            &[7, 0xEA, 7, 1, 1, 0, 0, 60],
            // A million microseconds.
            &[11, 0xEA, 7, 1, 1, 0, 0, 0, 0x40, 0x42, 0x0F, 0],
        ] {
            assert_eq!(decode(bytes, WireType::DateTime), None, "{bytes:?}");
        }
        // A time behind a date would be lost.
        assert_eq!(decode(&[7, 0xEA, 7, 1, 1, 1, 1, 1], WireType::Date), None);
        assert_eq!(decode(&[8, 0, 0, 0, 0, 0, 1, 99, 1], WireType::Time), None);
        assert_eq!(decode(&[8, 0, 0xFF, 0xFF, 0xFF, 0xFF, 1, 1, 1], WireType::Time), None);
    }

    #[test]
    fn bits_are_read_big_endian_up_to_64() {
        assert_eq!(decode(&[1, 2], WireType::Bit), Some(Cell::UInt(0x102)));
        assert_eq!(decode(&[0xFF; 8], WireType::Bit), Some(Cell::UInt(u64::MAX)));
        assert_eq!(decode(&[0; 9], WireType::Bit), None);
    }
}
