//! The state machine of a job. Every ledger keeps entries, and changes them only by what is here.
//!
//! ```text
//! queued -> running -> (waiting -> running)* -> ready | failed | cancelled -> expired
//!    ^         |
//!    '---------'  an attempt has failed, another may not
//! ```
//!
//! All times are the ledger's own clock, which is handed in: workers need not agree on the time.

use std::time::Duration;

use jiff::Timestamp;

use crate::checkpoint::Checkpoint;
use crate::job::{Failure, Job, JobState, NewJob};
use crate::ledger::{Cancel, Claim, Due, Lease, LedgerError, Watch};
use crate::receipt::Receipt;

/// How long somebody who took the right to tell the requester has it.
pub const NOTICE_RIGHT: Duration = Duration::from_secs(60);

/// A job, and what only the ledger needs to know of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The job.
    pub job: Job,
    /// When the lease runs out, while it runs.
    pub lease_until: Option<Timestamp>,
    /// When the right to tell the requester runs out that somebody has taken.
    pub notice_until: Option<Timestamp>,
    /// Whether somebody wants it cancelled.
    pub cancel_wanted: bool,
    /// When anything last happened to it.
    pub updated_at: Timestamp,
}

impl Entry {
    /// A job that has just been accepted.
    #[must_use]
    pub fn accepted(new: &NewJob, now: Timestamp) -> Self {
        let job = Job {
            id: new.id.clone(),
            requested_by: new.requested_by.clone(),
            export: new.export.clone(),
            request_id: new.request_id.clone(),
            sameness: new.sameness.clone(),
            message_id: new.message_id.clone(),
            message: new.message.clone(),
            state: JobState::Queued,
            attempt: 0,
            tries: 0,
            continuations: 0,
            rows: 0,
            bytes: 0,
            checkpoint: None,
            owner: None,
            failure: None,
            receipt: None,
            created_at: now,
            started_at: None,
            finished_at: None,
            notified_at: None,
        };
        Self { job, lease_until: None, notice_until: None, cancel_wanted: false, updated_at: now }
    }

    /// A job that has its file already: another job of the same requester made it for the same request.
    #[must_use]
    pub fn ready_from(new: &NewJob, receipt: Receipt, now: Timestamp) -> Self {
        let mut entry = Self::accepted(new, now);
        entry.job.started_at = Some(now);
        entry.job.finish(JobState::Ready, now);
        (entry.job.rows, entry.job.bytes) = (receipt.rows, receipt.bytes);
        entry.job.receipt = Some(receipt);
        entry
    }

    /// Takes a lease on a job that is queued, waiting, or running under a lease that has run out. One that somebody wants
    /// cancelled is not begun again: whoever was to hear of it has failed or died, and it ends here.
    pub fn claim(&mut self, owner: &str, duration: Duration, now: Timestamp) -> Claim {
        let Self { job, lease_until, .. } = self;
        if job.state.is_terminal() {
            return Claim::Ended(Box::new(job.clone()));
        }
        let left = lease_until.filter(|until| *until > now).map(|until| until.duration_since(now));
        if let (JobState::Running, Some(left)) = (job.state, left) {
            return Claim::Busy(Box::new(job.clone()), left.unsigned_abs());
        }
        if self.cancel_wanted {
            self.job.finish(JobState::Cancelled, now);
            self.let_go();
            return Claim::Ended(Box::new(self.job.clone()));
        }
        *lease_until = Some(now + duration);
        job.state = JobState::Running;
        job.owner = Some(owner.to_owned());
        job.attempt += 1;
        job.tries += 1;
        // What was checkpointed is not read again; what came after it is.
        let checkpoint = job.checkpoint.as_ref();
        (job.rows, job.bytes) = checkpoint.map_or((0, 0), |checkpoint| (checkpoint.rows, checkpoint.bytes));
        job.started_at.get_or_insert(now);
        Claim::Granted(Lease { job: job.id.clone(), attempt: job.attempt, duration }, Box::new(job.clone()))
    }

    /// A sign of life: renews the lease. One that has run out but that nobody else has taken is still good.
    ///
    /// # Errors
    /// [`LedgerError::LeaseLost`]; likewise for every change under a lease.
    pub fn advance(
        &mut self,
        lease: &Lease,
        rows: u64,
        bytes: u64,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.held(lease)?;
        (self.job.rows, self.job.bytes) = (rows, bytes);
        self.lease_until = Some(now + lease.duration);
        Ok(())
    }

    /// A checkpoint has been reached. Whoever comes next goes on from it, and has all tries again: there was progress.
    ///
    /// # Errors
    /// As [`Self::advance`].
    pub fn checkpoint(
        &mut self,
        lease: &Lease,
        checkpoint: &Checkpoint,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.held(lease)?;
        self.lease_until = Some(now + lease.duration);
        self.keep(checkpoint);
        Ok(())
    }

    /// The run's time is up: the job waits for the next one.
    ///
    /// # Errors
    /// As [`Self::advance`].
    pub fn pause(&mut self, lease: &Lease, checkpoint: &Checkpoint) -> Result<(), LedgerError> {
        self.held(lease)?;
        self.keep(checkpoint);
        self.job.tries = 0;
        self.job.continuations += 1;
        self.job.state = JobState::Waiting;
        self.let_go();
        Ok(())
    }

    /// The file is complete. What failed before is forgotten, and a wish to cancel came too late.
    ///
    /// # Errors
    /// As [`Self::advance`].
    pub fn ready(&mut self, lease: &Lease, receipt: &Receipt, now: Timestamp) -> Result<(), LedgerError> {
        self.held(lease)?;
        self.job.finish(JobState::Ready, now);
        (self.job.rows, self.job.bytes) = (receipt.rows, receipt.bytes);
        self.job.receipt = Some(receipt.clone());
        self.job.failure = None;
        self.job.checkpoint = None;
        self.let_go();
        Ok(())
    }

    /// The job has failed for good. Its checkpoint stays: it names the upload that has to be cleared away.
    ///
    /// # Errors
    /// As [`Self::advance`].
    pub fn fail(&mut self, lease: &Lease, failure: &Failure, now: Timestamp) -> Result<(), LedgerError> {
        self.held(lease)?;
        self.job.finish(JobState::Failed, now);
        self.job.failure = Some(failure.clone());
        self.let_go();
        Ok(())
    }

    /// This attempt has failed, another may not.
    ///
    /// # Errors
    /// As [`Self::advance`].
    pub fn release(&mut self, lease: &Lease, failure: &Failure) -> Result<(), LedgerError> {
        self.held(lease)?;
        self.job.state = JobState::Queued;
        self.job.failure = Some(failure.clone());
        self.let_go();
        Ok(())
    }

    /// Somebody wants it cancelled: at once when nobody works on it, else its worker hears of it.
    pub fn cancel(&mut self, now: Timestamp) -> Cancel {
        match self.job.state {
            JobState::Queued | JobState::Waiting => {
                self.job.finish(JobState::Cancelled, now);
                Cancel::Done(Box::new(self.job.clone()))
            }
            JobState::Running => {
                self.cancel_wanted = true;
                Cancel::Wanted
            }
            _ => Cancel::Ended(Box::new(self.job.clone())),
        }
    }

    /// The worker has stopped, as was wanted.
    ///
    /// # Errors
    /// As [`Self::advance`].
    pub fn cancelled(&mut self, lease: &Lease, now: Timestamp) -> Result<(), LedgerError> {
        self.held(lease)?;
        self.job.finish(JobState::Cancelled, now);
        self.let_go();
        Ok(())
    }

    /// What remained of a job that has no file has been cleared away.
    pub fn cleared(&mut self) {
        if self.job.state.is_terminal() {
            self.job.checkpoint = None;
        }
    }

    /// Takes the right to tell the requester, unless they have been told or are being told.
    pub fn claim_notice(&mut self, now: Timestamp) -> bool {
        let taken = self.notice_until.is_some_and(|until| until > now);
        let free = self.job.notified_at.is_none() && !taken;
        if free {
            self.notice_until = Some(now + NOTICE_RIGHT);
        }
        free
    }

    /// The requester has been told.
    pub fn notified(&mut self, now: Timestamp) {
        self.job.notified_at = Some(now);
        self.notice_until = None;
    }

    /// The requester could not be told.
    pub fn release_notice(&mut self) {
        self.notice_until = None;
    }

    /// The file's time is over.
    pub fn expire(&mut self) -> bool {
        let ready = self.job.state == JobState::Ready;
        if ready {
            self.job.state = JobState::Expired;
        }
        ready
    }

    /// Whether something is to be done about it that nobody does.
    #[must_use]
    pub fn is_due(&self, due: Due, now: Timestamp) -> bool {
        let Job { state, notified_at, receipt, checkpoint, .. } = &self.job;
        let idle = |time: Duration| self.updated_at + time <= now;
        match due {
            Due::Untold(time) => {
                state.is_terminal()
                    && *state != JobState::Expired
                    && (notified_at.is_none() || checkpoint.is_some())
                    && self.notice_until.is_none_or(|until| until <= now)
                    && idle(time)
            }
            Due::LeaseOver(time) => {
                *state == JobState::Running && self.lease_until.is_none_or(|until| until + time <= now)
            }
            Due::Idle(time) => matches!(state, JobState::Queued | JobState::Waiting) && idle(time),
            Due::PastRetention => {
                *state == JobState::Ready && receipt.as_ref().is_some_and(|receipt| receipt.expires_at <= now)
            }
        }
    }

    /// What whoever works on it under this lease must know.
    #[must_use]
    pub fn watch(&self, lease: &Lease) -> Watch {
        watch(self.job.state, self.job.attempt, self.cancel_wanted, lease)
    }

    /// The key that no other job may have while this one has not ended.
    #[must_use]
    pub fn exclusive(&self) -> Option<&str> {
        self.job.sameness.as_deref().filter(|_| !self.job.state.is_terminal())
    }

    fn held(&self, lease: &Lease) -> Result<(), LedgerError> {
        match watch(self.job.state, self.job.attempt, false, lease) {
            Watch::Lost => Err(LedgerError::LeaseLost { job: lease.job.clone(), attempt: lease.attempt }),
            Watch::GoOn | Watch::Cancel => Ok(()),
        }
    }

    fn keep(&mut self, checkpoint: &Checkpoint) {
        let before = self.job.checkpoint.as_ref().map_or(0, |before| before.rows);
        if checkpoint.rows > before {
            // This attempt is the first since there was progress.
            self.job.tries = 1;
        }
        (self.job.rows, self.job.bytes) = (checkpoint.rows, checkpoint.bytes);
        self.job.checkpoint = Some(checkpoint.clone());
    }

    fn let_go(&mut self) {
        self.lease_until = None;
        self.job.owner = None;
        if self.job.state.is_terminal() {
            self.cancel_wanted = false;
        }
    }
}

/// What becomes of a job in this state for whoever holds the lease.
#[must_use]
pub fn watch(state: JobState, attempt: u32, cancel_wanted: bool, lease: &Lease) -> Watch {
    if state != JobState::Running || attempt != lease.attempt {
        Watch::Lost
    } else if cancel_wanted {
        Watch::Cancel
    } else {
        Watch::GoOn
    }
}

impl Job {
    fn finish(&mut self, state: JobState, now: Timestamp) {
        self.state = state;
        self.finished_at = Some(now);
    }
}
