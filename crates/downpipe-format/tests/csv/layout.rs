//! Tests which columns the file has, and their labels.

use downpipe_format::{
    Cell, ColumnKind, ColumnOptions, EncodeError, Layout, LayoutError, Mask, MaskKey, Profile, TreatAs,
};
use insta::assert_snapshot;

use crate::samples::{INTEGER, column, encoder, hidden, labelled, layout, started, taken, text, treated};

#[test]
fn hidden_column_is_neither_written_nor_counted() {
    let columns = [column("a", INTEGER), column("b", ColumnKind::Text), column("c", INTEGER)];
    let rows = [vec![Cell::Int(1), text("=secret"), Cell::Int(3)]];
    let mut first = encoder(Profile::EXCEL, &layout([("a", hidden()), ("b", hidden())]), &columns, &rows);
    assert_snapshot!(taken(&mut first), @"
    <BOM>c<CR>
    3<CR>
    ");
    let mut middle = encoder(Profile::EXCEL, &layout([("b", hidden())]), &columns, &rows);
    assert_snapshot!(taken(&mut middle), @"
    <BOM>a,c<CR>
    1,3<CR>
    ");
    assert_eq!(middle.labels(), ["a", "c"]);
    assert_eq!(middle.changes(), []);
}

#[test]
fn label_replaces_name_in_any_case() {
    let columns = [column("Total", INTEGER), column("=cmd", INTEGER), column("注文", INTEGER)];
    let custom = || layout([("TOTAL", labelled("合計, \"円\"")), ("注文", labelled(""))]);
    let mut plain = encoder(Profile::PLAIN, &custom(), &columns, &[]);
    assert_snapshot!(taken(&mut plain), @r#""合計, ""円""",=cmd,"""#);
    let mut excel = encoder(Profile::EXCEL, &custom(), &columns, &[]);
    assert_snapshot!(taken(&mut excel), @r#"<BOM>"合計, ""円""",'=cmd,""<CR>"#);
}

#[test]
fn layout_that_does_not_fit_the_query_is_refused() {
    let columns = [column("id", INTEGER), column("name", ColumnKind::Text)];
    let start = |layout| {
        let error: EncodeError = started(Profile::PLAIN, &layout, &columns).map(drop).unwrap_err();
        error.to_string()
    };
    assert_snapshot!(start(layout([("nmae", hidden())])), @"columns.nmae: the query returns no such column; it returns id, name");
    assert_snapshot!(start(layout([("id", hidden()), ("NAME", hidden())])), @"columns: every column is hidden; at least one must be written");
    let as_timestamp = layout([("name", treated(TreatAs::Timestamp))]);
    assert_snapshot!(start(as_timestamp), @"columns.name.as: expected a DATETIME column to be a timestamp, got text");
    let as_decimal = layout([("name", treated(TreatAs::Decimal("decimal(12,2)".parse().unwrap())))]);
    assert_snapshot!(start(as_decimal), @"columns.name.as: expected a column of whole or decimal numbers for decimal(12,2), got text; a CAST in the query makes it one");
    let nothing = started(Profile::PLAIN, &Layout::default(), &[]).map(drop).unwrap_err();
    assert!(
        matches!(nothing, EncodeError::Layout(LayoutError::NothingLeft)),
        "a query without columns gives no file"
    );
}

#[test]
fn columns_with_positions_come_first() {
    let columns = [column("a", INTEGER), column("b", INTEGER), column("c", INTEGER), column("d", INTEGER)];
    let rows = [vec![Cell::Int(1), Cell::Int(2), Cell::Int(3), Cell::Int(4)]];
    let position = |position| ColumnOptions { position: Some(position), ..ColumnOptions::default() };
    let custom = layout([("d", position(1)), ("b", position(5)), ("a", hidden())]);
    let mut encoder = encoder(Profile::PLAIN, &custom, &columns, &rows);
    assert_eq!(encoder.sources(), [3, 1, 2]);
    assert_snapshot!(taken(&mut encoder), @"
    d,b,c
    4,2,3
    ");
}

#[test]
fn masked_values_are_hidden_and_counted() {
    let kinds =
        [("fixed", ColumnKind::Text), ("hash", INTEGER), ("again", INTEGER), ("last", ColumnKind::Text)];
    let columns = kinds.map(|(name, kind)| column(name, kind));
    let rows = [
        vec![text("secret"), Cell::Int(42), Cell::Int(42), text("4111-1111-1111-1234")],
        vec![text(""), Cell::Null, Cell::Int(42), text("日本語")],
        vec![Cell::Null, Cell::Int(42), Cell::Null, text("花子の秘密")],
    ];
    let masked = |mask| ColumnOptions { mask: Some(mask), ..ColumnOptions::default() };
    let mut custom = layout([
        ("fixed", masked(Mask::Fixed)),
        ("hash", masked(Mask::Hash)),
        ("again", masked(Mask::Hash)),
        ("last", masked(Mask::KeepLast(4))),
    ]);
    assert!(custom.needs_mask_key());
    let error = Layout::accept(&custom, &columns).unwrap_err();
    assert!(matches!(error, LayoutError::NoMaskKey { .. }), "{error}");
    custom.set_mask_key(MaskKey::new([7; 32]));
    assert!(!custom.needs_mask_key());
    let mut encoder = encoder(Profile::PLAIN, &custom, &columns, &rows);
    // Python's hmac gives the same for this key and "42".
    assert_snapshot!(taken(&mut encoder), @r#"
    fixed,hash,again,last
    ***,c375c508be09c2d7595d823c178833918c15527d00c6e4a42bbff11914d750c6,c375c508be09c2d7595d823c178833918c15527d00c6e4a42bbff11914d750c6,***************1234
    ***,,c375c508be09c2d7595d823c178833918c15527d00c6e4a42bbff11914d750c6,***
    ,c375c508be09c2d7595d823c178833918c15527d00c6e4a42bbff11914d750c6,,*子の秘密
    "#);
    let masked: Vec<u64> = encoder.changes().iter().map(|(_, changes)| changes.masked).collect();
    assert_eq!(masked, [2, 2, 2, 3]);
}

/// A masked column may have any kind.
#[test]
fn decimal_type_for_inexact_numbers_is_refused() {
    let as_decimal = || treated(TreatAs::Decimal("decimal(12,2)".parse().unwrap()));
    let starts =
        |kind, options| started(Profile::PLAIN, &layout([("c", options)]), &[column("c", kind)]).is_ok();
    let padded = ColumnKind::Integer { bits: 32, unsigned: true, zerofill: 6 };
    for kind in [INTEGER, padded, ColumnKind::Bit, ColumnKind::Decimal { width: 66 }] {
        assert!(starts(kind, as_decimal()), "{kind:?}");
    }
    for kind in [ColumnKind::Float, ColumnKind::Double, ColumnKind::Text, ColumnKind::Json, ColumnKind::Date]
    {
        assert!(!starts(kind, as_decimal()), "{kind:?}");
        assert!(starts(kind, ColumnOptions { mask: Some(Mask::Fixed), ..as_decimal() }), "{kind:?}");
    }
}

#[test]
fn numbers_of_decimal_type_have_its_digits_in_every_profile() {
    let kinds = [
        ("d", ColumnKind::Decimal { width: 11 }),
        ("n", INTEGER),
        ("z", ColumnKind::Integer { bits: 32, unsigned: true, zerofill: 5 }),
    ];
    let columns = kinds.map(|(name, kind)| column(name, kind));
    let custom = || {
        layout(
            ["d", "n", "z"].map(|name| (name, treated(TreatAs::Decimal("decimal(18,2)".parse().unwrap())))),
        )
    };
    let rows = [
        vec![Cell::Decimal(b"0"), Cell::Int(-7), Cell::UInt(42)],
        vec![Cell::Decimal(b"12.500"), Cell::Null, Cell::UInt(0)],
        vec![Cell::Decimal(b"-1234567890123456.5"), Cell::Int(5), Cell::Null],
    ];
    let mut plain = encoder(Profile::PLAIN, &custom(), &columns, &rows);
    assert_snapshot!(taken(&mut plain), @"
    d,n,z
    0.00,-7.00,42.00
    12.50,,0.00
    -1234567890123456.50,5.00,
    ");
    assert_eq!(plain.changes(), []);
    let mut excel = encoder(Profile::EXCEL, &custom(), &columns, &rows);
    assert_snapshot!(taken(&mut excel), @r#"
    <BOM>d,n,z<CR>
    0.00,-7.00,42.00<CR>
    12.50,,0.00<CR>
    "=""-1234567890123456.50""",5.00,<CR>
    "#);
}

#[test]
fn number_beyond_its_decimal_type_fails_with_row_and_column() {
    let custom = layout([("d", treated(TreatAs::Decimal("decimal(5,2)".parse().unwrap())))]);
    let columns = [column("a", INTEGER), column("d", ColumnKind::Decimal { width: 11 })];
    let written = |number: &'static str| {
        let mut encoder = started(Profile::PLAIN, &custom, &columns).unwrap();
        for number in ["999.99", number] {
            encoder.cell(Cell::Int(1));
            encoder.cell(Cell::Decimal(number.as_bytes()));
            encoder.end_row().map_err(|error| error.to_string())?;
        }
        Ok::<_, String>(taken(&mut encoder))
    };
    assert_eq!(written("0.100").as_deref(), Ok("a,d\n1,999.99\n1,0.10\n"));
    assert_snapshot!(written("0.125").unwrap_err(), @r#"row 2, column "d": expected a number of decimal(5,2), as the definition says, got 0 digits before the point and 3 behind"#);
    assert_snapshot!(written("1000").unwrap_err(), @r#"row 2, column "d": expected a number of decimal(5,2), as the definition says, got 4 digits before the point and 0 behind"#);
}

#[test]
fn mask_key_has_its_own_fingerprint_and_is_not_shown() {
    let masked = ColumnOptions { mask: Some(Mask::Hash), ..ColumnOptions::default() };
    let [mut one, mut other] = [layout([("a", masked.clone())]), layout([("a", masked)])];
    one.set_mask_key(MaskKey::new([7; 32]));
    other.set_mask_key(MaskKey::new([8; 32]));
    assert_ne!(one.mask_key_fingerprint(), other.mask_key_fingerprint());
    assert_eq!(format!("{:?}", MaskKey::new([7; 32])), "MaskKey { .. }");
    let mut plain = layout([("a", ColumnOptions::default())]);
    plain.set_mask_key(MaskKey::new([7; 32]));
    assert_eq!(plain.mask_key_fingerprint(), None, "no pseudonym depends on it");
}
