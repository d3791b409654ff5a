//! Tests values as text, and texts as fields.

use std::borrow::Cow;

use downpipe_format::{Cell, ColumnKind, Compression, Date, Format, Layout, Profile, Quoting, Style, Time};
use insta::assert_snapshot;

use crate::samples::{
    INTEGER, all_types, cells, column, encode, encoder, hidden, layout, started, taken, text,
};

#[test]
fn plain_writes_every_kind_of_cell() {
    let (columns, rows) = all_types();
    assert_snapshot!(encode(Profile::PLAIN, &columns, &rows), @r#"
    id,padded,price,ratio,name,hash,day,at,took
    1,000042,12.50,0.1,Hello,00ABFF,2026-01-31,2026-01-31 09:05:07.123456,09:05:07.123456
    -9223372036854775808,18446744073709551615,-0.000000000000000000000000000001,-1.5e-7,"日本語、""引用"", 🧾","",0000-00-00,0000-00-00 00:00:00.000,-838:59:59
    ,,,,,,,,
    -1,1234567,1234567890123456789,1e300,"",31323334353637383930,2026-02-00,9999-12-31 23:05:07.123456,25:01:00
    "#);
}

#[test]
fn null_is_empty_and_empty_string_is_quoted() {
    let columns =
        [column("a", ColumnKind::Text), column("b", ColumnKind::Text), column("c", ColumnKind::Bytes)];
    let rows = [
        vec![Cell::Null, text(""), Cell::Bytes(&[])],
        vec![text(""), Cell::Null, Cell::Null],
        vec![Cell::Null, Cell::Null, Cell::Null],
    ];
    assert_snapshot!(encode(Profile::PLAIN, &columns, &rows), @r#"
    a,b,c
    ,"",""
    "",,
    ,,
    "#);
}

/// pandas, Python's csv and Arrow skip blank lines.
#[test]
fn single_column_has_no_blank_lines() {
    let blanks = [Cell::Null, text(""), text("  "), text("\t"), text("\u{3000}"), text(" x")];
    assert_snapshot!(cells(Profile::PLAIN, ColumnKind::Text, &blanks), @r#"
    c
    ""
    ""
    "  "
    "<TAB>"
    "　"
     x
    "#);
    assert_snapshot!(cells(Profile::PLAIN, ColumnKind::Bytes, &[Cell::Null, Cell::Bytes(b"")]), @r#"
    c
    ""
    ""
    "#);
    assert_snapshot!(encode(Profile::PLAIN, &[column(" ", INTEGER)], &[vec![Cell::Null], vec![Cell::Int(1)]]), @r#"
    " "
    ""
    1
    "#);
    // A text for NULL leaves no blank line.
    assert_snapshot!(cells(Profile::LOSSLESS, ColumnKind::Text, &blanks[..3]), @r#"
    c
    \N
    ""
    "  "
    "#);
}

#[test]
fn null_that_would_be_a_blank_line_is_counted() {
    let rows = [Cell::Null, text(""), Cell::Null, text("x")].map(|cell| vec![cell]);
    let columns = [column("c", ColumnKind::Text)];
    for profile in [
        Profile::PLAIN,
        Profile::EXCEL,
        Profile::EXCEL_CP932,
        Profile { null: Cow::Borrowed(" "), quoting: Quoting::Always, ..Profile::PLAIN },
    ] {
        let mut single = encoder(profile.clone(), &Layout::default(), &columns, &rows);
        let nulls = single.changes().iter().map(|(_, changes)| changes.nulls_as_empty).sum::<u64>();
        assert_eq!(nulls, 2, "{}: {}", profile.name, taken(&mut single));
        assert!(!taken(&mut single).lines().any(|line| line.trim().is_empty()));
        let style = |columns| {
            Style::new(profile.clone(), Format::Tsv, Compression::None).unwrap().writes_null_as_empty(columns)
        };
        assert_eq!((style(1), style(2)), (true, false));
    }
    for profile in [Profile::LOSSLESS, Profile { null: Cow::Borrowed("NULL"), ..Profile::PLAIN }] {
        assert_eq!(encoder(profile, &Layout::default(), &columns, &rows).changes(), []);
    }
    // Beside a hidden column there is one, and beside another column there is none.
    let two = [column("c", ColumnKind::Text), column("d", ColumnKind::Text)];
    let rows = [vec![Cell::Null, Cell::Null]];
    let mut left = encoder(Profile::PLAIN, &layout([("d", hidden())]), &two, &rows);
    assert_snapshot!(taken(&mut left), @r#"
    c
    ""
    "#);
    let mut both = encoder(Profile::PLAIN, &Layout::default(), &two, &rows);
    assert_snapshot!(taken(&mut both), @"
    c,d
    ,
    ");
    assert_eq!(both.changes(), []);
}

#[test]
fn text_is_quoted_only_where_it_must_be() {
    let texts = [
        "plain",
        " spaces ",
        "comma,",
        "quote\"",
        "\"",
        "\"\"",
        "\"quoted\"",
        "line\nfeed",
        "carriage\rreturn",
        "both\r\n",
        "null\0byte",
        "semi;colon",
        "tab\there",
        "it's",
        "back\\slash",
        "#hash",
        "\u{feff}mark",
        "👩‍👩‍👧",
        "表示",
        "NULL",
        "\\N",
    ];
    let texts: Vec<Cell<'_>> = texts.into_iter().map(text).collect();
    assert_snapshot!(cells(Profile::PLAIN, ColumnKind::Text, &texts), @r#"
    c
    plain
     spaces 
    "comma,"
    "quote"""
    """"
    """"""
    """quoted"""
    "line
    feed"
    "carriage<CR>return"
    "both<CR>
    "
    null<NUL>byte
    semi;colon
    tab<TAB>here
    it's
    back\slash
    #hash
    <BOM>mark
    👩‍👩‍👧
    表示
    NULL
    \N
    "#);
}

#[test]
fn floats_are_written_in_their_shortest_form() {
    let doubles = [
        0.0,
        -0.0,
        0.1,
        1.0,
        1e-5,
        9.999e-6,
        1.5e-7,
        5e-324,
        1e16,
        99_999_999_999_999_984.0,
        1e17,
        f64::MAX,
        -1e300,
        123_456_789.123_456_79,
        0.000_012_345,
    ];
    assert_snapshot!(cells(Profile::PLAIN, ColumnKind::Float, &doubles.map(Cell::Double)), @"
    c
    0
    -0
    0.1
    1
    0.00001
    9.999e-6
    1.5e-7
    5e-324
    10000000000000000
    99999999999999980
    1e17
    1.7976931348623157e308
    -1e300
    123456789.12345679
    0.000012345
    ");
    let singles = [0.1, 1_234_567.9, 16_777_216.0, 1e-5, 9.99e-6, 1e16, 1e17, 1e-45, f32::MAX, -3.4];
    assert_snapshot!(cells(Profile::PLAIN, ColumnKind::Float, &singles.map(Cell::Float)), @"
    c
    0.1
    1234567.9
    16777216
    0.00001
    9.99e-6
    10000000000000000
    1e17
    1e-45
    3.4028235e38
    -3.4
    ");
}

#[test]
fn times_have_the_fraction_of_their_column() {
    let date = Date { year: 1, month: 2, day: 3 };
    let time = |microseconds| Time { hours: 1, minutes: 2, seconds: 3, microseconds, ..Time::default() };
    let kinds = [0, 1, 3, 6].map(|fraction| ColumnKind::Time { fraction });
    let columns = kinds.map(|kind| column("t", kind));
    let times = [0, 500_000, 40_000, 40_506].map(time);
    let rows = [
        times.map(Cell::Time).to_vec(),
        times.map(|time| Cell::DateTime(date, time)).to_vec(),
        times.map(|time| Cell::Time(Time { negative: true, hours: 100, ..time })).to_vec(),
    ];
    assert_snapshot!(encode(Profile::PLAIN, &columns, &rows), @"
    t,t,t,t
    01:02:03,01:02:03.5,01:02:03.040,01:02:03.040506
    0001-02-03 01:02:03,0001-02-03 01:02:03.5,0001-02-03 01:02:03.040,0001-02-03 01:02:03.040506
    -100:02:03,-100:02:03.5,-100:02:03.040,-100:02:03.040506
    ");
}

/// `UTC_TIME(2)` declares none, and has two.
#[test]
fn time_with_more_digits_than_declared_keeps_them() {
    let time = |microseconds| Cell::Time(Time { microseconds, ..Time::default() });
    let kind = ColumnKind::Time { fraction: 2 };
    assert_snapshot!(cells(Profile::PLAIN, kind, &[time(120_000), time(123_000), time(1)]), @"
    c
    00:00:00.12
    00:00:00.123000
    00:00:00.000001
    ");
}

/// PostgreSQL's COPY ends the data at a line with a bare `\.`.
#[test]
fn end_of_data_mark_of_postgresql_is_quoted() {
    assert_snapshot!(cells(Profile::PLAIN, ColumnKind::Text, &[Cell::Text(b"\\."), Cell::Text(b"\\.a")]), @r#"
    c
    "\."
    \.a
    "#);
}

#[test]
fn bits_are_written_as_numbers() {
    let bits = [Cell::UInt(0), Cell::UInt(1), Cell::UInt(u64::MAX)];
    assert_snapshot!(cells(Profile::PLAIN, INTEGER, &bits), @"
    c
    0
    1
    18446744073709551615
    ");
}

#[test]
fn pieces_end_at_rows_and_make_up_the_file() {
    let columns = [column("n", INTEGER)];
    let mut encoder = encoder(Profile::EXCEL, &Layout::default(), &columns, &[]);
    let mut pieces = vec![taken(&mut encoder)];
    for n in 1..=3 {
        encoder.cell(Cell::Int(n));
        encoder.end_row().unwrap();
        assert_eq!((encoder.rows(), encoder.buffered()), (n.unsigned_abs(), 3));
        pieces.push(taken(&mut encoder));
        assert_eq!(encoder.buffered(), 0);
    }
    assert_eq!(pieces, ["<BOM>n<CR>\n", "1<CR>\n", "2<CR>\n", "3<CR>\n"]);
}

#[test]
#[should_panic(expected = "a row must have a cell for every column")]
fn row_with_too_few_cells_panics() {
    let columns = [column("a", INTEGER), column("b", INTEGER)];
    let mut encoder = started(Profile::PLAIN, &Layout::default(), &columns).unwrap();
    encoder.cell(Cell::Int(1));
    drop(encoder.end_row());
}
