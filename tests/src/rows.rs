//! Reads queries through the real row source, as CSV.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use downpipe_core::catalog::{Catalog, DefinitionFile, SqlPiece};
use downpipe_core::job::{JobAttempt, JobId};
use downpipe_core::message::{ExportMessage, RawParam};
use downpipe_core::request::ExportRequest;
use downpipe_core::requester::Requester;
use downpipe_core::source::{
    EndOfResult, Query, RowSink, RowSource as _, SinkError, SinkState, Snapshot, SourceError, Wanted,
};
use downpipe_format::{Cell, Column, Compression, Format, Layout, Profile, RowEncoder, Style};
use downpipe_mysql::MySqlSource;
use tokio::time::Instant;

use crate::database::TestDatabase;
use crate::unique;

/// A sink that keeps all rows in memory, as plain CSV.
#[derive(Debug, Default)]
pub struct CsvSink {
    rows: Option<RowEncoder>,
    refuse_after: Option<u64>,
}

impl CsvSink {
    /// Creates a sink that takes all rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a sink that refuses the row after these.
    pub fn refusing_after(rows: u64) -> Self {
        Self { refuse_after: Some(rows), ..Self::new() }
    }

    /// Returns the rows so far, as CSV.
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

    fn start(&mut self, columns: &[Column], _: &Snapshot) -> Result<Wanted, SinkError> {
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

/// A sink that counts rows and drops them.
#[derive(Debug, Default)]
pub struct CountingSink {
    /// The number of rows so far.
    pub rows: Arc<AtomicU64>,
}

impl RowSink for CountingSink {
    fn accept(&self, _: &[Column]) -> Result<(), SinkError> {
        Ok(())
    }

    fn start(&mut self, _: &[Column], _: &Snapshot) -> Result<Wanted, SinkError> {
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

/// Builds a query without parameters, with a deadline in a minute.
pub fn query(sql: &str) -> Query {
    query_within(sql, Duration::from_secs(60))
}

/// Builds a query without parameters, with this time to run.
pub fn query_within(sql: &str, time: Duration) -> Query {
    with_random_job(Query::new(vec![SqlPiece::Text(sql.to_owned())], Instant::now() + time))
}

/// Builds a definition's query with these parameters.
pub fn query_of(definition: &str, params: &[(&str, &str)]) -> Query {
    let catalog = catalog(definition);
    let params: BTreeMap<String, RawParam> = params
        .iter()
        .map(|(name, value)| ((*name).to_owned(), RawParam::Text((*value).to_owned())))
        .collect();
    let message = ExportMessage { params, ..message("test") };
    let request = ExportRequest::accept(&message, &catalog).unwrap();
    let query = Query::new(request.sql(None), Instant::now() + Duration::from_secs(60));
    with_random_job(Query { modes: request.definition.sql.modes(), ..query })
}

/// Gives a query a job and an attempt, as queries of exports have.
fn with_random_job(query: Query) -> Query {
    let job = JobId::of_unreadable(&unique("job"), "");
    Query { token: Some(JobAttempt { job, attempt: 1 }), ..query }
}

/// Returns a catalog of one definition, named `test`.
pub fn catalog(definition: &str) -> Catalog {
    Catalog::parse(&[DefinitionFile { file: "test.toml".to_owned(), text: definition.to_owned() }]).unwrap()
}

/// Returns a message from the operator with only an export.
pub fn message(export: &str) -> ExportMessage {
    ExportMessage {
        export: export.to_owned(),
        params: BTreeMap::new(),
        requested_by: Requester::operator(),
        request_id: None,
        profile: None,
        format: None,
        compression: None,
        language: None,
    }
}

/// Reads a query to its end, and returns the CSV.
pub async fn read(database: &TestDatabase, query: &Query) -> Result<(String, EndOfResult), SourceError> {
    let mut sink = CsvSink::new();
    let end = MySqlSource::new(database.database()).read(query, &mut sink).await?;
    Ok((sink.text(), end))
}

/// Shows the first two rows of a CSV, one column a line, so that a change is visible.
pub fn side_by_side(csv: &str) -> String {
    let mut reader = csv::ReaderBuilder::new().from_reader(csv.as_bytes());
    let header = reader.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let line = |(at, name): (usize, &str)| format!("{name}: {:?} {:?}", &rows[0][at], &rows[1][at]);
    header.iter().enumerate().map(line).collect::<Vec<_>>().join("\n")
}

/// Reads a query that must succeed, and returns the CSV.
pub async fn csv(database: &TestDatabase, sql: &str) -> String {
    read(database, &query(sql)).await.unwrap().0
}
