//! Accepting and claiming jobs, and the single flight of requests that share results.
//!
//! Of all active jobs with one shared fingerprint, one leads: it alone works. It takes the lead in the write that first claims it and
//! keeps it until it ends or is to be cancelled. The others follow: they stay queued until the leader has ended. Then each is claimed,
//! and its worker gets the leader's result, or takes the lead where there is none.

use std::time::Duration;

use super::entry::{AT_WRITE, Entry, Stored};
use super::error::LedgerError;
use super::lease::{Claim, Lease, Recording, SharedResult};
use super::rules::ClaimOutcome;
use super::storage::{Fingerprint, Inserted, JobTable};
use super::{Ledger, Written};
use crate::job::{Job, JobId, JobState, NewJob, Receipt};

impl<T: JobTable> Ledger<T> {
    /// Returns the receipt of a file that the same request made within [`NewJob::reuse`]. Where requesters share results, any
    /// requester's request is the same.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn reusable_receipt(&self, job: &NewJob) -> Result<Option<Receipt>, LedgerError> {
        let shared = job.shared_fingerprint.as_deref().map(Fingerprint::Shared);
        let fingerprint = shared.or(job.fingerprint.as_deref().map(Fingerprint::OfRequester));
        match (fingerprint, job.reuse) {
            (Some(fingerprint), Some(reuse)) => self.0.reusable_receipt(fingerprint, reuse).await,
            _ => Ok(None),
        }
    }

    /// Records a job for a worker to claim: as queued or, with a receipt that may be reused, as ready at once.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn record(&self, job: &NewJob, reusable: Option<&Receipt>) -> Result<Recording, LedgerError> {
        let entry = match reusable {
            Some(receipt) => Entry::ready_from(job, receipt),
            None => Entry::queued(job),
        };
        let known = match self.0.insert(&entry).await? {
            Inserted::New(now) => return Ok(Recording::New(Box::new(entry.written_at(now).job))),
            Inserted::Known => job.id.clone(),
            Inserted::SameAs(other) => other,
            Inserted::LeadTaken => return Err(LedgerError::takes_no_lead()),
        };
        let known = self.find(&known).await?;
        known.map(|job| Recording::Known(Box::new(job))).ok_or_else(|| {
            LedgerError::Unavailable("the job was deleted while the same one was recorded".into())
        })
    }

    /// Records a job and [claims](Self::claim) it, in one write if it is new. With a receipt that may be reused, records it as ready
    /// at once. The caller has checked that the file is there.
    ///
    /// While another job of the same [fingerprint](NewJob::fingerprint) has not ended, there is no second one: the new id becomes an
    /// alias, and that job is claimed.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn accept_and_claim(
        &self,
        job: &NewJob,
        reusable: Option<&Receipt>,
        owner_message_id: &str,
        duration: Duration,
    ) -> Result<Claim, LedgerError> {
        let (entry, outcome) = match reusable {
            Some(receipt) => (Entry::ready_from(job, receipt), ClaimOutcome::Ended),
            None => {
                let mut entry = Entry::queued(job);
                let outcome = entry.claim(owner_message_id, duration, AT_WRITE, true);
                (entry, outcome)
            }
        };
        match self.0.insert(&entry).await? {
            Inserted::New(now) => {
                let stored = Stored { entry: entry.written_at(now), version: 0, now };
                // A leader may have ended since the caller looked for its receipt.
                let leads = stored.entry.leads;
                let result = if leads { self.result_for(&stored, job.reuse).await? } else { None };
                Ok(claim(outcome, stored, duration, result))
            }
            Inserted::Known => self.claim(&job.id, owner_message_id, duration).await,
            Inserted::SameAs(other) => self.claim(&other, owner_message_id, duration).await,
            Inserted::LeadTaken => self.follow(job, owner_message_id, duration).await,
        }
    }

    /// Takes a lease on a job that is queued, waiting, or running under a lease that has run out. Its rows and bytes begin again at
    /// those of its checkpoint, or at 0.
    ///
    /// Where requesters share results and another job has ended since this one was accepted, the answer is that job's result.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn claim(
        &self,
        id: &JobId,
        owner_message_id: &str,
        duration: Duration,
    ) -> Result<Claim, LedgerError> {
        match self.0.get(id).await? {
            Some(read) => self.claim_read(read, owner_message_id, duration, None).await,
            None => Ok(Claim::Unknown),
        }
    }

    /// Takes the lead for a job whose result of another cannot be used. Returns `false` when another job leads.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn take_lead(&self, lease: &Lease) -> Result<bool, LedgerError> {
        let read = match lease.take_known() {
            Some(known) => Some(known),
            None => self.0.get(lease.job()).await?,
        };
        let rule = |entry: &mut Entry, _| {
            let held = entry.is_held_by(lease.job_attempt());
            if held {
                entry.take_lead();
            }
            held
        };
        let Some(read) = read else { return Err(LedgerError::lost(lease)) };
        match self.write(read, rule).await? {
            Written::Done(true, stored) => {
                lease.set_known(*stored);
                Ok(true)
            }
            Written::LeadTaken(stored) => {
                lease.set_known(*stored);
                Ok(false)
            }
            Written::Done(false, _) | Written::Gone => Err(LedgerError::lost(lease)),
        }
    }

    /// Returns the jobs that wait for this one, if it has led and is over: at most so many, the oldest first. Each needs a message.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn followers(&self, leader: &JobId, limit: u32) -> Result<Vec<JobId>, LedgerError> {
        let entry = self.0.get(leader).await?.map(|stored| stored.entry);
        let over = entry.filter(|entry| entry.leads && !entry.is_active());
        match over.and_then(|entry| entry.shared_fingerprint) {
            Some(shared_fingerprint) => self.0.followers(&shared_fingerprint, limit).await,
            None => Ok(Vec::new()),
        }
    }

    /// Records a job while another one leads. That one may end at any moment, before it can see this one: so this one is claimed
    /// afterwards.
    async fn follow(
        &self,
        job: &NewJob,
        owner_message_id: &str,
        duration: Duration,
    ) -> Result<Claim, LedgerError> {
        let entry = Entry::queued(job);
        match self.0.insert(&entry).await? {
            Inserted::New(now) => {
                let stored = Stored { entry: entry.written_at(now), version: 0, now };
                self.claim_read(stored, owner_message_id, duration, job.reuse).await
            }
            Inserted::Known => self.claim(&job.id, owner_message_id, duration).await,
            Inserted::SameAs(other) => self.claim(&other, owner_message_id, duration).await,
            Inserted::LeadTaken => Err(LedgerError::takes_no_lead()),
        }
    }

    /// Claims a job that was read. A job that may be given a result is given one without the lead, so that many are at once. Only a
    /// leader is sure that no other job ends between its look and its claim: so it looks again.
    async fn claim_read(
        &self,
        read: Stored,
        owner_message_id: &str,
        duration: Duration,
        reuse: Option<Duration>,
    ) -> Result<Claim, LedgerError> {
        let may_follow = read.entry.may_follow();
        let mut result = if may_follow { self.result_for(&read, reuse).await? } else { None };
        let leads = result.is_none();
        let written =
            self.write(read, |entry, now| entry.claim(owner_message_id, duration, now, leads)).await?;
        match written {
            Written::Done(outcome, stored) => {
                if outcome == ClaimOutcome::Granted && may_follow && leads {
                    result = self.result_for(&stored, reuse).await?;
                }
                Ok(claim(outcome, *stored, duration, result))
            }
            Written::LeadTaken(stored) => Ok(Claim::Follows(Box::new(stored.entry.job))),
            Written::Gone => Ok(Claim::Unknown),
        }
    }

    /// Returns what another job came to that led since this one was accepted, or whose file may be reused.
    async fn result_for(
        &self,
        follower: &Stored,
        reuse: Option<Duration>,
    ) -> Result<Option<SharedResult>, LedgerError> {
        let Stored { entry, now, .. } = follower;
        let Some(shared_fingerprint) = &entry.shared_fingerprint else { return Ok(None) };
        let outcome = match (self.0.last_led(shared_fingerprint, entry.job.created_at).await?, reuse) {
            (Some(Job { state: JobState::Failed, failure, .. }), _) => failure.map(Err),
            (Some(led), _) => led.receipt.filter(|receipt| receipt.expires_at > *now).map(Ok),
            (None, Some(reuse)) => {
                self.0.reusable_receipt(Fingerprint::Shared(shared_fingerprint), reuse).await?.map(Ok)
            }
            (None, None) => None,
        };
        let shared_fingerprint = shared_fingerprint.clone();
        Ok(outcome.map(|outcome| SharedResult { shared_fingerprint, outcome: outcome.map(Box::new) }))
    }
}

/// Returns the answer to a claim after its write.
fn claim(outcome: ClaimOutcome, stored: Stored, duration: Duration, result: Option<SharedResult>) -> Claim {
    let job = Box::new(stored.entry.job.clone());
    match (outcome, result) {
        (ClaimOutcome::Granted, Some(result)) => Claim::Answered(Lease::new(stored, duration), job, result),
        (ClaimOutcome::Granted, None) => Claim::Granted(Lease::new(stored, duration), job),
        (ClaimOutcome::Busy(left), _) => Claim::Busy(job, left),
        (ClaimOutcome::Ended, _) => Claim::Ended(job),
    }
}
