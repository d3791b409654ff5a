//! The server's threads, listed and killed from a side connection.
//!
//! A user may see and kill its own threads without any privilege.

use std::time::Duration;

use downpipe_core::error_chain::error_chain;
use downpipe_core::login::LoginSource;
use downpipe_core::source::SourceError;
use sqlx::mysql::{MySqlConnection, MySqlRow};
use sqlx::{AssertSqlSafe, Connection as _};
use tokio::time::timeout;

use crate::connection::Database;
use crate::connection::error::of_query;
use crate::connection::timeouts::{CLOSE_TIMEOUT, ROUND_TRIP_TIMEOUT, within};

/// `ER_NO_SUCH_THREAD`: the thread has ended by itself.
const NO_SUCH_THREAD: u16 = 1094;

/// The server's thread that a connection belongs to, and the database to look at it from outside.
#[derive(Debug)]
pub(crate) struct Thread<'a, L> {
    pub(crate) database: &'a Database<L>,
    pub(crate) id: u64,
}

/// What a `KILL` ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kill {
    /// The running statement. Its connection stays open.
    Query,
    /// The connection, with its statement and its snapshot.
    Connection,
}

/// Asks the server on a connection of its own, which is closed afterwards.
///
/// # Errors
/// [`SourceError::Disconnected`] when connecting and the answer take longer than `time`.
pub(crate) async fn on_side_connection<L: LoginSource, T>(
    database: &Database<L>,
    time: Duration,
    ask: impl AsyncFnOnce(&mut MySqlConnection) -> Result<T, SourceError>,
) -> Result<T, SourceError> {
    let asking = async {
        let mut connection = database.connect().await?;
        let answer = ask(&mut connection).await;
        drop(timeout(CLOSE_TIMEOUT, connection.close()).await);
        answer
    };
    within(time, asking).await
}

/// Lists the threads that the user may see, with the first 100 characters of their statements.
///
/// `information_schema.processlist` has only characters of three bytes on MySQL, and fails while any session runs a query with
/// longer ones. `performance_schema` may be switched off, as it is on small RDS instances.
pub(crate) async fn process_list(connection: &mut MySqlConnection) -> Result<Vec<MySqlRow>, SourceError> {
    sqlx::raw_sql("SHOW PROCESSLIST").fetch_all(connection).await.map_err(of_query)
}

/// Kills a thread's query or connection. Returns `false` when the thread had ended by itself.
pub(crate) async fn kill(
    connection: &mut MySqlConnection,
    kill: Kill,
    thread: u64,
) -> Result<bool, SourceError> {
    let what = match kill {
        Kill::Query => "QUERY",
        Kill::Connection => "CONNECTION",
    };
    let sql = AssertSqlSafe(format!("KILL {what} {thread}"));
    match sqlx::raw_sql(sql).execute(connection).await.map_err(of_query) {
        Ok(_) => Ok(true),
        Err(SourceError::QueryFailed { code: NO_SUCH_THREAD, .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Kills the query of a connection that this worker has given up, and logs a failure.
///
/// The server would notice only when it next sends a row, and a query that sorts for an hour sends none.
pub(crate) async fn kill_given_up<L: LoginSource>(thread: &Thread<'_, L>) {
    let killing = on_side_connection(thread.database, ROUND_TRIP_TIMEOUT, async |connection| {
        kill(connection, Kill::Query, thread.id).await
    });
    if let Err(error) = killing.await {
        tracing::warn!(error = error_chain(&error), "a query that was given up could not be killed");
    }
}
