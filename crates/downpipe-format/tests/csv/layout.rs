//! Which columns the file has, and what they are called.

use downpipe_format::{
    Cell, ColumnKind, ColumnOptions, EncodeError, Layout, LayoutError, Mask, Profile, TreatAs,
};
use insta::assert_snapshot;

use crate::samples::{INTEGER, column, encoder, hidden, labelled, layout, started, taken, text, treated};

#[test]
fn hidden_columns_leave_no_trace() {
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
fn labels_replace_names_whatever_their_case() {
    let columns = [column("Total", INTEGER), column("=cmd", INTEGER), column("注文", INTEGER)];
    let wishes = || layout([("TOTAL", labelled("合計, \"円\"")), ("注文", labelled(""))]);
    let mut plain = encoder(Profile::PLAIN, &wishes(), &columns, &[]);
    assert_snapshot!(taken(&mut plain), @r#""合計, ""円""",=cmd,"""#);
    let mut excel = encoder(Profile::EXCEL, &wishes(), &columns, &[]);
    assert_snapshot!(taken(&mut excel), @r#"<BOM>"合計, ""円""",'=cmd,""<CR>"#);
}

#[test]
fn a_layout_must_fit_the_query() {
    let columns = [column("id", INTEGER), column("name", ColumnKind::Text)];
    let start = |layout| {
        let error: EncodeError = started(Profile::PLAIN, &layout, &columns).map(drop).unwrap_err();
        error.to_string()
    };
    assert_snapshot!(start(layout([("nmae", hidden())])), @"columns.nmae: the query returns no such column; it returns id, name");
    assert_snapshot!(start(layout([("id", hidden()), ("NAME", hidden())])), @"columns: every column is hidden; at least one must be written");
    let as_timestamp = layout([("name", treated(TreatAs::Timestamp))]);
    assert_snapshot!(start(as_timestamp), @"columns.name.as: expected a DATETIME column to be a timestamp, got text");
    let nothing = started(Profile::PLAIN, &Layout::default(), &[]).map(drop).unwrap_err();
    assert!(
        matches!(nothing, EncodeError::Layout(LayoutError::NothingLeft)),
        "a query without columns gives no file"
    );
}

#[test]
fn numbered_columns_come_first() {
    let columns = [column("a", INTEGER), column("b", INTEGER), column("c", INTEGER), column("d", INTEGER)];
    let rows = [vec![Cell::Int(1), Cell::Int(2), Cell::Int(3), Cell::Int(4)]];
    let order = |order| ColumnOptions { order: Some(order), ..ColumnOptions::default() };
    let wishes = layout([("d", order(1)), ("b", order(5)), ("a", hidden())]);
    let mut encoder = encoder(Profile::PLAIN, &wishes, &columns, &rows);
    assert_eq!(encoder.sources(), [3, 1, 2]);
    assert_snapshot!(taken(&mut encoder), @"
    d,b,c
    4,2,3
    ");
}

#[test]
fn masks_hide_values_and_count_them() {
    let kinds =
        [("fixed", ColumnKind::Text), ("hash", INTEGER), ("salted", INTEGER), ("last", ColumnKind::Text)];
    let columns = kinds.map(|(name, kind)| column(name, kind));
    let rows = [
        vec![text("secret"), Cell::Int(42), Cell::Int(42), text("4111-1111-1111-1234")],
        vec![text(""), Cell::Null, Cell::Int(42), text("日本語")],
        vec![Cell::Null, Cell::Int(42), Cell::Null, text("花子の秘密")],
    ];
    let masked = |mask| ColumnOptions { mask: Some(mask), ..ColumnOptions::default() };
    let wishes = layout([
        ("fixed", masked(Mask::Fixed)),
        ("hash", masked(Mask::Hash { salt: String::new() })),
        ("salted", masked(Mask::Hash { salt: "pepper".to_owned() })),
        ("last", masked(Mask::KeepLast(4))),
    ]);
    let mut encoder = encoder(Profile::PLAIN, &wishes, &columns, &rows);
    assert_snapshot!(taken(&mut encoder), @r#"
    fixed,hash,salted,last
    ***,73475cb40a568e8da8a045ced110137e159f890ac4da883b6b17dc651b3a8049,93ca73bec2907ec825519db1f7ee28cb033d71c83d14b76ef78b0c4e64566e6e,***************1234
    ***,,93ca73bec2907ec825519db1f7ee28cb033d71c83d14b76ef78b0c4e64566e6e,***
    ,73475cb40a568e8da8a045ced110137e159f890ac4da883b6b17dc651b3a8049,,*子の秘密
    "#);
    let masked: Vec<u64> = encoder.changes().iter().map(|(_, changes)| changes.masked).collect();
    assert_eq!(masked, [2, 2, 2, 3]);
}
