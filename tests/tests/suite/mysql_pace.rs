//! The pace of an export on real servers: what its definition caps, and what their load does to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use downpipe_aws::SecretLogin;
use downpipe_core::pace::Pace;
use downpipe_core::pipeline::ExportError;
use downpipe_core::source::{Query, RowSource as _, SourceError, Stop};
use downpipe_mysql::{Database, MySqlSource};
use downpipe_tests::database::{Server, TestDatabase, url_of};
use downpipe_tests::export::try_export;
use downpipe_tests::rows::{CountingSink, CsvSink, query, query_within, read};
use downpipe_tests::{eventually, unique};
use tokio::task::JoinSet;

const SERVERS: [Server; 2] = [Server::MySql, Server::MariaDb];

/// Whatever else runs on the servers besides is less.
const SLEEPERS: usize = 40;
const MOST_THREADS: u64 = 30;

/// Rows without end, or as good as.
fn many(mark: &str) -> String {
    format!(
        "WITH RECURSIVE n AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM n WHERE a < 1000) \
         SELECT x.a, '{mark}' FROM n x, n y, n z"
    )
}

/// Rows of five kilobytes: more than the sockets' buffers hold.
fn large(rows: u32, mark: &str) -> String {
    format!(
        "WITH RECURSIVE n AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM n WHERE a < 1000) \
         SELECT x.a, REPEAT('x', 5000) AS b, '{mark}' FROM n x, n y LIMIT {rows}"
    )
}

/// Connections on which nothing happens but that each is a thread that runs.
struct Sleepers {
    mark: String,
    clients: JoinSet<()>,
}

impl Sleepers {
    async fn begin(database: &TestDatabase) -> Self {
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

fn watching(query: Query) -> Query {
    Query { pace: Pace { max_threads_running: Some(MOST_THREADS), ..Pace::default() }, ..query }
}

#[tokio::test]
async fn an_export_is_no_faster_than_it_may_be() {
    for server in SERVERS {
        let database = TestDatabase::create_on(server).await;
        // A second's worth comes at once.
        for pace in ["rows_per_second = 1000", "bytes_per_second = 5_000_000"] {
            let began = Instant::now();
            let output = format!("compression = \"gzip\"\n[pace]\n{pace}");
            let exported = try_export(&database, &large(2_000, "x"), &output).await.unwrap();
            assert_eq!(exported.receipt.rows, 2_000);
            let took = began.elapsed().as_secs_f64();
            assert!((0.9..20.0).contains(&took), "{server:?}, {pace}: {took} s");
        }
    }
}

#[tokio::test]
async fn a_deadline_ends_an_export_that_is_held_back() {
    let database = TestDatabase::create().await;
    let mark = unique("paced");
    let output = "[pace]\nrows_per_second = 1\n[limits]\nseconds = 3";
    let error = try_export(&database, &many(&mark), output).await.unwrap_err();
    match error {
        ExportError::Source(SourceError::HeldBack { key: "pace.rows_per_second", seconds: 1..=3 }) => {}
        error => panic!("{error:?}"),
    }
    eventually("the query is gone", async || database.running(&mark).await.is_empty().then_some(())).await;
}

/// The rows that have come once they stop coming.
async fn at_a_standstill(count: &AtomicU64) -> u64 {
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
async fn reading_pauses_while_too_many_threads_run() {
    for server in SERVERS {
        let database = TestDatabase::create_on(server).await;
        let mark = unique("watched");
        let (stopper, stop) = Stop::new();
        let query = Query { stop, ..watching(query(&many(&mark))) };
        let (mut sink, waits) = (CountingSink::default(), query.waits.clone());
        let (source, count) = (MySqlSource::new(database.database()), Arc::clone(&sink.rows));
        let reading = tokio::spawn(async move { source.read(&query, &mut sink).await });
        let more_than = async |rows: u64| (count.load(Ordering::Relaxed) > rows).then_some(());
        eventually("rows come", async || more_than(0).await).await;

        let sleepers = Sleepers::begin(&database).await;
        let paused_at = at_a_standstill(&count).await;
        assert_eq!(database.running(&mark).await.len(), 1, "the query goes on as soon as it may");
        sleepers.end(&database).await;
        eventually("reading goes on", async || more_than(paused_at).await).await;
        let (key, time) = waits.longest().unwrap();
        assert_eq!(key, "pace.max_threads_running");
        assert!(time >= Duration::from_secs(1), "{time:?}");

        let sleepers = Sleepers::begin(&database).await;
        at_a_standstill(&count).await;
        stopper.stop();
        let error = reading.await.unwrap().unwrap_err();
        assert!(matches!(error, SourceError::Stopped), "{error:?}");
        eventually("the query is gone", async || database.running(&mark).await.is_empty().then_some(()))
            .await;
        sleepers.end(&database).await;
    }
}

#[tokio::test]
async fn a_query_is_not_begun_while_too_many_threads_run() {
    let database = TestDatabase::create().await;
    let sleepers = Sleepers::begin(&database).await;
    let mark = unique("begun");
    let watched = watching(query(&format!("SELECT SLEEP(1) AS a, '{mark}' AS b")));
    let waits = watched.waits.clone();
    let calming = async {
        eventually("it waits", async || waits.longest()).await;
        assert!(database.running(&mark).await.is_empty());
        sleepers.end(&database).await;
    };
    let (result, ()) = tokio::join!(read(&database, &watched), calming);
    assert_eq!(result.unwrap().1.rows, 1);

    let sleepers = Sleepers::begin(&database).await;
    let short = watching(query_within("SELECT 1 AS a", Duration::from_secs(2)));
    let error = read(&database, &short).await.unwrap_err();
    assert!(matches!(error, SourceError::TimedOut), "{error:?}");
    assert_eq!(short.waits.longest().unwrap().0, "pace.max_threads_running");
    sleepers.end(&database).await;
}

/// The side connection is nobody's export: one that breaks is made anew.
#[tokio::test]
async fn a_broken_side_connection_is_no_failure() {
    let database = TestDatabase::create().await;
    let mark = unique("side");
    let rows = Pace { max_threads_running: Some(1_000), ..Pace::default() };
    let query = Query { pace: rows, ..query(&format!("{} -- {mark}", many(&mark))) };
    let (stopper, stop) = Stop::new();
    let query = Query { stop, ..query };
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
    eventually("reading goes on", async || (count.load(Ordering::Relaxed) > before).then_some(())).await;
    stopper.stop();
    let error = reading.await.unwrap().unwrap_err();
    assert!(matches!(error, SourceError::Stopped), "{error:?}");
}

#[tokio::test]
async fn lag_is_known_of_a_replica_only_and_to_those_who_may_know() {
    for server in SERVERS {
        let database = TestDatabase::create_on(server).await;
        let pace = Pace { max_replica_lag: Some(10), ..Pace::default() };
        let watched = Query { pace, ..query("SELECT 1 AS a") };
        let error = read(&database, &watched).await.unwrap_err();
        let expected = "pace.max_replica_lag cannot be kept: expected a replica, got a server that replicates from no other";
        assert_eq!(error.to_string(), expected, "{server:?}");

        let user = unique("u").replace('-', "");
        database.execute(&format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'p'")).await;
        let address = url_of(server).rsplit('@').next().unwrap();
        let limited = Database::<SecretLogin>::at_url(&format!("mysql://{user}:p@{address}")).unwrap();
        let source = MySqlSource::new(limited);
        let error = source.read(&watched, &mut CsvSink::new()).await.unwrap_err();
        let expected = "pace.max_replica_lag cannot be kept: the database user needs the privilege REPLICATION CLIENT, \
                        or on MariaDB REPLICA MONITOR";
        assert_eq!(error.to_string(), expected, "{server:?}");
        // Running threads are no secret.
        let pace = Pace { max_threads_running: Some(1_000), ..Pace::default() };
        let watched = Query { pace, ..query("SELECT 1 AS a") };
        source.read(&watched, &mut CsvSink::new()).await.unwrap();
        database.execute(&format!("DROP USER '{user}'@'%'")).await;
    }
}

/// By default half an hour is longer than any wait; an export that is to be slow may be told to wait for all of its time.
#[tokio::test]
async fn the_server_waits_for_as_long_as_a_slow_export_may_take() {
    let database = TestDatabase::create().await;
    let hours = query_within("SELECT @@session.net_write_timeout AS a", Duration::from_secs(7200));
    assert_eq!(read(&database, &hours).await.unwrap().0, "a\n1800\n");
    let slow = watching(hours);
    let text = read(&database, &slow).await.unwrap().0;
    let seconds: u64 = text.lines().last().unwrap().parse().unwrap();
    assert!((7100..=7200).contains(&seconds), "{seconds}");
}
