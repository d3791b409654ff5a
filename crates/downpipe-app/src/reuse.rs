//! Files of earlier jobs that answer a request at once.

use std::time::Duration;

use downpipe_core::job::{NewJob, Receipt};
use downpipe_core::ledger::LedgerError;
use downpipe_core::message::Rejections;
use downpipe_core::request::ExportRequest;
use jiff::Timestamp;

use crate::ports::Ports;
use crate::worker::Worker;

impl<P: Ports> Worker<P> {
    /// Returns the receipt of a file that answers a new job's request, if the definition lets it and the file is there. Asks the cache
    /// first, and the ledger only if the cache has none.
    pub(crate) async fn reusable_receipt(&self, job: &NewJob) -> Result<Option<Receipt>, LedgerError> {
        let cached = self.cached_receipt(job).await;
        if cached.is_some() {
            return Ok(cached);
        }
        match self.ledger.reusable_receipt(job).await? {
            Some(receipt) if self.holds(&receipt).await => Ok(Some(receipt)),
            _ => Ok(None),
        }
    }

    /// Returns the receipt that the cache has for a new job. Deletes one whose file is too old or gone.
    ///
    /// The age is told by the worker's clock. A receipt from the future is of a clock that is wrong, and so is a miss. A clock that is
    /// behind keeps a receipt no longer than the cache does.
    async fn cached_receipt(&self, job: &NewJob) -> Option<Receipt> {
        let reuse = job.reuse?;
        let fingerprint = job.shared_fingerprint.as_ref().or(job.fingerprint.as_ref())?;
        let receipt = self.cache.receipt(fingerprint).await?;
        let now = Timestamp::now();
        let is_fresh = receipt.completed_at <= now
            && now.duration_since(receipt.completed_at).unsigned_abs() <= reuse
            && receipt.expires_at > now;
        if is_fresh && self.holds(&receipt).await {
            return Some(receipt);
        }
        tracing::info!("the cached file is of no use any more");
        self.cache.forget_receipt(fingerprint).await;
        None
    }

    /// Keeps the receipt of a job that has just been made ready in the cache, for as long as the definition lets it answer others.
    pub(crate) async fn keep_receipt(
        &self,
        request: &Result<ExportRequest<'_>, Rejections>,
        receipt: &Receipt,
        job_id: &str,
    ) {
        let Ok(request) = request else { return };
        let Some(reuse) = request.definition.output.reuse else { return };
        // A file that was reused is in the cache already, or is older than its entry could be.
        if receipt.job_id != job_id {
            return;
        }
        let fingerprint = request.shared_fingerprint().unwrap_or_else(|| request.fingerprint());
        let kept = receipt.expires_at.duration_since(Timestamp::now());
        let ttl = reuse.min(Duration::try_from(kept).unwrap_or_default());
        self.cache.keep_receipt(&fingerprint, receipt, ttl).await;
    }
}
