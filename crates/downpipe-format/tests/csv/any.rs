//! Generates random columns, and random values of their kinds that are often at the limits.

use downpipe_format::{Column, ColumnKind, Date, Time};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::samples::column;
use crate::value::{Float, Value, floats};

/// Generates columns, and rows of values of their kinds.
pub(crate) fn table() -> impl Strategy<Value = (Vec<Column>, Vec<Vec<Value>>)> {
    vec((text(), kind()), 1..6).prop_flat_map(|named| {
        let columns: Vec<Column> = named.iter().map(|(name, kind)| column(name, *kind)).collect();
        let row: Vec<_> = named.into_iter().map(|(_, kind)| nullable(kind)).collect();
        (Just(columns), vec(row, 0..8))
    })
}

/// Generates text in which special characters are common.
pub(crate) fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c,\"\r\n;\t '=+@-]{0,8}",
        "[\\PC\r\n\0]{0,6}",
        "[\0-\x7f]{0,12}",
        Just(String::new()),
        Just("\u{feff}".to_owned()),
        Just("\\.".to_owned()),
        // Longer than what is searched at once.
        "[a-z 日本]{30,90}[,\"\n]?[a-z日本]{0,40}",
    ]
}

pub(crate) fn kind() -> impl Strategy<Value = ColumnKind> {
    let fraction = 0_u8..=6;
    prop_oneof![
        (prop_oneof![Just(8_u8), Just(16), Just(32), Just(64)], any::<bool>(), zerofill()).prop_map(
            |(bits, unsigned, zerofill)| {
                // A column with ZEROFILL is unsigned.
                ColumnKind::Integer { bits, unsigned: unsigned || zerofill > 0, zerofill }
            }
        ),
        Just(ColumnKind::Bit),
        (1_u8..=66).prop_map(|width| ColumnKind::Decimal { width }),
        Just(ColumnKind::Float),
        Just(ColumnKind::Double),
        Just(ColumnKind::Text),
        Just(ColumnKind::Json),
        Just(ColumnKind::Bytes),
        Just(ColumnKind::Date),
        fraction.clone().prop_map(|fraction| ColumnKind::DateTime { fraction }),
        fraction.clone().prop_map(|fraction| ColumnKind::Timestamp { fraction }),
        fraction.prop_map(|fraction| ColumnKind::Time { fraction }),
    ]
}

/// Generates widths of ZEROFILL, mostly 0. MySQL takes up to 255.
fn zerofill() -> impl Strategy<Value = u8> {
    prop_oneof![4 => Just(0), 2 => 1_u8..=20, 1 => any::<u8>()]
}

fn nullable(kind: ColumnKind) -> impl Strategy<Value = Value> {
    prop_oneof![1 => Just(Value::Null), 7 => value(kind)]
}

fn value(kind: ColumnKind) -> BoxedStrategy<Value> {
    match kind {
        ColumnKind::Integer { bits, unsigned, .. } => integer(bits, unsigned).boxed(),
        ColumnKind::Bit => integer(64, true).boxed(),
        ColumnKind::Decimal { .. } => decimal().prop_map(Value::Decimal).boxed(),
        ColumnKind::Float => single().prop_filter("two texts", has_one_text).prop_map(Value::Float).boxed(),
        ColumnKind::Double => double().prop_filter("two texts", has_one_text).prop_map(Value::Double).boxed(),
        ColumnKind::Text => prop_oneof![
            8 => text().prop_map(String::into_bytes),
            // No UTF-8, which the file has as it is.
            1 => vec(any::<u8>(), 0..6),
        ]
        .prop_map(Value::Text)
        .boxed(),
        ColumnKind::Json => json().prop_map(|text| Value::Text(text.into_bytes())).boxed(),
        ColumnKind::Bytes => vec(any::<u8>(), 0..40).prop_map(Value::Bytes).boxed(),
        ColumnKind::Date => date().prop_map(Value::Date).boxed(),
        ColumnKind::DateTime { fraction } | ColumnKind::Timestamp { fraction } => {
            (date(), clock(fraction)).prop_map(|(date, time)| Value::DateTime(date, time)).boxed()
        }
        ColumnKind::Time { fraction } => duration(fraction).prop_map(Value::Time).boxed(),
    }
}

/// Generates as many short as long numbers. A number of random bits is nearly always long.
fn integer(bits: u8, unsigned: bool) -> impl Strategy<Value = Value> {
    (any::<u64>(), 0..bits, any::<bool>()).prop_map(move |(drawn, shorter, negative)| {
        let value = drawn >> (64 - bits) >> shorter;
        if unsigned {
            return Value::UInt(value);
        }
        let positive = i64::try_from(value >> 1).unwrap();
        // The least number of the type has no positive counterpart.
        Value::Int(if negative { -1 - positive } else { positive })
    })
}

/// Generates decimals of at most 65 digits.
fn decimal() -> impl Strategy<Value = String> {
    prop_oneof!["-?[0-9]{1,35}\\.[0-9]{1,30}", "-?[0-9]{1,65}", "-?0\\.0{0,29}[0-9]"]
}

pub(crate) fn double() -> impl Strategy<Value = f64> {
    let of_bits = any::<u64>().prop_map(f64::from_bits);
    let power_of_two = (0_u64..2047).prop_map(|exponent| f64::from_bits(exponent << 52));
    let ordinary =
        (any::<i32>(), -12..20_i32).prop_map(|(digits, power)| format!("{digits}e{power}").parse().unwrap());
    prop_oneof![of_bits, power_of_two, ordinary, Just(-0.0)]
        .prop_filter("MySQL has none", |value| value.is_finite())
}

pub(crate) fn single() -> impl Strategy<Value = f32> {
    let of_bits = any::<u32>().prop_map(f32::from_bits);
    let power_of_two = (0_u32..255).prop_map(|exponent| f32::from_bits(exponent << 23));
    let ordinary =
        (any::<i16>(), -10..19_i32).prop_map(|(digits, power)| format!("{digits}e{power}").parse().unwrap());
    prop_oneof![of_bits, power_of_two, ordinary, Just(-0.0)]
        .prop_filter("MySQL has none", |value| value.is_finite())
}

fn has_one_text<F: Float>(value: &F) -> bool {
    floats(*value).len() == 1
}

fn json() -> impl Strategy<Value = String> {
    prop_oneof![
        "-?[0-9]{1,5}",
        "\"[a-z日本,]{0,8}\"",
        "\\{\"[a-z]{1,4}\": \\[[0-9], null\\]\\}",
        "true",
        "\\[\\]"
    ]
}

/// Generates dates, including those of MySQL that do not exist.
fn date() -> impl Strategy<Value = Date> {
    prop_oneof![
        1 => Just(Date::default()),
        8 => (0_u16..=9999, 0_u8..=12, 0_u8..=31).prop_map(|(year, month, day)| Date { year, month, day }),
    ]
}

fn clock(fraction: u8) -> impl Strategy<Value = Time> {
    (0_u32..24, 0_u8..60, 0_u8..60, microseconds(fraction)).prop_map(
        |(hours, minutes, seconds, microseconds)| Time {
            hours,
            minutes,
            seconds,
            microseconds,
            ..Time::default()
        },
    )
}

fn duration(fraction: u8) -> impl Strategy<Value = Time> {
    let hours = prop_oneof![0_u32..100, 100_u32..=838];
    (any::<bool>(), hours, clock(fraction)).prop_map(|(negative, hours, clock)| Time {
        negative,
        hours,
        ..clock
    })
}

/// Generates mostly as many digits as the column declares. Some functions of MySQL return more.
fn microseconds(fraction: u8) -> impl Strategy<Value = u32> {
    let unit = 10_u32.pow(6 - u32::from(fraction));
    prop_oneof![8 => (0..1_000_000 / unit).prop_map(move |units| units * unit), 1 => 0_u32..1_000_000]
}
