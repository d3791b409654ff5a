//! The memory of jobs: what workers ask of it ([`Ledger`]), and what a database has to offer for it ([`JobTable`]).
//!
//! A job is worked on under a lease. Taking one raises the attempt number, every write under it names that number, and a
//! write that names an older one is refused: a worker taken for dead can do no harm when it wakes.
//!
//! The rules are in one place, [`entry`], for every database alike. A change reads the entry, applies a rule to it and
//! writes it back on condition that nobody else has written meanwhile; else it begins again.

use std::error::Error;
use std::time::Duration;

use jiff::Timestamp;

use crate::checkpoint::Checkpoint;
use crate::entry::{self, Entry};
use crate::job::{Failure, Job, JobId, JobState, NewJob};
use crate::receipt::Receipt;

/// How often a change is tried that others get in the way of. Who meets a job at the same time is its worker, the sweep, somebody
/// who cancels it, and each has little to write.
const TRIES: u32 = 20;

/// The right to work on a job, until it runs out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The job.
    pub job: JobId,
    /// The attempt, from 1: the fencing token.
    pub attempt: u32,
    /// How long it lasts from its last renewal.
    pub duration: Duration,
}

/// The answer to somebody who wants to work on a job.
#[derive(Debug, Clone, PartialEq)]
pub enum Claim {
    /// Go ahead.
    Granted(Lease, Box<Job>),
    /// Somebody else is at it, and their lease runs out in this time unless they renew it.
    Busy(Box<Job>, Duration),
    /// There is nothing left to do but, perhaps, to tell the requester.
    Ended(Box<Job>),
    /// No such job.
    Unknown,
}

/// The answer to somebody who wants a job cancelled.
#[derive(Debug, Clone, PartialEq)]
pub enum Cancel {
    /// Nobody worked on it. It is cancelled.
    Done(Box<Job>),
    /// Somebody works on it, and will hear of it.
    Wanted,
    /// It had ended before.
    Ended(Box<Job>),
    /// No such job.
    Unknown,
}

/// What whoever works on a job must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// Nothing new.
    GoOn,
    /// Somebody wants the job cancelled.
    Cancel,
    /// The job is somebody else's now.
    Lost,
}

/// What is to be done about a job that nobody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// It ended at least so long ago, and its requester has not been told, or what remained of it has not been cleared away.
    Untold(Duration),
    /// It is running under a lease that ran out at least so long ago.
    LeaseOver(Duration),
    /// It is queued or waiting, and nothing has happened to it for so long.
    Idle(Duration),
    /// Its file is older than it was to be kept.
    PastRetention,
}

/// Remembers jobs. All times are the ledger's own clock, so that workers need not agree on the time.
pub trait Ledger: Send + Sync {
    /// Records a job as queued, unless it is known already: then nothing changes.
    ///
    /// The answer is the job's id, or another's: while a job of the same [sameness](NewJob::sameness) has not ended, there is no
    /// second one, and the new id is from then on another name for the first. When one ended as ready no longer ago than
    /// [`NewJob::reuse`], the new job is ready at once, with the same receipt.
    ///
    /// # Errors
    /// See [`LedgerError`]; likewise for every method here.
    fn accept(&self, job: &NewJob) -> impl Future<Output = Result<JobId, LedgerError>> + Send;

    /// Takes a lease on a job that is queued, waiting, or running under a lease that has run out. The job in the answer is
    /// as it is afterwards; its rows and bytes begin again at those of its checkpoint, or at 0.
    fn claim(
        &self,
        id: &JobId,
        owner: &str,
        duration: Duration,
    ) -> impl Future<Output = Result<Claim, LedgerError>> + Send;

    /// A sign of life: notes the progress and renews the lease. A lease that has run out but that nobody else has taken is
    /// still good.
    fn advance(
        &self,
        lease: &Lease,
        rows: u64,
        bytes: u64,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// A sign of life from which others can go on. When there are more rows than at the checkpoint before, the job has all its
    /// tries again.
    fn checkpoint(
        &self,
        lease: &Lease,
        checkpoint: &Checkpoint,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// What the worker must know, for little: it asks every second.
    fn watch(&self, lease: &Lease) -> impl Future<Output = Result<Watch, LedgerError>> + Send;

    /// The run's time is up: the job waits for the next run, which goes on from the checkpoint.
    fn pause(
        &self,
        lease: &Lease,
        checkpoint: &Checkpoint,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// The file is complete: the job is ready, with the rows and bytes of the receipt, and what failed before is forgotten.
    fn ready(&self, lease: &Lease, receipt: &Receipt)
    -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// The job has failed for good.
    fn fail(&self, lease: &Lease, failure: &Failure) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// This attempt has failed, another may not: back to queued, without a lease. A checkpoint stays.
    fn release(
        &self,
        lease: &Lease,
        failure: &Failure,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Cancels a job that nobody works on, and lets the worker of any other know that it is wanted.
    fn cancel(&self, id: &JobId) -> impl Future<Output = Result<Cancel, LedgerError>> + Send;

    /// The worker has stopped, as was wanted.
    fn cancelled(&self, lease: &Lease) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// What remained of a job that ended without a file has been cleared away.
    fn cleared(&self, id: &JobId) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Takes the right to tell the requester. `false` when they have been told, or are being told right now. The right
    /// runs out by itself, so that a crash before the telling is repaired by the next delivery. Nobody asks before the job
    /// has ended; `false` for a job that does not exist.
    fn claim_notice(&self, id: &JobId) -> impl Future<Output = Result<bool, LedgerError>> + Send;

    /// The requester has been told.
    fn notified(&self, id: &JobId) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// The requester could not be told; somebody else may try at once.
    fn release_notice(&self, id: &JobId) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// The file's time is over: a ready job is expired, any other stays what it is.
    fn expire(&self, id: &JobId) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Something has been done about a job that nobody did anything about: it is not [due](Due::Idle) again for a while.
    fn touch(&self, id: &JobId) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// A job, by its id or by another name for it.
    fn find(&self, id: &JobId) -> impl Future<Output = Result<Option<Job>, LedgerError>> + Send;

    /// The latest jobs, newest first, at most `limit`.
    fn latest(&self, limit: u32) -> impl Future<Output = Result<Vec<Job>, LedgerError>> + Send;

    /// Jobs about which something is to be done, the longest neglected first, at most `limit`.
    fn due(&self, due: Due, limit: u32) -> impl Future<Output = Result<Vec<Job>, LedgerError>> + Send;
}

/// An entry as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// The entry.
    pub entry: Entry,
    /// Which of its versions that is: it grows with every write.
    pub version: u64,
    /// The time by the ledger's clock when it was read.
    pub now: Timestamp,
}

/// What came of an insertion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inserted {
    /// The entry is in the table now.
    New,
    /// There was one of this id.
    Known,
    /// A job of the same sameness has not ended, and the id is from now on another name for that one; or it was before.
    SameAs(JobId),
}

/// A table of entries, with conditional writes. Whoever has one has a [`Ledger`].
pub trait JobTable: Send + Sync {
    /// The ledger's clock.
    ///
    /// # Errors
    /// See [`LedgerError`]; likewise for every method here.
    fn now(&self) -> impl Future<Output = Result<Timestamp, LedgerError>> + Send;

    /// Inserts an entry, unless there is one of its id or of its [exclusive](Entry::exclusive) key.
    fn insert(&self, entry: &Entry) -> impl Future<Output = Result<Inserted, LedgerError>> + Send;

    /// An entry, by its id or by another name for it.
    fn get(&self, id: &JobId) -> impl Future<Output = Result<Option<Stored>, LedgerError>> + Send;

    /// Replaces the entry of the same id, if it still has this version. `false` when it has not.
    fn replace(&self, entry: &Entry, version: u64) -> impl Future<Output = Result<bool, LedgerError>> + Send;

    /// State, attempt and the wish to cancel, without the rest.
    fn peek(
        &self,
        id: &JobId,
    ) -> impl Future<Output = Result<Option<(JobState, u32, bool)>, LedgerError>> + Send;

    /// The receipt of the latest job of this sameness that became ready at this time or later and is so still. Not of one that
    /// took another's file: a file would never grow old by being asked for.
    fn ready_since(
        &self,
        sameness: &str,
        since: Timestamp,
    ) -> impl Future<Output = Result<Option<Receipt>, LedgerError>> + Send;

    /// The latest entries' jobs, newest first.
    fn newest(&self, limit: u32) -> impl Future<Output = Result<Vec<Job>, LedgerError>> + Send;

    /// Jobs for whose entries [`Entry::is_due`] holds, the longest unchanged first.
    fn neglected(&self, due: Due, limit: u32) -> impl Future<Output = Result<Vec<Job>, LedgerError>> + Send;
}

/// Applies a rule to an entry and writes it back, as often as it takes. `None` when there is no such job.
async fn change<T: JobTable, R>(
    table: &T,
    id: &JobId,
    mut rule: impl FnMut(&mut Entry, Timestamp) -> R,
) -> Result<Option<R>, LedgerError> {
    for _ in 0..TRIES {
        let Some(Stored { mut entry, version, now }) = table.get(id).await? else { return Ok(None) };
        let before = entry.clone();
        let answer = rule(&mut entry, now);
        if entry == before {
            return Ok(Some(answer));
        }
        entry.updated_at = now;
        if table.replace(&entry, version).await? {
            return Ok(Some(answer));
        }
    }
    Err(LedgerError::Unavailable(format!("{TRIES} others wrote to the job at the same time").into()))
}

/// A change under a lease.
async fn under_lease<T: JobTable>(
    table: &T,
    lease: &Lease,
    rule: impl FnMut(&mut Entry, Timestamp) -> Result<(), LedgerError>,
) -> Result<(), LedgerError> {
    change(table, &lease.job, rule).await?.unwrap_or_else(|| Err(LedgerError::lost(lease)))
}

impl<T: JobTable> Ledger for T {
    async fn accept(&self, job: &NewJob) -> Result<JobId, LedgerError> {
        let now = self.now().await?;
        let mut entry = Entry::accepted(job, now);
        if let (Some(sameness), Some(reuse)) = (&job.sameness, job.reuse) {
            let fresh = self.ready_since(sameness, now - reuse).await?;
            if let Some(receipt) = fresh.filter(|receipt| receipt.expires_at > now) {
                entry = Entry::ready_from(job, receipt, now);
            }
        }
        match self.insert(&entry).await? {
            Inserted::New | Inserted::Known => Ok(job.id.clone()),
            Inserted::SameAs(other) => Ok(other),
        }
    }

    async fn claim(&self, id: &JobId, owner: &str, duration: Duration) -> Result<Claim, LedgerError> {
        let claim = change(self, id, |entry, now| entry.claim(owner, duration, now)).await?;
        Ok(claim.unwrap_or(Claim::Unknown))
    }

    async fn advance(&self, lease: &Lease, rows: u64, bytes: u64) -> Result<(), LedgerError> {
        under_lease(self, lease, |entry, now| entry.advance(lease, rows, bytes, now)).await
    }

    async fn checkpoint(&self, lease: &Lease, checkpoint: &Checkpoint) -> Result<(), LedgerError> {
        under_lease(self, lease, |entry, now| entry.checkpoint(lease, checkpoint, now)).await
    }

    async fn watch(&self, lease: &Lease) -> Result<Watch, LedgerError> {
        Ok(self.peek(&lease.job).await?.map_or(Watch::Lost, |(state, attempt, cancel_wanted)| {
            entry::watch(state, attempt, cancel_wanted, lease)
        }))
    }

    async fn pause(&self, lease: &Lease, checkpoint: &Checkpoint) -> Result<(), LedgerError> {
        under_lease(self, lease, |entry, _| entry.pause(lease, checkpoint)).await
    }

    async fn ready(&self, lease: &Lease, receipt: &Receipt) -> Result<(), LedgerError> {
        under_lease(self, lease, |entry, now| entry.ready(lease, receipt, now)).await
    }

    async fn fail(&self, lease: &Lease, failure: &Failure) -> Result<(), LedgerError> {
        under_lease(self, lease, |entry, now| entry.fail(lease, failure, now)).await
    }

    async fn release(&self, lease: &Lease, failure: &Failure) -> Result<(), LedgerError> {
        under_lease(self, lease, |entry, _| entry.release(lease, failure)).await
    }

    async fn cancel(&self, id: &JobId) -> Result<Cancel, LedgerError> {
        Ok(change(self, id, Entry::cancel).await?.unwrap_or(Cancel::Unknown))
    }

    async fn cancelled(&self, lease: &Lease) -> Result<(), LedgerError> {
        under_lease(self, lease, |entry, now| entry.cancelled(lease, now)).await
    }

    async fn cleared(&self, id: &JobId) -> Result<(), LedgerError> {
        change(self, id, |entry, _| entry.cleared()).await.map(drop)
    }

    async fn claim_notice(&self, id: &JobId) -> Result<bool, LedgerError> {
        Ok(change(self, id, Entry::claim_notice).await?.unwrap_or(false))
    }

    async fn notified(&self, id: &JobId) -> Result<(), LedgerError> {
        change(self, id, Entry::notified).await.map(drop)
    }

    async fn release_notice(&self, id: &JobId) -> Result<(), LedgerError> {
        change(self, id, |entry, _| entry.release_notice()).await.map(drop)
    }

    async fn expire(&self, id: &JobId) -> Result<(), LedgerError> {
        change(self, id, |entry, _| entry.expire()).await.map(drop)
    }

    async fn touch(&self, id: &JobId) -> Result<(), LedgerError> {
        change(self, id, |entry, now| entry.updated_at = now).await.map(drop)
    }

    async fn find(&self, id: &JobId) -> Result<Option<Job>, LedgerError> {
        Ok(self.get(id).await?.map(|stored| stored.entry.job))
    }

    async fn latest(&self, limit: u32) -> Result<Vec<Job>, LedgerError> {
        self.newest(limit).await
    }

    async fn due(&self, due: Due, limit: u32) -> Result<Vec<Job>, LedgerError> {
        self.neglected(due, limit).await
    }
}

/// Why the ledger could not do it.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// It did not answer. It may work later.
    #[error("the ledger could not be reached")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// It answered with an error: not migrated, no permission.
    #[error("the ledger reported an error")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
    /// Somebody else has the job now; whatever this attempt still does must not count.
    #[error("attempt {attempt} has lost its lease on job {job}")]
    LeaseLost {
        /// The job.
        job: JobId,
        /// The attempt that was refused.
        attempt: u32,
    },
}

impl LedgerError {
    /// The lease is not held, or not any more.
    #[must_use]
    pub fn lost(lease: &Lease) -> Self {
        Self::LeaseLost { job: lease.job.clone(), attempt: lease.attempt }
    }
}
