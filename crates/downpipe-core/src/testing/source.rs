//! A source with the rows of the test.

use std::fmt;
use std::sync::Mutex;

use downpipe_format::{Cell, Column, Date, Time};

use super::lock;
use crate::source::{EndOfResult, Query, RowSink, RowSource, SinkState, Snapshot, SourceError};

/// A [`Cell`] that owns its bytes.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each is the cell of the same name")]
pub enum OwnedCell {
    Null,
    Int(i64),
    UInt(u64),
    Float(f32),
    Double(f64),
    Decimal(String),
    Text(String),
    Bytes(Vec<u8>),
    Date(Date),
    DateTime(Date, Time),
    Time(Time),
}

impl OwnedCell {
    /// Returns the cell as an encoder takes it.
    #[must_use]
    pub fn as_cell(&self) -> Cell<'_> {
        match self {
            Self::Null => Cell::Null,
            Self::Int(value) => Cell::Int(*value),
            Self::UInt(value) => Cell::UInt(*value),
            Self::Float(value) => Cell::Float(*value),
            Self::Double(value) => Cell::Double(*value),
            Self::Decimal(digits) => Cell::Decimal(digits.as_bytes()),
            Self::Text(text) => Cell::Text(text.as_bytes()),
            Self::Bytes(bytes) => Cell::Bytes(bytes),
            Self::Date(date) => Cell::Date(*date),
            Self::DateTime(date, time) => Cell::DateTime(*date, *time),
            Self::Time(time) => Cell::Time(*time),
        }
    }
}

impl From<&str> for OwnedCell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i64> for OwnedCell {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

/// Gives the rows it was made with, and ends in the way it was told.
pub struct ScriptedSource {
    columns: Vec<Column>,
    rows: Vec<Vec<OwnedCell>>,
    counted: Option<u64>,
    failure: Option<Failure>,
    queries: Mutex<Vec<Query>>,
}

struct Failure {
    after: usize,
    error: Box<dyn Fn() -> SourceError + Send + Sync>,
}

impl ScriptedSource {
    /// The moment of every result.
    pub const AS_OF: jiff::Timestamp = jiff::Timestamp::constant(1_767_323_045, 0);

    /// Returns the snapshot of every result.
    #[must_use]
    pub fn snapshot() -> Snapshot {
        let session = [("sql_mode".to_owned(), "STRICT_TRANS_TABLES".to_owned())].into_iter().collect();
        Snapshot { as_of: Self::AS_OF, session }
    }

    /// A source that gives these rows and completes the result.
    #[must_use]
    pub fn new(columns: Vec<Column>, rows: Vec<Vec<OwnedCell>>) -> Self {
        Self { columns, rows, counted: None, failure: None, queries: Mutex::default() }
    }

    /// Ends with an error instead of row `after` (from 0), or after the last row if there are fewer.
    #[must_use]
    pub fn failing_after(
        mut self,
        after: usize,
        error: impl Fn() -> SourceError + Send + Sync + 'static,
    ) -> Self {
        self.failure = Some(Failure { after, error: Box::new(error) });
        self
    }

    /// Claims that the server counted this many rows.
    #[must_use]
    pub fn claiming(mut self, rows: u64) -> Self {
        self.counted = Some(rows);
        self
    }

    /// Returns the queries that were read, in order.
    #[must_use]
    pub fn queries(&self) -> Vec<Query> {
        lock(&self.queries).clone()
    }
}

impl fmt::Debug for ScriptedSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedSource").field("rows", &self.rows.len()).finish_non_exhaustive()
    }
}

impl RowSource for ScriptedSource {
    async fn read<S: RowSink>(&self, query: &Query, sink: &mut S) -> Result<EndOfResult, SourceError> {
        lock(&self.queries).push(query.clone());
        sink.accept(&self.columns)?;
        let wanted = sink.start(&self.columns, &Self::snapshot())?;
        let given =
            self.failure.as_ref().map_or(self.rows.len(), |failure| failure.after.min(self.rows.len()));
        for row in &self.rows[..given] {
            wanted.cells.iter().for_each(|index| sink.cell(row[*index].as_cell()));
            if let Some(key) = wanted.key {
                sink.key(row[key].as_cell())?;
            }
            if sink.end_row()? == SinkState::Full {
                sink.flush().await?;
            }
        }
        match &self.failure {
            Some(failure) => Err((failure.error)()),
            None => Ok(EndOfResult {
                rows: self.counted.unwrap_or(self.rows.len() as u64),
                snapshot: Self::snapshot(),
            }),
        }
    }
}
