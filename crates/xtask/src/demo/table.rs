//! The beginning of a CSV file, for people: as it is, and in columns.

use anyhow::{Context, Result};
use csv::StringRecord;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

const MAX_COLUMN: usize = 26;

/// Returns the first `lines` lines, as they are.
pub(super) fn head(file: &str, lines: usize) -> String {
    file.lines().take(lines).collect::<Vec<_>>().join("\n")
}

/// Returns the header and the first `rows` rows, in columns.
pub(super) fn columns(file: &str, rows: usize) -> Result<String> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(file.as_bytes());
    let records = reader.records().take(rows + 1);
    let records = records.collect::<Result<Vec<StringRecord>, _>>().context("the file is not CSV")?;
    let table: Vec<Vec<String>> = records.iter().map(|record| record.iter().map(cell).collect()).collect();
    let count = table.first().map_or(0, Vec::len);
    let width = |column: usize| table.iter().filter_map(|row| row.get(column)).map(|cell| cell.width()).max();
    let widths: Vec<usize> = (0..count).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| -> String {
        let padded = row.iter().zip(&widths);
        // A Japanese character takes two columns of a terminal, so `{:<width$}` would not do.
        let cells = padded.map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.width())));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    Ok(table.iter().map(line).collect::<Vec<_>>().join("\n"))
}

/// One line of a cell, cut where it would push the others away.
fn cell(text: &str) -> String {
    let line: String =
        text.replace("\r\n", "⏎").chars().map(|c| if c.is_control() { '⏎' } else { c }).collect();
    if line.width() <= MAX_COLUMN {
        return line;
    }
    let mut width = 0;
    let kept = line.chars().take_while(|c| {
        width += c.width().unwrap_or(0);
        width < MAX_COLUMN
    });
    kept.chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn column_is_as_wide_as_a_terminal_shows_it() {
        let file = "id,名前,note\n1,佐藤 蓮,\"a\nb\"\n22,Anna,\n3,,\n";
        assert_eq!(columns(file, 2).unwrap(), "id  名前     note\n1   佐藤 蓮  a⏎b\n22  Anna");
    }

    #[test]
    fn cell_that_is_too_long_is_cut() {
        let long = cell(&"注".repeat(30));
        assert_eq!(long.width(), MAX_COLUMN - 1);
        assert!(long.ends_with('…'));
    }
}
