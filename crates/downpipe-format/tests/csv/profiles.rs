//! Tests the profiles other than `plain` and `excel`, and those of definitions.

use std::borrow::Cow;

use downpipe_format::{
    Cell, Charset, ColumnKind, ColumnOptions, Compression, Date, Format, LOAD_DATA_SESSION, Layout, LineEnd,
    Mask, Profile, Quoting, RowEncoder, Style, Time,
};
use insta::assert_snapshot;
use jiff::tz::TimeZone;

use crate::samples::{INTEGER, all_types, cells, column, encode, encoder, layout, started, taken, text};

#[test]
fn lossless_writes_every_kind_of_cell() {
    let (columns, rows) = all_types();
    assert_snapshot!(encode(Profile::LOSSLESS, &columns, &rows), @r#"
    id,padded,price,ratio,name,hash,day,at,took
    1,000042,12.50,0.1,Hello,00ABFF,2026-01-31,2026-01-31 09:05:07.123456,09:05:07.123456
    -9223372036854775808,18446744073709551615,-0.000000000000000000000000000001,-1.5e-7,"日本語、""引用"", 🧾","",0000-00-00,0000-00-00 00:00:00.000,-838:59:59
    \N,\N,\N,\N,\N,\N,\N,\N,\N
    -1,1234567,1234567890123456789,1e300,"",31323334353637383930,2026-02-00,9999-12-31 23:05:07.123456,25:01:00
    "#);
}

#[test]
fn lossless_writes_similar_texts_differently() {
    let texts = ["", r"\N", r"\", r"\\", "NULL", "a\\\"b", "back\\slash", "\"", "a,b", "\n", "\0"];
    let texts: Vec<Cell<'_>> = texts.into_iter().map(text).chain([Cell::Null]).collect();
    assert_snapshot!(cells(Profile::LOSSLESS, ColumnKind::Text, &texts), @r#"
    c
    ""
    "\\N"
    \\
    \\\\
    "NULL"
    "a\\""b"
    back\\slash
    """"
    "a,b"
    "
    "
    <NUL>
    \N
    "#);
}

#[test]
fn lossless_file_has_a_statement_that_loads_it() {
    let columns = [
        column("id", INTEGER),
        column("da`ta", ColumnKind::Bytes),
        column("flags", ColumnKind::Bit),
        column("ID", INTEGER),
        column("", ColumnKind::Text),
        column("note", ColumnKind::Text),
    ];
    let encoder = started(Profile::LOSSLESS, &Layout::default(), &columns).unwrap();
    assert_snapshot!(encoder.load_data().unwrap(), @r#"LOAD DATA LOCAL INFILE '{file}' INTO TABLE {table} CHARACTER SET utf8mb4 FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '"' ESCAPED BY '\\' LINES TERMINATED BY '\n' IGNORE 1 LINES (@c1, @c2, @c3, @c4, @c5, `note`) SET `id` = @c1, `da``ta` = UNHEX(@c2), `flags` = CAST(@c3 AS UNSIGNED)"#);
    assert_snapshot!(LOAD_DATA_SESSION, @r#"SET SESSION time_zone = '+00:00', sql_mode = 'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO'"#);
    assert_eq!(started(Profile::PLAIN, &Layout::default(), &columns).unwrap().load_data(), None);
    let tsv = Style::new(Profile::LOSSLESS, Format::Tsv, Compression::Zstd).unwrap();
    let tsv = RowEncoder::start(tsv, &Layout::default(), &[column("two\nlines", INTEGER)]).unwrap();
    assert_snapshot!(tsv.load_data().unwrap(), @r#"
    LOAD DATA LOCAL INFILE '{file}' INTO TABLE {table} CHARACTER SET utf8mb4 FIELDS TERMINATED BY '\t' OPTIONALLY ENCLOSED BY '"' ESCAPED BY '\\' LINES TERMINATED BY '\n' IGNORE 2 LINES (`two
    lines`)
    "#);
}

#[test]
fn cp932_counts_characters_that_do_not_map() {
    let columns = [column("名前", ColumnKind::Text), column("n", INTEGER)];
    let rows = [vec![text("髙橋 🚀"), Cell::Int(1)], vec![text("〜,é"), Cell::Null]];
    let mut encoder = encoder(Profile::EXCEL_CP932, &Layout::default(), &columns, &rows);
    let file = encoder.file().take(usize::MAX).unwrap();
    assert_eq!(file, b"\"\x96\xbc\x91\x4f\",n\r\n\"\xfb\xfc\x8b\xb4 ?\",1\r\n\"\x81\x60,?\",\r\n");
    let changes = encoder.changes();
    assert_eq!(changes.len(), 1);
    assert_eq!((changes[0].1.unmappable_characters, changes[0].1.lookalike_characters), (2, 1));
}

/// A profile for German offices: semicolons, a decimal comma, Windows' code page.
fn office() -> Profile {
    Profile {
        name: Cow::Borrowed("office"),
        delimiter: b';',
        line_end: LineEnd::CrLf,
        charset: Charset::named("windows-1252").unwrap(),
        decimal: b',',
        time_zone: Some(TimeZone::get("Europe/Berlin").unwrap()),
        ..Profile::PLAIN
    }
}

#[test]
fn profile_of_a_definition_sets_delimiter_point_and_zone() {
    let columns = [
        column("Preis", ColumnKind::Decimal { width: 10 }),
        column("Kurs", ColumnKind::Double),
        column("Name", ColumnKind::Text),
        column("Zeit", ColumnKind::Timestamp { fraction: 0 }),
        column("Uhr", ColumnKind::DateTime { fraction: 0 }),
    ];
    let noon = Cell::DateTime(Date { year: 2026, month: 7, day: 1 }, Time { hours: 12, ..Time::default() });
    let rows = [vec![Cell::Decimal(b"-1234.50"), Cell::Double(1.5e-7), text("Mayer, 1.5"), noon, noon]];
    assert_snapshot!(encode(office(), &columns, &rows), @r#"
    Preis;Kurs;Name;Zeit;Uhr<CR>
    -1234,50;1,5e-7;Mayer, 1.5;2026-07-01 14:00:00;2026-07-01 12:00:00<CR>
    "#);
}

#[test]
fn quoting_always_leaves_only_null_bare() {
    let profile = Profile {
        quote: b'\'',
        quoting: Quoting::Always,
        header: false,
        null: Cow::Borrowed("NULL"),
        ..Profile::PLAIN
    };
    let columns = [column("a", INTEGER), column("b", ColumnKind::Text), column("c", ColumnKind::Bytes)];
    let rows = [
        vec![Cell::Int(-1), text("it's"), Cell::Bytes(b"\x01")],
        vec![Cell::Null, text("NULL"), Cell::Bytes(b"")],
    ];
    assert_snapshot!(encode(profile, &columns, &rows), @r#"
    '-1','it''s','01'
    NULL,'NULL',''
    "#);
}

#[test]
fn text_equal_to_null_is_quoted() {
    let profile = Profile { null: Cow::Borrowed("NULL"), ..Profile::PLAIN };
    assert_snapshot!(cells(profile, ColumnKind::Text, &[Cell::Null, text("NULL"), text("NULLS"), text("")]), @r#"
    c
    NULL
    "NULL"
    NULLS
    ""
    "#);
}

#[test]
fn tsv_has_tabs_in_every_profile() {
    let columns = [column("a", INTEGER), column("b", ColumnKind::Text)];
    let style = Style::new(office(), Format::Tsv, Compression::None).unwrap();
    let mut encoder = RowEncoder::start(style, &Layout::default(), &columns).unwrap();
    for cell in [Cell::Int(1), text("a\tb;c")] {
        encoder.cell(cell);
    }
    encoder.end_row().unwrap();
    assert_snapshot!(taken(&mut encoder), @r#"
    a<TAB>b<CR>
    1<TAB>"a<TAB>b;c"<CR>
    "#);
}

#[test]
fn file_for_spreadsheet_has_the_rows_of_a_sheet() {
    let rows = |profile, format| Style::new(profile, format, Compression::None).unwrap().rows_per_file();
    assert_eq!(rows(Profile::PLAIN, Format::Csv), None);
    assert_eq!(rows(Profile::EXCEL, Format::Csv), Some(1_048_575));
    assert_eq!(rows(Profile::EXCEL_CP932, Format::Tsv), Some(1_048_575));
    assert_eq!(rows(Profile::PLAIN, Format::Xlsx), Some(1_048_575));
    assert_eq!(rows(Profile::EXCEL, Format::Jsonl), None);
}

#[test]
fn format_refuses_compressions_that_it_does_not_have() {
    let style = |format, compression| Style::new(Profile::PLAIN, format, compression);
    assert_eq!(style(Format::Csv, Compression::Gzip).unwrap().extension(), "csv.gz");
    assert_eq!(style(Format::Xlsx, Compression::Zip).unwrap().extension(), "zip");
    let error = style(Format::Parquet, Compression::Gzip).unwrap_err();
    assert_snapshot!(error, @r#"expected one of none, got "gzip""#);
    let resumable: Vec<&str> = Format::ALL
        .iter()
        .filter(|format| style(**format, Compression::None).unwrap().is_resumable())
        .map(|format| format.as_str())
        .collect();
    assert_eq!(resumable, ["csv", "tsv", "jsonl"]);
    assert!(!style(Format::Csv, Compression::Zip).unwrap().is_resumable());
}

/// In CP932, `‾` is `~` and `¥` is a backslash.
#[test]
fn text_encoded_to_delimiter_or_null_is_quoted() {
    let profile = Profile { delimiter: b'~', null: Cow::Borrowed("\\N"), ..Profile::EXCEL_CP932 };
    let columns = [column("a", ColumnKind::Text), column("b", ColumnKind::Text)];
    let rows = [vec![text("x\u{203e}y"), text("\u{a5}N")], vec![Cell::Null, text("x")]];
    assert_snapshot!(encode(profile, &columns, &rows), @r#"
    a~b<CR>
    "x~y"~"\N"<CR>
    \N~x<CR>
    "#);
}

#[test]
fn masked_file_has_no_statement_that_loads_it() {
    let masked = ColumnOptions { mask: Some(Mask::Fixed), ..ColumnOptions::default() };
    let encoder = started(Profile::LOSSLESS, &layout([("id", masked)]), &[column("id", INTEGER)]).unwrap();
    assert_eq!(encoder.load_data(), None);
}
