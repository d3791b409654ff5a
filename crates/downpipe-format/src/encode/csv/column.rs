//! Knows what Excel would do to the values of a column.

use crate::model::{Cell, ColumnChanges, ColumnKind, FileColumn, Profile, Time, TreatAs};
use crate::text::{CELL_UNITS, has_leading_zeros, is_number, loses_digits};

/// The most digits after the seconds with which Excel reads a time. With more, it leaves the field as text.
const EXCEL_FRACTION: u8 = 3;

/// A column of a CSV file.
#[derive(Debug)]
pub(super) struct CsvColumn {
    pub(super) kind: ColumnKind,
    /// A spreadsheet would run its texts as formulas, so they are escaped.
    pub(super) guarded: bool,
    /// The definition treats its values as text.
    pub(super) as_text: bool,
    /// The definition treats its texts as numbers.
    pub(super) as_number: bool,
    /// Its times have more digits after the seconds than Excel reads.
    many_digits: bool,
    pub(super) changes: ColumnChanges,
}

impl CsvColumn {
    /// Creates a column from what holds for all of its values.
    pub(super) fn new(column: &FileColumn, profile: &Profile) -> Self {
        // JSON is no formula that does anything: -5 is a number, and texts have quotes.
        let text = column.kind == ColumnKind::Text || column.treat_as == Some(TreatAs::Text);
        Self {
            kind: column.kind,
            guarded: profile.escape_formulas && text,
            as_text: column.treat_as == Some(TreatAs::Text),
            as_number: column.treat_as == Some(TreatAs::Number),
            many_digits: column.kind.fraction() > EXCEL_FRACTION,
            changes: ColumnChanges::default(),
        }
    }

    /// Returns whether Excel would change a value that is no text, so that it must be written as text.
    ///
    /// Counts values that Excel changes or cuts even then.
    #[inline]
    pub(super) fn is_changed_by_excel(&mut self, cell: &Cell<'_>, written: &[u8]) -> bool {
        match *cell {
            Cell::Int(_) | Cell::UInt(_) | Cell::Decimal(_) => {
                loses_digits(written) || has_leading_zeros(written)
            }
            // Hexadecimal digits may look like a number: 0012, 12E4.
            Cell::Bytes(_) => {
                self.changes.texts_too_long += u64::from(written.len() > CELL_UNITS);
                is_number(written)
            }
            Cell::DateTime(_, time) | Cell::Time(time) => {
                let is_text = (self.many_digits || has_more_digits(time, self.kind)) && !self.as_text;
                self.changes.times_as_text += u64::from(is_text);
                false
            }
            // A double is written with as many digits as it needs, and spreadsheets keep it.
            _ => false,
        }
    }
}

/// Returns whether a time is written with all six digits although its column declares fewer.
fn has_more_digits(time: Time, kind: ColumnKind) -> bool {
    time.microseconds != 0 && !time.microseconds.is_multiple_of(10_u32.pow(6 - u32::from(kind.fraction())))
}
