//! The row source among failures: no query is left running, and every error is told apart.

use std::time::Duration;

use downpipe_core::login::{Freshness, Login, LoginError, LoginSource};
use downpipe_core::source::{Query, RowSource as _, SinkError, SourceError, Stop};
use downpipe_mysql::{Database, MySqlSource};
use downpipe_tests::database::TestDatabase;
use downpipe_tests::export::try_export;
use downpipe_tests::rows::{CsvSink, csv, query, query_within, read};
use downpipe_tests::{STACK, eventually, unique};
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
         @@session.transaction_isolation, @@character_set_results, @@sql_mode = @@global.sql_mode",
    )
    .await;
    assert_eq!(text.lines().last().unwrap(), "1800,1,+00:00,REPEATABLE-READ,utf8mb4,1");
    // A stored function could write; in this session it cannot.
    database
        .execute(
            "CREATE TABLE t (id INT); SET GLOBAL log_bin_trust_function_creators = 1; \
             CREATE FUNCTION f() RETURNS INT MODIFIES SQL DATA BEGIN INSERT INTO t VALUES (1); RETURN 1; END",
        )
        .await;
    match read(&database, &query("SELECT f()")).await.unwrap_err() {
        SourceError::QueryFailed { code, .. } => assert_eq!(code, 1792),
        error => panic!("{error:?}"),
    }
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
        let address = STACK.database_url.rsplit('@').next().unwrap();
        let (host, port) = address.split_once(':').unwrap();
        let password = if freshness == self.right { "new" } else { "old" };
        Ok(Login {
            host: host.to_owned(),
            port: port.parse().unwrap(),
            username: self.user.clone(),
            password: password.to_owned(),
            database: None,
        })
    }
}

#[tokio::test]
async fn a_rotated_password_is_fetched_once_more() {
    let database = TestDatabase::create().await;
    let user = unique("u").replace('-', "");
    database.execute(&format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'new'")).await;
    let rotated = Rotating { user: user.clone(), right: Freshness::Refetched };
    let mut sink = CsvSink::new();
    let source = MySqlSource::new(Database::with_login(rotated));
    source.read(&query("SELECT CURRENT_USER() LIKE 'u%' AS me"), &mut sink).await.unwrap();
    assert_eq!(sink.text(), "me\n1\n");

    database.execute(&format!("ALTER USER '{user}'@'%' IDENTIFIED BY 'another'")).await;
    let wrong = Rotating { user: user.clone(), right: Freshness::Refetched };
    let error = MySqlSource::new(Database::with_login(wrong))
        .read(&query("SELECT 1"), &mut CsvSink::new())
        .await
        .unwrap_err();
    assert!(matches!(error, SourceError::LoginRefused(_)), "{error:?}");
    let mut connection = database.connect().await;
    sqlx::raw_sql(AssertSqlSafe(format!("DROP USER '{user}'@'%'"))).execute(&mut connection).await.unwrap();
}
