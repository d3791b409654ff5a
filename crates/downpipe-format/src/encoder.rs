//! The port that every format stands behind: cells go in, the bytes of one file come out.

use crate::cell::Cell;
use crate::changes::ColumnChanges;
use crate::layout::LayoutError;

/// Turns rows into the bytes of one file.
///
/// Made with the file's columns, it has written already what stands before the first row. Then come
/// [`cell`](Self::cell) for every column in order and [`end_row`](Self::end_row) after each row; at the end
/// [`finish`](Self::finish), once. Bytes are taken away whenever there are enough.
pub trait Encoder: Send + std::fmt::Debug {
    /// Writes the next cell of the row. What is wrong with it is said by [`end_row`](Self::end_row).
    fn cell(&mut self, cell: &Cell<'_>);

    /// Ends the row.
    ///
    /// # Errors
    /// When a cell of it cannot be in this format.
    fn end_row(&mut self) -> Result<(), EncodeError>;

    /// Writes what stands behind the last row. May take seconds (a workbook is put together here), so not for a thread that
    /// others wait for.
    ///
    /// # Errors
    /// When the file cannot be put together.
    fn finish(&mut self) -> Result<(), EncodeError>;

    /// Bytes that can be taken.
    fn buffered(&self) -> usize;

    /// Takes about so many of them; none only when there are none. Before [`finish`](Self::finish) a piece ends at a row's end,
    /// whatever its length.
    ///
    /// # Errors
    /// When they cannot be read back from where they were kept.
    fn take(&mut self, at_most: usize) -> Result<Vec<u8>, EncodeError>;

    /// Gives an empty buffer back that was taken full, to be filled again. Memory that is new costs more than writing into it.
    fn reuse(&mut self, _: Vec<u8>) {}

    /// What was changed so far, column by column.
    fn changes(&self) -> Vec<ColumnChanges>;
}

/// Why rows did not become a file.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The definition's wishes do not fit the query's columns.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A value, or the columns themselves, cannot be in this format. Nothing is cut to make it fit.
    #[error("{place}: {format} takes {expected}, got {actual}")]
    DoesNotFit {
        /// The format.
        format: &'static str,
        /// `row 17, column "note"`, or `columns`.
        place: String,
        /// What the format takes.
        expected: String,
        /// What came, without the value itself.
        actual: String,
    },
    /// The file could not be compressed.
    #[error("the file could not be compressed")]
    Compress(#[source] std::io::Error),
    /// The place where the file is kept until it is whole, on the local disk, failed.
    #[error("the file could not be put together on the local disk")]
    Disk(#[from] std::io::Error),
}

impl EncodeError {
    /// A cell that does not fit. `row` counts from 1, the header not counted.
    pub(crate) fn cell(
        format: &'static str,
        row: u64,
        column: &str,
        expected: impl Into<String>,
        actual: impl Into<String>,
    ) -> Self {
        let place = format!("row {row}, column {column:?}");
        Self::DoesNotFit { format, place, expected: expected.into(), actual: actual.into() }
    }
}
