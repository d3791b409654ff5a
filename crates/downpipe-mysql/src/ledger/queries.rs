//! Questions about many jobs.

use downpipe_core::job::{Job, JobId};
use downpipe_core::ledger::{Cursor, JobFilter, JobQueries, LedgerError};
use downpipe_core::login::LoginSource;
use downpipe_core::requester::Requester;
use jiff::Timestamp;
use sqlx::AssertSqlSafe;

use super::MySqlJobTable;
use super::columns::{COLUMNS, Statement, stored};

/// A time that is bound as microseconds since 1970.
macro_rules! moment {
    () => {
        "TIMESTAMP'1970-01-01 00:00:00' + INTERVAL ? MICROSECOND"
    };
}

/// A value for a placeholder.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Bound {
    Text(String),
    Micros(i64),
}

/// Conditions of a query, and the values of their placeholders.
#[derive(Debug, Default)]
struct Conditions {
    sql: Vec<&'static str>,
    bound: Vec<Bound>,
}

impl Conditions {
    fn add(&mut self, sql: &'static str, bound: impl IntoIterator<Item = Bound>) {
        self.sql.push(sql);
        self.bound.extend(bound);
    }

    fn sql(&self) -> String {
        if self.sql.is_empty() { String::new() } else { format!("WHERE {}", self.sql.join(" AND ")) }
    }

    fn bind(self, query: Statement) -> Statement {
        self.bound.into_iter().fold(query, |query, bound| match bound {
            Bound::Text(text) => query.bind(text),
            Bound::Micros(micros) => query.bind(micros),
        })
    }
}

/// Returns the conditions of a page of jobs.
fn of_page(filter: &JobFilter<'_>, after: Option<&Cursor>) -> Conditions {
    let text = |text: &str| Bound::Text(text.to_owned());
    let micros = |at: Timestamp| Bound::Micros(at.as_microsecond());
    let mut conditions = Conditions::default();
    if let Some(requester) = filter.requester {
        conditions.add("requested_by = ?", [text(requester.as_str())]);
    }
    if let Some(state) = filter.state {
        conditions.add("state = ?", [text(state.as_str())]);
    }
    if let Some(export) = filter.export {
        conditions.add("export = ?", [text(export)]);
    }
    if let Some(since) = filter.since {
        conditions.add(concat!("created_at >= ", moment!()), [micros(since)]);
    }
    if let Some(after) = after {
        // Not as one comparison of two pairs, for which the server uses no index.
        let at = micros(after.created_at());
        conditions.add(concat!("created_at <= ", moment!()), [at.clone()]);
        conditions.add(concat!("(created_at < ", moment!(), " OR id < ?)"), [at, text(after.id().as_str())]);
    }
    conditions
}

impl<L: LoginSource> MySqlJobTable<L> {
    /// Returns the jobs of a query, in its order.
    async fn select(&self, conditions: Conditions, order: &str, limit: u32) -> Result<Vec<Job>, LedgerError> {
        let sql = format!("SELECT {COLUMNS} FROM downpipe_jobs {} {order} LIMIT ?", conditions.sql());
        self.run(async |connection| {
            let query = conditions.bind(sqlx::query(AssertSqlSafe(sql))).bind(limit);
            let rows = query.fetch_all(connection).await?;
            rows.iter().map(|row| Ok(stored(row)?.entry.job)).collect()
        })
        .await
    }
}

impl<L: LoginSource> JobQueries for MySqlJobTable<L> {
    async fn jobs_of(
        &self,
        filter: &JobFilter<'_>,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Vec<Job>, LedgerError> {
        self.select(of_page(filter, after), "ORDER BY created_at DESC, id DESC", limit).await
    }

    async fn several(&self, ids: &[JobId]) -> Result<Vec<Job>, LedgerError> {
        let places = vec!["?"; ids.len()].join(", ");
        let sql = format!("SELECT {COLUMNS} FROM downpipe_jobs WHERE id IN ({places})");
        self.run(async |connection| {
            let query =
                ids.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, id| query.bind(id.to_string()));
            let rows = query.fetch_all(connection).await?;
            rows.iter().map(|row| Ok(stored(row)?.entry.job)).collect()
        })
        .await
    }

    async fn ahead(&self, job: &Job) -> Result<u64, LedgerError> {
        let count: i64 = self
            .run(async |connection| {
                let sql = concat!(
                    "SELECT COUNT(*) FROM downpipe_jobs WHERE state IN ('queued', 'waiting') AND updated_at < ",
                    moment!(),
                    " AND id <> ?"
                );
                let query = sqlx::query_scalar(sql).bind(job.queued_at().as_microsecond());
                query.bind(job.id.as_str()).fetch_one(connection).await
            })
            .await?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    async fn last_of_definition(&self, definition_sha256: &str, limit: u32) -> Result<Vec<Job>, LedgerError> {
        let mut conditions = Conditions::default();
        conditions.add("definition_sha256 = ?", [Bound::Text(definition_sha256.to_owned())]);
        conditions.add("state IN ('ready', 'expired') AND attempt > 0", []);
        conditions.add("CONVERT(JSON_UNQUOTE(JSON_EXTRACT(receipt, '$.job_id')) USING ascii) = id", []);
        self.select(conditions, "ORDER BY finished_at DESC", limit).await
    }

    async fn unended_of(&self, requester: &Requester, limit: u32) -> Result<Vec<Job>, LedgerError> {
        let mut conditions = Conditions::default();
        conditions.add("requested_by = ? AND finished_at IS NULL", [Bound::Text(requester.to_string())]);
        self.select(conditions, "", limit).await
    }
}
