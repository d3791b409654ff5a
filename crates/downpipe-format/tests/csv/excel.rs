//! Tests values that a spreadsheet would change, and how they are protected.

use std::collections::BTreeMap;

use downpipe_format::{
    Cell, Column, ColumnChanges, ColumnKind, ColumnOptions, Date, Layout, Profile, Time, TreatAs,
};
use insta::assert_snapshot;

use crate::samples::{
    INTEGER, SECONDS, all_types, cells, column, encode, encoder, labelled, layout, started, taken, text,
    treated,
};

#[test]
fn excel_writes_every_kind_of_cell() {
    let (columns, rows) = all_types();
    assert_snapshot!(encode(Profile::EXCEL, &columns, &rows), @r#"
    <BOM>id,padded,price,ratio,name,hash,day,at,took<CR>
    1,"=""000042""",12.50,0.1,Hello,00ABFF,2026-01-31,2026-01-31 09:05:07.123456,09:05:07.123456<CR>
    "=""-9223372036854775808""","=""18446744073709551615""",-0.000000000000000000000000000001,-1.5e-7,"日本語、""引用"", 🧾","",0000-00-00,0000-00-00 00:00:00.000,-838:59:59<CR>
    ,,,,,,,,<CR>
    -1,1234567,"=""1234567890123456789""",1e300,"","=""31323334353637383930""",2026-02-00,9999-12-31 23:05:07.123456,25:01:00<CR>
    "#);
}

#[test]
fn excel_escapes_text_that_would_run() {
    let texts = [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\tx",
        "\rx",
        "-",
        "=\"x\"",
        "=a,b",
        "a=b",
        "'=1",
        " =1",
        "",
        "-090",
        "+81 3 1234",
    ];
    let columns = [column("text", ColumnKind::Text)];
    let rows: Vec<Vec<Cell<'_>>> = texts.into_iter().map(|cell| vec![text(cell)]).collect();
    let mut encoder = encoder(Profile::EXCEL, &Layout::default(), &columns, &rows);
    assert_snapshot!(taken(&mut encoder), @r#"
    <BOM>text<CR>
    '=1+1<CR>
    '+1<CR>
    '-1<CR>
    '@SUM(A1)<CR>
    '<TAB>x<CR>
    "'<CR>x"<CR>
    '-<CR>
    "'=""x"""<CR>
    "'=a,b"<CR>
    a=b<CR>
    '=1<CR>
     =1<CR>
    ""<CR>
    '-090<CR>
    '+81 3 1234<CR>
    "#);
    assert_eq!(encoder.changes()[0].1.formulas_guarded, 11);
}

#[test]
fn plain_escapes_no_formula() {
    assert_snapshot!(cells(Profile::PLAIN, ColumnKind::Text, &[text("=1+1"), text("-1"), text("12345678901234567890")]), @"
    c
    =1+1
    -1
    12345678901234567890
    ");
}

#[test]
fn excel_does_not_escape_negative_numbers() {
    let columns = [
        column("n", INTEGER),
        column("d", ColumnKind::Decimal { width: 65 }),
        column("f", ColumnKind::Float),
        column("t", SECONDS),
    ];
    let time = Time { negative: true, hours: 1, ..Time::default() };
    let rows = [vec![Cell::Int(-5), Cell::Decimal(b"-5.25"), Cell::Double(-0.5), Cell::Time(time)]];
    let mut encoder = encoder(Profile::EXCEL, &Layout::default(), &columns, &rows);
    assert_snapshot!(taken(&mut encoder), @"
    <BOM>n,d,f,t<CR>
    -5,-5.25,-0.5,-01:00:00<CR>
    ");
    assert_eq!(encoder.changes(), []);
}

#[test]
fn excel_keeps_every_digit_of_long_whole_numbers() {
    let columns = [
        column("n", INTEGER),
        column("d", ColumnKind::Decimal { width: 65 }),
        column("t", ColumnKind::Text),
        column("b", ColumnKind::Bytes),
        column("z", ColumnKind::Integer { bits: 64, unsigned: false, zerofill: 20 }),
    ];
    let rows = [
        vec![
            Cell::Int(999_999_999_999_999),
            Cell::Decimal(b"-999999999999999"),
            text("999999999999999"),
            Cell::Bytes(b"\x12\x34\x56\x78\x90\x12\x34"),
            Cell::Null,
        ],
        vec![
            Cell::Int(-1_000_000_000_000_000),
            Cell::Decimal(b"1000000000000000"),
            text("1000000000000000"),
            Cell::Bytes(b"\x12\x34\x56\x78\x90\x12\x34\x56"),
            Cell::UInt(7),
        ],
        vec![
            Cell::UInt(u64::MAX),
            Cell::Decimal(b"1234567890123456.5"),
            text("-12345678901234567"),
            Cell::Null,
            Cell::Null,
        ],
    ];
    let mut encoder = encoder(Profile::EXCEL, &Layout::default(), &columns, &rows);
    assert_snapshot!(taken(&mut encoder), @r#"
    <BOM>n,d,t,b,z<CR>
    999999999999999,-999999999999999,999999999999999,"=""12345678901234""",<CR>
    "=""-1000000000000000""","=""1000000000000000""","=""1000000000000000""","=""1234567890123456""","=""00000000000000000007"""<CR>
    "=""18446744073709551615""","=""1234567890123456.5""","=""-12345678901234567""",,<CR>
    "#);
    let changes: BTreeMap<_, _> =
        encoder.changes().into_iter().map(|(label, changes)| (label, changes.numbers_as_text)).collect();
    let expected = [("n", 2), ("d", 2), ("t", 2), ("b", 2), ("z", 1)];
    assert_eq!(changes, expected.map(|(label, count)| (label.to_owned(), count)).into());
}

#[test]
fn value_treated_as_text_keeps_every_digit_uncounted() {
    let kinds = [
        ("phone", ColumnKind::Text),
        ("code", ColumnKind::Integer { bits: 64, unsigned: false, zerofill: 5 }),
        ("amount", ColumnKind::Decimal { width: 65 }),
        ("ratio", ColumnKind::Float),
        ("hash", ColumnKind::Bytes),
    ];
    let columns = kinds.map(|(name, kind)| column(name, kind));
    let custom = &layout(kinds.map(|(name, _)| (name, treated(TreatAs::Text))));
    let rows = [
        vec![
            text("09012345678"),
            Cell::UInt(42),
            Cell::Decimal(b"1.50"),
            Cell::Double(0.1),
            Cell::Bytes(&[0x12, 0xE4]),
        ],
        vec![text("=1"), Cell::UInt(7), Cell::Decimal(b"-1"), Cell::Float(1e20), Cell::Bytes(&[])],
        vec![text("12E4"), Cell::Null, Cell::Null, Cell::Null, Cell::Null],
        vec![text("1.2.3"), Cell::Null, Cell::Null, Cell::Null, Cell::Null],
    ];
    let mut excel = encoder(Profile::EXCEL, custom, &columns, &rows);
    assert_snapshot!(taken(&mut excel), @r#"
    <BOM>phone,code,amount,ratio,hash<CR>
    "=""09012345678""","=""00042""","=""1.50""","=""0.1""","=""12E4"""<CR>
    "=""=1""","=""00007""","=""-1""","=""1e20""",""<CR>
    "=""12E4""",,,,<CR>
    "=""1.2.3""",,,,<CR>
    "#);
    assert_eq!(excel.changes(), []);
    let mut plain = encoder(Profile::PLAIN, custom, &columns, &rows);
    assert_snapshot!(taken(&mut plain), @r#"
    phone,code,amount,ratio,hash
    09012345678,00042,1.50,0.1,12E4
    =1,00007,-1,1e20,""
    12E4,,,,
    1.2.3,,,,
    "#);
}

#[test]
fn number_in_text_treated_as_number_is_not_escaped() {
    let columns = [column("delta", ColumnKind::Text), column("name", ColumnKind::Text)];
    let custom = &layout([("delta", treated(TreatAs::Number))]);
    let mut encoder = encoder(Profile::EXCEL, custom, &columns, &[vec![text("-1.5"), text("-1.5")]]);
    assert_snapshot!(taken(&mut encoder), @"
    <BOM>delta,name<CR>
    -1.5,'-1.5<CR>
    ");
}

#[test]
fn changes_are_counted_under_the_label() {
    let columns = [column("a", ColumnKind::Text), column("b", ColumnKind::Text)];
    let rows = [
        vec![text("=1"), text("x")],
        vec![text("12345678901234567"), text("y")],
        vec![text("@x"), text("z")],
    ];
    let encoder = encoder(Profile::EXCEL, &layout([("a", labelled("メモ"))]), &columns, &rows);
    let changes = encoder.changes();
    assert_eq!(changes.len(), 1, "unchanged columns are left out: {changes:?}");
    let (label, counts) = &changes[0];
    assert_eq!((label.as_str(), counts.formulas_guarded, counts.numbers_as_text), ("メモ", 2, 1));
}

#[test]
fn excel_keeps_text_and_bytes_that_look_like_numbers() {
    let texts = ["007", "0", "0.5", "00", "0x1F", "0.1234567890123456789", "12-34", "1e5"].map(text);
    let columns = [column("text", ColumnKind::Text), column("bytes", ColumnKind::Bytes)];
    let bytes: [&[u8]; 8] = [b"\x00\x12", b"\x12\xE4", b"\xFF", b"\x12", b"\x1E", b"\x1E\x2E", b"\xE1", b""];
    let rows: Vec<Vec<Cell<'_>>> =
        texts.into_iter().zip(bytes).map(|(text, bytes)| vec![text, Cell::Bytes(bytes)]).collect();
    let mut encoder = encoder(Profile::EXCEL, &Layout::default(), &columns, &rows);
    assert_snapshot!(taken(&mut encoder), @r#"
    <BOM>text,bytes<CR>
    "=""007""","=""0012"""<CR>
    0,"=""12E4"""<CR>
    0.5,FF<CR>
    "=""00""","=""12"""<CR>
    0x1F,"=""1E"""<CR>
    "=""0.1234567890123456789""","=""1E2E"""<CR>
    12-34,E1<CR>
    1e5,""<CR>
    "#);
    let counts: Vec<u64> = encoder.changes().iter().map(|(_, changes)| changes.numbers_as_text).collect();
    assert_eq!(counts, [3, 5]);
}

#[test]
fn text_and_date_treated_as_text_are_shown_unchanged() {
    let texts = ["1-2", "JAN 5", "say \"hi\"", "=1", "two\nlines", "", &"x".repeat(256), "1/2"];
    let columns = [column("text", ColumnKind::Text), column("day", ColumnKind::Date)];
    let day = Cell::Date(Date { year: 2026, month: 1, day: 31 });
    let rows: Vec<Vec<Cell<'_>>> = texts.iter().map(|cell| vec![text(cell), day]).collect();
    let custom = layout([("text", treated(TreatAs::Text)), ("day", treated(TreatAs::Text))]);
    let mut encoder = encoder(Profile::EXCEL, &custom, &columns, &rows);
    assert_snapshot!(taken(&mut encoder), @r#"
    <BOM>text,day<CR>
    "=""1-2""","=""2026-01-31"""<CR>
    "=""JAN 5""","=""2026-01-31"""<CR>
    "=""say """"hi""""""","=""2026-01-31"""<CR>
    "=""=1""","=""2026-01-31"""<CR>
    "two
    lines","=""2026-01-31"""<CR>
    "","=""2026-01-31"""<CR>
    xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx,"=""2026-01-31"""<CR>
    "=""1/2""","=""2026-01-31"""<CR>
    "#);
}

#[test]
fn formula_in_text_treated_as_number_is_escaped() {
    let texts = ["-5", "+81", "=HYPERLINK(\"http://x\")", "-1e5", "-x"].map(text);
    let columns = [column("delta", ColumnKind::Text)];
    let rows: Vec<Vec<Cell<'_>>> = texts.into_iter().map(|cell| vec![cell]).collect();
    let custom = layout([("delta", treated(TreatAs::Number))]);
    let mut encoder = encoder(Profile::EXCEL, &custom, &columns, &rows);
    assert_snapshot!(taken(&mut encoder), @r#"
    <BOM>delta<CR>
    -5<CR>
    '+81<CR>
    "'=HYPERLINK(""http://x"")"<CR>
    -1e5<CR>
    '-x<CR>
    "#);
}

#[test]
fn full_width_signs_and_line_feeds_are_escaped() {
    let texts = ["\n=1+1", "＝1+1", "＋1", "－1", "＠x", "−1", "ー1"];
    assert_snapshot!(cells(Profile::EXCEL, ColumnKind::Text, &texts.map(text)), @r#"
    <BOM>c<CR>
    "'
    =1+1"<CR>
    '＝1+1<CR>
    '＋1<CR>
    '－1<CR>
    '＠x<CR>
    '−1<CR>
    ー1<CR>
    "#);
}

/// Excel takes a file that begins with a bare `ID` for SYLK, and refuses it.
#[test]
fn spreadsheet_file_never_begins_with_a_bare_id() {
    let bytes = |profile: Profile, names: &[&str], rows: &[Vec<Cell<'_>>]| {
        let columns: Vec<Column> = names.iter().map(|name| column(name, ColumnKind::Text)).collect();
        taken(&mut encoder(profile, &Layout::default(), &columns, rows))
    };
    let no_mark = || Profile { byte_order_mark: false, ..Profile::EXCEL };
    let no_header = || Profile { header: false, ..Profile::EXCEL_CP932 };
    for profile in [no_mark(), Profile::EXCEL_CP932] {
        assert_eq!(bytes(profile.clone(), &["ID", "ID"], &[]), "\"ID\",ID<CR>\n");
        assert_eq!(bytes(profile.clone(), &["IDENTITY"], &[]), "\"IDENTITY\"<CR>\n");
        assert_eq!(bytes(profile.clone(), &["ID,x"], &[]), "\"ID,x\"<CR>\n");
        assert_eq!(
            bytes(profile.clone(), &["ID", "x"], &[vec![text("ID"), text("y")]]),
            "\"ID\",x<CR>\nID,y<CR>\n"
        );
        for harmless in ["id", "Id", "I", "XID"] {
            assert_eq!(bytes(profile.clone(), &[harmless], &[]), format!("{harmless}<CR>\n"));
        }
    }
    let rows = [vec![text("ID 7"), text("ID")], vec![text("ID 8"), text("x")]];
    assert_eq!(bytes(no_header(), &["a", "b"], &rows), "\"ID 7\",ID<CR>\nID 8,x<CR>\n");
    // With the byte order mark, Excel does not take it for SYLK. Other programs do not know SYLK.
    assert_eq!(bytes(Profile::EXCEL, &["ID"], &[]), "<BOM>ID<CR>\n");
    assert_eq!(bytes(Profile::PLAIN, &["ID"], &[]), "ID\n");
}

/// A resumed file begins in another run.
#[test]
fn resumed_file_is_quoted_as_in_one_run() {
    let profile = Profile { header: false, ..Profile::EXCEL_CP932 };
    let columns = [column("a", ColumnKind::Text)];
    let continued = |rows_in_file| {
        let mut encoder = started(profile.clone(), &Layout::default(), &columns).unwrap();
        encoder.resume(rows_in_file, rows_in_file, &[ColumnChanges::default()]).unwrap();
        encoder.cell(text("ID"));
        encoder.end_row().unwrap();
        taken(&mut encoder)
    };
    assert_eq!((continued(0).as_str(), continued(3).as_str()), ("\"ID\"<CR>\n", "ID<CR>\n"));
}

/// A cell takes 32,767 characters, of which `𠮷` is two.
#[test]
fn texts_that_excel_cuts_are_counted() {
    let columns =
        [column("t", ColumnKind::Text), column("b", ColumnKind::Bytes), column("j", ColumnKind::Json)];
    let (fits, long, wide) = ("x".repeat(32_767), "日".repeat(32_768), "𠮷".repeat(16_384));
    let (short_bytes, long_bytes) = (vec![0xAB; 16_383], vec![0xAB; 16_384]);
    let rows = [
        vec![text(&fits), Cell::Bytes(&short_bytes), text(&fits)],
        vec![text(&long), Cell::Bytes(&long_bytes), text(&long)],
        vec![text(&wide), Cell::Null, Cell::Null],
    ];
    let counted = |profile| {
        let changes = encoder(profile, &Layout::default(), &columns, &rows).changes();
        changes.into_iter().map(|(label, changes)| (label, changes.texts_too_long)).collect::<Vec<_>>()
    };
    let expected = [("t", 2), ("b", 1), ("j", 1)].map(|(label, count)| (label.to_owned(), count));
    assert_eq!(counted(Profile::EXCEL), expected);
    assert_eq!(counted(Profile::PLAIN), []);
    let label = "l".repeat(32_768);
    let heading = encoder(Profile::EXCEL, &layout([("t", labelled(&label))]), &columns, &[]).changes();
    assert_eq!(heading[0].1.texts_too_long, 1);
}

/// Excel reads milliseconds. A field with more digits stays text.
#[test]
fn times_that_excel_takes_for_text_are_counted() {
    let date = Date { year: 2026, month: 1, day: 31 };
    let counted = |profile, options: ColumnOptions, kind, microseconds: &[u32]| {
        let time = |micros: &u32| Time { microseconds: *micros, ..Time::default() };
        let cell = |micros| match kind {
            ColumnKind::Time { .. } => vec![Cell::Time(time(micros))],
            _ => vec![Cell::DateTime(date, time(micros))],
        };
        let rows: Vec<Vec<Cell<'_>>> = microseconds.iter().map(cell).chain([vec![Cell::Null]]).collect();
        let columns = [column("at", kind), column("n", INTEGER)];
        let rows: Vec<Vec<Cell<'_>>> = rows.into_iter().map(|row| vec![row[0], Cell::Int(1)]).collect();
        let encoder = encoder(profile, &layout([("at", options)]), &columns, &rows);
        encoder.changes().first().map_or(0, |(_, changes)| changes.times_as_text)
    };
    let excel =
        |kind, microseconds: &[u32]| counted(Profile::EXCEL, ColumnOptions::default(), kind, microseconds);
    assert_eq!(excel(ColumnKind::DateTime { fraction: 6 }, &[0, 1, 500_000]), 3);
    assert_eq!(excel(ColumnKind::Timestamp { fraction: 4 }, &[0]), 1);
    assert_eq!(excel(ColumnKind::Time { fraction: 6 }, &[7]), 1);
    assert_eq!(excel(ColumnKind::DateTime { fraction: 3 }, &[0, 1000, 999_000]), 0);
    // All digits are written, even if the column declares fewer.
    assert_eq!(excel(ColumnKind::DateTime { fraction: 0 }, &[0, 500_000]), 1);
    assert_eq!(excel(ColumnKind::Time { fraction: 2 }, &[120_000, 123_000]), 1);
    let kind = ColumnKind::DateTime { fraction: 6 };
    assert_eq!(counted(Profile::PLAIN, ColumnOptions::default(), kind, &[1]), 0);
    // The definition treats it as text.
    assert_eq!(counted(Profile::EXCEL, treated(TreatAs::Text), kind, &[1]), 0);
}
