//! Entries as items: which attributes there are, and how they are written and read.
//!
//! | Item | Key | What it says |
//! |---|---|---|
//! | a job | `job#ID` | all of an entry, its version, and the write that made it |
//! | an alias | `job#ID` | `alias_of`: the job. So one id is never both |
//! | an active fingerprint | `active#FINGERPRINT` | `job`: the one job that has not ended |
//! | a lead | `lead#SHARED` | `job`: the one job that works for all requests of the shared fingerprint |
//! | a file to reuse | `ready#FINGERPRINT`, `shared-ready#SHARED` | `job`: the latest that made its file |
//! | a result | `led#SHARED` | `job`: the latest that led and ended as ready or failed; `written_before`: since when at the latest |
//! | a download | `download#JOB#TIME#WRITE` | who downloaded a file of the job |
//! | an ended session | `session#DIGEST` | `until`: when its cookie would end |
//! | jobs that wait | `followers#SHARED#SHARD` | `waiting`: the set of those that are queued and do not lead |
//!
//! Times are microseconds since 1970. The attributes of the indexes follow from the entry: see [`schema`](super::schema).

use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use downpipe_core::job::{Job, JobId, JobState, Receipt};
use downpipe_core::ledger::{Entry, JobStatus, LedgerError};
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::due::{Due, due, shard};
use super::errors::failed;
use super::schema::{MADE, TABLE_KEY, TABLE_TIME_TO_LIVE};

pub(super) type Item = HashMap<String, AttributeValue>;

/// An attribute, and its value if it has one.
pub(super) type Attribute = (&'static str, Option<AttributeValue>);

/// The documents of a job, which may be long: see [`documents`](super::documents).
pub(super) const DOCUMENTS: [&str; 4] = ["message", "checkpoint", "failure", "receipt"];

/// The attributes that a [status](JobStatus) is made of.
pub(super) const STATUS: [&str; 3] = ["state", "attempt", "cancel_requested"];

/// How much longer than the ledger's retention DynamoDB keeps a job. Before that the sweep deletes it, with what belongs to it.
const TIME_TO_LIVE_MARGIN: Duration = Duration::from_secs(7 * 24 * 3600);

pub(super) fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

pub(super) fn number(number: impl Display) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

pub(super) fn time(time: Timestamp) -> AttributeValue {
    number(time.as_microsecond())
}

/// Returns the key of a job's item, or of an alias's.
pub(super) fn job_key(id: &JobId) -> String {
    format!("job#{id}")
}

/// Returns an item's whole key.
pub(super) fn key(key: impl Into<String>) -> Item {
    HashMap::from([(TABLE_KEY.to_owned(), text(key))])
}

/// Returns the job whose item, or whose alias's item, has this key.
pub(super) fn id_in(item: &Item) -> Option<JobId> {
    item.get(TABLE_KEY)?.as_s().ok()?.strip_prefix("job#")?.parse().ok()
}

/// Returns when DynamoDB may delete what was written at this time and is of use as long as a job is remembered.
pub(super) fn time_to_live(written_at: Timestamp, retention: Duration) -> Option<AttributeValue> {
    let keep = retention.saturating_add(TIME_TO_LIVE_MARGIN);
    written_at.saturating_add(keep).ok().map(|at| number(at.as_second()))
}

/// Returns what an item has from its insertion and never changes, its message aside.
pub(super) fn constants(entry: &Entry) -> [Attribute; 13] {
    let job = &entry.job;
    [
        (TABLE_KEY, Some(text(job_key(&job.id)))),
        ("requested_by", Some(text(job.requested_by.to_string()))),
        // An index takes no empty text.
        ("export", Some(&job.export).filter(|export| !export.is_empty()).map(text)),
        ("request_id", Some(text(&job.request_id))),
        ("message_id", Some(text(&job.message_id))),
        ("fingerprint", job.fingerprint.as_ref().map(text)),
        ("shared_fingerprint", entry.shared_fingerprint.as_ref().map(text)),
        ("via", Some(text(job.via.as_str()))),
        ("app", job.app.as_ref().map(text)),
        ("language", job.language.map(|language| text(language.as_str()))),
        ("expected_rows", job.expected_rows.map(number)),
        ("created_at", Some(time(job.created_at))),
        ("shard", Some(text(shard(&job.id)))),
    ]
}

/// Returns what every write of an item sets, its documents aside.
pub(super) fn variables(entry: &Entry, version: u64, write: &str, retention: Duration) -> [Attribute; 24] {
    let job = &entry.job;
    let made_of = job.definition_sha256.as_ref().filter(|_| job.has_made_its_file());
    let Due { kind, at } = due(entry);
    [
        ("version", Some(number(version))),
        ("write", Some(text(write))),
        ("state", Some(text(job.state.as_str()))),
        ("attempt", Some(number(job.attempt))),
        ("attempts_since_progress", Some(number(job.attempts_since_progress))),
        ("resume_count", Some(number(job.resume_count))),
        ("row_count", Some(number(job.rows))),
        ("byte_count", Some(number(job.bytes))),
        ("owner_message_id", job.owner_message_id.as_ref().map(text)),
        ("cancel_requested", Some(AttributeValue::Bool(entry.cancel_requested))),
        ("leads", Some(AttributeValue::Bool(entry.leads))),
        ("definition_sha256", job.definition_sha256.as_ref().map(text)),
        ("sent_at", job.sent_at.map(time)),
        ("started_at", job.started_at.map(time)),
        ("finished_at", job.finished_at.map(time)),
        ("notified_at", job.notified_at.map(time)),
        ("notify_lease_until", entry.notify_lease_until.map(time)),
        ("lease_until", entry.lease_until.map(time)),
        ("updated_at", Some(time(entry.updated_at))),
        ("due", Some(text(kind.partition(&shard(&job.id))))),
        ("due_at", Some(time(at))),
        (MADE.hash, made_of.map(text)),
        (MADE.range, job.finished_at.filter(|_| made_of.is_some()).map(time)),
        (TABLE_TIME_TO_LIVE, kind.is_over().then(|| time_to_live(entry.updated_at, retention)).flatten()),
    ]
}

/// Returns the documents of a job that differ from those of another version, as JSON. All of them, without another version.
pub(super) fn documents(job: &Job, other: Option<&Job>) -> Vec<(&'static str, Option<String>)> {
    let mut documents = Vec::new();
    if other.is_none() {
        documents.push(("message", Some(job.message.clone())));
    }
    if other.is_none_or(|other| other.checkpoint != job.checkpoint) {
        documents.push(("checkpoint", job.checkpoint.as_ref().map(to_json)));
    }
    if other.is_none_or(|other| other.failure != job.failure) {
        documents.push(("failure", job.failure.as_ref().map(to_json)));
    }
    if other.is_none_or(|other| other.receipt != job.receipt) {
        documents.push(("receipt", job.receipt.as_ref().map(to_json)));
    }
    documents
}

/// Reads an entry from its item, whose documents are in the item.
pub(super) fn entry(item: &Item) -> Result<Entry, LedgerError> {
    let fields = Fields(item);
    let job = Job {
        id: id_in(item).ok_or_else(|| unreadable(TABLE_KEY, "expected job#ID"))?,
        requested_by: fields.parsed("requested_by")?,
        export: fields.optional("export")?.unwrap_or_default().to_owned(),
        request_id: fields.text("request_id")?.to_owned(),
        fingerprint: fields.optional("fingerprint")?.map(str::to_owned),
        message_id: fields.text("message_id")?.to_owned(),
        message: fields.text("message")?.to_owned(),
        state: fields.parsed("state")?,
        attempt: fields.number("attempt")?,
        attempts_since_progress: fields.number("attempts_since_progress")?,
        resume_count: fields.number("resume_count")?,
        rows: fields.number("row_count")?,
        bytes: fields.number("byte_count")?,
        checkpoint: fields.json("checkpoint")?,
        owner_message_id: fields.optional("owner_message_id")?.map(str::to_owned),
        failure: fields.json("failure")?,
        receipt: fields.json::<Receipt>("receipt")?,
        created_at: fields.time("created_at")?.unwrap_or_default(),
        started_at: fields.time("started_at")?,
        finished_at: fields.time("finished_at")?,
        notified_at: fields.time("notified_at")?,
        language: fields.optional_parsed("language")?,
        via: fields.parsed("via")?,
        app: fields.optional("app")?.map(str::to_owned),
        definition_sha256: fields.optional("definition_sha256")?.map(str::to_owned),
        expected_rows: fields.optional_parsed("expected_rows")?,
        sent_at: fields.time("sent_at")?,
    };
    Ok(Entry {
        job,
        shared_fingerprint: fields.optional("shared_fingerprint")?.map(str::to_owned),
        leads: fields.flag("leads")?,
        lease_until: fields.time("lease_until")?,
        notify_lease_until: fields.time("notify_lease_until")?,
        cancel_requested: fields.flag("cancel_requested")?,
        updated_at: fields.time("updated_at")?.unwrap_or_default(),
    })
}

/// Reads the version of an item.
pub(super) fn version(item: &Item) -> Result<u64, LedgerError> {
    Fields(item).number("version")
}

/// Reads the status of a job from its item.
pub(super) fn status(item: &Item) -> Result<JobStatus, LedgerError> {
    let fields = Fields(item);
    Ok(JobStatus {
        state: fields.parsed("state")?,
        attempt: fields.number("attempt")?,
        cancel_requested: fields.flag("cancel_requested")?,
    })
}

/// Returns whether the item is of a job that waits for the result of another with this shared fingerprint.
pub(super) fn follows(item: &Item, shared_fingerprint: &str) -> bool {
    let has =
        |name: &str, value: &str| item.get(name).and_then(|of| of.as_s().ok()).is_some_and(|of| of == value);
    has("shared_fingerprint", shared_fingerprint)
        && has("state", JobState::Queued.as_str())
        && item.get("leads").and_then(|leads| leads.as_bool().ok()) == Some(&false)
}

/// Reads the job that an item names in this attribute. `None` when it has none.
pub(super) fn named_job(item: &Item, attribute: &'static str) -> Result<Option<JobId>, LedgerError> {
    Fields(item).optional_parsed(attribute)
}

/// Reads the time that an item has in this attribute. `None` when it has none.
pub(super) fn time_in(item: &Item, attribute: &'static str) -> Result<Option<Timestamp>, LedgerError> {
    Fields(item).time(attribute)
}

/// The attributes of an item.
pub(super) struct Fields<'a>(pub(super) &'a Item);

impl<'a> Fields<'a> {
    pub(super) fn optional(&self, name: &'static str) -> Result<Option<&'a str>, LedgerError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(AttributeValue::S(text) | AttributeValue::N(text)) => Ok(Some(text)),
            Some(_) => Err(unreadable(name, "expected a text or a number")),
        }
    }

    pub(super) fn text(&self, name: &'static str) -> Result<&'a str, LedgerError> {
        self.optional(name)?.ok_or_else(|| unreadable(name, "expected a value, got nothing"))
    }

    pub(super) fn parsed<T: FromStr<Err: Display>>(&self, name: &'static str) -> Result<T, LedgerError> {
        self.text(name)?.parse().map_err(|error| unreadable(name, error))
    }

    pub(super) fn optional_parsed<T: FromStr<Err: Display>>(
        &self,
        name: &'static str,
    ) -> Result<Option<T>, LedgerError> {
        self.optional(name)?.map(|_| self.parsed(name)).transpose()
    }

    fn number<T: FromStr<Err: Display>>(&self, name: &'static str) -> Result<T, LedgerError> {
        self.parsed(name)
    }

    pub(super) fn time(&self, name: &'static str) -> Result<Option<Timestamp>, LedgerError> {
        let Some(micros) = self.optional(name)? else { return Ok(None) };
        let micros = micros.parse().map_err(|error| unreadable(name, error))?;
        Timestamp::from_microsecond(micros).map(Some).map_err(|error| unreadable(name, error))
    }

    fn flag(&self, name: &'static str) -> Result<bool, LedgerError> {
        match self.0.get(name) {
            Some(AttributeValue::Bool(flag)) => Ok(*flag),
            _ => Err(unreadable(name, "expected true or false")),
        }
    }

    fn json<T: DeserializeOwned>(&self, name: &'static str) -> Result<Option<T>, LedgerError> {
        let Some(json) = self.optional(name)? else { return Ok(None) };
        // The words of the error name a place in the text, and nothing of the text.
        serde_json::from_str(json).map(Some).map_err(|error| unreadable(name, error))
    }
}

fn unreadable(attribute: &str, reason: impl Display) -> LedgerError {
    failed(format!("the attribute {attribute:?} of an item cannot be read: {reason}"))
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| unreachable!("JSON can express all of it: {error}"))
}
