//! Keeps the cells of one column until their row group is written.

use std::borrow::Cow;

use parquet::data_type::{
    ByteArray, ByteArrayType, DataType, DoubleType, FixedLenByteArrayType, FloatType, Int32Type, Int64Type,
};
use parquet::errors::Result as ParquetResult;
use parquet::file::writer::SerializedColumnWriter;

use super::date::{days, microseconds};
use super::decimal::DecimalColumn;
use super::schema::ColumnType;
use super::slab::Slab;
use super::unscaled::{WideDecimals, to_i64};
use super::unsupported_value::UnsupportedValue;
use crate::model::{Cell, ColumnChanges, ColumnKind, DecimalType, FileColumn, TreatAs};
use crate::text::push_value;

/// The cells that are converted to the library's own form at once. That form takes 32 bytes beside the value, so it is never made
/// of a whole column.
const BATCH: usize = 1024;

/// The definition level of a cell with a value; that of `NULL` is 0.
const PRESENT: i16 = 1;

/// A column, with the cells that wait.
#[derive(Debug)]
pub(super) struct ColumnBuffer {
    name: String,
    kind: ColumnKind,
    values: Values,
    /// [`PRESENT`] or 0 for every row.
    levels: Vec<i16>,
    /// Bytes that wait, including the levels.
    bytes: usize,
    changes: ColumnChanges,
}

/// The values that are not null, nearly in the form in which the column writers take them.
#[derive(Debug)]
enum Values {
    Narrow {
        bits: u8,
        unsigned: bool,
        values: Vec<i32>,
    },
    Wide {
        bits: u8,
        unsigned: bool,
        values: Vec<i64>,
    },
    Float(Vec<f32>),
    Double(Vec<f64>),
    Decimal {
        column: DecimalColumn,
        digits: Slab,
    },
    Date(Vec<i32>),
    Timestamp {
        utc: bool,
        values: Vec<i64>,
    },
    /// Texts, and other values as MySQL shows them.
    Text(Slab),
    Json(Slab),
    Bytes(Slab),
}

impl ColumnBuffer {
    pub(super) fn new(column: &FileColumn, name: String) -> Self {
        let values = match column.kind {
            _ if column.treat_as == Some(TreatAs::Text) => Values::Text(Slab::default()),
            ColumnKind::Integer { bits: bits @ ..=32, unsigned, .. } => {
                Values::Narrow { bits, unsigned, values: Vec::new() }
            }
            ColumnKind::Integer { bits, unsigned, .. } => Values::Wide { bits, unsigned, values: Vec::new() },
            ColumnKind::Bit => Values::Wide { bits: 64, unsigned: true, values: Vec::new() },
            ColumnKind::Decimal { width } => {
                let column = match column.treat_as {
                    Some(TreatAs::Decimal(decimal)) => DecimalColumn::of_type(decimal),
                    _ => DecimalColumn::of_width(width),
                };
                Values::Decimal { column, digits: Slab::default() }
            }
            ColumnKind::Float => Values::Float(Vec::new()),
            ColumnKind::Double => Values::Double(Vec::new()),
            ColumnKind::Date => Values::Date(Vec::new()),
            ColumnKind::DateTime { .. } => Values::Timestamp { utc: false, values: Vec::new() },
            ColumnKind::Timestamp { .. } => Values::Timestamp { utc: true, values: Vec::new() },
            // Parquet's TIME is a time of day, and MySQL's a duration of up to 838 hours either way. Text stays text where a
            // definition calls it numbers: the first rows do not show whether all of it is.
            ColumnKind::Time { .. } | ColumnKind::Text => Values::Text(Slab::default()),
            ColumnKind::Json => Values::Json(Slab::default()),
            ColumnKind::Bytes => Values::Bytes(Slab::default()),
        };
        Self {
            name,
            kind: column.kind,
            values,
            levels: Vec::new(),
            bytes: 0,
            changes: ColumnChanges::default(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn changes(&self) -> ColumnChanges {
        self.changes
    }

    /// Returns the bytes that wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes the cell of the next row. Puts a null in the place of one that does not fit.
    pub(super) fn push(&mut self, cell: &Cell<'_>) -> Result<(), UnsupportedValue> {
        let pushed = if *cell == Cell::Null { Ok(None) } else { self.push_value(cell) };
        let size = pushed.as_ref().ok().copied().flatten();
        self.levels.push(if size.is_some() { PRESENT } else { 0 });
        self.bytes += size_of::<i16>() + size.unwrap_or(0);
        pushed.map(drop)
    }

    /// Takes a value and returns its bytes; `None` when it can only be null.
    fn push_value(&mut self, cell: &Cell<'_>) -> Result<Option<usize>, UnsupportedValue> {
        let Self { kind, values, changes, .. } = self;
        let size = match (values, cell) {
            (Values::Text(slab) | Values::Json(slab), Cell::Text(text)) => push_text(slab, text, changes),
            (Values::Text(slab), _) => slab.push_with(|out| push_value(out, cell, *kind)),
            (Values::Bytes(slab), Cell::Bytes(bytes)) => slab.push_with(|out| out.extend_from_slice(bytes)),
            (Values::Narrow { bits, unsigned, values }, Cell::Int(_) | Cell::UInt(_)) => {
                let value = checked_integer(cell, *bits, *unsigned)?;
                // The upper half of unsigned numbers is stored as the negative numbers of the same bits.
                values.push(
                    i32::try_from(value).or_else(|_| u32::try_from(value).map(u32::cast_signed)).unwrap_or(0),
                );
                size_of::<i32>()
            }
            (Values::Wide { bits, unsigned, values }, Cell::Int(_) | Cell::UInt(_)) => {
                let value = checked_integer(cell, *bits, *unsigned)?;
                values.push(
                    i64::try_from(value).or_else(|_| u64::try_from(value).map(u64::cast_signed)).unwrap_or(0),
                );
                size_of::<i64>()
            }
            (Values::Float(values), Cell::Float(value)) => push(values, *value),
            (Values::Double(values), Cell::Double(value)) => push(values, *value),
            (Values::Double(values), Cell::Float(value)) => push(values, f64::from(*value)),
            (Values::Decimal { column, digits }, Cell::Decimal(text)) => {
                column.check(text)?;
                digits.push_with(|out| out.extend_from_slice(text))
            }
            (Values::Date(values), Cell::Date(date)) => match days(*date) {
                Some(days) => push(values, days),
                None => return Ok(no_such_date(changes)),
            },
            (Values::Timestamp { values, .. }, Cell::DateTime(date, time)) => {
                match microseconds(*date, *time) {
                    Some(microseconds) => push(values, microseconds),
                    None => return Ok(no_such_date(changes)),
                }
            }
            _ => {
                let expected = kind.describe().to_owned();
                return Err(UnsupportedValue { expected, actual: "a value of another kind".to_owned() });
            }
        };
        Ok(Some(size))
    }

    /// Resolves what the column is in the file, and returns its name with it. The type stays from the first call on.
    pub(super) fn resolve(&mut self) -> (&str, ColumnType) {
        let column_type = match &mut self.values {
            Values::Narrow { bits, unsigned, .. } | Values::Wide { bits, unsigned, .. } => {
                ColumnType::Integer { bits: *bits, unsigned: *unsigned }
            }
            Values::Float(_) => ColumnType::Float,
            Values::Double(_) => ColumnType::Double,
            Values::Decimal { column, .. } => ColumnType::Decimal(column.resolve()),
            Values::Date(_) => ColumnType::Date,
            Values::Timestamp { utc, .. } => ColumnType::Timestamp { utc: *utc },
            Values::Text(_) => ColumnType::Text,
            Values::Json(_) => ColumnType::Json,
            Values::Bytes(_) => ColumnType::Bytes,
        };
        (&self.name, column_type)
    }

    /// Writes the cells that wait into the row group, and drops them.
    pub(super) fn write(&mut self, mut writer: SerializedColumnWriter<'_>) -> ParquetResult<()> {
        let levels = &self.levels;
        match &mut self.values {
            Values::Narrow { values, .. } | Values::Date(values) => {
                write_all::<Int32Type>(&mut writer, levels, values)?;
            }
            Values::Wide { values, .. } | Values::Timestamp { values, .. } => {
                write_all::<Int64Type>(&mut writer, levels, values)?;
            }
            Values::Float(values) => write_all::<FloatType>(&mut writer, levels, values)?,
            Values::Double(values) => write_all::<DoubleType>(&mut writer, levels, values)?,
            Values::Decimal { column, digits } => {
                write_decimals(&mut writer, levels, digits, column.resolve())?;
                digits.clear();
            }
            Values::Text(slab) | Values::Json(slab) | Values::Bytes(slab) => {
                let shared = slab.share();
                let values = slab.ranges().map(|range| ByteArray::from(shared.slice(range)));
                write_batches::<ByteArrayType>(&mut writer, levels, values)?;
                slab.clear();
            }
        }
        self.levels.clear();
        self.bytes = 0;
        writer.close()
    }
}

fn push<T>(values: &mut Vec<T>, value: T) -> usize {
    values.push(value);
    size_of::<T>()
}

fn push_text(slab: &mut Slab, text: &[u8], changes: &mut ColumnChanges) -> usize {
    let text = String::from_utf8_lossy(text);
    changes.invalid_text += u64::from(matches!(text, Cow::Owned(_)));
    slab.push_with(|out| out.extend_from_slice(text.as_bytes()))
}

/// Counts a date of MySQL's that no calendar has, such as `0000-00-00`.
fn no_such_date(changes: &mut ColumnChanges) -> Option<usize> {
    changes.zero_dates_as_null += 1;
    None
}

/// Returns the value, if it has no more bits than the column.
fn checked_integer(cell: &Cell<'_>, bits: u8, unsigned: bool) -> Result<i128, UnsupportedValue> {
    let value = match *cell {
        Cell::Int(value) => i128::from(value),
        Cell::UInt(value) => i128::from(value),
        _ => 0,
    };
    let range = if unsigned { 0..1 << bits } else { -(1 << (bits - 1))..1 << (bits - 1) };
    if range.contains(&value) {
        return Ok(value);
    }
    let sign = if unsigned { "unsigned" } else { "signed" };
    Err(UnsupportedValue {
        expected: format!("{sign} numbers of {bits} bits"),
        actual: "a number out of their range".to_owned(),
    })
}

fn write_all<T: DataType>(
    writer: &mut SerializedColumnWriter<'_>,
    levels: &[i16],
    values: &mut Vec<T::T>,
) -> ParquetResult<()> {
    writer.typed::<T>().write_batch(values, Some(levels), None)?;
    values.clear();
    Ok(())
}

fn write_batches<T: DataType>(
    writer: &mut SerializedColumnWriter<'_>,
    levels: &[i16],
    mut values: impl Iterator<Item = T::T>,
) -> ParquetResult<()> {
    let mut batch = Vec::with_capacity(BATCH.min(levels.len()));
    for levels in levels.chunks(BATCH) {
        let present = levels.iter().filter(|level| **level == PRESENT).count();
        batch.extend(values.by_ref().take(present));
        writer.typed::<T>().write_batch(&batch, Some(levels), None)?;
        batch.clear();
    }
    Ok(())
}

fn write_decimals(
    writer: &mut SerializedColumnWriter<'_>,
    levels: &[i16],
    digits: &Slab,
    decimal: DecimalType,
) -> ParquetResult<()> {
    let texts = digits.iter();
    let numbers = |text| to_i64(text, decimal.scale);
    match decimal.precision {
        ..=9 => {
            let narrow = |text| i32::try_from(numbers(text)).unwrap_or(i32::MAX);
            write_batches::<Int32Type>(writer, levels, texts.map(narrow))
        }
        10..=18 => write_batches::<Int64Type>(writer, levels, texts.map(numbers)),
        _ => {
            let mut wide = WideDecimals::new(decimal);
            write_batches::<FixedLenByteArrayType>(writer, levels, texts.map(|text| wide.number(text)))
        }
    }
}
