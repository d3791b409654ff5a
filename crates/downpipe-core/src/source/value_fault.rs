//! The faults that a server finds with a bound value.

use std::fmt;

use crate::catalog::Value;

/// The fault that a server finds with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueFault {
    /// It has characters that are not in a column's character set.
    Characters,
    /// It is no regular expression.
    Pattern,
    /// It is no JSON, or no path into JSON.
    Json,
    /// It is no geometry.
    Geometry,
    /// It is no date or time.
    Date,
    /// A computation with it leaves the range of its type.
    Number,
    /// A function does not take it.
    Argument,
}

impl fmt::Display for ValueFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Characters => "characters that the column in the database can hold",
            Self::Pattern => "a regular expression that the database understands",
            Self::Json => "valid JSON, or a valid path into it",
            Self::Geometry => "a geometry that the database understands",
            Self::Date => "a date or time that the database understands",
            Self::Number => "a number with which the query can compute",
            Self::Argument => "a value that the query's functions take",
        })
    }
}

impl ValueFault {
    /// Whether a value can have this fault.
    pub(crate) fn can_be_of(self, value: &Value) -> bool {
        match (self, value) {
            (_, Value::Null(_)) => false,
            (Self::Characters, Value::String(text)) => !text.is_ascii(),
            (Self::Pattern | Self::Json | Self::Date, value) => matches!(value, Value::String(_)),
            (Self::Characters, _) => false,
            (Self::Geometry | Self::Number | Self::Argument, _) => true,
        }
    }
}
