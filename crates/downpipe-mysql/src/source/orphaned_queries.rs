//! Queries whose workers are gone.
//!
//! The server notices that a client is dead only when it next sends a row, and a query that sorts for an hour sends none.

use downpipe_core::error_chain::error_chain;
use downpipe_core::job::{JobAttempt, JobId};
use downpipe_core::login::LoginSource;
use downpipe_core::source::SourceError;
use sqlx::Row as _;
use sqlx::mysql::MySqlRow;

use super::statement::attempt_of;
use super::threads::{Kill, kill, on_side_connection, process_list};
use crate::connection::Database;
use crate::connection::error::of_query;
use crate::connection::timeouts::ROUND_TRIP_TIMEOUT;

/// Kills the queries of every attempt at a job, with their connections. Returns how many there were.
///
/// # Errors
/// When the database cannot be reached, or a query may not be killed.
pub async fn kill_queries<L: LoginSource>(database: &Database<L>, job: &JobId) -> Result<u32, SourceError> {
    kill_attempts(database, job, u32::MAX).await
}

/// Kills the queries of earlier attempts, and logs a failure: then the time limit of their sessions ends them.
///
/// Leaves the queries of later attempts alone. They mean that this worker's lease has expired.
pub(crate) async fn kill_earlier<L: LoginSource>(database: &Database<L>, token: &JobAttempt) {
    match kill_attempts(database, &token.job, token.attempt.saturating_sub(1)).await {
        Ok(0) => {}
        Ok(killed) => tracing::warn!(killed, "queries of earlier attempts were still running"),
        Err(error) => tracing::warn!(
            error = error_chain(&error),
            "the queries of earlier attempts could not be found or not be killed"
        ),
    }
}

async fn kill_attempts<L: LoginSource>(
    database: &Database<L>,
    job: &JobId,
    last: u32,
) -> Result<u32, SourceError> {
    on_side_connection(database, ROUND_TRIP_TIMEOUT, async |connection| {
        let mut killed = 0;
        for thread in threads_of(&process_list(connection).await?, job, last)? {
            // The connection, too: it keeps a snapshot open.
            killed += u32::from(kill(connection, Kill::Connection, thread).await?);
        }
        Ok(killed)
    })
    .await
}

/// The threads that run queries of the job, up to this attempt.
fn threads_of(processes: &[MySqlRow], job: &JobId, last: u32) -> Result<Vec<u64>, SourceError> {
    let thread_of = |row: &MySqlRow| -> Result<Option<u64>, sqlx::Error> {
        // As bytes: a statement that was cut may end within a character.
        let statement: Option<&[u8]> = row.try_get_unchecked("Info")?;
        // A thread that is being killed is listed until it has noticed.
        let is_running = row.try_get_unchecked::<&[u8], _>("Command")? != b"Killed";
        let attempt = statement.and_then(|statement| attempt_of(statement, job));
        attempt
            .filter(|attempt| is_running && *attempt <= last)
            .map(|_| row.try_get_unchecked("Id"))
            .transpose()
    };
    processes.iter().filter_map(|row| thread_of(row).transpose()).collect::<Result<_, _>>().map_err(of_query)
}
