//! Queries whose workers are gone. The server notices that a client is dead only when it next sends a row, and a query that sorts
//! for an hour sends none.

use downpipe_core::job::JobId;
use downpipe_core::login::LoginSource;
use downpipe_core::source::SourceError;
use downpipe_core::store::WriteToken;
use sqlx::mysql::{MySqlConnection, MySqlRow};
use sqlx::{AssertSqlSafe, Connection as _, Row as _};

use crate::connect::Database;
use crate::errors::of_query;
use crate::source::{CLOSE_TIMEOUT, ROUND_TRIP_TIMEOUT};
use crate::statement::attempt_of;

/// No such thread: it has ended by itself.
const NO_SUCH_THREAD: u16 = 1094;

/// Kills all queries of a job, whichever attempt they are of, and their connections with them. Gives their number. A user may see
/// and kill its own threads without any privilege.
///
/// # Errors
/// When the database cannot be reached, or a query may not be killed.
pub async fn kill_queries<L: LoginSource>(database: &Database<L>, job: &JobId) -> Result<u32, SourceError> {
    kill_attempts(database, job, u32::MAX).await
}

/// Kills the queries of the attempts before this one. A later one's is not ours to kill: we are the ones who were taken for dead.
pub(crate) async fn kill_earlier<L: LoginSource>(
    database: &Database<L>,
    token: &WriteToken,
) -> Result<u32, SourceError> {
    kill_attempts(database, &token.job, token.attempt.saturating_sub(1)).await
}

async fn kill_attempts<L: LoginSource>(
    database: &Database<L>,
    job: &JobId,
    last: u32,
) -> Result<u32, SourceError> {
    let mut connection = database.connect().await?;
    let killing = async {
        let mut killed = 0;
        for thread in threads_of(&mut connection, job, last).await? {
            killed += u32::from(kill(&mut connection, thread).await?);
        }
        Ok::<_, SourceError>(killed)
    };
    let killed = tokio::time::timeout(ROUND_TRIP_TIMEOUT, killing).await;
    let killed = killed.map_err(|elapsed| SourceError::Disconnected(elapsed.into()))??;
    drop(tokio::time::timeout(CLOSE_TIMEOUT, connection.close()).await);
    Ok(killed)
}

/// The threads that run queries of the job, up to this attempt.
///
/// Not from `information_schema.processlist`, which knows only three-byte characters on MySQL, and fails while anybody runs a
/// query that has others in it. Nor from `performance_schema`, which may be switched off, as it is on small RDS instances.
/// Without `FULL`, statements are cut after 100 characters, which is more than we look at.
async fn threads_of(
    connection: &mut MySqlConnection,
    job: &JobId,
    last: u32,
) -> Result<Vec<u64>, SourceError> {
    let rows = sqlx::raw_sql("SHOW PROCESSLIST").fetch_all(connection).await.map_err(of_query)?;
    let thread_of = |row: &MySqlRow| -> Result<Option<u64>, sqlx::Error> {
        // As bytes: what is cut may end within a character.
        let statement: Option<&[u8]> = row.try_get_unchecked("Info")?;
        // A thread that is being killed is listed until it has noticed.
        let running = row.try_get_unchecked::<&[u8], _>("Command")? != b"Killed";
        let attempt = statement.and_then(|statement| attempt_of(statement, job));
        attempt.filter(|attempt| running && *attempt <= last).map(|_| row.try_get_unchecked("Id")).transpose()
    };
    rows.iter().filter_map(|row| thread_of(row).transpose()).collect::<Result<_, _>>().map_err(of_query)
}

/// Ends a query with its connection, which keeps a snapshot open that nobody will read. `false` when it has ended by itself.
async fn kill(connection: &mut MySqlConnection, thread: u64) -> Result<bool, SourceError> {
    let kill = AssertSqlSafe(format!("KILL CONNECTION {thread}"));
    match sqlx::raw_sql(kill).execute(connection).await.map_err(of_query) {
        Ok(_) => Ok(true),
        Err(SourceError::QueryFailed { code: NO_SUCH_THREAD, .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
