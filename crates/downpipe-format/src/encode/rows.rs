//! Writes a query's rows into files: what all formats have in common.

use super::encoder::{EncodeError, Encoder};
use super::load_data;
use super::treatment::{Rewrite, Treatment};
use crate::model::{Cell, Changes, Column, ColumnChanges, FileColumn, FileStart, Layout, LayoutError, Style};

/// Writes the rows of one query into a file, or into several where a spreadsheet has more rows than a sheet takes.
///
/// For every row, pass the cells that [`sources`](Self::sources) names to [`cell`](Self::cell), in that order, then call
/// [`end_row`](Self::end_row). Take bytes from [`file`](Self::file). When [`take_full`](Self::take_full) returns a file, finish
/// that one first.
#[derive(Debug)]
pub struct RowEncoder {
    style: Style,
    columns: Vec<FileColumn>,
    /// In the columns' order.
    treatments: Vec<Treatment>,
    file: Box<dyn Encoder>,
    /// The file before this one, until it is taken.
    full: Option<FinishedFile>,
    /// The row's first error, until the row ends.
    error: Option<EncodeError>,
    /// The changes in full files, and those by masks.
    changes: Vec<ColumnChanges>,
    /// A rewritten value.
    text: Vec<u8>,
    /// The column the next cell belongs to.
    at: usize,
    rows: u64,
    rows_in_file: u64,
}

/// A file that has all of its rows and waits for [`Encoder::finish`].
#[derive(Debug)]
pub struct FinishedFile {
    /// The encoder, which has its bytes.
    pub encoder: Box<dyn Encoder>,
    /// The rows in it, without the header.
    pub rows: u64,
    /// The changes of each column, in this file and the ones before.
    pub changes: Vec<ColumnChanges>,
}

impl RowEncoder {
    /// Checks columns before their query runs. Their kinds may still change, because MySQL learns the kind of a parameter when the
    /// query runs.
    ///
    /// # Errors
    /// When the layout does not fit them, or the style cannot show their instants.
    pub fn accept(style: &Style, layout: &Layout, columns: &[Column]) -> Result<(), LayoutError> {
        layout.accept(columns)?;
        let applied = layout.apply(columns).unwrap_or_default();
        applied.iter().try_for_each(|column| Treatment::of(column, layout, style).map(drop))
    }

    /// Begins the first file.
    ///
    /// # Errors
    /// When the layout does not fit the query's columns, or the format has no such columns.
    pub fn start(style: Style, layout: &Layout, columns: &[Column]) -> Result<Self, EncodeError> {
        let columns = layout.apply(columns)?;
        let treatments =
            columns.iter().map(|column| Treatment::of(column, layout, &style)).collect::<Result<_, _>>()?;
        Ok(Self {
            file: style.encoder(&columns, FileStart::First)?,
            full: None,
            error: None,
            changes: vec![ColumnChanges::default(); columns.len()],
            text: Vec::new(),
            at: 0,
            rows: 0,
            rows_in_file: 0,
            treatments,
            style,
            columns,
        })
    }

    /// Resumes after the rows that another run wrote, of which `rows_in_file` are in the current file. If there are any, its header
    /// is written already.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn resume(
        &mut self,
        rows: u64,
        rows_in_file: u64,
        changes: &[ColumnChanges],
    ) -> Result<(), EncodeError> {
        // Not `First`: the changes in the header are among those of the other run.
        let begin = if rows_in_file > 0 { FileStart::Within } else { FileStart::Next };
        self.file = self.style.encoder(&self.columns, begin)?;
        (self.rows, self.rows_in_file) = (rows, rows_in_file);
        self.changes.clone_from_slice(changes);
        Ok(())
    }

    /// Returns the query's columns that the files have, in the files' order, each by its place in the query, from 0.
    #[must_use]
    pub fn sources(&self) -> Vec<usize> {
        self.columns.iter().map(|column| column.source).collect()
    }

    /// Writes the next cell of the row.
    ///
    /// # Panics
    /// When a row has more cells than there are [`sources`](Self::sources), which is a bug in the caller.
    #[inline(always)]
    pub fn cell(&mut self, cell: Cell<'_>) {
        if self.at == 0 && self.style.rows_per_file() == Some(self.rows_in_file) {
            self.begin_file();
        }
        match &self.treatments[self.at] {
            Treatment::Rewritten(_) if cell != Cell::Null => self.rewrite(&cell),
            Treatment::Moved(conversion) => self.file.cell(&conversion.convert(cell)),
            Treatment::Unchanged | Treatment::Rewritten(_) => self.file.cell(&cell),
        }
        self.at += 1;
    }

    /// Writes a value as its column's treatment rewrites it. Not inlined, because most columns have none.
    #[inline(never)]
    fn rewrite(&mut self, cell: &Cell<'_>) {
        self.text.clear();
        match &self.treatments[self.at] {
            Treatment::Rewritten(Rewrite::Mask { mask, kind, to_utc }) => {
                let in_utc = to_utc.as_ref().map(|conversion| conversion.convert(*cell));
                mask.hide(in_utc.as_ref().unwrap_or(cell), *kind, &mut self.text);
                self.changes[self.at].masked += 1;
                self.file.cell(&Cell::Text(&self.text));
            }
            Treatment::Rewritten(Rewrite::Decimal(decimal)) => match decimal.push(&mut self.text, cell) {
                Ok(()) => self.file.cell(&Cell::Decimal(&self.text)),
                Err(actual) => {
                    let (row, column) = (self.rows + 1, self.columns[self.at].name.clone());
                    let expected = *decimal;
                    self.error.get_or_insert(EncodeError::Decimal { row, column, expected, actual });
                    self.file.cell(&Cell::Null);
                }
            },
            Treatment::Unchanged | Treatment::Moved(_) => self.file.cell(cell),
        }
    }

    /// Ends the row.
    ///
    /// # Errors
    /// When a cell of it cannot be in this format.
    ///
    /// # Panics
    /// When the row had fewer cells than there are columns, which is a bug in the caller.
    pub fn end_row(&mut self) -> Result<(), EncodeError> {
        assert_eq!(self.at, self.columns.len(), "a row must have a cell for every column");
        self.at = 0;
        self.rows += 1;
        self.rows_in_file += 1;
        // After an error, the row is in the wrong file or has a null in the place of a number.
        self.error.take().map_or(Ok(()), Err)?;
        self.file.end_row()
    }

    /// Returns the file that is being written.
    pub fn file(&mut self) -> &mut dyn Encoder {
        &mut *self.file
    }

    /// Returns how many bytes can be taken from the current file.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.file.buffered()
    }

    /// Takes the file before the current one, when that was full.
    pub fn take_full(&mut self) -> Option<FinishedFile> {
        self.full.take()
    }

    /// Returns whether [`take_full`](Self::take_full) has a file.
    #[must_use]
    pub fn has_full(&self) -> bool {
        self.full.is_some()
    }

    /// Returns the last file, after the last row.
    #[must_use]
    pub fn into_file(self) -> FinishedFile {
        let changes = self.column_changes();
        FinishedFile { encoder: self.file, rows: self.rows_in_file, changes }
    }

    /// Returns the labels in the files' order.
    #[must_use]
    pub fn labels(&self) -> Vec<String> {
        self.columns.iter().map(|column| column.label.clone()).collect()
    }

    /// Returns the rows written so far, without headers.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Returns the rows written to the current file.
    #[must_use]
    pub fn rows_in_file(&self) -> u64 {
        self.rows_in_file
    }

    /// Returns the changes so far, column by column.
    #[must_use]
    pub fn column_changes(&self) -> Vec<ColumnChanges> {
        let mut sums = self.changes.clone();
        for (sum, more) in sums.iter_mut().zip(self.file.changes()) {
            *sum += more;
        }
        sums
    }

    /// Returns the changes so far, for the receipt.
    #[must_use]
    pub fn changes(&self) -> Changes {
        let labelled = self.columns.iter().map(|column| column.label.clone()).zip(self.column_changes());
        labelled.filter(|(_, changes)| *changes != ColumnChanges::default()).collect()
    }

    /// Returns the statement that loads the file into a table, with `{file}` and `{table}` to fill in; `None` where none can.
    #[must_use]
    pub fn load_data(&self) -> Option<String> {
        load_data::statement(&self.style, &self.columns)
    }

    /// Begins the next file. The caller finishes the full one.
    fn begin_file(&mut self) {
        match self.style.encoder(&self.columns, FileStart::Next) {
            Ok(next) => {
                self.changes = self.column_changes();
                let encoder = std::mem::replace(&mut self.file, next);
                let rows = std::mem::take(&mut self.rows_in_file);
                self.full = Some(FinishedFile { encoder, rows, changes: self.changes.clone() });
            }
            Err(error) => self.error = Some(error),
        }
    }
}
