//! Tests the sheet around the cells.

use calamine::Data;
use downpipe_format::{Cell, ColumnKind, ColumnOptions, Layout};

use crate::workbook::{INTEGER, Workbook, column, enclosed};

fn labelled(label: &str) -> Layout {
    let options = ColumnOptions { label: Some(label.to_owned()), ..ColumnOptions::default() };
    Layout::new([("c".to_owned(), options)].into())
}

/// Returns a column's width in digits of 7 pixels, without the 5 pixels of padding.
fn width(layout: &Layout, kind: ColumnKind) -> f64 {
    let sheet = Workbook::of_cells(layout, kind, &[]).sheet();
    let width: f64 = enclosed(&sheet, "width=\"", "\"").unwrap().parse().unwrap();
    (width - 5.0 / 7.0).round()
}

#[test]
fn header_is_bold_and_frozen() {
    let workbook =
        Workbook::of(&Layout::default(), &[column("id", INTEGER), column("", ColumnKind::Text)], &[]);
    assert_eq!(workbook.rows(), [[Data::String("id".to_owned())]]);
    assert!(
        workbook
            .sheet()
            .contains(r#"<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/>"#)
    );
    let style: usize = enclosed(&workbook.sheet(), "<c r=\"A1\" s=\"", "\"").unwrap().parse().unwrap();
    let styles = workbook.part("xl/styles.xml");
    let cell_styles = enclosed(&styles, "<cellXfs", "</cellXfs>").unwrap();
    let font: usize = enclosed(cell_styles.split("<xf ").nth(style + 1).unwrap(), "fontId=\"", "\"")
        .unwrap()
        .parse()
        .unwrap();
    assert!(styles.split("<font>").nth(font + 1).unwrap().starts_with("<b/>"), "{styles}");
}

#[test]
fn column_is_as_wide_as_its_values_or_label() {
    let plain = Layout::default();
    assert_eq!(width(&plain, ColumnKind::Integer { bits: 8, unsigned: true, zerofill: 0 }), 8.0);
    assert_eq!(width(&plain, ColumnKind::DateTime { fraction: 0 }), 20.0);
    assert_eq!(width(&plain, ColumnKind::Decimal { width: 65 }), 60.0);
    assert_eq!(width(&labelled("a heading of 24 letters."), INTEGER), 26.0);
    // Japanese letters are as wide as two digits.
    assert_eq!(width(&labelled("お客様の電話番号"), ColumnKind::Date), 18.0);
    assert_eq!(width(&labelled(&"長".repeat(100)), INTEGER), 60.0);
}

#[test]
fn null_has_no_cell_and_row_of_nulls_is_a_row() {
    let columns = [column("a", INTEGER), column("b", ColumnKind::Text)];
    let rows = [
        vec![Cell::Null, Cell::Null],
        vec![Cell::Int(1), Cell::Null],
        vec![Cell::Null, Cell::Text(b"x")],
        // The library has no cell for the empty text either.
        vec![Cell::Null, Cell::Text(b"")],
    ];
    let sheet = Workbook::of(&Layout::default(), &columns, &rows).sheet();
    let data = enclosed(&sheet, "<sheetData>", "</sheetData>").unwrap();
    let rows: Vec<&str> = data.split("<row r=").collect();
    assert_eq!(rows.len(), 6, "{data}");
    assert!(rows[3].contains("A3") && !rows[3].contains("B3"), "{data}");
    assert!(rows[4].contains("B4") && !rows[4].contains("A4"), "{data}");
    assert!(rows[5].starts_with("\"5\"") && !rows[5].contains("<v>"), "{data}");
}

#[test]
fn same_rows_give_the_same_bytes() {
    let columns = [column("a", INTEGER), column("b", ColumnKind::Text), column("c", ColumnKind::Date)];
    let rows = vec![vec![Cell::Int(1), Cell::Text(b"x"), Cell::Null]; 100];
    let first = Workbook::of(&Layout::default(), &columns, &rows);
    // The time in a workbook's properties has whole seconds.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let second = Workbook::of(&Layout::default(), &columns, &rows);
    assert!(first.bytes == second.bytes, "the two differ");
}

#[test]
fn strings_are_written_into_the_sheet() {
    // A table of shared strings would grow with the rows.
    let workbook = Workbook::of_cells(&Layout::default(), ColumnKind::Text, &[Cell::Text(b"x")]);
    let archive = zip::ZipArchive::new(std::io::Cursor::new(&workbook.bytes)).unwrap();
    assert!(!archive.file_names().any(|name| name.unwrap().contains("sharedStrings")));
}
