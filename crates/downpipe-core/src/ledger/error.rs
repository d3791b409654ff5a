//! Why the ledger could not do what was asked.

use std::error::Error;

use super::lease::Lease;
use crate::job::JobId;

/// Why the ledger could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// It did not answer. It may answer later.
    #[error("the ledger could not be reached")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// It answered with an error: tables not migrated, a grant missing.
    #[error("the ledger reported an error")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
    /// Another worker has the job, or it has ended. Nothing that this attempt still does may count.
    #[error("attempt {attempt} has lost its lease on job {job}")]
    LeaseLost {
        /// The job.
        job: JobId,
        /// The attempt that was refused.
        attempt: u32,
    },
}

impl LedgerError {
    /// Returns the error of a table that says of a write which takes no lead that another job has it.
    pub(super) fn takes_no_lead() -> Self {
        Self::Failed("another job leads, and this write takes no lead".into())
    }

    /// Returns the error of a lease that is not held, or not any more.
    #[must_use]
    pub fn lost(lease: &Lease) -> Self {
        Self::LeaseLost { job: lease.job().clone(), attempt: lease.attempt() }
    }
}
