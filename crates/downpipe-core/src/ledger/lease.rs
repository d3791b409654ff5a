//! Leases, and the answers to those who want one.

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use super::entry::Stored;
use crate::job::{Failure, Job, JobAttempt, JobId, Receipt};
use crate::mutex::lock;

/// The right of one worker to work on a job, until it runs out. Only the ledger grants one.
///
/// It remembers the entry as this worker last read or wrote it, so that the next write needs no read before it. A write whose
/// version is not the table's any more is refused, and reads again.
pub struct Lease {
    attempt: JobAttempt,
    duration: Duration,
    known: Mutex<Option<Box<Stored>>>,
}

impl Lease {
    pub(super) fn new(stored: Stored, duration: Duration) -> Self {
        let job = &stored.entry.job;
        let attempt = JobAttempt { job: job.id.clone(), attempt: job.attempt };
        Self { attempt, duration, known: Mutex::new(Some(Box::new(stored))) }
    }

    /// Makes a lease that no ledger has granted, to try whether the ledger refuses it.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn forged(attempt: JobAttempt, duration: Duration) -> Self {
        Self { attempt, duration, known: Mutex::new(None) }
    }

    /// Returns the job.
    #[must_use]
    pub fn job(&self) -> &JobId {
        &self.attempt.job
    }

    /// Returns the number of the attempt, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt.attempt
    }

    /// Returns the fencing token: job and attempt.
    #[must_use]
    pub fn job_attempt(&self) -> &JobAttempt {
        &self.attempt
    }

    /// Returns how long the lease lasts from its last renewal.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// Takes the entry as it was last read or written. It is missing while a write is under way, and after one that failed or was
    /// dropped: then only the table knows.
    pub(super) fn take_known(&self) -> Option<Stored> {
        lock(&self.known).take().map(|stored| *stored)
    }

    pub(super) fn set_known(&self, stored: Stored) {
        *lock(&self.known) = Some(Box::new(stored));
    }

    pub(super) fn known_job(&self) -> Option<Job> {
        lock(&self.known).as_ref().map(|stored| stored.entry.job.clone())
    }
}

impl fmt::Debug for Lease {
    /// Without the entry, which has the requester's address in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("attempt", &self.attempt)
            .field("duration", &self.duration)
            .finish_non_exhaustive()
    }
}

impl PartialEq for Lease {
    /// Two leases are the same when they are of the same attempt and last as long.
    fn eq(&self, other: &Self) -> bool {
        (&self.attempt, self.duration) == (&other.attempt, other.duration)
    }
}

/// The right of one worker to notify the requester of a job that has ended, until it runs out.
#[derive(Debug, PartialEq)]
pub struct NotifyLease(pub(super) Stored);

impl NotifyLease {
    /// Returns the job as it ended.
    #[must_use]
    pub fn job(&self) -> &Job {
        &self.0.entry.job
    }
}

/// The answer to a worker that wants to work on a job.
#[derive(Debug, PartialEq)]
pub enum Claim {
    /// The worker has the job, which is as it is after the claim.
    Granted(Lease, Box<Job>),
    /// The worker has the job, and another job has done its work: this is the result. A worker that cannot use it needs the
    /// [lead](super::Ledger::take_lead) to do the work again.
    Answered(Lease, Box<Job>, SharedResult),
    /// Another worker has it, for this time unless it renews its lease.
    Busy(Box<Job>, Duration),
    /// The job stays queued: another job leads, and works for both. That job's worker sends a message when it has ended.
    Follows(Box<Job>),
    /// The job has ended. At most its requester is left to notify.
    Ended(Box<Job>),
    /// There is no such job.
    Unknown,
}

/// The answer to a request to record a job.
#[derive(Debug, PartialEq)]
pub enum Recording {
    /// It is a new job.
    New(Box<Job>),
    /// It is this job, which was there before: of the same id, or of the same request.
    Known(Box<Job>),
}

/// What a leader came to.
#[derive(Debug, Clone, PartialEq)]
pub struct SharedResult {
    /// The digest of the requests that share it.
    pub shared_fingerprint: String,
    /// The receipt of its file, or why it has none.
    pub outcome: Result<Box<Receipt>, Failure>,
}

/// The answer to a request to cancel a job.
#[derive(Debug, Clone, PartialEq)]
pub enum CancelOutcome {
    /// No worker had it. It is cancelled.
    Done(Box<Job>),
    /// A worker has it, and will see the request.
    Requested,
    /// It had ended before.
    Ended(Box<Job>),
    /// There is no such job.
    Unknown,
}

/// What the holder of a lease has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseStatus {
    /// The lease is held.
    Held,
    /// The lease is held, and the job is to be cancelled.
    CancelRequested,
    /// Another worker has the job, or it has ended.
    Lost,
}

/// Which jobs the sweep asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StaleFilter {
    /// Ended at least so long ago, with the requester not notified or something not cleaned up.
    Unnotified(Duration),
    /// Running under a lease that ran out at least so long ago.
    LeaseExpired(Duration),
    /// Queued for so long at least, and no queue has taken its message: see [`Job::is_unsent`].
    Unsent(Duration),
    /// Queued or waiting, and not written to for so long.
    Idle(Duration),
    /// Ready, with a file that is past its retention.
    PastRetention,
    /// Over, with nothing left to do, and not written to for so long.
    PastLedgerRetention(Duration),
}
