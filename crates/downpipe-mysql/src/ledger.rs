//! The ledger in MySQL: one table, and statements that check what they change.

use std::time::Duration;

use downpipe_core::job::{Failure, Job, JobId, JobState, NewJob};
use downpipe_core::ledger::{Claim, Lease, Ledger, LedgerError};
use downpipe_core::login::LoginSource;
use downpipe_core::receipt::Receipt;
use sqlx::mysql::{MySqlConnection, MySqlQueryResult, MySqlRow};
use sqlx::{AssertSqlSafe, Connection as _, Row as _};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::connect::Database;
use crate::errors::of_ledger;

/// How long one worker may take to tell a requester before another tries.
const NOTICE_LEASE_SECONDS: u32 = 60;

/// A connection unused for longer than this is asked whether it still lives. A Lambda's environment may have slept for an
/// hour since.
const TRUSTED_FOR: Duration = Duration::from_secs(5);

/// Every statement touches one row by its key. One that takes longer than this has met a network that swallows packets.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(20);

const COLUMNS: &str = "id, requested_by, export, request_id, message_id, message, CAST(state AS CHAR) AS state, attempt, row_count, \
    byte_count, CAST(failure AS CHAR) AS failure, CAST(receipt AS CHAR) AS receipt, \
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', created_at) AS created_at, \
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', started_at) AS started_at, \
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', finished_at) AS finished_at, \
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', notified_at) AS notified_at";

/// The ledger in MySQL, on one connection that is opened when it is first needed.
#[derive(Debug)]
pub struct MySqlLedger<L> {
    database: Database<L>,
    connection: Mutex<Option<Idle>>,
}

#[derive(Debug)]
struct Idle {
    connection: MySqlConnection,
    since: Instant,
}

impl<L: LoginSource> MySqlLedger<L> {
    /// A ledger in this database. Its tables are migrated ([`crate::migrate()`]) already.
    pub fn new(database: Database<L>) -> Self {
        Self { database, connection: Mutex::new(None) }
    }

    /// Runs one statement. Its connection is kept only if it succeeds: after an error, or when nobody waits any more,
    /// nobody knows what it is still good for.
    async fn run<T>(
        &self,
        statement: impl AsyncFnOnce(&mut MySqlConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, LedgerError> {
        let run = async {
            let mut slot = self.connection.lock().await;
            let mut connection = self.take(&mut slot).await?;
            let result = statement(&mut connection).await.map_err(of_ledger)?;
            *slot = Some(Idle { connection, since: Instant::now() });
            Ok(result)
        };
        tokio::time::timeout(STATEMENT_TIMEOUT, run)
            .await
            .unwrap_or_else(|elapsed| Err(LedgerError::Unavailable(elapsed.into())))
    }

    async fn take(&self, slot: &mut MutexGuard<'_, Option<Idle>>) -> Result<MySqlConnection, LedgerError> {
        if let Some(Idle { mut connection, since }) = slot.take()
            && (since.elapsed() < TRUSTED_FOR || connection.ping().await.is_ok())
        {
            return Ok(connection);
        }
        Ok(self.database.connect().await?)
    }

    /// A write under a lease: it changes the row of this attempt or nothing.
    async fn write(
        &self,
        lease: &Lease,
        statement: impl AsyncFnOnce(&mut MySqlConnection) -> Result<MySqlQueryResult, sqlx::Error>,
    ) -> Result<(), LedgerError> {
        match self.run(statement).await?.rows_affected() {
            0 => Err(LedgerError::LeaseLost { job: lease.job.clone(), attempt: lease.attempt }),
            _ => Ok(()),
        }
    }
}

impl<L: LoginSource> Ledger for MySqlLedger<L> {
    async fn accept(&self, job: &NewJob) -> Result<(), LedgerError> {
        self.run(async |connection| {
            sqlx::query(
                "INSERT INTO downpipe_jobs (id, request_id, requested_by, export, message_id, message, created_at) \
                 VALUES (?, ?, ?, ?, ?, ?, UTC_TIMESTAMP(6)) ON DUPLICATE KEY UPDATE id = id",
            )
            .bind(job.id.as_str())
            .bind(&job.request_id)
            .bind(&job.requested_by)
            .bind(&job.export)
            .bind(&job.message_id)
            .bind(&job.message)
            .execute(connection)
            .await
        })
        .await
        .map(drop)
    }

    async fn claim(&self, id: &JobId, owner: &str, duration: Duration) -> Result<Claim, LedgerError> {
        let claimed = self
            .run(async |connection| {
                // LAST_INSERT_ID(n) hands back the attempt that this very statement wrote.
                sqlx::query(
                    "UPDATE downpipe_jobs SET state = 'running', attempt = LAST_INSERT_ID(attempt + 1), \
                     lease_owner = ?, lease_until = UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND, \
                     row_count = 0, byte_count = 0, started_at = COALESCE(started_at, UTC_TIMESTAMP(6)) \
                     WHERE id = ? AND (state IN ('queued', 'waiting') \
                     OR (state = 'running' AND lease_until <= UTC_TIMESTAMP(6)))",
                )
                .bind(owner)
                .bind(microseconds(duration))
                .bind(id.as_str())
                .execute(connection)
                .await
            })
            .await?;
        let Some((job, lease_left)) = self.read(id).await? else { return Ok(Claim::Unknown) };
        if claimed.rows_affected() > 0 {
            // Attempts are counted from 1 in an INT column.
            let attempt = u32::try_from(claimed.last_insert_id()).unwrap_or(u32::MAX);
            return Ok(Claim::Granted(Lease { job: id.clone(), attempt, duration }, Box::new(job)));
        }
        Ok(if job.state.is_terminal() {
            Claim::Ended(Box::new(job))
        } else {
            Claim::Busy(Box::new(job), lease_left)
        })
    }

    async fn advance(&self, lease: &Lease, rows: u64, bytes: u64) -> Result<(), LedgerError> {
        self.write(lease, async |connection| {
            sqlx::query(
                "UPDATE downpipe_jobs SET row_count = ?, byte_count = ?, \
                 lease_until = UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND \
                 WHERE id = ? AND state = 'running' AND attempt = ?",
            )
            .bind(rows)
            .bind(bytes)
            .bind(microseconds(lease.duration))
            .bind(lease.job.as_str())
            .bind(lease.attempt)
            .execute(connection)
            .await
        })
        .await
    }

    async fn ready(&self, lease: &Lease, receipt: &Receipt) -> Result<(), LedgerError> {
        let json = receipt.to_json();
        self.write(lease, async |connection| {
            sqlx::query(
                "UPDATE downpipe_jobs SET state = 'ready', row_count = ?, byte_count = ?, receipt = ?, failure = NULL, \
                 finished_at = UTC_TIMESTAMP(6), lease_owner = NULL, lease_until = NULL \
                 WHERE id = ? AND state = 'running' AND attempt = ?",
            )
            .bind(receipt.rows)
            .bind(receipt.bytes)
            .bind(json)
            .bind(lease.job.as_str())
            .bind(lease.attempt)
            .execute(connection)
            .await
        })
        .await
    }

    async fn fail(&self, lease: &Lease, failure: &Failure) -> Result<(), LedgerError> {
        let sql = "UPDATE downpipe_jobs SET state = 'failed', failure = ?, finished_at = UTC_TIMESTAMP(6), \
             lease_owner = NULL, lease_until = NULL WHERE id = ? AND state = 'running' AND attempt = ?";
        self.write_failure(lease, failure, sql).await
    }

    async fn release(&self, lease: &Lease, failure: &Failure) -> Result<(), LedgerError> {
        let sql = "UPDATE downpipe_jobs SET state = 'queued', failure = ?, \
             lease_owner = NULL, lease_until = NULL WHERE id = ? AND state = 'running' AND attempt = ?";
        self.write_failure(lease, failure, sql).await
    }

    async fn claim_notice(&self, id: &JobId) -> Result<bool, LedgerError> {
        let claimed = self
            .run(async |connection| {
                sqlx::query(
                    "UPDATE downpipe_jobs SET notice_until = UTC_TIMESTAMP(6) + INTERVAL ? SECOND \
                     WHERE id = ? AND notified_at IS NULL \
                     AND (notice_until IS NULL OR notice_until <= UTC_TIMESTAMP(6))",
                )
                .bind(NOTICE_LEASE_SECONDS)
                .bind(id.as_str())
                .execute(connection)
                .await
            })
            .await?;
        Ok(claimed.rows_affected() > 0)
    }

    async fn notified(&self, id: &JobId) -> Result<(), LedgerError> {
        self.run(async |connection| {
            sqlx::query(
                "UPDATE downpipe_jobs SET notified_at = UTC_TIMESTAMP(6), notice_until = NULL WHERE id = ?",
            )
            .bind(id.as_str())
            .execute(connection)
            .await
        })
        .await
        .map(drop)
    }

    async fn release_notice(&self, id: &JobId) -> Result<(), LedgerError> {
        self.run(async |connection| {
            sqlx::query("UPDATE downpipe_jobs SET notice_until = NULL WHERE id = ?")
                .bind(id.as_str())
                .execute(connection)
                .await
        })
        .await
        .map(drop)
    }

    async fn find(&self, id: &JobId) -> Result<Option<Job>, LedgerError> {
        Ok(self.read(id).await?.map(|(job, _)| job))
    }

    async fn latest(&self, limit: u32) -> Result<Vec<Job>, LedgerError> {
        let sql = format!("SELECT {COLUMNS} FROM downpipe_jobs ORDER BY created_at DESC, id LIMIT ?");
        self.run(async |connection| {
            let rows = sqlx::query(AssertSqlSafe(sql)).bind(limit).fetch_all(connection).await?;
            rows.iter().map(job).collect()
        })
        .await
    }
}

impl<L: LoginSource> MySqlLedger<L> {
    /// A failure, written by a statement that takes it, the job and the attempt.
    async fn write_failure(
        &self,
        lease: &Lease,
        failure: &Failure,
        sql: &'static str,
    ) -> Result<(), LedgerError> {
        let json = to_json(failure);
        let (job, attempt) = (lease.job.as_str(), lease.attempt);
        self.write(lease, async |connection| {
            sqlx::query(sql).bind(json).bind(job).bind(attempt).execute(connection).await
        })
        .await
    }

    /// A job, and how long its lease still lasts.
    async fn read(&self, id: &JobId) -> Result<Option<(Job, Duration)>, LedgerError> {
        let sql = format!(
            "SELECT {COLUMNS}, GREATEST(0, COALESCE(TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(6), lease_until), 0)) \
             AS lease_left FROM downpipe_jobs WHERE id = ?"
        );
        self.run(async |connection| {
            let row = sqlx::query(AssertSqlSafe(sql)).bind(id.as_str()).fetch_optional(connection).await?;
            let Some(row) = row else { return Ok(None) };
            let left: i64 = row.try_get("lease_left")?;
            Ok(Some((job(&row)?, Duration::from_micros(left.unsigned_abs()))))
        })
        .await
    }
}

fn job(row: &MySqlRow) -> Result<Job, sqlx::Error> {
    let time = |name: &str| -> Result<Option<jiff::Timestamp>, sqlx::Error> {
        let at: Option<i64> = row.try_get(name)?;
        at.map(|at| jiff::Timestamp::from_microsecond(at).map_err(|error| unreadable(name, &error)))
            .transpose()
    };
    let text = |name: &str| row.try_get::<String, _>(name);
    let receipt: Option<String> = row.try_get("receipt")?;
    let failure: Option<String> = row.try_get("failure")?;
    Ok(Job {
        id: text("id")?.parse().map_err(|error| unreadable("id", &error))?,
        requested_by: text("requested_by")?,
        export: text("export")?,
        request_id: text("request_id")?,
        message_id: text("message_id")?,
        message: text("message")?,
        state: text("state")?.parse::<JobState>().map_err(|error| sqlx::Error::Decode(error.into()))?,
        attempt: row.try_get("attempt")?,
        rows: row.try_get("row_count")?,
        bytes: row.try_get("byte_count")?,
        failure: failure.map(|json| from_json("failure", &json)).transpose()?,
        receipt: receipt.map(|json| from_json("receipt", &json)).transpose()?,
        created_at: time("created_at")?.unwrap_or_default(),
        started_at: time("started_at")?,
        finished_at: time("finished_at")?,
        notified_at: time("notified_at")?,
    })
}

fn from_json<T: serde::de::DeserializeOwned>(column: &str, json: &str) -> Result<T, sqlx::Error> {
    serde_json::from_str(json).map_err(|error| unreadable(column, &error))
}

fn unreadable(column: &str, error: &dyn std::error::Error) -> sqlx::Error {
    sqlx::Error::Decode(format!("downpipe_jobs.{column}: {error}").into())
}

fn to_json(failure: &Failure) -> String {
    serde_json::to_string(failure).unwrap_or_else(|error| unreachable!("a failure is plain text: {error}"))
}

/// For `INTERVAL ? MICROSECOND`.
fn microseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
