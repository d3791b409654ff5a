//! Begins a file: its schema, and how its pages are written.

use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::errors::Result;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{Type, TypePtr};

use super::unscaled::byte_length;
use crate::model::DecimalType;

/// The level of most other writers. Level 3 made the file of a mixed table at most 2.5 % smaller, and is half as fast on text that
/// repeats little.
const ZSTD_LEVEL: i32 = 1;

/// The size in bytes from which a column of a row group gets no dictionary.
///
/// It has room for a few thousand different values. A column whose values all differ should not pay for a dictionary of all of
/// them: with the library's 1 MiB, a file of a mixed table was 18 % larger.
const DICTIONARY_BYTES: usize = 64 * 1024;

/// The writer's name, in the form that the format asks for. Some readers ignore the statistics of a writer that they cannot parse.
const CREATED_BY: &str = concat!("downpipe version ", env!("CARGO_PKG_VERSION"));

/// What a column is in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ColumnType {
    /// A whole number of so many bits: 8, 16, 32 or 64.
    Integer {
        bits: u8,
        unsigned: bool,
    },
    Float,
    Double,
    Decimal(DecimalType),
    Date,
    /// Microseconds, in UTC or on an unknown clock.
    Timestamp {
        utc: bool,
    },
    Text,
    Json,
    Bytes,
}

/// Begins a file of these columns.
pub(super) fn begin_file<'a>(
    columns: impl Iterator<Item = (&'a str, ColumnType)>,
) -> Result<SerializedFileWriter<Vec<u8>>> {
    let fields = columns.map(|(name, column)| field(name, column)).collect::<Result<_>>()?;
    let schema = Type::group_type_builder("schema").with_fields(fields).build()?;
    let properties = WriterProperties::builder()
        .set_created_by(CREATED_BY.to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        // Row groups are small, so readers need no index of their pages.
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .build();
    SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties))
}

fn field(name: &str, column: ColumnType) -> Result<TypePtr> {
    let (physical, logical) = match column {
        ColumnType::Integer { bits, unsigned } => {
            let physical = if bits > 32 { Physical::INT64 } else { Physical::INT32 };
            (physical, Some(LogicalType::integer(i8::try_from(bits).unwrap_or(64), !unsigned)))
        }
        ColumnType::Float => (Physical::FLOAT, None),
        ColumnType::Double => (Physical::DOUBLE, None),
        ColumnType::Decimal(decimal) => return decimal_field(name, decimal),
        ColumnType::Date => (Physical::INT32, Some(LogicalType::Date)),
        ColumnType::Timestamp { utc } => {
            (Physical::INT64, Some(LogicalType::timestamp(utc, TimeUnit::MICROS)))
        }
        ColumnType::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        ColumnType::Json => (Physical::BYTE_ARRAY, Some(LogicalType::Json)),
        ColumnType::Bytes => (Physical::BYTE_ARRAY, None),
    };
    let field = Type::primitive_type_builder(name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .build()?;
    Ok(Arc::new(field))
}

fn decimal_field(name: &str, decimal: DecimalType) -> Result<TypePtr> {
    let physical = match decimal.precision {
        ..=9 => Physical::INT32,
        10..=18 => Physical::INT64,
        _ => Physical::FIXED_LEN_BYTE_ARRAY,
    };
    // None of them is over 76.
    let number = |value: usize| i32::try_from(value).unwrap_or(i32::MAX);
    let (scale, precision) = (number(decimal.scale), number(decimal.precision));
    let field = Type::primitive_type_builder(name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(Some(LogicalType::decimal(scale, precision)))
        .with_scale(scale)
        .with_precision(precision)
        .with_length(number(byte_length(decimal)))
        .build()?;
    Ok(Arc::new(field))
}
