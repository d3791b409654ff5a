//! The way of a message, from the queue to the e-mail. Read it from top to bottom.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use downpipe_core::catalog::Catalog;
use downpipe_core::failure::{self, Next, chain};
use downpipe_core::job::{Failure, Job, JobId, NewJob};
use downpipe_core::ledger::{Claim, Lease, Ledger, LedgerError};
use downpipe_core::message::Message;
use downpipe_core::notice::{Notice, Notifier};
use downpipe_core::pipeline::{self, Order, Progress};
use downpipe_core::receipt::Receipt;
use downpipe_core::rejection::Rejections;
use downpipe_core::request::ExportRequest;
use downpipe_core::source::RowSource;
use downpipe_core::store::{ObjectStore, WriteToken};
use tokio::time::Instant;
use tracing::Instrument as _;

/// Attempts before a job that keeps failing for passing reasons, or keeps killing its worker, has failed. One less than
/// the queue's receives, so that a job ends in the ledger and not in the dead-letter queue.
pub const MAX_ATTEMPTS: u32 = 4;

/// After so many receives the queue moves a message to the dead letters: `maxReceiveCount` in the template.
pub const MAX_RECEIVES: u32 = 5;

/// How long a job stays ours without a sign of life.
const LEASE: Duration = Duration::from_secs(60);
const HEARTBEAT: Duration = Duration::from_secs(15);

/// A job's own message that came while the job was running stays away this long. Five of these outlast the longest run, so that the
/// message does not end in the dead-letter queue while its job is well.
const BUSY: Duration = Duration::from_secs(300);

/// A job's own message that came while somebody else was telling the requester stays away this long. By then they have been
/// told, or the right to tell them has run out: nobody may take it on trust that somebody else will.
const TELLING: Duration = Duration::from_secs(60);

/// What is left of the time when reading stops, for clearing up and telling the person.
const MARGIN: Duration = Duration::from_secs(30);

/// Everything a message needs on its way.
#[derive(Debug)]
pub struct Worker<L, R, S, N> {
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
    /// Without one.
    Failed(Next, Failure),
}

impl<L: Ledger, R: RowSource, S: ObjectStore, N: Notifier> Worker<L, R, S, N> {
    /// Handles a message. Whatever is wrong with it, it is recorded; only when not even that is possible does it stay in
    /// the queue unrecorded, to come back or to end in the dead-letter queue.
    pub async fn handle(&self, delivery: &Delivery, deadline: Instant) -> Outcome {
        let message = Message::parse(&delivery.body);
        let job = NewJob::of(&message, &delivery.message_id, &delivery.body);
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
                    Outcome::RetryAfter(BUSY)
                }
                Err(error) => {
                    tracing::error!(error = chain(&error), "the ledger could not record the job");
                    Outcome::RetryAfter(back_off(delivery.receive_count))
                }
            }
        }
        .instrument(span)
        .await
    }

    /// Accepts, claims, exports, settles, tells.
    async fn work(
        &self,
        id: &JobId,
        job: Option<&NewJob>,
        delivery: &Delivery,
        deadline: Instant,
    ) -> Result<Outcome, LedgerError> {
        if let Some(job) = job {
            self.ledger.accept(job).await?;
        }
        let (lease, job) = match self.ledger.claim(id, &delivery.message_id, LEASE).await? {
            Claim::Granted(lease, job) => (lease, job),
            Claim::Ended(_) => return self.tell(id, delivery).await,
            Claim::Busy(job, lease_left) => {
                tracing::info!(lease_left = lease_left.as_secs(), "the job is being worked on already");
                return Ok(leave_to_others(&job, delivery, BUSY));
            }
            Claim::Unknown => {
                tracing::warn!("a message asks to continue a job that does not exist");
                return Ok(Outcome::Done);
            }
        };
        let attempt = self.attempt(&lease, &job, deadline).await;
        match self.settle(&lease, attempt, delivery).await? {
            Some(outcome) => Ok(outcome),
            None => self.tell(id, delivery).await,
        }
    }

    /// One attempt, from the message to the receipt.
    async fn attempt(&self, lease: &Lease, job: &Job, deadline: Instant) -> Attempt {
        let request = match self.read_request(job) {
            Ok(request) => request,
            Err(rejections) => return Attempt::Failed(Next::Fail, failure::of_rejection(&rejections)),
        };
        // Not the name in the message: until the catalog knows it, that is any text a stranger likes.
        tracing::info!(export = request.definition.name, attempt = lease.attempt, "the job is running");
        let key = request.object_key(&self.prefix, &job.id, job.created_at);
        let token = WriteToken { job: job.id.clone(), attempt: lease.attempt };
        let order = Order::new(&request, key, token, stop_at(deadline));
        if lease.attempt > MAX_ATTEMPTS {
            // Whoever worked on it before did not even live to say why, or to clear up.
            pipeline::clear_after_crash(&self.store, &order).await;
            return Attempt::Failed(Next::Fail, job.failure.clone().unwrap_or_else(failure::of_crash));
        }
        let pulse = Pulse::new(lease);
        let exported = tokio::select! {
            exported = pipeline::export(&self.source, &self.store, &pulse, &order, &request) => exported,
            never = pulse.beat(&self.ledger) => match never {},
        };
        match exported {
            Ok(receipt) => Attempt::Complete(Box::new(receipt)),
            Err(error) => {
                let (next, failure) = failure::of_export(&error);
                Attempt::Failed(next, failure)
            }
        }
    }

    fn read_request(&self, job: &Job) -> Result<ExportRequest<'_>, Rejections> {
        match Message::parse(&job.message)? {
            Message::Export(message) => ExportRequest::accept(&message, &self.catalog),
            Message::Continue(_) => unreachable!("a message that continues a job is never recorded as one"),
        }
    }

    /// Records how the attempt ended. `None` when the job has ended and its requester is to be told.
    async fn settle(
        &self,
        lease: &Lease,
        attempt: Attempt,
        delivery: &Delivery,
    ) -> Result<Option<Outcome>, LedgerError> {
        // A receive is spent also without an attempt, when somebody else had the job or the ledger was away.
        let another = lease.attempt < MAX_ATTEMPTS && delivery.receive_count < MAX_RECEIVES;
        match attempt {
            Attempt::Complete(receipt) => {
                self.ledger.ready(lease, &receipt).await?;
                tracing::info!(rows = receipt.rows, bytes = receipt.bytes, "the job is ready");
                Ok(None)
            }
            Attempt::Failed(Next::Yield, _) => {
                Err(LedgerError::LeaseLost { job: lease.job.clone(), attempt: lease.attempt })
            }
            Attempt::Failed(Next::Retry, failure) if another => {
                tracing::warn!(
                    code = failure.code,
                    attempt = lease.attempt,
                    "the attempt failed; there will be another"
                );
                self.ledger.release(lease, &failure).await?;
                Ok(Some(Outcome::RetryAfter(back_off(lease.attempt))))
            }
            Attempt::Failed(next, failure) => {
                let failure = match next {
                    Next::Retry => failure::of_last_attempt(failure, lease.attempt),
                    Next::Fail | Next::Yield => failure,
                };
                tracing::error!(code = failure.code, attempt = lease.attempt, "the job has failed");
                self.ledger.fail(lease, &failure).await?;
                Ok(None)
            }
        }
    }

    /// Tells the requester, once.
    async fn tell(&self, id: &JobId, delivery: &Delivery) -> Result<Outcome, LedgerError> {
        let Some(job) = self.ledger.find(id).await? else { return Ok(Outcome::Done) };
        let Some(notice) = Notice::of(&job, self.portal_url.as_deref()) else { return Ok(Outcome::Done) };
        if job.notified_at.is_some() {
            tracing::info!("the requester knows already");
            return Ok(Outcome::Done);
        }
        if !self.ledger.claim_notice(id).await? {
            tracing::info!("somebody else is telling the requester");
            return Ok(leave_to_others(&job, delivery, TELLING));
        }
        if let Err(error) = self.notifier.publish(&notice).await {
            tracing::error!(error = chain(&error), "the requester could not be told");
            self.ledger.release_notice(id).await?;
            return Ok(Outcome::RetryAfter(back_off(delivery.receive_count)));
        }
        self.ledger.notified(id).await?;
        tracing::info!(status = notice.status.as_str(), "the requester has been told");
        Ok(Outcome::Done)
    }
}

/// Somebody else is at it. The job's own message is what brings the job back should they die, so it must live; any other
/// message for the same job has nothing to add.
fn leave_to_others(job: &Job, delivery: &Delivery, delay: Duration) -> Outcome {
    if job.message_id == delivery.message_id { Outcome::RetryAfter(delay) } else { Outcome::Done }
}

/// 90 s, 4½ min, 13½ min, 40½ min: short enough for somebody who waits, long enough for a fail-over, and always longer
/// than the lease of an attempt that could not be released.
fn back_off(tries: u32) -> Duration {
    Duration::from_secs(90) * 3_u32.pow(tries.saturating_sub(1).min(3))
}

/// When reading stops: early enough before the deadline, but a short deadline keeps most of its time.
fn stop_at(deadline: Instant) -> Instant {
    let left = deadline.saturating_duration_since(Instant::now());
    deadline - MARGIN.min(left / 4)
}

/// The job's pulse: the pipeline says how far it is, and the ledger hears it now and then.
struct Pulse<'a> {
    lease: &'a Lease,
    rows: AtomicU64,
    bytes: AtomicU64,
    lost: AtomicBool,
}

impl<'a> Pulse<'a> {
    fn new(lease: &'a Lease) -> Self {
        Self { lease, rows: AtomicU64::new(0), bytes: AtomicU64::new(0), lost: AtomicBool::new(false) }
    }

    /// Renews the lease for as long as it is polled.
    async fn beat<L: Ledger>(&self, ledger: &L) -> Infallible {
        let mut interval = tokio::time::interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        loop {
            interval.tick().await;
            let (rows, bytes) = (self.rows.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed));
            match ledger.advance(self.lease, rows, bytes).await {
                Ok(()) => {}
                Err(LedgerError::LeaseLost { .. }) => self.lost.store(true, Ordering::Relaxed),
                // The lease outlasts a few missed beats.
                Err(error) => tracing::warn!(error = chain(&error), "the lease could not be renewed"),
            }
        }
    }
}

impl Progress for Pulse<'_> {
    async fn advanced(&self, rows: u64, bytes: u64) -> Result<(), LedgerError> {
        self.rows.store(rows, Ordering::Relaxed);
        self.bytes.store(bytes, Ordering::Relaxed);
        if self.lost.load(Ordering::Relaxed) {
            let Lease { job, attempt, .. } = self.lease;
            return Err(LedgerError::LeaseLost { job: job.clone(), attempt: *attempt });
        }
        Ok(())
    }
}
