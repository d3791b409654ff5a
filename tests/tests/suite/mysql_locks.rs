//! Tests tables that another session has locked: an export waits until its deadline, and then names
//! the lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use downpipe_aws::DatabaseLogin;
use downpipe_core::job::{JobAttempt, JobId};
use downpipe_core::source::{
    CancellationToken, Query, RowSink, RowSource as _, SinkError, SinkState, Snapshot, SourceError, Wanted,
};
use downpipe_format::{Cell, Column};
use downpipe_mysql::{Database, MySqlSource, kill_queries};
use downpipe_tests::database::{Server, TestDatabase, url_of};
use downpipe_tests::export::export;
use downpipe_tests::rows::{CsvSink, query, query_within, read};
use downpipe_tests::{eventually, unique};
use sqlx::mysql::MySqlConnection;
use sqlx::{Connection as _, Executor as _, Row as _};
use tokio::task::JoinHandle;

/// A table with a waiting ALTER TABLE behind an open transaction. A query on it waits for both.
struct LockedTable {
    holder: MySqlConnection,
    holder_id: u64,
    alter_id: u64,
    alter: JoinHandle<()>,
}

impl LockedTable {
    async fn new(database: &TestDatabase) -> Self {
        database.execute("CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)").await;
        let mut holder = database.connect().await;
        let holder_id = id_of(&mut holder).await;
        holder.execute(sqlx::raw_sql("START TRANSACTION; SELECT * FROM t")).await.unwrap();
        let mut altering = database.connect().await;
        let alter_id = id_of(&mut altering).await;
        let alter = tokio::spawn(async move {
            drop(altering.execute(sqlx::raw_sql("ALTER TABLE t ADD COLUMN a INT")).await);
        });
        let is_waiting = async || (waiting(database, "ALTER TABLE t", 0).await > 0).then_some(());
        eventually("the table is about to be altered", is_waiting).await;
        Self { holder, holder_id, alter_id, alter }
    }

    /// Ends both, and leaves the table unchanged: a snapshot cannot read a table that was altered
    /// after it began.
    async fn release_unchanged(self, database: &TestDatabase) {
        database.execute(&format!("KILL QUERY {}", self.alter_id)).await;
        self.release().await;
    }

    async fn release(self) {
        self.holder.close().await.unwrap();
        self.alter.await.unwrap();
    }
}

async fn id_of(connection: &mut MySqlConnection) -> u64 {
    let row = connection.fetch_one(sqlx::raw_sql("SELECT CONNECTION_ID()")).await.unwrap();
    row.try_get_unchecked(0).unwrap()
}

/// Counts the statements with this text that have waited so many seconds for a lock.
async fn waiting(database: &TestDatabase, text: &str, seconds: i64) -> usize {
    let rows = database.query("SHOW PROCESSLIST").await;
    let is_it = |row: &&sqlx::mysql::MySqlRow| {
        let column = |name| {
            let text: Option<&[u8]> = row.try_get_unchecked(name).unwrap();
            String::from_utf8_lossy(text.unwrap_or_default()).into_owned()
        };
        let time: i64 = row.try_get_unchecked("Time").unwrap();
        column("State") == "Waiting for table metadata lock"
            && column("Info").contains(text)
            && time >= seconds
    };
    rows.iter().filter(is_it).count()
}

/// The wait is twice the timeout for a silent network.
#[tokio::test]
async fn query_behind_a_lock_waits_beyond_the_network_timeout_and_is_read() {
    for server in [Server::MySql, Server::MariaDb] {
        let database = TestDatabase::create_on(server).await;
        let lock = LockedTable::new(&database).await;
        let mark = unique("waiting");
        let waits = query_within(&format!("SELECT id FROM t /* {mark} */"), Duration::from_secs(120));
        let release = async {
            let is_late = async || (waiting(&database, &mark, 22).await > 0).then_some(());
            eventually("the query has waited for 22 s", is_late).await;
            lock.release_unchanged(&database).await;
        };
        let (result, ()) = tokio::join!(read(&database, &waits), release);
        assert_eq!(result.unwrap().0, "id\n1\n");
    }
}

#[tokio::test]
async fn query_timed_out_behind_a_lock_names_the_connection_that_holds_it() {
    let database = TestDatabase::create().await;
    let lock = LockedTable::new(&database).await;
    let mark = unique("late");
    let late = query_within(&format!("SELECT id FROM t /* {mark} */"), Duration::from_secs(1));
    let error = read(&database, &late).await.unwrap_err();
    let SourceError::Locked { detail } = &error else { panic!("{error:?}") };
    let holder = format!("connection {} holds {}.t", lock.holder_id, database.name);
    assert!(detail.contains(&holder), "{detail} does not say that {holder}");
    eventually("the query is gone", async || (waiting(&database, &mark, 0).await == 0).then_some(())).await;
    lock.release().await;
}

#[tokio::test]
async fn query_timed_out_behind_a_lock_without_privileges_names_no_holder() {
    for server in [Server::MySql, Server::MariaDb] {
        let database = TestDatabase::create_on(server).await;
        let lock = LockedTable::new(&database).await;
        let user = unique("u").replace('-', "");
        database
            .execute(&format!(
                "CREATE USER '{user}'@'%' IDENTIFIED BY 'p'; GRANT SELECT ON {}.* TO '{user}'@'%'",
                database.name
            ))
            .await;
        let address = url_of(server).rsplit('@').next().unwrap();
        let limited =
            Database::<DatabaseLogin>::at_url(&format!("mysql://{user}:p@{address}/{}", database.name));
        let late = query_within("SELECT id FROM t", Duration::from_secs(1));
        let error = MySqlSource::new(limited.unwrap()).read(&late, &mut CsvSink::new()).await.unwrap_err();
        let SourceError::Locked { detail } = &error else { panic!("{error:?}") };
        assert!(detail.starts_with("which one cannot be seen"), "{detail}");
        lock.release().await;
        database.execute(&format!("DROP USER '{user}'@'%'")).await;
    }
}

#[tokio::test]
async fn query_cancelled_behind_a_lock_is_killed() {
    for server in [Server::MySql, Server::MariaDb] {
        let database = TestDatabase::create_on(server).await;
        let lock = LockedTable::new(&database).await;
        let mark = unique("stopped");
        let cancellation = CancellationToken::new();
        let stopped =
            Query { cancellation: cancellation.clone(), ..query(&format!("SELECT id FROM t /* {mark} */")) };
        let count = async || waiting(&database, &mark, 0).await;
        let stopping = async {
            eventually("the query waits", async || (count().await == 1).then_some(())).await;
            cancellation.cancel();
        };
        let (result, ()) = tokio::join!(read(&database, &stopped), stopping);
        let error = result.unwrap_err();
        assert!(matches!(error, SourceError::Stopped), "{error:?}");
        eventually("the query is gone", async || (count().await == 0).then_some(())).await;
        lock.release().await;
    }
}

/// A waiting query of a dead worker is found by its job, like a running one.
#[tokio::test]
async fn query_behind_a_lock_is_killed_by_its_job_id() {
    let database = TestDatabase::create().await;
    let lock = LockedTable::new(&database).await;
    let (job, mark) = (JobId::of_unreadable(&unique("job"), ""), unique("left"));
    let token = Some(JobAttempt { job: job.clone(), attempt: 1 });
    let left = Query { token, ..query(&format!("SELECT id FROM t /* {mark} */")) };
    let source = MySqlSource::new(database.database());
    let worker = tokio::spawn(async move { source.read(&left, &mut CsvSink::new()).await });
    let count = async || waiting(&database, &mark, 0).await;
    eventually("the query waits", async || (count().await == 1).then_some(())).await;
    assert_eq!(kill_queries(&database.database(), &job).await.unwrap(), 1);
    assert!(worker.await.unwrap().is_err());
    assert_eq!(count().await, 0);
    lock.release().await;
}

/// The server gives up shortly after the worker, so that a dead worker leaves no query waiting for
/// a year.
#[tokio::test]
async fn lock_timeout_of_a_session_is_its_query_time() {
    for server in [Server::MySql, Server::MariaDb] {
        let database = TestDatabase::create_on(server).await;
        let sql = "SELECT @@SESSION.lock_wait_timeout BETWEEN 60 AND 62 AS ok";
        assert_eq!(read(&database, &query(sql)).await.unwrap().0, "ok\n1\n");
    }
}

/// On MySQL, the snapshot is older than the altered table, so the query gets a new one. MariaDB adds the column in an instant, and
/// the older snapshot reads it.
#[tokio::test]
async fn export_behind_successful_alter_is_right_in_its_first_attempt() {
    for server in [Server::MySql, Server::MariaDb] {
        let database = TestDatabase::create_on(server).await;
        let lock = LockedTable::new(&database).await;
        let mark = unique("altered");
        let sql = format!("SELECT * FROM t /* {mark} */");
        let altering = async {
            let is_waiting = async || (waiting(&database, &mark, 0).await == 1).then_some(());
            eventually("the query waits", is_waiting).await;
            let altered = jiff::Timestamp::now();
            lock.release().await;
            altered
        };
        let (exported, altered) = tokio::join!(export(&database, &sql, "profile = \"plain\""), altering);
        assert_eq!(String::from_utf8(exported.bytes()).unwrap(), "id,a\n1,\n", "{server:?}");
        assert_eq!(exported.receipt.rows, 1);
        let is_new = exported.receipt.as_of >= altered;
        assert!(is_new || matches!(server, Server::MariaDb), "{} < {altered}", exported.receipt.as_of);
    }
}

/// Alters the table whenever the source has prepared the query, and keeps the rows.
struct AlteringSink {
    database: Arc<TestDatabase>,
    times: AtomicU32,
    rows: CsvSink,
}

impl RowSink for AlteringSink {
    fn accept(&self, _: &[Column]) -> Result<(), SinkError> {
        let left =
            self.times.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |times| times.checked_sub(1));
        let Ok(times) = left else { return Ok(()) };
        let database = Arc::clone(&self.database);
        let sql =
            format!("SET SESSION lock_wait_timeout = 10; ALTER TABLE t ADD COLUMN a{times} INT FIRST, FORCE");
        let altering = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(database.execute(&sql));
        });
        altering.join().unwrap();
        Ok(())
    }

    fn start(&mut self, columns: &[Column], snapshot: &Snapshot) -> Result<Wanted, SinkError> {
        self.rows.start(columns, snapshot)
    }

    fn cell(&mut self, cell: Cell<'_>) {
        self.rows.cell(cell);
    }

    fn key(&mut self, key: Cell<'_>) -> Result<(), SinkError> {
        self.rows.key(key)
    }

    fn end_row(&mut self) -> Result<SinkState, SinkError> {
        self.rows.end_row()
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// Reads a table that is altered so many times, each time after the query was prepared and before it runs.
async fn read_altered(server: Server, rows: &str, times: u32) -> Result<String, SourceError> {
    let database = Arc::new(TestDatabase::create_on(server).await);
    database.execute(&format!("CREATE TABLE t (id INT PRIMARY KEY); {rows}")).await;
    let source = MySqlSource::new(database.database());
    let mut sink = AlteringSink { database, times: AtomicU32::new(times), rows: CsvSink::new() };
    let end = source.read(&query("SELECT * FROM t"), &mut sink).await?;
    assert_eq!(end.rows, u64::from(!rows.is_empty()));
    Ok(sink.rows.text())
}

#[tokio::test]
async fn table_altered_after_prepare_is_read_with_its_new_columns() {
    for server in [Server::MySql, Server::MariaDb] {
        let insert = "INSERT INTO t VALUES (1)";
        assert_eq!(read_altered(server, insert, 1).await.unwrap(), "a1,id\n,1\n", "{server:?}");
        assert_eq!(read_altered(server, insert, 2).await.unwrap(), "a1,a2,id\n,,1\n", "{server:?}");
        assert_eq!(read_altered(server, "", 1).await.unwrap(), "a1,id\n", "{server:?}");
    }
}

#[tokio::test]
async fn table_altered_before_every_read_is_busy() {
    for server in [Server::MySql, Server::MariaDb] {
        let error = read_altered(server, "INSERT INTO t VALUES (1)", 9).await.unwrap_err();
        assert!(matches!(error, SourceError::Busy { code: 1412 }), "{server:?}: {error:?}");
    }
}
