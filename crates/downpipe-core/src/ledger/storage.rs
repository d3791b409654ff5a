//! The table of entries that a database offers to the ledger. A port.

use std::time::Duration;

use jiff::Timestamp;

use super::entry::{Entry, Stored};
use super::error::LedgerError;
use super::lease::StaleFilter;
use super::page::{Cursor, JobFilter};
use crate::job::{Job, JobId, JobState, Receipt};
use crate::requester::Requester;

/// The answer to an insertion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inserted {
    /// The entry is in the table, as version 0, since this time by the table's clock.
    New(Timestamp),
    /// The table has an entry of this id.
    Known,
    /// The id is an alias of this job: it was before, or the job has the same fingerprint and has not ended.
    SameAs(JobId),
    /// Another job has the [`Entry::lead_fingerprint`]. Nothing was inserted.
    LeadTaken,
}

/// The answer to a replacement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaced {
    /// The entry is in the table, since this time by the table's clock.
    At(Timestamp),
    /// The entry has another version than the one that was read, or is gone. Nothing was written.
    Outdated,
    /// Another job has the [`Entry::lead_fingerprint`]. Nothing was written.
    LeadTaken,
}

/// A digest by which jobs are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fingerprint<'a> {
    /// The digest with the requester: a job's fingerprint.
    OfRequester(&'a str),
    /// The digest without the requester: an entry's shared fingerprint.
    Shared(&'a str),
}

/// What decides whether a lease is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobStatus {
    /// The job's state.
    pub state: JobState,
    /// The number of its last attempt.
    pub attempt: u32,
    /// Whether it is to be cancelled.
    pub cancel_requested: bool,
}

/// A table of entries with conditional writes, for a [`Ledger`](super::Ledger).
///
/// Every error is a [`LedgerError`]; a table never says [`LedgerError::LeaseLost`]. Times in an entry that is written may stand for
/// the time of the write: see [`WriteTime`](super::WriteTime).
pub trait JobTable: Send + Sync {
    /// Inserts an entry, unless its id is taken, is an alias, or its [`Entry::active_fingerprint`] or [`Entry::lead_fingerprint`] is
    /// another entry's. If both are, the answer is [`Inserted::SameAs`].
    fn insert(&self, entry: &Entry) -> impl Future<Output = Result<Inserted, LedgerError>> + Send;

    /// Reads an entry by its id or by an alias.
    fn get(&self, id: &JobId) -> impl Future<Output = Result<Option<Stored>, LedgerError>> + Send;

    /// Replaces the entry of the same id if it still has the version that was `read`, unless its [`Entry::lead_fingerprint`] is
    /// another entry's.
    fn replace(
        &self,
        read: &Stored,
        entry: &Entry,
    ) -> impl Future<Output = Result<Replaced, LedgerError>> + Send;

    /// Deletes the entry that was `read` and its aliases, if it still has that version. Returns whether it had.
    fn delete(&self, read: &Stored) -> impl Future<Output = Result<bool, LedgerError>> + Send;

    /// Reads what decides whether a lease is held, and nothing more.
    fn status(&self, id: &JobId) -> impl Future<Output = Result<Option<JobStatus>, LedgerError>> + Send;

    /// Returns the receipt of the latest ready job of this fingerprint that ended within `max_age`, if its file is not past its
    /// retention. Jobs that were given another's file do not count: otherwise a file would never grow old while it is asked for.
    fn reusable_receipt(
        &self,
        fingerprint: Fingerprint<'_>,
        max_age: Duration,
    ) -> impl Future<Output = Result<Option<Receipt>, LedgerError>> + Send;

    /// Returns the latest job of this shared fingerprint that [led](Entry::leads) and ended as ready or failed, at this time or later.
    fn last_led(
        &self,
        shared_fingerprint: &str,
        since: Timestamp,
    ) -> impl Future<Output = Result<Option<Job>, LedgerError>> + Send;

    /// Returns the queued jobs of this shared fingerprint that do not [lead](Entry::leads), the oldest first.
    fn followers(
        &self,
        shared_fingerprint: &str,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<JobId>, LedgerError>> + Send;

    /// Returns jobs that the filter matches, the longest unchanged first.
    fn stale(
        &self,
        filter: StaleFilter,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Job>, LedgerError>> + Send;

    /// Deletes [downloads and ended sessions](super::AccessRecords) that are past their time, at most so many of each. Returns how many
    /// it deleted: none in a database that deletes them by itself.
    fn forget_access(&self, limit: u32) -> impl Future<Output = Result<u64, LedgerError>> + Send;
}

/// Answers questions about the jobs of a table. No decision about a job follows from an answer, which may be a moment behind.
pub trait JobQueries: Send + Sync {
    /// Returns the jobs that the filter matches, newest first by [`Job::created_at`] and then by id, beginning after a place. Fewer than
    /// `limit` only if there are no more.
    fn jobs_of(
        &self,
        filter: &JobFilter<'_>,
        after: Option<&Cursor>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Job>, LedgerError>> + Send;

    /// Returns the jobs of these ids, in any order. Leaves out those that there are not, and follows no alias.
    fn several(&self, ids: &[JobId]) -> impl Future<Output = Result<Vec<Job>, LedgerError>> + Send;

    /// Returns how many jobs are ahead of a queued one: those that were queued, or paused to wait for their next run, before its message
    /// was sent.
    ///
    /// Their place is the time of the last write to them, because every write that leaves a job queued or waiting goes with a message at
    /// the queue's end. The queue itself keeps no strict order.
    fn ahead(&self, job: &Job) -> impl Future<Output = Result<u64, LedgerError>> + Send;

    /// Returns the latest jobs that [made their own file](Job::has_made_its_file) with this version of a definition, the newest end
    /// first.
    fn last_of_definition(
        &self,
        definition_sha256: &str,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Job>, LedgerError>> + Send;

    /// Returns jobs of this requester that have not ended, in any order. A table may leave out those that were accepted over two weeks
    /// ago: longer than any queue keeps a message.
    fn unended_of(
        &self,
        requester: &Requester,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Job>, LedgerError>> + Send;
}
