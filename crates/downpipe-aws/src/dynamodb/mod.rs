//! The ledger in DynamoDB: one table, in which an item changes only if it has not changed since it was read.
//!
//! A heartbeat is one conditional write. What changes a fingerprint or the lead is written in one transaction with the job: an
//! insertion, the end of a job, a request to cancel it. A decision is made only on items that were read consistently; an index, which is a moment behind,
//! only says which items to read. No request ever scans the table.
//!
//! Every write leaves a random text of its own in the item. When an answer is lost, reading the item tells whether the write took
//! place.

mod access;
mod clock;
mod documents;
mod due;
mod errors;
mod insert;
mod item;
mod jobs;
mod links;
mod queries;
mod replace;
mod same_requests;
mod schema;
mod table;
mod writes;

pub use self::clock::{LocalClock, LocalTime};
pub use self::schema::{TABLE_INDEXES, TABLE_KEY, TABLE_TIME_TO_LIVE, TableIndex};

use std::time::Duration;

use aws_config::SdkConfig;
use downpipe_core::job::{Job, JobId, Receipt};
use downpipe_core::ledger::{
    Entry, Fingerprint, Inserted, JobStatus, JobTable, LedgerError, Replaced, StaleFilter, Stored, WriteTime,
};
use jiff::Timestamp;

use self::clock::{ServerTime, machine_clock};
use self::documents::Documents;
use self::errors::Written;
use self::item::{STATUS, job_key};
use self::table::Table;

/// Where the ledger is in AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DynamoLedgerConfig {
    /// The table's name.
    pub table: String,
    /// The bucket of the files, where long documents lie in a folder of the ledger.
    pub bucket: String,
    /// What the keys of files, and of that folder, begin with.
    pub prefix: String,
    /// How long the ledger remembers a job that is over. DynamoDB deletes it a week later, if no sweep has done so.
    pub retention: Duration,
}

/// The table of a ledger in DynamoDB. Clones share their connections and their clock.
#[derive(Debug, Clone)]
pub struct DynamoJobTable {
    table: Table,
    documents: Documents,
    retention: Duration,
}

impl DynamoJobTable {
    /// Makes the table of a ledger. Sends nothing.
    #[must_use]
    pub fn new(aws: &SdkConfig, config: &DynamoLedgerConfig) -> Self {
        Self::with_clock(aws, config, machine_clock())
    }

    /// Makes the table of a ledger on a machine with this clock.
    #[must_use]
    pub fn with_clock(aws: &SdkConfig, config: &DynamoLedgerConfig, clock: LocalClock) -> Self {
        Self {
            table: Table::new(aws, config.table.clone(), clock),
            documents: Documents::new(aws, &config.bucket, &config.prefix),
            retention: config.retention,
        }
    }

    /// Checks that the table is there, and has the key and the indexes that this version reads and writes.
    ///
    /// # Errors
    /// When it differs, or does not answer. Says what differs.
    pub async fn fits(&self) -> Result<(), LedgerError> {
        self.table.fits().await
    }

    /// Puts an item of its own into the table, reads it, compares it and deletes it. Returns what it wrote and read.
    ///
    /// # Errors
    /// When the table differs from what it has to be, refuses, does not answer, or returns another value.
    pub async fn probe(&self) -> Result<String, LedgerError> {
        self.fits().await?;
        let (key, value) = (format!("probe#{}", new_write()), new_write());
        let item = item::key(&key).into_iter().chain([("probe".to_owned(), item::text(&value))]);
        self.table.write(vec![self.table.put_new(item.collect())?]).await?;
        let read = self.table.read(&key, &["probe"]).await;
        self.table.write(vec![self.table.delete_named(key, "probe", &value)?]).await?;
        let read = read?.and_then(|mut item| item.remove("probe")).and_then(|read| read.as_s().ok().cloned());
        if read.as_ref() == Some(&value) {
            return Ok(value);
        }
        Err(errors::failed(format!("the table returned another value: expected {value:?}, got {read:?}")))
    }

    /// Returns what came of a write to a job: what the answer says or, when that was lost, what the item says.
    async fn confirmed(
        &self,
        id: &JobId,
        write: &str,
        answer: Result<Written, LedgerError>,
    ) -> Result<Written, LedgerError> {
        match answer {
            // The condition of a write that is sent again does not hold any more if the first one took place.
            Ok(Written::Refused) => self.is_write_of(id, write).await.map(|is_ours| match is_ours {
                true => Written::Done,
                false => Written::Refused,
            }),
            Err(LedgerError::Unavailable(source)) => match self.is_write_of(id, write).await {
                Ok(true) => Ok(Written::Done),
                _ => Err(LedgerError::Unavailable(source)),
            },
            answer => answer,
        }
    }

    async fn is_write_of(&self, id: &JobId, write: &str) -> Result<bool, LedgerError> {
        let item = self.table.read(&job_key(id), &["write"]).await?;
        Ok(item.is_some_and(|item| {
            item.get("write").and_then(|last| last.as_s().ok()).is_some_and(|last| last == write)
        }))
    }

    /// Deletes the items that belong to a job, and the job if it has this version, in transactions that are small enough.
    async fn delete_job(&self, read: &Stored) -> Result<Written, LedgerError> {
        /// The aliases in one transaction. It takes 100 writes, and has the job and what is beside it.
        const MAX_ALIASES: usize = 90;
        let job = &read.entry.job.id;
        let aliases = self.aliases(job).await?;
        let mut chunks = aliases.chunks(MAX_ALIASES).peekable();
        loop {
            let chunk = chunks.next().unwrap_or_default();
            let is_last = chunks.peek().is_none();
            let mut writes = vec![match is_last {
                true => self.table.delete_version(job_key(job), read.version)?,
                false => self.table.check(job_key(job), "version", item::number(read.version))?,
            }];
            for alias in chunk {
                writes.push(self.table.delete_named(job_key(alias), "alias_of", job.as_str())?);
            }
            if is_last {
                writes.extend(self.beside(Some(&read.entry), None)?);
            }
            let written = self.table.write(writes).await?;
            if is_last || written == Written::Refused {
                return Ok(written);
            }
        }
    }
}

impl JobTable for DynamoJobTable {
    async fn insert(&self, entry: &Entry) -> Result<Inserted, LedgerError> {
        Box::pin(self.insert_entry(entry)).await
    }

    async fn get(&self, id: &JobId) -> Result<Option<Stored>, LedgerError> {
        Box::pin(self.stored(id)).await
    }

    async fn replace(&self, read: &Stored, entry: &Entry) -> Result<Replaced, LedgerError> {
        Box::pin(self.replace_entry(read, entry)).await
    }

    async fn delete(&self, read: &Stored) -> Result<bool, LedgerError> {
        let deleted = Box::pin(self.delete_job(read)).await? == Written::Done;
        if deleted {
            Box::pin(self.delete_links(&read.entry)).await;
            Box::pin(self.documents.remove_all(&read.entry.job.id)).await;
        }
        Ok(deleted)
    }

    async fn status(&self, id: &JobId) -> Result<Option<JobStatus>, LedgerError> {
        let item = Box::pin(self.table.read(&job_key(id), &STATUS)).await?;
        // An alias has no state.
        item.filter(|item| item.contains_key("state")).as_ref().map(item::status).transpose()
    }

    async fn reusable_receipt(
        &self,
        fingerprint: Fingerprint<'_>,
        max_age: Duration,
    ) -> Result<Option<Receipt>, LedgerError> {
        Box::pin(self.receipt_of(fingerprint, max_age)).await
    }

    async fn last_led(&self, shared_fingerprint: &str, since: Timestamp) -> Result<Option<Job>, LedgerError> {
        Box::pin(self.led_since(shared_fingerprint, since)).await
    }

    async fn followers(&self, shared_fingerprint: &str, limit: u32) -> Result<Vec<JobId>, LedgerError> {
        Box::pin(self.queued_behind(shared_fingerprint, limit)).await
    }

    async fn stale(&self, filter: StaleFilter, limit: u32) -> Result<Vec<Job>, LedgerError> {
        Box::pin(self.stale_jobs(filter, limit)).await
    }

    async fn forget_access(&self, _: u32) -> Result<u64, LedgerError> {
        // Their time to live deletes them, and what is past its time is never returned.
        Ok(0)
    }
}

/// Returns the entry as it is written at this time. What has happened has happened by the earlier bound, and a lease runs from the
/// later one.
fn at(time: ServerTime, entry: &Entry) -> Entry {
    let lease = |until: Option<Timestamp>| match until.map(WriteTime::from) {
        Some(WriteTime::AfterWrite(lease)) => time.latest.saturating_add(lease).ok(),
        _ => until,
    };
    let (lease_until, notify_lease_until) = (lease(entry.lease_until), lease(entry.notify_lease_until));
    Entry { lease_until, notify_lease_until, ..entry.clone().written_at(time.earliest) }
}

/// Returns the text by which a write is known.
fn new_write() -> String {
    format!("{:032x}", fastrand::u128(..))
}
