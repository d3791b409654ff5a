//! Tests the limits of a sheet.

use downpipe_format::{Cell, ColumnKind, Layout};

use crate::workbook::{INTEGER, Workbook, column, encoder};

/// Returns the error of a cell in the second row.
fn refused(kind: ColumnKind, cell: Cell<'_>) -> Option<String> {
    let mut encoder = encoder(&Layout::default(), &[column("id", INTEGER), column("note", kind)]).unwrap();
    for cells in [[Cell::Int(1), Cell::Null], [Cell::Int(2), cell]] {
        cells.iter().for_each(|cell| encoder.cell(*cell));
        if let Err(error) = encoder.end_row() {
            return Some(error.to_string());
        }
    }
    None
}

#[test]
fn text_over_32767_characters_is_refused() {
    let letters = "x".repeat(32_767);
    assert_eq!(refused(ColumnKind::Text, Cell::Text(letters.as_bytes())), None);
    let long = format!("{letters}y");
    assert_eq!(
        refused(ColumnKind::Text, Cell::Text(long.as_bytes())).as_deref(),
        Some("row 2, column \"note\": xlsx takes at most 32767 characters in a cell, got 32768")
    );
}

#[test]
fn characters_are_counted_in_utf16_units() {
    // A kana has three bytes and one unit, an emoji four bytes and two units.
    let kana = "あ".repeat(32_767);
    assert_eq!(refused(ColumnKind::Text, Cell::Text(kana.as_bytes())), None);
    let emoji = "😀".repeat(16_383);
    assert_eq!(refused(ColumnKind::Text, Cell::Text(emoji.as_bytes())), None);
    let emoji = "😀".repeat(16_384);
    assert!(refused(ColumnKind::Text, Cell::Text(emoji.as_bytes())).unwrap().ends_with("got 32768"));
}

#[test]
fn escapes_are_not_counted_as_characters() {
    let controls = "\u{1}".repeat(32_767);
    let cell = Cell::Text(controls.as_bytes());
    assert_eq!(refused(ColumnKind::Text, cell), None);
    assert!(Workbook::of_cells(&Layout::default(), ColumnKind::Text, &[cell]).sheet().contains("_x0001_"));
}

#[test]
fn long_text_like_escapes_is_refused() {
    let text = format!("_x0041\u{1}{}", "x".repeat(32_000));
    let error = refused(ColumnKind::Text, Cell::Text(text.as_bytes())).unwrap();
    insta::assert_snapshot!(error, @r#"row 2, column "note": xlsx takes at most 32767 characters with their escapes, got 32007 with such as are taken for escapes"#);
}

#[test]
fn bytes_are_counted_as_two_characters() {
    assert_eq!(refused(ColumnKind::Bytes, Cell::Bytes(&[0; 16_383])), None);
    assert!(refused(ColumnKind::Bytes, Cell::Bytes(&[0; 16_384])).unwrap().ends_with("got 32768"));
}

#[test]
fn row_after_a_refused_one_is_written() {
    let mut encoder = encoder(&Layout::default(), &[column("note", ColumnKind::Text)]).unwrap();
    let long = "x".repeat(40_000);
    encoder.cell(Cell::Text(long.as_bytes()));
    assert!(encoder.end_row().is_err());
    encoder.cell(Cell::Text(b"short"));
    assert!(encoder.end_row().is_ok());
}

#[test]
fn sheet_with_over_16384_columns_is_refused() {
    let columns = |count| vec![column("c", INTEGER); count];
    assert!(encoder(&Layout::default(), &columns(16_384)).is_ok());
    let error = encoder(&Layout::default(), &columns(16_385)).unwrap_err();
    assert_eq!(error.to_string(), "columns: xlsx takes at most 16384, got 16385");
}

#[test]
fn row_beyond_1048575_goes_to_the_next_file() {
    let mut encoder = encoder(&Layout::default(), &[column("id", INTEGER)]).unwrap();
    for id in 1..=1_048_576 {
        encoder.cell(Cell::Int(id));
        encoder.end_row().unwrap();
        assert_eq!(encoder.has_full(), id == 1_048_576);
    }
    let full = crate::workbook::bytes(encoder.take_full().unwrap().encoder);
    let full = Workbook { bytes: full, changes: Vec::new() };
    assert!(full.sheet().contains("<c r=\"A1048576\" s=\"2\"><v>1048575<"));
    let rest = Workbook { bytes: crate::workbook::bytes(encoder.into_file().encoder), changes: Vec::new() };
    assert_eq!(rest.shown(), ["1048576 as 0"]);
}
