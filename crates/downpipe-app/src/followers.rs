//! Jobs that share a result: whether one may have it, and the messages to those that wait.

use std::time::Duration;

use downpipe_core::error_chain::error_chain;
use downpipe_core::failure;
use downpipe_core::job::{Job, Receipt};
use downpipe_core::ledger::{Lease, LedgerError, SharedResult};
use downpipe_core::message::{Message, Rejections};
use downpipe_core::queue::Queue as _;
use downpipe_core::request::ExportRequest;
use downpipe_core::store::ResumableStore as _;

use crate::attempt::Attempt;
use crate::ports::Ports;
use crate::worker::{MAX_ATTEMPTS, Worker};

/// Followers to which one delivery sends messages. The leader's own next delivery goes on with the rest.
const MAX_FOLLOWERS: u32 = 100;

/// When the leader's next delivery comes. By then most of the followers before have ended.
const NEXT_FOLLOWERS_AFTER: Duration = Duration::from_secs(10);

impl<P: Ports> Worker<P> {
    /// Answers a job with the result of the one that led. `None` if this job has to work itself, and then it leads.
    ///
    /// A requester who has no access any more gets no result: their attempt is refused. A definition that was changed since has
    /// another result.
    pub(crate) async fn answer(
        &self,
        lease: &Lease,
        job: &Job,
        request: &Result<ExportRequest<'_>, Rejections>,
        result: Option<SharedResult>,
    ) -> Result<Option<Attempt>, LedgerError> {
        let (Some(result), Ok(request)) = (result, request) else { return Ok(None) };
        if job.attempts_since_progress > MAX_ATTEMPTS {
            return Ok(None);
        }
        if request.shared_fingerprint().is_some_and(|shared| shared == result.shared_fingerprint) {
            match result.outcome {
                Ok(receipt) if self.holds(&receipt).await => {
                    tracing::info!(leader = receipt.job_id, "the job has the file of another");
                    return Ok(Some(Attempt::Complete(receipt)));
                }
                Ok(_) => {}
                Err(failure) => {
                    if let Some(failure) = failure::of_follower(failure) {
                        return Ok(Some(Attempt::Failed(failure, None)));
                    }
                }
            }
        }
        let leads = self.ledger.take_lead(lease).await?;
        Ok((!leads).then_some(Attempt::Follows))
    }

    /// Sends a message to each job that waits for this one, if it has led and is over. The sweep makes up for a message that is lost.
    pub(crate) async fn call_followers(&self, job: &Job) {
        let definition = self.catalog.get(&job.export);
        let may_lead =
            job.attempt > 0 && definition.is_some_and(|definition| definition.access.shares_results());
        if !may_lead {
            return;
        }
        let followers = match self.ledger.followers(&job.id, MAX_FOLLOWERS).await {
            Ok(followers) => followers,
            Err(error) => {
                return tracing::warn!(error = error_chain(&error), "the jobs that wait could not be listed");
            }
        };
        let bodies: Vec<String> =
            followers.iter().map(|id| Message::Continue(id.clone()).to_json()).collect();
        if let Err(error) = self.queue.send_batch(&bodies).await {
            return tracing::warn!(
                followers = bodies.len(),
                unsent = error.unsent,
                error = error_chain(&error),
                "not all jobs that wait could be continued"
            );
        }
        if !followers.is_empty() {
            tracing::info!(followers = followers.len(), "jobs that waited for this one are continued");
        }
        if followers.len() == MAX_FOLLOWERS as usize {
            self.send_continuation(&job.id, NEXT_FOLLOWERS_AFTER).await;
        }
    }

    /// Returns whether the files of a receipt are there, so that they can be promised.
    pub(crate) async fn holds(&self, receipt: &Receipt) -> bool {
        match self.store.holds(receipt).await {
            Ok(true) => true,
            Ok(false) => {
                tracing::info!(made_by = receipt.job_id, "a file that could be reused is not there any more");
                false
            }
            Err(error) => {
                tracing::warn!(error = error_chain(&error), "the store does not say whether a file is there");
                false
            }
        }
    }
}
