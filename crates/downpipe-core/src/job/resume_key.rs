//! The resume key of a row: the value of the column after which an export resumes.

use jiff::civil;
use serde::{Deserialize, Serialize};

/// The key of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Key {
    /// A whole number.
    Integer(i64),
    /// A whole number beyond the largest signed one.
    Unsigned(u64),
    /// A decimal number: its digits.
    Decimal(String),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A date.
    Date(civil::Date),
    /// A date and time, in the session's time zone, which is UTC.
    DateTime(civil::DateTime),
}

/// Why a value cannot be a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is `NULL`, after which no row comes.
    #[error("it is NULL, and no key may be")]
    Null,
    /// It is not greater than the key before.
    #[error("it is not greater than the key of the row before")]
    NotAscending,
}
