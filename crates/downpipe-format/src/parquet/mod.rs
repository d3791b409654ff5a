//! The Parquet encoder. <https://parquet.apache.org/docs/file-format/>
//!
//! A Parquet file holds its rows by column, in row groups, with a table of what is where at the end. So rows wait in memory until
//! there is a group of them, and the file can only be finished by who has written all of it. Every column may be null: that is
//! how MySQL describes most results, and it costs next to nothing where there are none.
//!
//! The library is used without Arrow: cells are kept as the bytes and numbers that the column writers take, and the Lambda package
//! stays small.

mod buffer;
mod date;
mod decimal;
mod schema;
mod slab;

use parquet::errors::ParquetError;
use parquet::file::writer::SerializedFileWriter;

use crate::cell::Cell;
use crate::changes::ColumnChanges;
use crate::encoder::{EncodeError, Encoder};
use crate::format::Format;
use crate::layout::{FileColumn, unique_labels};
use buffer::ColumnBuffer;

/// The size at which the first row groups are written, in bytes as they wait in memory. Readers like groups large (they skip
/// whole groups by their statistics, and every group costs them a request for each column), while each is held in memory twice:
/// as it came and as it is written. At 8 MiB, the size of an upload's part, the second is at most one part more.
///
/// A row is never divided: one with a cell of 64 MiB makes a group of that size.
const GROUP_BYTES: usize = 8 * 1024 * 1024;

/// Groups of one size before the size doubles, up to eight times the first. What the file's last page says of every column of
/// every group waits in memory, a kilobyte or so each; with this it is some megabytes for a file of 100 GB.
const GROUPS_PER_SIZE: u32 = 64;

/// A column's share of a group, at least, for the same reason: a thousand columns would fill 8 MiB with a few rows.
const COLUMN_BYTES: usize = 16 * 1024;

/// The rows at which a row group is written, however small they are: what other writers have as their limit.
const GROUP_ROWS: usize = 1_048_576;

/// Writes rows by column.
#[derive(Debug)]
pub(crate) struct ParquetEncoder {
    columns: Vec<ColumnBuffer>,
    /// The file, from its first row group on. Only then its schema can be known: see [`decimal`].
    file: Option<SerializedFileWriter<Vec<u8>>>,
    /// The column the next cell belongs to.
    at: usize,
    /// Rows ended so far.
    rows: u64,
    /// Row groups written so far.
    groups: u32,
    /// Rows that wait.
    group_rows: usize,
    /// Bytes that they take.
    group_bytes: usize,
    /// The first thing wrong with the row that is being written.
    error: Option<EncodeError>,
}

impl ParquetEncoder {
    /// An encoder for these columns.
    pub(crate) fn new(columns: &[FileColumn]) -> Self {
        let named = columns.iter().zip(unique_labels(columns));
        Self {
            columns: named.map(|(column, name)| ColumnBuffer::new(column, name)).collect(),
            file: None,
            at: 0,
            rows: 0,
            groups: 0,
            group_rows: 0,
            group_bytes: 0,
            error: None,
        }
    }

    /// Writes the rows that wait, if there are any; the file is begun with the first of them, or without any.
    fn write_group(&mut self) -> Result<&mut SerializedFileWriter<Vec<u8>>, ParquetError> {
        let file = match self.file.take() {
            Some(file) => file,
            None => schema::begin_file(&mut self.columns)?,
        };
        let file = self.file.insert(file);
        if self.group_rows > 0 {
            let mut group = file.next_row_group()?;
            for column in &mut self.columns {
                let writer = group.next_column()?;
                column.write(writer.ok_or_else(|| ParquetError::General("a column too many".to_owned()))?)?;
            }
            group.close()?;
            self.groups += 1;
            self.group_rows = 0;
            self.group_bytes = 0;
        }
        Ok(file)
    }

    /// The library's own errors say that it was used wrongly or that a limit of the format was met, such as pages of more than
    /// 2 GiB. Into memory, writing itself cannot fail.
    fn refused(&self, error: &ParquetError) -> EncodeError {
        EncodeError::DoesNotFit {
            format: Format::Parquet.as_str(),
            place: format!("row group up to row {}", self.rows),
            expected: "rows within the limits of the format".to_owned(),
            actual: error.to_string(),
        }
    }
}

impl Encoder for ParquetEncoder {
    fn cell(&mut self, cell: &Cell<'_>) {
        let column = &mut self.columns[self.at];
        let before = column.bytes();
        if let Err(Unfit { expected, actual }) = column.push(cell) {
            let format = Format::Parquet.as_str();
            let row = self.rows + 1;
            self.error.get_or_insert_with(|| EncodeError::cell(format, row, column.name(), expected, actual));
        }
        self.group_bytes += column.bytes() - before;
        self.at += 1;
    }

    /// Every few megabytes this compresses a row group, which takes some tens of milliseconds.
    fn end_row(&mut self) -> Result<(), EncodeError> {
        self.at = 0;
        self.rows += 1;
        self.group_rows += 1;
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        if self.group_bytes >= group_bytes(self.columns.len(), self.groups) || self.group_rows >= GROUP_ROWS {
            // The writer has a buffer of its own, and what stays there could not be taken.
            let written = self.write_group().and_then(|file| Ok(file.flush()?));
            written.map_err(|error| self.refused(&error))?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), EncodeError> {
        let written = self.write_group().and_then(|file| file.finish().map(drop));
        written.map_err(|error| self.refused(&error))
    }

    fn buffered(&self) -> usize {
        self.file.as_ref().map_or(0, |file| file.inner().len())
    }

    /// Gives all there is. The writer counts where it is by itself, so nothing but the bytes goes.
    fn take(&mut self, _: usize) -> Result<Vec<u8>, EncodeError> {
        Ok(self.file.as_mut().map(|file| std::mem::take(file.inner_mut())).unwrap_or_default())
    }

    fn changes(&self) -> Vec<ColumnChanges> {
        self.columns.iter().map(ColumnBuffer::changes).collect()
    }
}

/// The size of the next row group.
fn group_bytes(columns: usize, groups: u32) -> usize {
    (GROUP_BYTES << (groups / GROUPS_PER_SIZE).min(3)).max(columns * COLUMN_BYTES)
}

/// Why a value cannot be in its column.
#[derive(Debug, PartialEq, Eq)]
struct Unfit {
    expected: String,
    actual: String,
}
