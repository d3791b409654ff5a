//! What a profile altered on the way, counted per column, so that a receipt can say it.

use serde::Serialize;

/// The changes of one column. A counter stays out of the receipt while it is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct ColumnChanges {
    /// Cells that began like a formula and got an apostrophe in front.
    #[serde(skip_serializing_if = "is_zero")]
    pub formulas_guarded: u64,
    /// Whole numbers of more than 15 digits, written so that a spreadsheet keeps every digit.
    #[serde(skip_serializing_if = "is_zero")]
    pub long_numbers_as_text: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The changes of a whole file: column labels with their counters, in column order, unchanged columns left out.
pub type Changes = Vec<(String, ColumnChanges)>;
