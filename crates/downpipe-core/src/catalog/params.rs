//! Typed parameters: what a definition declares, and how values are read.

use downpipe_format::zone_name;
use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::value::{ParamType, Value};
use crate::message::{RawParam, Rejection, one_of};

/// `DECIMAL(65,30)` is the widest MySQL has.
const MAX_DECIMAL_DIGITS: usize = 65;

const MAX_DECIMAL_SCALE: usize = 30;

/// A parameter as a definition declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    /// Its type.
    pub kind: ParamType,
    /// Whether a request must give it.
    pub required: bool,
    /// The value when a request leaves it out.
    pub default: Option<Value>,
    /// The only values allowed; empty allows all.
    pub one_of: Vec<Value>,
    /// Its label in a form.
    pub label: Option<String>,
    /// What a form says below it.
    pub help: Option<String>,
    /// Whether only an app's token or a message on the queue may give it. No form shows it, and the API refuses it.
    pub locked: bool,
    /// The most characters a string may have.
    pub max_length: Option<usize>,
}

impl Param {
    /// Reads and checks a value. `field` is the path that an error names, `zone` the time zone of dates.
    ///
    /// # Errors
    /// When the value is missing, not of the type, too long or not one of the allowed.
    pub fn read(&self, field: &str, raw: Option<&RawParam>, zone: &TimeZone) -> Result<Value, Rejection> {
        let Some(raw) = raw else {
            return match &self.default {
                Some(default) => Ok(default.clone()),
                None if self.required => Err(Rejection::new(field, self.kind.expected(), "nothing")),
                None => Ok(Value::Null(self.kind)),
            };
        };
        let value = parse(self.kind, raw, zone).map_err(|expected| Rejection::new(field, expected, raw))?;
        if let (Value::String(text), Some(most)) = (&value, self.max_length) {
            let length = text.chars().count();
            if length > most {
                let expected = format!("at most {most} characters");
                return Err(Rejection::new(field, expected, format!("{length} characters")));
            }
        }
        if !self.one_of.is_empty() && !self.one_of.contains(&value) {
            return Err(Rejection::new(field, one_of(&self.one_of), raw));
        }
        Ok(value)
    }
}

/// Reads a value of a type. A string may hold a value of any type, because forms and command lines send only strings. A number or
/// a boolean is never taken for a string.
///
/// # Errors
/// What was expected.
pub(crate) fn parse(kind: ParamType, raw: &RawParam, zone: &TimeZone) -> Result<Value, String> {
    let value = match (kind, raw) {
        (ParamType::String, RawParam::Text(text)) => Some(Value::String(text.clone())),
        (ParamType::Integer, RawParam::Text(text) | RawParam::Number(text)) => integer(text),
        (ParamType::Decimal, RawParam::Text(text) | RawParam::Number(text)) => decimal(text),
        (ParamType::Boolean, RawParam::Boolean(boolean)) => Some(Value::Boolean(*boolean)),
        (ParamType::Boolean, RawParam::Text(text)) => text.parse().ok().map(Value::Boolean),
        (ParamType::Date, RawParam::Text(text)) => date(text),
        (ParamType::DateTime, RawParam::Text(text)) => match date_time(text, zone) {
            Some(local) => return shown_once(local, zone).map(Value::DateTime),
            None => None,
        },
        _ => None,
    };
    value.ok_or_else(|| kind.expected().to_owned())
}

fn integer(text: &str) -> Option<Value> {
    // The parser of i64 also takes "+5", which no form sends on purpose.
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

fn date_time(text: &str, zone: &TimeZone) -> Option<DateTime> {
    let separated = text.as_bytes().get(10).is_some_and(|b| matches!(b, b'T' | b' '));
    // The parser would take a time zone's name in brackets, and then ignore it.
    if !separated || text.contains('[') {
        return None;
    }
    let clock = &text[11..];
    let has_offset = clock.contains(['Z', 'z', '+', '-']);
    let local: DateTime = if has_offset {
        zone.to_datetime(text.parse::<jiff::Timestamp>().ok()?)
    } else {
        text.parse().ok()?
    };
    let microseconds = local.subsec_nanosecond() % 1000 == 0;
    (microseconds && in_mysql_range(local.date())).then_some(local)
}

/// Checks that a local time is one instant. Otherwise MySQL moves a skipped time to the end of the gap, and compares a time that
/// comes twice with one instant when it uses an index and with both when it does not.
fn shown_once(local: DateTime, zone: &TimeZone) -> Result<DateTime, String> {
    let how_often = match zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Unambiguous { .. } => return Ok(local),
        AmbiguousOffset::Gap { .. } => "skip",
        AmbiguousOffset::Fold { .. } => "show twice",
    };
    let zone = zone_name(zone);
    Err(format!("a time that the clocks of {zone} show once; on this day they {how_often} {}", local.time()))
}

/// MySQL's dates run from the year 1000 to 9999 (reference manual, "The DATE, DATETIME, and TIMESTAMP Types").
fn in_mysql_range(date: Date) -> bool {
    (1000..=9999).contains(&date.year())
}
