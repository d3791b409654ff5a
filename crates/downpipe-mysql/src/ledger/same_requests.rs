//! Questions about jobs of one fingerprint: which of them leads, which wait, and what they came to.

use std::time::Duration;

use downpipe_core::job::{Job, JobId, Receipt};
use downpipe_core::ledger::{Fingerprint, LedgerError};
use downpipe_core::login::LoginSource;
use jiff::Timestamp;
use sqlx::{AssertSqlSafe, Row as _};

use super::MySqlJobTable;
use super::columns::{COLUMNS, from_json, microseconds, stored};

impl<L: LoginSource> MySqlJobTable<L> {
    /// Returns whether a job leads for this fingerprint.
    pub(super) async fn is_led(&self, lead_fingerprint: &str) -> Result<bool, LedgerError> {
        self.run(async |connection| {
            let query = sqlx::query("SELECT id FROM downpipe_jobs WHERE lead_fingerprint = ?");
            Ok(query.bind(lead_fingerprint).fetch_optional(connection).await?.is_some())
        })
        .await
    }

    /// See [`JobTable::reusable_receipt`](downpipe_core::ledger::JobTable::reusable_receipt).
    pub(super) async fn receipt_of(
        &self,
        fingerprint: Fingerprint<'_>,
        max_age: Duration,
    ) -> Result<Option<Receipt>, LedgerError> {
        let (column, fingerprint) = match fingerprint {
            Fingerprint::OfRequester(fingerprint) => ("fingerprint", fingerprint),
            Fingerprint::Shared(fingerprint) => ("shared_fingerprint", fingerprint),
        };
        // The receipt names the job that made the file. Jobs that were given another's do not count.
        let sql = format!(
            "SELECT CAST(receipt AS CHAR) AS receipt, expires_at > UTC_TIMESTAMP(6) AS is_kept FROM downpipe_jobs \
             WHERE {column} = ? AND state = 'ready' AND attempt > 0 \
             AND CONVERT(JSON_UNQUOTE(JSON_EXTRACT(receipt, '$.job_id')) USING ascii) = id \
             AND finished_at >= UTC_TIMESTAMP(6) - INTERVAL ? MICROSECOND ORDER BY finished_at DESC LIMIT 1"
        );
        self.run(async |connection| {
            let query = sqlx::query(AssertSqlSafe(sql)).bind(fingerprint).bind(microseconds(max_age));
            match query.fetch_optional(connection).await? {
                Some(row) if row.try_get("is_kept")? => from_json(&row, "receipt"),
                _ => Ok(None),
            }
        })
        .await
    }

    /// See [`JobTable::last_led`](downpipe_core::ledger::JobTable::last_led).
    pub(super) async fn led_since(
        &self,
        shared_fingerprint: &str,
        since: Timestamp,
    ) -> Result<Option<Job>, LedgerError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM downpipe_jobs WHERE shared_fingerprint = ? AND leads AND state IN ('ready', 'failed') \
             AND finished_at >= TIMESTAMP'1970-01-01 00:00:00' + INTERVAL ? MICROSECOND ORDER BY finished_at DESC LIMIT 1"
        );
        self.run(async |connection| {
            let query = sqlx::query(AssertSqlSafe(sql)).bind(shared_fingerprint).bind(since.as_microsecond());
            let row = query.fetch_optional(connection).await?;
            row.as_ref().map(|row| Ok(stored(row)?.entry.job)).transpose()
        })
        .await
    }

    /// See [`JobTable::followers`](downpipe_core::ledger::JobTable::followers).
    pub(super) async fn queued_behind(
        &self,
        shared_fingerprint: &str,
        limit: u32,
    ) -> Result<Vec<JobId>, LedgerError> {
        let ids: Vec<String> = self
            .run(async |connection| {
                let sql = "SELECT id FROM downpipe_jobs WHERE shared_fingerprint = ? AND finished_at IS NULL \
                     AND state = 'queued' AND NOT leads ORDER BY created_at, id LIMIT ?";
                sqlx::query_scalar(sql).bind(shared_fingerprint).bind(limit).fetch_all(connection).await
            })
            .await?;
        Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
    }
}
