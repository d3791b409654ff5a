//! The server's load, looked at from a side connection while an export reads.

use std::pin::pin;
use std::time::Duration;

use downpipe_core::login::LoginSource;
use downpipe_core::pace::{Pace, Waits};
use downpipe_core::source::SourceError;
use sqlx::mysql::{MySqlColumn, MySqlConnection, MySqlRow};
use sqlx::{Column as _, Connection as _, Row as _};
use tokio::time::{sleep, timeout};

use crate::connect::Database;
use crate::errors::of_query;
use crate::source::CLOSE_TIMEOUT;

/// The time from one look to the next. An export pauses or goes on at most this often, so a load around the limit makes it
/// slower and does no harm; there is no second limit, below the first, at which it would go on.
const INTERVAL: Duration = Duration::from_secs(1);

/// A server that needs longer for an answer than this is under load, whatever it would say.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// SHOW REPLICA STATUS without the privilege for it.
const ACCESS_DENIED: u16 = 1227;

/// SHOW REPLICA STATUS came with MySQL 8.0.22 and MariaDB 10.5.
const SYNTAX_ERROR: u16 = 1064;

const THREADS: &str = "pace.max_threads_running";
const LAG: &str = "pace.max_replica_lag";

/// Looks at a server's load, and knows how much is too much.
pub(crate) struct LoadWatch<'a, L> {
    database: &'a Database<L>,
    /// `None` after a look that failed: the next connects anew.
    connection: Option<MySqlConnection>,
    pace: Pace,
    waits: &'a Waits,
}

impl<'a, L: LoginSource> LoadWatch<'a, L> {
    /// Begins to watch. `None` where the load has no say.
    pub(crate) fn new(database: &'a Database<L>, pace: Pace, waits: &'a Waits) -> Option<Self> {
        pace.watches_the_server().then_some(Self { database, connection: None, pace, waits })
    }

    /// Waits until the load is not too much to begin.
    ///
    /// # Errors
    /// When it cannot be seen: for want of a privilege, because the server is no replica, or is not there.
    pub(crate) async fn calm(&mut self) -> Result<(), SourceError> {
        let mut excess = self.look().await?;
        while let Some(key) = excess {
            let _wait = self.waits.begin(key);
            excess = self.look_again().await?;
        }
        Ok(())
    }

    /// Reads on whenever the load is not too much. While it is, nobody takes what the server sends, and the server stops sending.
    pub(crate) async fn while_calm<T>(
        &mut self,
        reading: impl Future<Output = Result<T, SourceError>>,
    ) -> Result<T, SourceError> {
        let mut reading = pin!(reading);
        let waits = self.waits;
        let mut wait = None;
        loop {
            let excess = tokio::select! {
                read = &mut reading, if wait.is_none() => return read,
                excess = self.look_again() => excess?,
            };
            // One that goes on is not begun anew.
            wait = excess.map(|key| wait.take().unwrap_or_else(|| waits.begin(key)));
        }
    }

    /// Ends the side connection.
    pub(crate) async fn close(self) {
        if let Some(connection) = self.connection {
            drop(timeout(CLOSE_TIMEOUT, connection.close()).await);
        }
    }

    /// The next look, when it is time for it. A server that cannot be asked is in trouble, and not to be read from until it can.
    async fn look_again(&mut self) -> Result<Option<&'static str>, SourceError> {
        sleep(INTERVAL).await;
        match self.look().await {
            Err(SourceError::Disconnected(_)) => Ok(Some(self.some_key())),
            looked => looked,
        }
    }

    /// The key of the definition by which the load is too much.
    async fn look(&mut self) -> Result<Option<&'static str>, SourceError> {
        // Taken out meanwhile: a connection on which something went wrong, or on which nobody waited for the answer, does not
        // come back.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.database.connect().await?,
        };
        let looked = timeout(LOOK_TIMEOUT, excess(&mut connection, &self.pace)).await;
        let excess = looked.map_err(|elapsed| SourceError::Disconnected(elapsed.into()))??;
        self.connection = Some(connection);
        Ok(excess)
    }

    fn some_key(&self) -> &'static str {
        if self.pace.max_threads_running.is_some() { THREADS } else { LAG }
    }
}

async fn excess(connection: &mut MySqlConnection, pace: &Pace) -> Result<Option<&'static str>, SourceError> {
    if let Some(most) = pace.max_threads_running
        && threads_running(connection).await? > most
    {
        return Ok(Some(THREADS));
    }
    if let Some(most) = pace.max_replica_lag {
        // A replica whose replication has stopped does not know how far it is behind.
        return Ok(replica_lag(connection).await?.is_none_or(|lag| lag > most).then_some(LAG));
    }
    Ok(None)
}

async fn threads_running(connection: &mut MySqlConnection) -> Result<u64, SourceError> {
    let sql = "SHOW GLOBAL STATUS LIKE 'Threads_running'";
    let row = sqlx::raw_sql(sql).fetch_one(connection).await.map_err(of_query)?;
    number(&row, 1)?.ok_or_else(|| cannot_be_kept(THREADS, "the server does not count its running threads"))
}

/// How many seconds a replica is behind; `None` where it does not know.
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
    // With several sources, the one that it is the farthest behind counts.
    let lags = rows.iter().map(lag_of).collect::<Result<Vec<_>, _>>()?;
    Ok(lags.into_iter().collect::<Option<Vec<_>>>().and_then(|lags| lags.into_iter().max()))
}

/// A number that comes as text.
fn number(row: &MySqlRow, column: usize) -> Result<Option<u64>, SourceError> {
    let text: Option<&str> = row.try_get_unchecked(column).map_err(of_query)?;
    Ok(text.and_then(|text| text.parse().ok()))
}

fn cannot_be_kept(key: &'static str, reason: &'static str) -> SourceError {
    SourceError::LoadUnknown { key, reason }
}
