//! Downloads, and sessions that have ended.

use downpipe_core::job::JobId;
use downpipe_core::ledger::{AccessRecords, DOWNLOAD_RETENTION, Download, LedgerError, MAX_DOWNLOADS};
use downpipe_core::login::LoginSource;
use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::mysql::MySqlRow;

use super::MySqlJobTable;
use super::columns::{microseconds, time, unreadable};
use crate::connection::error::is_duplicate;

impl<L: LoginSource> AccessRecords for MySqlJobTable<L> {
    async fn record_download(&self, download: &Download) -> Result<(), LedgerError> {
        self.run(async |connection| {
            let sql = "INSERT INTO downpipe_downloads SET job_id = ?, export = ?, title = ?, file = ?, requester = ?, \
                 via = ?, app = ?, address = ?, downloaded_at = TIMESTAMP'1970-01-01 00:00:00' + INTERVAL ? MICROSECOND";
            let query = sqlx::query(sql)
                .bind(download.job.as_str())
                .bind(&download.export)
                .bind(&download.title)
                .bind(download.file)
                .bind(download.requester.as_ref().map(ToString::to_string))
                .bind(download.via.as_str())
                .bind(&download.app)
                .bind(&download.address)
                .bind(download.at.as_microsecond());
            query.execute(connection).await.map(drop)
        })
        .await
    }

    async fn downloads(&self, job: &JobId) -> Result<Vec<Download>, LedgerError> {
        self.run(async |connection| {
            let sql = "SELECT job_id, export, title, file, requester, CAST(via AS CHAR) AS via, app, address, \
                 TIMESTAMPDIFF(MICROSECOND, '1970-01-01', downloaded_at) AS downloaded_at FROM downpipe_downloads \
                 WHERE job_id = ? AND downloaded_at > UTC_TIMESTAMP(6) - INTERVAL ? MICROSECOND \
                 ORDER BY downloaded_at DESC, id DESC LIMIT ?";
            let query = sqlx::query(sql).bind(job.as_str()).bind(microseconds(DOWNLOAD_RETENTION));
            let rows = query.bind(MAX_DOWNLOADS).fetch_all(connection).await?;
            rows.iter().rev().map(download).collect()
        })
        .await
    }

    async fn end_session(&self, digest: &str, until: Timestamp) -> Result<(), LedgerError> {
        self.run(async |connection| {
            let sql = "INSERT INTO downpipe_ended_sessions SET digest = ?, good_until = TIMESTAMP'1970-01-01 00:00:00' + INTERVAL ? MICROSECOND";
            match sqlx::query(sql).bind(digest).bind(until.as_microsecond()).execute(connection).await {
                Err(error) if !is_duplicate(&error) => Err(error),
                _ => Ok(()),
            }
        })
        .await
    }

    async fn is_session_ended(&self, digest: &str) -> Result<bool, LedgerError> {
        self.run(async |connection| {
            let sql = "SELECT digest FROM downpipe_ended_sessions WHERE digest = ? AND good_until > UTC_TIMESTAMP(6)";
            Ok(sqlx::query(sql).bind(digest).fetch_optional(connection).await?.is_some())
        })
        .await
    }
}

impl<L: LoginSource> MySqlJobTable<L> {
    /// See [`JobTable::forget_access`](downpipe_core::ledger::JobTable::forget_access).
    pub(super) async fn delete_old_access(&self, limit: u32) -> Result<u64, LedgerError> {
        let downloads = self
            .run(async |connection| {
                let sql = "DELETE FROM downpipe_downloads \
                     WHERE downloaded_at <= UTC_TIMESTAMP(6) - INTERVAL ? MICROSECOND LIMIT ?";
                let query = sqlx::query(sql).bind(microseconds(DOWNLOAD_RETENTION)).bind(limit);
                Ok(query.execute(connection).await?.rows_affected())
            })
            .await?;
        let sessions = self
            .run(async |connection| {
                let sql = "DELETE FROM downpipe_ended_sessions WHERE good_until <= UTC_TIMESTAMP(6) LIMIT ?";
                Ok(sqlx::query(sql).bind(limit).execute(connection).await?.rows_affected())
            })
            .await?;
        Ok(downloads + sessions)
    }
}

fn download(row: &MySqlRow) -> Result<Download, sqlx::Error> {
    let text = |name: &str| row.try_get::<String, _>(name);
    let requester: Option<String> = row.try_get("requester")?;
    let requester = requester.map(|requester| requester.parse()).transpose();
    Ok(Download {
        job: text("job_id")?.parse().map_err(|error| unreadable("job_id", &error))?,
        export: text("export")?,
        title: text("title")?,
        file: row.try_get("file")?,
        requester: requester.map_err(|error| unreadable("requester", &error))?,
        via: text("via")?.parse().map_err(|error: String| unreadable("via", &error))?,
        app: row.try_get("app")?,
        address: row.try_get("address")?,
        at: time(row, "downloaded_at")?.unwrap_or_default(),
    })
}
