//! Reads the Parquet encoder's files back with the library's own reader. Other tests do so with `pyarrow` and `DuckDB`.
#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the message")]

mod decimals;
mod groups;
mod values;

use bytes::Bytes;
use downpipe_format::{
    Cell, Changes, Column, ColumnKind, ColumnOptions, Compression, EncodeError, Format, Layout, Profile,
    RowEncoder, Style, TreatAs,
};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Field;

pub(crate) const INTEGER: ColumnKind = ColumnKind::Integer { bits: 64, unsigned: false, zerofill: 0 };

pub(crate) fn column(name: &str, kind: ColumnKind) -> Column {
    Column { name: name.to_owned(), kind }
}

pub(crate) fn text(text: &str) -> Cell<'_> {
    Cell::Text(text.as_bytes())
}

pub(crate) fn layout(name: &str, treat_as: TreatAs) -> Layout {
    let options = ColumnOptions { treat_as: Some(treat_as), ..ColumnOptions::default() };
    Layout::new([(name.to_owned(), options)].into())
}

/// A file that was taken in pieces while it was written.
pub(crate) struct Written {
    pub(crate) file: SerializedFileReader<Bytes>,
    pub(crate) pieces: usize,
    pub(crate) changes: Changes,
}

pub(crate) fn write<'a>(
    layout: &Layout,
    columns: &[Column],
    rows: impl IntoIterator<Item = Vec<Cell<'a>>>,
) -> Result<Written, EncodeError> {
    let style = Style::new(Profile::PLAIN, Format::Parquet, Compression::None).unwrap();
    let mut encoder = RowEncoder::start(style, layout, columns)?;
    let mut pieces = Vec::new();
    for row in rows {
        row.into_iter().for_each(|cell| encoder.cell(cell));
        encoder.end_row()?;
        if encoder.file().buffered() > 0 {
            pieces.push(encoder.file().take(1)?);
            assert_eq!(encoder.file().buffered(), 0);
        }
    }
    let changes = encoder.changes();
    let mut file = encoder.into_file().encoder;
    file.finish()?;
    pieces.push(file.take(usize::MAX)?);
    assert_eq!(file.take(usize::MAX)?, b"");
    let file = SerializedFileReader::new(Bytes::from(pieces.concat())).unwrap();
    Ok(Written { file, pieces: pieces.len(), changes })
}

impl Written {
    /// Returns the schema, with a line for each column.
    pub(crate) fn schema(&self) -> String {
        let mut out = Vec::new();
        parquet::schema::printer::print_schema(&mut out, self.file.metadata().file_metadata().schema());
        String::from_utf8(out).unwrap()
    }

    /// Returns the rows, with a line for each.
    pub(crate) fn rows(&self) -> String {
        let rows = self.file.get_row_iter(None).unwrap();
        rows.map(|row| row.unwrap().to_string() + "\n").collect()
    }

    /// Returns the fields of the first column.
    pub(crate) fn column(&self) -> Vec<Field> {
        let rows = self.file.get_row_iter(None).unwrap();
        rows.map(|row| row.unwrap().get_column_iter().next().unwrap().1.clone()).collect()
    }

    pub(crate) fn groups(&self) -> Vec<i64> {
        self.file.metadata().row_groups().iter().map(|group| group.num_rows()).collect()
    }
}
