//! Values of every kind, and their texts, written in a slow way that is obviously right. Shares no code with the encoder.

use downpipe_format::{Cell, ColumnKind, Date, Time};

/// A value that owns its bytes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Int(i64),
    UInt(u64),
    Float(f32),
    Double(f64),
    Decimal(String),
    Text(Vec<u8>),
    Bytes(Vec<u8>),
    Date(Date),
    DateTime(Date, Time),
    Time(Time),
}

impl Value {
    pub(crate) fn as_cell(&self) -> Cell<'_> {
        match self {
            Self::Null => Cell::Null,
            Self::Int(value) => Cell::Int(*value),
            Self::UInt(value) => Cell::UInt(*value),
            Self::Float(value) => Cell::Float(*value),
            Self::Double(value) => Cell::Double(*value),
            Self::Decimal(digits) => Cell::Decimal(digits.as_bytes()),
            Self::Text(text) => Cell::Text(text),
            Self::Bytes(bytes) => Cell::Bytes(bytes),
            Self::Date(date) => Cell::Date(*date),
            Self::DateTime(date, time) => Cell::DateTime(*date, *time),
            Self::Time(time) => Cell::Time(*time),
        }
    }

    /// Returns the value as MySQL shows it in a column of this kind; `None` for `NULL`. Not for a binary number with two texts, see
    /// [`floats`].
    pub(crate) fn text(&self, kind: ColumnKind) -> Option<Vec<u8>> {
        let text = match self {
            Self::Null => return None,
            Self::Text(text) => return Some(text.clone()),
            Self::Int(value) => format!("{value}"),
            Self::UInt(value) => format!("{value:00$}", zerofill(kind)),
            Self::Float(value) => floats(*value).remove(0),
            Self::Double(value) => floats(*value).remove(0),
            Self::Decimal(digits) => digits.clone(),
            Self::Bytes(bytes) => bytes.iter().map(|byte| format!("{byte:02X}")).collect(),
            Self::Date(value) => date(*value),
            Self::DateTime(day, value) => format!("{} {}", date(*day), time(*value, fraction(kind))),
            Self::Time(value) => time(*value, fraction(kind)),
        };
        Some(text.into_bytes())
    }
}

fn zerofill(kind: ColumnKind) -> usize {
    match kind {
        ColumnKind::Integer { zerofill, .. } => zerofill.into(),
        _ => 0,
    }
}

fn fraction(kind: ColumnKind) -> usize {
    match kind {
        ColumnKind::DateTime { fraction }
        | ColumnKind::Timestamp { fraction }
        | ColumnKind::Time { fraction } => fraction.into(),
        _ => 0,
    }
}

fn date(Date { year, month, day }: Date) -> String {
    format!("{year:04}-{month:02}-{day:02}")
}

/// Writes a time with the digits that its column declares, or with all six where it has more.
fn time(value: Time, declared: usize) -> String {
    let Time { negative, hours, minutes, seconds, microseconds } = value;
    let sign = if negative { "-" } else { "" };
    let whole = format!("{sign}{hours:02}:{minutes:02}:{seconds:02}");
    let six = format!("{microseconds:06}");
    let digits = if six[declared..].bytes().all(|digit| digit == b'0') { &six[..declared] } else { &six };
    if digits.is_empty() { whole } else { format!("{whole}.{digits}") }
}

/// A binary number of either precision.
pub(crate) trait Float: Copy + PartialEq + std::fmt::LowerExp + std::str::FromStr {}
impl Float for f32 {}
impl Float for f64 {}

/// Finds the shortest texts that read back as the same number, by trying, and of those the nearest to it. Two texts are right if the
/// number lies half-way between them. They have exponents below 1e-5 and from 1e17 on.
pub(crate) fn floats<F: Float>(value: F) -> Vec<String> {
    // No double has more digits than 767.
    let exact = format!("{value:.800e}");
    let (exact, exponent) = exact.split_once('e').unwrap();
    let (sign, exact) = exact.strip_prefix('-').map_or(("", exact), |exact| ("-", exact));
    let (exact, exponent): (String, i32) = (exact.replace('.', ""), exponent.parse().unwrap());
    let with_digits = |count: usize| {
        let (digits, rest) = exact.split_at(count);
        let below: u64 = digits.parse().unwrap();
        let last = exponent + 1 - i32::try_from(count).unwrap();
        let half = format!("5{}", "0".repeat(rest.len() - 1));
        let by_distance = if rest > half.as_str() { [below + 1, below] } else { [below, below + 1] };
        let reads_back =
            |digits: &u64| format!("{sign}{digits}e{last}").parse().is_ok_and(|read: F| read == value);
        let right = by_distance.into_iter().filter(reads_back).take(if rest == half { 2 } else { 1 });
        right.map(|digits| format!("{sign}{}", written_out(&digits.to_string(), last))).collect()
    };
    (1..=17).map(with_digits).find(|texts: &Vec<String>| !texts.is_empty()).unwrap()
}

/// Writes digits, given the power of ten of the last one, in the usual way.
fn written_out(digits: &str, last: i32) -> String {
    if digits == "0" {
        return "0".to_owned();
    }
    let length = |digits: &str| i32::try_from(digits.len()).unwrap();
    let first = last + length(digits) - 1;
    // Rounded up to 10, it has one digit.
    let digits = digits.trim_end_matches('0');
    let last = first + 1 - length(digits);
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap());
    match first {
        -5..=-1 => format!("0.{}{digits}", zeros(-first - 1)),
        0..=16 if last >= 0 => format!("{digits}{}", zeros(last)),
        0..=16 => {
            let (whole, fraction) = digits.split_at(usize::try_from(first + 1).unwrap());
            format!("{whole}.{fraction}")
        }
        _ if digits.len() == 1 => format!("{digits}e{first}"),
        _ => format!("{}.{}e{first}", &digits[..1], &digits[1..]),
    }
}
