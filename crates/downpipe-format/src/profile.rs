//! Profiles: everything that a reader of a CSV file must know to read it right.

use std::borrow::Cow;

use jiff::tz::TimeZone;

use crate::charset::Charset;

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

/// Which fields are quoted. `NULL` never is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quoting {
    /// Those that would be read wrongly otherwise, and the empty string.
    Needed,
    /// All.
    Always,
}

/// A profile. It says how CSV and TSV are written; of the other formats it only moves the time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The name in messages, definitions and receipts.
    pub name: Cow<'static, str>,
    /// Between fields: an ASCII character. TSV has a tab there, whatever the profile says.
    pub delimiter: u8,
    /// Around fields, and doubled within them: `"` or `'`.
    pub quote: u8,
    /// Which fields are quoted.
    pub quoting: Quoting,
    /// Backslashes are doubled, as MySQL's `LOAD DATA` expects it; without it, `\N` would not be `NULL` to it.
    pub escape: bool,
    /// How lines end.
    pub line_end: LineEnd,
    /// The first line has the columns' labels.
    pub header: bool,
    /// What stands for `NULL`, never quoted. A text of the same letters is quoted.
    pub null: Cow<'static, str>,
    /// Starts with the UTF-8 byte order mark, without which Excel takes the file for the system's old code page.
    pub byte_order_mark: bool,
    /// The encoding of the file.
    pub charset: Charset,
    /// Texts that a spreadsheet would run as formulas get an apostrophe in front; in text columns only.
    pub guard: bool,
    /// For a spreadsheet: numbers of more than 15 digits keep them, and files are split where a sheet ends.
    pub spreadsheet: bool,
    /// Where instants are shown: `TIMESTAMP` columns. `None` is UTC.
    pub time_zone: Option<TimeZone>,
    /// What stands before a number's fraction: `.` or `,`.
    pub decimal: u8,
}

impl Profile {
    /// RFC 4180 in UTF-8, lines end with LF. `NULL` is an empty field, the empty string is `""`, as PostgreSQL and DuckDB
    /// read them.
    pub const PLAIN: Self = Self {
        name: Cow::Borrowed("plain"),
        delimiter: b',',
        quote: b'"',
        quoting: Quoting::Needed,
        escape: false,
        line_end: LineEnd::Lf,
        header: true,
        null: Cow::Borrowed(""),
        byte_order_mark: false,
        charset: Charset::UTF_8,
        guard: false,
        spreadsheet: false,
        time_zone: None,
        decimal: b'.',
    };

    /// Opens correctly in Excel: byte order mark, CRLF, formula guard on text columns, long numbers kept as text.
    pub const EXCEL: Self = Self {
        name: Cow::Borrowed("excel"),
        line_end: LineEnd::CrLf,
        byte_order_mark: true,
        guard: true,
        spreadsheet: true,
        ..Self::PLAIN
    };

    /// As `excel`, in Microsoft's Shift_JIS, for Japanese programs that do not know UTF-8. What does not map is counted.
    pub const EXCEL_CP932: Self = Self {
        name: Cow::Borrowed("excel-cp932"),
        byte_order_mark: false,
        charset: Charset::CP932,
        ..Self::EXCEL
    };

    /// Nothing is lost: `LOAD DATA` reads it back exactly. `NULL` is `\N`, bytes are hexadecimal, instants are in UTC.
    pub const LOSSLESS: Self =
        Self { name: Cow::Borrowed("lossless"), escape: true, null: Cow::Borrowed("\\N"), ..Self::PLAIN };

    /// The built-in profiles, in the order in which messages list them.
    pub const ALL: [Self; 4] = [Self::PLAIN, Self::EXCEL, Self::EXCEL_CP932, Self::LOSSLESS];

    /// The built-in profile of this name.
    #[must_use]
    pub fn built_in(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name == name)
    }
}

/// A name that is not one of those there are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected one of {}, got {actual:?}", allowed.join(", "))]
pub struct UnknownName {
    /// The names there are.
    pub allowed: Vec<String>,
    /// The name that came.
    pub actual: String,
}
