//! The listener to an export's progress.

use crate::job::Checkpoint;
use crate::ledger::LedgerError;

/// Hears how far an export is: once for every part, before the file is completed, and before its receipt is written.
pub trait Progress: Send + Sync {
    /// Takes note of the rows and bytes written so far.
    ///
    /// # Errors
    /// When the export must stop because another worker has the job now.
    fn on_progress(&self, rows: u64, bytes: u64) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Makes sure that this worker still holds the lease, before it removes or completes something. Otherwise that could be its
    /// successor's. A worker may have been suspended for any time since it last asked.
    ///
    /// # Errors
    /// When another worker has the job now, or the ledger cannot be asked.
    fn ensure_lease_held(&self) -> impl Future<Output = Result<(), LedgerError>> + Send {
        std::future::ready(Ok(()))
    }

    /// Whether the last checkpoint is old enough for another: they cost a little.
    fn wants_checkpoint(&self) -> bool {
        false
    }

    /// Takes a checkpoint from which another run could resume.
    fn save_checkpoint(&self, _: Checkpoint) {}
}
