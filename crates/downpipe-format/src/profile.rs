//! Named ways to write a CSV file.

use std::str::FromStr;

/// How lines end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineEnd {
    /// `\n`
    Lf,
    /// `\r\n`
    CrLf,
}

impl LineEnd {
    pub(crate) fn bytes(self) -> &'static [u8] {
        match self {
            Self::Lf => b"\n",
            Self::CrLf => b"\r\n",
        }
    }
}

/// A profile: everything that a reader of the file must know to read it right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// The name in messages, definitions and receipts.
    pub name: &'static str,
    /// Starts with the UTF-8 byte order mark, without which Excel takes the file for the system's old code page.
    pub byte_order_mark: bool,
    /// How lines end.
    pub line_end: LineEnd,
    /// For a spreadsheet: formulas are guarded, long numbers keep their digits, and [`Profile::max_rows`] applies.
    pub spreadsheet: bool,
}

impl Profile {
    /// RFC 4180 in UTF-8, lines end with LF. `NULL` is an empty field, the empty string is `""`, as PostgreSQL and DuckDB
    /// read them.
    pub const PLAIN: Self =
        Self { name: "plain", byte_order_mark: false, line_end: LineEnd::Lf, spreadsheet: false };

    /// Opens correctly in Excel: byte order mark, CRLF, formula guard on text columns, long numbers kept as text.
    pub const EXCEL: Self =
        Self { name: "excel", byte_order_mark: true, line_end: LineEnd::CrLf, spreadsheet: true };

    /// All profiles, in the order in which messages list them.
    pub const ALL: [Self; 2] = [Self::PLAIN, Self::EXCEL];

    /// The rows of data a file may hold, where its reader has a limit. Excel cuts a sheet at 1,048,576 rows without a
    /// word; one of them is the header.
    #[must_use]
    pub fn max_rows(&self) -> Option<u64> {
        self.spreadsheet.then_some(1_048_575)
    }
}

/// A name that is not one of those there are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected one of {}, got {actual:?}", allowed.join(", "))]
pub struct UnknownName {
    /// The names there are.
    pub allowed: Vec<&'static str>,
    /// The name that came.
    pub actual: String,
}

impl FromStr for Profile {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|profile| profile.name == name).ok_or_else(|| UnknownName {
            allowed: Self::ALL.map(|profile| profile.name).into(),
            actual: name.to_owned(),
        })
    }
}
