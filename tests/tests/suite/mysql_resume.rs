//! Exports of several runs on real servers: every kind of key that can be gone on after, and what cannot.

use std::time::Duration;

use downpipe_core::checkpoint::Checkpoint;
use downpipe_core::job::JobId;
use downpipe_core::pipeline::{self, ExportError, Exported, Order};
use downpipe_core::request::ExportRequest;
use downpipe_core::resume::KeyError;
use downpipe_core::source::{
    EndOfResult, Query, RowSink, RowSource, SinkError, SinkState, SourceError, Wanted,
};
use downpipe_core::store::WriteToken;
use downpipe_core::testing::{MemoryStore, RecordingProgress};
use downpipe_format::{Cell, Column};
use downpipe_mysql::MySqlSource;
use downpipe_tests::database::{Server, TestDatabase};
use downpipe_tests::rows::{catalog, message};
use tokio::time::Instant;

/// Rows of a megabyte, of which eight make a part.
const ROWS: u32 = 40;
const ROWS_A_RUN: u64 = 17;

/// A source whose time is up after so many rows.
struct Brief<'a, R> {
    source: &'a R,
    rows: u64,
}

struct BriefSink<'a, S> {
    sink: &'a mut S,
    left: u64,
}

impl<R: RowSource> RowSource for Brief<'_, R> {
    async fn read<S: RowSink>(&self, query: &Query, sink: &mut S) -> Result<EndOfResult, SourceError> {
        let mut sink = BriefSink { sink, left: self.rows };
        match self.source.read(query, &mut sink).await {
            Err(SourceError::Sink(SinkError::Limit { what: "rows", .. })) => Err(SourceError::TimedOut),
            read => read,
        }
    }
}

impl<S: RowSink> RowSink for BriefSink<'_, S> {
    fn accept(&self, columns: &[Column]) -> Result<(), SinkError> {
        self.sink.accept(columns)
    }

    fn start(&mut self, columns: &[Column], as_of: jiff::Timestamp) -> Result<Wanted, SinkError> {
        self.sink.start(columns, as_of)
    }

    fn cell(&mut self, cell: Cell<'_>) {
        self.sink.cell(cell);
    }

    fn key(&mut self, key: Cell<'_>) -> Result<(), SinkError> {
        self.left = self.left.checked_sub(1).ok_or(SinkError::Limit { what: "rows", most: ROWS_A_RUN })?;
        self.sink.key(key)
    }

    fn end_row(&mut self) -> Result<SinkState, SinkError> {
        self.sink.end_row()
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        self.sink.flush().await
    }
}

/// The file and the number of runs it took.
async fn export(database: &TestDatabase, definition: &str, rows: u64) -> Result<(Vec<u8>, u32), ExportError> {
    let catalog = catalog(definition);
    let message = message("test");
    let request = ExportRequest::accept(&message, &catalog).unwrap();
    let (store, source) = (MemoryStore::new(), MySqlSource::new(database.database()));
    let mut from: Option<Checkpoint> = None;
    for attempt in 1..20 {
        let token = WriteToken { job: JobId::of_request(&message, "1"), attempt };
        let deadline = Instant::now() + Duration::from_secs(300);
        let order = Order::new(&request, "test/file.csv".to_owned(), token, deadline).go_on(from);
        let brief = Brief { source: &source, rows };
        match pipeline::export(&brief, &store, &RecordingProgress::new(), &order, &request).await {
            Ok(Exported::Complete(_)) => return Ok((store.get("test/file.csv").unwrap(), attempt)),
            Ok(Exported::Paused(checkpoint)) => from = Some(*checkpoint),
            Err(broken) => return Err(broken.error),
        }
    }
    panic!("it does not come to its end")
}

fn definition(start: &str) -> String {
    format!(
        "title = \"Test\"\nsql = \"SELECT k, memo FROM t WHERE k > :after ORDER BY k\"\n\
         [resume]\ncolumn = \"k\"\nstart = {start}"
    )
}

async fn fill(database: &TestDatabase, kind: &str, key: &str) {
    let numbers: Vec<String> = (1..=ROWS).map(|n| format!("SELECT {n} AS n")).collect();
    database
        .execute(&format!(
            "CREATE TABLE t (k {kind} PRIMARY KEY, memo LONGTEXT); \
             INSERT INTO t SELECT {key}, REPEAT(SHA2(n, 256), 16384) FROM ({}) AS numbers",
            numbers.join(" UNION ALL ")
        ))
        .await;
}

async fn goes_on_after(server: Server, kind: &str, key: &str, start: &str) {
    let database = TestDatabase::create_on(server).await;
    fill(&database, kind, key).await;
    let (whole, runs) = export(&database, &definition(start), u64::MAX).await.unwrap();
    assert_eq!(runs, 1);
    assert_eq!(whole.iter().filter(|byte| **byte == b'\n').count(), ROWS as usize + 1, "{kind}");
    let (pieces, runs) = export(&database, &definition(start), ROWS_A_RUN).await.unwrap();
    assert_eq!(runs, 3, "{kind}");
    assert!(pieces == whole, "{kind}: the same file, byte for byte");
}

/// Kinds of keys, what makes one of a number, and what all of them come after.
const KEYS: [(&str, &str, &str); 12] = [
    ("INT", "n * 7 - 100", "-1000"),
    ("BIGINT", "-9223372036854775807 + n", "-9223372036854775808"),
    ("BIGINT UNSIGNED", "18446744073709551575 + n", "0"),
    ("DECIMAL(30,10)", "n / 3 - 5", "\"-1000000\""),
    ("VARCHAR(40) CHARACTER SET utf8mb4", "SUBSTRING(SHA2(n, 224), 1, 40)", "\"\""),
    (
        "CHAR(36) CHARACTER SET ascii COLLATE ascii_bin",
        "INSERT(INSERT(LPAD(HEX(n * 997), 32, 'aB'), 9, 0, '-'), 14, 0, '-')",
        "\"\"",
    ),
    ("VARCHAR(40) COLLATE utf8mb4_bin", "CONCAT('Order-', LPAD(n, 5, '0'))", "\"\""),
    ("BINARY(16)", "UNHEX(SUBSTRING(SHA2(n, 256), 1, 32))", "\"\""),
    ("VARBINARY(8)", "UNHEX(LPAD(HEX(n * 65537), 8, '0'))", "\"\""),
    ("DATE", "DATE '2025-12-20' + INTERVAL n DAY", "\"1000-01-01\""),
    ("DATETIME(6)", "TIMESTAMP '2025-12-31 23:59:59.999990' + INTERVAL n MICROSECOND", "\"1000-01-01\""),
    ("TIMESTAMP(3)", "TIMESTAMP '2025-10-26 00:59:59.990' + INTERVAL n MINUTE", "\"1970-01-02\""),
];

#[tokio::test]
async fn exports_go_on_after_keys_of_every_kind() {
    for (kind, key, start) in KEYS {
        goes_on_after(Server::MySql, kind, key, start).await;
    }
}

#[tokio::test]
async fn on_mariadb_too() {
    for (kind, key, start) in [KEYS[1], KEYS[3], KEYS[6], KEYS[10]] {
        goes_on_after(Server::MariaDb, kind, key, start).await;
    }
}

/// What comes twice would be lost at the seam between two runs.
#[tokio::test]
async fn a_key_that_comes_twice_fails_even_where_one_run_is_enough() {
    let database = TestDatabase::create().await;
    database
        .execute("CREATE TABLE t (k INT, memo TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (2, 'c')")
        .await;
    let error = export(&database, &definition("0"), u64::MAX).await.unwrap_err();
    let ExportError::Source(SourceError::Sink(SinkError::Key { row, reason, .. })) = error else {
        panic!("{error:?}")
    };
    assert_eq!((row, reason), (3, KeyError::NotAscending));
}
