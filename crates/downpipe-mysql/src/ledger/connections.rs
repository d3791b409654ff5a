//! The ledger's connections: a few, each used for one statement at a time.
//!
//! The pool of sqlx makes connections of one set of options. Here a login is fetched for every connection, as tokens and rotated
//! secrets need it.

use std::sync::Mutex;
use std::time::Duration;

use downpipe_core::ledger::LedgerError;
use downpipe_core::login::LoginSource;
use downpipe_core::mutex::lock;
use sqlx::Connection as _;
use sqlx::mysql::MySqlConnection;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::connection::Database;

/// How long an idle connection is used without a ping. A Lambda's environment may have slept for an hour since.
const TRUSTED_FOR: Duration = Duration::from_secs(5);

/// Connections to one database, at most so many.
#[derive(Debug)]
pub(super) struct Connections<L> {
    database: Database<L>,
    free: Semaphore,
    /// The connection that was used last is at the end, and is used next. Others grow old, and the server closes them.
    idle: Mutex<Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    connection: MySqlConnection,
    since: Instant,
}

/// A connection that a statement has to itself. It is dropped unless it is [put back](Self::put_back): after an error, or when the
/// caller stopped waiting, it may be in any state.
pub(super) struct Taken<'c> {
    connection: MySqlConnection,
    idle: &'c Mutex<Vec<Idle>>,
    /// Held so that another statement waits until this connection is back or gone.
    _permit: SemaphorePermit<'c>,
}

impl<L: LoginSource> Connections<L> {
    pub(super) fn new(database: Database<L>, most: usize) -> Self {
        Self { database, free: Semaphore::new(most), idle: Mutex::default() }
    }

    /// Takes a connection: an idle one that is still good, or a new one. Waits for one where all are in use.
    pub(super) async fn take(&self) -> Result<Taken<'_>, LedgerError> {
        let closed = |error| LedgerError::Failed(Box::new(error));
        let permit = self.free.acquire().await.map_err(closed)?;
        let connection = match self.good_idle().await {
            Some(connection) => connection,
            None => self.database.connect().await?,
        };
        Ok(Taken { connection, idle: &self.idle, _permit: permit })
    }

    async fn good_idle(&self) -> Option<MySqlConnection> {
        loop {
            let Idle { mut connection, since } = lock(&self.idle).pop()?;
            if since.elapsed() < TRUSTED_FOR || connection.ping().await.is_ok() {
                return Some(connection);
            }
        }
    }
}

impl Taken<'_> {
    pub(super) fn connection(&mut self) -> &mut MySqlConnection {
        &mut self.connection
    }

    /// Keeps the connection for the next statement.
    pub(super) fn put_back(self) {
        lock(self.idle).push(Idle { connection: self.connection, since: Instant::now() });
    }
}
