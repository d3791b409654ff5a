//! Records in the ledger how an attempt ended.

use std::time::Duration;

use downpipe_core::failure;
use downpipe_core::job::{Checkpoint, Failure, Job};
use downpipe_core::ledger::{Lease, LedgerError, NotifyLease};

use crate::attempt::Attempt;
use crate::ports::Ports;
use crate::worker::{MAX_ATTEMPTS, MAX_RUNS, Worker};

/// What follows from the end of an attempt.
pub(crate) enum Recorded {
    /// The job is ready, and this worker may notify its requester.
    Ready(Box<NotifyLease>),
    /// The job has ended without a file: what it left is cleaned up, and its requester notified.
    Ended(Box<Job>),
    /// The job waits for its next run.
    Paused,
    /// The job is queued for another attempt after this time.
    RetryAfter(Duration),
}

impl<P: Ports> Worker<P> {
    /// Records how an attempt ended. `job` is as it was claimed.
    pub(crate) async fn record_outcome(
        &self,
        lease: &Lease,
        job: &Job,
        attempt: Attempt,
    ) -> Result<Recorded, LedgerError> {
        match attempt {
            Attempt::Complete(receipt) => {
                let right = self.ledger.ready(lease, &receipt).await?;
                tracing::info!(rows = receipt.rows, bytes = receipt.bytes, "the job is ready");
                Ok(Recorded::Ready(Box::new(right)))
            }
            Attempt::Paused(checkpoint) if job.resume_count + 1 < MAX_RUNS => {
                self.ledger.pause(lease, &checkpoint).await?;
                tracing::info!(rows = checkpoint.rows, "the job waits for its next run");
                Ok(Recorded::Paused)
            }
            Attempt::Paused(checkpoint) => {
                self.fail(lease, &failure::of_too_many_runs(MAX_RUNS), Some(checkpoint)).await
            }
            Attempt::Cancelled(checkpoint) => {
                self.save_checkpoint(lease, checkpoint).await?;
                let job = self.ledger.cancelled(lease).await?;
                tracing::info!("the job is cancelled");
                Ok(Recorded::Ended(Box::new(job)))
            }
            Attempt::Retry(failure, checkpoint) => self.retry_or_fail(lease, failure, checkpoint).await,
            Attempt::Failed(failure, checkpoint) => self.fail(lease, &failure, checkpoint).await,
            Attempt::Follows => {
                self.ledger.hand_over(lease).await?;
                // The leader may have looked for its followers while this one was claimed.
                Ok(Recorded::RetryAfter(self.lease / 4))
            }
            Attempt::LeaseLost => Err(LedgerError::lost(lease)),
        }
    }

    /// Queues the job for another attempt, unless it has used up its attempts without progress.
    async fn retry_or_fail(
        &self,
        lease: &Lease,
        failure: Failure,
        checkpoint: Option<Box<Checkpoint>>,
    ) -> Result<Recorded, LedgerError> {
        self.save_checkpoint(lease, checkpoint).await?;
        // This checkpoint, or one that a heartbeat saved, may have renewed the attempts since the claim.
        let attempts = self.ledger.job_under(lease).await?.attempts_since_progress;
        if attempts >= MAX_ATTEMPTS {
            return self.fail(lease, &failure::of_last_attempt(failure, lease.attempt()), None).await;
        }
        tracing::warn!(
            code = failure.code,
            attempt = lease.attempt(),
            "the attempt failed; there will be another"
        );
        self.ledger.release(lease, &failure).await?;
        Ok(Recorded::RetryAfter(self.back_off(attempts)))
    }

    /// Ends the job as failed. What it left is removed once that is on record, when no other attempt resumes from it any more.
    async fn fail(
        &self,
        lease: &Lease,
        failure: &Failure,
        checkpoint: Option<Box<Checkpoint>>,
    ) -> Result<Recorded, LedgerError> {
        tracing::error!(code = failure.code, attempt = lease.attempt(), "the job has failed");
        self.save_checkpoint(lease, checkpoint).await?;
        Ok(Recorded::Ended(Box::new(self.ledger.fail(lease, failure).await?)))
    }

    /// Saves the last checkpoint, if there is one.
    async fn save_checkpoint(
        &self,
        lease: &Lease,
        checkpoint: Option<Box<Checkpoint>>,
    ) -> Result<(), LedgerError> {
        if let Some(checkpoint) = checkpoint {
            self.ledger.checkpoint(lease, &checkpoint).await?;
        }
        Ok(())
    }
}
