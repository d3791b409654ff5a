//! Preparing a statement: the server reads it, opens its tables and says which columns there are.

use std::pin::pin;

use downpipe_core::catalog::SqlPiece;
use downpipe_core::login::LoginSource;
use downpipe_core::source::{Query, SourceError};
use sqlx::mysql::{MySqlConnection, MySqlStatement};
use sqlx::{AssertSqlSafe, Either, Executor as _, SqlSafeStr, Statement as _};
use tokio::time::timeout;

use super::locks::{self, Activity};
use super::threads::Thread;
use crate::connection::error::of_query;
use crate::connection::timeouts::ROUND_TRIP_TIMEOUT;

/// Prepares the statement, to learn its columns before it costs the server anything.
///
/// Opening the tables waits for as long as another session changes one. The caller's deadline ends that.
///
/// # Errors
/// When the statement is wrong, returns no columns, or the server is gone.
pub(crate) async fn prepare<L: LoginSource>(
    connection: &mut MySqlConnection,
    thread: &Thread<'_, L>,
    query: &Query,
    text: &str,
) -> Result<MySqlStatement, SourceError> {
    let text = SqlSafeStr::into_sql_str(AssertSqlSafe(text.to_owned()));
    let prepared = wait_while_working(thread, connection.prepare(text)).await?;
    check_placeholders(&prepared, query)?;
    if prepared.columns().is_empty() { Err(SourceError::NoColumns) } else { Ok(prepared) }
}

/// Waits for an answer as long as the server works on it. If it does not, the network swallows packets.
async fn wait_while_working<L: LoginSource>(
    thread: &Thread<'_, L>,
    preparing: impl Future<Output = Result<MySqlStatement, sqlx::Error>>,
) -> Result<MySqlStatement, SourceError> {
    let mut preparing = pin!(preparing);
    let mut is_logged = false;
    loop {
        let elapsed = match timeout(ROUND_TRIP_TIMEOUT, &mut preparing).await {
            Ok(prepared) => return prepared.map_err(of_query),
            Err(elapsed) => elapsed,
        };
        match locks::activity_of(thread).await {
            Ok(Activity::Locked) if !std::mem::replace(&mut is_logged, true) => {
                tracing::warn!("the query waits for a table that another session has locked");
            }
            // A server that has no room for another connection still answers.
            Ok(Activity::Locked | Activity::Working) | Err(SourceError::Busy { .. }) => {}
            Ok(Activity::None) => return Err(SourceError::Disconnected(elapsed.into())),
            Err(error) => return Err(error),
        }
    }
}

/// Checks that the server sees a placeholder for every value, and no others.
fn check_placeholders(prepared: &MySqlStatement, query: &Query) -> Result<(), SourceError> {
    let expected = query.sql.iter().filter(|piece| matches!(piece, SqlPiece::Value(_))).count();
    match prepared.parameters() {
        Some(Either::Right(actual)) if actual != expected => {
            let message = format!("the server sees {actual} placeholders, expected {expected}");
            Err(SourceError::QueryFailed { code: 0, message })
        }
        _ => Ok(()),
    }
}
