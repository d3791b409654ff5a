//! The row source: one query on one connection, read to its proven end.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

use downpipe_core::failure::chain;
use downpipe_core::login::LoginSource;
use downpipe_core::source::{EndOfResult, Query, RowSink, RowSource, SinkState, SourceError};
use downpipe_core::store::WriteToken;
use futures_util::TryStreamExt as _;
use sqlx::mysql::{MySqlColumn, MySqlConnection, MySqlRow, MySqlStatement};
use sqlx::{AssertSqlSafe, Connection as _, Either, Executor as _, Row as _, SqlSafeStr, Statement as _};
use tokio::time::Instant;
use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::{NoSubscriber, with_default};

use crate::columns::{self, Wire};
use crate::connect::Database;
use crate::errors::of_query;
use crate::load::LoadWatch;
use crate::statement;
use crate::{abandoned, cells};

/// The server drops a client that takes nothing for this long, by default a minute, and the client then sees a broken
/// connection. While S3 is slow we take nothing; half an hour is longer than any wait of ours.
const NET_WRITE_TIMEOUT: Duration = Duration::from_secs(1800);

/// By default the server cuts what GROUP_CONCAT gives at 1,024 bytes, with a warning that nobody reads.
const GROUP_CONCAT_BYTES: u32 = u32::MAX;

/// Warnings that say that a value is not what it should be: cut by GROUP_CONCAT, or NULL for being too long.
const CUT_VALUES: [u64; 2] = [1260, 1301];

/// For statements without a table. A connection that leaves one open this long has met a network that swallows packets.
pub(crate) const ROUND_TRIP_TIMEOUT: Duration = Duration::from_secs(20);

/// A server that does not take leave within this time is left without.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Rows that are read without looking up. As long as the socket has more, the driver never waits; but the deadline, the wish to
/// stop and the server's load must get their turn, also when the server is faster than we are.
const ROWS_AT_A_STRETCH: u64 = 1024;

/// Reads queries from MySQL.
#[derive(Debug, Clone)]
pub struct MySqlSource<L> {
    database: Database<L>,
}

impl<L: LoginSource> MySqlSource<L> {
    /// A source that connects anew for every query.
    pub fn new(database: Database<L>) -> Self {
        Self { database }
    }
}

impl<L: LoginSource> RowSource for MySqlSource<L> {
    async fn read<S: RowSink>(&self, query: &Query, sink: &mut S) -> Result<EndOfResult, SourceError> {
        if let Some(token) = query.token.as_ref().filter(|token| token.attempt > 1) {
            self.kill_abandoned(token).await;
        }
        let mut watch = LoadWatch::new(&self.database, query.pace, &query.waits);
        if let Some(watch) = &mut watch {
            in_time(query, watch.calm()).await?;
        }
        let mut connection = self.database.connect().await?;
        let beginning = tokio::time::timeout(ROUND_TRIP_TIMEOUT, begin(&mut connection, query));
        let session =
            beginning.await.unwrap_or_else(|elapsed| Err(SourceError::Disconnected(elapsed.into())))?;
        let reading = read_rows(&mut connection, query, session.as_of, sink);
        let read = match &mut watch {
            Some(watch) => in_time(query, watch.while_calm(reading)).await,
            None => in_time(query, reading).await,
        };
        let rows = match read {
            Ok(rows) => rows,
            Err(error) => {
                // What is left of the result is still on the wire, so nobody may use this connection again. It is dropped
                // and not shut down: over TLS a shutdown waits for an answer, which comes behind that rest if at all.
                drop(connection);
                self.kill(session.connection_id).await;
                return Err(error);
            }
        };
        verify_values(&mut connection).await?;
        verify_end(&mut connection, rows).await?;
        // The transaction only read, and the file does not depend on how its connection ends.
        drop(tokio::time::timeout(CLOSE_TIMEOUT, connection.close()).await);
        if let Some(watch) = watch {
            watch.close().await;
        }
        Ok(EndOfResult { rows, as_of: session.as_of })
    }
}

/// A step that the deadline ends, and the wish to stop.
async fn in_time<T>(
    query: &Query,
    step: impl Future<Output = Result<T, SourceError>>,
) -> Result<T, SourceError> {
    tokio::select! {
        done = step => done,
        () = tokio::time::sleep_until(query.deadline) => Err(SourceError::TimedOut),
        () = query.stop.wished() => Err(SourceError::Stopped),
    }
}

struct Session {
    connection_id: u64,
    as_of: jiff::Timestamp,
}

/// Prepares the session: what may harm the database is limited, and the snapshot is taken.
///
/// The snapshot is taken in a transaction that can only read. Should that end before its time, through a procedure that
/// commits, say, whatever comes after can only read, too.
///
/// Some settings have other names on MariaDB. MySQL takes `/*M! … */` for a comment, and MariaDB `/*!50720 … */`: it skips
/// what is for MySQL 5.7 and later. <https://mariadb.com/kb/en/comment-syntax/>
async fn begin(connection: &mut MySqlConnection, query: &Query) -> Result<Session, SourceError> {
    let time_left = query.deadline.saturating_duration_since(Instant::now());
    if time_left.is_zero() {
        return Err(SourceError::TimedOut);
    }
    // An export that is to be slow takes nothing for as long as it is told to.
    let net_write_timeout =
        if query.pace.is_limited() { NET_WRITE_TIMEOUT.max(time_left) } else { NET_WRITE_TIMEOUT };
    // 0 would mean no limit at all.
    let millis = time_left.as_millis().max(1);
    let setup = format!(
        // sqlx logs in with IGNORE_SPACE; the definition's author writes for the server's own mode.
        "SET SESSION sql_mode = @@GLOBAL.sql_mode, SESSION group_concat_max_len = {GROUP_CONCAT_BYTES}, \
         SESSION net_write_timeout = {}, \
         /*!50720 SESSION transaction_isolation = 'REPEATABLE-READ', SESSION transaction_read_only = ON, \
                  SESSION max_execution_time = {millis} */ \
         /*M!100101 SESSION tx_isolation = 'REPEATABLE-READ', SESSION tx_read_only = ON, \
                    SESSION max_statement_time = {}.{:03} */",
        net_write_timeout.as_secs(),
        millis / 1000,
        millis % 1000,
    );
    sqlx::raw_sql(AssertSqlSafe(setup)).execute(&mut *connection).await.map_err(of_query)?;
    // Asked before the snapshot is taken: whatever was committed by then is in it.
    let sql = "SELECT CONNECTION_ID(), TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))";
    let row = sqlx::query(sql).fetch_one(&mut *connection).await.map_err(of_query)?;
    let connection_id = row.try_get(0).map_err(of_query)?;
    let as_of = jiff::Timestamp::from_microsecond(row.try_get(1).map_err(of_query)?)
        .map_err(|error| SourceError::QueryFailed { code: 0, message: error.to_string() })?;
    sqlx::raw_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        .execute(connection)
        .await
        .map_err(of_query)?;
    Ok(Session { connection_id, as_of })
}

/// Pushes every row into the sink and counts them.
async fn read_rows<S: RowSink>(
    connection: &mut MySqlConnection,
    query: &Query,
    as_of: jiff::Timestamp,
    sink: &mut S,
) -> Result<u64, SourceError> {
    let text = statement::text(query);
    let prepared = prepare(connection, &text).await?;
    sink.accept(&prepared.columns().iter().map(|column| columns::describe(column).0).collect::<Vec<_>>())?;
    // The driver enters the span that it was begun in twice for every row. It is begun where there is none. (`fetch` would be the
    // same with one more layer around every row.)
    let mut stream = with_default(NoSubscriber::default(), || {
        connection.fetch_many(statement::bind_all(text, &query.sql))
    });
    let mut next = stream.try_next().with_subscriber(NoSubscriber::default()).await;
    let mut wanted = OnTheWire::default();
    let mut rows = 0_u64;
    while let Some(step) = next.map_err(of_query)? {
        // What is no row is the server's word that the result is at its end.
        if let Either::Right(row) = step {
            if rows == 0 {
                wanted = start(sink, row.columns(), as_of)?;
            }
            rows += 1;
            if push_row(&row, &wanted, sink)? == SinkState::Full {
                sink.flush().await?;
            }
            if rows.is_multiple_of(ROWS_AT_A_STRETCH) {
                tokio::task::yield_now().await;
            }
        }
        next = stream.try_next().await;
    }
    if rows == 0 {
        // A result without rows still has columns, but sqlx shows a result's with its rows only.
        start(sink, prepared.columns(), as_of)?;
    }
    Ok(rows)
}

/// What is wanted of a row: places, and how the values there lie on the wire.
#[derive(Default)]
struct OnTheWire {
    cells: Vec<(usize, Wire)>,
    key: Option<(usize, Wire)>,
}

fn push_row<S: RowSink>(row: &MySqlRow, wanted: &OnTheWire, sink: &mut S) -> Result<SinkState, SourceError> {
    for (index, wire) in &wanted.cells {
        sink.cell(cells::read(row, *index, *wire)?);
    }
    if let Some((index, wire)) = wanted.key {
        sink.key(cells::read(row, index, wire)?)?;
    }
    Ok(sink.end_row()?)
}

/// Has the server read the statement, which costs it nothing yet, to learn the columns.
async fn prepare(connection: &mut MySqlConnection, text: &str) -> Result<MySqlStatement, SourceError> {
    let text = SqlSafeStr::into_sql_str(AssertSqlSafe(text.to_owned()));
    let prepared = tokio::time::timeout(ROUND_TRIP_TIMEOUT, connection.prepare(text)).await;
    prepared.map_err(|elapsed| SourceError::Disconnected(elapsed.into()))?.map_err(of_query)
}

/// Says what the columns are, and hears which of them are wanted.
fn start<S: RowSink>(
    sink: &mut S,
    columns: &[MySqlColumn],
    as_of: jiff::Timestamp,
) -> Result<OnTheWire, SourceError> {
    let (columns, wires): (Vec<_>, Vec<_>) = columns.iter().map(columns::describe).unzip();
    let wanted = sink.start(&columns, as_of)?;
    let on_the_wire = |index| (index, wires[index]);
    Ok(OnTheWire {
        cells: wanted.cells.into_iter().map(on_the_wire).collect(),
        key: wanted.key.map(on_the_wire),
    })
}

/// Makes sure that the server has not cut a value short and only warned of it.
async fn verify_values(connection: &mut MySqlConnection) -> Result<(), SourceError> {
    // Asked before anything else: FOUND_ROWS() brings a warning of its own, and SHOW WARNINGS leaves the count alone.
    let asked = sqlx::raw_sql("SHOW WARNINGS").fetch_all(connection);
    let warnings = tokio::time::timeout(ROUND_TRIP_TIMEOUT, asked).await;
    let warnings = warnings.map_err(|elapsed| SourceError::Disconnected(elapsed.into()))?.map_err(of_end)?;
    for warning in warnings {
        let code: u64 = warning.try_get::<u64, _>("Code").map_err(of_query)?;
        if CUT_VALUES.contains(&code) {
            let message = warning.try_get("Message").map_err(of_query)?;
            return Err(SourceError::QueryFailed { code: u16::try_from(code).unwrap_or_default(), message });
        }
    }
    Ok(())
}

/// Proves that the result was read to its end: the connection answers a question nobody could have asked before, and the
/// server has sent as many rows as have been read.
///
/// Needed because a driver can be wrong about where a result ends. sqlx 0.9 takes a row of the text protocol that begins
/// with a value of 16 MiB or more for the end, reports success, and leaves the rest on the wire. We read the binary
/// protocol, which has no such trap that we know of; this finds the ones we do not know of.
///
/// # Errors
/// [`SourceError::Short`] when either is not so.
pub async fn verify_end(connection: &mut MySqlConnection, rows: u64) -> Result<(), SourceError> {
    let nonce = format!("{:016x}", RandomState::new().build_hasher().finish());
    // In the text protocol: preparing a statement in between could change what FOUND_ROWS() counts.
    let sentinel = AssertSqlSafe(format!("SELECT '{nonce}', CAST(FOUND_ROWS() AS CHAR)"));
    let answer =
        tokio::time::timeout(ROUND_TRIP_TIMEOUT, sqlx::raw_sql(sentinel).fetch_one(connection)).await;
    let row = match answer {
        Ok(Ok(row)) => row,
        Ok(Err(error)) => return Err(of_end(error)),
        Err(_) => return Err(short("the connection does not answer")),
    };
    let (echo, counted) = (row.try_get::<String, _>(0).ok(), row.try_get::<String, _>(1).ok());
    if echo.as_ref() != Some(&nonce) {
        return Err(short("the connection answers with something else than it was asked"));
    }
    match counted.and_then(|counted| counted.parse::<u64>().ok()) {
        Some(counted) if counted == rows => Ok(()),
        counted => Err(short(&format!("the server sent {counted:?} rows, {rows} were read"))),
    }
}

impl<L: LoginSource> MySqlSource<L> {
    /// Stops what workers of earlier attempts have left running. Where that does not work, the time limit of their sessions will.
    async fn kill_abandoned(&self, token: &WriteToken) {
        match abandoned::kill_earlier(&self.database, token).await {
            Ok(0) => {}
            Ok(killed) => tracing::warn!(killed, "queries of earlier attempts were still running"),
            Err(error) => tracing::warn!(
                error = chain(&error),
                "the queries of earlier attempts could not be looked for, or not be killed"
            ),
        }
    }

    /// Stops the query of a connection that we have given up. The server would notice only when it next sends a row,
    /// and a query that sorts for an hour sends none.
    async fn kill(&self, connection_id: u64) {
        let killed = async {
            let mut connection = self.database.connect().await.map_err(SourceError::from)?;
            let kill = AssertSqlSafe(format!("KILL QUERY {connection_id}"));
            sqlx::raw_sql(kill).execute(&mut connection).await.map(drop).map_err(of_query)
        };
        match tokio::time::timeout(ROUND_TRIP_TIMEOUT, killed).await {
            // 1094: no such thread. It has noticed by itself.
            Ok(Ok(()) | Err(SourceError::QueryFailed { code: 1094, .. })) => {}
            Ok(Err(error)) => tracing::warn!(error = chain(&error), "an abandoned query could not be killed"),
            Err(_) => tracing::warn!("an abandoned query could not be killed in time"),
        }
    }
}

/// An error where there can be none but a broken connection: what was left of the result got in the way.
fn of_end(error: sqlx::Error) -> SourceError {
    match of_query(error) {
        error @ SourceError::Disconnected(_) => error,
        error => short(&chain(&error)),
    }
}

fn short(reason: &str) -> SourceError {
    SourceError::Short(reason.to_owned())
}
