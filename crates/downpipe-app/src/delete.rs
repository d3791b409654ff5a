//! Deleting a job's file before its time.

use downpipe_core::job::{Job, JobId, JobState, Receipt};
use downpipe_core::ledger::{Cursor, JobFilter, JobQueries, JobTable, Ledger, LedgerError};
use downpipe_core::store::{ResumableStore, StoreError};

/// Jobs that are read at once in search of another one with the same file.
const PAGE: u32 = 100;

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Deletion {
    /// The job has no file any more, and the file is gone.
    Deleted(Box<Job>),
    /// The job has no file any more. The file stays until its retention is over, because another job has it too.
    Kept(Box<Job>),
    /// The job had no file: it has not ended, or ended without one.
    NoFile(Box<Job>),
    /// There is no such job.
    Unknown,
}

/// Why the file could not be deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The store failed. The job is expired; doing it again deletes the file.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Expires a ready job and deletes its file, unless another job has the same one. Doing it again completes what failed.
///
/// The job expires first, so that no later request is given the file meanwhile.
///
/// # Errors
/// See [`DeleteError`].
pub async fn delete_file<T: JobTable + JobQueries, S: ResumableStore>(
    ledger: &Ledger<T>,
    store: &S,
    id: &JobId,
) -> Result<Deletion, DeleteError> {
    let Some(job) = ledger.find(id).await? else { return Ok(Deletion::Unknown) };
    let receipt = match (&job.receipt, job.state) {
        (Some(receipt), JobState::Ready | JobState::Expired) => receipt.clone(),
        _ => return Ok(Deletion::NoFile(Box::new(job))),
    };
    ledger.expire(&job.id).await?;
    let job = Box::new(Job { state: JobState::Expired, ..job });
    if is_anothers(ledger, &job, &receipt).await? {
        return Ok(Deletion::Kept(job));
    }
    store.remove(&receipt).await?;
    Ok(Deletion::Deleted(job))
}

/// Returns whether another ready job has the same file: one that reused it, or shared it.
async fn is_anothers<T: JobQueries>(
    ledger: &Ledger<T>,
    job: &Job,
    receipt: &Receipt,
) -> Result<bool, LedgerError> {
    let filter =
        JobFilter { export: Some(&job.export), state: Some(JobState::Ready), ..JobFilter::default() };
    let mut after: Option<Cursor> = None;
    loop {
        let page = ledger.jobs_of(&filter, after.as_ref(), PAGE).await?;
        let has_it = |other: &Job| {
            let of_other = other.receipt.as_ref().map(|of_other| &of_other.job_id);
            other.id != job.id && of_other == Some(&receipt.job_id)
        };
        if page.jobs.iter().any(has_it) {
            return Ok(true);
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(false),
        }
    }
}
