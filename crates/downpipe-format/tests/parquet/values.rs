//! Tests how every kind of cell is written.

use downpipe_format::{Cell, ColumnKind, Date, Layout, Time, TreatAs};
use insta::assert_snapshot;
use parquet::data_type::ByteArray;
use parquet::record::Field;
use proptest::prelude::*;

use crate::{INTEGER, column, layout, text, write};

fn integer(bits: u8, unsigned: bool) -> ColumnKind {
    ColumnKind::Integer { bits, unsigned, zerofill: 0 }
}

#[test]
fn column_of_every_kind_keeps_its_values() {
    let columns = [
        column("i8", integer(8, false)),
        column("u16", integer(16, true)),
        column("u32", integer(32, true)),
        column("i64", integer(64, false)),
        column("u64", integer(64, true)),
        column("bit", ColumnKind::Bit),
        column("float", ColumnKind::Float),
        column("double", ColumnKind::Double),
        column("text", ColumnKind::Text),
        column("json", ColumnKind::Json),
        column("bytes", ColumnKind::Bytes),
        column("date", ColumnKind::Date),
        column("clock", ColumnKind::DateTime { fraction: 6 }),
        column("instant", ColumnKind::Timestamp { fraction: 0 }),
        column("time", ColumnKind::Time { fraction: 0 }),
    ];
    let first = Date { year: 1000, month: 1, day: 1 };
    let last = Date { year: 9999, month: 12, day: 31 };
    let midnight = Time::default();
    let before = Time { hours: 23, minutes: 59, seconds: 59, microseconds: 999_999, ..midnight };
    let longest = Time { negative: true, hours: 838, minutes: 59, seconds: 59, microseconds: 0 };
    let rows = [
        vec![
            Cell::Int(-128),
            Cell::UInt(65_535),
            Cell::UInt(u32::MAX.into()),
            Cell::Int(i64::MIN),
            Cell::UInt(u64::MAX),
            Cell::UInt(u64::MAX),
            Cell::Float(0.1),
            Cell::Double(1e300),
            text("日本語 🧾"),
            text("{\"a\": 1.50}"),
            Cell::Bytes(&[0, 0xFF]),
            Cell::Date(last),
            Cell::DateTime(last, before),
            Cell::DateTime(last, before),
            Cell::Time(longest),
        ],
        vec![Cell::Null; 15],
        vec![
            Cell::Int(127),
            Cell::UInt(0),
            Cell::UInt(0),
            Cell::Int(i64::MAX),
            Cell::UInt(0),
            Cell::UInt(0),
            Cell::Float(-0.0),
            Cell::Double(5e-324),
            text(""),
            text("null"),
            Cell::Bytes(&[]),
            Cell::Date(first),
            Cell::DateTime(first, midnight),
            Cell::DateTime(first, midnight),
            Cell::Time(midnight),
        ],
    ];
    let written = write(&Layout::default(), &columns, rows).unwrap();
    assert_snapshot!(written.schema(), @r"
    message schema {
      OPTIONAL INT32 i8 (INTEGER(8,true));
      OPTIONAL INT32 u16 (INTEGER(16,false));
      OPTIONAL INT32 u32 (INTEGER(32,false));
      OPTIONAL INT64 i64 (INTEGER(64,true));
      OPTIONAL INT64 u64 (INTEGER(64,false));
      OPTIONAL INT64 bit (INTEGER(64,false));
      OPTIONAL FLOAT float;
      OPTIONAL DOUBLE double;
      OPTIONAL BYTE_ARRAY text (STRING);
      OPTIONAL BYTE_ARRAY json (JSON);
      OPTIONAL BYTE_ARRAY bytes;
      OPTIONAL INT32 date (DATE);
      OPTIONAL INT64 clock (TIMESTAMP(MICROS,false));
      OPTIONAL INT64 instant (TIMESTAMP(MICROS,true));
      OPTIONAL BYTE_ARRAY time (STRING);
    }
    ");
    assert_snapshot!(written.rows(), @r#"
    {i8: -128, u16: 65535, u32: 4294967295, i64: -9223372036854775808, u64: 18446744073709551615, bit: 18446744073709551615, float: 0.1, double: 1E300, text: "日本語 🧾", json: "{"a": 1.50}", bytes: [0, 255], date: 9999-12-31, clock: 9999-12-31 23:59:59.999999 +00:00, instant: 9999-12-31 23:59:59.999999 +00:00, time: "-838:59:59"}
    {i8: null, u16: null, u32: null, i64: null, u64: null, bit: null, float: null, double: null, text: null, json: null, bytes: null, date: null, clock: null, instant: null, time: null}
    {i8: 127, u16: 0, u32: 0, i64: 9223372036854775807, u64: 0, bit: 0, float: -0E0, double: 5E-324, text: "", json: "null", bytes: [], date: 1000-01-01, clock: 1000-01-01 00:00:00.000000 +00:00, instant: 1000-01-01 00:00:00.000000 +00:00, time: "00:00:00"}
    "#);
    assert_eq!((written.groups(), written.changes), (vec![3], vec![]));
}

#[test]
fn date_that_no_calendar_has_is_null_and_counted() {
    let columns = [
        column("date", ColumnKind::Date),
        column("clock", ColumnKind::DateTime { fraction: 0 }),
        column("instant", ColumnKind::Timestamp { fraction: 0 }),
    ];
    let dates = [(0, 0, 0), (2026, 2, 31), (2026, 5, 0), (2024, 2, 29)].map(|(year, month, day)| Date {
        year,
        month,
        day,
    });
    let rows = dates.map(|date| {
        let at = Cell::DateTime(date, Time::default());
        vec![Cell::Date(date), at, at]
    });
    let written = write(&Layout::default(), &columns, rows).unwrap();
    assert_snapshot!(written.rows(), @r"
    {date: null, clock: null, instant: null}
    {date: null, clock: null, instant: null}
    {date: null, clock: null, instant: null}
    {date: 2024-02-29, clock: 2024-02-29 00:00:00.000000 +00:00, instant: 2024-02-29 00:00:00.000000 +00:00}
    ");
    let counted: Vec<_> =
        written.changes.iter().map(|(label, changes)| (label.as_str(), changes.zero_dates_as_null)).collect();
    assert_eq!(counted, [("date", 3), ("clock", 3), ("instant", 3)]);
}

#[test]
fn value_treated_as_text_is_a_string() {
    let kinds = [
        (ColumnKind::Integer { bits: 32, unsigned: true, zerofill: 6 }, Cell::UInt(42), "000042"),
        (ColumnKind::Decimal { width: 5 }, Cell::Decimal(b"001.50"), "001.50"),
        (ColumnKind::Double, Cell::Double(1e300), "1e300"),
        (ColumnKind::Bytes, Cell::Bytes(&[0xAB]), "AB"),
        (ColumnKind::Date, Cell::Date(Date::default()), "0000-00-00"),
    ];
    for (kind, cell, shown) in kinds {
        let written =
            write(&layout("v", TreatAs::Text), &[column("v", kind)], [vec![cell], vec![Cell::Null]]).unwrap();
        assert_eq!(written.column(), [Field::Str(shown.to_owned()), Field::Null]);
        assert!(written.schema().contains("OPTIONAL BYTE_ARRAY v (STRING);"), "{}", written.schema());
    }
}

/// The first rows do not show whether every text is a number.
#[test]
fn text_treated_as_number_stays_text() {
    let written =
        write(&layout("v", TreatAs::Number), &[column("v", ColumnKind::Text)], [vec![text("12.50")]])
            .unwrap();
    assert_eq!(written.column(), [Field::Str("12.50".to_owned())]);
}

/// The profile's zone does not matter.
#[test]
fn datetime_treated_as_timestamp_is_an_instant() {
    let columns = [column("v", ColumnKind::DateTime { fraction: 0 })];
    let written = write(&layout("v", TreatAs::Timestamp), &columns, []).unwrap();
    assert!(written.schema().contains("TIMESTAMP(MICROS,true)"), "{}", written.schema());
}

#[test]
fn repeated_or_missing_names_are_numbered() {
    let columns = ["id", "id", "", "a.b", "column 3"].map(|name| column(name, ColumnKind::Text));
    let written = write(&Layout::default(), &columns, [vec![Cell::Null; 5]]).unwrap();
    assert_snapshot!(written.rows(), @r"{id: null, id (2): null, column 3: null, a.b: null, column 3 (2): null}");
}

/// Spark, Hive and DuckDB ignore the case of names, and Spark refuses a file in which one is repeated.
#[test]
fn names_differing_only_in_case_are_numbered() {
    let columns = ["id", "ID", "Id"].map(|name| column(name, ColumnKind::Text));
    let written = write(&Layout::default(), &columns, [vec![Cell::Null; 3]]).unwrap();
    assert_snapshot!(written.rows(), @"{id: null, ID (2): null, Id (3): null}");
}

#[test]
fn value_that_does_not_fit_its_column_is_refused() {
    let fits = vec![Cell::Int(127)];
    let refused = |cell| {
        let rows = [fits.clone(), vec![Cell::Null], vec![cell]];
        write(&Layout::default(), &[column("n", integer(8, false))], rows).err().unwrap()
    };
    assert_snapshot!(refused(Cell::Int(128)), @r#"row 3, column "n": parquet takes signed numbers of 8 bits, got a number out of their range"#);
    assert_snapshot!(refused(Cell::UInt(u64::MAX)), @r#"row 3, column "n": parquet takes signed numbers of 8 bits, got a number out of their range"#);
    assert_snapshot!(refused(text("1")), @r#"row 3, column "n": parquet takes whole numbers, got a value of another kind"#);
}

#[test]
fn invalid_utf8_is_replaced_and_counted() {
    let columns = [column("v", ColumnKind::Text)];
    let written =
        write(&Layout::default(), &columns, [vec![Cell::Text(b"a\xFF")], vec![text("ok")]]).unwrap();
    assert_eq!(written.column(), [Field::Str("a\u{fffd}".to_owned()), Field::Str("ok".to_owned())]);
    assert_eq!(written.changes[0].1.invalid_text, 1);
}

proptest! {
    #[test]
    fn any_text_or_null_is_read_back(texts: Vec<Option<String>>) {
        let rows = texts.iter().map(|value| vec![value.as_deref().map_or(Cell::Null, text)]);
        let written = write(&Layout::default(), &[column("v", ColumnKind::Text)], rows).unwrap();
        let expected: Vec<Field> = texts.iter().map(|value| value.clone().map_or(Field::Null, Field::Str)).collect();
        prop_assert_eq!(written.column(), expected);
    }

    #[test]
    fn any_bytes_are_read_back(values: Vec<Vec<u8>>) {
        let rows = values.iter().map(|bytes| vec![Cell::Bytes(bytes)]);
        let written = write(&Layout::default(), &[column("v", ColumnKind::Bytes)], rows).unwrap();
        let expected: Vec<Field> = values.iter().map(|bytes| Field::Bytes(ByteArray::from(bytes.clone()))).collect();
        prop_assert_eq!(written.column(), expected);
    }

    #[test]
    fn any_number_or_null_is_read_back(values: Vec<Option<i64>>) {
        let rows = values.iter().map(|value| vec![value.map_or(Cell::Null, Cell::Int)]);
        let written = write(&Layout::default(), &[column("v", INTEGER)], rows).unwrap();
        let expected: Vec<Field> = values.iter().map(|value| value.map_or(Field::Null, Field::Long)).collect();
        prop_assert_eq!(written.column(), expected);
    }
}
