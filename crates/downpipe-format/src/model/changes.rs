//! Counts the cells that are in the file otherwise than in the database, for the receipt.

use serde::{Deserialize, Serialize};

/// The changed cells of a column. The receipt leaves out counters that are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ColumnChanges {
    /// Cells and labels that begin like a formula, and got an apostrophe in front.
    #[serde(skip_serializing_if = "is_zero")]
    pub formulas_guarded: u64,
    /// Numbers that a spreadsheet would change, written as text: those with more than 15 digits or with zeros in front, and bytes
    /// whose hexadecimal digits look like a number.
    #[serde(skip_serializing_if = "is_zero")]
    pub numbers_as_text: u64,
    /// Dates that do not exist (`0000-00-00`) or that a spreadsheet cannot count (before March 1900), written as text.
    #[serde(skip_serializing_if = "is_zero")]
    pub dates_as_text: u64,
    /// Dates that do not exist (`0000-00-00`), written as `NULL` because the format has no such date.
    #[serde(skip_serializing_if = "is_zero")]
    pub zero_dates_as_null: u64,
    /// Times cut to the millisecond, because a spreadsheet shows no more.
    #[serde(skip_serializing_if = "is_zero")]
    pub microseconds_hidden: u64,
    /// Times with more than three digits after the seconds, which Excel leaves as text when it opens CSV.
    #[serde(skip_serializing_if = "is_zero")]
    pub times_as_text: u64,
    /// Texts of more than 32,767 characters, which Excel cuts when it opens CSV.
    #[serde(skip_serializing_if = "is_zero")]
    pub texts_too_long: u64,
    /// `NULL` written as the empty string, because alone on its line it would be a blank line.
    #[serde(skip_serializing_if = "is_zero")]
    pub nulls_as_empty: u64,
    /// Characters written as another one that looks the same, because the encoding has only that one.
    #[serde(skip_serializing_if = "is_zero")]
    pub lookalike_characters: u64,
    /// Characters that the encoding does not have, written as `?`.
    #[serde(skip_serializing_if = "is_zero")]
    pub unmappable_characters: u64,
    /// Cells with bytes that are no UTF-8, which are written as U+FFFD. CSV in UTF-8 keeps the bytes.
    #[serde(skip_serializing_if = "is_zero")]
    pub invalid_text: u64,
    /// Masked cells.
    #[serde(skip_serializing_if = "is_zero")]
    pub masked: u64,
}

impl ColumnChanges {
    /// Returns the sum of all counters.
    #[must_use]
    pub fn total(mut self) -> u64 {
        self.counters().into_iter().map(|count| *count).sum()
    }

    fn counters(&mut self) -> [&mut u64; 12] {
        // Without `..`, so that a new counter is not forgotten here.
        let Self {
            formulas_guarded,
            numbers_as_text,
            dates_as_text,
            zero_dates_as_null,
            microseconds_hidden,
            times_as_text,
            texts_too_long,
            nulls_as_empty,
            lookalike_characters,
            unmappable_characters,
            invalid_text,
            masked,
        } = self;
        [
            formulas_guarded,
            numbers_as_text,
            dates_as_text,
            zero_dates_as_null,
            microseconds_hidden,
            times_as_text,
            texts_too_long,
            nulls_as_empty,
            lookalike_characters,
            unmappable_characters,
            invalid_text,
            masked,
        ]
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl std::ops::AddAssign for ColumnChanges {
    fn add_assign(&mut self, mut more: Self) {
        for (sum, more) in self.counters().into_iter().zip(more.counters()) {
            *sum += *more;
        }
    }
}

/// The changes of a whole export: column labels with their counters, in column order, unchanged columns left out.
pub type Changes = Vec<(String, ColumnChanges)>;
