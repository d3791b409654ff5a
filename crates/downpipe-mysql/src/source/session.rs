//! The session that a query is read in.
//!
//! Limits what may harm the database, sets what decides which rows and values come, reads it back, and takes the snapshot.

use std::time::Duration;

use downpipe_core::catalog::QuoteMode;
use downpipe_core::job::Session as Settings;
use downpipe_core::source::{Query, Snapshot, SourceError};
use jiff::Timestamp;
use sqlx::mysql::{MySqlColumn, MySqlConnection, MySqlRow};
use sqlx::{AssertSqlSafe, Column as _, Row as _};
use tokio::time::Instant;

use super::{time_zone, variables};
use crate::connection::error::of_query;

/// How long the server keeps a client that takes nothing, by default a minute. The worker takes nothing while S3 is slow, but
/// never for half an hour.
const NET_WRITE_TIMEOUT: Duration = Duration::from_secs(1800);

/// What a server may refuse. MySQL 9.7 wants SESSION_VARIABLES_ADMIN for keeping more warnings; MariaDB with `secure_timestamp`
/// refuses to start a clock that `init_connect` stopped. A warning that is not kept and a clock that stands still are found out
/// without it.
const PRIVILEGED: &str = "SET SESSION max_error_count = 65535 /*M!100101 , SESSION timestamp = DEFAULT */; ";

/// The errors of that refusal: a missing privilege, and an option of the server's.
const REFUSALS: [u16; 2] = [1227, 1290];

/// The moment of the snapshot, in microseconds. Asked before the snapshot is taken: what was committed by then is in it.
const AS_OF: &str = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))";

/// Takes a snapshot, and ends the transaction before it.
const TAKE_SNAPSHOT: &str = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";

/// A session that has begun.
#[derive(Debug)]
pub(crate) struct Session {
    /// The connection, to kill its query by.
    pub(crate) connection_id: u64,
    /// What is read.
    pub(crate) snapshot: Snapshot,
    time_zone: String,
}

/// Begins the session of a query.
///
/// The snapshot is taken in a transaction that can only read. If a procedure ends that transaction, what follows can only read,
/// too.
///
/// Takes one round trip, a second one where a privilege is missing, and two more for a time zone whose clocks have been changed.
///
/// # Errors
/// When the time is up, the server refuses, or a variable does not have the value that it was set to.
pub(crate) async fn begin(connection: &mut MySqlConnection, query: &Query) -> Result<Session, SourceError> {
    let time_left = query.deadline.saturating_duration_since(Instant::now());
    if time_left.is_zero() {
        return Err(SourceError::TimedOut);
    }
    let time_zone = time_zone::session_zone(connection, &query.time_zone).await?;
    let setup = format!(
        "SET {}{}; {}; {TAKE_SNAPSHOT}",
        limits(query, time_left),
        variables::assignments(&time_zone),
        settings(&format!("SELECT CONNECTION_ID(), {AS_OF}")),
    );
    let row = match answer(connection, format!("{PRIVILEGED}{setup}")).await {
        Err(SourceError::QueryFailed { code, .. }) if REFUSALS.contains(&code) => {
            answer(connection, setup).await?
        }
        answer => answer?,
    };
    let as_of = timestamp(&row, 1)?;
    let session = read_settings(&row, 2)?;
    variables::check(&session, &time_zone).map_err(SourceError::Session)?;
    Ok(Session { connection_id: number(&row, 0)?, snapshot: Snapshot { as_of, session }, time_zone })
}

/// The limits of a session, as assignments; and MySQL's clock, which `init_connect` may have stopped.
///
/// Some settings have other names on MariaDB. MySQL takes `/*M! … */` for a comment, and MariaDB `/*!50720 … */`: it skips
/// what is for MySQL 5.7 and later. <https://mariadb.com/kb/en/comment-syntax/>
fn limits(query: &Query, time_left: Duration) -> String {
    // A throttled export takes nothing for as long as its definition says.
    let net_write_timeout =
        if query.throttle.is_limited() { NET_WRITE_TIMEOUT.max(time_left) } else { NET_WRITE_TIMEOUT };
    // 0 would mean no limit at all.
    let millis = time_left.as_millis().max(1);
    format!(
        "SESSION net_write_timeout = {}, SESSION lock_wait_timeout = {} \
         /*!50720 , SESSION max_execution_time = {millis}, SESSION timestamp = DEFAULT */ \
         /*M!100101 , SESSION max_statement_time = {}.{:03} */",
        net_write_timeout.as_secs(),
        // A little longer than the worker waits, so that it can see what the query waits for. By default it is a year, and a
        // query of a dead worker would wait for all of it.
        time_left.as_secs() + 2,
        millis / 1000,
        millis % 1000,
    )
}

/// Returns a `SELECT` of these columns, and of all variables.
pub(crate) fn settings(select: &str) -> String {
    format!("{select}{}", variables::columns())
}

/// Reads the variables, which begin at this column.
///
/// # Errors
/// When a value is no text.
pub(crate) fn read_settings(row: &MySqlRow, first: usize) -> Result<Settings, SourceError> {
    let setting = |column: &MySqlColumn| {
        let value: Option<&str> = row.try_get_unchecked(column.ordinal()).map_err(of_query)?;
        Ok((column.name().to_owned(), value.unwrap_or("NULL").to_owned()))
    };
    row.columns().iter().skip(first).map(setting).collect()
}

impl Session {
    /// Takes a new snapshot, which can read tables that were changed since the last one.
    ///
    /// # Errors
    /// When the server refuses.
    pub(crate) async fn renew_snapshot(
        &mut self,
        connection: &mut MySqlConnection,
    ) -> Result<(), SourceError> {
        let row = answer(connection, format!("SELECT {AS_OF}; {TAKE_SNAPSHOT}")).await?;
        self.snapshot.as_of = timestamp(&row, 0)?;
        Ok(())
    }

    /// Checks that the server reads the quotes in the query's SQL as its author does.
    ///
    /// # Errors
    /// [`SourceError::SqlMode`] when it does not.
    pub(crate) fn check_quotes(&self, query: &Query) -> Result<(), SourceError> {
        let actual = QuoteMode::of_sql_mode(self.snapshot.session.get("sql_mode").unwrap_or_default());
        if query.modes.contains(actual) { Ok(()) } else { Err(SourceError::SqlMode { actual }) }
    }

    /// Checks that every setting at the end is what it was at the beginning.
    ///
    /// # Errors
    /// [`SourceError::Session`] when something that the query called has set a variable.
    pub(crate) fn check(&self, at_end: &Settings) -> Result<(), SourceError> {
        variables::check(at_end, &self.time_zone)
            .and_then(|()| self.snapshot.session.compare(at_end))
            .map_err(SourceError::Session)
    }
}

/// The one row that several statements answer with.
async fn answer(connection: &mut MySqlConnection, statements: String) -> Result<MySqlRow, SourceError> {
    let rows = sqlx::raw_sql(AssertSqlSafe(statements)).fetch_all(connection).await.map_err(of_query)?;
    rows.into_iter().next().ok_or_else(|| unreadable("the session's settings could not be read"))
}

/// Reads microseconds since 1970.
fn timestamp(row: &MySqlRow, column: usize) -> Result<Timestamp, SourceError> {
    Timestamp::from_microsecond(number(row, column)?).map_err(unreadable)
}

/// Reads a number that comes as text.
fn number<T>(row: &MySqlRow, column: usize) -> Result<T, SourceError>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let text: &str = row.try_get_unchecked(column).map_err(of_query)?;
    text.parse().map_err(unreadable)
}

fn unreadable(reason: impl std::fmt::Display) -> SourceError {
    SourceError::QueryFailed { code: 0, message: reason.to_string() }
}
