//! Tests that text is read back as it was.

use calamine::Data;
use downpipe_format::{Cell, ColumnChanges, ColumnKind, Layout};
use proptest::prelude::*;

use crate::workbook::Workbook;

/// Writes the texts of a column and reads them back.
fn read_back(texts: &[&str]) -> Vec<String> {
    let cells: Vec<Cell<'_>> = texts.iter().map(|text| Cell::Text(text.as_bytes())).collect();
    let workbook = Workbook::of_cells(&Layout::default(), ColumnKind::Text, &cells);
    let rows = workbook.rows();
    let read = rows.iter().skip(1).map(|row| match &row[0] {
        Data::String(text) => text.clone(),
        Data::Empty => String::new(),
        other => panic!("{other:?}"),
    });
    read.collect()
}

#[test]
fn texts_with_special_meaning_are_read_back() {
    let texts = [
        "=1+1",
        "=HYPERLINK(\"http://example.com\")",
        "+1",
        "-1",
        "@SUM(A1)",
        "{=1}",
        "http://example.com",
        "mailto:a@example.com",
        "123",
        "1e5",
        "TRUE",
        "2026-01-31",
        "#N/A",
        " leading",
        "trailing ",
        "\ttab\t",
        "a\nb",
        "a\r\nb",
        "\r",
        "\n",
        " ",
        "\u{3000}",
        "\u{0}",
        "\u{1}\u{8}\u{b}\u{1f}\u{7f}\u{85}",
        "\u{fffe}\u{ffff}\u{feff}",
        "<a>&amp;\"'</a>",
        "]]>",
        "😀𠮷👨‍👩‍👧",
        "_x0041_",
        "_x0041",
        "_x005F_",
        "_x0041_x0042_",
        "__x0041__",
        "_X0041_",
        "_x00e9_",
        "_x004\u{e9}_",
        "_x0041\u{1}",
        "_x0041\r\n",
        "_x0041_x0042\u{0}_x0043",
        "_x0041\u{fffe}",
        "\u{1}x0041_",
        " _x0041\u{1} ",
    ];
    assert_eq!(read_back(&texts), texts);
}

#[test]
fn text_like_formula_or_link_is_a_string() {
    let texts = ["=1+1", "{=1}", "http://example.com"].map(|text| Cell::Text(text.as_bytes()));
    let workbook = Workbook::of_cells(&Layout::default(), ColumnKind::Text, &texts);
    let sheet = workbook.sheet();
    assert!(!sheet.contains("<f") && !sheet.contains("<hyperlink"), "{sheet}");
    assert_eq!(workbook.changes, []);
}

#[test]
fn invalid_utf8_is_replaced_and_counted() {
    let cells = [Cell::Text(b"a\xffb"), Cell::Text("é".as_bytes())];
    let workbook = Workbook::of_cells(&Layout::default(), ColumnKind::Text, &cells);
    assert_eq!(workbook.shown(), ["a\u{fffd}b as text", "é as text"]);
    let counted = ColumnChanges { invalid_text: 1, ..ColumnChanges::default() };
    assert_eq!(workbook.changes, [("c".to_owned(), counted)]);
}

#[test]
fn label_with_special_characters_is_read_back() {
    let label = " _x0041\u{1}=";
    let column = downpipe_format::Column { name: label.to_owned(), kind: ColumnKind::Text };
    let workbook = Workbook::of(&Layout::default(), &[column], &[]);
    assert!(matches!(&workbook.rows()[0][0], Data::String(text) if text == label));
}

proptest! {
    #[test]
    fn any_text_is_read_back(texts in prop::collection::vec(any::<String>(), 1..20)) {
        // The reader drops empty rows at the end.
        let mut texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        texts.push("end");
        prop_assert_eq!(read_back(&texts), texts);
    }

    #[test]
    fn any_text_like_escapes_is_read_back(
        pieces in prop::collection::vec(
            prop::sample::select(vec!["_x0041", "x00e9_", "_x", "_", "x", "4", "\u{0}", "\r", "\n", " ", "\u{fffe}", "é"]),
            0..12,
        ),
    ) {
        let text = pieces.concat();
        prop_assert_eq!(read_back(&[&text, "end"]), [text.as_str(), "end"]);
    }
}
