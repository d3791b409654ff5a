//! Clicks: requests that are recorded as jobs before their messages are sent.
//!
//! The message of such a job is `{"continue": ID}`. So the ledger alone says what was asked for and by whom, the queue learns no
//! address, and a message that is sent twice is no second request. The sweep resumes a job by the same message.
//!
//! The click is accepted when the ledger has the job. If the queue is away then, [`Job::sent_at`] stays empty, and the next same click
//! sends the message, or the sweep after some [minutes](crate::sweep::UNSENT_AFTER).

use downpipe_core::error_chain::error_chain;
use downpipe_core::job::{Job, JobId, NewJob, Receipt, Via};
use downpipe_core::ledger::{JobQueries, JobTable, Ledger, LedgerError, Recording};
use downpipe_core::message::{ExportMessage, Message};
use downpipe_core::queue::Queue;
use downpipe_core::request::ExportRequest;
use downpipe_core::store::ResumableStore;

/// The most jobs of a person that have not ended, unless the configuration says.
pub const JOBS_PER_PERSON: u32 = 5;

/// Among how many unended jobs of a person the same request is looked for, when there may be no more of them.
const MAX_UNENDED: u32 = 100;

/// A request that was held against the catalog, and how it came.
#[derive(Debug, Clone, Copy)]
pub struct Click<'a> {
    /// The request.
    pub request: &'a ExportRequest<'a>,
    /// The request as it was asked for. Its `request_id` is the idempotency key, if there is one.
    pub message: &'a ExportMessage,
    /// How it came.
    pub via: Via,
    /// The app whose token brought it.
    pub app: Option<&'a str>,
    /// How many rows the file will have, if that was estimated.
    pub expected_rows: Option<u64>,
    /// The most jobs of the requester that have not ended. `None`: any number.
    pub jobs_per_person: Option<u32>,
}

/// A click that was accepted.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    /// Its job.
    pub job: Job,
    /// Whether the job was there before: the same request has not ended, its file may be reused, or its key was used for it.
    pub repeated: bool,
}

/// Why a click was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum ClickError {
    /// The ledger failed. Nothing is recorded, or the same click finds it.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The requester has used the idempotency key for another request.
    #[error("the idempotency key: expected a new one, got that of another request, which is job {job}")]
    KeyTaken {
        /// The job of the other request.
        job: JobId,
    },
    /// The requester has as many jobs that have not ended as they may have.
    #[error("jobs that have not ended: expected fewer than {limit} of one requester, got one more request")]
    TooMany {
        /// The most jobs that have not ended.
        limit: u32,
    },
}

/// Accepts clicks.
#[derive(Debug, Clone, Copy)]
pub struct Clicks<'a, T, Q, S> {
    /// Remembers jobs.
    pub ledger: &'a Ledger<T>,
    /// Takes messages for workers.
    pub queue: &'a Q,
    /// Has the files that may be reused.
    pub store: &'a S,
}

impl<T: JobTable + JobQueries, Q: Queue, S: ResumableStore> Clicks<'_, T, Q, S> {
    /// Records a click as a job, and sends the job's message. Finds the job of the same request that has not ended, or whose file may be
    /// reused.
    ///
    /// The limit of jobs is not exact: two clicks at the same moment may both be accepted.
    ///
    /// # Errors
    /// See [`ClickError`]. A queue that does not answer is no error: see the [module](self).
    pub async fn accept(&self, click: &Click<'_>) -> Result<Accepted, ClickError> {
        let new = new_job(click);
        if let Some(known) = self.ledger.find(&new.id).await? {
            if !is_same_request(&known, &new, click.message) {
                return Err(ClickError::KeyTaken { job: known.id });
            }
            return Ok(self.repeat(known).await);
        }
        let reusable = self.reusable_receipt(&new).await?;
        if let Some(receipt) = &reusable {
            if let Some(job) = self.own_job_of(receipt, &new).await? {
                return Ok(Accepted { job, repeated: true });
            }
        } else if let Some(limit) = click.jobs_per_person
            && let Some(same) = self.refuse_one_too_many(&new, limit).await?
        {
            return Ok(self.repeat(same).await);
        }
        match self.ledger.record(&new, reusable.as_ref()).await? {
            Recording::New(job) => Ok(Accepted { job: self.send(*job).await, repeated: false }),
            Recording::Known(job) => Ok(self.repeat(*job).await),
        }
    }

    /// Returns the receipt of a file that answers the request, if it is there.
    async fn reusable_receipt(&self, new: &NewJob) -> Result<Option<Receipt>, ClickError> {
        let Some(receipt) = self.ledger.reusable_receipt(new).await? else { return Ok(None) };
        match self.store.holds(&receipt).await {
            Ok(is_there) => Ok(Some(receipt).filter(|_| is_there)),
            Err(error) => {
                tracing::warn!(error = error_chain(&error), "the store does not say whether a file is there");
                Ok(None)
            }
        }
    }

    /// Returns the job that made a file, if it is the same requester's.
    async fn own_job_of(&self, receipt: &Receipt, new: &NewJob) -> Result<Option<Job>, ClickError> {
        let Ok(id) = receipt.job_id.parse() else { return Ok(None) };
        let job = self.ledger.find(&id).await?;
        Ok(job.filter(|job| job.requested_by == new.requested_by && job.fingerprint == new.fingerprint))
    }

    /// Refuses a job of a requester who has as many as they may have. Returns the one that is the same request, if there is one among
    /// them.
    async fn refuse_one_too_many(&self, new: &NewJob, limit: u32) -> Result<Option<Job>, ClickError> {
        let mut unended = self.ledger.unended_of(&new.requested_by, limit.max(MAX_UNENDED)).await?;
        if unended.len() < limit as usize {
            return Ok(None);
        }
        match unended.iter().position(|job| job.fingerprint.is_some() && job.fingerprint == new.fingerprint) {
            Some(same) => Ok(Some(unended.swap_remove(same))),
            None => Err(ClickError::TooMany { limit }),
        }
    }

    /// Answers with a job that was there before, and sends its message if no queue has taken that.
    async fn repeat(&self, job: Job) -> Accepted {
        let job = if job.is_unsent() { self.send(job).await } else { job };
        Accepted { job, repeated: true }
    }

    /// Sends the message of a job, and returns the job as it is then.
    async fn send(&self, job: Job) -> Job {
        if let Err(error) = self.queue.send(&Message::Continue(job.id.clone()).to_json()).await {
            tracing::warn!(job_id = %job.id, error = error_chain(&error), "a job's message could not be sent; the sweep sends it");
            return job;
        }
        match self.ledger.note_sent(&job.id).await {
            Ok(sent) => sent.unwrap_or(job),
            Err(error) => {
                tracing::warn!(job_id = %job.id, error = error_chain(&error), "that a message was sent could not be recorded");
                job
            }
        }
    }
}

fn new_job(click: &Click<'_>) -> NewJob {
    let Click { request, message, via, app, expected_rows, .. } = *click;
    let key = message.request_id.clone().unwrap_or_else(|| format!("{:032x}", fastrand::u128(..)));
    NewJob {
        fingerprint: Some(request.fingerprint()),
        shared_fingerprint: request.shared_fingerprint(),
        reuse: request.definition.output.reuse,
        via,
        app: app.map(str::to_owned),
        definition_sha256: Some(request.definition.sha256.clone()),
        expected_rows,
        ..NewJob::of_click(message, &key)
    }
}

/// Returns whether a job is of this request. The definition may have changed since, and so the fingerprint. An alias is of a job whose
/// message may say the same in other words.
fn is_same_request(known: &Job, new: &NewJob, message: &ExportMessage) -> bool {
    let bare = |message: ExportMessage| ExportMessage { request_id: None, language: None, ..message };
    let is_same_message = match Message::parse(&known.message) {
        Ok(Message::Export(known)) => bare(known) == bare(message.clone()),
        _ => false,
    };
    is_same_message || known.fingerprint == new.fingerprint
}
