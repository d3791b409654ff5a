//! Typed parameters: what a definition declares, and the values that reach the database.

use std::fmt;

use jiff::civil::{Date, DateTime};
use serde::Deserialize;

use crate::message::RawParam;
use crate::rejection::Rejection;

/// `DECIMAL(65,30)` is the widest MySQL has.
const MAX_DECIMAL_DIGITS: usize = 65;
const MAX_DECIMAL_SCALE: usize = 30;

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
    /// `2026-01-31T23:59:59`, with up to six digits of a second. In UTC; an offset is converted.
    DateTime,
}

impl ParamType {
    fn expected(self) -> &'static str {
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

/// A parameter's value, bound to the prepared statement as it is. There is no way from here into the text of the SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// An optional parameter that was left out.
    Null(ParamType),
    /// Text.
    String(String),
    /// A whole number.
    Integer(i64),
    /// A whole number that only an unsigned column has. Never a parameter's: only a resume key can be one.
    Unsigned(u64),
    /// Bytes. Likewise only a resume key.
    Bytes(Vec<u8>),
    /// A decimal number: digits, at most one sign and one point.
    Decimal(String),
    /// A truth value.
    Boolean(bool),
    /// A date.
    Date(Date),
    /// A date and time in UTC.
    DateTime(DateTime),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null(_) => Ok(()),
            Self::String(text) | Self::Decimal(text) => f.write_str(text),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Unsigned(number) => write!(f, "{number}"),
            Self::Bytes(bytes) => f.write_str(&crate::job::hex(bytes)),
            Self::Boolean(boolean) => write!(f, "{boolean}"),
            Self::Date(date) => write!(f, "{date}"),
            Self::DateTime(date_time) => write!(f, "{date_time}"),
        }
    }
}

impl Value {
    /// As it stands in a receipt: `null`, a boolean, or the text that was meant.
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

/// A parameter as a definition declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    /// Its type.
    pub kind: ParamType,
    /// Whether a request must give it.
    pub required: bool,
    /// What it is when a request leaves it out.
    pub default: Option<Value>,
    /// The only values allowed; empty allows all.
    pub one_of: Vec<Value>,
    /// What a form calls it.
    pub label: Option<String>,
    /// The most characters a string may have.
    pub max_length: Option<usize>,
}

impl Param {
    /// Reads and checks a value. `field` is the path that an error names.
    ///
    /// # Errors
    /// When the value is missing, not of the type, too long or not one of the allowed.
    pub fn read(&self, field: &str, raw: Option<&RawParam>) -> Result<Value, Rejection> {
        let Some(raw) = raw else {
            return match &self.default {
                Some(default) => Ok(default.clone()),
                None if self.required => Err(Rejection::new(field, self.kind.expected(), "nothing")),
                None => Ok(Value::Null(self.kind)),
            };
        };
        let value = parse(self.kind, raw).ok_or_else(|| Rejection::new(field, self.kind.expected(), raw))?;
        if let (Value::String(text), Some(most)) = (&value, self.max_length) {
            let length = text.chars().count();
            if length > most {
                let expected = format!("at most {most} characters");
                return Err(Rejection::new(field, expected, format!("{length} characters")));
            }
        }
        if !self.one_of.is_empty() && !self.one_of.contains(&value) {
            let allowed: Vec<String> = self.one_of.iter().map(Value::to_string).collect();
            return Err(Rejection::new(field, format!("one of {}", allowed.join(", ")), raw));
        }
        Ok(value)
    }
}

/// Reads a value of a type. A string is taken for any type whose text it is, because forms and command lines have
/// nothing but strings; a number or a boolean is never taken for a string.
pub(crate) fn parse(kind: ParamType, raw: &RawParam) -> Option<Value> {
    match (kind, raw) {
        (ParamType::String, RawParam::Text(text)) => Some(Value::String(text.clone())),
        (ParamType::Integer, RawParam::Text(text) | RawParam::Number(text)) => integer(text),
        (ParamType::Decimal, RawParam::Text(text) | RawParam::Number(text)) => decimal(text),
        (ParamType::Boolean, RawParam::Boolean(boolean)) => Some(Value::Boolean(*boolean)),
        (ParamType::Boolean, RawParam::Text(text)) => text.parse().ok().map(Value::Boolean),
        (ParamType::Date, RawParam::Text(text)) => date(text),
        (ParamType::DateTime, RawParam::Text(text)) => date_time(text),
        _ => None,
    }
}

fn integer(text: &str) -> Option<Value> {
    // i64's own parser also takes "+5", which no form sends on purpose.
    text.strip_prefix('+').is_none().then(|| text.parse().ok().map(Value::Integer))?
}

fn decimal(text: &str) -> Option<Value> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let fits = fraction.len() <= MAX_DECIMAL_SCALE && whole.len() + MAX_DECIMAL_SCALE <= MAX_DECIMAL_DIGITS;
    (digits(whole) && digits(fraction) && fits).then(|| Value::Decimal(text.to_owned()))
}

fn date(text: &str) -> Option<Value> {
    // The length rules out the other forms of ISO 8601 that the parser knows.
    let date: Date = (text.len() == 10).then(|| text.parse().ok())??;
    in_mysql_range(date).then_some(Value::Date(date))
}

fn date_time(text: &str) -> Option<Value> {
    let separated = text.as_bytes().get(10).is_some_and(|b| matches!(b, b'T' | b' '));
    // The parser would take a time zone's name in brackets, and then not heed it.
    if !separated || text.contains('[') {
        return None;
    }
    let clock = &text[11..];
    let has_offset = clock.contains(['Z', 'z', '+', '-']);
    let utc: DateTime = if has_offset {
        text.parse::<jiff::Timestamp>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).datetime()
    } else {
        text.parse().ok()?
    };
    let microseconds = utc.subsec_nanosecond() % 1000 == 0;
    (microseconds && in_mysql_range(utc.date())).then_some(Value::DateTime(utc))
}

/// MySQL's dates run from the year 1000 to 9999 (reference manual, "The DATE, DATETIME, and TIMESTAMP Types").
fn in_mysql_range(date: Date) -> bool {
    (1000..=9999).contains(&date.year())
}
