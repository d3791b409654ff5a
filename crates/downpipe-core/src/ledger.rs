//! The memory of jobs. A port, with the rules every ledger keeps.
//!
//! A job is worked on under a lease. Taking one raises the attempt number, every write under it names that number, and a
//! write that names an older one is refused: a worker taken for dead can do no harm when it wakes. A lease that has run
//! out but that nobody else has taken is still good: its worker may go on, and renew it.

use std::error::Error;
use std::time::Duration;

use crate::job::{Failure, Job, JobId, NewJob};
use crate::receipt::Receipt;

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

/// Remembers jobs. All times are the ledger's own clock, so that workers need not agree on the time.
pub trait Ledger: Send + Sync {
    /// Records a job as queued, unless it is known already: then nothing changes.
    ///
    /// # Errors
    /// See [`LedgerError`]; likewise for every method here.
    fn accept(&self, job: &NewJob) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Takes a lease on a job that is queued, waiting, or running under a lease that has run out. The job in the answer is
    /// as it is afterwards; its rows and bytes begin at 0 again.
    fn claim(
        &self,
        id: &JobId,
        owner: &str,
        duration: Duration,
    ) -> impl Future<Output = Result<Claim, LedgerError>> + Send;

    /// A sign of life: notes the progress and renews the lease.
    fn advance(
        &self,
        lease: &Lease,
        rows: u64,
        bytes: u64,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// The file is complete: the job is ready, with the rows and bytes of the receipt, and what failed before is forgotten.
    fn ready(&self, lease: &Lease, receipt: &Receipt)
    -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// The job has failed for good.
    fn fail(&self, lease: &Lease, failure: &Failure) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// This attempt has failed, another may not: back to queued, without a lease.
    fn release(
        &self,
        lease: &Lease,
        failure: &Failure,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Takes the right to tell the requester. `false` when they have been told, or are being told right now. The right
    /// runs out by itself, so that a crash before the telling is repaired by the next delivery. Nobody asks before the job
    /// has ended; `false` for a job that does not exist.
    fn claim_notice(&self, id: &JobId) -> impl Future<Output = Result<bool, LedgerError>> + Send;

    /// The requester has been told.
    fn notified(&self, id: &JobId) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// The requester could not be told; somebody else may try at once.
    fn release_notice(&self, id: &JobId) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// A job.
    fn find(&self, id: &JobId) -> impl Future<Output = Result<Option<Job>, LedgerError>> + Send;

    /// The latest jobs, newest first, at most `limit`.
    fn latest(&self, limit: u32) -> impl Future<Output = Result<Vec<Job>, LedgerError>> + Send;
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
