//! A listener that keeps what it heard.

use std::sync::Mutex;

use super::lock;
use crate::export::Progress;
use crate::ledger::LedgerError;

/// Records all progress, and can end an export as a ledger does whose job another worker has.
#[derive(Debug, Default)]
pub struct RecordingProgress {
    heard: Mutex<Vec<(u64, u64)>>,
    lease: Option<LostLease>,
}

#[derive(Debug)]
struct LostLease {
    job: crate::job::JobId,
    attempt: u32,
    after: usize,
}

impl RecordingProgress {
    /// A listener that never interrupts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A listener that hears `after` signs of life and answers every later one with [`LedgerError::LeaseLost`].
    #[must_use]
    pub fn losing_lease(job: crate::job::JobId, attempt: u32, after: usize) -> Self {
        Self { heard: Mutex::default(), lease: Some(LostLease { job, attempt, after }) }
    }

    /// Rows and bytes, in the order in which they were reported.
    #[must_use]
    pub fn heard(&self) -> Vec<(u64, u64)> {
        lock(&self.heard).clone()
    }
}

impl Progress for RecordingProgress {
    async fn on_progress(&self, rows: u64, bytes: u64) -> Result<(), LedgerError> {
        self.ensure_lease_held().await?;
        lock(&self.heard).push((rows, bytes));
        Ok(())
    }

    async fn ensure_lease_held(&self) -> Result<(), LedgerError> {
        match &self.lease {
            Some(LostLease { job, attempt, after }) if lock(&self.heard).len() >= *after => {
                Err(LedgerError::LeaseLost { job: job.clone(), attempt: *attempt })
            }
            _ => Ok(()),
        }
    }
}
