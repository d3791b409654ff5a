//! Compares the CSV encoder with one that is slow and obviously right, on random tables and on values at the limits of every kind.

use downpipe_format::{Cell, Column, ColumnKind, Date, Layout, Profile, Time};
use proptest::prelude::*;

use crate::any::{double, single, table};
use crate::samples::{cells, column, encoder};
use crate::value::{Value, floats};

/// Writes a field with the `csv` crate, beside another one, because a row with one field has rules of its own.
fn reference_field(text: Option<&[u8]>) -> Vec<u8> {
    match text {
        None => Vec::new(),
        Some(b"") => b"\"\"".to_vec(),
        // The end of the data to PostgreSQL. The crate does not know it.
        Some(b"\\.") => b"\"\\.\"".to_vec(),
        Some(text) => {
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record([b"x", text]).unwrap();
            let line = writer.into_inner().unwrap();
            line.strip_prefix(b"x,").unwrap().strip_suffix(b"\n").unwrap().to_vec()
        }
    }
}

fn reference(columns: &[Column], rows: &[Vec<Value>]) -> Vec<u8> {
    let header = columns.iter().map(|column| reference_field(Some(column.name.as_bytes()))).collect();
    let fields = |row: &Vec<Value>| {
        let texts = row.iter().zip(columns).map(|(value, column)| value.text(column.kind));
        texts.map(|text| reference_field(text.as_deref())).collect()
    };
    let mut lines: Vec<Vec<Vec<u8>>> = std::iter::once(header).chain(rows.iter().map(fields)).collect();
    // Readers skip blank lines.
    for line in lines.iter_mut().filter(|line| line.len() == 1) {
        if String::from_utf8(line[0].clone()).is_ok_and(|text| text.chars().all(char::is_whitespace)) {
            line[0] = format!("\"{}\"", String::from_utf8(line[0].clone()).unwrap()).into_bytes();
        }
    }
    lines.iter().flat_map(|fields| [fields.join(&b','), b"\n".to_vec()]).flatten().collect()
}

fn encode(profile: Profile, columns: &[Column], rows: &[Vec<Value>]) -> Vec<u8> {
    let rows: Vec<Vec<Cell<'_>>> = rows.iter().map(|row| row.iter().map(Value::as_cell).collect()).collect();
    encoder(profile, &Layout::default(), columns, &rows).file().take(usize::MAX).unwrap()
}

/// Compares a column of these values byte by byte. A failure shows the first line that differs.
#[track_caller]
fn assert_as_reference(kind: ColumnKind, values: impl IntoIterator<Item = Value>) {
    let columns = [column("a", ColumnKind::Text), column("c", kind)];
    let rows: Vec<Vec<Value>> =
        values.into_iter().map(|value| vec![Value::Text(b"x".to_vec()), value]).collect();
    for row in rows.chunks(1) {
        let (actual, expected) = (encode(Profile::PLAIN, &columns, row), reference(&columns, row));
        assert_eq!(String::from_utf8_lossy(&actual), String::from_utf8_lossy(&expected), "{kind:?} {row:?}");
    }
    // And in one file, where the rest of one value could get into the next.
    assert!(encode(Profile::PLAIN, &columns, &rows) == reference(&columns, &rows), "{kind:?}");
}

fn integer(zerofill: u8) -> ColumnKind {
    ColumnKind::Integer { bits: 64, unsigned: true, zerofill }
}

/// Returns the numbers around a change in the number of digits or bits.
fn edges() -> impl Iterator<Item = u64> {
    let tens = (0..20).map(|power| 10_u64.pow(power));
    let twos = (0..64).map(|power| 1_u64 << power);
    tens.chain(twos).flat_map(|edge| [edge - 1, edge, edge + 1]).chain([99, 100, 101, 12_345, u64::MAX])
}

#[test]
fn integers_of_every_length_equal_the_reference() {
    assert_as_reference(integer(0), edges().map(Value::UInt));
    assert_as_reference(ColumnKind::Bit, edges().map(Value::UInt));
    let signed = edges().flat_map(|edge| [edge.cast_signed(), edge.cast_signed().wrapping_neg()]);
    assert_as_reference(
        ColumnKind::Integer { bits: 64, unsigned: false, zerofill: 0 },
        signed.map(Value::Int),
    );
    assert_as_reference(
        ColumnKind::Integer { bits: 8, unsigned: false, zerofill: 0 },
        (-128..=127).map(Value::Int),
    );
}

/// `BIT(1)` to `BIT(64)`, each with all bits set and with every second one.
#[test]
fn bits_of_every_width_equal_the_reference() {
    let of_width = |width: u32| [u64::MAX >> (64 - width), 0xAAAA_AAAA_AAAA_AAAA >> (64 - width)];
    assert_as_reference(ColumnKind::Bit, (1..=64).flat_map(of_width).map(Value::UInt));
}

/// A year has four digits: `0000`.
#[test]
fn zerofill_of_every_width_equals_the_reference() {
    for width in 0..=255 {
        assert_as_reference(integer(width), [0, 1, 42, 99_999, u64::MAX].map(Value::UInt));
    }
    let years = (1901..=2155).chain([0]).map(Value::UInt);
    assert_as_reference(ColumnKind::Integer { bits: 16, unsigned: true, zerofill: 4 }, years);
}

#[test]
fn decimals_at_the_limits_equal_the_reference() {
    let digits = "9".repeat(65);
    let small = format!("-0.{}1", "0".repeat(29));
    let mixed = format!("-{}.{}", "9".repeat(35), "1".repeat(30));
    let texts = [
        "0",
        "-0.01",
        "0.00",
        "-1",
        "12.50",
        "9999999999.99",
        &digits,
        &format!("-{digits}"),
        &small,
        &mixed,
    ];
    assert_as_reference(ColumnKind::Decimal { width: 65 }, texts.map(|text| Value::Decimal(text.to_owned())));
}

#[test]
fn floats_at_the_limits_equal_the_reference() {
    let edges = [0.0, 0.1, 1e-5, 9.999_999_999_999_999e-6, 1e16, 1e17, f64::MIN_POSITIVE, 5e-324, f64::MAX];
    let powers =
        (-1074..1024).map(|power| 2_f64.powi(power)).chain((-323..309).map(|power| 10_f64.powi(power)));
    let whole = (0..64).map(|power| 2_f64.powi(power) - 1.0);
    for value in edges.into_iter().chain(powers).chain(whole).flat_map(|value| [value, -value]) {
        let text = float_text(ColumnKind::Double, Cell::Double(value));
        assert!(floats(value).contains(&text), "{text}: {:?}", floats(value));
    }
    let edges =
        [0.0, 0.1, 1_234_567.9, 16_777_216.0, 1e-5, 9.999_999e-6, 1e17, f32::MIN_POSITIVE, 1e-45, f32::MAX];
    let powers = (-149..128).map(|power| 2_f32.powi(power)).chain((-44..39).map(|power| 10_f32.powi(power)));
    for value in edges.into_iter().chain(powers).flat_map(|value| [value, -value]) {
        let text = float_text(ColumnKind::Float, Cell::Float(value));
        assert!(floats(value).contains(&text), "{text}: {:?}", floats(value));
    }
}

#[test]
fn every_date_equals_the_reference() {
    let days = (0..=12).flat_map(|month| (0..=31).map(move |day| Date { year: 2026, month, day }));
    let years = (0..=9999).map(|year| Date { year, month: 2, day: 31 });
    assert_as_reference(ColumnKind::Date, days.chain(years).chain([Date::default()]).map(Value::Date));
    let zero = Value::DateTime(Date::default(), Time::default());
    assert_as_reference(ColumnKind::DateTime { fraction: 0 }, [zero.clone()]);
    assert_as_reference(ColumnKind::Timestamp { fraction: 6 }, [zero]);
}

#[test]
fn every_time_equals_the_reference() {
    let time = |hours, minutes, seconds| Time { hours, minutes, seconds, ..Time::default() };
    let hours = (0..=838).map(|hours| time(hours, 0, 0));
    let minutes = (0..60).map(|minutes| time(99, minutes, 59));
    let seconds = (0..60).map(|seconds| time(100, 59, seconds));
    let times: Vec<Time> = hours.chain(minutes).chain(seconds).collect();
    for negative in [false, true] {
        let values = times.iter().map(|time| Value::Time(Time { negative, ..*time }));
        assert_as_reference(ColumnKind::Time { fraction: 0 }, values);
    }
}

#[test]
fn fractions_of_every_length_equal_the_reference() {
    let date = Date { year: 2026, month: 1, day: 31 };
    let fractions =
        [0, 1, 9, 10, 99_999, 100_000, 120_000, 123_000, 123_400, 123_450, 123_456, 500_000, 999_999];
    for fraction in 0..=6 {
        let times = fractions.map(|microseconds| Time {
            hours: 23,
            minutes: 59,
            seconds: 59,
            microseconds,
            negative: false,
        });
        let at = times.map(|time| Value::DateTime(date, time));
        assert_as_reference(ColumnKind::DateTime { fraction }, at.clone());
        assert_as_reference(ColumnKind::Timestamp { fraction }, at);
        let took = times.map(|time| Value::Time(Time { negative: true, hours: 838, ..time }));
        assert_as_reference(ColumnKind::Time { fraction }, took);
    }
}

#[test]
fn every_byte_equals_the_reference() {
    let hexadecimal = (0..=255).map(|byte| Value::Bytes(vec![byte, 0x0F, byte]));
    assert_as_reference(ColumnKind::Bytes, hexadecimal.chain([Value::Bytes(Vec::new()), Value::Null]));
}

/// Each character of ASCII by itself, first, last, doubled, and at every place of a text longer than two machine words.
#[test]
fn ascii_character_at_every_place_equals_the_reference() {
    for character in 0..128 {
        let place = |at: usize| {
            let mut text = b"abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789".to_vec();
            text[at] = character;
            text
        };
        let short: [&[u8]; 5] = [
            &[character],
            &[character, b'a'],
            &[b'a', character],
            &[character, character],
            &[b'"', character, b'"'],
        ];
        let long = (0..64).map(place);
        let texts = short.into_iter().map(<[u8]>::to_vec).chain(long);
        assert_as_reference(ColumnKind::Text, texts.map(Value::Text));
    }
}

#[test]
fn other_alphabets_and_invalid_text_equal_the_reference() {
    let texts = [
        "",
        "日本語、\"引用\", 🧾",
        "髙﨑①～",
        "𠮷野家",
        "é\u{301}",
        "👩‍👩‍👧",
        "\u{feff}",
        "\u{2028}",
        "\u{7f}",
        "NULL",
        "\\N",
        "\\.",
        "\\",
        "\"",
        "\"\"",
    ];
    let texts = texts.map(|text| text.as_bytes().to_vec()).into_iter();
    // A Latin-1 letter, half a character, and a byte that UTF-8 never has.
    let others = [&b"caf\xE9"[..], b"\xE6\x97", b"\xFF,\xFF"].map(<[u8]>::to_vec);
    assert_as_reference(ColumnKind::Text, texts.chain(others).map(Value::Text).chain([Value::Null]));
    let json = [r#"{"a": [1, 2.5, "x\"y\\z", null, true], "日本": "🚀"}"#, "5", "\"\"", "null", "[]"];
    assert_as_reference(ColumnKind::Json, json.map(|text| Value::Text(text.into())));
}

/// Tests the reference itself.
#[test]
fn reference_writes_the_shortest_floats() {
    let doubles =
        [(0.1, "0.1"), (-1.5e-7, "-1.5e-7"), (1e16, "10000000000000000"), (1e17, "1e17"), (1e23, "1e23")];
    let others = [
        (123_456_789.123_456_79, "123456789.12345679"),
        (5e-324, "5e-324"),
        (-0.0, "-0"),
        (0.000_012_345, "0.000012345"),
    ];
    for (value, expected) in doubles.into_iter().chain(others) {
        assert_eq!(floats(value), [expected]);
    }
    // The nearest text of 16 digits, …801e-14, reads back as another number.
    assert_eq!(floats(2_f64.powi(-44)), ["5.684341886080802e-14"]);
    // 2.98023223876953125e-8
    assert_eq!(floats(2_f64.powi(-25)), ["2.9802322387695312e-8", "2.9802322387695313e-8"]);
    assert_eq!(floats(1_234_567.9_f32), ["1234567.9"]);
    assert_eq!(floats(3.402_823_5e38_f32), ["3.4028235e38"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn any_table_in_plain_equals_the_reference((columns, rows) in table()) {
        let (actual, expected) = (encode(Profile::PLAIN, &columns, &rows), reference(&columns, &rows));
        prop_assert!(actual == expected, "{:?}\n{:?}", String::from_utf8_lossy(&actual), String::from_utf8_lossy(&expected));
    }

    #[test]
    fn any_double_equals_the_reference(value in double()) {
        let text = float_text(ColumnKind::Double, Cell::Double(value));
        prop_assert!(floats(value).contains(&text), "{}: {:?}", text, floats(value));
    }

    #[test]
    fn any_single_equals_the_reference(value in single()) {
        let text = float_text(ColumnKind::Float, Cell::Float(value));
        prop_assert!(floats(value).contains(&text), "{}: {:?}", text, floats(value));
    }
}

proptest! {
    #[test]
    fn any_table_in_plain_is_read_back((columns, rows) in table()) {
        let file = encode(Profile::PLAIN, &columns, &rows);
        // The reader drops a byte order mark and skips empty lines.
        let readable = |row: &Vec<Value>| row.len() > 1 || row[0] != Value::Null;
        prop_assume!(!columns[0].name.starts_with('\u{feff}') && rows.iter().all(readable));
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(file.as_slice());
        let read: Vec<Vec<Vec<u8>>> =
            reader.byte_records().map(|record| record.unwrap().iter().map(<[u8]>::to_vec).collect()).collect();
        let text = |(value, column): (&Value, &Column)| value.text(column.kind).unwrap_or_default();
        let sent = rows.iter().map(|row| row.iter().zip(&columns).map(text).collect());
        let header = columns.iter().map(|column| column.name.clone().into_bytes()).collect();
        let expected: Vec<Vec<Vec<u8>>> = std::iter::once(header).chain(sent).collect();
        prop_assert_eq!(read, expected);
    }

    /// Every field is no formula to a spreadsheet, or the encoder's own formula of a text.
    #[test]
    fn any_table_in_excel_has_no_formula_that_runs((columns, rows) in table()) {
        let as_text = |(value, column): (&Value, &Column)| Value::Text(value.text(column.kind).unwrap_or_default());
        let rows: Vec<Vec<Value>> = rows.iter().map(|row| row.iter().zip(&columns).map(as_text).collect()).collect();
        let columns: Vec<Column> = columns.iter().map(|from| column(&from.name, ColumnKind::Text)).collect();
        let file = encode(Profile::EXCEL, &columns, &rows);
        let file = file.strip_prefix("\u{feff}".as_bytes()).unwrap();
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(file);
        for record in reader.byte_records() {
            for field in record.unwrap().iter() {
                let digits = field.strip_prefix(b"=\"").and_then(|rest| rest.strip_suffix(b"\""));
                let is_digit = |byte: &u8| byte.is_ascii_digit() || b"-.".contains(byte);
                let ours = digits.is_some_and(|digits| !digits.is_empty() && digits.iter().all(is_digit));
                prop_assert!(ours || !field.starts_with(b"=") && !field.first().is_some_and(|byte| b"+-@\t\r".contains(byte)), "{:?}", field);
            }
        }
    }

    #[test]
    fn any_float_is_read_back_to_the_same_bits(double in double(), single in single()) {
        let text = float_text(ColumnKind::Double, Cell::Double(double));
        prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), double.to_bits(), "{}", text);
        let text = float_text(ColumnKind::Float, Cell::Float(single));
        prop_assert_eq!(text.parse::<f32>().unwrap().to_bits(), single.to_bits(), "{}", text);
    }
}

fn float_text(kind: ColumnKind, cell: Cell<'_>) -> String {
    let file = cells(Profile::PLAIN, kind, &[cell]);
    file.strip_prefix("c\n").unwrap().trim_end().to_owned()
}
