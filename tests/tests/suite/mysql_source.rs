//! The row source among failures: no query is left running, and every error is told apart.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use downpipe_aws::DatabaseLogin;
use downpipe_core::job::JobId;
use downpipe_core::login::{Credential, Freshness, Login, LoginError, LoginSource};
use downpipe_core::source::{Query, RowSource as _, SinkError, SourceError, Stop};
use downpipe_core::store::WriteToken;
use downpipe_mysql::{Database, MySqlSource, kill_queries};
use downpipe_tests::database::{Server, TestDatabase, account, authorities, url_of};
use downpipe_tests::export::try_export;
use downpipe_tests::rows::{CountingSink, CsvSink, csv, query, query_within, read};
use downpipe_tests::{eventually, unique};
use sqlx::AssertSqlSafe;

/// A query that computes for minutes, sends nothing, and can be told from others.
fn endless(mark: &str) -> String {
    format!(
        "SELECT COUNT(*), '{mark}' FROM information_schema.collations a, information_schema.collations b, \
         information_schema.collations c, information_schema.collations d WHERE SHA2(CONCAT(a.id, b.id, c.id, d.id), 256) = ''"
    )
}

#[tokio::test]
async fn a_query_that_meets_its_deadline_is_stopped() {
    let database = TestDatabase::create().await;
    let mark = unique("deadline");
    let error = read(&database, &query_within(&endless(&mark), Duration::from_secs(1))).await.unwrap_err();
    assert!(matches!(error, SourceError::TimedOut), "{error:?}");
    eventually("the query is gone", async || database.running(&mark).await.is_empty().then_some(())).await;
}

#[tokio::test]
async fn a_query_stops_on_request() {
    let database = TestDatabase::create().await;
    let mark = unique("stopped");
    let (stopper, stop) = Stop::new();
    let query = Query { stop, ..query(&endless(&mark)) };
    let stopping = async {
        eventually("the query runs", async || database.running(&mark).await.first().copied()).await;
        stopper.stop();
    };
    let (result, ()) = tokio::join!(read(&database, &query), stopping);
    let error = result.unwrap_err();
    assert!(matches!(error, SourceError::Stopped), "{error:?}");
    eventually("the query is gone", async || database.running(&mark).await.is_empty().then_some(())).await;
}

/// A server that is faster than we are always has something to read; the one thread that this test has must look up from it.
#[tokio::test]
async fn a_query_stops_on_request_while_rows_pour_in() {
    let database = TestDatabase::create().await;
    let (stopper, stop) = Stop::new();
    let sql = "WITH RECURSIVE n AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM n WHERE a < 1000) \
               SELECT x.a FROM n x, n y, n z";
    let query = Query { stop, ..query(sql) };
    let mut sink = CountingSink::default();
    let (source, count) = (MySqlSource::new(database.database()), Arc::clone(&sink.rows));
    let stopping = async {
        eventually("rows come", async || (count.load(Ordering::Relaxed) > 0).then_some(())).await;
        stopper.stop();
    };
    let (result, ()) = tokio::join!(source.read(&query, &mut sink), stopping);
    let error = result.unwrap_err();
    assert!(matches!(error, SourceError::Stopped), "{error:?}");
}

#[tokio::test]
async fn a_definition_that_does_not_fit_is_found_before_the_query_runs() {
    let database = TestDatabase::create().await;
    let slow = "SELECT SLEEP(60) AS total";
    let export = try_export(&database, slow, "[columns.totl]\nhide = true");
    let error = tokio::time::timeout(Duration::from_secs(20), export).await.unwrap().unwrap_err();
    let expected = "columns.totl: the query returns no such column; it returns total";
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn a_refused_row_stops_the_query() {
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
async fn a_killed_query_and_a_killed_connection_are_told_apart() {
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
async fn an_error_of_the_query_has_its_number() {
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

/// A connection whose client goes while its query computes, without a word to the server: a worker that was killed.
async fn abandon(database: &TestDatabase, query: Query, mark: &str) {
    let source = MySqlSource::new(database.database());
    let worker = tokio::spawn(async move { source.read(&query, &mut CsvSink::new()).await });
    eventually("the query runs", async || database.running(mark).await.first().copied()).await;
    worker.abort();
    assert!(worker.await.unwrap_err().is_cancelled());
    assert_eq!(database.running(mark).await.len(), 1, "the server has not noticed");
}

fn of_attempt(query: Query, job: &JobId, attempt: u32) -> Query {
    Query { token: Some(WriteToken { job: job.clone(), attempt }), ..query }
}

fn some_job() -> JobId {
    JobId::of_unreadable(&unique("job"), "")
}

/// Leaves queries behind in a database, and begins another attempt at the job of the first.
async fn later_attempts_kill(database: &TestDatabase, endless: fn(&str) -> String) {
    let (job, mark) = (some_job(), unique("abandoned"));
    let (others, kept) = (some_job(), unique("kept"));
    // Longer than we wait: the server's time limit is not what ends it.
    let lasting = |mark: &str| query_within(&endless(mark), Duration::from_secs(600));
    // With a character of four bytes, for which the process list has no room everywhere.
    abandon(database, of_attempt(lasting(&format!("{mark} 🚀")), &job, 1), &mark).await;
    abandon(database, of_attempt(lasting(&kept), &others, 2), &kept).await;
    let next = of_attempt(query("SELECT 1 AS a"), &job, 2);
    assert_eq!(read(database, &next).await.unwrap().0, "a\n1\n");
    // Connections are counted, because a query that is being killed is called something else at once.
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
async fn what_a_dead_worker_left_running_is_killed_by_the_next_attempt() {
    later_attempts_kill(&TestDatabase::create().await, endless).await;
}

#[tokio::test]
async fn what_a_dead_worker_left_running_is_killed_on_mariadb_too() {
    later_attempts_kill(&TestDatabase::create_on(Server::MariaDb).await, super::mariadb::endless).await;
}

/// A user sees and kills its own threads without a privilege.
#[tokio::test]
async fn a_user_without_privileges_can_kill_what_it_left() {
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

/// An error in the middle of a result must not pass for its end.
#[tokio::test]
async fn an_error_after_many_rows_is_an_error() {
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
async fn the_session_is_set_on_purpose() {
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

/// A stored function could write; in this session it cannot. Nor can a procedure that ends the read-only transaction first.
#[tokio::test]
async fn nothing_that_a_statement_calls_can_change_anything() {
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
            SourceError::QueryFailed { code, .. } => assert_eq!(code, 1792, "{sql}"),
            error => panic!("{sql}: {error:?}"),
        }
    }
    assert!(database.query("SELECT * FROM t").await.is_empty());
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_passing_trouble() {
    let database = Database::<Rotating>::at_url("mysql://u:p@127.0.0.1:1/x").unwrap();
    let error = MySqlSource::new(database).read(&query("SELECT 1"), &mut CsvSink::new()).await.unwrap_err();
    assert!(matches!(error, SourceError::Disconnected(_)), "{error:?}");
}

/// A secret that was rotated after it was fetched.
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
async fn a_rotated_password_is_fetched_once_more() {
    let database = TestDatabase::create().await;
    let user = unique("u").replace('-', "");
    database.execute(&format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'new'")).await;
    let rotated = Rotating { user: user.clone(), right: Freshness::Refetched };
    let mut sink = CsvSink::new();
    let source = MySqlSource::new(Database::with_login(rotated, authorities()));
    source.read(&query("SELECT CURRENT_USER() LIKE 'u%' AS me"), &mut sink).await.unwrap();
    assert_eq!(sink.text(), "me\n1\n");

    database.execute(&format!("ALTER USER '{user}'@'%' IDENTIFIED BY 'another'")).await;
    let wrong = Rotating { user: user.clone(), right: Freshness::Refetched };
    let error = MySqlSource::new(Database::with_login(wrong, authorities()))
        .read(&query("SELECT 1"), &mut CsvSink::new())
        .await
        .unwrap_err();
    assert!(matches!(error, SourceError::LoginRefused(_)), "{error:?}");
    let mut connection = database.connect().await;
    sqlx::raw_sql(AssertSqlSafe(format!("DROP USER '{user}'@'%'"))).execute(&mut connection).await.unwrap();
}
