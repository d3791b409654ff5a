//! Inspecting queries without running them: their columns, and how the server would read their tables.

use std::time::Duration;

use downpipe_core::export::ResultColumn;
use downpipe_core::login::LoginSource;
use downpipe_core::source::{Query, SourceError};
use jiff::tz::TimeZone;
use sqlx::mysql::{MySqlColumn, MySqlConnection, MySqlRow};
use sqlx::{Column as _, Connection as _, Row as _, Statement as _, TypeInfo as _};
use tokio::time::timeout;

use super::prepare::prepare;
use super::session::Session;
use super::threads::{Thread, kill_given_up};
use super::{MySqlSource, columns, locks, session, statement};
use crate::connection::error::of_bound_query;
use crate::connection::timeouts::CLOSE_TIMEOUT;

/// The time for preparing and explaining one query.
const INSPECT_TIMEOUT: Duration = Duration::from_secs(20);

/// A query as the server sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// Its columns.
    pub columns: Vec<ResultColumn>,
    /// The tables that it reads from end to end, or why that is not known.
    pub scans: Result<Vec<Scan>, String>,
}

/// A table, or an index of it, that is read from end to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// The table, by its alias in the query.
    pub table: String,
    /// The rows that the server expects.
    pub rows: u64,
}

/// A connection with the session of an export.
struct Opened {
    connection: MySqlConnection,
    session: Session,
    time_zone: TimeZone,
}

impl<L: LoginSource> MySqlSource<L> {
    /// Prepares and explains every query, and runs none. All share a connection until it breaks.
    ///
    /// # Errors
    /// When there is no connection. What is wrong with a query is in its own result.
    pub async fn inspect(
        &self,
        queries: &[Query],
    ) -> Result<Vec<Result<Inspection, SourceError>>, SourceError> {
        let mut kept = None;
        let mut inspections = Vec::new();
        for query in queries {
            let in_zone = |opened: &Opened| opened.time_zone == query.time_zone;
            let mut opened = match kept.take().filter(in_zone) {
                Some(opened) => opened,
                None => match self.open(query).await {
                    Err(error @ SourceError::TimeZone { .. }) => {
                        inspections.push(Err(error));
                        continue;
                    }
                    opened => opened?,
                },
            };
            let inspection = self.inspect_one(&mut opened, query).await;
            match inspection {
                // The driver has lost its place on this connection, or the server still works on the query.
                Err(SourceError::UnknownType(_) | SourceError::Locked { .. } | SourceError::TimedOut) => {
                    drop(opened.connection);
                    kill_given_up(&self.thread(&opened.session)).await;
                }
                Err(SourceError::Disconnected(_)) => drop(opened),
                _ => kept = Some(opened),
            }
            inspections.push(inspection);
        }
        if let Some(opened) = kept {
            drop(timeout(CLOSE_TIMEOUT, opened.connection.close()).await);
        }
        Ok(inspections)
    }

    async fn open(&self, query: &Query) -> Result<Opened, SourceError> {
        let mut connection = self.database.connect().await?;
        let session = session::begin(&mut connection, query).await?;
        Ok(Opened { connection, session, time_zone: query.time_zone.clone() })
    }

    async fn inspect_one(&self, opened: &mut Opened, query: &Query) -> Result<Inspection, SourceError> {
        let Opened { connection, session, .. } = opened;
        let thread = self.thread(session);
        let text = statement::text(query);
        let inspecting = async {
            session.check_quotes(query)?;
            let prepared = prepare(connection, &thread, query, &text).await?;
            let columns = prepared.columns().iter().map(describe).collect();
            Ok(Inspection { columns, scans: explain(connection, query, text).await? })
        };
        match timeout(INSPECT_TIMEOUT, inspecting).await {
            Ok(inspection) => inspection,
            Err(_) => Err(locks::explain(SourceError::TimedOut, &thread).await),
        }
    }

    fn thread(&self, session: &Session) -> Thread<'_, L> {
        Thread { database: &self.database, id: session.connection_id }
    }
}

fn describe(column: &MySqlColumn) -> ResultColumn {
    ResultColumn {
        column: columns::describe(column).0,
        type_name: column.type_info().name().to_owned(),
        nullable: columns::is_nullable(column),
    }
}

/// Asks the server how it would read the query's tables. MariaDB has only MySQL's first form of answer, and no name for it.
async fn explain(
    connection: &mut MySqlConnection,
    query: &Query,
    text: String,
) -> Result<Result<Vec<Scan>, String>, SourceError> {
    let text = format!("EXPLAIN /*!50720 FORMAT=TRADITIONAL */ {text}");
    match statement::bind_all(text, &query.sql).fetch_all(connection).await.map_err(of_bound_query) {
        Ok(rows) => Ok(Ok(rows.iter().filter_map(scan).collect())),
        // The example value of a parameter is none that the query takes, which says nothing about others.
        Err(SourceError::ValueRefused { .. }) => Ok(Ok(Vec::new())),
        Err(SourceError::QueryFailed { code, .. }) => Ok(Err(format!("MySQL error {code}"))),
        Err(error) => Err(error),
    }
}

fn scan(row: &MySqlRow) -> Option<Scan> {
    let access: String = row.try_get("type").ok()?;
    let table: String = row.try_get("table").ok()?;
    let rows = row.try_get::<u64, _>("rows").or_else(|_| {
        let signed: Result<i64, _> = row.try_get("rows");
        signed.map(|rows| u64::try_from(rows).unwrap_or_default())
    });
    let rows = rows.or_else(|_| row.try_get("rows").map(|rows: String| rows.parse().unwrap_or_default()));
    let is_scan = ["ALL", "index"].contains(&access.as_str()) && !table.starts_with('<');
    Some(Scan { table, rows: rows.ok()? }).filter(|_| is_scan)
}
