//! From the query's rows to the files' bytes: what every format has in common.

use jiff::tz::TimeZone;

use crate::cell::Cell;
use crate::changes::{Changes, ColumnChanges};
use crate::column::{Column, ColumnKind};
use crate::encoder::{EncodeError, Encoder};
use crate::format::Style;
use crate::layout::{FileColumn, Layout};
use crate::load_data;
use crate::mask::Mask;
use crate::zone::in_zone;

/// Writes the rows of one query into one file after another: one, but for a spreadsheet with more rows than a sheet takes.
///
/// Hand it the cells that [`sources`](Self::sources) names, in that order, then [`end_row`](Self::end_row). Take bytes from
/// [`file`](Self::file). When [`take_full`](Self::take_full) gives a file, finish that one first.
#[derive(Debug)]
pub struct RowEncoder {
    style: Style,
    columns: Vec<FileColumn>,
    /// What becomes of their values, in the same order.
    treatments: Vec<Treatment>,
    file: Box<dyn Encoder>,
    /// The file before, when the row that did not fit into it has begun this one.
    full: Option<FullFile>,
    /// A file that could not be begun, until somebody asks.
    error: Option<EncodeError>,
    /// What was changed in files that are full, and what masks hide.
    changes: Vec<ColumnChanges>,
    /// What a mask shows.
    masked: Vec<u8>,
    /// The column the next cell belongs to.
    at: usize,
    rows: u64,
    rows_in_file: u64,
}

/// What becomes of a column's values on their way into the file.
#[derive(Debug)]
enum Treatment {
    /// As they are.
    Straight,
    /// Behind a mask.
    Masked { mask: Mask, kind: ColumnKind },
    /// On the clock of a time zone.
    Local(TimeZone),
}

impl Treatment {
    fn of(column: &FileColumn, style: &Style) -> Self {
        let zone = style.profile().time_zone.as_ref().filter(|_| style.shows_local_time());
        match (&column.mask, column.kind, zone) {
            (Some(mask), ..) => Self::Masked { mask: mask.clone(), kind: column.source_kind },
            (None, ColumnKind::Timestamp { .. }, Some(zone)) => Self::Local(zone.clone()),
            _ => Self::Straight,
        }
    }
}

/// A file that has all of its rows and waits for [`Encoder::finish`].
#[derive(Debug)]
pub struct FullFile {
    /// Has its bytes.
    pub encoder: Box<dyn Encoder>,
    /// The rows in it, the header not counted.
    pub rows: u64,
    /// What was changed up to its end, in this file and in those before, column by column.
    pub changes: Vec<ColumnChanges>,
}

impl RowEncoder {
    /// Begins the first file.
    ///
    /// # Errors
    /// When the layout does not fit the query's columns, or the format has no such columns.
    pub fn start(style: Style, layout: &Layout, columns: &[Column]) -> Result<Self, EncodeError> {
        let columns = layout.apply(columns)?;
        Ok(Self {
            file: style.encoder(&columns, true)?,
            full: None,
            error: None,
            changes: vec![ColumnChanges::default(); columns.len()],
            masked: Vec::new(),
            at: 0,
            rows: 0,
            rows_in_file: 0,
            treatments: columns.iter().map(|column| Treatment::of(column, &style)).collect(),
            style,
            columns,
        })
    }

    /// Goes on where another run stopped: these rows have been written, so many of them to the file that is being written. What
    /// stands before its first row has been written with the first.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn go_on(
        &mut self,
        rows: u64,
        rows_in_file: u64,
        changes: &[ColumnChanges],
    ) -> Result<(), EncodeError> {
        // Not the first one: what was changed in the headings is among the changes.
        self.file = self.style.encoder(&self.columns, false)?;
        if rows_in_file > 0 {
            drop(self.file.take(usize::MAX)?);
        }
        (self.rows, self.rows_in_file) = (rows, rows_in_file);
        self.changes.clone_from_slice(changes);
        Ok(())
    }

    /// The query's columns that the files have, in the files' order, each by its place in the query, from 0.
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
            Treatment::Masked { mask, kind } if cell != Cell::Null => {
                mask.hide(&cell, *kind, &mut self.masked);
                self.changes[self.at].masked += 1;
                self.file.cell(&Cell::Text(&self.masked));
            }
            Treatment::Local(zone) => self.file.cell(&in_zone(cell, zone)),
            Treatment::Straight | Treatment::Masked { .. } => self.file.cell(&cell),
        }
        self.at += 1;
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
        // The row of a file that could not be begun has gone to the one before.
        self.error.take().map_or(Ok(()), Err)?;
        self.file.end_row()
    }

    /// The file that is being written.
    pub fn file(&mut self) -> &mut dyn Encoder {
        &mut *self.file
    }

    /// Bytes that can be taken from it.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.file.buffered()
    }

    /// The file before, if it was full.
    pub fn take_full(&mut self) -> Option<FullFile> {
        self.full.take()
    }

    /// Whether [`take_full`](Self::take_full) has one to give.
    #[must_use]
    pub fn has_full(&self) -> bool {
        self.full.is_some()
    }

    /// The last file, when every row has been written.
    #[must_use]
    pub fn into_file(self) -> FullFile {
        let changes = self.column_changes();
        FullFile { encoder: self.file, rows: self.rows_in_file, changes }
    }

    /// The headings, in order.
    #[must_use]
    pub fn labels(&self) -> Vec<String> {
        self.columns.iter().map(|column| column.label.clone()).collect()
    }

    /// Rows written so far, headers not counted.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Rows written to the file that is being written.
    #[must_use]
    pub fn rows_in_file(&self) -> u64 {
        self.rows_in_file
    }

    /// What was changed so far, column by column.
    #[must_use]
    pub fn column_changes(&self) -> Vec<ColumnChanges> {
        let mut sums = self.changes.clone();
        for (sum, more) in sums.iter_mut().zip(self.file.changes()) {
            *sum += more;
        }
        sums
    }

    /// What was changed so far, for the receipt.
    #[must_use]
    pub fn changes(&self) -> Changes {
        let labelled = self.columns.iter().map(|column| column.label.clone()).zip(self.column_changes());
        labelled.filter(|(_, changes)| *changes != ColumnChanges::default()).collect()
    }

    /// The statement that reads the file back into a table, with `{file}` and `{table}` to fill in, where there is one.
    #[must_use]
    pub fn load_data(&self) -> Option<String> {
        load_data::statement(&self.style, &self.columns)
    }

    /// The row that comes does not fit any more. The full file is finished by whoever has the time.
    fn begin_file(&mut self) {
        match self.style.encoder(&self.columns, false) {
            Ok(next) => {
                self.changes = self.column_changes();
                let encoder = std::mem::replace(&mut self.file, next);
                let rows = std::mem::take(&mut self.rows_in_file);
                self.full = Some(FullFile { encoder, rows, changes: self.changes.clone() });
            }
            Err(error) => self.error = Some(error),
        }
    }
}
