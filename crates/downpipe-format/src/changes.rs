//! What was altered on the way from the database to the file, counted per column, so that a receipt can say it.

use serde::{Deserialize, Serialize};

/// The changes of one column, in cells. A counter stays out of the receipt while it is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ColumnChanges {
    /// Cells, and headings, that began like a formula and got an apostrophe in front.
    #[serde(skip_serializing_if = "is_zero")]
    pub formulas_guarded: u64,
    /// Numbers of which a spreadsheet would not keep every digit, written as text: those with more than 15, those with zeros in
    /// front, and bytes whose hexadecimal looks like a number.
    #[serde(skip_serializing_if = "is_zero")]
    pub numbers_as_text: u64,
    /// Dates that are none (`0000-00-00`), or that a spreadsheet cannot count (before March 1900), written as text.
    #[serde(skip_serializing_if = "is_zero")]
    pub dates_as_text: u64,
    /// Dates that are none (`0000-00-00`), left empty because the format has no such date.
    #[serde(skip_serializing_if = "is_zero")]
    pub zero_dates_as_null: u64,
    /// Times of which a spreadsheet shows no more than milliseconds.
    #[serde(skip_serializing_if = "is_zero")]
    pub microseconds_hidden: u64,
    /// Characters that the encoding has under another code point of the same look.
    #[serde(skip_serializing_if = "is_zero")]
    pub lookalike_characters: u64,
    /// Characters that the encoding does not have, written as `?`.
    #[serde(skip_serializing_if = "is_zero")]
    pub unmappable_characters: u64,
    /// Cells with bytes that are no UTF-8, each of them written as U+FFFD, where the file must be text. (CSV in UTF-8 has the
    /// bytes as they are.)
    #[serde(skip_serializing_if = "is_zero")]
    pub invalid_text: u64,
    /// Cells that a mask hides.
    #[serde(skip_serializing_if = "is_zero")]
    pub masked: u64,
}

impl ColumnChanges {
    /// All of them together.
    #[must_use]
    pub fn total(mut self) -> u64 {
        self.counters().into_iter().map(|count| *count).sum()
    }

    fn counters(&mut self) -> [&mut u64; 9] {
        // Without `..`: a new counter is not forgotten here.
        let Self {
            formulas_guarded,
            numbers_as_text,
            dates_as_text,
            zero_dates_as_null,
            microseconds_hidden,
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
