//! Entries as rows of `downpipe_jobs`: which columns there are, and how they are written and read.
//!
//! Times are microseconds since 1970, so that no time zone comes between.

use std::time::Duration;

use downpipe_core::job::{Job, JobState, Receipt};
use downpipe_core::ledger::{Entry, Stored, WriteTime};
use jiff::Timestamp;
use sqlx::mysql::{MySqlArguments, MySqlConnection, MySqlQueryResult, MySqlRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, MySql, Row as _};

use crate::connection::error::is_unknown_column;

/// The columns of an entry, for [`stored`] to read.
pub(super) const COLUMNS: &str = "id, requested_by, export, request_id, fingerprint, shared_fingerprint, leads, message_id, message, CAST(state AS CHAR) AS state, \
    CAST(via AS CHAR) AS via, app, language, definition_sha256, expected_rows, \
    attempt, attempts_since_progress, resume_count, row_count, byte_count, checkpoint, owner_message_id, CAST(failure AS CHAR) AS failure, \
    CAST(receipt AS CHAR) AS receipt, cancel_requested, version, \
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', created_at) AS created_at, \
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', started_at) AS started_at, \
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', finished_at) AS finished_at, \
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', notified_at) AS notified_at, \
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', sent_at) AS sent_at, \
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', notify_lease_until) AS notify_lease_until, \
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', lease_until) AS lease_until, \
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', COALESCE(updated_at, created_at)) AS updated_at, \
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) AS now";

/// A time: bound as whether it is counted from the moment of the write, and by how many microseconds it is later than that, or than
/// 1970. See [`bind_time`].
macro_rules! time {
    () => {
        "IF(?, UTC_TIMESTAMP(6), TIMESTAMP'1970-01-01 00:00:00') + INTERVAL ? MICROSECOND"
    };
}

/// What a new row has and never changes, in the order in which [`bind_new`] binds it.
///
/// The id is NULL if it is an alias: then the server refuses the row.
const NEW: &str = concat!(
    "id = (SELECT ? FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM downpipe_job_aliases WHERE alias_id = ?)), request_id = ?, \
     requested_by = ?, export = ?, fingerprint = ?, shared_fingerprint = ?, message_id = ?, message = ?, via = ?, app = ?, \
     language = ?, expected_rows = ?, created_at = ",
    time!()
);

/// What changes of an entry, in the order in which [`bind_changes`] binds it.
///
/// Every write sets `updated_at`, and `LAST_INSERT_ID` returns that time with the answer: see [`time_of_write`].
const CHANGES: &str = concat!(
    "state = ?, attempt = ?, attempts_since_progress = ?, resume_count = ?, row_count = ?, byte_count = ?, checkpoint = ?, \
     owner_message_id = ?, failure = ?, receipt = ?, definition_sha256 = ?, cancel_requested = ?, active_fingerprint = ?, \
     leads = ?, lead_fingerprint = ?, sent_at = ",
    time!(),
    ", started_at = ",
    time!(),
    ", finished_at = ",
    time!(),
    ", notified_at = ",
    time!(),
    ", notify_lease_until = ",
    time!(),
    ", lease_until = ",
    time!(),
    ", expires_at = '1970-01-01' + INTERVAL ? MICROSECOND, \
     updated_at = TIMESTAMP'1970-01-01 00:00:00' \
     + INTERVAL LAST_INSERT_ID(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))) MICROSECOND",
);

pub(super) type Statement = Query<'static, MySql, MySqlArguments>;

/// Returns the statement that inserts an entry as version 0.
pub(super) fn insert(entry: &Entry) -> Statement {
    let query = sqlx::query(AssertSqlSafe(format!("INSERT INTO downpipe_jobs SET {NEW}, {CHANGES}")));
    bind_changes(bind_new(query, entry), entry)
}

/// Returns the statement that replaces an entry if it still has this version.
pub(super) fn update(entry: &Entry, version: u64) -> Statement {
    let sql =
        format!("UPDATE downpipe_jobs SET {CHANGES}, version = version + 1 WHERE id = ? AND version = ?");
    bind_changes(sqlx::query(AssertSqlSafe(sql)), entry).bind(entry.job.id.to_string()).bind(version)
}

/// Returns the time of a write by the server's clock.
pub(super) fn time_of_write(done: &MySqlQueryResult) -> Result<Timestamp, sqlx::Error> {
    let at = i64::try_from(done.last_insert_id()).ok().and_then(|at| Timestamp::from_microsecond(at).ok());
    at.ok_or_else(|| unreadable("updated_at", &"the server does not say when it wrote"))
}

fn bind_new(query: Statement, entry: &Entry) -> Statement {
    let job = &entry.job;
    let query = query
        .bind(job.id.to_string())
        .bind(job.id.to_string())
        .bind(job.request_id.clone())
        .bind(job.requested_by.to_string())
        .bind(job.export.clone())
        .bind(job.fingerprint.clone())
        .bind(entry.shared_fingerprint.clone())
        .bind(job.message_id.clone())
        .bind(job.message.clone())
        .bind(job.via.as_str())
        .bind(job.app.clone())
        .bind(job.language.map(|language| language.as_str()))
        .bind(job.expected_rows);
    bind_time(query, Some(job.created_at))
}

fn bind_changes(query: Statement, entry: &Entry) -> Statement {
    let job = &entry.job;
    let mut query = query
        .bind(job.state.as_str())
        .bind(job.attempt)
        .bind(job.attempts_since_progress)
        .bind(job.resume_count)
        .bind(job.rows)
        .bind(job.bytes)
        .bind(job.checkpoint.as_ref().map(to_json))
        .bind(job.owner_message_id.clone())
        .bind(job.failure.as_ref().map(to_json))
        .bind(job.receipt.as_ref().map(Receipt::to_json))
        .bind(job.definition_sha256.clone())
        .bind(entry.cancel_requested)
        .bind(entry.active_fingerprint().map(str::to_owned))
        .bind(entry.leads)
        .bind(entry.lead_fingerprint().map(str::to_owned));
    for time in [
        job.sent_at,
        job.started_at,
        job.finished_at,
        job.notified_at,
        entry.notify_lease_until,
        entry.lease_until,
    ] {
        query = bind_time(query, time);
    }
    query.bind(job.receipt.as_ref().map(|receipt| receipt.expires_at.as_microsecond()))
}

fn bind_time(query: Statement, time: Option<Timestamp>) -> Statement {
    match time.map(WriteTime::from) {
        None => query.bind(false).bind(None::<i64>),
        Some(WriteTime::At(time)) => query.bind(false).bind(Some(time.as_microsecond())),
        Some(WriteTime::AfterWrite(delay)) => query.bind(true).bind(Some(microseconds(delay))),
    }
}

/// Returns whether the tables have the columns that this version reads and writes.
pub(crate) async fn fits_tables(connection: &mut MySqlConnection) -> Result<bool, sqlx::Error> {
    let jobs = format!(
        "SELECT {COLUMNS}, active_fingerprint, lead_fingerprint, expires_at FROM downpipe_jobs LIMIT 0"
    );
    let others = [
        "SELECT alias_id, job_id, created_at FROM downpipe_job_aliases LIMIT 0",
        "SELECT id, job_id, export, title, file, requester, via, app, address, downloaded_at FROM downpipe_downloads LIMIT 0",
        "SELECT digest, good_until FROM downpipe_ended_sessions LIMIT 0",
    ];
    for sql in [jobs.as_str()].into_iter().chain(others) {
        match sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_optional(&mut *connection).await {
            Ok(_) => {}
            Err(error) if is_unknown_column(&error) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Reads a row of [`COLUMNS`].
pub(super) fn stored(row: &MySqlRow) -> Result<Stored, sqlx::Error> {
    let text = |name: &str| row.try_get::<String, _>(name);
    let language: Option<String> = row.try_get("language")?;
    let job = Job {
        id: text("id")?.parse().map_err(|error| unreadable("id", &error))?,
        requested_by: text("requested_by")?.parse().map_err(|error| unreadable("requested_by", &error))?,
        export: text("export")?,
        request_id: text("request_id")?,
        fingerprint: row.try_get("fingerprint")?,
        message_id: text("message_id")?,
        message: text("message")?,
        state: state(row)?,
        attempt: row.try_get("attempt")?,
        attempts_since_progress: row.try_get("attempts_since_progress")?,
        resume_count: row.try_get("resume_count")?,
        rows: row.try_get("row_count")?,
        bytes: row.try_get("byte_count")?,
        checkpoint: from_json(row, "checkpoint")?,
        owner_message_id: row.try_get("owner_message_id")?,
        failure: from_json(row, "failure")?,
        receipt: from_json(row, "receipt")?,
        created_at: time(row, "created_at")?.unwrap_or_default(),
        started_at: time(row, "started_at")?,
        finished_at: time(row, "finished_at")?,
        notified_at: time(row, "notified_at")?,
        language: language
            .map(|language| language.parse())
            .transpose()
            .map_err(|error| unreadable("language", &error))?,
        via: text("via")?.parse().map_err(|error: String| unreadable("via", &error))?,
        app: row.try_get("app")?,
        definition_sha256: row.try_get("definition_sha256")?,
        expected_rows: row.try_get("expected_rows")?,
        sent_at: time(row, "sent_at")?,
    };
    let entry = Entry {
        job,
        shared_fingerprint: row.try_get("shared_fingerprint")?,
        leads: row.try_get("leads")?,
        lease_until: time(row, "lease_until")?,
        notify_lease_until: time(row, "notify_lease_until")?,
        cancel_requested: row.try_get("cancel_requested")?,
        updated_at: time(row, "updated_at")?.unwrap_or_default(),
    };
    Ok(Stored { entry, version: row.try_get("version")?, now: time(row, "now")?.unwrap_or_default() })
}

pub(super) fn state(row: &MySqlRow) -> Result<JobState, sqlx::Error> {
    row.try_get::<String, _>("state")?.parse().map_err(|error: String| sqlx::Error::Decode(error.into()))
}

pub(super) fn time(row: &MySqlRow, name: &str) -> Result<Option<Timestamp>, sqlx::Error> {
    let at: Option<i64> = row.try_get(name)?;
    at.map(|at| Timestamp::from_microsecond(at).map_err(|error| unreadable(name, &error))).transpose()
}

pub(super) fn from_json<T: serde::de::DeserializeOwned>(
    row: &MySqlRow,
    column: &str,
) -> Result<Option<T>, sqlx::Error> {
    let json: Option<String> = row.try_get(column)?;
    json.map(|json| serde_json::from_str(&json).map_err(|error| unreadable(column, &error))).transpose()
}

pub(super) fn unreadable(column: &str, error: &dyn std::fmt::Display) -> sqlx::Error {
    sqlx::Error::Decode(format!("the column {column}: {error}").into())
}

fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| unreachable!("JSON can express all of it: {error}"))
}

/// Returns a duration for `INTERVAL ? MICROSECOND`.
pub(super) fn microseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
