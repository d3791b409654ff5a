//! A value of a row, in a form that belongs to no SQL driver.
//!
//! A cell borrows from the driver's buffer, so it costs no allocation. Its variant says how the value is carried. The
//! [`Column`](crate::Column) says how it is written, with how many digits after the seconds for example.

/// A value as the database sent it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    /// SQL `NULL`.
    Null,
    /// A signed integer: `TINYINT` to `BIGINT`, `YEAR`.
    Int(i64),
    /// An unsigned integer: the unsigned types, `BIT(1)` to `BIT(64)`.
    UInt(u64),
    /// `FLOAT`, in single precision, so that `0.1` is not written as `0.10000000149011612`.
    Float(f32),
    /// `DOUBLE`.
    Double(f64),
    /// `DECIMAL`, as the ASCII digits that the server sent. A binary number would lose some.
    Decimal(&'a [u8]),
    /// Text in UTF-8, to which the server converts every character set: `CHAR` to `LONGTEXT`, `ENUM`, `SET`, `JSON`.
    Text(&'a [u8]),
    /// Bytes without a character set: `BINARY` to `LONGBLOB`, `GEOMETRY`.
    Bytes(&'a [u8]),
    /// `DATE`.
    Date(Date),
    /// `DATETIME` and `TIMESTAMP`.
    DateTime(Date, Time),
    /// `TIME`, which is a signed duration and no time of day.
    Time(Time),
}

/// A date as MySQL stores it. Dates that do not exist, such as `0000-00-00` and `2026-02-00`, are values in MySQL, and must not be
/// lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Date {
    /// 0 to 9999.
    pub year: u16,
    /// 0 to 12.
    pub month: u8,
    /// 0 to 31.
    pub day: u8,
}

/// A time of day, or the duration of MySQL's `TIME` (up to 838 hours either way).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Time {
    /// Only `TIME` can be negative.
    pub negative: bool,
    /// 0 to 838.
    pub hours: u32,
    /// 0 to 59.
    pub minutes: u8,
    /// 0 to 59.
    pub seconds: u8,
    /// 0 to 999,999.
    pub microseconds: u32,
}
