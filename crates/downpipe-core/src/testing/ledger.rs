//! A ledger in memory, with a clock that tests move.

use std::sync::Mutex;
use std::time::Duration;

use super::lock;
use crate::job::{Failure, Job, JobId, JobState, NewJob};
use crate::ledger::{Claim, Lease, Ledger, LedgerError};
use crate::receipt::Receipt;

/// Keeps jobs in memory. Its clock stands still until [`pass`](Self::pass) moves it.
#[derive(Debug)]
pub struct MemoryLedger {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    now: jiff::Timestamp,
    /// The newest last.
    entries: Vec<Entry>,
    /// How many of the next calls do not reach the ledger.
    outages: usize,
}

#[derive(Debug)]
struct Entry {
    job: Job,
    lease_until: jiff::Timestamp,
    notice_until: Option<jiff::Timestamp>,
}

impl MemoryLedger {
    /// When the clock of a new ledger begins.
    pub const BEGINNING: jiff::Timestamp = jiff::Timestamp::constant(1_767_323_045, 0);
    /// How long somebody who took the right to tell the requester has it.
    pub const NOTICE_RIGHT: Duration = Duration::from_secs(60);

    /// An empty ledger.
    #[must_use]
    pub fn new() -> Self {
        Self { state: Mutex::new(State { now: Self::BEGINNING, entries: Vec::new(), outages: 0 }) }
    }

    /// Lets time pass.
    pub fn pass(&self, time: Duration) {
        lock(&self.state).now += time;
    }

    /// Makes the next calls fail with [`LedgerError::Unavailable`].
    pub fn fail_next(&self, calls: usize) {
        lock(&self.state).outages = calls;
    }

    /// Does something with the ledger's state, unless it is out of reach.
    fn reach<T>(&self, act: impl FnOnce(&mut State) -> Result<T, LedgerError>) -> Result<T, LedgerError> {
        let mut state = lock(&self.state);
        if state.outages > 0 {
            state.outages -= 1;
            return Err(LedgerError::Unavailable("the ledger was told to fail".into()));
        }
        act(&mut state)
    }

    /// Does something with a job under a lease, unless the lease is lost.
    fn write(&self, lease: &Lease, act: impl FnOnce(&mut Entry, jiff::Timestamp)) -> Result<(), LedgerError> {
        self.reach(|state| {
            let now = state.now;
            let held = |entry: &&mut Entry| {
                entry.job.state == JobState::Running && entry.job.attempt == lease.attempt
            };
            let entry = state.entry(&lease.job).filter(held);
            let lost = || LedgerError::LeaseLost { job: lease.job.clone(), attempt: lease.attempt };
            act(entry.ok_or_else(lost)?, now);
            Ok(())
        })
    }
}

impl Default for MemoryLedger {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    fn entry(&mut self, id: &JobId) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.job.id == *id)
    }
}

impl Ledger for MemoryLedger {
    async fn accept(&self, job: &NewJob) -> Result<(), LedgerError> {
        self.reach(|state| {
            if state.entry(&job.id).is_none() {
                let job = accepted(job, state.now);
                state.entries.push(Entry { job, lease_until: state.now, notice_until: None });
            }
            Ok(())
        })
    }

    async fn claim(&self, id: &JobId, _owner: &str, duration: Duration) -> Result<Claim, LedgerError> {
        self.reach(|state| {
            let now = state.now;
            let Some(Entry { job, lease_until, .. }) = state.entry(id) else { return Ok(Claim::Unknown) };
            if job.state.is_terminal() {
                return Ok(Claim::Ended(Box::new(job.clone())));
            }
            if job.state == JobState::Running && *lease_until > now {
                let left = lease_until.duration_since(now).unsigned_abs();
                return Ok(Claim::Busy(Box::new(job.clone()), left));
            }
            *lease_until = now + duration;
            job.state = JobState::Running;
            job.attempt += 1;
            (job.rows, job.bytes) = (0, 0);
            job.started_at.get_or_insert(now);
            Ok(Claim::Granted(
                Lease { job: id.clone(), attempt: job.attempt, duration },
                Box::new(job.clone()),
            ))
        })
    }

    async fn advance(&self, lease: &Lease, rows: u64, bytes: u64) -> Result<(), LedgerError> {
        self.write(lease, |entry, now| {
            entry.lease_until = now + lease.duration;
            (entry.job.rows, entry.job.bytes) = (rows, bytes);
        })
    }

    async fn ready(&self, lease: &Lease, receipt: &Receipt) -> Result<(), LedgerError> {
        self.write(lease, |Entry { job, .. }, now| {
            job.state = JobState::Ready;
            (job.rows, job.bytes) = (receipt.rows, receipt.bytes);
            job.receipt = Some(receipt.clone());
            job.failure = None;
            job.finished_at = Some(now);
        })
    }

    async fn fail(&self, lease: &Lease, failure: &Failure) -> Result<(), LedgerError> {
        self.write(lease, |Entry { job, .. }, now| {
            job.state = JobState::Failed;
            job.failure = Some(failure.clone());
            job.finished_at = Some(now);
        })
    }

    async fn release(&self, lease: &Lease, failure: &Failure) -> Result<(), LedgerError> {
        self.write(lease, |Entry { job, .. }, _| {
            job.state = JobState::Queued;
            job.failure = Some(failure.clone());
        })
    }

    async fn claim_notice(&self, id: &JobId) -> Result<bool, LedgerError> {
        self.reach(|state| {
            let now = state.now;
            let Some(entry) = state.entry(id) else { return Ok(false) };
            let taken =
                entry.job.notified_at.is_some() || entry.notice_until.is_some_and(|until| until > now);
            if !taken {
                entry.notice_until = Some(now + Self::NOTICE_RIGHT);
            }
            Ok(!taken)
        })
    }

    async fn notified(&self, id: &JobId) -> Result<(), LedgerError> {
        self.reach(|state| {
            let now = state.now;
            if let Some(entry) = state.entry(id) {
                entry.job.notified_at = Some(now);
                entry.notice_until = None;
            }
            Ok(())
        })
    }

    async fn release_notice(&self, id: &JobId) -> Result<(), LedgerError> {
        self.reach(|state| {
            if let Some(entry) = state.entry(id) {
                entry.notice_until = None;
            }
            Ok(())
        })
    }

    async fn find(&self, id: &JobId) -> Result<Option<Job>, LedgerError> {
        self.reach(|state| Ok(state.entry(id).map(|entry| entry.job.clone())))
    }

    async fn latest(&self, limit: u32) -> Result<Vec<Job>, LedgerError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        self.reach(|state| {
            Ok(state.entries.iter().rev().take(limit).map(|entry| entry.job.clone()).collect())
        })
    }
}

fn accepted(job: &NewJob, now: jiff::Timestamp) -> Job {
    let NewJob { id, requested_by, export, request_id, message_id, message } = job.clone();
    Job {
        id,
        requested_by,
        export,
        request_id,
        message_id,
        message,
        state: JobState::Queued,
        attempt: 0,
        rows: 0,
        bytes: 0,
        failure: None,
        receipt: None,
        created_at: now,
        started_at: None,
        finished_at: None,
        notified_at: None,
    }
}
