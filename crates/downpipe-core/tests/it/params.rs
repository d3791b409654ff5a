//! Tests values of every type, and texts that are none.

use downpipe_core::catalog::{Param, ParamType, Value};
use downpipe_core::message::RawParam;
use insta::assert_snapshot;
use jiff::tz::TimeZone;
use proptest::prelude::*;

/// Returns a required parameter of a type, without anything else.
pub(crate) fn param(kind: ParamType) -> Param {
    Param {
        kind,
        required: true,
        default: None,
        one_of: Vec::new(),
        label: None,
        help: None,
        locked: false,
        max_length: None,
    }
}

fn read(kind: ParamType, raw: RawParam) -> Result<Value, String> {
    param(kind).read("params.x", Some(&raw), &TimeZone::UTC).map_err(|error| error.to_string())
}

fn text(text: &str) -> RawParam {
    RawParam::Text(text.to_owned())
}

fn number(digits: &str) -> RawParam {
    RawParam::Number(digits.to_owned())
}

/// Parses a text, and returns the value's text or `None`.
fn read_text(kind: ParamType, raw: &str) -> Option<String> {
    read(kind, text(raw)).ok().map(|value| value.to_string())
}

#[test]
fn string_is_taken_as_sent() {
    for sent in ["", " a ", "'; DROP TABLE t; --", "日本\n🧾", "\0"] {
        assert_eq!(read(ParamType::String, text(sent)), Ok(Value::String(sent.to_owned())));
    }
    assert_snapshot!(read(ParamType::String, number("5")).unwrap_err(), @"params.x: expected a string, got 5");
    assert_snapshot!(read(ParamType::String, RawParam::Boolean(true)).unwrap_err(), @"params.x: expected a string, got true");
}

#[test]
fn integer_beyond_64_bits_is_refused() {
    for raw in ["0", "-1", "9223372036854775807", "-9223372036854775808", "007"] {
        let expected = Ok(Value::Integer(raw.parse().unwrap()));
        assert_eq!(read(ParamType::Integer, text(raw)), expected);
        assert_eq!(read(ParamType::Integer, number(raw)), expected);
    }
    for raw in [
        "",
        " 5",
        "5 ",
        "+5",
        "5.0",
        "1e3",
        "0x10",
        "５",
        "9223372036854775808",
        "-9223372036854775809",
        "--1",
    ] {
        assert_eq!(read_text(ParamType::Integer, raw), None, "{raw}");
    }
    assert_snapshot!(read(ParamType::Integer, text("five")).unwrap_err(), @r#"params.x: expected a whole number between -9223372036854775808 and 9223372036854775807, got "five""#);
    assert_snapshot!(read(ParamType::Integer, number("5.5")).unwrap_err(), @"params.x: expected a whole number between -9223372036854775808 and 9223372036854775807, got 5.5");
}

#[test]
fn decimal_keeps_its_digits() {
    let widest = format!("-{}.{}", "9".repeat(35), "9".repeat(30));
    for raw in ["0", "-0.00", "12.50", "00012", "0.10", &widest] {
        assert_eq!(read(ParamType::Decimal, text(raw)), Ok(Value::Decimal(raw.to_owned())));
        assert_eq!(read(ParamType::Decimal, number(raw)), Ok(Value::Decimal(raw.to_owned())));
    }
    let (wide, deep) = ("9".repeat(36), format!("0.{}", "9".repeat(31)));
    for raw in ["", "-", ".", ".5", "5.", "+5", "1e5", "1,000", "1.2.3", "NaN", "١", " 1", &wide, &deep] {
        assert_eq!(read_text(ParamType::Decimal, raw), None, "{raw}");
    }
    assert_snapshot!(read(ParamType::Decimal, number("1e5")).unwrap_err(), @"params.x: expected a decimal number such as 12.50, of at most 65 digits, 30 of them after the point, got 1e5");
}

#[test]
fn boolean_other_than_true_or_false_is_refused() {
    assert_eq!(read(ParamType::Boolean, RawParam::Boolean(true)), Ok(Value::Boolean(true)));
    assert_eq!(read(ParamType::Boolean, text("false")), Ok(Value::Boolean(false)));
    for raw in ["", "True", "yes", "1", " true"] {
        assert_eq!(read_text(ParamType::Boolean, raw), None, "{raw}");
    }
    assert_snapshot!(read(ParamType::Boolean, number("1")).unwrap_err(), @"params.x: expected true or false, got 1");
}

#[test]
fn date_that_does_not_exist_is_refused() {
    for raw in ["2026-01-31", "2024-02-29", "1000-01-01", "9999-12-31"] {
        assert_eq!(read_text(ParamType::Date, raw).as_deref(), Some(raw));
    }
    for raw in [
        "",
        "2026-1-31",
        "20260131",
        "2026-02-29",
        "2026-13-01",
        "0999-12-31",
        "0000-00-00",
        "10000-01-01",
        "2026/01/31",
        "2026-01-31T00:00:00",
        "2026-W05-6",
        "-026-01-31",
        " 2026-01-3",
        "2026-01-3１",
    ] {
        assert_eq!(read_text(ParamType::Date, raw), None, "{raw}");
    }
    assert_snapshot!(read(ParamType::Date, text("31.01.2026")).unwrap_err(), @r#"params.x: expected a date such as 2026-01-31, got "31.01.2026""#);
    assert_snapshot!(read(ParamType::Date, number("20260131")).unwrap_err(), @"params.x: expected a date such as 2026-01-31, got 20260131");
}

#[test]
fn datetime_with_an_offset_is_converted_to_utc() {
    let read = |raw: &str| read_text(ParamType::DateTime, raw);
    for (raw, expected) in [
        ("2026-01-31T23:59:59", "2026-01-31T23:59:59"),
        ("2026-01-31 23:59:59", "2026-01-31T23:59:59"),
        ("2026-01-31T23:59", "2026-01-31T23:59:00"),
        ("2026-01-31T23:59:59.123456", "2026-01-31T23:59:59.123456"),
        ("2026-01-31T23:59:59Z", "2026-01-31T23:59:59"),
        ("2026-01-31T23:59:59+09:00", "2026-01-31T14:59:59"),
        ("2026-01-31T23:59:59-01:30", "2026-02-01T01:29:59"),
        ("9999-12-31T23:59:59.999999", "9999-12-31T23:59:59.999999"),
    ] {
        assert_eq!(read(raw).as_deref(), Some(expected), "{raw}");
    }
    for raw in [
        "",
        "2026-01-31",
        "2026-01-31T",
        "2026-01-31T24:00:00",
        "2026-01-31T23:60:00",
        "2026-02-30T00:00:00",
        "2026-01-31T23:59:59.1234567",
        "2026-01-31T23:59:59+25:99",
        "0999-12-31T23:59:59",
        "1000-01-01T00:00:00+01:00",
        "2026-01-31T10:00:00[Asia/Tokyo]",
        "2026-01-31T10:00:00+09:00[Asia/Tokyo]",
        "2026-01-31T10:00:00 JST",
        "2026-01-31日10:00",
        "日本日本日本",
    ] {
        assert_eq!(read(raw), None, "{raw}");
    }
    assert_snapshot!(super::params::read(ParamType::DateTime, text("yesterday")).unwrap_err(), @r#"params.x: expected a date and time such as 2026-01-31T23:59:59, got "yesterday""#);
}

#[test]
fn missing_value_is_refused_unless_optional_or_defaulted() {
    let missing =
        |param: &Param| param.read("params.x", None, &TimeZone::UTC).map_err(|error| error.to_string());
    assert_snapshot!(missing(&param(ParamType::Date)).unwrap_err(), @"params.x: expected a date such as 2026-01-31, got nothing");
    let optional = Param { required: false, ..param(ParamType::Date) };
    assert_eq!(missing(&optional), Ok(Value::Null(ParamType::Date)));
    let default = Param { default: Some(Value::Integer(7)), ..param(ParamType::Integer) };
    assert_eq!(missing(&default), Ok(Value::Integer(7)));
}

#[test]
fn value_out_of_bounds_is_refused() {
    let short = Param { max_length: Some(3), ..param(ParamType::String) };
    assert!(short.read("params.x", Some(&text("あいう")), &TimeZone::UTC).is_ok());
    assert_snapshot!(short.read("params.x", Some(&text("あいうえ")), &TimeZone::UTC).unwrap_err(), @"params.x: expected at most 3 characters, got 4 characters");
    let one_of = Param { one_of: vec![Value::Integer(1), Value::Integer(2)], ..param(ParamType::Integer) };
    assert_eq!(one_of.read("params.x", Some(&text("2")), &TimeZone::UTC), Ok(Value::Integer(2)));
    assert_snapshot!(one_of.read("params.x", Some(&number("3")), &TimeZone::UTC).unwrap_err(), @"params.x: expected one of 1, 2, got 3");
    let long = "x".repeat(1_000);
    assert_snapshot!(read(ParamType::Integer, text(&long)).unwrap_err(), @r#"params.x: expected a whole number between -9223372036854775808 and 9223372036854775807, got "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…"#);
}

#[test]
fn value_in_a_receipt_keeps_its_meaning() {
    let date = read(ParamType::Date, text("2026-01-31")).unwrap();
    let values = [
        Value::Null(ParamType::Date),
        Value::Boolean(true),
        Value::Integer(-5),
        Value::Decimal("0.10".into()),
        date,
    ];
    let json: Vec<serde_json::Value> = values.iter().map(Value::to_json).collect();
    assert_snapshot!(serde_json::Value::from(json).to_string(), @r#"[null,true,-5,"0.10","2026-01-31"]"#);
}

proptest! {
    #[test]
    fn parameter_of_any_text_causes_no_panic(raw in "\\PC{0,30}|[0-9TZ:.+ -]{0,30}") {
        for kind in [ParamType::String, ParamType::Integer, ParamType::Decimal, ParamType::Boolean, ParamType::Date, ParamType::DateTime] {
            let _ = read(kind, text(&raw));
            let _ = read(kind, number(&raw));
        }
    }

    #[test]
    fn valid_date_reads_back_equal(year in 1000..10_000_i16, month in 1..13_i8, day in 1..29_i8) {
        let raw = format!("{year:04}-{month:02}-{day:02}");
        prop_assert_eq!(read_text(ParamType::Date, &raw), Some(raw));
    }
}
