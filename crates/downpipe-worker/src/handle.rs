//! The way of a message, from the queue to the e-mail. Read it from top to bottom.

use std::time::Duration;

use downpipe_core::catalog::Catalog;
use downpipe_core::checkpoint::Checkpoint;
use downpipe_core::failure::{self, Next, chain};
use downpipe_core::job::{Failure, Job, JobId, JobState, NewJob};
use downpipe_core::ledger::{Claim, Lease, Ledger, LedgerError, Watch};
use downpipe_core::message::Message;
use downpipe_core::notice::{Notice, Notifier, NotifyError};
use downpipe_core::pipeline::{self, Broken, Exported, Order};
use downpipe_core::queue::Queue;
use downpipe_core::receipt::Receipt;
use downpipe_core::rejection::Rejections;
use downpipe_core::request::ExportRequest;
use downpipe_core::source::RowSource;
use downpipe_core::store::{NewObject, ObjectStore, WriteToken};
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::pulse::Pulse;

/// Attempts without progress before a job that keeps failing for passing reasons, or keeps killing its worker, has failed. One
/// less than the queue's receives, so that a job ends in the ledger and not in the dead-letter queue.
pub const MAX_ATTEMPTS: u32 = 4;

/// After so many receives the queue moves a message to the dead letters: `maxReceiveCount` in the template.
pub const MAX_RECEIVES: u32 = 5;

/// Runs of one job: a day of them, at fifteen minutes each. Lambda itself would stop a function that sends itself messages after
/// 16, and is told not to (`RecursiveLoop` in the template): this is what ends a job instead that never comes to its end.
pub const MAX_RUNS: u32 = 96;

/// How long a job stays ours without a sign of life.
pub const LEASE: Duration = Duration::from_secs(60);

/// A job's message that comes again while its worker lives stays away for so many leases. Five of these outlast the longest run,
/// so that the message does not end in the dead-letter queue while its job is well.
const BUSY_LEASES: u32 = 5;

/// A job's own message that came while somebody else was telling the requester stays away this long. By then they have been
/// told, or the right to tell them has run out: nobody may take it on trust that somebody else will.
const TELLING: Duration = downpipe_core::entry::NOTICE_RIGHT;

/// What is left of the time when reading stops, for clearing up and telling the person.
const MARGIN: Duration = Duration::from_secs(30);

/// Everything a message needs on its way.
#[derive(Debug)]
pub struct Worker<L, R, S, N, Q> {
    /// What may be exported.
    pub catalog: Catalog,
    /// Remembers jobs.
    pub ledger: L,
    /// Gives rows.
    pub source: R,
    /// Takes files.
    pub store: S,
    /// Tells people.
    pub notifier: N,
    /// Where messages come from.
    pub queue: Q,
    /// How long a job stays a worker's without a sign of life. Everything else that is waited for is so many times as long.
    pub lease: Duration,
    /// What the keys of files begin with.
    pub prefix: String,
    /// What e-mails link to.
    pub portal_url: Option<String>,
}

/// A message as it was delivered, perhaps not for the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The queue's id of the message, the same at every delivery.
    pub message_id: String,
    /// What the queue wants to hear when we speak of this delivery.
    pub receipt_handle: Option<String>,
    /// The message.
    pub body: String,
    /// How often it was delivered, this time included.
    pub receive_count: u32,
}

/// What becomes of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It has been dealt with: delete it.
    Done,
    /// Deliver it again after this time.
    RetryAfter(Duration),
}

/// How an attempt ended.
enum Attempt {
    /// With a file.
    Complete(Box<Receipt>),
    /// With the end of its run.
    Paused(Box<Checkpoint>),
    /// By somebody's wish, perhaps with something to be cleared away.
    Cancelled(Option<Box<Checkpoint>>),
    /// Without a file, perhaps with something to go on with.
    Failed(Next, Failure, Option<Box<Checkpoint>>),
}

/// What is to be done with the message once the attempt is recorded.
enum Settled {
    /// The job has ended: its requester is to be told.
    Ended,
    /// The job goes on in another run.
    GoesOn,
    /// The message is to come back.
    RetryAfter(Duration),
}

impl<L: Ledger, R: RowSource, S: ObjectStore, N: Notifier, Q: Queue> Worker<L, R, S, N, Q> {
    /// Handles a message. Whatever is wrong with it, it is recorded; only when not even that is possible does it stay in
    /// the queue unrecorded, to come back or to end in the dead-letter queue.
    pub async fn handle(&self, delivery: &Delivery, deadline: Instant) -> Outcome {
        let message = Message::parse(&delivery.body);
        let job = self.new_job(&message, delivery);
        let id = match (&job, &message) {
            (Some(job), _) => job.id.clone(),
            (None, Ok(Message::Continue(id))) => id.clone(),
            (None, _) => unreachable!("everything but a continuation becomes a job"),
        };
        let span = tracing::info_span!("job", job_id = %id, message_id = delivery.message_id);
        async {
            match self.work(&id, job.as_ref(), delivery, deadline).await {
                Ok(outcome) => outcome,
                Err(LedgerError::LeaseLost { attempt, .. }) => {
                    tracing::warn!(attempt, "somebody else has the job now");
                    // It may have ended by now, without a file, while this attempt completed one. The message need not come back
                    // to clear that away: it may have been deleted.
                    if let Err(error) = self.clear_away(&id).await {
                        tracing::warn!(error = chain(&error), "what this attempt left was not looked for");
                    }
                    Outcome::RetryAfter(self.lease * BUSY_LEASES)
                }
                Err(error) => {
                    tracing::error!(error = chain(&error), "the ledger could not record the job");
                    Outcome::RetryAfter(self.back_off(delivery.receive_count))
                }
            }
        }
        .instrument(span)
        .await
    }

    /// The job of a message, as it is to be recorded. A request that nothing is wrong with knows which others are the same.
    fn new_job(&self, message: &Result<Message, Rejections>, delivery: &Delivery) -> Option<NewJob> {
        let job = NewJob::of(message, &delivery.message_id, &delivery.body)?;
        let Ok(Message::Export(message)) = message else { return Some(job) };
        let Ok(request) = ExportRequest::accept(message, &self.catalog) else { return Some(job) };
        Some(NewJob { sameness: Some(request.sameness()), reuse: request.definition.output.reuse, ..job })
    }

    /// Accepts, claims, exports, settles, tells.
    async fn work(
        &self,
        id: &JobId,
        job: Option<&NewJob>,
        delivery: &Delivery,
        deadline: Instant,
    ) -> Result<Outcome, LedgerError> {
        let id = match job {
            Some(job) => self.ledger.accept(job).await?,
            None => id.clone(),
        };
        let (lease, job) = match self.ledger.claim(&id, &delivery.message_id, self.lease).await? {
            Claim::Granted(lease, job) => (lease, job),
            Claim::Ended(job) => return self.tell(&job.id, delivery).await,
            Claim::Busy(job, lease_left) => {
                tracing::info!(lease_left = lease_left.as_secs(), "the job is being worked on already");
                return Ok(leave_to_owner(&job, delivery, self.lease * BUSY_LEASES));
            }
            Claim::Unknown => {
                tracing::warn!("a message asks to continue a job that does not exist");
                return Ok(Outcome::Done);
            }
        };
        let attempt = self.attempt(&lease, &job, delivery, deadline).await;
        match self.settle(&lease, &job, attempt, delivery).await? {
            Settled::Ended => self.tell(&lease.job, delivery).await,
            Settled::GoesOn => Ok(self.send_on(&lease.job).await),
            Settled::RetryAfter(delay) => Ok(Outcome::RetryAfter(delay)),
        }
    }

    /// One attempt, from the message to the receipt, or from one checkpoint to the next.
    async fn attempt(&self, lease: &Lease, job: &Job, delivery: &Delivery, deadline: Instant) -> Attempt {
        let left = job.checkpoint.clone().map(Box::new);
        let request = match self.read_request(job) {
            Ok(request) => request,
            Err(rejections) => return Attempt::Failed(Next::Fail, failure::of_rejection(&rejections), left),
        };
        // Not the name in the message: until the catalog knows it, that is any text a stranger likes.
        tracing::info!(export = request.definition.name, attempt = lease.attempt, "the job is running");
        if job.tries > MAX_ATTEMPTS {
            // Whoever worked on it before did not even live to say why, or to clear up.
            let failure = job.failure.clone().unwrap_or_else(failure::of_crash);
            return Attempt::Failed(Next::Fail, failure, left);
        }
        let key = request.object_key(&self.prefix, &job.id, job.created_at);
        let token = WriteToken { job: job.id.clone(), attempt: lease.attempt };
        let mut order = Order::new(&request, key, token, stop_at(deadline)).go_on(job.checkpoint.clone());
        let (pulse, stop) = Pulse::new(&self.ledger, lease, delivery.receipt_handle.as_deref());
        order.query.stop = stop;
        let exported = tokio::select! {
            // In this order and not by chance, so that a story of the simulation goes the same way every time.
            biased;
            exported = pipeline::export(&self.source, &self.store, &pulse, &order, &request) => exported,
            never = pulse.beat(&self.queue) => match never {},
        };
        match (exported, pulse.heard()) {
            (Ok(Exported::Complete(receipt)), _) => Attempt::Complete(receipt),
            (_, Watch::Lost) => Attempt::Failed(Next::Yield, failure::of_crash(), None),
            (Ok(Exported::Paused(checkpoint)), Watch::Cancel) => Attempt::Cancelled(Some(checkpoint)),
            (Err(Broken { checkpoint, .. }), Watch::Cancel) => Attempt::Cancelled(checkpoint),
            (Ok(Exported::Paused(checkpoint)), Watch::GoOn) => Attempt::Paused(checkpoint),
            (Err(Broken { error, checkpoint }), Watch::GoOn) => {
                let (next, failure) = failure::of_export(&error);
                Attempt::Failed(next, failure, checkpoint)
            }
        }
    }

    fn read_request(&self, job: &Job) -> Result<ExportRequest<'_>, Rejections> {
        match Message::parse(&job.message)? {
            Message::Export(message) => ExportRequest::accept(&message, &self.catalog),
            Message::Continue(_) => unreachable!("a message that continues a job is never recorded as one"),
        }
    }

    /// Records how the attempt ended.
    async fn settle(
        &self,
        lease: &Lease,
        job: &Job,
        attempt: Attempt,
        delivery: &Delivery,
    ) -> Result<Settled, LedgerError> {
        match attempt {
            Attempt::Complete(receipt) => {
                self.ledger.ready(lease, &receipt).await?;
                tracing::info!(rows = receipt.rows, bytes = receipt.bytes, "the job is ready");
                Ok(Settled::Ended)
            }
            Attempt::Paused(checkpoint) if job.continuations + 1 < MAX_RUNS => {
                self.ledger.pause(lease, &checkpoint).await?;
                tracing::info!(rows = checkpoint.rows, "the job waits for its next run");
                Ok(Settled::GoesOn)
            }
            Attempt::Paused(checkpoint) => {
                self.fail(lease, &failure::of_too_many_runs(MAX_RUNS), Some(checkpoint)).await
            }
            Attempt::Cancelled(checkpoint) => {
                self.keep(lease, checkpoint.as_deref()).await?;
                self.ledger.cancelled(lease).await?;
                tracing::info!("the job is cancelled");
                Ok(Settled::Ended)
            }
            Attempt::Failed(Next::Yield, ..) => Err(LedgerError::lost(lease)),
            Attempt::Failed(Next::Retry, failure, checkpoint) => {
                // With progress since the last attempt this is the first, and not one more, that failed.
                let rows =
                    |checkpoint: Option<&Checkpoint>| checkpoint.map_or(0, |checkpoint| checkpoint.rows);
                let progress = rows(checkpoint.as_deref()) > rows(job.checkpoint.as_ref());
                let tries = if progress { 1 } else { job.tries };
                // A receive is spent also without an attempt, when somebody else had the job or the ledger was away.
                if tries >= MAX_ATTEMPTS || delivery.receive_count >= MAX_RECEIVES {
                    let failure = failure::of_last_attempt(failure, lease.attempt);
                    return self.fail(lease, &failure, checkpoint).await;
                }
                tracing::warn!(
                    code = failure.code,
                    attempt = lease.attempt,
                    "the attempt failed; there will be another"
                );
                self.keep(lease, checkpoint.as_deref()).await?;
                self.ledger.release(lease, &failure).await?;
                Ok(Settled::RetryAfter(self.back_off(tries)))
            }
            Attempt::Failed(Next::Fail, failure, checkpoint) => self.fail(lease, &failure, checkpoint).await,
        }
    }

    /// The job has failed. What is left of it is cleared away when that is on record, and nobody goes on with it any more.
    async fn fail(
        &self,
        lease: &Lease,
        failure: &Failure,
        checkpoint: Option<Box<Checkpoint>>,
    ) -> Result<Settled, LedgerError> {
        tracing::error!(code = failure.code, attempt = lease.attempt, "the job has failed");
        self.keep(lease, checkpoint.as_deref()).await?;
        self.ledger.fail(lease, failure).await?;
        Ok(Settled::Ended)
    }

    /// Notes the last checkpoint, if there is one.
    async fn keep(&self, lease: &Lease, checkpoint: Option<&Checkpoint>) -> Result<(), LedgerError> {
        match checkpoint {
            Some(checkpoint) => self.ledger.checkpoint(lease, checkpoint).await,
            None => Ok(()),
        }
    }

    /// Removes what is left in the store of a job that ended without a file, and says whether nothing is left. An attempt may have
    /// completed a file that the ledger never heard of, and nobody knows that who only sees how the job ended: so it is looked for
    /// whenever the job comes up.
    async fn clear_away(&self, id: &JobId) -> Result<bool, LedgerError> {
        let Some(job) = self.ledger.find(id).await? else { return Ok(true) };
        if !matches!(job.state, JobState::Failed | JobState::Cancelled) || job.attempt == 0 {
            return Ok(true);
        }
        let token = WriteToken { job: job.id.clone(), attempt: job.attempt };
        let key = match (&job.checkpoint, self.read_request(&job)) {
            (Some(checkpoint), _) => checkpoint.object_key.clone(),
            (None, Ok(request)) => request.object_key(&self.prefix, &job.id, job.created_at),
            // Of a request that was refused there is nothing.
            (None, Err(_)) => return Ok(true),
        };
        let object = NewObject::known_by(key, token);
        let cleared = pipeline::clear_up(&self.store, &object, job.checkpoint.as_ref()).await;
        if cleared && job.checkpoint.is_some() {
            self.ledger.cleared(id).await?;
        }
        Ok(cleared)
    }

    /// Sends the message by which the next run goes on. Should that fail, this message comes back and does it.
    async fn send_on(&self, id: &JobId) -> Outcome {
        match self.queue.send(&Message::Continue(id.clone()).to_json()).await {
            Ok(_) => Outcome::Done,
            Err(error) => {
                tracing::warn!(error = chain(&error), "the next run could not be asked for");
                Outcome::RetryAfter(self.lease / 4)
            }
        }
    }

    /// Clears up after a job that has ended, and tells its requester. What cannot be removed now is removed when the message comes
    /// back, or by the sweep; the requester does not wait for it.
    pub(crate) async fn tell(&self, id: &JobId, delivery: &Delivery) -> Result<Outcome, LedgerError> {
        let cleared = self.clear_away(id).await?;
        let outcome = self.tell_once(id, delivery).await?;
        if outcome == Outcome::Done && !cleared && delivery.receive_count < MAX_RECEIVES {
            return Ok(Outcome::RetryAfter(self.back_off(delivery.receive_count)));
        }
        Ok(outcome)
    }

    async fn tell_once(&self, id: &JobId, delivery: &Delivery) -> Result<Outcome, LedgerError> {
        let Some(job) = self.ledger.find(id).await? else { return Ok(Outcome::Done) };
        let Some(notice) = Notice::of(&job, self.portal_url.as_deref()) else { return Ok(Outcome::Done) };
        if job.notified_at.is_some() {
            tracing::info!("the requester knows already");
            return Ok(Outcome::Done);
        }
        if !self.ledger.claim_notice(id).await? {
            tracing::info!("somebody else is telling the requester");
            // Their own message lives until they have. This one may be it, delivered once more; one that cannot be has nothing to
            // add.
            let may_be_theirs = job.message_id == delivery.message_id || job.continuations > 0;
            return Ok(if may_be_theirs { Outcome::RetryAfter(TELLING) } else { Outcome::Done });
        }
        if let Err(error) = self.publish(&job, &notice).await {
            tracing::error!(error = chain(&error), "the requester could not be told");
            self.ledger.release_notice(id).await?;
            return Ok(Outcome::RetryAfter(self.back_off(delivery.receive_count)));
        }
        self.ledger.notified(id).await?;
        tracing::info!(status = notice.status.as_str(), "the requester has been told");
        Ok(Outcome::Done)
    }

    /// Tells the operator first, where they are to be told as well: should only one of the two notices be taken, the requester
    /// must not be the one who gets theirs again.
    async fn publish(&self, job: &Job, notice: &Notice) -> Result<(), NotifyError> {
        if let Some(notice) = Notice::to_operator(job, self.portal_url.as_deref()) {
            self.notifier.publish(&notice).await?;
        }
        self.notifier.publish(notice).await
    }

    /// 90 s, 4½ min, 13½ min, 40½ min, with a lease of a minute: short enough for somebody who waits, long enough for a fail-over,
    /// and always longer than the lease of an attempt that could not be released.
    fn back_off(&self, tries: u32) -> Duration {
        self.lease * 3 / 2 * 3_u32.pow(tries.saturating_sub(1).min(3))
    }
}

/// Somebody else is at it. The message that brought them there is what brings the job back should they die, so it must live; any
/// other message for the same job has nothing to add.
fn leave_to_owner(job: &Job, delivery: &Delivery, delay: Duration) -> Outcome {
    let is_owner = job.owner.as_ref() == Some(&delivery.message_id);
    if is_owner { Outcome::RetryAfter(delay) } else { Outcome::Done }
}

/// When reading stops: early enough before the deadline, but a short deadline keeps most of its time.
fn stop_at(deadline: Instant) -> Instant {
    let left = deadline.saturating_duration_since(Instant::now());
    deadline - MARGIN.min(left / 4)
}
