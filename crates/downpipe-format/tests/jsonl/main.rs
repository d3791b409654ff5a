//! Tests the JSON Lines encoder: every kind of cell, and that a reader of JSON gets back what was sent.
#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the message")]

mod any;

use downpipe_format::{
    Cell, Changes, Column, ColumnKind, ColumnOptions, Compression, Date, Format, Layout, Mask, Profile,
    RowEncoder, Style, Time, TreatAs,
};
use insta::assert_snapshot;

const INTEGER: ColumnKind = ColumnKind::Integer { bits: 64, unsigned: false, zerofill: 0 };
const PADDED: ColumnKind = ColumnKind::Integer { bits: 32, unsigned: true, zerofill: 6 };
const DECIMAL: ColumnKind = ColumnKind::Decimal { width: 65 };

fn column(name: &str, kind: ColumnKind) -> Column {
    Column { name: name.to_owned(), kind }
}

fn text(text: &str) -> Cell<'_> {
    Cell::Text(text.as_bytes())
}

fn encoder(layout: &Layout, columns: &[Column]) -> RowEncoder {
    let style = Style::new(Profile::PLAIN, Format::Jsonl, Compression::None).unwrap();
    RowEncoder::start(style, layout, columns).unwrap()
}

/// Encodes rows into a file, which must be UTF-8. Returns its changes, too.
fn encode(layout: &Layout, columns: &[Column], rows: &[Vec<Cell<'_>>]) -> (String, Changes) {
    let mut encoder = encoder(layout, columns);
    for row in rows {
        row.iter().for_each(|cell| encoder.cell(*cell));
        encoder.end_row().unwrap();
    }
    let changes = encoder.changes();
    let mut file = encoder.into_file().encoder;
    file.finish().unwrap();
    (String::from_utf8(file.take(usize::MAX).unwrap()).unwrap(), changes)
}

/// Encodes the cells of a column `v`, each on a line.
fn cells(kind: ColumnKind, options: ColumnOptions, cells: &[Cell<'_>]) -> (String, Changes) {
    let layout = Layout::new([("v".to_owned(), options)].into());
    let rows: Vec<Vec<Cell<'_>>> = cells.iter().map(|cell| vec![*cell]).collect();
    encode(&layout, &[column("v", kind)], &rows)
}

fn treated(treat_as: TreatAs) -> ColumnOptions {
    ColumnOptions { treat_as: Some(treat_as), ..ColumnOptions::default() }
}

fn plain(kind: ColumnKind, values: &[Cell<'_>]) -> String {
    cells(kind, ColumnOptions::default(), values).0
}

const DAY: Date = Date { year: 2026, month: 1, day: 31 };
const MORNING: Time = Time { negative: false, hours: 9, minutes: 5, seconds: 7, microseconds: 123_456 };
const LONGEST: Time = Time { negative: true, hours: 838, minutes: 59, seconds: 59, microseconds: 0 };

#[test]
fn row_is_written_as_an_object() {
    let columns = [
        column("id", INTEGER),
        column("flags", ColumnKind::Bit),
        column("price", DECIMAL),
        column("ratio", ColumnKind::Double),
        column("name", ColumnKind::Text),
        column("data", ColumnKind::Json),
        column("hash", ColumnKind::Bytes),
        column("day", ColumnKind::Date),
        column("at", ColumnKind::DateTime { fraction: 3 }),
        column("took", ColumnKind::Time { fraction: 0 }),
    ];
    let rows = [
        vec![
            Cell::Int(i64::MIN),
            Cell::UInt(u64::MAX),
            Cell::Decimal(b"-0.10"),
            Cell::Double(0.1),
            text("日本語 🧾 \"x\""),
            text(r#"{"a": [1, 2.50, null]}"#),
            Cell::Bytes(&[0x00, 0xAB, 0xFF]),
            Cell::Date(DAY),
            Cell::DateTime(DAY, MORNING),
            Cell::Time(LONGEST),
        ],
        vec![Cell::Null; 10],
        vec![
            Cell::Int(0),
            Cell::UInt(0),
            Cell::Decimal(b"0"),
            Cell::Double(-0.0),
            text(""),
            text("null"),
            Cell::Bytes(&[]),
            Cell::Date(Date::default()),
            Cell::DateTime(Date::default(), Time::default()),
            Cell::Time(Time::default()),
        ],
    ];
    let (file, changes) = encode(&Layout::default(), &columns, &rows);
    assert_snapshot!(file, @r#"
    {"id":-9223372036854775808,"flags":18446744073709551615,"price":-0.10,"ratio":0.1,"name":"日本語 🧾 \"x\"","data":{"a": [1, 2.50, null]},"hash":"00ABFF","day":"2026-01-31","at":"2026-01-31 09:05:07.123456","took":"-838:59:59"}
    {"id":null,"flags":null,"price":null,"ratio":null,"name":null,"data":null,"hash":null,"day":null,"at":null,"took":null}
    {"id":0,"flags":0,"price":0,"ratio":-0,"name":"","data":null,"hash":"","day":"0000-00-00","at":"0000-00-00 00:00:00.000","took":"00:00:00"}
    "#);
    assert_eq!(changes, []);
}

#[test]
fn repeated_or_special_keys_are_numbered_and_escaped() {
    let names = ["id", "id", "", "say \"hi\"\n", "id (2)"].map(|name| column(name, INTEGER));
    let (file, _) = encode(&Layout::default(), &names, &[vec![Cell::Int(1); 5]]);
    assert_snapshot!(file, @r#"{"id":1,"id (2)":1,"column 3":1,"say \"hi\"\n":1,"id (2) (2)":1}"#);
    let (empty, _) = encode(&Layout::default(), &names, &[]);
    assert_eq!(empty, "");
}

/// Spark and DuckDB ignore the case of names.
#[test]
fn keys_differing_only_in_case_are_numbered() {
    let names =
        ["id", "ID", "Id", "ID (2)", "ΑΣ", "ας", "straße", "ſ", "S"].map(|name| column(name, INTEGER));
    let (file, _) = encode(&Layout::default(), &names, &[vec![Cell::Int(1); 9]]);
    assert_snapshot!(file, @r#"{"id":1,"ID (2)":1,"Id (3)":1,"ID (2) (2)":1,"ΑΣ":1,"ας (2)":1,"straße":1,"ſ":1,"S (2)":1}"#);
}

#[test]
fn numbers_of_decimal_type_have_its_digits() {
    let as_decimal = || treated(TreatAs::Decimal("decimal(12,2)".parse().unwrap()));
    let written = |kind, values: &[Cell<'_>]| cells(kind, as_decimal(), values).0;
    assert_snapshot!(written(DECIMAL, &[Cell::Decimal(b"0"), Cell::Decimal(b"-1.5"), Cell::Null]), @r#"
    {"v":0.00}
    {"v":-1.50}
    {"v":null}
    "#);
    assert_snapshot!(written(PADDED, &[Cell::UInt(42)]), @r#"{"v":42.00}"#);
}

#[test]
fn numbers_keep_all_digits_without_padding() {
    assert_snapshot!(plain(PADDED, &[Cell::UInt(42), Cell::UInt(0), Cell::UInt(12_345_678)]), @r#"
    {"v":42}
    {"v":0}
    {"v":12345678}
    "#);
    let longest = b"-12345678901234567890123456789012345.123456789012345678901234567890";
    assert_snapshot!(plain(DECIMAL, &[Cell::Decimal(longest), Cell::Decimal(b"007.50")]), @r#"
    {"v":-12345678901234567890123456789012345.123456789012345678901234567890}
    {"v":7.50}
    "#);
    let doubles = [1.0, 1e16, 1e17, 1e300, 1.5e-7, f64::MIN_POSITIVE, f64::MAX].map(Cell::Double);
    assert_snapshot!(plain(ColumnKind::Double, &doubles), @r#"
    {"v":1}
    {"v":10000000000000000}
    {"v":1e17}
    {"v":1e300}
    {"v":1.5e-7}
    {"v":2.2250738585072014e-308}
    {"v":1.7976931348623157e308}
    "#);
    assert_snapshot!(plain(ColumnKind::Float, &[0.1, 1_234_567.9, 1e-45].map(Cell::Float)), @r#"
    {"v":0.1}
    {"v":1234567.9}
    {"v":1e-45}
    "#);
}

#[test]
fn text_is_escaped_only_where_it_must_be() {
    let escaped = plain(ColumnKind::Text, &[text("\0\u{1}\u{8}\t\n\u{c}\r\u{1f}"), text("\\ \" / '")]);
    assert_snapshot!(escaped, @r#"
    {"v":"\u0000\u0001\b\t\n\f\r\u001F"}
    {"v":"\\ \" / '"}
    "#);
    let unescaped = "\u{7f}\u{2028}\u{2029}\u{feff}é👩‍👩‍👧";
    assert_eq!(plain(ColumnKind::Text, &[text(unescaped)]), format!("{{\"v\":\"{unescaped}\"}}\n"));
}

#[test]
fn invalid_utf8_is_replaced_and_counted() {
    let broken = [Cell::Text(b"a\xFFb\xC3"), text("ok"), Cell::Text(b"\xED\xA0\x80")];
    let (file, changes) = cells(ColumnKind::Text, ColumnOptions::default(), &broken);
    assert_snapshot!(file, @r#"
    {"v":"a�b�"}
    {"v":"ok"}
    {"v":"���"}
    "#);
    assert_eq!(changes[0].1.invalid_text, 2);
}

#[test]
fn json_is_embedded_on_one_line_and_other_text_is_a_string() {
    let values = [
        "{\r\n \"a\":\n\"\\n\"}",
        " 1 ",
        "-1.50",
        "12345678901234567890123",
        "\"text\"",
        "",
        "{",
        "1 2",
        "NaN",
        "\"a\nb\"",
    ];
    let values: Vec<Cell<'_>> = values.into_iter().map(text).chain([Cell::Text(b"\"\xFF\"")]).collect();
    let (file, changes) = cells(ColumnKind::Json, ColumnOptions::default(), &values);
    assert_snapshot!(file, @r#"
    {"v":{   "a": "\n"}}
    {"v": 1 }
    {"v":-1.50}
    {"v":12345678901234567890123}
    {"v":"text"}
    {"v":""}
    {"v":"{"}
    {"v":"1 2"}
    {"v":"NaN"}
    {"v":"\"a\nb\""}
    {"v":"�"}
    "#);
    assert_eq!(changes[0].1.invalid_text, 1);
}

/// MySQL takes 100 levels.
#[test]
fn deeply_nested_json_is_embedded() {
    let deep = "[".repeat(100) + &"]".repeat(100);
    assert_eq!(plain(ColumnKind::Json, &[text(&deep)]), format!("{{\"v\":{deep}}}\n"));
}

#[test]
fn value_treated_as_text_is_a_string() {
    let as_text = |kind, cell| cells(kind, treated(TreatAs::Text), &[cell, Cell::Null]).0;
    assert_snapshot!(as_text(PADDED, Cell::UInt(42)), @r#"
    {"v":"000042"}
    {"v":null}
    "#);
    assert_snapshot!(as_text(DECIMAL, Cell::Decimal(b"007.50")).lines().next().unwrap(), @r#"{"v":"007.50"}"#);
    assert_snapshot!(as_text(ColumnKind::Double, Cell::Double(1e300)).lines().next().unwrap(), @r#"{"v":"1e300"}"#);
    assert_snapshot!(as_text(ColumnKind::Json, text("{\"a\": 1}")).lines().next().unwrap(), @r#"{"v":"{\"a\": 1}"}"#);
    assert_snapshot!(as_text(ColumnKind::Date, Cell::Date(DAY)).lines().next().unwrap(), @r#"{"v":"2026-01-31"}"#);
}

#[test]
fn text_treated_as_number_is_one_where_it_is_valid() {
    let texts = ["12.50", "-1e5", "007", "1 000", "", "abc", " 1"];
    let texts: Vec<Cell<'_>> = texts.into_iter().map(text).collect();
    assert_snapshot!(cells(ColumnKind::Text, treated(TreatAs::Number), &texts).0, @r#"
    {"v":12.50}
    {"v":-1e5}
    {"v":"007"}
    {"v":"1 000"}
    {"v":""}
    {"v":"abc"}
    {"v":" 1"}
    "#);
    let masked = ColumnOptions { mask: Some(Mask::KeepLast(0)), ..treated(TreatAs::Number) };
    assert_snapshot!(cells(INTEGER, masked, &[Cell::Int(42)]).0, @r#"{"v":"**"}"#);
}

#[test]
fn infinite_or_invalid_number_is_refused() {
    let infinite = [Cell::Double(f64::INFINITY), Cell::Float(f32::NAN), Cell::Decimal(b"12,5")];
    let columns = [column("a", ColumnKind::Double), column("b", ColumnKind::Float), column("c", DECIMAL)];
    let mut encoder = encoder(&Layout::default(), &columns);
    (0..3).for_each(|_| encoder.cell(Cell::Null));
    encoder.end_row().unwrap();
    infinite.into_iter().for_each(|cell| encoder.cell(cell));
    let error = encoder.end_row().unwrap_err();
    assert_snapshot!(error, @r#"row 2, column "a": jsonl takes finite numbers, got infinity or NaN"#);
}

#[test]
fn pieces_end_at_rows_and_make_up_the_file() {
    let mut encoder = encoder(&Layout::default(), &[column("n", INTEGER)]);
    assert_eq!(encoder.file().take(10).unwrap(), b"");
    for n in 1..=3 {
        encoder.cell(Cell::Int(n));
        encoder.end_row().unwrap();
        assert_eq!(encoder.file().buffered(), 8);
        assert_eq!(encoder.file().take(1).unwrap(), format!("{{\"n\":{n}}}\n").as_bytes());
        assert_eq!(encoder.file().buffered(), 0);
    }
}
