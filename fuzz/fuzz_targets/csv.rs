//! Every profile can be read back, field by field, and `NULL` is not the empty text.

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
            substitutes += check_field(profile, column, value, read);
        }
    }
    let counted =
        |(_, c): &(_, downpipe_format::ColumnChanges)| c.lookalike_characters + c.unmappable_characters;
    assert_eq!(substitutes, written.changes.iter().map(counted).sum::<u64>(), "every substitute is counted");
}

/// The file as text. A file must be what its encoding allows.
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

/// Returns how many characters are substitutes.
fn check_field(profile: &Profile, column: &TableColumn, value: &Value, read: &Field) -> u64 {
    let kind = column.column.kind;
    let is_null = !read.quoted && read.text == profile.null;
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
        // A text may look like a literal itself where nothing is guarded.
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

/// No formula of somebody else's runs, and no digit is lost.
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
    if profile.guard && is_text && literal.is_none() {
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

/// What a formula begins with.
const SIGNS: [char; 12] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠', '−'];

/// Whether a text between `="` and `"` is just itself.
fn runs_as_nothing(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit() || b"-.,:+ ".contains(&b))
}

/// How many characters of a text are others in the file; `None` if it is another text.
fn difference(text: &str, read: &str, profile: &Profile) -> Option<u64> {
    let first = text.chars().next();
    let guarded = profile.guard && first.is_some_and(|c| SIGNS.contains(&c));
    let read = if guarded { read.strip_prefix('\'').unwrap_or(read) } else { read };
    let different = text.chars().zip(read.chars()).filter(|(a, b)| a != b).count() as u64;
    let may_differ = profile.charset != Charset::UTF_8 || different == 0;
    (text.chars().count() == read.chars().count() && may_differ).then_some(different)
}

/// The crate `csv` reads the same. It skips empty lines, which are rows to others, and takes a byte order mark away.
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
