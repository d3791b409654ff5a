//! What a query waits for when it does not begin: a lock on a table that another session holds.

use std::time::Duration;

use downpipe_core::login::LoginSource;
use downpipe_core::source::SourceError;
use sqlx::mysql::{MySqlConnection, MySqlRow};
use sqlx::{AssertSqlSafe, Row as _};

use super::threads::{Thread, on_side_connection, process_list};
use crate::connection::error::of_query;
use crate::connection::timeouts::ROUND_TRIP_TIMEOUT;

/// The time for finding out what a query waited for. Its deadline has passed already.
const EXPLAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// What a thread of the server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activity {
    /// There is no such thread, or it waits for its client.
    None,
    /// It works.
    Working,
    /// It waits for a lock.
    Locked,
}

/// Returns what a thread does, seen from another connection.
pub(crate) async fn activity_of<L: LoginSource>(thread: &Thread<'_, L>) -> Result<Activity, SourceError> {
    on_side_connection(thread.database, ROUND_TRIP_TIMEOUT, async |connection| {
        activity(connection, thread.id).await
    })
    .await
}

/// Returns [`SourceError::Locked`] for a deadline that passed while the query waited for a lock, and any other error as it is.
///
/// To be called while the query still waits.
pub(crate) async fn explain<L: LoginSource>(error: SourceError, thread: &Thread<'_, L>) -> SourceError {
    if !matches!(error, SourceError::TimedOut) {
        return error;
    }
    let asking = on_side_connection(thread.database, EXPLAIN_TIMEOUT, async |connection| {
        match activity(connection, thread.id).await? {
            Activity::Locked => Ok(Some(holders(connection, thread.id).await)),
            Activity::None | Activity::Working => Ok(None),
        }
    });
    match asking.await {
        Ok(Some(detail)) => SourceError::Locked { detail },
        Ok(None) | Err(_) => error,
    }
}

async fn activity(connection: &mut MySqlConnection, thread: u64) -> Result<Activity, SourceError> {
    let processes = process_list(connection).await?;
    let is_thread = |row: &&MySqlRow| row.try_get_unchecked::<u64, _>("Id").is_ok_and(|id| id == thread);
    let Some(row) = processes.iter().find(is_thread) else { return Ok(Activity::None) };
    let text = |column| row.try_get_unchecked::<Option<&[u8]>, _>(column).map_err(of_query);
    let (command, state) = (text("Command")?.unwrap_or_default(), text("State")?.unwrap_or_default());
    Ok(match command {
        b"Sleep" | b"Killed" => Activity::None,
        _ if is_lock(state) => Activity::Locked,
        _ => Activity::Working,
    })
}

/// Returns whether a thread in this state waits for a lock: "Waiting for table metadata lock" and the like, or for a
/// `FLUSH TABLES` that waits itself (reference manual, "General Thread States").
fn is_lock(state: &[u8]) -> bool {
    state.starts_with(b"Waiting for ") && (state.ends_with(b" lock") || state.ends_with(b"table flush"))
}

/// Names the sessions that hold what the thread waits for, or says what is missing to see them.
async fn holders(connection: &mut MySqlConnection, thread: u64) -> String {
    const HIDDEN: &str = "which one cannot be seen; with performance_schema on, and SELECT on its tables metadata_locks and \
        threads, it can";
    let sql = format!(
        "SELECT DISTINCT holder.PROCESSLIST_ID, held.OBJECT_SCHEMA, held.OBJECT_NAME \
         FROM performance_schema.threads waiter \
         JOIN performance_schema.metadata_locks wanted \
           ON wanted.OWNER_THREAD_ID = waiter.THREAD_ID AND wanted.LOCK_STATUS = 'PENDING' \
         JOIN performance_schema.metadata_locks held \
           ON held.OBJECT_TYPE = wanted.OBJECT_TYPE AND held.OBJECT_SCHEMA <=> wanted.OBJECT_SCHEMA \
          AND held.OBJECT_NAME <=> wanted.OBJECT_NAME AND held.LOCK_STATUS = 'GRANTED' \
          AND held.OWNER_THREAD_ID <> wanted.OWNER_THREAD_ID \
         JOIN performance_schema.threads holder ON holder.THREAD_ID = held.OWNER_THREAD_ID \
         WHERE waiter.PROCESSLIST_ID = {thread} AND holder.PROCESSLIST_ID IS NOT NULL ORDER BY 1"
    );
    let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(connection).await.unwrap_or_default();
    let holder_of = |row: &MySqlRow| {
        let id: u64 = row.try_get_unchecked(0).ok()?;
        let name = |column: usize| row.try_get_unchecked::<Option<String>, _>(column).ok().flatten();
        let object: Vec<String> = [name(1), name(2)].into_iter().flatten().collect();
        Some(format!("connection {id} holds {}", object.join(".")))
    };
    let holders: Vec<String> = rows.iter().filter_map(holder_of).collect();
    if holders.is_empty() { HIDDEN.to_owned() } else { holders.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_waiting_for_lock_is_recognised() {
        for state in ["Waiting for table metadata lock", "Waiting for table flush", "Waiting for backup lock"]
        {
            assert!(is_lock(state.as_bytes()), "{state}");
        }
        for state in ["", "Sending to client", "Waiting on empty queue", "Waiting for handler commit"] {
            assert!(!is_lock(state.as_bytes()), "{state}");
        }
    }
}
