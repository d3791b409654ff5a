//! Workbooks, read by openpyxl and pandas.

use downpipe_core::error_chain::error_chain;
use downpipe_tests::export::{ExportOutcome, export, try_export};
use downpipe_tests::readers::{Kind, Sheet, Value, XlsxReader, value, xlsx};

use super::{AllTypes, is_integer};
use crate::fidelity::server_values::{self, Column, assert_read, changes, form, microseconds, moment};

/// The columns with more than the 32,767 characters of a cell, and how to cut them.
const CUT: [(&str, &str); 4] = [
    ("mediumt", "LEFT({}, 32767)"),
    ("longt", "LEFT({}, 32767)"),
    ("mediumb", "LEFT({}, 16383)"),
    ("longb", "LEFT({}, 16383)"),
];

/// The dates that a spreadsheet cannot represent: those that do not exist, and those before March
/// 1900.
const NO_SHEET_DATES: [(&str, usize); 8] =
    [("day", 0), ("day", 2), ("at", 0), ("at", 2), ("at3", 0), ("at3", 2), ("at6", 0), ("stamp6", 0)];

/// The times that are cut to the millisecond.
const CUT_TIMES: [(&str, usize, &str); 5] = [
    ("at6", 1, "9999-12-31T23:59:59.999000"),
    ("at6", 2, "2026-06-15T12:34:56.000000"),
    ("stamp6", 1, "2038-01-19T03:14:07.999000"),
    ("stamp6", 2, "1970-01-01T00:00:01.000000"),
    ("t6", 1, "838:59:58.999000"),
];

#[tokio::test]
async fn workbooks_hold_every_type() {
    let all_types = AllTypes::new().await;
    let refused = try_export(
        &all_types.database,
        &server_values::select(&all_types.columns, "all_types"),
        "format = \"xlsx\"",
    )
    .await;
    assert_eq!(
        error_chain(&refused.unwrap_err()),
        "row 2, column \"mediumt\": xlsx takes at most 32767 characters in a cell, got 70000"
    );

    let all_types = AllTypes::with(&CUT).await;
    let exported = all_types.export("format = \"xlsx\"").await;
    assert_eq!(
        changes(&exported.receipt),
        [
            "at: dates_as_text 2",
            "at3: dates_as_text 2",
            "at6: dates_as_text 1",
            "at6: microseconds_hidden 2",
            "b64: numbers_as_text 2",
            "big: numbers_as_text 2",
            "bigfilled: numbers_as_text 3",
            "day: dates_as_text 2",
            "exact: numbers_as_text 2",
            "stamp6: dates_as_text 1",
            "stamp6: microseconds_hidden 2",
            "t: dates_as_text 2",
            "t6: dates_as_text 2",
            "t6: microseconds_hidden 1",
            "ubig: numbers_as_text 1",
            "whole: numbers_as_text 2",
        ]
    );
    for reader in [XlsxReader::Openpyxl, XlsxReader::Pandas] {
        let sheet = only_sheet(&exported, reader);
        assert_eq!(sheet.columns, all_types.names());
        assert_read(
            &format!("{reader:?}"),
            &all_types.columns,
            &all_types.said,
            &sheet.rows,
            |column, row, said| match in_sheet(column, row, said) {
                // pandas has moments, and no days.
                Value(Kind::Date, day) if reader == XlsxReader::Pandas => {
                    value(Kind::DateTime, &format!("{day}T00:00:00.000000"))
                }
                value => value,
            },
            |column, _, Value(kind, text)| match kind {
                Kind::Number => {
                    value(*kind, &form(if column.kind == "float" { "float" } else { "double" }, text))
                }
                _ => value(*kind, text),
            },
        );
    }
}

/// Returns the expected value in a sheet.
fn in_sheet(column: &Column, row: usize, said: Option<&str>) -> Value {
    // A sheet shows an empty text as an empty cell.
    let Some(said) = said.filter(|text| !text.is_empty()) else { return value(Kind::Null, "") };
    if let Some((.., shown)) = CUT_TIMES.iter().find(|(name, at, _)| column.name == *name && row == *at) {
        return value(if column.kind == "time" { Kind::Duration } else { Kind::DateTime }, shown);
    }
    let is_no_date = NO_SHEET_DATES.contains(&(column.name.as_str(), row));
    match column.kind.as_str() {
        "date" if !is_no_date => value(Kind::Date, said),
        "datetime" | "timestamp" if !is_no_date => value(Kind::DateTime, &moment(said)),
        // Excel shows a negative time as ######.
        "time" if !said.starts_with('-') => value(Kind::Duration, &microseconds(said)),
        "float" => value(Kind::Number, &form("float", said)),
        "double" => value(Kind::Number, &form("double", said)),
        // Excel keeps 15 digits. Zeros in front count for an integer with ZEROFILL, but not for a
        // fraction.
        "decimal" if significant(said) <= 15 => value(Kind::Number, &form("double", said)),
        _ if is_integer(column) && said.trim_start_matches('-').len() <= 15 => {
            value(Kind::Number, &form("double", said))
        }
        // XML has no control characters. Excel and LibreOffice decode these escapes, and openpyxl
        // shows them.
        "varchar" => value(
            Kind::Text,
            &said.replace('\r', "_x000D_").replace('\0', "_x0000_").replace('\u{7}', "_x0007_"),
        ),
        _ => value(Kind::Text, said),
    }
}

fn significant(number: &str) -> usize {
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    digits.trim_start_matches('0').len()
}

fn only_sheet(exported: &ExportOutcome, reader: XlsxReader) -> Sheet {
    let mut sheets = xlsx(exported.file(), reader).unwrap();
    assert_eq!(sheets.len(), 1);
    sheets.remove(0)
}

#[tokio::test]
async fn workbook_has_formats_widths_and_a_frozen_header() {
    let all_types = AllTypes::new().await;
    let names = "id, big, filled, y, money, udecimal, d, day, at, at3, at6, stamp, t, t6, v";
    let sql =
        format!("SELECT {names}, v AS `見出しの幅は見出しの文字の幅で決まる` FROM all_types WHERE id = 2");
    let exported = export(&all_types.database, &sql, "format = \"xlsx\"").await;
    let sheet = only_sheet(&exported, XlsxReader::Openpyxl);
    assert_eq!((sheet.name.as_str(), sheet.frozen.as_deref()), ("Export", Some("A2")));
    let formats: Vec<(&str, &str)> = sheet
        .columns
        .iter()
        .zip(&sheet.formats)
        .map(|(column, format)| (column.as_str(), format.as_deref().unwrap()))
        .collect();
    assert_eq!(
        formats[..14],
        [
            ("id", "0"),
            ("big", "General"),
            ("filled", "000000"),
            ("y", "0000"),
            ("money", "0.00"),
            ("udecimal", "0.0000"),
            ("d", "General"),
            ("day", "yyyy-mm-dd"),
            ("at", "yyyy-mm-dd hh:mm:ss"),
            ("at3", "yyyy-mm-dd hh:mm:ss.000"),
            ("at6", "yyyy-mm-dd hh:mm:ss.000"),
            ("stamp", "yyyy-mm-dd hh:mm:ss"),
            ("t", "[h]:mm:ss"),
            ("t6", "[h]:mm:ss.000"),
        ]
    );
    let width = |column: u32| {
        let (.., width) =
            sheet.widths.iter().find(|(first, last, _)| (*first..=*last).contains(&column)).unwrap();
        // The width in the file includes the cell's edges.
        width.floor()
    };
    let widths: Vec<f64> = (1..=16).map(width).collect();
    // The last heading has 18 characters of double width.
    assert_eq!(widths, [20., 20., 11., 8., 14., 12., 16., 11., 20., 23., 26., 20., 11., 17., 20., 38.]);
}
