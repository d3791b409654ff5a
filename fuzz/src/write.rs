//! Writes a table to a file in memory.

use downpipe_format::{Changes, Column, EncodeError, RowEncoder, Style};

use crate::table::Table;

/// A file with its changes and its `LOAD DATA` statement.
#[derive(Debug)]
pub struct Written {
    pub bytes: Vec<u8>,
    pub changes: Changes,
    pub load_data: Option<String>,
}

/// Writes the table, and takes bytes from the encoder at intervals.
pub fn write(style: &Style, table: &Table) -> Result<Written, EncodeError> {
    let columns: Vec<Column> = table.columns.iter().map(|c| c.column.clone()).collect();
    let mut encoder = RowEncoder::start(style.clone(), &table.layout(), &columns)?;
    assert_eq!(encoder.sources(), (0..columns.len()).collect::<Vec<_>>());
    assert_eq!(encoder.labels(), table.labels());
    let mut bytes = Vec::new();
    for (at, row) in table.rows.iter().enumerate() {
        for value in row {
            encoder.cell(value.cell());
        }
        encoder.end_row()?;
        if at % table.take_every == 0 {
            bytes.append(&mut encoder.file().take(100)?);
        }
    }
    assert_eq!(encoder.rows(), table.rows.len() as u64);
    assert!(!encoder.has_full());
    let (changes, load_data) = (encoder.changes(), encoder.load_data());
    let mut file = encoder.into_file().encoder;
    file.finish()?;
    while file.buffered() > 0 {
        let piece = file.take(1000)?;
        assert!(!piece.is_empty(), "nothing was taken of {} bytes", file.buffered());
        bytes.extend(piece);
    }
    Ok(Written { bytes, changes, load_data })
}
