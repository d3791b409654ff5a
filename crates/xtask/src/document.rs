//! Documents that commands write into: between two comments, so that the words around them stay.

use anyhow::{Context, Result};
use unicode_width::UnicodeWidthStr as _;

/// Returns a document, by its name in errors, with another text at one of its places.
///
/// # Errors
/// When the document has no such place.
pub fn replaced(name: &str, document: &str, place: &str, text: &str) -> Result<String> {
    let [begin, end] = ["begin", "end"].map(|mark| format!("<!-- {mark}: {place} -->"));
    let found = document.split_once(&begin).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(&end)?;
        Some((before, after))
    });
    let (before, after) =
        found.with_context(|| format!("{name}: expected {begin} and {end}, got no such place"))?;
    Ok(format!("{before}{begin}\n\n{}\n\n{end}{after}", text.trim()))
}

/// Rows of cells below a header. The first column is text, the others mostly figures.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new<const COLUMNS: usize>(header: [&str; COLUMNS]) -> Self {
        Self { rows: vec![header.map(str::to_owned).to_vec()] }
    }

    pub(crate) fn row<const COLUMNS: usize>(&mut self, cells: [String; COLUMNS]) {
        self.rows.push(cells.to_vec());
    }

    pub(crate) fn to_markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let [header, rows @ ..] = &self.rows[..] else { return String::new() };
        let rule: String = header.iter().skip(1).map(|_| "---|").collect();
        format!("{}|---|{rule}\n{}", line(header), rows.iter().map(|row| line(row)).collect::<String>())
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let width = |column: usize| self.rows.iter().map(move |row| row[column].width()).max().unwrap_or(0);
        for row in &self.rows {
            let cells = row.iter().enumerate();
            let padded = cells.map(|(at, cell)| format!("{cell}{}", " ".repeat(width(at) - cell.width())));
            writeln!(f, "{}", padded.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_in_a_document_is_replaced_and_the_rest_stays() {
        let document = "# A\n\n<!-- begin: x -->\nold\n<!-- end: x -->\n\nwords\n";
        let new = replaced("a.md", document, "x", "| new |\n").unwrap();
        assert_eq!(new, "# A\n\n<!-- begin: x -->\n\n| new |\n\n<!-- end: x -->\n\nwords\n");
        assert_eq!(replaced("a.md", &new, "x", "| new |\n").unwrap(), new);
        let error = replaced("a.md", document, "y", "").unwrap_err().to_string();
        assert!(error.contains("expected <!-- begin: y --> and <!-- end: y -->"), "{error}");
    }

    #[test]
    fn table_is_aligned_as_text_and_valid_as_markdown() {
        let mut table = Table::new(["who", "s"]);
        table.row(["山".into(), "1".into()]);
        assert_eq!(table.to_string(), "who  s\n山   1\n");
        assert_eq!(table.to_markdown(), "| who | s |\n|---|---|\n| 山 | 1 |\n");
    }
}
