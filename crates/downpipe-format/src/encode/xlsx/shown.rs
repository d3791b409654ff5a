//! Number formats, and the widths of columns.

use unicode_width::UnicodeWidthStr as _;

use crate::model::{ColumnKind, FileColumn, TreatAs};

/// How a number is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// In the spreadsheet's own way.
    General,
    /// With at least `integer` digits before the point, and exactly `fraction` behind it.
    Number { integer: u8, fraction: u8 },
    /// `2026-01-31`.
    Date,
    /// `2026-01-31 12:00:00`, and 0 to 3 digits more.
    DateTime { fraction: u8 },
    /// `838:59:59`, and 0 to 3 digits more.
    Duration { fraction: u8 },
}

impl Shown {
    /// Returns the format that shows a decimal number as MySQL writes it, with its decimals and the zeros of `ZEROFILL`.
    pub(super) fn like(digits: &[u8]) -> Self {
        let digits = digits.strip_prefix(b"-").unwrap_or(digits);
        let point = memchr::memchr(b'.', digits);
        let integer = &digits[..point.unwrap_or(digits.len())];
        let integer = if integer.starts_with(b"0") { integer.len() } else { 1 };
        let fraction = point.map_or(0, |point| digits.len() - point - 1);
        // MySQL's numbers have 65 digits at most.
        let short = |length| u8::try_from(length).unwrap_or(u8::MAX);
        Self::Number { integer: short(integer), fraction: short(fraction) }
    }

    /// Returns the format code, ECMA-376 part 1, 18.8.31.
    pub(super) fn code(self) -> String {
        match self {
            Self::General => "General".to_owned(),
            Self::Number { integer, fraction } => with_fraction("0".repeat(integer.into()), fraction),
            Self::Date => "yyyy-mm-dd".to_owned(),
            Self::DateTime { fraction } => with_fraction("yyyy-mm-dd hh:mm:ss".to_owned(), fraction),
            Self::Duration { fraction } => with_fraction("[h]:mm:ss".to_owned(), fraction),
        }
    }
}

fn with_fraction(mut code: String, fraction: u8) -> String {
    if fraction > 0 {
        code.push('.');
        code.extend(std::iter::repeat_n('0', fraction.into()));
    }
    code
}

/// The least and the greatest width of a column, in characters.
const WIDTHS: std::ops::RangeInclusive<usize> = 8..=60;

/// Returns a column's width, in digits of the default font: its label's, or that of usual values.
pub(super) fn width(column: &FileColumn) -> f64 {
    let values = match column.kind {
        _ if column.treat_as == Some(TreatAs::Number) => 12,
        ColumnKind::Integer { bits, zerofill, .. } => {
            let digits = match bits {
                0..=16 => 6,
                17..=32 => 11,
                // More than 15 digits are text, which the cell beside it would hide.
                _ => 20,
            };
            digits.max(usize::from(zerofill))
        }
        ColumnKind::Bit => 20,
        // And the sign.
        ColumnKind::Decimal { width } => usize::from(width) + 1,
        ColumnKind::Float => 12,
        ColumnKind::Double => 16,
        ColumnKind::Text => 20,
        ColumnKind::Json | ColumnKind::Bytes => 40,
        ColumnKind::Date => 11,
        ColumnKind::DateTime { fraction } | ColumnKind::Timestamp { fraction } => 20 + usize::from(fraction),
        ColumnKind::Time { fraction } => 11 + usize::from(fraction),
    };
    // A label is bold, and so a little wider.
    let width = values.max(column.label.width() + 2).clamp(*WIDTHS.start(), *WIDTHS.end());
    width as f64
}
