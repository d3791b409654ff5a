//! Profiles: how text files are written, which a program must know to read them.

use std::borrow::Cow;

use jiff::tz::TimeZone;

use super::charset::Charset;

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

/// Which fields are quoted. `NULL` is never quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quoting {
    /// Those that would otherwise be read wrongly, and the empty string.
    Needed,
    /// All.
    Always,
}

/// A profile. It says how CSV and TSV are written. Of the other formats, only the time zone depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The name in messages, definitions and receipts.
    pub name: Cow<'static, str>,
    /// The ASCII character between fields. TSV always has a tab.
    pub delimiter: u8,
    /// The character around fields, `"` or `'`, which is doubled within them.
    pub quote: u8,
    /// Which fields are quoted.
    pub quoting: Quoting,
    /// Whether backslashes are doubled, as MySQL's `LOAD DATA` expects. Otherwise it does not read `\N` as `NULL`.
    pub escape: bool,
    /// How lines end.
    pub line_end: LineEnd,
    /// Whether the first line has the columns' labels.
    pub header: bool,
    /// The text for `NULL`, which is never quoted. A value of the same text is quoted.
    pub null: Cow<'static, str>,
    /// Whether the file starts with the UTF-8 byte order mark. Otherwise Excel reads it in the system's old code page.
    pub byte_order_mark: bool,
    /// The encoding of the file.
    pub charset: Charset,
    /// Whether texts that a spreadsheet would run as formulas get an apostrophe in front. In text columns only.
    pub escape_formulas: bool,
    /// Whether the file is for a spreadsheet: numbers of more than 15 digits keep them, and files are split where a sheet ends.
    pub spreadsheet: bool,
    /// The zone on whose clock instants (`TIMESTAMP` columns) are shown. `None` is UTC.
    pub time_zone: Option<TimeZone>,
    /// The decimal point: `.` or `,`.
    pub decimal: u8,
}

impl Profile {
    /// RFC 4180 in UTF-8 with LF. `NULL` is an empty field and the empty string is `""`, as PostgreSQL and DuckDB read them.
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
        escape_formulas: false,
        spreadsheet: false,
        time_zone: None,
        decimal: b'.',
    };

    /// Opens correctly in Excel: byte order mark, CRLF, formulas in text columns escaped, long numbers written as text.
    pub const EXCEL: Self = Self {
        name: Cow::Borrowed("excel"),
        line_end: LineEnd::CrLf,
        byte_order_mark: true,
        escape_formulas: true,
        spreadsheet: true,
        ..Self::PLAIN
    };

    /// The profile `excel` in Microsoft's Shift_JIS, for Japanese programs that do not know UTF-8. Characters that do not map are
    /// counted.
    pub const EXCEL_CP932: Self = Self {
        name: Cow::Borrowed("excel-cp932"),
        byte_order_mark: false,
        charset: Charset::CP932,
        ..Self::EXCEL
    };

    /// Loses nothing: `LOAD DATA` reads it back exactly. `NULL` is `\N`, bytes are hexadecimal, instants are in UTC.
    pub const LOSSLESS: Self =
        Self { name: Cow::Borrowed("lossless"), escape: true, null: Cow::Borrowed("\\N"), ..Self::PLAIN };

    /// The built-in profiles, in the order in which messages list them.
    pub const ALL: [Self; 4] = [Self::PLAIN, Self::EXCEL, Self::EXCEL_CP932, Self::LOSSLESS];

    /// Returns the built-in profile of this name.
    #[must_use]
    pub fn built_in(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name == name)
    }
}
