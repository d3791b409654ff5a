//! The text of a definition.

use std::ops::Range;

use toml::Spanned;

use super::DefinitionError;

/// The text of a definition, which turns positions into lines.
pub(super) struct Source<'a> {
    pub(super) file: &'a str,
    pub(super) text: &'a str,
}

impl Source<'_> {
    /// Returns an error at the beginning of a span.
    pub(super) fn wrong(&self, span: Range<usize>, reason: String) -> DefinitionError {
        DefinitionError { file: self.file.to_owned(), line: self.line(span.start), reason }
    }

    /// Returns the line in the file of a line of the SQL, which counts from 0.
    pub(super) fn line_in(&self, sql: &Spanned<String>, line: usize) -> usize {
        // TOML drops the line break right after the opening quotes.
        let opens_alone = self.text[sql.span()].trim_start_matches(['"', '\'']).starts_with(['\r', '\n']);
        self.line(sql.span().start) + line + usize::from(opens_alone)
    }

    /// Returns the line of a position, from 1.
    pub(super) fn line(&self, at: usize) -> usize {
        self.text.get(..at).unwrap_or_default().matches('\n').count() + 1
    }
}
