//! The ledger's tables in MySQL, written with statements that change a row only if it has not changed since it was read.

mod access;
mod columns;
mod connections;
mod queries;
mod same_requests;

pub(crate) use self::columns::fits_tables;

use std::time::Duration;

use downpipe_core::job::{Job, JobId, Receipt};
use downpipe_core::ledger::{
    Entry, Fingerprint, Inserted, JobStatus, JobTable, Ledger, LedgerError, Replaced, StaleFilter, Stored,
};
use downpipe_core::login::LoginSource;
use jiff::Timestamp;
use sqlx::mysql::{MySqlConnection, MySqlRow};
use sqlx::{AssertSqlSafe, Row as _};

use self::columns::{COLUMNS, insert, microseconds, state, stored, time_of_write, update};
use self::connections::Connections;
use crate::connection::Database;
use crate::connection::error::{is_deadlock, is_duplicate, is_null_refused, of_ledger};

/// The longest that a statement may take. Each touches few rows by a key, so that one that takes longer has met a network that drops
/// packets.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(20);

/// How often an entry is inserted whose place is taken, by a job that has ended when it is looked for.
const MAX_INSERTS: u32 = 5;

/// The ledger in MySQL.
pub type MySqlLedger<L> = Ledger<MySqlJobTable<L>>;

/// Makes a ledger in this database, whose tables are [migrated](crate::migrate()) already.
pub fn ledger<L: LoginSource>(database: Database<L>) -> MySqlLedger<L> {
    Ledger::new(MySqlJobTable::new(database))
}

/// The tables of a ledger, on connections that are opened when they are first needed and kept for every later job.
#[derive(Debug)]
pub struct MySqlJobTable<L> {
    connections: Connections<L>,
}

/// What came of one insertion.
enum Attempted {
    /// The row is there, since this time.
    Inserted(Timestamp),
    /// The id, the active fingerprint or the lead fingerprint is another row's.
    Taken,
    /// The id is an alias.
    IsAlias,
}

impl<L: LoginSource> MySqlJobTable<L> {
    /// Makes the tables of a ledger in this database, on one connection.
    pub fn new(database: Database<L>) -> Self {
        Self::with_connections(database, 1)
    }

    /// Makes the tables of a ledger in this database, for so many statements at once.
    pub fn with_connections(database: Database<L>, connections: usize) -> Self {
        Self { connections: Connections::new(database, connections) }
    }

    /// Runs one statement. Keeps the connection only if the statement succeeds: after an error, or when the caller stopped waiting, it
    /// may be in any state.
    async fn run<T>(
        &self,
        statement: impl AsyncFnOnce(&mut MySqlConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, LedgerError> {
        // Boxed: commands and workers that contain many of these are too deep for the compiler to lay out.
        let run = Box::pin(async {
            let mut taken = self.connections.take().await?;
            let result = statement(taken.connection()).await.map_err(of_ledger)?;
            taken.put_back();
            Ok(result)
        });
        tokio::time::timeout(STATEMENT_TIMEOUT, run)
            .await
            .unwrap_or_else(|elapsed| Err(LedgerError::Unavailable(elapsed.into())))
    }

    /// Returns the job of an alias.
    async fn job_of(&self, alias: &JobId) -> Result<Option<JobId>, LedgerError> {
        let job: Option<String> = self
            .run(async |connection| {
                let query = sqlx::query_scalar("SELECT job_id FROM downpipe_job_aliases WHERE alias_id = ?");
                query.bind(alias.as_str()).fetch_optional(connection).await
            })
            .await?;
        Ok(job.and_then(|job| job.parse().ok()))
    }

    async fn try_insert(&self, entry: &Entry) -> Result<Attempted, LedgerError> {
        self.run(async |connection| match insert(entry).execute(connection).await {
            Ok(done) => time_of_write(&done).map(Attempted::Inserted),
            // Two workers that insert jobs of one fingerprint may wait for each other. Then the other job's place is taken.
            Err(error) if is_duplicate(&error) || is_deadlock(&error) => Ok(Attempted::Taken),
            Err(error) if is_null_refused(&error) => Ok(Attempted::IsAlias),
            Err(error) => Err(error),
        })
        .await
    }

    /// Makes the id an alias of the job that has not ended and has this fingerprint, and returns that job's id.
    async fn add_alias(&self, id: &JobId, active_fingerprint: &str) -> Result<Option<JobId>, LedgerError> {
        let is_alias = self
            .run(async |connection| {
                let insert = "INSERT INTO downpipe_job_aliases (alias_id, job_id, created_at) \
                     SELECT ?, id, UTC_TIMESTAMP(6) FROM downpipe_jobs WHERE active_fingerprint = ?";
                match sqlx::query(insert).bind(id.as_str()).bind(active_fingerprint).execute(connection).await
                {
                    Ok(done) => Ok(done.rows_affected() > 0),
                    Err(error) if is_duplicate(&error) => Ok(true),
                    Err(error) if is_deadlock(&error) => Ok(false),
                    Err(error) => Err(error),
                }
            })
            .await?;
        if is_alias { self.job_of(id).await } else { Ok(None) }
    }

    async fn read(&self, id: &JobId) -> Result<Option<Stored>, LedgerError> {
        let sql = format!("SELECT {COLUMNS} FROM downpipe_jobs WHERE id = ?");
        self.run(async |connection| {
            let row = sqlx::query(AssertSqlSafe(sql)).bind(id.as_str()).fetch_optional(connection).await?;
            row.as_ref().map(stored).transpose()
        })
        .await
    }

    /// Returns the jobs that a condition selects, in its order. `time` is bound to its placeholder, if it has one.
    async fn jobs(&self, condition: &str, time: Duration, limit: u32) -> Result<Vec<Job>, LedgerError> {
        let sql = format!("SELECT {COLUMNS} FROM downpipe_jobs {condition} LIMIT ?");
        let takes_time = condition.contains('?');
        self.run(async |connection| {
            let mut query = sqlx::query(AssertSqlSafe(sql));
            if takes_time {
                query = query.bind(microseconds(time));
            }
            let rows = query.bind(limit).fetch_all(connection).await?;
            rows.iter().map(|row| Ok(stored(row)?.entry.job)).collect()
        })
        .await
    }
}

impl<L: LoginSource> JobTable for MySqlJobTable<L> {
    async fn insert(&self, entry: &Entry) -> Result<Inserted, LedgerError> {
        let id = &entry.job.id;
        for _ in 0..MAX_INSERTS {
            match self.try_insert(entry).await? {
                Attempted::Inserted(now) => return Ok(Inserted::New(now)),
                Attempted::Taken => {}
                // The job may have been deleted since, with its aliases. Then the id is free.
                Attempted::IsAlias => match self.job_of(id).await? {
                    Some(job) => return Ok(Inserted::SameAs(job)),
                    None => continue,
                },
            }
            if self.status(id).await?.is_some() {
                return Ok(Inserted::Known);
            }
            if let Some(active_fingerprint) = entry.active_fingerprint()
                && let Some(job) = self.add_alias(id, active_fingerprint).await?
            {
                return Ok(Inserted::SameAs(job));
            }
            if let Some(lead_fingerprint) = entry.lead_fingerprint()
                && self.is_led(lead_fingerprint).await?
            {
                return Ok(Inserted::LeadTaken);
            }
        }
        Err(LedgerError::Unavailable("the job's place was taken and left again and again".into()))
    }

    async fn get(&self, id: &JobId) -> Result<Option<Stored>, LedgerError> {
        if let Some(stored) = self.read(id).await? {
            return Ok(Some(stored));
        }
        match self.job_of(id).await? {
            Some(job) => self.read(&job).await,
            None => Ok(None),
        }
    }

    async fn replace(&self, read: &Stored, entry: &Entry) -> Result<Replaced, LedgerError> {
        self.run(async |connection| {
            match update(entry, read.version).execute(connection).await {
                Ok(done) if done.rows_affected() > 0 => time_of_write(&done).map(Replaced::At),
                Ok(_) => Ok(Replaced::Outdated),
                // The only unique key that a job may take after its insertion.
                Err(error) if is_duplicate(&error) => Ok(Replaced::LeadTaken),
                // The caller reads the entry again, and tries again.
                Err(error) if is_deadlock(&error) => Ok(Replaced::Outdated),
                Err(error) => Err(error),
            }
        })
        .await
    }

    async fn delete(&self, read: &Stored) -> Result<bool, LedgerError> {
        self.run(async |connection| {
            // In one statement, because an alias without its job would never be found again.
            let sql = "DELETE jobs, aliases FROM downpipe_jobs AS jobs \
                 LEFT JOIN downpipe_job_aliases AS aliases ON aliases.job_id = jobs.id \
                 WHERE jobs.id = ? AND jobs.version = ?";
            let query = sqlx::query(sql).bind(read.entry.job.id.as_str()).bind(read.version);
            Ok(query.execute(connection).await?.rows_affected() > 0)
        })
        .await
    }

    async fn status(&self, id: &JobId) -> Result<Option<JobStatus>, LedgerError> {
        self.run(async |connection| {
            let sql =
                "SELECT CAST(state AS CHAR) AS state, attempt, cancel_requested FROM downpipe_jobs WHERE id = ?";
            let row = sqlx::query(sql).bind(id.as_str()).fetch_optional(connection).await?;
            let status = |row: &MySqlRow| {
                let (state, attempt) = (state(row)?, row.try_get("attempt")?);
                Ok(JobStatus { state, attempt, cancel_requested: row.try_get("cancel_requested")? })
            };
            row.as_ref().map(status).transpose()
        })
        .await
    }

    async fn reusable_receipt(
        &self,
        fingerprint: Fingerprint<'_>,
        max_age: Duration,
    ) -> Result<Option<Receipt>, LedgerError> {
        self.receipt_of(fingerprint, max_age).await
    }

    async fn last_led(&self, shared_fingerprint: &str, since: Timestamp) -> Result<Option<Job>, LedgerError> {
        self.led_since(shared_fingerprint, since).await
    }

    async fn followers(&self, shared_fingerprint: &str, limit: u32) -> Result<Vec<JobId>, LedgerError> {
        self.queued_behind(shared_fingerprint, limit).await
    }

    async fn stale(&self, filter: StaleFilter, limit: u32) -> Result<Vec<Job>, LedgerError> {
        // The rule of the ledger in a form that has indexes. The ledger's contract compares the two.
        let (condition, time) = match filter {
            StaleFilter::Unnotified(time) => (
                "WHERE state IN ('ready', 'failed', 'cancelled') AND updated_at <= UTC_TIMESTAMP(6) - INTERVAL ? MICROSECOND \
                 AND (notified_at IS NULL OR checkpoint IS NOT NULL) \
                 AND (notify_lease_until IS NULL OR notify_lease_until <= UTC_TIMESTAMP(6)) ORDER BY updated_at, id",
                time,
            ),
            StaleFilter::LeaseExpired(time) => (
                "WHERE state = 'running' AND (lease_until IS NULL \
                 OR lease_until <= UTC_TIMESTAMP(6) - INTERVAL ? MICROSECOND) ORDER BY updated_at, id",
                time,
            ),
            StaleFilter::Unsent(time) => (
                "WHERE state = 'queued' AND attempt = 0 AND via <> 'queue' AND sent_at IS NULL \
                 AND updated_at <= UTC_TIMESTAMP(6) - INTERVAL ? MICROSECOND ORDER BY updated_at, id",
                time,
            ),
            StaleFilter::Idle(time) => (
                "WHERE state IN ('queued', 'waiting') AND updated_at <= UTC_TIMESTAMP(6) - INTERVAL ? MICROSECOND \
                 ORDER BY updated_at, id",
                time,
            ),
            StaleFilter::PastLedgerRetention(time) => (
                "WHERE state IN ('expired', 'failed', 'cancelled') AND updated_at <= UTC_TIMESTAMP(6) - INTERVAL ? MICROSECOND \
                 AND (state = 'expired' OR notified_at IS NOT NULL AND checkpoint IS NULL) ORDER BY updated_at, id",
                time,
            ),
            StaleFilter::PastRetention => (
                "WHERE state = 'ready' AND expires_at <= UTC_TIMESTAMP(6) ORDER BY updated_at, id",
                Duration::ZERO,
            ),
        };
        self.jobs(condition, time, limit).await
    }

    async fn forget_access(&self, limit: u32) -> Result<u64, LedgerError> {
        self.delete_old_access(limit).await
    }
}
