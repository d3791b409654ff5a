//! The port of the formats: turns cells into the bytes of one file.

use crate::model::{Cell, ColumnChanges, DecimalType, LayoutError};

/// Turns rows into the bytes of one file.
///
/// It is created with the file's columns, and has written the header by then. For every row, the caller calls
/// [`cell`](Self::cell) for each column in order, then [`end_row`](Self::end_row). After the last row it calls
/// [`finish`](Self::finish) once. In between it takes bytes whenever there are enough.
pub trait Encoder: Send + std::fmt::Debug {
    /// Writes the next cell of the row. [`end_row`](Self::end_row) returns its error.
    fn cell(&mut self, cell: &Cell<'_>);

    /// Ends the row.
    ///
    /// # Errors
    /// When a cell of it cannot be in this format.
    fn end_row(&mut self) -> Result<(), EncodeError>;

    /// Writes what follows the last row. It may take seconds to put a workbook together, so call it on a thread that may block.
    ///
    /// # Errors
    /// When the file cannot be put together.
    fn finish(&mut self) -> Result<(), EncodeError>;

    /// Returns how many bytes can be taken.
    fn buffered(&self) -> usize;

    /// Takes about so many bytes; none only when there are none. Before [`finish`](Self::finish) they always end where a row ends.
    ///
    /// # Errors
    /// When they cannot be read back from the disk.
    fn take(&mut self, at_most: usize) -> Result<Vec<u8>, EncodeError>;

    /// Takes back an emptied buffer, to fill it again. New memory costs more than writing into it.
    fn reuse(&mut self, _: Vec<u8>) {}

    /// Returns the changes so far, column by column.
    fn changes(&self) -> Vec<ColumnChanges>;
}

/// Why rows did not become a file.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The layout does not fit the query's columns.
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
    /// A number has more digits than its column's type in the definition. Nothing is rounded to make it fit.
    #[error(
        "row {row}, column {column:?}: expected a number of {expected}, as the definition says, got {actual}"
    )]
    Decimal {
        /// The row, from 1, without headers.
        row: u64,
        /// The column's name in the query.
        column: String,
        /// The type.
        expected: DecimalType,
        /// How many digits came, without the number itself.
        actual: String,
    },
    /// The file could not be compressed.
    #[error("the file could not be compressed")]
    Compress(#[source] std::io::Error),
    /// The local disk failed, on which a workbook is put together.
    #[error("the file could not be put together on the local disk")]
    Disk(#[from] std::io::Error),
}

impl EncodeError {
    /// The error of a cell that does not fit. `row` counts from 1, without the header.
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
