//! Monitors the server's load from a side connection, and pauses an export while it is too high.

use std::pin::pin;
use std::time::Duration;

use downpipe_core::catalog::Throttle;
use downpipe_core::login::LoginSource;
use downpipe_core::source::{SourceError, ThrottleTime};
use sqlx::mysql::{MySqlColumn, MySqlConnection, MySqlRow};
use sqlx::{Column as _, Connection as _, Row as _};
use tokio::time::{sleep, timeout};

use crate::connection::Database;
use crate::connection::error::of_query;
use crate::connection::timeouts::{CLOSE_TIMEOUT, within};

/// The time between two polls. An export pauses or resumes at most this often. So a load around the limit only makes it slower,
/// and a second, lower limit for resuming is not needed.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// A server that needs longer than this for an answer is under load.
const POLL_TIMEOUT: Duration = Duration::from_secs(5);

/// `ER_SPECIFIC_ACCESS_DENIED_ERROR`: no privilege for SHOW REPLICA STATUS.
const ACCESS_DENIED: u16 = 1227;

/// `ER_PARSE_ERROR`: a server from before SHOW REPLICA STATUS, which came with MySQL 8.0.22 and MariaDB 10.5.
const SYNTAX_ERROR: u16 = 1064;

const THREADS: &str = "throttle.max_threads_running";
const LAG: &str = "throttle.max_replica_lag";

/// Polls a server's load and compares it with the limits of a definition.
pub(crate) struct LoadMonitor<'a, L> {
    database: &'a Database<L>,
    /// `None` after a poll that failed, so that the next one connects anew.
    connection: Option<MySqlConnection>,
    throttle: Throttle,
    waits: &'a ThrottleTime,
}

impl<'a, L: LoginSource> LoadMonitor<'a, L> {
    /// Creates a monitor; `None` for a definition without limits on the load.
    pub(crate) fn new(
        database: &'a Database<L>,
        throttle: Throttle,
        waits: &'a ThrottleTime,
    ) -> Option<Self> {
        throttle.watches_the_server().then_some(Self { database, connection: None, throttle, waits })
    }

    /// Waits until the load is within the limits.
    ///
    /// # Errors
    /// When the load cannot be seen: a privilege is missing, or the server is no replica or cannot be reached.
    pub(crate) async fn wait_until_idle(&mut self) -> Result<(), SourceError> {
        let mut exceeded_limit = self.poll().await?;
        while let Some(key) = exceeded_limit {
            let _wait = self.waits.begin(key);
            exceeded_limit = self.next_poll().await?;
        }
        Ok(())
    }

    /// Reads while the load is within the limits. While it is not, the worker takes no rows, and the server stops sending them.
    pub(crate) async fn run_while_idle<T>(
        &mut self,
        reading: impl Future<Output = Result<T, SourceError>>,
    ) -> Result<T, SourceError> {
        let mut reading = pin!(reading);
        let waits = self.waits;
        let mut wait = None;
        loop {
            let exceeded_limit = tokio::select! {
                read = &mut reading, if wait.is_none() => return read,
                exceeded_limit = self.next_poll() => exceeded_limit?,
            };
            // A wait that continues keeps its beginning.
            wait = exceeded_limit.map(|key| wait.take().unwrap_or_else(|| waits.begin(key)));
        }
    }

    /// Closes the side connection.
    pub(crate) async fn close(self) {
        if let Some(connection) = self.connection {
            drop(timeout(CLOSE_TIMEOUT, connection.close()).await);
        }
    }

    /// Polls after the interval. A server that cannot answer has too much load to be read from.
    async fn next_poll(&mut self) -> Result<Option<&'static str>, SourceError> {
        sleep(POLL_INTERVAL).await;
        match self.poll().await {
            Err(SourceError::Disconnected(_) | SourceError::Busy { .. }) => Ok(Some(self.some_key())),
            polled => polled,
        }
    }

    /// Returns the key of the limit that the load exceeds.
    async fn poll(&mut self) -> Result<Option<&'static str>, SourceError> {
        // Taken out meanwhile: a connection that failed, or whose answer was not awaited, must not be used again.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.database.connect().await?,
        };
        let exceeded_limit = within(POLL_TIMEOUT, exceeded_limit(&mut connection, &self.throttle)).await?;
        self.connection = Some(connection);
        Ok(exceeded_limit)
    }

    fn some_key(&self) -> &'static str {
        if self.throttle.max_threads_running.is_some() { THREADS } else { LAG }
    }
}

async fn exceeded_limit(
    connection: &mut MySqlConnection,
    throttle: &Throttle,
) -> Result<Option<&'static str>, SourceError> {
    if let Some(max) = throttle.max_threads_running
        && threads_running(connection).await? > max
    {
        return Ok(Some(THREADS));
    }
    if let Some(max) = throttle.max_replica_lag {
        // A replica whose replication has stopped does not know its lag.
        return Ok(replica_lag(connection).await?.is_none_or(|lag| lag > max).then_some(LAG));
    }
    Ok(None)
}

async fn threads_running(connection: &mut MySqlConnection) -> Result<u64, SourceError> {
    let sql = "SHOW GLOBAL STATUS LIKE 'Threads_running'";
    let row = sqlx::raw_sql(sql).fetch_one(connection).await.map_err(of_query)?;
    number(&row, 1)?.ok_or_else(|| cannot_be_kept(THREADS, "the server does not count its running threads"))
}

/// Returns how many seconds a replica is behind; `None` where it does not know.
async fn replica_lag(connection: &mut MySqlConnection) -> Result<Option<u64>, SourceError> {
    let rows = sqlx::raw_sql("SHOW REPLICA STATUS").fetch_all(connection).await;
    let rows = rows.map_err(|error| match of_query(error) {
        SourceError::QueryFailed { code: ACCESS_DENIED, .. } => {
            let privilege =
                "the database user needs the privilege REPLICATION CLIENT, or on MariaDB REPLICA MONITOR";
            cannot_be_kept(LAG, privilege)
        }
        SourceError::QueryFailed { code: SYNTAX_ERROR, .. } => {
            cannot_be_kept(LAG, "expected MySQL 8.0.22 or MariaDB 10.5 or newer")
        }
        error => error,
    })?;
    if rows.is_empty() {
        return Err(cannot_be_kept(LAG, "expected a replica, got a server that replicates from no other"));
    }
    let names = ["Seconds_Behind_Source", "Seconds_Behind_Master"];
    let lag_of = |row: &MySqlRow| {
        let is_lag = |column: &MySqlColumn| names.contains(&column.name());
        let column = row.columns().iter().position(is_lag);
        column.map_or_else(
            || Err(cannot_be_kept(LAG, "the replica does not say how far it is behind")),
            |column| number(row, column),
        )
    };
    // With several sources, the longest lag counts.
    let lags = rows.iter().map(lag_of).collect::<Result<Vec<_>, _>>()?;
    Ok(lags.into_iter().collect::<Option<Vec<_>>>().and_then(|lags| lags.into_iter().max()))
}

/// Reads a number that comes as text.
fn number(row: &MySqlRow, column: usize) -> Result<Option<u64>, SourceError> {
    let text: Option<&str> = row.try_get_unchecked(column).map_err(of_query)?;
    Ok(text.and_then(|text| text.parse().ok()))
}

fn cannot_be_kept(key: &'static str, reason: &'static str) -> SourceError {
    SourceError::LoadUnknown { key, reason }
}
