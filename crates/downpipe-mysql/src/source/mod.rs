//! The row source: one query on one connection, read to its proven end.

mod cells;
mod columns;
mod end_of_result;
mod inspect;
mod locks;
mod orphaned_queries;
mod prepare;
mod reading;
mod server_load;
mod session;
mod statement;
mod threads;
mod time_zone;
mod variables;

pub use self::end_of_result::verify_end;
pub use self::inspect::{Inspection, Scan};
pub use self::orphaned_queries::kill_queries;

use downpipe_core::login::LoginSource;
use downpipe_core::source::{EndOfResult, Query, RowSink, RowSource, SourceError};
use sqlx::Connection as _;

use self::server_load::LoadMonitor;
use self::threads::Thread;
use crate::connection::Database;
use crate::connection::timeouts::{CLOSE_TIMEOUT, ROUND_TRIP_TIMEOUT, within};

/// Reads queries from MySQL.
#[derive(Debug, Clone)]
pub struct MySqlSource<L> {
    pub(crate) database: Database<L>,
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
            orphaned_queries::kill_earlier(&self.database, token).await;
        }
        let mut monitor = LoadMonitor::new(&self.database, query.throttle, &query.waits);
        if let Some(monitor) = &mut monitor {
            until_deadline_or_cancelled(query, monitor.wait_until_idle()).await?;
        }
        let mut connection = self.database.connect().await?;
        let mut session = within(ROUND_TRIP_TIMEOUT, session::begin(&mut connection, query)).await?;
        let thread = Thread { database: &self.database, id: session.connection_id };
        let reading = reading::read_rows(&mut connection, &thread, &mut session, query, sink);
        let read = match &mut monitor {
            Some(monitor) => until_deadline_or_cancelled(query, monitor.run_while_idle(reading)).await,
            None => until_deadline_or_cancelled(query, reading).await,
        };
        let rows = match read {
            Ok(rows) => rows,
            Err(error) => {
                let error = locks::explain(error, &thread).await;
                // Dropped and not shut down. The rest of the result is still on the wire, and over TLS a shutdown waits for an
                // answer behind it.
                drop(connection);
                threads::kill_given_up(&thread).await;
                return Err(error);
            }
        };
        session.check(&verify_end(&mut connection, rows).await?)?;
        drop(tokio::time::timeout(CLOSE_TIMEOUT, connection.close()).await);
        if let Some(monitor) = monitor {
            monitor.close().await;
        }
        Ok(EndOfResult { rows, snapshot: session.snapshot })
    }
}

/// Runs a step until it ends, the deadline passes, or the export is cancelled.
async fn until_deadline_or_cancelled<T>(
    query: &Query,
    step: impl Future<Output = Result<T, SourceError>>,
) -> Result<T, SourceError> {
    tokio::select! {
        done = step => done,
        () = tokio::time::sleep_until(query.deadline) => Err(SourceError::TimedOut),
        () = query.cancellation.cancelled() => Err(SourceError::Stopped),
    }
}
