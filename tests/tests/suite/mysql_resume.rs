//! Tests exports of several runs on real servers: which types of keys can resume, and which cannot.

use std::time::Duration;

use downpipe_core::export as pipeline;
use downpipe_core::export::{ExportError, ExportOutcome, ExportPlan};
use downpipe_core::job::{Checkpoint, JobAttempt, JobId, KeyError};
use downpipe_core::request::ExportRequest;
use downpipe_core::source::{
    CancellationToken, EndOfResult, Query, RowSink, RowSource, SinkError, SinkState, Snapshot, SourceError,
    Wanted,
};
use downpipe_core::testing::{MemoryStore, RecordingProgress};
use downpipe_format::{Cell, Column};
use downpipe_mysql::MySqlSource;
use downpipe_tests::database::{Server, TestDatabase};
use downpipe_tests::private_server::PrivateServer;
use downpipe_tests::rows::{catalog, message};
use tokio::time::Instant;

/// The number of rows, of a megabyte each. Eight make a part.
const ROWS: u32 = 40;
const ROWS_A_RUN: u64 = 17;

/// A source that times out after so many rows.
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

    fn start(&mut self, columns: &[Column], snapshot: &Snapshot) -> Result<Wanted, SinkError> {
        self.sink.start(columns, snapshot)
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

/// Makes a plan that is never cancelled, from where an earlier run stopped.
fn plan<'a>(request: &'a ExportRequest<'a>, token: JobAttempt, from: Option<Checkpoint>) -> ExportPlan<'a> {
    let deadline = Instant::now() + Duration::from_secs(300);
    ExportPlan::new(request, "test/file.csv".to_owned(), token, deadline, CancellationToken::new())
        .resume(from)
}

/// Exports in as many runs as needed, and returns the file and the number of runs.
async fn export(database: &TestDatabase, definition: &str, rows: u64) -> Result<(Vec<u8>, u32), ExportError> {
    let catalog = catalog(definition);
    let message = message("test");
    let request = ExportRequest::accept(&message, &catalog).unwrap();
    let (store, source) = (MemoryStore::new(), MySqlSource::new(database.database()));
    let mut from: Option<Checkpoint> = None;
    for attempt in 1..20 {
        let token = JobAttempt { job: JobId::of_request(&message, "1"), attempt };
        let plan = plan(&request, token, from);
        let brief = Brief { source: &source, rows };
        match pipeline::export(&brief, &store, &RecordingProgress::new(), &plan).await {
            Ok(ExportOutcome::Completed(_)) => return Ok((store.get("test/file.csv").unwrap(), attempt)),
            Ok(ExportOutcome::Paused(checkpoint)) => from = Some(*checkpoint),
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

async fn assert_resumable_by(server: Server, kind: &str, key: &str, start: &str) {
    let database = TestDatabase::create_on(server).await;
    fill(&database, kind, key).await;
    let (whole, runs) = export(&database, &definition(start), u64::MAX).await.unwrap();
    assert_eq!(runs, 1);
    assert_eq!(whole.iter().filter(|byte| **byte == b'\n').count(), ROWS as usize + 1, "{kind}");
    let (pieces, runs) = export(&database, &definition(start), ROWS_A_RUN).await.unwrap();
    assert_eq!(runs, 3, "{kind}");
    assert!(pieces == whole, "{kind}: the same file, byte for byte");
}

/// Types of keys, an expression that makes a key from a number, and a start before all of them.
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
async fn export_resumed_by_any_type_of_key_is_whole() {
    for (kind, key, start) in KEYS {
        assert_resumable_by(Server::MySql, kind, key, start).await;
    }
}

#[tokio::test]
async fn export_resumed_by_any_type_of_key_is_whole_on_mariadb() {
    for (kind, key, start) in [KEYS[1], KEYS[3], KEYS[6], KEYS[10]] {
        assert_resumable_by(Server::MariaDb, kind, key, start).await;
    }
}

/// `:after` is local time, which the session interprets in the zone.
#[tokio::test]
async fn export_resumed_by_a_timestamp_in_a_zone_is_whole() {
    for server in [Server::MySql, Server::MariaDb] {
        let database = TestDatabase::create_on(server).await;
        fill(&database, "TIMESTAMP(3)", "TIMESTAMP '2025-12-31 14:59:59.990' + INTERVAL n MINUTE").await;
        let in_tokyo = format!("time_zone = \"Asia/Tokyo\"\n{}", definition("\"1970-01-02\""));
        let (whole, _) = export(&database, &in_tokyo, u64::MAX).await.unwrap();
        assert!(whole.starts_with(b"k,memo\n2026-01-01 00:00:59.990,"), "{server:?}");
        let (pieces, runs) = export(&database, &in_tokyo, ROWS_A_RUN).await.unwrap();
        assert_eq!(runs, 3, "{server:?}");
        assert!(pieces == whole, "{server:?}: the same file, byte for byte");
    }
}

/// The second row with the same key would be lost between two runs.
#[tokio::test]
async fn duplicate_resume_key_fails_even_in_one_run() {
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

/// Makes one run of an export into a store.
async fn run(
    database: &TestDatabase,
    store: &MemoryStore,
    attempt: u32,
    from: Option<Checkpoint>,
) -> Result<ExportOutcome, ExportError> {
    let catalog = catalog(&definition("0"));
    let message = message("test");
    let request = ExportRequest::accept(&message, &catalog).unwrap();
    let token = JobAttempt { job: JobId::of_request(&message, "1"), attempt };
    let plan = plan(&request, token, from);
    let source = MySqlSource::new(database.database());
    let brief = Brief { source: &source, rows: ROWS_A_RUN };
    let exported = pipeline::export(&brief, store, &RecordingProgress::new(), &plan).await;
    exported.map_err(|broken| broken.error)
}

async fn checkpoint_of_first_run(database: &TestDatabase, store: &MemoryStore) -> Checkpoint {
    match run(database, store, 1, None).await.unwrap() {
        ExportOutcome::Paused(checkpoint) => *checkpoint,
        ExportOutcome::Completed(_) => panic!("one run was enough"),
    }
}

/// Settings of Downpipe are the same in every run. A setting of the server must not change between
/// runs; otherwise one half of the file has another meaning than the other.
#[tokio::test]
async fn settings_changed_between_two_runs_change_no_row_or_fail_the_export() {
    for kind in [Server::MySql, Server::MariaDb] {
        let server = PrivateServer::start(kind, &[]).await;
        let database = server.create_limited_database().await;
        fill(&database, "INT", "n").await;
        let (whole, _) = export(&database, &definition("0"), u64::MAX).await.unwrap();

        let store = MemoryStore::new();
        let mut from = Some(checkpoint_of_first_run(&database, &store).await);
        server.execute("SET GLOBAL sql_select_limit = 3").await;
        server.execute("SET GLOBAL init_connect = 'SET SESSION sql_select_limit = 2'").await;
        let mut attempt = 1;
        let receipt = loop {
            attempt += 1;
            match run(&database, &store, attempt, from.take()).await.unwrap() {
                ExportOutcome::Paused(checkpoint) => from = Some(*checkpoint),
                ExportOutcome::Completed(receipt) => break receipt,
            }
        };
        assert_eq!((receipt.rows, receipt.continued), (u64::from(ROWS), true), "{kind:?}");
        assert!(store.get("test/file.csv").unwrap() == whole, "{kind:?}: the same file, byte for byte");

        let store = MemoryStore::new();
        let first = checkpoint_of_first_run(&database, &store).await;
        server.execute("SET GLOBAL div_precision_increment = 9").await;
        match run(&database, &store, 2, Some(first)).await.unwrap_err() {
            ExportError::Source(SourceError::Sink(SinkError::SessionChanged(changed))) => {
                assert_eq!(
                    (changed.variable.as_str(), changed.actual.as_str()),
                    ("div_precision_increment", "9")
                );
            }
            error => panic!("{kind:?}: {error:?}"),
        }
    }
}
