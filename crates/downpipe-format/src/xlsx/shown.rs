//! How a sheet shows its values: number formats and the widths of columns.

use unicode_width::UnicodeWidthStr as _;

use crate::column::ColumnKind;
use crate::layout::{FileColumn, TreatAs};

/// How a number is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// As the spreadsheet likes.
    General,
    /// With so many digits on either side of the point, at least and exactly.
    Number { whole: u8, fraction: u8 },
    /// `2026-01-31`.
    Date,
    /// `2026-01-31 12:00:00`, and 0 to 3 digits more.
    DateTime { fraction: u8 },
    /// `838:59:59`, and 0 to 3 digits more.
    Duration { fraction: u8 },
}

impl Shown {
    /// Like a decimal number as MySQL wrote it: as many decimals, and the zeros in front that `ZEROFILL` has put there.
    pub(super) fn like(digits: &[u8]) -> Self {
        let digits = digits.strip_prefix(b"-").unwrap_or(digits);
        let point = memchr::memchr(b'.', digits);
        let whole = &digits[..point.unwrap_or(digits.len())];
        let whole = if whole.starts_with(b"0") { whole.len() } else { 1 };
        let fraction = point.map_or(0, |point| digits.len() - point - 1);
        // MySQL's numbers have 65 digits at most.
        let short = |length| u8::try_from(length).unwrap_or(u8::MAX);
        Self::Number { whole: short(whole), fraction: short(fraction) }
    }

    /// The format code, ECMA-376 part 1, 18.8.31.
    pub(super) fn code(self) -> String {
        match self {
            Self::General => "General".to_owned(),
            Self::Number { whole, fraction } => with_fraction("0".repeat(whole.into()), fraction),
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

/// The narrowest and the widest that a column begins with, in characters. Whoever opens the file may change it.
const WIDTHS: std::ops::RangeInclusive<usize> = 8..=60;

/// A column's width, in digits of the default font: the heading's, or what its values usually need.
pub(super) fn width(column: &FileColumn) -> f64 {
    let values = match column.kind {
        _ if column.treat_as == Some(TreatAs::Number) => 12,
        ColumnKind::Integer { bits, zerofill, .. } => {
            let digits = match bits {
                0..=16 => 6,
                17..=32 => 11,
                // Those of more than 15 digits are text, which the cell beside it would cut.
                _ => 20,
            };
            digits.max(usize::from(zerofill))
        }
        ColumnKind::Bit => 20,
        // A sign and the point.
        ColumnKind::Decimal { precision } => usize::from(precision) + 2,
        ColumnKind::Float => 12,
        ColumnKind::Double => 16,
        ColumnKind::Text => 20,
        ColumnKind::Json | ColumnKind::Bytes => 40,
        ColumnKind::Date => 11,
        ColumnKind::DateTime { fraction } | ColumnKind::Timestamp { fraction } => 20 + usize::from(fraction),
        ColumnKind::Time { fraction } => 11 + usize::from(fraction),
    };
    // A heading is bold, so a little wider.
    let width = values.max(column.label.width() + 2).clamp(*WIDTHS.start(), *WIDTHS.end());
    width as f64
}
