//! Describes a result's columns.

/// A column of the result, as the database describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The column's name or alias in the query. It may be empty, and others may have the same.
    pub name: String,
    /// What its cells are.
    pub kind: ColumnKind,
}

/// The kind of a column, with what is needed to write its cells as MySQL shows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// `TINYINT` to `BIGINT`, `BOOLEAN`, `YEAR`.
    Integer {
        /// 8, 16, 32 or 64.
        bits: u8,
        /// Whether its values are never negative.
        unsigned: bool,
        /// The display width in digits that `ZEROFILL` pads to with zeros; 0 pads nothing.
        zerofill: u8,
    },
    /// `BIT(1)` to `BIT(64)`, shown as a whole number.
    Bit,
    /// `DECIMAL`.
    Decimal {
        /// Characters of the longest value without the sign: 1 to 66. Includes the point of a column with a scale. Only its values
        /// show whether it has one.
        width: u8,
    },
    /// `FLOAT`.
    Float,
    /// `DOUBLE`.
    Double,
    /// Text of any length, `ENUM`, `SET`.
    Text,
    /// `JSON`.
    Json,
    /// Bytes without a character set: `BINARY` to `LONGBLOB`, `GEOMETRY`.
    Bytes,
    /// `DATE`.
    Date,
    /// `DATETIME(n)`: a date and a time on an unknown clock.
    DateTime {
        /// Digits after the seconds, 0 to 6.
        fraction: u8,
    },
    /// `TIMESTAMP(n)`: an instant, on the clock of the session's zone ([`Style::session_zone`](crate::Style::session_zone)).
    Timestamp {
        /// Digits after the seconds, 0 to 6.
        fraction: u8,
    },
    /// `TIME(n)`: a signed duration.
    Time {
        /// Digits after the seconds, 0 to 6.
        fraction: u8,
    },
}

impl ColumnKind {
    /// Returns the digits after the seconds.
    pub(crate) fn fraction(self) -> u8 {
        match self {
            Self::DateTime { fraction } | Self::Timestamp { fraction } | Self::Time { fraction } => fraction,
            _ => 0,
        }
    }

    /// Returns the name for an error message.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Integer { .. } | Self::Bit => "whole numbers",
            Self::Decimal { .. } => "decimal numbers",
            Self::Float | Self::Double => "floating-point numbers",
            Self::Text => "text",
            Self::Json => "JSON",
            Self::Bytes => "bytes",
            Self::Date => "dates",
            Self::DateTime { .. } => "dates with a time",
            Self::Timestamp { .. } => "timestamps",
            Self::Time { .. } => "times",
        }
    }
}
