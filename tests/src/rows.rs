//! A query read through the real row source, seen as CSV.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use downpipe_core::catalog::{Catalog, DefinitionFile};
use downpipe_core::job::JobId;
use downpipe_core::message::{ExportMessage, OPERATOR, RawParam};
use downpipe_core::request::ExportRequest;
use downpipe_core::source::{
    EndOfResult, Query, RowSink, RowSource as _, SinkError, SinkState, SourceError, Wanted,
};
use downpipe_core::sql::SqlPiece;
use downpipe_core::store::WriteToken;
use downpipe_format::{Cell, Column, Compression, Format, Layout, Profile, RowEncoder, Style};
use downpipe_mysql::MySqlSource;
use tokio::time::Instant;

use crate::database::TestDatabase;
use crate::unique;

/// Keeps everything in memory, as plain CSV.
#[derive(Debug, Default)]
pub struct CsvSink {
    rows: Option<RowEncoder>,
    refuse_after: Option<u64>,
}

impl CsvSink {
    /// A sink that takes everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// A sink that refuses the row after these.
    pub fn refusing_after(rows: u64) -> Self {
        Self { refuse_after: Some(rows), ..Self::new() }
    }

    /// What came.
    pub fn text(&mut self) -> String {
        String::from_utf8(self.rows().file().take(usize::MAX).unwrap()).unwrap()
    }

    fn rows(&mut self) -> &mut RowEncoder {
        self.rows.as_mut().expect("the source has said what the columns are")
    }
}

impl RowSink for CsvSink {
    fn accept(&self, _: &[Column]) -> Result<(), SinkError> {
        Ok(())
    }

    fn start(&mut self, columns: &[Column], _: jiff::Timestamp) -> Result<Wanted, SinkError> {
        let style = Style::new(Profile::PLAIN, Format::Csv, Compression::None).unwrap();
        let rows = self.rows.insert(RowEncoder::start(style, &Layout::default(), columns)?);
        Ok(Wanted { cells: rows.sources(), key: None })
    }

    fn cell(&mut self, cell: Cell<'_>) {
        self.rows().cell(cell);
    }

    fn key(&mut self, _: Cell<'_>) -> Result<(), SinkError> {
        Ok(())
    }

    fn end_row(&mut self) -> Result<SinkState, SinkError> {
        let rows = self.rows();
        rows.end_row()?;
        let rows = rows.rows();
        match self.refuse_after {
            Some(most) if rows > most => Err(SinkError::Limit { what: "rows", most }),
            _ => Ok(SinkState::Ready),
        }
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// Counts rows, and throws them away.
#[derive(Debug, Default)]
pub struct CountingSink {
    /// As many as have come.
    pub rows: Arc<AtomicU64>,
}

impl RowSink for CountingSink {
    fn accept(&self, _: &[Column]) -> Result<(), SinkError> {
        Ok(())
    }

    fn start(&mut self, _: &[Column], _: jiff::Timestamp) -> Result<Wanted, SinkError> {
        Ok(Wanted { cells: vec![0], key: None })
    }

    fn cell(&mut self, _: Cell<'_>) {}

    fn key(&mut self, _: Cell<'_>) -> Result<(), SinkError> {
        Ok(())
    }

    fn end_row(&mut self) -> Result<SinkState, SinkError> {
        self.rows.fetch_add(1, Ordering::Relaxed);
        Ok(SinkState::Ready)
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// A query without parameters, with a minute to run.
pub fn query(sql: &str) -> Query {
    query_within(sql, Duration::from_secs(60))
}

/// A query without parameters, with this time to run.
pub fn query_within(sql: &str, time: Duration) -> Query {
    for_some_job(Query::new(vec![SqlPiece::Text(sql.to_owned())], Instant::now() + time))
}

/// A query with the parameters of a definition.
pub fn query_of(definition: &str, params: &[(&str, &str)]) -> Query {
    let catalog = catalog(definition);
    let params: BTreeMap<String, RawParam> = params
        .iter()
        .map(|(name, value)| ((*name).to_owned(), RawParam::Text((*value).to_owned())))
        .collect();
    let message = ExportMessage { params, ..message("test") };
    let request = ExportRequest::accept(&message, &catalog).unwrap();
    for_some_job(Query::new(request.sql(None), Instant::now() + Duration::from_secs(60)))
}

/// Queries say whose they are, as those of exports do.
fn for_some_job(query: Query) -> Query {
    let job = JobId::of_unreadable(&unique("job"), "");
    Query { token: Some(WriteToken { job, attempt: 1 }), ..query }
}

/// A catalog of one definition, named `test`.
pub fn catalog(definition: &str) -> Catalog {
    Catalog::parse(&[DefinitionFile { file: "test.toml".to_owned(), text: definition.to_owned() }]).unwrap()
}

/// A message from the operator, without anything else.
pub fn message(export: &str) -> ExportMessage {
    ExportMessage {
        export: export.to_owned(),
        params: BTreeMap::new(),
        requested_by: OPERATOR.to_owned(),
        request_id: None,
        profile: None,
        format: None,
        compression: None,
    }
}

/// Reads a query to its end.
pub async fn read(database: &TestDatabase, query: &Query) -> Result<(String, EndOfResult), SourceError> {
    let mut sink = CsvSink::new();
    let end = MySqlSource::new(database.database()).read(query, &mut sink).await?;
    Ok((sink.text(), end))
}

/// The CSV of a query that must work.
pub async fn csv(database: &TestDatabase, sql: &str) -> String {
    read(database, &query(sql)).await.unwrap().0
}
