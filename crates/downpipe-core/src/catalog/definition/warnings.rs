//! Warnings: what a definition may say, and probably does not mean.

use std::fmt;

use toml::Spanned;

use crate::catalog::definition::source_text::Source;
use crate::catalog::definition::{Definition, time_zone};
use crate::catalog::tokens::QuoteMode;

/// Something in a definition that is allowed, and probably not meant. `downpipe check` shows it; exports run all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefinitionWarning {
    /// The path or address of the file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is probably not meant, and what to write instead.
    pub reason: String,
}

impl fmt::Display for DefinitionWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.reason)
    }
}

impl Definition {
    /// Returns the warnings, in the order of the lines.
    #[must_use]
    pub fn warnings(&self) -> &[DefinitionWarning] {
        &self.warnings
    }
}

/// Looks for warnings in a definition that has no errors. A new warning is one more entry here.
pub(super) fn find(
    source: &Source<'_>,
    _definition: &Definition,
    sql: &Spanned<String>,
    mode: QuoteMode,
    names_zone: bool,
) -> Vec<DefinitionWarning> {
    let zone = if names_zone { None } else { zoneless_function(source, sql, mode) };
    let found = [eaten_backslash(source, sql), zone];
    let mut warnings: Vec<DefinitionWarning> = found.into_iter().flatten().collect();
    warnings.sort_by_key(|warning| warning.line);
    warnings
}

/// Finds a time function in the SQL of a definition that names no time zone.
fn zoneless_function(
    source: &Source<'_>,
    sql: &Spanned<String>,
    mode: QuoteMode,
) -> Option<DefinitionWarning> {
    let (line, reason) = time_zone::warning(sql.get_ref(), mode)?;
    Some(DefinitionWarning { line: source.line_in(sql, line), ..source.warning(sql.span().start, reason) })
}

/// Finds a backslash in SQL between `"` or `"""`: TOML reads it as an escape, and MySQL never sees it. (`\"` is the one that TOML
/// itself asks for.)
fn eaten_backslash(source: &Source<'_>, sql: &Spanned<String>) -> Option<DefinitionWarning> {
    let start = sql.span().start;
    let raw = &source.text[sql.span()];
    if !raw.starts_with('"') {
        return None;
    }
    let mut bytes = raw.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        if byte == b'\\' && bytes.next().is_some_and(|(_, next)| next != b'"') {
            let reason = "sql: TOML reads the backslash itself, and MySQL gets the SQL without it; put the SQL between ''' and ''', where every character stays as it is";
            return Some(source.warning(start + at, reason));
        }
    }
    None
}

impl Source<'_> {
    /// Returns a warning at this position.
    pub(super) fn warning(&self, at: usize, reason: impl Into<String>) -> DefinitionWarning {
        DefinitionWarning { file: self.file.to_owned(), line: self.line(at), reason: reason.into() }
    }
}
