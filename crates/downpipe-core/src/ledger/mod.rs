//! Remembers jobs. The [`Ledger`] applies the rules of a job's state machine to entries in a [`JobTable`].

mod access;
mod claim;
mod entry;
mod error;
mod lease;
mod page;
mod questions;
mod rules;
mod storage;

pub use self::access::{AccessRecords, DOWNLOAD_RETENTION, Download, DownloadVia, MAX_DOWNLOADS};
pub use self::entry::{Entry, Stored, WriteTime};
pub use self::error::LedgerError;
pub use self::lease::{
    CancelOutcome, Claim, Lease, LeaseStatus, NotifyLease, Recording, SharedResult, StaleFilter,
};
pub use self::page::{Cursor, InvalidCursor, JobFilter, Page};
pub use self::rules::NOTIFY_LEASE;
pub use self::storage::{Fingerprint, Inserted, JobQueries, JobStatus, JobTable, Replaced};

use std::time::Duration;

use jiff::Timestamp;

use self::entry::AT_WRITE;
use self::rules::lease_status;
#[cfg(any(test, feature = "testing"))]
use crate::job::NewJob;
use crate::job::{Checkpoint, Failure, Job, JobId, Receipt};

/// How often a write is tried that other writes overtake. A job's worker, the sweep and a cancellation may meet, each with one write.
const MAX_WRITES: u32 = 20;

/// Remembers jobs. All times are the table's own clock, so that workers need not agree on the time.
///
/// Every method fails as [`LedgerError`] says. Those under a lease fail as [`LedgerError::LeaseLost`] when another worker has the
/// job or it has ended, and return the job as it is afterwards.
#[derive(Debug, Clone)]
pub struct Ledger<T>(T);

/// An entry after a write, and the answer of the rule that changed it.
type Changed<R> = (R, Stored);

/// What came of a write.
enum Written<R> {
    /// The answer of the rule, and the entry as it is now.
    Done(R, Box<Stored>),
    /// Another job has the lead that the rule takes. The entry is as it was read.
    LeadTaken(Box<Stored>),
    /// There is no such job any more.
    Gone,
}

impl<T: JobTable> Ledger<T> {
    /// Makes a ledger of a table.
    pub fn new(table: T) -> Self {
        Self(table)
    }

    /// Returns the table, which a test may look into.
    #[cfg(any(test, feature = "testing"))]
    pub fn table(&self) -> &T {
        &self.0
    }

    /// Records a job as queued, unless it is known already. Returns the job's id, or that of the job of which it is an alias.
    ///
    /// # Errors
    /// See [`LedgerError`].
    #[cfg(any(test, feature = "testing"))]
    pub async fn accept(&self, job: &NewJob) -> Result<JobId, LedgerError> {
        match self.0.insert(&Entry::queued(job)).await? {
            Inserted::New(_) | Inserted::Known | Inserted::LeadTaken => Ok(job.id.clone()),
            Inserted::SameAs(other) => Ok(other),
        }
    }

    /// Records progress and renews the lease. A lease that ran out and that no other worker has taken is still good.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn advance(&self, lease: &Lease, rows: u64, bytes: u64) -> Result<Job, LedgerError> {
        self.work(lease, |entry| entry.advance(lease.duration(), rows, bytes)).await
    }

    /// Saves a checkpoint and renews the lease. [Progress](Checkpoint::is_progress) renews the job's attempts.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn checkpoint(&self, lease: &Lease, checkpoint: &Checkpoint) -> Result<Job, LedgerError> {
        self.work(lease, |entry| entry.checkpoint(lease.duration(), checkpoint)).await
    }

    /// Returns whether the lease is held and whether the job is to be cancelled. It reads little, because workers ask every second.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn lease_status(&self, lease: &Lease) -> Result<LeaseStatus, LedgerError> {
        let status = self.0.status(lease.job()).await?;
        Ok(status.map_or(LeaseStatus::Lost, |status| lease_status(status, lease.job_attempt())))
    }

    /// Returns the job as the holder of the lease last wrote it. Reads it only if the last write failed.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn job_under(&self, lease: &Lease) -> Result<Job, LedgerError> {
        match lease.known_job() {
            Some(job) => Ok(job),
            None => self.work(lease, |_| ()).await,
        }
    }

    /// Ends the run at a checkpoint, from which the next run resumes.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn pause(&self, lease: &Lease, checkpoint: &Checkpoint) -> Result<Job, LedgerError> {
        self.work(lease, |entry| entry.pause(checkpoint)).await
    }

    /// Ends the job with its file, and with the rows and bytes of the receipt. In the same write, lets this worker notify the
    /// requester.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn ready(&self, lease: &Lease, receipt: &Receipt) -> Result<NotifyLease, LedgerError> {
        self.under_lease(lease, |entry| entry.ready(receipt)).await.map(NotifyLease)
    }

    /// Ends the job as failed. A checkpoint stays until what it names is [cleared](Self::cleared).
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn fail(&self, lease: &Lease, failure: &Failure) -> Result<Job, LedgerError> {
        self.work(lease, |entry| entry.fail(failure)).await
    }

    /// Ends the attempt and queues the job for another. A checkpoint stays.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn release(&self, lease: &Lease, failure: &Failure) -> Result<Job, LedgerError> {
        self.work(lease, |entry| entry.release(failure)).await
    }

    /// Gives the lease back without an attempt: the job is queued, and the attempt does not count. A checkpoint stays.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn hand_over(&self, lease: &Lease) -> Result<Job, LedgerError> {
        self.work(lease, Entry::hand_over).await
    }

    /// Cancels a job that no worker holds. The worker of any other sees the request in its [lease's status](Self::lease_status).
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn cancel(&self, id: &JobId) -> Result<CancelOutcome, LedgerError> {
        let cancelled = self.change(id, |entry, _| entry.cancel()).await?;
        Ok(match cancelled {
            Some((CancelOutcome::Done(_), stored)) => CancelOutcome::Done(Box::new(stored.entry.job)),
            Some((outcome, _)) => outcome,
            None => CancelOutcome::Unknown,
        })
    }

    /// Ends the job as cancelled: its worker has stopped.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn cancelled(&self, lease: &Lease) -> Result<Job, LedgerError> {
        self.work(lease, Entry::cancelled).await
    }

    /// Forgets the checkpoint of a job that ended without a file: what it named has been removed. `None` when there is no such job.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn cleared(&self, id: &JobId) -> Result<Option<Job>, LedgerError> {
        let cleared = self.change(id, |entry, _| entry.cleared()).await?;
        Ok(cleared.map(|((), stored)| stored.entry.job))
    }

    /// Takes the right to notify the requester of a job that has ended. `None` when they are notified, when another worker is
    /// notifying them, and when there is no such job. The right runs out after [`NOTIFY_LEASE`], so that the next delivery of the job's
    /// message makes up for a crash.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn claim_notification(&self, id: &JobId) -> Result<Option<NotifyLease>, LedgerError> {
        let claimed = self.change(id, Entry::claim_notification).await?;
        Ok(claimed.and_then(|(granted, stored)| granted.then_some(NotifyLease(stored))))
    }

    /// Records that the requester has been notified.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn notified(&self, lease: NotifyLease) -> Result<(), LedgerError> {
        self.change_known(lease.0, |entry, _| entry.notified()).await.map(drop)
    }

    /// Gives back the right to notify the requester: another worker may take it at once.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn release_notification(&self, lease: NotifyLease) -> Result<(), LedgerError> {
        self.change_known(lease.0, |entry, _| entry.release_notification()).await.map(drop)
    }

    /// Expires a ready job, whose file has been removed. Any other job stays what it is.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn expire(&self, id: &JobId) -> Result<(), LedgerError> {
        self.change(id, |entry, _| entry.expire()).await.map(drop)
    }

    /// Deletes a job that is [past the ledger's retention](StaleFilter::PastLedgerRetention), with its aliases. Any other job stays.
    /// Returns whether it was deleted.
    ///
    /// A later message that continues the job finds no job. The message that brought it would bring it anew, but no queue keeps a
    /// message for so long (SQS: 14 days).
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn forget(&self, id: &JobId, after: Duration) -> Result<bool, LedgerError> {
        match self.0.get(id).await? {
            Some(read) if read.entry.is_stale(StaleFilter::PastLedgerRetention(after), read.now) => {
                self.0.delete(&read).await
            }
            _ => Ok(false),
        }
    }

    /// Records that the sweep has done something about a job, which is then not [stale](StaleFilter) for a while.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn touch(&self, id: &JobId) -> Result<(), LedgerError> {
        self.change(id, |entry, _| entry.updated_at = AT_WRITE).await.map(drop)
    }

    /// Records that the queue has taken the job's message, and returns the job. `None` when there is no such job.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn note_sent(&self, id: &JobId) -> Result<Option<Job>, LedgerError> {
        let noted = self.change(id, |entry, _| entry.note_sent()).await?;
        Ok(noted.map(|((), stored)| stored.entry.job))
    }

    /// Returns a job, by its id or by an alias.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn find(&self, id: &JobId) -> Result<Option<Job>, LedgerError> {
        Ok(self.0.get(id).await?.map(|stored| stored.entry.job))
    }

    /// Returns the jobs that the sweep has something to do about, the longest unchanged first, at most `limit`.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn stale_jobs(&self, filter: StaleFilter, limit: u32) -> Result<Vec<Job>, LedgerError> {
        self.0.stale(filter, limit).await
    }

    /// Deletes [downloads and ended sessions](AccessRecords) that are past their time, at most so many of each. Returns how many it
    /// deleted.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn forget_access(&self, limit: u32) -> Result<u64, LedgerError> {
        self.0.forget_access(limit).await
    }

    /// Changes an entry under a lease, and returns the job as it is now.
    async fn work(&self, lease: &Lease, rule: impl FnMut(&mut Entry)) -> Result<Job, LedgerError> {
        let stored = self.under_lease(lease, rule).await?;
        let job = stored.entry.job.clone();
        lease.set_known(stored);
        Ok(job)
    }

    async fn under_lease(
        &self,
        lease: &Lease,
        mut rule: impl FnMut(&mut Entry),
    ) -> Result<Stored, LedgerError> {
        let rule = |entry: &mut Entry, _| {
            let held = entry.is_held_by(lease.job_attempt());
            if held {
                rule(entry);
            }
            held
        };
        let changed = match lease.take_known() {
            Some(known) => self.change_known(known, rule).await?,
            None => self.change(lease.job(), rule).await?,
        };
        match changed {
            Some((true, stored)) => Ok(stored),
            Some((false, _)) | None => Err(LedgerError::lost(lease)),
        }
    }

    /// Reads an entry, applies a rule to it and writes it back. `None` when there is no such job.
    async fn change<R>(
        &self,
        id: &JobId,
        rule: impl FnMut(&mut Entry, Timestamp) -> R,
    ) -> Result<Option<Changed<R>>, LedgerError> {
        match self.0.get(id).await? {
            Some(read) => self.change_known(read, rule).await,
            None => Ok(None),
        }
    }

    /// Applies a rule to an entry that was read before and writes it back. `None` when there is no such job any more. For a rule that
    /// takes no lead.
    async fn change_known<R>(
        &self,
        read: Stored,
        rule: impl FnMut(&mut Entry, Timestamp) -> R,
    ) -> Result<Option<Changed<R>>, LedgerError> {
        match self.write(read, rule).await? {
            Written::Done(answer, stored) => Ok(Some((answer, *stored))),
            Written::Gone => Ok(None),
            Written::LeadTaken(_) => Err(LedgerError::takes_no_lead()),
        }
    }

    /// Applies a rule to an entry that was read before and writes it back. Reads it again as often as other writes overtake.
    async fn write<R>(
        &self,
        mut read: Stored,
        mut rule: impl FnMut(&mut Entry, Timestamp) -> R,
    ) -> Result<Written<R>, LedgerError> {
        for _ in 0..MAX_WRITES {
            let mut entry = read.entry.clone();
            let answer = rule(&mut entry, read.now);
            if entry == read.entry {
                return Ok(Written::Done(answer, Box::new(read)));
            }
            entry.updated_at = AT_WRITE;
            match self.0.replace(&read, &entry).await? {
                Replaced::At(now) => {
                    let version = read.version + 1;
                    let stored = Stored { entry: entry.written_at(now), version, now };
                    return Ok(Written::Done(answer, Box::new(stored)));
                }
                Replaced::LeadTaken => return Ok(Written::LeadTaken(Box::new(read))),
                Replaced::Outdated => {}
            }
            match self.0.get(&read.entry.job.id).await? {
                Some(newer) => read = newer,
                None => return Ok(Written::Gone),
            }
        }
        Err(LedgerError::Unavailable(format!("{MAX_WRITES} other writes overtook this one").into()))
    }
}
