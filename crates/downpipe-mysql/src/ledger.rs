//! The ledger in MySQL: a table of jobs, and statements that change a row only if nobody else has changed it since.

use std::time::Duration;

use downpipe_core::entry::Entry;
use downpipe_core::job::{Job, JobId, JobState};
use downpipe_core::ledger::{Due, Inserted, JobTable, LedgerError, Stored};
use downpipe_core::login::LoginSource;
use downpipe_core::receipt::Receipt;
use jiff::Timestamp;
use sqlx::mysql::{MySqlArguments, MySqlConnection, MySqlRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Connection as _, MySql, Row as _};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::connect::Database;
use crate::errors::{is_duplicate, of_ledger};

/// A connection unused for longer than this is asked whether it still lives. A Lambda's environment may have slept for an
/// hour since.
const TRUSTED_FOR: Duration = Duration::from_secs(5);

/// Every statement touches few rows by a key. One that takes longer than this has met a network that swallows packets.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(20);

/// How often an entry is inserted whose place is taken by one that has ended when it is looked for.
const INSERTS: u32 = 5;

/// The job's columns. Times are microseconds since 1970, so that no time zone comes between.
const COLUMNS: &str = "id, requested_by, export, request_id, sameness, message_id, message, CAST(state AS CHAR) AS state, \
    attempt, tries, continuations, row_count, byte_count, checkpoint, lease_owner, CAST(failure AS CHAR) AS failure, \
    CAST(receipt AS CHAR) AS receipt, cancel_wanted, version, \
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', created_at) AS created_at, \
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', started_at) AS started_at, \
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', finished_at) AS finished_at, \
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', notified_at) AS notified_at, \
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', notice_until) AS notice_until, \
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', lease_until) AS lease_until, \
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', COALESCE(updated_at, created_at)) AS updated_at, \
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) AS now";

/// A time that is bound as microseconds since 1970.
macro_rules! at {
    () => {
        "'1970-01-01' + INTERVAL ? MICROSECOND"
    };
}

/// What changes of an entry, in the order in which [`bind_changes`] binds it.
const CHANGES: &str = concat!(
    "state = ?, attempt = ?, tries = ?, continuations = ?, row_count = ?, byte_count = ?, checkpoint = ?, lease_owner = ?, \
     failure = ?, receipt = ?, cancel_wanted = ?, exclusive = ?, started_at = ",
    at!(),
    ", finished_at = ",
    at!(),
    ", notified_at = ",
    at!(),
    ", notice_until = ",
    at!(),
    ", lease_until = ",
    at!(),
    ", updated_at = ",
    at!(),
    ", expires_at = ",
    at!(),
);

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
        // Boxed: commands and workers that contain many of these are too deep for the compiler to lay out.
        let run = Box::pin(async {
            let mut slot = self.connection.lock().await;
            let mut connection = self.take(&mut slot).await?;
            let result = statement(&mut connection).await.map_err(of_ledger)?;
            *slot = Some(Idle { connection, since: Instant::now() });
            Ok(result)
        });
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

    /// The job that another name stands for.
    async fn named(&self, id: &JobId) -> Result<Option<JobId>, LedgerError> {
        let job: Option<String> = self
            .run(async |connection| {
                let query = sqlx::query_scalar("SELECT job FROM downpipe_other_names WHERE id = ?");
                query.bind(id.as_str()).fetch_optional(connection).await
            })
            .await?;
        Ok(job.and_then(|job| job.parse().ok()))
    }

    /// Inserts the entry, unless its id or its exclusive key is there already.
    async fn try_insert(&self, entry: &Entry) -> Result<bool, LedgerError> {
        const SQL: &str = concat!(
            "INSERT INTO downpipe_jobs SET id = ?, request_id = ?, requested_by = ?, export = ?, sameness = ?, message_id = ?, \
             message = ?, created_at = ",
            at!()
        );
        let job = &entry.job;
        self.run(async |connection| {
            let query = sqlx::query(AssertSqlSafe(format!("{SQL}, {CHANGES}")))
                .bind(job.id.as_str())
                .bind(&job.request_id)
                .bind(&job.requested_by)
                .bind(&job.export)
                .bind(&job.sameness)
                .bind(&job.message_id)
                .bind(&job.message)
                .bind(job.created_at.as_microsecond());
            match bind_changes(query, entry).execute(connection).await {
                Ok(_) => Ok(true),
                Err(error) if is_duplicate(&error) => Ok(false),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// Makes the id another name for the job that has not ended and has this key, and gives that job's id.
    async fn name_after(&self, id: &JobId, exclusive: &str) -> Result<Option<JobId>, LedgerError> {
        let named = self
            .run(async |connection| {
                let insert = "INSERT INTO downpipe_other_names (id, job, created_at) \
                     SELECT ?, id, UTC_TIMESTAMP(6) FROM downpipe_jobs WHERE exclusive = ?";
                match sqlx::query(insert).bind(id.as_str()).bind(exclusive).execute(connection).await {
                    Ok(done) => Ok(done.rows_affected() > 0),
                    Err(error) if is_duplicate(&error) => Ok(true),
                    Err(error) => Err(error),
                }
            })
            .await?;
        if named { self.named(id).await } else { Ok(None) }
    }

    async fn read(&self, id: &JobId) -> Result<Option<Stored>, LedgerError> {
        let sql = format!("SELECT {COLUMNS} FROM downpipe_jobs WHERE id = ?");
        self.run(async |connection| {
            let row = sqlx::query(AssertSqlSafe(sql)).bind(id.as_str()).fetch_optional(connection).await?;
            row.as_ref().map(stored).transpose()
        })
        .await
    }

    /// The jobs that a query selects; it ends in `LIMIT ?`.
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

impl<L: LoginSource> JobTable for MySqlLedger<L> {
    async fn now(&self) -> Result<Timestamp, LedgerError> {
        self.run(async |connection| {
            let sql = "SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) AS now";
            time(&sqlx::query(sql).fetch_one(connection).await?, "now").map(Option::unwrap_or_default)
        })
        .await
    }

    async fn insert(&self, entry: &Entry) -> Result<Inserted, LedgerError> {
        let id = &entry.job.id;
        if let Some(job) = self.named(id).await? {
            return Ok(Inserted::SameAs(job));
        }
        for _ in 0..INSERTS {
            if self.try_insert(entry).await? {
                return Ok(Inserted::New);
            }
            if self.peek(id).await?.is_some() {
                return Ok(Inserted::Known);
            }
            let Some(exclusive) = entry.exclusive() else { continue };
            if let Some(job) = self.name_after(id, exclusive).await? {
                return Ok(Inserted::SameAs(job));
            }
        }
        Err(LedgerError::Unavailable("the job's place was taken and left again and again".into()))
    }

    async fn get(&self, id: &JobId) -> Result<Option<Stored>, LedgerError> {
        if let Some(stored) = self.read(id).await? {
            return Ok(Some(stored));
        }
        match self.named(id).await? {
            Some(job) => self.read(&job).await,
            None => Ok(None),
        }
    }

    async fn replace(&self, entry: &Entry, version: u64) -> Result<bool, LedgerError> {
        let sql =
            format!("UPDATE downpipe_jobs SET {CHANGES}, version = version + 1 WHERE id = ? AND version = ?");
        let done = self
            .run(async |connection| {
                let query = bind_changes(sqlx::query(AssertSqlSafe(sql)), entry);
                query.bind(entry.job.id.as_str()).bind(version).execute(connection).await
            })
            .await?;
        Ok(done.rows_affected() > 0)
    }

    async fn peek(&self, id: &JobId) -> Result<Option<(JobState, u32, bool)>, LedgerError> {
        self.run(async |connection| {
            let sql =
                "SELECT CAST(state AS CHAR) AS state, attempt, cancel_wanted FROM downpipe_jobs WHERE id = ?";
            let row = sqlx::query(sql).bind(id.as_str()).fetch_optional(connection).await?;
            let peek =
                |row: &MySqlRow| Ok((state(row)?, row.try_get("attempt")?, row.try_get("cancel_wanted")?));
            row.as_ref().map(peek).transpose()
        })
        .await
    }

    async fn ready_since(&self, sameness: &str, since: Timestamp) -> Result<Option<Receipt>, LedgerError> {
        const SQL: &str = concat!(
            "SELECT CAST(receipt AS CHAR) AS receipt FROM downpipe_jobs WHERE sameness = ? AND state = 'ready' AND attempt > 0 AND finished_at >= ",
            at!(),
            " ORDER BY finished_at DESC LIMIT 1"
        );
        self.run(async |connection| {
            let query = sqlx::query(SQL).bind(sameness).bind(since.as_microsecond());
            let Some(row) = query.fetch_optional(connection).await? else { return Ok(None) };
            from_json(&row, "receipt")
        })
        .await
    }

    async fn newest(&self, limit: u32) -> Result<Vec<Job>, LedgerError> {
        self.jobs("ORDER BY created_at DESC, id", Duration::ZERO, limit).await
    }

    async fn neglected(&self, due: Due, limit: u32) -> Result<Vec<Job>, LedgerError> {
        // As `Entry::is_due`, in a form for which there are indexes; the ledger's contract holds one against the other.
        let (condition, time) = match due {
            Due::Untold(time) => (
                "WHERE state IN ('ready', 'failed', 'cancelled') AND updated_at <= UTC_TIMESTAMP(6) - INTERVAL ? MICROSECOND \
                 AND (notified_at IS NULL OR checkpoint IS NOT NULL) \
                 AND (notice_until IS NULL OR notice_until <= UTC_TIMESTAMP(6)) ORDER BY updated_at, id",
                time,
            ),
            Due::LeaseOver(time) => (
                "WHERE state = 'running' AND (lease_until IS NULL \
                 OR lease_until <= UTC_TIMESTAMP(6) - INTERVAL ? MICROSECOND) ORDER BY updated_at, id",
                time,
            ),
            Due::Idle(time) => (
                "WHERE state IN ('queued', 'waiting') AND updated_at <= UTC_TIMESTAMP(6) - INTERVAL ? MICROSECOND \
                 ORDER BY updated_at, id",
                time,
            ),
            Due::PastRetention => (
                "WHERE state = 'ready' AND expires_at <= UTC_TIMESTAMP(6) ORDER BY updated_at, id",
                Duration::ZERO,
            ),
        };
        self.jobs(condition, time, limit).await
    }
}

type Statement = Query<'static, MySql, MySqlArguments>;

/// Binds what [`CHANGES`] names.
fn bind_changes(query: Statement, entry: &Entry) -> Statement {
    let Entry { job, lease_until, notice_until, cancel_wanted, updated_at } = entry;
    let micros = |at: &Option<Timestamp>| at.map(Timestamp::as_microsecond);
    query
        .bind(job.state.as_str())
        .bind(job.attempt)
        .bind(job.tries)
        .bind(job.continuations)
        .bind(job.rows)
        .bind(job.bytes)
        .bind(job.checkpoint.as_ref().map(to_json))
        .bind(job.owner.clone())
        .bind(job.failure.as_ref().map(to_json))
        .bind(job.receipt.as_ref().map(Receipt::to_json))
        .bind(*cancel_wanted)
        .bind(entry.exclusive().map(str::to_owned))
        .bind(micros(&job.started_at))
        .bind(micros(&job.finished_at))
        .bind(micros(&job.notified_at))
        .bind(micros(notice_until))
        .bind(micros(lease_until))
        .bind(updated_at.as_microsecond())
        .bind(job.receipt.as_ref().map(|receipt| receipt.expires_at.as_microsecond()))
}

fn stored(row: &MySqlRow) -> Result<Stored, sqlx::Error> {
    let text = |name: &str| row.try_get::<String, _>(name);
    let job = Job {
        id: text("id")?.parse().map_err(|error| unreadable("id", &error))?,
        requested_by: text("requested_by")?,
        export: text("export")?,
        request_id: text("request_id")?,
        sameness: row.try_get("sameness")?,
        message_id: text("message_id")?,
        message: text("message")?,
        state: state(row)?,
        attempt: row.try_get("attempt")?,
        tries: row.try_get("tries")?,
        continuations: row.try_get("continuations")?,
        rows: row.try_get("row_count")?,
        bytes: row.try_get("byte_count")?,
        checkpoint: from_json(row, "checkpoint")?,
        owner: row.try_get("lease_owner")?,
        failure: from_json(row, "failure")?,
        receipt: from_json(row, "receipt")?,
        created_at: time(row, "created_at")?.unwrap_or_default(),
        started_at: time(row, "started_at")?,
        finished_at: time(row, "finished_at")?,
        notified_at: time(row, "notified_at")?,
    };
    let entry = Entry {
        job,
        lease_until: time(row, "lease_until")?,
        notice_until: time(row, "notice_until")?,
        cancel_wanted: row.try_get("cancel_wanted")?,
        updated_at: time(row, "updated_at")?.unwrap_or_default(),
    };
    Ok(Stored { entry, version: row.try_get("version")?, now: time(row, "now")?.unwrap_or_default() })
}

fn state(row: &MySqlRow) -> Result<JobState, sqlx::Error> {
    row.try_get::<String, _>("state")?.parse().map_err(|error: String| sqlx::Error::Decode(error.into()))
}

fn time(row: &MySqlRow, name: &str) -> Result<Option<Timestamp>, sqlx::Error> {
    let at: Option<i64> = row.try_get(name)?;
    at.map(|at| Timestamp::from_microsecond(at).map_err(|error| unreadable(name, &error))).transpose()
}

fn from_json<T: serde::de::DeserializeOwned>(row: &MySqlRow, column: &str) -> Result<Option<T>, sqlx::Error> {
    let json: Option<String> = row.try_get(column)?;
    json.map(|json| serde_json::from_str(&json).map_err(|error| unreadable(column, &error))).transpose()
}

fn unreadable(column: &str, error: &dyn std::error::Error) -> sqlx::Error {
    sqlx::Error::Decode(format!("downpipe_jobs.{column}: {error}").into())
}

fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value)
        .unwrap_or_else(|error| unreachable!("there is nothing in it that JSON cannot say: {error}"))
}

/// For `INTERVAL ? MICROSECOND`.
fn microseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
