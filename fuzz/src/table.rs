//! Generates tables as a MySQL server could send them.

use std::collections::BTreeMap;

use arbitrary::{Arbitrary, Result, Unstructured};
use downpipe_format::{Cell, Column, ColumnKind, ColumnOptions, Date, Layout, Time, TreatAs};

/// Columns and rows.
#[derive(Debug)]
pub struct Table {
    pub columns: Vec<TableColumn>,
    pub rows: Vec<Vec<Value>>,
    /// The number of rows after which bytes are taken from the encoder.
    pub take_every: usize,
}

/// A column with a definition's options.
#[derive(Debug)]
pub struct TableColumn {
    pub column: Column,
    pub label: Option<String>,
    pub treat_as: Option<TreatAs>,
    /// The number of digits after the point, the same in every row as on the server.
    scale: usize,
}

/// A cell that owns its value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Int(i64),
    UInt(u64),
    Float(f32),
    Double(f64),
    Decimal(String),
    Text(String),
    Bytes(Vec<u8>),
    Date(Date),
    DateTime(Date, Time),
    Time(Time),
}

/// Texts with a meaning for readers and spreadsheets.
const PIECES: [&str; 40] = [
    "\"",
    "'",
    "\"\"",
    ",",
    ";",
    "\t",
    "|",
    "\n",
    "\r",
    "\r\n",
    "\\",
    "\\N",
    "\\.",
    "NULL",
    "null",
    "nan",
    "=",
    "+",
    "-",
    "@",
    "0",
    "1234567890123456",
    "1.50",
    "1e5",
    " ",
    "true",
    "\0",
    "\u{1}",
    "\u{feff}",
    "\u{fffe}",
    "_x0041_",
    "_x0041",
    "é",
    "表",
    "髙",
    "¥",
    "〜",
    "🚀",
    "\u{301}",
    "\u{85}",
];

impl Table {
    /// Returns the layout of the definition.
    pub fn layout(&self) -> Layout {
        let options = self.columns.iter().filter(|c| c.label.is_some() || c.treat_as.is_some());
        let options = options.map(|c| {
            let (label, treat_as) = (c.label.clone(), c.treat_as);
            (c.column.name.clone(), ColumnOptions { label, treat_as, ..ColumnOptions::default() })
        });
        Layout::new(options.collect::<BTreeMap<_, _>>())
    }

    /// Returns the headings.
    pub fn labels(&self) -> Vec<&str> {
        self.columns.iter().map(|c| c.label.as_deref().unwrap_or(&c.column.name)).collect()
    }

    /// Returns every value with its column.
    pub fn cells(&self) -> impl Iterator<Item = (&TableColumn, &Value)> {
        self.rows.iter().flat_map(|row| self.columns.iter().zip(row))
    }
}

impl<'a> Arbitrary<'a> for Table {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let mut columns: Vec<TableColumn> = Vec::new();
        for at in 0..u.int_in_range(1..=5)? {
            columns.push(TableColumn::arbitrary(at, u)?);
        }
        // Options apply by name, which ignores case. A column must not get another's options.
        let named = |c: &TableColumn| c.column.name.to_lowercase().starts_with("option");
        if columns.iter().any(|c| named(c) && c.label.is_none() && c.treat_as.is_none()) {
            return Err(arbitrary::Error::IncorrectFormat);
        }
        let take_every = u.int_in_range(1..=4)?;
        let mut rows = Vec::new();
        while rows.len() < 40 && !u.is_empty() {
            rows.push(columns.iter().map(|column| column.value(u)).collect::<Result<_>>()?);
        }
        Ok(Self { columns, rows, take_every })
    }
}

impl TableColumn {
    fn arbitrary(at: usize, u: &mut Unstructured<'_>) -> Result<Self> {
        let kind = kind(u)?;
        let label = u.arbitrary::<bool>()?.then(|| text(u, 20)).transpose()?;
        let treat_as = match u.int_in_range(0..=5)? {
            0 => Some(TreatAs::Text),
            1 => Some(TreatAs::Number),
            2 if matches!(kind, ColumnKind::DateTime { .. }) => Some(TreatAs::Timestamp),
            _ => None,
        };
        let plain = label.is_none() && treat_as.is_none();
        let name = if plain { text(u, 8)? } else { format!("option{at}") };
        let scale = match kind {
            // With a scale, one character of the width is the point.
            ColumnKind::Decimal { width } => u.int_in_range(0..=usize::from(width - 1).min(30))?,
            _ => 0,
        };
        Ok(Self { column: Column { name, kind }, label, treat_as, scale })
    }

    fn value(&self, u: &mut Unstructured<'_>) -> Result<Value> {
        if u.ratio(1, 8)? {
            return Ok(Value::Null);
        }
        Ok(match self.column.kind {
            ColumnKind::Integer { bits, unsigned: true, .. } => {
                Value::UInt(u.arbitrary::<u64>()? >> (64 - u32::from(bits)))
            }
            ColumnKind::Integer { bits, .. } => Value::Int(u.arbitrary::<i64>()? >> (64 - u32::from(bits))),
            ColumnKind::Bit => Value::UInt(u.arbitrary()?),
            ColumnKind::Decimal { width } => {
                let precision = usize::from(width) - usize::from(self.scale > 0);
                Value::Decimal(self.decimal(precision, u)?)
            }
            ColumnKind::Float => {
                Value::Float(Some(u.arbitrary::<f32>()?).filter(|f| f.is_finite()).unwrap_or(0.1))
            }
            ColumnKind::Double => {
                Value::Double(Some(u.arbitrary::<f64>()?).filter(|f| f.is_finite()).unwrap_or(0.1))
            }
            ColumnKind::Text => Value::Text(text(u, 40)?),
            ColumnKind::Json => Value::Text(json(u)?),
            ColumnKind::Bytes => Value::Bytes(u.arbitrary()?),
            ColumnKind::Date => Value::Date(date(u)?),
            ColumnKind::DateTime { fraction } | ColumnKind::Timestamp { fraction } => {
                Value::DateTime(date(u)?, Time { negative: false, ..time(u, 23, fraction)? })
            }
            ColumnKind::Time { fraction } => Value::Time(time(u, 838, fraction)?),
        })
    }

    /// Generates a decimal as the server writes it, with the column's scale.
    fn decimal(&self, precision: usize, u: &mut Unstructured<'_>) -> Result<String> {
        let whole = precision - self.scale;
        let mut digits = String::new();
        for _ in 0..u.int_in_range(0..=whole)? {
            digits.push(char::from(b'0' + u.int_in_range(0..=9)?));
        }
        let whole = digits.trim_start_matches('0');
        let mut number = if whole.is_empty() { "0".to_owned() } else { whole.to_owned() };
        if self.scale > 0 {
            number.push('.');
            for _ in 0..self.scale {
                number.push(char::from(b'0' + u.int_in_range(0..=9)?));
            }
        }
        // MySQL's decimals have no -0.
        let negative = u.arbitrary()? && number.bytes().any(|b| matches!(b, b'1'..=b'9'));
        Ok(if negative { format!("-{number}") } else { number })
    }
}

impl Value {
    pub fn cell(&self) -> Cell<'_> {
        match self {
            Self::Null => Cell::Null,
            Self::Int(value) => Cell::Int(*value),
            Self::UInt(value) => Cell::UInt(*value),
            Self::Float(value) => Cell::Float(*value),
            Self::Double(value) => Cell::Double(*value),
            Self::Decimal(text) => Cell::Decimal(text.as_bytes()),
            Self::Text(text) => Cell::Text(text.as_bytes()),
            Self::Bytes(bytes) => Cell::Bytes(bytes),
            Self::Date(date) => Cell::Date(*date),
            Self::DateTime(date, time) => Cell::DateTime(*date, *time),
            Self::Time(time) => Cell::Time(*time),
        }
    }

    /// Returns the value as MySQL shows it. A binary number may have any form that reads back as
    /// itself.
    pub fn text(&self, kind: ColumnKind) -> String {
        let width = match kind {
            ColumnKind::Integer { zerofill, .. } => usize::from(zerofill),
            _ => 0,
        };
        match self {
            Self::Null => String::new(),
            Self::Int(value) => value.to_string(),
            Self::UInt(value) => format!("{value:0width$}"),
            Self::Float(value) => value.to_string(),
            Self::Double(value) => value.to_string(),
            Self::Decimal(text) | Self::Text(text) => text.clone(),
            Self::Bytes(bytes) => bytes.iter().map(|byte| format!("{byte:02X}")).collect(),
            Self::Date(date) => date_text(*date),
            Self::DateTime(date, time) => format!("{} {}", date_text(*date), time_text(*time, kind)),
            Self::Time(time) => time_text(*time, kind),
        }
    }

    /// Returns whether a text is this value.
    pub fn is(&self, read: &str, kind: ColumnKind) -> bool {
        match self {
            Self::Float(value) => read.parse() == Ok(*value),
            Self::Double(value) => read.parse() == Ok(*value),
            _ => read == self.text(kind),
        }
    }
}

fn kind(u: &mut Unstructured<'_>) -> Result<ColumnKind> {
    let fraction = u.int_in_range(0..=6)?;
    Ok(match u.int_in_range(0..=15)? {
        0 => ColumnKind::Integer { bits: *u.choose(&[8, 16, 32, 64])?, unsigned: false, zerofill: 0 },
        1 => ColumnKind::Integer {
            bits: *u.choose(&[8, 16, 32, 64])?,
            unsigned: true,
            zerofill: u.int_in_range(0..=20)?,
        },
        2 => ColumnKind::Bit,
        3 => ColumnKind::Decimal { width: u.int_in_range(1..=66)? },
        4 => ColumnKind::Float,
        5 => ColumnKind::Double,
        6 => ColumnKind::Json,
        7 => ColumnKind::Bytes,
        8 => ColumnKind::Date,
        9 => ColumnKind::DateTime { fraction },
        10 => ColumnKind::Timestamp { fraction },
        11 => ColumnKind::Time { fraction },
        _ => ColumnKind::Text,
    })
}

fn text(u: &mut Unstructured<'_>, max: usize) -> Result<String> {
    let mut text = String::new();
    for _ in 0..u.int_in_range(0..=max)? {
        match u.int_in_range(0..=7)? {
            0 => text.push(u.arbitrary()?),
            1..=3 => text.push(char::from(u.int_in_range(b' '..=b'~')?)),
            _ => text.push_str(u.choose(&PIECES)?),
        }
    }
    Ok(text)
}

/// Generates a document as the server normalizes it.
fn json(u: &mut Unstructured<'_>) -> Result<String> {
    let string = serde_json::Value::from(text(u, 8)?);
    Ok(match u.int_in_range(0..=4)? {
        0 => u.arbitrary::<i64>()?.to_string(),
        1 => string.to_string(),
        2 => "null".to_owned(),
        3 => format!("[{string}, true, 1.50]"),
        _ => format!("{{{string}: {{\"b\": {string}}}}}"),
    })
}

fn date(u: &mut Unstructured<'_>) -> Result<Date> {
    Ok(Date { year: u.int_in_range(0..=9999)?, month: u.int_in_range(0..=12)?, day: u.int_in_range(0..=31)? })
}

fn time(u: &mut Unstructured<'_>, max: u32, fraction: u8) -> Result<Time> {
    let microseconds = u.int_in_range(0..=999_999)?;
    Ok(Time {
        negative: u.arbitrary()?,
        hours: u.int_in_range(0..=max)?,
        minutes: u.int_in_range(0..=59)?,
        seconds: u.int_in_range(0..=59)?,
        microseconds: microseconds - microseconds % 10_u32.pow(6 - u32::from(fraction)),
    })
}

fn date_text(Date { year, month, day }: Date) -> String {
    format!("{year:04}-{month:02}-{day:02}")
}

fn time_text(time: Time, kind: ColumnKind) -> String {
    let Time { negative, hours, minutes, seconds, microseconds } = time;
    let sign = if negative { "-" } else { "" };
    let whole = format!("{sign}{hours:02}:{minutes:02}:{seconds:02}");
    match kind {
        ColumnKind::DateTime { fraction: f @ 1.. }
        | ColumnKind::Timestamp { fraction: f @ 1.. }
        | ColumnKind::Time { fraction: f @ 1.. } => {
            format!("{whole}.{}", &format!("{microseconds:06}")[..usize::from(f)])
        }
        _ => whole,
    }
}
