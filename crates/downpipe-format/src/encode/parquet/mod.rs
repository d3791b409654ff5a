//! The Parquet encoder. <https://parquet.apache.org/docs/file-format/>
//!
//! A Parquet file holds its rows by column, in row groups, and ends with a table of what is where. So rows wait in memory until
//! there is a group of them, and only the run that wrote all of a file can finish it. Every column may be null: MySQL describes
//! most results so, and it costs next to nothing where no value is.
//!
//! The library is used without Arrow, to keep the Lambda package small. Cells wait as the bytes and numbers that its column
//! writers take.

mod buffer;
mod date;
mod decimal;
mod group;
mod schema;
mod slab;
mod unscaled;
mod unsupported_value;

use parquet::errors::ParquetError;
use parquet::file::writer::SerializedFileWriter;

use self::buffer::ColumnBuffer;
use self::group::{GROUP_ROWS, group_bytes};
use self::unsupported_value::UnsupportedValue;
use crate::encode::encoder::{EncodeError, Encoder};
use crate::model::{Cell, ColumnChanges, FileColumn, Format, unique_labels};

/// Writes rows by column.
#[derive(Debug)]
pub(crate) struct ParquetEncoder {
    columns: Vec<ColumnBuffer>,
    /// The file, from its first row group on. Its schema is not known before: see [`decimal`].
    file: Option<SerializedFileWriter<Vec<u8>>>,
    /// The column the next cell belongs to.
    at: usize,
    /// Rows ended so far.
    rows: u64,
    /// Row groups written so far.
    groups: u32,
    /// Rows that wait.
    group_rows: usize,
    /// Bytes of the rows that wait.
    group_bytes: usize,
    /// The first thing wrong with the row that is being written.
    error: Option<EncodeError>,
}

impl ParquetEncoder {
    /// Creates an encoder for these columns.
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

    /// Writes the rows that wait, if there are any. Begins the file before the first of them.
    fn write_group(&mut self) -> Result<&mut SerializedFileWriter<Vec<u8>>, ParquetError> {
        let file = match self.file.take() {
            Some(file) => file,
            None => schema::begin_file(self.columns.iter_mut().map(ColumnBuffer::resolve))?,
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

    /// Turns an error of the library into ours. It means wrong use, or a limit of the format such as pages of 2 GiB: writing into
    /// memory cannot fail.
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
        if let Err(UnsupportedValue { expected, actual }) = column.push(cell) {
            let format = Format::Parquet.as_str();
            let row = self.rows + 1;
            self.error.get_or_insert_with(|| EncodeError::cell(format, row, column.name(), expected, actual));
        }
        self.group_bytes += column.bytes() - before;
        self.at += 1;
    }

    /// Ends the row. Every few megabytes this compresses a row group, which takes some tens of milliseconds.
    fn end_row(&mut self) -> Result<(), EncodeError> {
        self.at = 0;
        self.rows += 1;
        self.group_rows += 1;
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        if self.group_bytes >= group_bytes(self.columns.len(), self.groups) || self.group_rows >= GROUP_ROWS {
            // Bytes that stay in the writer's own buffer could not be taken.
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

    /// Takes all bytes. The writer counts its own position, so they can go.
    fn take(&mut self, _: usize) -> Result<Vec<u8>, EncodeError> {
        Ok(self.file.as_mut().map(|file| std::mem::take(file.inner_mut())).unwrap_or_default())
    }

    fn changes(&self) -> Vec<ColumnChanges> {
        self.columns.iter().map(ColumnBuffer::changes).collect()
    }
}
