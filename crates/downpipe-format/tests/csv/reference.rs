//! The CSV encoder against an encoder that is slow and obviously right, on random tables.

use downpipe_format::{Cell, Column, ColumnKind, Layout, Profile};
use proptest::prelude::*;

use crate::samples::{cells, encoder};

/// A random cell. Numbers are among them because they take another way through the encoder.
#[derive(Debug, Clone)]
enum Value {
    Null,
    Text(String),
    Int(i64),
    UInt(u64),
    Bytes(Vec<u8>),
}

impl Value {
    fn as_cell(&self) -> Cell<'_> {
        match self {
            Self::Null => Cell::Null,
            Self::Text(text) => Cell::Text(text.as_bytes()),
            Self::Int(value) => Cell::Int(*value),
            Self::UInt(value) => Cell::UInt(*value),
            Self::Bytes(bytes) => Cell::Bytes(bytes),
        }
    }

    /// `None` for `NULL`.
    fn as_text(&self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Text(text) => Some(text.clone()),
            Self::Int(value) => Some(value.to_string()),
            Self::UInt(value) => Some(value.to_string()),
            Self::Bytes(bytes) => Some(bytes.iter().map(|byte| format!("{byte:02X}")).collect()),
        }
    }
}

/// A field as the `csv` crate writes it beside another, so that it is never the only one of its row.
fn reference_field(value: Option<&str>) -> String {
    match value {
        None => String::new(),
        Some("") => "\"\"".to_owned(),
        Some(text) => {
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(["x", text]).unwrap();
            let line = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            line.strip_prefix("x,").unwrap().strip_suffix('\n').unwrap().to_owned()
        }
    }
}

fn reference(header: &[String], rows: &[Vec<Value>]) -> String {
    let header: Vec<String> = header.iter().map(|name| reference_field(Some(name))).collect();
    let mut file = header.join(",") + "\n";
    for row in rows {
        let fields: Vec<String> =
            row.iter().map(|value| reference_field(value.as_text().as_deref())).collect();
        file += &(fields.join(",") + "\n");
    }
    file
}

fn encode(profile: Profile, header: &[String], rows: &[Vec<Value>]) -> Vec<u8> {
    let columns: Vec<Column> =
        header.iter().map(|name| Column { name: name.clone(), kind: ColumnKind::Text }).collect();
    let rows: Vec<Vec<Cell<'_>>> = rows.iter().map(|row| row.iter().map(Value::as_cell).collect()).collect();
    encoder(profile, &Layout::default(), &columns, &rows).file().take(usize::MAX).unwrap()
}

/// Text in which the characters that matter are common.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c,\"\r\n;\t '=+@-]{0,8}",
        "[\\PC\r\n\0]{0,6}",
        Just(String::new()),
        Just("\u{feff}".to_owned()),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        text().prop_map(Value::Text),
        any::<i64>().prop_map(Value::Int),
        any::<u64>().prop_map(Value::UInt),
        proptest::collection::vec(any::<u8>(), 0..4).prop_map(Value::Bytes),
    ]
}

fn table() -> impl Strategy<Value = (Vec<String>, Vec<Vec<Value>>)> {
    (1_usize..5).prop_flat_map(|width| {
        let header = proptest::collection::vec(text(), width);
        let rows = proptest::collection::vec(proptest::collection::vec(value(), width), 0..8);
        (header, rows)
    })
}

proptest! {
    #[test]
    fn plain_is_what_the_reference_writes((header, rows) in table()) {
        let actual = String::from_utf8(encode(Profile::PLAIN, &header, &rows)).unwrap();
        prop_assert_eq!(actual, reference(&header, &rows));
    }

    #[test]
    fn csv_reads_the_same_values_back((header, rows) in table()) {
        let file = encode(Profile::PLAIN, &header, &rows);
        // The reader drops a mark at the beginning and skips empty lines; neither is the encoder's doing.
        let readable = |row: &Vec<Value>| row.len() > 1 || !matches!(row[0], Value::Null);
        prop_assume!(!header[0].starts_with('\u{feff}') && rows.iter().all(readable));
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(file.as_slice());
        let read: Vec<Vec<String>> =
            reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect();
        let sent = rows.iter().map(|row| row.iter().map(|value| value.as_text().unwrap_or_default()).collect());
        let expected: Vec<Vec<String>> = std::iter::once(header).chain(sent).collect();
        prop_assert_eq!(read, expected);
    }

    /// Whatever the text, a spreadsheet sees a field that does not begin like a formula, or one of our own.
    #[test]
    fn nothing_in_an_excel_file_runs((header, rows) in table()) {
        let rows: Vec<Vec<Value>> =
            rows.into_iter().map(|row| row.into_iter().map(|value| Value::Text(value.as_text().unwrap_or_default())).collect()).collect();
        let file = encode(Profile::EXCEL, &header, &rows);
        let file = file.strip_prefix("\u{feff}".as_bytes()).unwrap();
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(file);
        for record in reader.records() {
            for field in record.unwrap().iter() {
                let digits = field.strip_prefix("=\"").and_then(|rest| rest.strip_suffix('"'));
                let ours = digits.is_some_and(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit() || b == b'-'));
                prop_assert!(ours || !field.starts_with(['=', '+', '-', '@', '\t', '\r']), "{:?}", field);
            }
        }
    }

    #[test]
    fn doubles_read_back_to_the_same_bits(bits in any::<u64>()) {
        let value = f64::from_bits(bits);
        prop_assume!(value.is_finite());
        let text = float_text(Cell::Double(value));
        prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), bits, "{}", text);
    }

    #[test]
    fn singles_read_back_to_the_same_bits(bits in any::<u32>()) {
        let value = f32::from_bits(bits);
        prop_assume!(value.is_finite());
        let text = float_text(Cell::Float(value));
        prop_assert_eq!(text.parse::<f32>().unwrap().to_bits(), bits, "{}", text);
    }

    /// Near the bounds of the exponent form, where random bits seldom come.
    #[test]
    fn ordinary_floats_read_back_too(digits in -1_000_000_000_i64..1_000_000_000, exponent in -12..20_i32) {
        let value: f64 = format!("{digits}e{exponent}").parse().unwrap();
        let text = float_text(Cell::Double(value));
        prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), value.to_bits(), "{}", text);
    }
}

fn float_text(cell: Cell<'_>) -> String {
    let file = cells(Profile::PLAIN, ColumnKind::Double, &[cell]);
    file.strip_prefix("c\n").unwrap().trim_end().to_owned()
}
