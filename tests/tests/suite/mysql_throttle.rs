//! Tests the throttle on real servers: its caps, and its reaction to the server's load.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use downpipe_aws::SecretLogin;
use downpipe_core::catalog::Throttle;
use downpipe_core::export::ExportError;
use downpipe_core::source::{CancellationToken, Query, RowSource as _, SourceError};
use downpipe_mysql::{Database, MySqlSource};
use downpipe_tests::database::{SERVERS, TestDatabase, url_of};
use downpipe_tests::export::try_export;
use downpipe_tests::rows::{CountingSink, CsvSink, query, query_within, read};
use downpipe_tests::{eventually, unique};
use tokio::task::JoinSet;

/// The numbers exceed everything else that runs on the servers.
const SLEEPERS: usize = 40;
const MAX_THREADS: u64 = 30;

/// Returns a query of a billion rows.
fn many(mark: &str) -> String {
    format!(
        "WITH RECURSIVE n AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM n WHERE a < 1000) \
         SELECT x.a, '{mark}' FROM n x, n y, n z"
    )
}

/// Returns a query with rows of five kilobytes, more than the sockets' buffers hold.
fn large(rows: u32, mark: &str) -> String {
    format!(
        "WITH RECURSIVE n AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM n WHERE a < 1000) \
         SELECT x.a, REPEAT('x', 5000) AS b, '{mark}' FROM n x, n y LIMIT {rows}"
    )
}

/// Connections that only sleep, each of which counts as a running thread.
struct Sleepers {
    mark: String,
    clients: JoinSet<()>,
}

impl Sleepers {
    async fn start(database: &TestDatabase) -> Self {
        let mark = unique("sleeper");
        let mut clients = JoinSet::new();
        for _ in 0..SLEEPERS {
            let (mut connection, sql) = (database.connect().await, format!("SELECT SLEEP(50), '{mark}'"));
            clients.spawn(async move {
                drop(sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await);
            });
        }
        eventually("all of them sleep", async || {
            (database.running(&mark).await.len() == SLEEPERS).then_some(())
        })
        .await;
        Self { mark, clients }
    }

    async fn end(mut self, database: &TestDatabase) {
        for id in database.running(&self.mark).await {
            database.execute(&format!("KILL {id}")).await;
        }
        while self.clients.join_next().await.is_some() {}
    }
}

fn with_load_cap(query: Query) -> Query {
    Query { throttle: Throttle { max_threads_running: Some(MAX_THREADS), ..Throttle::default() }, ..query }
}

#[tokio::test]
async fn export_under_a_rate_cap_is_no_faster() {
    for server in SERVERS {
        let database = TestDatabase::create_on(server).await;
        // The first second's amount comes at once.
        for throttle in ["rows_per_second = 1000", "bytes_per_second = 5_000_000"] {
            let began = Instant::now();
            let output = format!("compression = \"gzip\"\n[throttle]\n{throttle}");
            let exported = try_export(&database, &large(2_000, "x"), &output).await.unwrap();
            assert_eq!(exported.receipt.rows, 2_000);
            let took = began.elapsed().as_secs_f64();
            assert!((0.9..20.0).contains(&took), "{server:?}, {throttle}: {took} s");
        }
    }
}

#[tokio::test]
async fn throttled_export_past_its_deadline_names_the_cap() {
    let database = TestDatabase::create().await;
    let mark = unique("throttled");
    let output = "[throttle]\nrows_per_second = 1\n[limits]\nseconds = 3";
    let error = try_export(&database, &many(&mark), output).await.unwrap_err();
    match error {
        ExportError::Source(SourceError::HeldBack { key: "throttle.rows_per_second", seconds: 1..=3 }) => {}
        error => panic!("{error:?}"),
    }
    eventually("the query is gone", async || database.running(&mark).await.is_empty().then_some(())).await;
}

/// Waits until no more rows come, and returns their number.
async fn wait_until_paused(count: &AtomicU64) -> u64 {
    let (seen, polls) = (AtomicU64::new(0), AtomicU64::new(0));
    eventually("reading pauses", async || {
        let now = count.load(Ordering::Relaxed);
        let same = seen.swap(now, Ordering::Relaxed) == now;
        let polls =
            if same { polls.fetch_add(1, Ordering::Relaxed) } else { polls.swap(0, Ordering::Relaxed) };
        (polls >= 30).then_some(now)
    })
    .await
}

#[tokio::test]
async fn export_on_a_busy_server_pauses_and_resumes() {
    for server in SERVERS {
        let database = TestDatabase::create_on(server).await;
        let mark = unique("watched");
        let cancellation = CancellationToken::new();
        let query = Query { cancellation: cancellation.clone(), ..with_load_cap(query(&many(&mark))) };
        let (mut sink, waits) = (CountingSink::default(), query.waits.clone());
        let (source, count) = (MySqlSource::new(database.database()), Arc::clone(&sink.rows));
        let reading = tokio::spawn(async move { source.read(&query, &mut sink).await });
        let more_than = async |rows: u64| (count.load(Ordering::Relaxed) > rows).then_some(());
        eventually("rows come", async || more_than(0).await).await;

        let sleepers = Sleepers::start(&database).await;
        let paused_at = wait_until_paused(&count).await;
        assert_eq!(database.running(&mark).await.len(), 1, "the query stays open");
        sleepers.end(&database).await;
        eventually("reading continues", async || more_than(paused_at).await).await;
        let (key, time) = waits.longest().unwrap();
        assert_eq!(key, "throttle.max_threads_running");
        assert!(time >= Duration::from_secs(1), "{time:?}");

        let sleepers = Sleepers::start(&database).await;
        wait_until_paused(&count).await;
        cancellation.cancel();
        let error = reading.await.unwrap().unwrap_err();
        assert!(matches!(error, SourceError::Stopped), "{error:?}");
        eventually("the query is gone", async || database.running(&mark).await.is_empty().then_some(()))
            .await;
        sleepers.end(&database).await;
    }
}

#[tokio::test]
async fn query_on_a_busy_server_is_not_started() {
    let database = TestDatabase::create().await;
    let sleepers = Sleepers::start(&database).await;
    let mark = unique("begun");
    let watched = with_load_cap(query(&format!("SELECT SLEEP(1) AS a, '{mark}' AS b")));
    let waits = watched.waits.clone();
    let calming = async {
        eventually("it waits", async || waits.longest()).await;
        assert!(database.running(&mark).await.is_empty());
        sleepers.end(&database).await;
    };
    let (result, ()) = tokio::join!(read(&database, &watched), calming);
    assert_eq!(result.unwrap().1.rows, 1);

    let sleepers = Sleepers::start(&database).await;
    let short = with_load_cap(query_within("SELECT 1 AS a", Duration::from_secs(2)));
    let error = read(&database, &short).await.unwrap_err();
    assert!(matches!(error, SourceError::TimedOut), "{error:?}");
    assert_eq!(short.waits.longest().unwrap().0, "throttle.max_threads_running");
    sleepers.end(&database).await;
}

/// The load connection carries no rows, so a broken one is replaced.
#[tokio::test]
async fn killed_load_connection_is_reopened() {
    let database = TestDatabase::create().await;
    let mark = unique("side");
    let rows = Throttle { max_threads_running: Some(1_000), ..Throttle::default() };
    let query = Query { throttle: rows, ..query(&format!("{} -- {mark}", many(&mark))) };
    let cancellation = CancellationToken::new();
    let query = Query { cancellation: cancellation.clone(), ..query };
    let source = MySqlSource::new(database.database());
    let mut sink = CountingSink::default();
    let count = Arc::clone(&sink.rows);
    let reading = tokio::spawn(async move { source.read(&query, &mut sink).await });
    let side = async || {
        let reader = database.running(&mark).await;
        let open = database.opened_by().await;
        open.into_iter().find(|id| !reader.is_empty() && !reader.contains(id))
    };
    let first = eventually("there is a side connection", side).await;
    database.execute(&format!("KILL {first}")).await;
    eventually("there is another", async || side().await.filter(|id| *id != first)).await;
    let before = count.load(Ordering::Relaxed);
    eventually("reading continues", async || (count.load(Ordering::Relaxed) > before).then_some(())).await;
    cancellation.cancel();
    let error = reading.await.unwrap().unwrap_err();
    assert!(matches!(error, SourceError::Stopped), "{error:?}");
}

#[tokio::test]
async fn replica_lag_cap_needs_a_replica_and_the_privilege() {
    for server in SERVERS {
        let database = TestDatabase::create_on(server).await;
        let throttle = Throttle { max_replica_lag: Some(10), ..Throttle::default() };
        let watched = Query { throttle, ..query("SELECT 1 AS a") };
        let error = read(&database, &watched).await.unwrap_err();
        let expected = "throttle.max_replica_lag cannot be kept: expected a replica, got a server that replicates from no other";
        assert_eq!(error.to_string(), expected, "{server:?}");

        let user = unique("u").replace('-', "");
        database.execute(&format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'p'")).await;
        let address = url_of(server).rsplit('@').next().unwrap();
        let limited = Database::<SecretLogin>::at_url(&format!("mysql://{user}:p@{address}")).unwrap();
        let source = MySqlSource::new(limited);
        let error = source.read(&watched, &mut CsvSink::new()).await.unwrap_err();
        let expected = "throttle.max_replica_lag cannot be kept: the database user needs the privilege REPLICATION CLIENT, \
                        or on MariaDB REPLICA MONITOR";
        assert_eq!(error.to_string(), expected, "{server:?}");
        // The number of running threads needs no privilege.
        let throttle = Throttle { max_threads_running: Some(1_000), ..Throttle::default() };
        let watched = Query { throttle, ..query("SELECT 1 AS a") };
        source.read(&watched, &mut CsvSink::new()).await.unwrap();
        database.execute(&format!("DROP USER '{user}'@'%'")).await;
    }
}

/// The default of half an hour exceeds any wait of an unthrottled export. A throttled one may wait
/// for its whole time.
#[tokio::test]
async fn write_timeout_of_a_throttled_export_is_its_whole_time() {
    let database = TestDatabase::create().await;
    let hours = query_within("SELECT @@session.net_write_timeout AS a", Duration::from_secs(7200));
    assert_eq!(read(&database, &hours).await.unwrap().0, "a\n1800\n");
    let slow = with_load_cap(hours);
    let text = read(&database, &slow).await.unwrap().0;
    let seconds: u64 = text.lines().last().unwrap().parse().unwrap();
    assert!((7100..=7200).contains(&seconds), "{seconds}");
}
