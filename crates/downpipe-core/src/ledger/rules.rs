//! The state machine of a job. The ledger changes an entry only by these rules.
//!
//! ```text
//! queued -> running -> (waiting -> running)* -> ready | failed | cancelled -> expired
//!    ^         |
//!    '---------'  an attempt has failed, and another may succeed
//! ```
//!
//! A rule that sets a time sets it to [`AT_WRITE`]. A rule that compares times is given the ledger's clock. So workers need not
//! agree on the time, and a worker that knows an entry need not ask for the time before it writes.

use std::time::Duration;

use jiff::Timestamp;

use super::entry::{AT_WRITE, Entry};
use super::lease::{CancelOutcome, LeaseStatus, StaleFilter};
use super::storage::JobStatus;
use crate::job::{Checkpoint, Failure, Job, JobAttempt, JobState, NewJob, Receipt};

/// How long a worker that may notify the requester keeps others from it.
pub const NOTIFY_LEASE: Duration = Duration::from_secs(60);

/// The answer to a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClaimOutcome {
    /// The lease is granted.
    Granted,
    /// Another worker holds the lease, for this time unless it renews it.
    Busy(Duration),
    /// The job has ended.
    Ended,
}

impl Entry {
    /// Returns the entry of a new job.
    pub(crate) fn queued(new: &NewJob) -> Self {
        let job = Job {
            id: new.id.clone(),
            requested_by: new.requested_by.clone(),
            export: new.export.clone(),
            request_id: new.request_id.clone(),
            fingerprint: new.fingerprint.clone(),
            message_id: new.message_id.clone(),
            message: new.message.clone(),
            state: JobState::Queued,
            attempt: 0,
            attempts_since_progress: 0,
            resume_count: 0,
            rows: 0,
            bytes: 0,
            checkpoint: None,
            owner_message_id: None,
            failure: None,
            receipt: None,
            created_at: AT_WRITE,
            started_at: None,
            finished_at: None,
            notified_at: None,
            language: new.language,
            via: new.via,
            app: new.app.clone(),
            definition_sha256: new.definition_sha256.clone(),
            expected_rows: new.expected_rows,
            sent_at: None,
        };
        Self {
            job,
            shared_fingerprint: new.shared_fingerprint.clone(),
            leads: false,
            lease_until: None,
            notify_lease_until: None,
            cancel_requested: false,
            updated_at: AT_WRITE,
        }
    }

    /// Returns the entry of a new job that is ready at once, with the file of an earlier job for the same request.
    pub(crate) fn ready_from(new: &NewJob, receipt: &Receipt) -> Self {
        let mut entry = Self::queued(new);
        entry.job.started_at = Some(AT_WRITE);
        entry.job.finish(JobState::Ready);
        entry.job.set_receipt(receipt);
        entry
    }

    /// Takes a lease on a job that is queued, waiting, or running under a lease that has run out. Takes the lead with it if asked to,
    /// where requesters share results.
    ///
    /// If cancellation was requested and the worker died before it saw that, ends the job as cancelled instead of starting another
    /// attempt.
    pub(crate) fn claim(
        &mut self,
        owner_message_id: &str,
        duration: Duration,
        now: Timestamp,
        leads: bool,
    ) -> ClaimOutcome {
        if self.job.state.is_terminal() {
            return ClaimOutcome::Ended;
        }
        let left = self.lease_until.filter(|until| *until > now).map(|until| until.duration_since(now));
        if let (JobState::Running, Some(left)) = (self.job.state, left) {
            return ClaimOutcome::Busy(left.unsigned_abs());
        }
        if self.cancel_requested {
            self.job.finish(JobState::Cancelled);
            self.release_lease();
            return ClaimOutcome::Ended;
        }
        self.lease_until = Some(AT_WRITE + duration);
        if leads {
            self.take_lead();
        }
        let job = &mut self.job;
        job.state = JobState::Running;
        job.owner_message_id = Some(owner_message_id.to_owned());
        job.attempt += 1;
        job.attempts_since_progress += 1;
        // Rows up to the checkpoint are not read again; those after it are.
        let checkpoint = job.checkpoint.as_ref();
        (job.rows, job.bytes) = checkpoint.map_or((0, 0), |checkpoint| (checkpoint.rows, checkpoint.bytes));
        job.started_at.get_or_insert(AT_WRITE);
        ClaimOutcome::Granted
    }

    /// Takes the lead, where requesters share results. The job keeps it through all its attempts.
    pub(crate) fn take_lead(&mut self) {
        self.leads = self.shared_fingerprint.is_some();
    }

    /// Returns whether the job could be given the result of another: requesters share it, and this job does not lead.
    pub(crate) fn may_follow(&self) -> bool {
        self.shared_fingerprint.is_some() && !self.leads && self.is_active()
    }

    /// Records progress and renews the lease, which may have run out as long as no other worker has taken it.
    pub(crate) fn advance(&mut self, duration: Duration, rows: u64, bytes: u64) {
        (self.job.rows, self.job.bytes) = (rows, bytes);
        self.lease_until = Some(AT_WRITE + duration);
    }

    /// Saves a checkpoint and renews the lease.
    pub(crate) fn checkpoint(&mut self, duration: Duration, checkpoint: &Checkpoint) {
        self.lease_until = Some(AT_WRITE + duration);
        self.save_checkpoint(checkpoint);
    }

    /// Ends the run at a checkpoint: the job waits for its next run, which is not counted as another try.
    pub(crate) fn pause(&mut self, checkpoint: &Checkpoint) {
        self.save_checkpoint(checkpoint);
        self.job.attempts_since_progress = 0;
        self.job.resume_count += 1;
        self.job.state = JobState::Waiting;
        self.release_lease();
    }

    /// Ends the job with its file, forgets earlier failures and any request to cancel, and lets its worker notify the requester.
    pub(crate) fn ready(&mut self, receipt: &Receipt) {
        self.job.finish(JobState::Ready);
        self.job.set_receipt(receipt);
        self.job.failure = None;
        self.job.checkpoint = None;
        self.release_lease();
        self.notify_lease_until = Some(AT_WRITE + NOTIFY_LEASE);
    }

    /// Ends the job as failed. Its checkpoint stays, because it names the upload that has to be aborted.
    pub(crate) fn fail(&mut self, failure: &Failure) {
        self.job.finish(JobState::Failed);
        self.job.failure = Some(failure.clone());
        self.release_lease();
    }

    /// Ends the attempt and queues the job for another.
    pub(crate) fn release(&mut self, failure: &Failure) {
        self.job.state = JobState::Queued;
        self.job.failure = Some(failure.clone());
        self.release_lease();
    }

    /// Queues the job again as if the lease had not been taken: no attempt is counted.
    pub(crate) fn hand_over(&mut self) {
        self.job.state = JobState::Queued;
        self.job.attempts_since_progress = self.job.attempts_since_progress.saturating_sub(1);
        self.release_lease();
    }

    /// Cancels a job that no worker holds. Of any other, records the request for its worker to see.
    pub(crate) fn cancel(&mut self) -> CancelOutcome {
        match self.job.state {
            JobState::Queued | JobState::Waiting => {
                self.job.finish(JobState::Cancelled);
                CancelOutcome::Done(Box::new(self.job.clone()))
            }
            JobState::Running => {
                self.cancel_requested = true;
                CancelOutcome::Requested
            }
            _ => CancelOutcome::Ended(Box::new(self.job.clone())),
        }
    }

    /// Ends the job as cancelled: its worker has stopped.
    pub(crate) fn cancelled(&mut self) {
        self.job.finish(JobState::Cancelled);
        self.release_lease();
    }

    /// Forgets the checkpoint of a job that has ended: what it named has been removed.
    pub(crate) fn cleared(&mut self) {
        if self.job.state.is_terminal() {
            self.job.checkpoint = None;
        }
    }

    /// Lets one worker notify the requester, and returns whether it may: not when they are notified, or another worker is at it.
    pub(crate) fn claim_notification(&mut self, now: Timestamp) -> bool {
        let taken = self.notify_lease_until.is_some_and(|until| until > now);
        let free = self.job.notified_at.is_none() && !taken;
        if free {
            self.notify_lease_until = Some(AT_WRITE + NOTIFY_LEASE);
        }
        free
    }

    /// Records that the requester has been notified.
    pub(crate) fn notified(&mut self) {
        self.job.notified_at = Some(AT_WRITE);
        self.notify_lease_until = None;
    }

    /// Lets another worker notify the requester at once.
    pub(crate) fn release_notification(&mut self) {
        self.notify_lease_until = None;
    }

    /// Expires a ready job, whose file is removed.
    pub(crate) fn expire(&mut self) {
        if self.job.state == JobState::Ready {
            self.job.state = JobState::Expired;
        }
    }

    /// Returns whether the sweep has something to repair that this filter asks for. A table asks too, if its indexes find too much.
    #[must_use]
    pub fn is_stale(&self, filter: StaleFilter, now: Timestamp) -> bool {
        let Job { state, notified_at, receipt, checkpoint, .. } = &self.job;
        let idle = |time: Duration| self.updated_at + time <= now;
        match filter {
            StaleFilter::Unnotified(time) => {
                state.is_terminal()
                    && *state != JobState::Expired
                    && (notified_at.is_none() || checkpoint.is_some())
                    && self.notify_lease_until.is_none_or(|until| until <= now)
                    && idle(time)
            }
            StaleFilter::LeaseExpired(time) => {
                *state == JobState::Running && self.lease_until.is_none_or(|until| until + time <= now)
            }
            StaleFilter::Unsent(time) => self.job.is_unsent() && idle(time),
            StaleFilter::Idle(time) => matches!(state, JobState::Queued | JobState::Waiting) && idle(time),
            StaleFilter::PastLedgerRetention(time) => self.is_over() && idle(time),
            StaleFilter::PastRetention => {
                *state == JobState::Ready && receipt.as_ref().is_some_and(|receipt| receipt.expires_at <= now)
            }
        }
    }

    /// Records that the queue has taken the job's message. A later message changes nothing.
    pub(crate) fn note_sent(&mut self) {
        self.job.sent_at.get_or_insert(AT_WRITE);
    }

    /// Returns whether the lease of this attempt is still the job's.
    pub(crate) fn is_held_by(&self, attempt: &JobAttempt) -> bool {
        let status = JobStatus {
            state: self.job.state,
            attempt: self.job.attempt,
            cancel_requested: self.cancel_requested,
        };
        self.job.id == attempt.job && lease_status(status, attempt) != LeaseStatus::Lost
    }

    /// Returns whether nothing is left to do: the file is gone or never was, nothing is left to clean up, and the requester knows how
    /// the job ended. An expired file needs no notice.
    fn is_over(&self) -> bool {
        let Job { state, notified_at, checkpoint, .. } = &self.job;
        match state {
            JobState::Expired => true,
            JobState::Failed | JobState::Cancelled => notified_at.is_some() && checkpoint.is_none(),
            JobState::Queued | JobState::Running | JobState::Waiting | JobState::Ready => false,
        }
    }

    /// Keeps a checkpoint. Progress renews the attempts: this one is the first since.
    fn save_checkpoint(&mut self, checkpoint: &Checkpoint) {
        if checkpoint.is_progress(self.job.checkpoint.as_ref()) {
            self.job.attempts_since_progress = 1;
        }
        (self.job.rows, self.job.bytes) = (checkpoint.rows, checkpoint.bytes);
        self.job.checkpoint = Some(checkpoint.clone());
    }

    fn release_lease(&mut self) {
        self.lease_until = None;
        self.job.owner_message_id = None;
        if self.job.state.is_terminal() {
            self.cancel_requested = false;
        }
    }
}

/// Returns what the holder of this attempt's lease has to know.
pub(crate) fn lease_status(status: JobStatus, attempt: &JobAttempt) -> LeaseStatus {
    if status.state != JobState::Running || status.attempt != attempt.attempt {
        LeaseStatus::Lost
    } else if status.cancel_requested {
        LeaseStatus::CancelRequested
    } else {
        LeaseStatus::Held
    }
}

impl Job {
    fn finish(&mut self, state: JobState) {
        self.state = state;
        self.finished_at = Some(AT_WRITE);
    }

    /// Keeps the receipt of the job's file. Who asked for the file first is not this requester's to know.
    fn set_receipt(&mut self, receipt: &Receipt) {
        (self.rows, self.bytes) = (receipt.rows, receipt.bytes);
        self.definition_sha256 = Some(receipt.definition_sha256.clone());
        self.receipt = Some(Receipt { requested_by: self.requested_by.to_string(), ..receipt.clone() });
    }
}
