//! Checks lines of CSV when they end: for blank ones, and for the beginning of another format.

use super::column::CsvColumn;
use crate::model::{FileStart, Profile};

/// The first letters of a SYLK file, a format of the eighties. Excel takes a CSV file that begins with them for one, and refuses
/// it. Only in capitals, and only without a byte order mark. <https://github.com/SheetJS/sheetjs/issues/651>
const SYLK: &[u8] = b"ID";

/// Checks lines that have ended. Most files need no check.
#[derive(Debug)]
pub(super) struct LineCheck {
    /// Whether the next line needs a check.
    pub(super) is_needed: bool,
    /// Where the line begins.
    pub(super) line: usize,
    /// The file has one column, so a line may be blank.
    is_single: bool,
    /// The next line is the file's first, and the file is for a spreadsheet.
    is_first: bool,
}

impl LineCheck {
    pub(super) fn new(profile: &Profile, columns: usize, begin: FileStart) -> Self {
        let is_single = columns == 1;
        let is_first = profile.spreadsheet && !profile.byte_order_mark && begin != FileStart::Within;
        Self { is_needed: is_single || is_first, line: 0, is_single, is_first }
    }

    /// Checks the line that ends here, and quotes a field of it where needed.
    #[cold]
    #[inline(never)]
    pub(super) fn check(&mut self, out: &mut Vec<u8>, profile: &Profile, columns: &mut [CsvColumn]) {
        if std::mem::take(&mut self.is_first) {
            self.quote_sylk(out, profile);
        }
        if let [column] = columns {
            self.quote_blank_line(out, profile, column);
        }
        self.is_needed = self.is_single;
    }

    /// Quotes the first field of the file where Excel would take it for the beginning of SYLK.
    fn quote_sylk(&self, out: &mut Vec<u8>, profile: &Profile) {
        let line = &out[self.line..];
        if !line.starts_with(SYLK) {
            return;
        }
        // The field has no quotes, so it ends at the first delimiter.
        let end = memchr::memchr(profile.delimiter, line).unwrap_or(line.len());
        // Quoted, NULL would be a text.
        if &line[..end] != profile.null.as_bytes() {
            out.insert(self.line + end, profile.quote);
            out.insert(self.line, profile.quote);
        }
    }

    /// Quotes a blank line, which pandas, Python's csv and Arrow skip. A `NULL` becomes the empty string with it, which is counted.
    fn quote_blank_line(&self, out: &mut Vec<u8>, profile: &Profile, column: &mut CsvColumn) {
        let line = &out[self.line..];
        if !std::str::from_utf8(line).is_ok_and(|line| line.trim().is_empty()) {
            return;
        }
        // A text of the same letters as NULL has its quotes already.
        if line == profile.null.as_bytes() {
            column.changes.nulls_as_empty += 1;
            out.truncate(self.line);
        }
        out.insert(self.line, profile.quote);
        out.push(profile.quote);
    }
}
