//! Checks CSV: a file in any profile reads back field by field, and `NULL` differs from the empty
//! text.

#![no_main]

use downpipe_format::{Charset, ColumnKind, Compression, Format, LineEnd, Profile, Style, TreatAs};
use downpipe_fuzz::{AnyProfile, Field, Table, TableColumn, Value, Written, read_csv, read_load_data, write};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (AnyProfile, bool, Table)| {
    let (AnyProfile(profile), tsv, table) = input;
    let (format, delimiter) = if tsv { (Format::Tsv, b'\t') } else { (Format::Csv, profile.delimiter) };
    let style = Style::new(profile, format, Compression::None).expect("CSV may be as it is");
    let written = write(&style, &table).expect("CSV takes every value");
    if style.profile().escape {
        check_load_data(style.profile(), delimiter, &table, &written);
    } else {
        check_csv(style.profile(), delimiter, &table, &written);
    }
});

fn check_load_data(profile: &Profile, delimiter: u8, table: &Table, written: &Written) {
    let statement = written.load_data.as_ref().expect("there is a statement for what is lossless");
    let ignore = statement.split_once(" IGNORE ").and_then(|(_, rest)| rest.split_once(' '));
    let ignore = ignore.and_then(|(lines, _)| lines.parse().ok()).expect("it says how long the header is");
    let rows = read_load_data(&written.bytes, delimiter, profile.quote, ignore);
    assert_eq!(rows.len(), table.rows.len());
    for (row, read) in table.rows.iter().zip(rows) {
        assert_eq!(row.len(), read.len());
        for ((column, value), read) in table.columns.iter().zip(row).zip(read) {
            assert_eq!(*value == Value::Null, read.is_none(), "{value:?} was read as {read:?}");
            let Some(read) = read else { continue };
            let read = String::from_utf8(read).expect("UTF-8");
            assert!(value.is(&read, column.column.kind), "{value:?} was read as {read:?}");
        }
    }
}

fn check_csv(profile: &Profile, delimiter: u8, table: &Table, written: &Written) {
    let text = decoded(profile, &written.bytes);
    let line_end = match profile.line_end {
        LineEnd::Lf => "\n",
        LineEnd::CrLf => "\r\n",
    };
    let sylk = profile.spreadsheet && !profile.byte_order_mark && !profile.null.starts_with("ID");
    assert!(!(sylk && text.starts_with("ID")), "the file would be taken for SYLK");
    let mut rows = read_csv(&text, delimiter, profile.quote, line_end);
    check_with_crate(&text, delimiter, profile.quote, &rows);

    let mut substitutes = 0;
    if profile.header {
        for (label, read) in table.labels().into_iter().zip(rows.remove(0)) {
            substitutes += difference(label, &read.text, profile).expect("the heading is the label");
        }
    }
    assert_eq!(rows.len(), table.rows.len());
    for (row, read) in table.rows.iter().zip(&rows) {
        assert_eq!(row.len(), read.len());
        for ((column, value), read) in table.columns.iter().zip(row).zip(read) {
            let alone = table.columns.len() == 1;
            substitutes += check_field(profile, column, value, read, alone);
        }
    }
    let counted =
        |(_, c): &(_, downpipe_format::ColumnChanges)| c.lookalike_characters + c.unmappable_characters;
    assert_eq!(substitutes, written.changes.iter().map(counted).sum::<u64>(), "every substitute is counted");
}

/// Decodes the file. Its bytes must be valid in its encoding.
fn decoded(profile: &Profile, bytes: &[u8]) -> String {
    let bytes = if profile.byte_order_mark {
        bytes.strip_prefix("\u{feff}".as_bytes()).expect("a byte order mark")
    } else {
        bytes
    };
    let encoding =
        encoding_rs::Encoding::for_label(profile.charset.name().as_bytes()).expect("the standard knows it");
    let text = encoding.decode_without_bom_handling_and_without_replacement(bytes);
    text.unwrap_or_else(|| panic!("not {}", encoding.name())).into_owned()
}

/// Checks a field, and returns how many of its characters are substitutes.
fn check_field(profile: &Profile, column: &TableColumn, value: &Value, read: &Field, alone: bool) -> u64 {
    let kind = column.column.kind;
    assert!(!alone || read.quoted || !read.text.trim().is_empty(), "a blank line");
    let is_null = !read.quoted && read.text == profile.null;
    if *value == Value::Null && alone && profile.null.trim().is_empty() {
        assert!(read.text.is_empty(), "NULL was read as {read:?}");
        return 0;
    }
    assert_eq!(*value == Value::Null, is_null, "{value:?} was read as {read:?}");
    if is_null {
        return 0;
    }
    let unwrapped = read.text.strip_prefix("=\"").and_then(|text| text.strip_suffix('"'));
    let as_text = column.treat_as == Some(TreatAs::Text);
    let literal = unwrapped.filter(|text| profile.spreadsheet && (as_text || runs_as_nothing(text)));
    let literal = literal.map(|text| text.replace("\"\"", "\""));
    check_spreadsheet(profile, column, value, &read.text, literal.as_deref());
    if let Value::Text(text) = value {
        // Where formulas are not escaped, a text itself may look like a literal.
        let shown = literal.as_deref().and_then(|literal| difference(text, literal, profile));
        let same = shown.or_else(|| difference(text, &read.text, profile));
        return same.unwrap_or_else(|| panic!("{text:?} was read as {read:?}"));
    }
    let read = literal.as_deref().unwrap_or(&read.text);
    let pointed = match value {
        Value::Decimal(_) | Value::Float(_) | Value::Double(_) if profile.decimal == b',' => {
            assert!(!read.contains('.'), "{value:?} was read as {read:?}");
            read.replace(',', ".")
        }
        _ => read.to_owned(),
    };
    assert!(value.is(&pointed, kind), "{value:?} was read as {read:?}");
    0
}

/// Checks that a spreadsheet runs no formula from the data and loses no digit.
fn check_spreadsheet(
    profile: &Profile,
    column: &TableColumn,
    value: &Value,
    read: &str,
    literal: Option<&str>,
) {
    let is_text = match column.treat_as {
        Some(TreatAs::Text) => matches!(value, Value::Text(_)),
        Some(TreatAs::Number) => false,
        _ => column.column.kind == ColumnKind::Text,
    };
    if profile.escape_formulas && is_text && literal.is_none() {
        assert!(!read.starts_with(SIGNS), "{read:?} runs as a formula");
    }
    let whole = value.text(column.column.kind);
    let is_whole = matches!(value, Value::Int(_) | Value::UInt(_) | Value::Text(_))
        && whole.trim_start_matches('-').len() > 15
        && whole.len() <= 255
        && whole.trim_start_matches('-').bytes().all(|b| b.is_ascii_digit());
    if profile.spreadsheet && is_whole && !whole.starts_with("--") {
        assert!(literal.is_some(), "{read:?} would lose digits");
    }
}

/// The characters that begin a formula.
const SIGNS: [char; 12] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠', '−'];

/// Returns whether a text between `="` and `"` has no effect.
fn runs_as_nothing(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit() || b"-.,:+ ".contains(&b))
}

/// Returns how many characters differ in the file, or `None` if it is another text.
fn difference(text: &str, read: &str, profile: &Profile) -> Option<u64> {
    let first = text.chars().next();
    let guarded = profile.escape_formulas && first.is_some_and(|c| SIGNS.contains(&c));
    let read = if guarded { read.strip_prefix('\'').unwrap_or(read) } else { read };
    let different = text.chars().zip(read.chars()).filter(|(a, b)| a != b).count() as u64;
    let may_differ = profile.charset != Charset::UTF_8 || different == 0;
    (text.chars().count() == read.chars().count() && may_differ).then_some(different)
}

/// Checks that the crate `csv` reads the same. It skips empty lines, which are rows to other
/// readers, and drops a byte order mark.
fn check_with_crate(text: &str, delimiter: u8, quote: u8, rows: &[Vec<Field>]) {
    let is_blank = |row: &Vec<Field>| matches!(&row[..], [field] if field.text.is_empty() && !field.quoted);
    let expected: Vec<Vec<&str>> = rows
        .iter()
        .filter(|row| !is_blank(row))
        .map(|row| row.iter().map(|f| &f.text[..]).collect())
        .collect();
    if text.starts_with('\u{feff}') {
        return;
    }
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .delimiter(delimiter)
        .quote(quote)
        .from_reader(text.as_bytes());
    let read: Vec<csv::StringRecord> = reader.records().map(|row| row.expect("CSV")).collect();
    assert_eq!(read, expected);
}
