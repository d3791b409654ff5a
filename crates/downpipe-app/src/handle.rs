//! The way of a message, from the queue to the e-mail. Read it from top to bottom.

use downpipe_core::error_chain::error_chain;
use downpipe_core::job::{Job, JobId};
use downpipe_core::ledger::{Claim, Lease, LedgerError, SharedResult};
use downpipe_core::message::{Incoming, Rejections};
use downpipe_core::queue::Delivery;
use downpipe_core::request::ExportRequest;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::ports::Ports;
use crate::record::Recorded;
use crate::worker::{MAX_ATTEMPTS, Outcome, Worker};

/// Leases for which a job's own message is hidden when it is delivered while its worker lives. Five such deliveries outlast the
/// longest run, so that the message does not end in the dead-letter queue while its job is well.
const BUSY_LEASES: u32 = 5;

impl<P: Ports> Worker<P> {
    /// Handles a message. Records whatever is wrong with it. A message that the ledger cannot record stays in the queue, and comes back
    /// or ends in the dead-letter queue.
    pub async fn handle(&self, delivery: &Delivery, deadline: Instant) -> Outcome {
        let incoming = Incoming::read(&delivery.body, &delivery.message_id);
        let id = incoming.job_id().clone();
        let span = tracing::info_span!("job", job_id = %id, message_id = delivery.message_id);
        async {
            match self.work(incoming, delivery, deadline).await {
                Ok(outcome) => outcome,
                Err(LedgerError::LeaseLost { job, attempt }) => {
                    tracing::warn!(attempt, "another worker has the job");
                    self.cleanup_lost_job(&job).await;
                    Outcome::RetryAfter(self.lease * BUSY_LEASES)
                }
                Err(error) => {
                    tracing::error!(error = error_chain(&error), "the ledger could not record the job");
                    Outcome::RetryAfter(self.back_off(delivery.receive_count))
                }
            }
        }
        .instrument(span)
        .await
    }

    /// Claims the job of a message and works on it, or on what is left to do.
    async fn work(
        &self,
        incoming: Incoming,
        delivery: &Delivery,
        deadline: Instant,
    ) -> Result<Outcome, LedgerError> {
        let (claim, request) = self.claim(incoming, delivery).await?;
        let (lease, job, result) = match claim {
            Claim::Granted(lease, job) => (lease, job, None),
            Claim::Answered(lease, job, result) => (lease, job, Some(result)),
            Claim::Ended(job) => {
                let outcome = self.notify(&job, delivery).await;
                self.call_followers(&job).await;
                return outcome;
            }
            Claim::Busy(job, lease_left) => {
                tracing::info!(lease_left = lease_left.as_secs(), "another worker has the job");
                return Ok(self.retry_if_owner(&job, delivery).await);
            }
            Claim::Follows(_) => {
                tracing::info!("another job works for this one, and its worker sends a message at its end");
                return Ok(Outcome::Done);
            }
            Claim::Unknown => {
                tracing::warn!("a message asks to continue a job that does not exist");
                return Ok(Outcome::Done);
            }
        };
        let request = request.unwrap_or_else(|| self.read_request(&job));
        Box::pin(self.work_under(&lease, &job, &request, result, delivery, deadline)).await
    }

    /// Claims the job that a message brings or resumes. Returns the request too if it is the claimed job's: another message may have
    /// brought that.
    async fn claim(
        &self,
        incoming: Incoming,
        delivery: &Delivery,
    ) -> Result<(Claim, Option<Result<ExportRequest<'_>, Rejections>>), LedgerError> {
        let (mut job, message) = match incoming {
            Incoming::New { job, message } => (job, message),
            Incoming::Continue(id) => {
                return Ok((self.ledger.claim(&id, &delivery.message_id, self.lease).await?, None));
            }
        };
        let request = message.and_then(|message| ExportRequest::accept(&message, &self.catalog));
        if let Ok(request) = &request {
            job.fingerprint = Some(request.fingerprint());
            job.shared_fingerprint = request.shared_fingerprint();
            job.definition_sha256 = Some(request.definition.sha256.clone());
            job.reuse = request.definition.output.reuse;
        }
        let reusable = self.reusable_receipt(&job).await?;
        let (owner, lease) = (&delivery.message_id, self.lease);
        let claim = self.ledger.accept_and_claim(&job, reusable.as_ref(), owner, lease).await?;
        let is_claimed = match &claim {
            Claim::Granted(lease, _) | Claim::Answered(lease, ..) => *lease.job() == job.id,
            _ => false,
        };
        Ok((claim, is_claimed.then_some(request)))
    }

    /// Makes an attempt under a lease, records how it ended, and does what follows from that.
    async fn work_under(
        &self,
        lease: &Lease,
        job: &Job,
        request: &Result<ExportRequest<'_>, Rejections>,
        result: Option<SharedResult>,
        delivery: &Delivery,
        deadline: Instant,
    ) -> Result<Outcome, LedgerError> {
        if job.attempts_since_progress <= MAX_ATTEMPTS && self.hand_to_fresh_message(lease, delivery).await {
            return Ok(Outcome::Done);
        }
        let attempt = match self.answer(lease, job, request, result).await? {
            Some(answer) => answer,
            None => Box::pin(self.attempt(lease, job, request, delivery, deadline)).await,
        };
        // Boxed, as the longest steps are: a thread of a test has a stack of 2 MiB.
        let outcome = match Box::pin(self.record_outcome(lease, job, attempt)).await? {
            Recorded::Ready(right) => {
                let receipt = right.job().receipt.clone();
                let outcome = self.notify_ready(*right, delivery).await;
                if let Some(receipt) = receipt {
                    self.keep_receipt(request, &receipt, job.id.as_str()).await;
                }
                outcome
            }
            Recorded::Ended(job) => self.notify(&job, delivery).await,
            Recorded::Paused => return Ok(self.enqueue_continuation(lease.job()).await),
            Recorded::RetryAfter(delay) => return Ok(self.retry(lease.job(), delivery, delay).await),
        };
        self.call_followers(job).await;
        outcome
    }

    /// Another worker holds the lease. If this is that worker's own message, keeps it so that the job is redelivered after a crash.
    /// Otherwise the message is not needed.
    async fn retry_if_owner(&self, job: &Job, delivery: &Delivery) -> Outcome {
        if job.owner_message_id.as_ref() != Some(&delivery.message_id) {
            return Outcome::Done;
        }
        self.retry(&job.id, delivery, self.lease * BUSY_LEASES).await
    }

    /// Cleans up after an attempt that lost its lease. The job may have ended without a file meanwhile, and this attempt may have
    /// completed one. No later message may come to remove it.
    async fn cleanup_lost_job(&self, id: &JobId) {
        let cleaned = async {
            if let Some(job) = self.ledger.find(id).await? {
                self.cleanup_job(&job).await?;
            }
            Ok::<_, LedgerError>(())
        };
        if let Err(error) = cleaned.await {
            tracing::warn!(error = error_chain(&error), "what this attempt left was not looked for");
        }
    }
}
