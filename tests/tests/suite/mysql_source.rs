//! Tests failures of the row source: no query is left running, and each error has its own variant.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use downpipe_aws::DatabaseLogin;
use downpipe_core::job::{JobAttempt, JobId};
use downpipe_core::login::{Credential, Freshness, Login, LoginError, LoginSource};
use downpipe_core::source::{CancellationToken, Query, RowSource as _, SinkError, SourceError};
use downpipe_mysql::{Database, MySqlSource, kill_queries};
use downpipe_tests::database::{Server, TestDatabase, account, root_certificates, url_of};
use downpipe_tests::export::try_export;
use downpipe_tests::rows::{CountingSink, CsvSink, csv, query, query_within, read};
use downpipe_tests::{eventually, unique};
use sqlx::AssertSqlSafe;

/// Returns a query that computes for minutes, sends nothing, and is identified by its mark.
fn endless(mark: &str) -> String {
    format!(
        "SELECT COUNT(*), '{mark}' FROM information_schema.collations a, information_schema.collations b, \
         information_schema.collations c, information_schema.collations d WHERE SHA2(CONCAT(a.id, b.id, c.id, d.id), 256) = ''"
    )
}

#[tokio::test]
async fn query_past_its_deadline_times_out_and_is_killed() {
    let database = TestDatabase::create().await;
    let mark = unique("deadline");
    let error = read(&database, &query_within(&endless(&mark), Duration::from_secs(1))).await.unwrap_err();
    assert!(matches!(error, SourceError::TimedOut), "{error:?}");
    eventually("the query is gone", async || database.running(&mark).await.is_empty().then_some(())).await;
}

#[tokio::test]
async fn query_cancelled_while_it_computes_is_killed() {
    let database = TestDatabase::create().await;
    let mark = unique("stopped");
    let cancellation = CancellationToken::new();
    let query = Query { cancellation: cancellation.clone(), ..query(&endless(&mark)) };
    let stopping = async {
        eventually("the query runs", async || database.running(&mark).await.first().copied()).await;
        cancellation.cancel();
    };
    let (result, ()) = tokio::join!(read(&database, &query), stopping);
    let error = result.unwrap_err();
    assert!(matches!(error, SourceError::Stopped), "{error:?}");
    eventually("the query is gone", async || database.running(&mark).await.is_empty().then_some(())).await;
}

/// A fast server always has bytes to read. The only thread must still notice the cancellation.
#[tokio::test]
async fn query_cancelled_while_rows_arrive_stops() {
    let database = TestDatabase::create().await;
    let cancellation = CancellationToken::new();
    let sql = "WITH RECURSIVE n AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM n WHERE a < 1000) \
               SELECT x.a FROM n x, n y, n z";
    let query = Query { cancellation: cancellation.clone(), ..query(sql) };
    let mut sink = CountingSink::default();
    let (source, count) = (MySqlSource::new(database.database()), Arc::clone(&sink.rows));
    let stopping = async {
        eventually("rows come", async || (count.load(Ordering::Relaxed) > 0).then_some(())).await;
        cancellation.cancel();
    };
    let (result, ()) = tokio::join!(source.read(&query, &mut sink), stopping);
    let error = result.unwrap_err();
    assert!(matches!(error, SourceError::Stopped), "{error:?}");
}

#[tokio::test]
async fn misfitting_definition_is_refused_before_the_query_runs() {
    let database = TestDatabase::create().await;
    let slow = "SELECT SLEEP(60) AS total";
    let export = try_export(&database, slow, "[columns.totl]\nhide = true");
    let error = tokio::time::timeout(Duration::from_secs(20), export).await.unwrap().unwrap_err();
    let expected = "columns.totl: the query returns no such column; it returns total";
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn query_whose_row_is_refused_is_killed() {
    let database = TestDatabase::create().await;
    let mark = unique("refused");
    let sql = format!(
        "WITH RECURSIVE n AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM n WHERE a < 1000) \
         SELECT x.a, '{mark}' FROM n x, n y, n z"
    );
    let source = MySqlSource::new(database.database());
    let error = source.read(&query(&sql), &mut CsvSink::refusing_after(100)).await.unwrap_err();
    assert!(matches!(error, SourceError::Sink(SinkError::Limit { most: 100, .. })), "{error:?}");
    eventually("the query is gone", async || database.running(&mark).await.is_empty().then_some(())).await;
}

#[tokio::test]
async fn killed_query_and_killed_connection_give_different_errors() {
    let database = TestDatabase::create().await;
    for kind in ["QUERY", "CONNECTION"] {
        let mark = unique("killed");
        let sql = query(&endless(&mark));
        let read = read(&database, &sql);
        let kill = async {
            let id =
                eventually("the query runs", async || database.running(&mark).await.first().copied()).await;
            database.execute(&format!("KILL {kind} {id}")).await;
        };
        let (result, ()) = tokio::join!(read, kill);
        let error = result.unwrap_err();
        match kind {
            "QUERY" => assert!(matches!(error, SourceError::Killed), "{error:?}"),
            _ => assert!(matches!(error, SourceError::Disconnected(_)), "{error:?}"),
        }
    }
}

#[tokio::test]
async fn query_error_has_its_number() {
    let database = TestDatabase::create().await;
    for (sql, expected) in
        [("SELECT * FROM nowhere", 1146), ("SELECT oops FROM DUAL", 1054), ("SELECT FROM", 1064)]
    {
        match read(&database, &query(sql)).await.unwrap_err() {
            SourceError::QueryFailed { code, .. } => assert_eq!(code, expected, "{sql}"),
            error => panic!("{sql}: {error:?}"),
        }
    }
}

/// Leaves a query running like a killed worker: its client disconnects without notice.
async fn abandon(database: &TestDatabase, query: Query, mark: &str) {
    let source = MySqlSource::new(database.database());
    let worker = tokio::spawn(async move { source.read(&query, &mut CsvSink::new()).await });
    eventually("the query runs", async || database.running(mark).await.first().copied()).await;
    worker.abort();
    assert!(worker.await.unwrap_err().is_cancelled());
    assert_eq!(database.running(mark).await.len(), 1, "the server has not noticed");
}

fn of_attempt(query: Query, job: &JobId, attempt: u32) -> Query {
    Query { token: Some(JobAttempt { job: job.clone(), attempt }), ..query }
}

fn some_job() -> JobId {
    JobId::of_unreadable(&unique("job"), "")
}

/// Leaves queries of two jobs running, and starts another attempt at the first job.
async fn later_attempts_kill(database: &TestDatabase, endless: fn(&str) -> String) {
    let (job, mark) = (some_job(), unique("abandoned"));
    let (others, kept) = (some_job(), unique("kept"));
    // The server's time limit is longer than the test waits, so it does not end the query.
    let lasting = |mark: &str| query_within(&endless(mark), Duration::from_secs(600));
    // The mark has a character of four bytes, which not every process list can hold.
    abandon(database, of_attempt(lasting(&format!("{mark} 🚀")), &job, 1), &mark).await;
    abandon(database, of_attempt(lasting(&kept), &others, 2), &kept).await;
    let next = of_attempt(query("SELECT 1 AS a"), &job, 2);
    assert_eq!(read(database, &next).await.unwrap().0, "a\n1\n");
    // Counts connections, because a query that is being killed changes its state at once.
    let open = async |expected: usize| (database.opened_by().await.len() == expected).then_some(());
    eventually("the query is gone, and its connection", async || open(1).await).await;
    assert_eq!(database.running(&kept).await.len(), 1, "another job's query is not ours to kill");

    let next = of_attempt(query("SELECT 1 AS a"), &others, 2);
    read(database, &next).await.unwrap();
    assert_eq!(database.running(&kept).await.len(), 1, "nor is that of the same attempt, or a later one");
    assert_eq!(kill_queries(&database.database(), &others).await.unwrap(), 1);
    assert_eq!(kill_queries(&database.database(), &others).await.unwrap(), 0, "once is enough");
    eventually("nothing is left", async || open(0).await).await;
}

#[tokio::test]
async fn query_of_a_dead_worker_is_killed_by_the_next_attempt() {
    later_attempts_kill(&TestDatabase::create().await, endless).await;
}

#[tokio::test]
async fn query_of_a_dead_worker_is_killed_by_the_next_attempt_on_mariadb() {
    later_attempts_kill(&TestDatabase::create_on(Server::MariaDb).await, super::mariadb::endless).await;
}

/// MySQL lets a user see and kill its own threads without a privilege.
#[tokio::test]
async fn user_without_privileges_kills_its_own_orphaned_query() {
    for server in [Server::MySql, Server::MariaDb] {
        let database = TestDatabase::create_on(server).await;
        let user = unique("u").replace('-', "");
        database.execute(&format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'p'")).await;
        let address = url_of(server).rsplit('@').next().unwrap();
        let limited = || Database::<DatabaseLogin>::at_url(&format!("mysql://{user}:p@{address}")).unwrap();
        let (job, mark) = (some_job(), unique("limited"));
        let abandoned = of_attempt(
            query_within(&format!("SELECT SLEEP(300), '{mark}'"), Duration::from_secs(600)),
            &job,
            1,
        );
        let source = MySqlSource::new(limited());
        let worker = tokio::spawn(async move { source.read(&abandoned, &mut CsvSink::new()).await });
        eventually("the query runs", async || database.running(&mark).await.first().copied()).await;
        worker.abort();
        assert_eq!(kill_queries(&limited(), &job).await.unwrap(), 1);
        eventually("the query is gone", async || database.running(&mark).await.is_empty().then_some(()))
            .await;
        database.execute(&format!("DROP USER '{user}'@'%'")).await;
    }
}

/// An error in the middle of a result must not look like its end.
#[tokio::test]
async fn query_that_fails_after_many_rows_is_an_error() {
    let database = TestDatabase::create().await;
    database.execute("CREATE TABLE t (id INT PRIMARY KEY, v BIGINT UNSIGNED)").await;
    database
        .execute(
            "SET cte_max_recursion_depth = 100000; INSERT INTO t WITH RECURSIVE n AS \
             (SELECT 1 AS a UNION ALL SELECT a + 1 FROM n WHERE a < 50000) SELECT a, IF(a = 49999, 0, 1) FROM n",
        )
        .await;
    let error = read(&database, &query("SELECT id, v - 1 FROM t ORDER BY id")).await.unwrap_err();
    assert!(matches!(error, SourceError::QueryFailed { code: 1690, .. }), "{error:?}");
}

#[tokio::test]
async fn session_of_an_export_has_its_settings() {
    let database = TestDatabase::create().await;
    let text = csv(
        &database,
        "SELECT @@session.net_write_timeout, @@session.max_execution_time BETWEEN 1 AND 60000, @@session.time_zone, \
         @@session.transaction_isolation, @@session.transaction_read_only, @@character_set_results, \
         @@sql_mode = @@global.sql_mode",
    )
    .await;
    assert_eq!(text.lines().last().unwrap(), "1800,1,+00:00,REPEATABLE-READ,1,utf8mb4,1");
}

/// A stored function cannot write in this session. Neither can a procedure that first ends the
/// read-only transaction.
#[tokio::test]
async fn statement_that_calls_a_writing_routine_is_refused() {
    let database = TestDatabase::create().await;
    database
        .execute(
            "CREATE TABLE t (id INT); SET GLOBAL log_bin_trust_function_creators = 1; \
             CREATE FUNCTION f() RETURNS INT MODIFIES SQL DATA BEGIN INSERT INTO t VALUES (1); RETURN 1; END; \
             CREATE PROCEDURE p() BEGIN COMMIT; INSERT INTO t VALUES (1); END",
        )
        .await;
    for sql in ["SELECT f()", "CALL p()"] {
        match read(&database, &query(sql)).await.unwrap_err() {
            SourceError::QueryFailed { code: 1792, .. } => assert_eq!(sql, "SELECT f()"),
            // The statement is not started.
            SourceError::NoColumns => assert_eq!(sql, "CALL p()"),
            error => panic!("{sql}: {error:?}"),
        }
    }
    assert!(database.query("SELECT * FROM t").await.is_empty());
}

#[tokio::test]
async fn unreachable_server_is_a_transient_error() {
    let database = Database::<Rotating>::at_url("mysql://u:p@127.0.0.1:1/x").unwrap();
    let error = MySqlSource::new(database).read(&query("SELECT 1"), &mut CsvSink::new()).await.unwrap_err();
    assert!(matches!(error, SourceError::Disconnected(_)), "{error:?}");
}

/// A login whose secret was rotated after the first fetch.
#[derive(Debug)]
struct Rotating {
    user: String,
    right: Freshness,
}

impl LoginSource for Rotating {
    async fn login(&self, freshness: Freshness) -> Result<Login, LoginError> {
        let password = if freshness == self.right { "new" } else { "old" };
        Ok(Login { account: account(&self.user), credential: Credential::Password(password.to_owned()) })
    }
}

#[tokio::test]
async fn refused_password_is_refetched_once() {
    let database = TestDatabase::create().await;
    let user = unique("u").replace('-', "");
    database.execute(&format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'new'")).await;
    let rotated = Rotating { user: user.clone(), right: Freshness::Refetched };
    let mut sink = CsvSink::new();
    let source = MySqlSource::new(Database::with_login(rotated, root_certificates()));
    source.read(&query("SELECT CURRENT_USER() LIKE 'u%' AS me"), &mut sink).await.unwrap();
    assert_eq!(sink.text(), "me\n1\n");

    database.execute(&format!("ALTER USER '{user}'@'%' IDENTIFIED BY 'another'")).await;
    let wrong = Rotating { user: user.clone(), right: Freshness::Refetched };
    let error = MySqlSource::new(Database::with_login(wrong, root_certificates()))
        .read(&query("SELECT 1"), &mut CsvSink::new())
        .await
        .unwrap_err();
    assert!(matches!(error, SourceError::LoginRefused(_)), "{error:?}");
    let mut connection = database.connect().await;
    sqlx::raw_sql(AssertSqlSafe(format!("DROP USER '{user}'@'%'"))).execute(&mut connection).await.unwrap();
}
