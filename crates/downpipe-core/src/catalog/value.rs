//! The values that are bound to a query.

use std::fmt;

use jiff::civil::{Date, DateTime};
use serde::Deserialize;

use crate::job::Key;

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParamType {
    /// Any text.
    String,
    /// A whole number of 64 bits, with sign.
    Integer,
    /// A decimal number of up to 65 digits, 30 of them after the point. Never a binary float.
    Decimal,
    /// `true` or `false`.
    Boolean,
    /// `2026-01-31`
    Date,
    /// `2026-01-31T23:59:59`, with up to six digits of a second, on the clock of the definition's time zone. A time with an offset is
    /// converted to that clock. A time that the clock skips or shows twice is refused.
    DateTime,
}

impl ParamType {
    pub(crate) fn expected(self) -> &'static str {
        match self {
            Self::String => "a string",
            Self::Integer => "a whole number between -9223372036854775808 and 9223372036854775807",
            Self::Decimal => {
                "a decimal number such as 12.50, of at most 65 digits, 30 of them after the point"
            }
            Self::Boolean => "true or false",
            Self::Date => "a date such as 2026-01-31",
            Self::DateTime => "a date and time such as 2026-01-31T23:59:59",
        }
    }
}

/// A value that is bound to the prepared statement. It never becomes part of the SQL's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// An optional parameter that was left out.
    Null(ParamType),
    /// Text.
    String(String),
    /// A whole number.
    Integer(i64),
    /// A whole number above the range of signed ones. Never a parameter's: only a resume key can be one.
    Unsigned(u64),
    /// Bytes. Never a parameter's: only a resume key can be bytes.
    Bytes(Vec<u8>),
    /// A decimal number: digits, at most one sign and one point.
    Decimal(String),
    /// A truth value.
    Boolean(bool),
    /// A date.
    Date(Date),
    /// A date and time on the clock of the definition's time zone.
    DateTime(DateTime),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null(_) => Ok(()),
            Self::String(text) | Self::Decimal(text) => f.write_str(text),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Unsigned(number) => write!(f, "{number}"),
            Self::Bytes(bytes) => f.write_str(&hex::encode(bytes)),
            Self::Boolean(boolean) => write!(f, "{boolean}"),
            Self::Date(date) => write!(f, "{date}"),
            Self::DateTime(date_time) => write!(f, "{date_time}"),
        }
    }
}

impl Value {
    /// Returns the value as a receipt has it: `null`, a boolean, a number or a text.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Null(_) => serde_json::Value::Null,
            Self::Boolean(boolean) => (*boolean).into(),
            Self::Integer(number) => (*number).into(),
            Self::Unsigned(number) => (*number).into(),
            other => other.to_string().into(),
        }
    }
}

impl Key {
    /// Returns the key as a value for `:after`.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match self {
            Self::Integer(number) => Value::Integer(*number),
            Self::Unsigned(number) => Value::Unsigned(*number),
            Self::Decimal(digits) => Value::Decimal(digits.clone()),
            Self::Text(text) => Value::String(text.clone()),
            Self::Bytes(bytes) => Value::Bytes(bytes.clone()),
            Self::Date(date) => Value::Date(*date),
            Self::DateTime(at) => Value::DateTime(*at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;
    use crate::phrases::phrase;

    #[test]
    fn expected_value_of_every_type_is_said_in_japanese() {
        use ParamType::{Boolean, Date, DateTime, Decimal, Integer, String};
        for kind in [String, Integer, Decimal, Boolean, Date, DateTime] {
            let english = kind.expected();
            assert_eq!(phrase(Language::En, english), english);
            assert_ne!(phrase(Language::Ja, english), english, "{kind:?}");
        }
    }
}
