//! The ledger's table behind a network. Checks every change.

use std::pin::Pin;
use std::time::Duration;

use downpipe_core::job::{Job, JobId, JobState, Receipt};
use downpipe_core::ledger::{
    Entry, Fingerprint, Inserted, JobStatus, JobTable, LedgerError, Replaced, StaleFilter, Stored,
};
use jiff::Timestamp;

use crate::world::FaultyPorts;

impl JobTable for FaultyPorts {
    async fn insert(&self, entry: &Entry) -> Result<Inserted, LedgerError> {
        let insert = Box::pin(async {
            let inserted = self.table().insert(entry).await?;
            if inserted == Inserted::LeadTaken {
                self.world.lock().count("follows another at once");
            }
            if matches!(inserted, Inserted::New(_)) {
                self.read_back(&entry.job.id).await?;
                self.note(format!("accepts {} as {:?}", entry.job.id, entry.job.state));
                if entry.job.attempt > 0 {
                    self.claims(&entry.job, false);
                }
            }
            Ok(inserted)
        });
        self.reach("ledger.insert", insert).await
    }

    async fn get(&self, id: &JobId) -> Result<Option<Stored>, LedgerError> {
        self.reach("ledger.get", Box::pin(async { self.table().get(id).await })).await
    }

    async fn replace(&self, read: &Stored, entry: &Entry) -> Result<Replaced, LedgerError> {
        let replace = Box::pin(async {
            let before = self.world.entry(&entry.job.id);
            let replaced = self.table().replace(read, entry).await?;
            if replaced == Replaced::LeadTaken {
                self.world.lock().count("follows another");
            }
            if let (Some(before), Replaced::At(_)) = (before, replaced) {
                let after = self.read_back(&entry.job.id).await?;
                self.changed(&before, &after);
            }
            Ok(replaced)
        });
        self.reach("ledger.replace", replace).await
    }

    async fn delete(&self, read: &Stored) -> Result<bool, LedgerError> {
        let delete = Box::pin(async {
            let deleted = self.table().delete(read).await?;
            if deleted {
                self.world.entries().retain(|entry| entry.job.id != read.entry.job.id);
            }
            Ok(deleted)
        });
        self.reach("ledger.delete", delete).await
    }

    async fn status(&self, id: &JobId) -> Result<Option<JobStatus>, LedgerError> {
        self.reach("ledger.status", Box::pin(async { self.table().status(id).await })).await
    }

    async fn reusable_receipt(
        &self,
        fingerprint: Fingerprint<'_>,
        max_age: Duration,
    ) -> Result<Option<Receipt>, LedgerError> {
        let find = Box::pin(async { self.table().reusable_receipt(fingerprint, max_age).await });
        self.reach("ledger.reusable_receipt", find).await
    }

    async fn last_led(&self, shared_fingerprint: &str, since: Timestamp) -> Result<Option<Job>, LedgerError> {
        let find = Box::pin(async {
            let led = self.table().last_led(shared_fingerprint, since).await?;
            if led.is_some() {
                self.world.lock().count("finds the result of another");
            }
            Ok(led)
        });
        self.reach("ledger.last_led", find).await
    }

    async fn followers(&self, shared_fingerprint: &str, limit: u32) -> Result<Vec<JobId>, LedgerError> {
        let list = Box::pin(async { self.table().followers(shared_fingerprint, limit).await });
        self.reach("ledger.followers", list).await
    }

    async fn stale(&self, filter: StaleFilter, limit: u32) -> Result<Vec<Job>, LedgerError> {
        self.reach("ledger.stale", Box::pin(async { self.table().stale(filter, limit).await })).await
    }

    async fn forget_access(&self, limit: u32) -> Result<u64, LedgerError> {
        self.reach("ledger.forget_access", Box::pin(async { self.table().forget_access(limit).await })).await
    }
}

impl FaultyPorts {
    /// Makes a call to the table. It is boxed: a whole worker with it in one future would be too deep for a test's stack.
    async fn reach<T>(
        &self,
        call: &str,
        act: Pin<Box<impl Future<Output = Result<T, LedgerError>>>>,
    ) -> Result<T, LedgerError> {
        let act = async {
            self.world.wind_clock();
            act.await
        };
        self.call(call, act, || LedgerError::Unavailable("the ledger was told to fail".into())).await
    }

    /// Reads what a write has left in the table, and records it.
    async fn read_back(&self, id: &JobId) -> Result<Entry, LedgerError> {
        let entry = self.table().get(id).await?.expect("what was written is there").entry;
        self.world.wrote(entry.clone());
        Ok(entry)
    }

    /// Records what a worker has claimed.
    fn claims(&self, job: &Job, unwanted: bool) {
        self.me(|me| {
            me.lease = Some((job.id.clone(), job.attempt));
            me.after.clone_from(&job.checkpoint);
            me.attempts_since_progress = job.attempts_since_progress;
            me.unwanted = unwanted;
        });
    }

    /// Checks that a change is one that the contract allows.
    fn changed(&self, before: &Entry, after: &Entry) {
        let (old, new) = (&before.job, &after.job);
        let id = &new.id;
        if old.state != new.state || old.attempt != new.attempt {
            self.note(format!("{id}: {:?} {} -> {:?} {}", old.state, old.attempt, new.state, new.attempt));
        }
        if !is_arrow(old.state, new.state) {
            self.world.violated(format!("{id}: {:?} -> {:?} is no arrow", old.state, new.state));
        }
        let claimed = new.attempt != old.attempt;
        if claimed && (new.attempt != old.attempt + 1 || new.state != JobState::Running) {
            self.world.violated(format!("{id}: attempt {} -> {}", old.attempt, new.attempt));
        }
        if claimed {
            self.claims(new, before.cancel_requested);
        } else if !self.is_story() && is_work(before, after) && !self.buries(before, after) {
            let lease = self.me(|me| me.lease.clone());
            if lease.as_ref() != Some(&(id.clone(), old.attempt)) || old.state != JobState::Running {
                let (state, attempt) = (old.state, old.attempt);
                self.world.violated(format!("{id}: {lease:?} wrote to it in {state:?}, attempt {attempt}"));
            }
        }
        if new.state == JobState::Ready && old.state != JobState::Ready && self.me(|me| me.unwanted) {
            self.world.violated(format!("{id}: made ready by an attempt begun after it was cancelled"));
        }
        if old.state.is_terminal() && (old.failure != new.failure || old.receipt != new.receipt) {
            self.world.violated(format!("{id}: its end was changed"));
        }
        let mut state = self.world.lock();
        if old.state != new.state {
            state.count(format!("{} -> {}", old.state.as_str(), new.state.as_str()));
        } else if claimed {
            state.count("running is taken over");
        }
        if let Some(checkpoint) = &new.checkpoint
            && let Some(upload) = &checkpoint.upload
            && let Some(upload) = state.uploads.get_mut(upload)
        {
            upload.recorded = true;
        }
        if before.notify_lease_until != after.notify_lease_until && after.notify_lease_until.is_some() {
            let me = &mut state.invocations[self.number];
            me.troubles_at_notice = me.troubles;
        }
        let told = old.notified_at.is_none() && new.notified_at.is_some();
        let mut published = false;
        for publish in state.publishes.iter_mut().filter(|publish| publish.job == id.as_str()) {
            published = true;
            publish.recorded |= told;
        }
        drop(state);
        if told {
            self.note(format!("{id}: told"));
        }
        if told && (!published || !new.state.is_terminal()) {
            self.world.violated(format!(
                "{id}: the ledger says that the requester is notified, and no notice went out"
            ));
        }
    }
}

impl FaultyPorts {
    /// Returns whether it ends a job that was to be cancelled and whose worker died before.
    fn buries(&self, before: &Entry, after: &Entry) -> bool {
        let over = before.lease_until.is_none_or(|until| until <= after.updated_at);
        before.cancel_requested && after.job.state == JobState::Cancelled && over
    }
}

/// The arrows of the contract.
fn is_arrow(from: JobState, to: JobState) -> bool {
    use JobState::{Cancelled, Expired, Failed, Queued, Ready, Running, Waiting};
    from == to
        || matches!(
            (from, to),
            (Queued | Waiting, Running | Cancelled)
                | (Running, Queued | Waiting | Ready | Failed | Cancelled)
                | (Ready, Expired)
        )
}

/// Returns whether something was changed that only the holder of the lease may change.
fn is_work(before: &Entry, after: &Entry) -> bool {
    let cleared = before.job.state.is_terminal() && after.job.checkpoint.is_none();
    let work = |entry: &Entry| {
        let Job {
            state,
            attempts_since_progress,
            resume_count,
            rows,
            bytes,
            owner_message_id,
            failure,
            receipt,
            ..
        } = entry.job.clone();
        (
            state,
            attempts_since_progress,
            resume_count,
            rows,
            bytes,
            owner_message_id,
            failure,
            receipt,
            entry.lease_until,
        )
    };
    work(before) != work(after) || (before.job.checkpoint != after.job.checkpoint && !cleared)
}
