//! Which columns the file has, and what they are called.

use downpipe_format::{Cell, ColumnKind, CsvEncoder, Layout, LayoutError, Profile};
use insta::assert_snapshot;

use crate::samples::{INTEGER, column, encoder, hidden, labelled, layout, text, visible};

#[test]
fn hidden_columns_leave_no_trace() {
    let columns = [column("a", INTEGER), column("b", ColumnKind::Text), column("c", INTEGER)];
    let rows = [vec![Cell::Int(1), text("=secret"), Cell::Int(3)]];
    let first = encoder(Profile::EXCEL, layout([("a", hidden()), ("b", hidden())]), &columns, &rows).take();
    assert_snapshot!(visible(&first), @"
    <BOM>c<CR>
    3<CR>
    ");
    let mut middle = encoder(Profile::EXCEL, layout([("b", hidden())]), &columns, &rows);
    assert_snapshot!(visible(&middle.take()), @"
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
    let plain = encoder(Profile::PLAIN, wishes(), &columns, &[]).take();
    assert_snapshot!(visible(&plain), @r#""合計, ""円""",=cmd,"""#);
    let excel = encoder(Profile::EXCEL, wishes(), &columns, &[]).take();
    assert_snapshot!(visible(&excel), @r#"<BOM>"合計, ""円""",'=cmd,""<CR>"#);
}

#[test]
fn a_layout_must_fit_the_query() {
    let columns = [column("id", INTEGER), column("name", ColumnKind::Text)];
    let start =
        |layout| CsvEncoder::new(Profile::PLAIN, layout).start(&columns).map_err(|error| error.to_string());
    assert_snapshot!(start(layout([("nmae", hidden())])).unwrap_err(), @"columns.nmae: the query returns no such column; it returns id, name");
    assert_snapshot!(start(layout([("id", hidden()), ("NAME", hidden())])).unwrap_err(), @"columns: every column is hidden; at least one must be written");
    let nothing = CsvEncoder::new(Profile::PLAIN, Layout::default()).start(&[]);
    assert_eq!(nothing, Err(LayoutError::NothingLeft), "a query without columns gives no file");
}
