//! A row source over a table in memory, which can be cut off after any number of rows.

use std::sync::Mutex;

use downpipe_core::catalog::{SqlPiece, Value};
use downpipe_core::source::{EndOfResult, Query, RowSink, RowSource, SinkState, SourceError};
use downpipe_core::testing::{OwnedCell, ScriptedSource};
use downpipe_format::{Column, ColumnKind};

/// A table with ascending ids. A read returns the rows after a key, until its time is up.
pub(crate) struct Table {
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Vec<OwnedCell>>,
    /// The number of rows that one run has time for.
    pub(crate) rows_a_run: usize,
    /// The keys after which a read began.
    read_after: Mutex<Vec<i64>>,
}

impl Table {
    /// Creates so many rows of so many bytes, which do not compress well.
    pub(crate) fn new(rows: i64, row_bytes: usize) -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut memo = || {
            let letter = |_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                char::from(b'a' + u8::try_from(state % 26).unwrap())
            };
            (0..row_bytes).map(letter).collect::<String>()
        };
        let integer = ColumnKind::Integer { bits: 64, unsigned: false, zerofill: 0 };
        Self {
            columns: vec![column("id", integer), column("memo", ColumnKind::Text)],
            rows: (1..=rows).map(|id| vec![OwnedCell::Int(id * 3), memo().as_str().into()]).collect(),
            rows_a_run: usize::MAX,
            read_after: Mutex::default(),
        }
    }

    pub(crate) fn read_after(&self) -> Vec<i64> {
        self.read_after.lock().unwrap().clone()
    }
}

impl RowSource for Table {
    async fn read<S: RowSink>(&self, query: &Query, sink: &mut S) -> Result<EndOfResult, SourceError> {
        let after = query.sql.iter().find_map(|piece| match piece {
            SqlPiece::Value(Value::Integer(key)) => Some(*key),
            _ => None,
        });
        let after = after.unwrap();
        self.read_after.lock().unwrap().push(after);
        sink.accept(&self.columns)?;
        let wanted = sink.start(&self.columns, &ScriptedSource::snapshot())?;
        let is_after = |row: &&Vec<OwnedCell>| !matches!(row[0], OwnedCell::Int(id) if id <= after);
        let mut rows = 0;
        for row in self.rows.iter().filter(is_after) {
            if rows == self.rows_a_run {
                return Err(SourceError::TimedOut);
            }
            rows += 1;
            wanted.cells.iter().for_each(|index| sink.cell(row[*index].as_cell()));
            sink.key(row[wanted.key.unwrap()].as_cell())?;
            if sink.end_row()? == SinkState::Full {
                sink.flush().await?;
            }
        }
        Ok(EndOfResult { rows: rows as u64, snapshot: ScriptedSource::snapshot() })
    }
}

fn column(name: &str, kind: ColumnKind) -> Column {
    Column { name: name.to_owned(), kind }
}

/// A source of the same rows for a definition without a resume key.
pub(crate) struct Unkeyed(pub(crate) Table);

impl RowSource for Unkeyed {
    async fn read<S: RowSink>(&self, _: &Query, sink: &mut S) -> Result<EndOfResult, SourceError> {
        let wanted = sink.start(&self.0.columns, &ScriptedSource::snapshot())?;
        for row in &self.0.rows[..self.0.rows_a_run] {
            wanted.cells.iter().for_each(|index| sink.cell(row[*index].as_cell()));
            if let Some(key) = wanted.key {
                sink.key(row[key].as_cell())?;
            }
            if sink.end_row()? == SinkState::Full {
                sink.flush().await?;
            }
        }
        Err(SourceError::TimedOut)
    }
}
