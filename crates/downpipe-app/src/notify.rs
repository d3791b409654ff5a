//! What is left to do when a job has ended: what it left is removed, and its requester notified.

use downpipe_core::error_chain::error_chain;
use downpipe_core::export;
use downpipe_core::job::{Job, JobAttempt, JobState};
use downpipe_core::ledger::{LedgerError, NOTIFY_LEASE, NotifyLease};
use downpipe_core::notice::{Notice, NoticeContext, Notifier as _, NotifyError};
use downpipe_core::queue::Delivery;
use downpipe_core::store::{NewObject, ResumableStore as _};

use crate::ports::Ports;
use crate::worker::{Outcome, Worker};

/// How long a job's own message is hidden when another worker is notifying the requester. By then they are notified, or the notify
/// lease has run out and this message takes it.
const NOTIFY_RETRY_DELAY: std::time::Duration = NOTIFY_LEASE;

/// What came of notifying the requester.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notified {
    /// They are notified, now or before, or there is nothing to say.
    Done,
    /// Another worker is notifying them.
    ByAnother,
    /// The notifier did not take the notice.
    Failed,
}

impl<P: Ports> Worker<P> {
    /// Cleans up after a job that has ended, and notifies its requester. What cannot be removed now is removed when the message comes
    /// back, or by the sweep; the requester does not wait for it.
    pub(crate) async fn notify(&self, job: &Job, delivery: &Delivery) -> Result<Outcome, LedgerError> {
        let is_clean = self.cleanup_job(job).await?;
        let outcome = match self.notify_once(job).await? {
            // That worker's own message stays until they are notified, and this may be it.
            Notified::ByAnother if job.message_id == delivery.message_id || job.resume_count > 0 => {
                Outcome::RetryAfter(NOTIFY_RETRY_DELAY)
            }
            Notified::Failed => Outcome::RetryAfter(self.back_off(delivery.receive_count)),
            Notified::Done | Notified::ByAnother => Outcome::Done,
        };
        if outcome == Outcome::Done && !is_clean && !self.is_last_receive(delivery).await {
            return Ok(Outcome::RetryAfter(self.back_off(delivery.receive_count)));
        }
        Ok(outcome)
    }

    /// Notifies the requester of a job that this worker has just made ready.
    pub(crate) async fn notify_ready(
        &self,
        right: NotifyLease,
        delivery: &Delivery,
    ) -> Result<Outcome, LedgerError> {
        Ok(match self.notify_under(right).await? {
            Notified::Failed => Outcome::RetryAfter(self.back_off(delivery.receive_count)),
            Notified::Done | Notified::ByAnother => Outcome::Done,
        })
    }

    /// Notifies the requester of a job that has ended, unless they are notified already or another worker is at it.
    pub(crate) async fn notify_once(&self, job: &Job) -> Result<Notified, LedgerError> {
        if !Notice::is_due(job) {
            return Ok(Notified::Done);
        }
        if job.notified_at.is_some() {
            tracing::info!("the requester is notified already");
            return Ok(Notified::Done);
        }
        match self.ledger.claim_notification(&job.id).await? {
            Some(right) => self.notify_under(right).await,
            None => {
                tracing::info!("another worker notifies the requester");
                Ok(Notified::ByAnother)
            }
        }
    }

    async fn notify_under(&self, right: NotifyLease) -> Result<Notified, LedgerError> {
        let job = right.job();
        let command = job.receipt.as_ref().and_then(|receipt| self.store.download_command(receipt));
        let link = self.job_link(job).await;
        let context = NoticeContext {
            language: self.language,
            title: self.title_of(job),
            link: link.as_deref(),
            download_command: command.as_deref(),
        };
        let Some(notice) = Notice::of(job, &context) else {
            return Ok(Notified::Done);
        };
        if let Err(error) = self.publish(job, &notice, &context).await {
            tracing::error!(error = error_chain(&error), "the requester could not be notified");
            self.ledger.release_notification(right).await?;
            return Ok(Notified::Failed);
        }
        self.ledger.notified(right).await?;
        tracing::info!(status = notice.status.as_str(), "the requester is notified");
        Ok(Notified::Done)
    }

    /// Returns what the notices of a job link to: a page of the portal. `None` without a portal.
    async fn job_link(&self, job: &Job) -> Option<String> {
        self.links.as_ref()?.url_of(job).await
    }

    /// Returns the title of a job's export in its requester's language. `None` for an export that the catalog does not have.
    fn title_of(&self, job: &Job) -> Option<&str> {
        Some(self.catalog.get(&job.export)?.title_in(job.language.unwrap_or(self.language)))
    }

    /// Publishes the notices of a job that has ended. The operator's goes first, where they are notified too: if only one of two
    /// notices is taken, the requester must not get theirs again.
    ///
    /// A notice that is refused for its content would be refused as often as it is sent, until its message is a dead letter. So a
    /// short one takes its place, and the operator is notified.
    async fn publish(
        &self,
        job: &Job,
        notice: &Notice,
        context: &NoticeContext<'_>,
    ) -> Result<(), NotifyError> {
        if let Some(notice) = Notice::to_operator(job, context) {
            self.publish_or_shorten(&notice, None).await?;
        }
        self.publish_or_shorten(notice, Notice::of_refusal(job, context)).await
    }

    /// Publishes a notice, or a short one in its place, and then another that tells the operator of it. A requester who cannot be
    /// reached at all is tried again and again, and the operator would read the same each time: so theirs comes last.
    async fn publish_or_shorten(
        &self,
        notice: &Notice,
        of_refusal: Option<Notice>,
    ) -> Result<(), NotifyError> {
        let refused = match self.notifier.publish(notice).await {
            Err(NotifyError::Refused(error)) => error,
            published => return published,
        };
        tracing::error!(
            error = error_chain(refused.as_ref()),
            "a notice was refused; a short one takes its place"
        );
        self.notifier.publish(&notice.shortened()).await?;
        if let Some(notice) = of_refusal
            && let Err(error) = self.notifier.publish(&notice).await
        {
            // The requester has theirs, which must not be sent again.
            tracing::error!(
                error = error_chain(&error),
                "the operator could not be told of a refused notice"
            );
        }
        Ok(())
    }

    /// Removes what a job that ended without a file left in the store, and returns whether nothing is left. An attempt may have completed
    /// a file that the ledger never recorded. The job does not show that, so this looks every time.
    pub(crate) async fn cleanup_job(&self, job: &Job) -> Result<bool, LedgerError> {
        if !matches!(job.state, JobState::Failed | JobState::Cancelled) || job.attempt == 0 {
            return Ok(true);
        }
        let token = JobAttempt { job: job.id.clone(), attempt: job.attempt };
        let key = match (&job.checkpoint, self.read_request(job)) {
            (Some(checkpoint), _) => checkpoint.object_key.clone(),
            (None, Ok(request)) => request.object_key(&self.prefix, &job.id, job.created_at),
            // A request that was refused left nothing.
            (None, Err(_)) => return Ok(true),
        };
        let object = NewObject::known_by(key, token);
        let is_clean = export::cleanup_job(&self.store, &object, job.checkpoint.as_ref()).await;
        if is_clean && job.checkpoint.is_some() {
            self.ledger.cleared(&job.id).await?;
        }
        Ok(is_clean)
    }
}
