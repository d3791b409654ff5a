//! The ledger: the memory's table behind a network, and a look at every change of it.

use downpipe_core::entry::Entry;
use downpipe_core::job::{Job, JobId, JobState};
use downpipe_core::ledger::{Due, Inserted, JobTable, LedgerError, Stored};
use downpipe_core::receipt::Receipt;
use jiff::Timestamp;

use crate::world::Hand;

impl JobTable for Hand {
    async fn now(&self) -> Result<Timestamp, LedgerError> {
        self.reach("ledger.now", async { self.world.ledger.now().await }).await
    }

    async fn insert(&self, entry: &Entry) -> Result<Inserted, LedgerError> {
        let insert = async {
            let inserted = self.world.ledger.insert(entry).await?;
            if inserted == Inserted::New {
                self.note(format!("accepts {} as {:?}", entry.job.id, entry.job.state));
            }
            Ok(inserted)
        };
        self.reach("ledger.insert", insert).await
    }

    async fn get(&self, id: &JobId) -> Result<Option<Stored>, LedgerError> {
        self.reach("ledger.get", async { self.world.ledger.get(id).await }).await
    }

    async fn replace(&self, entry: &Entry, version: u64) -> Result<bool, LedgerError> {
        let replace = async {
            let before = self.world.entry(&entry.job.id);
            let replaced = self.world.ledger.replace(entry, version).await?;
            if let Some(before) = before.filter(|_| replaced) {
                self.changed(&before, entry);
            }
            Ok(replaced)
        };
        self.reach("ledger.replace", replace).await
    }

    async fn peek(&self, id: &JobId) -> Result<Option<(JobState, u32, bool)>, LedgerError> {
        self.reach("ledger.peek", async { self.world.ledger.peek(id).await }).await
    }

    async fn ready_since(&self, sameness: &str, since: Timestamp) -> Result<Option<Receipt>, LedgerError> {
        self.reach("ledger.ready_since", async { self.world.ledger.ready_since(sameness, since).await }).await
    }

    async fn newest(&self, limit: u32) -> Result<Vec<Job>, LedgerError> {
        self.world.ledger.newest(limit).await
    }

    async fn neglected(&self, due: Due, limit: u32) -> Result<Vec<Job>, LedgerError> {
        self.reach("ledger.neglected", async { self.world.ledger.neglected(due, limit).await }).await
    }
}

impl Hand {
    async fn reach<T>(
        &self,
        call: &str,
        act: impl Future<Output = Result<T, LedgerError>>,
    ) -> Result<T, LedgerError> {
        let act = async {
            self.world.wind_clock();
            act.await
        };
        self.call(call, act, || LedgerError::Unavailable("the ledger was told to fail".into())).await
    }

    /// A change has taken place. Was it one that may?
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
            self.me(|me| {
                me.lease = Some((id.clone(), new.attempt));
                me.after.clone_from(&new.checkpoint);
                me.tries = new.tries;
                me.unwanted = before.cancel_wanted;
            });
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
        if before.notice_until != after.notice_until && after.notice_until.is_some() {
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
            self.world.violated(format!("{id}: nobody was told, and the ledger says so"));
        }
    }
}

impl Hand {
    /// Whether it ends a job that was to be cancelled, and whose worker did not live to do it.
    fn buries(&self, before: &Entry, after: &Entry) -> bool {
        let over = before.lease_until.is_none_or(|until| until <= after.updated_at);
        before.cancel_wanted && after.job.state == JobState::Cancelled && over
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

/// Whether something was changed that only whoever holds the lease may.
fn is_work(before: &Entry, after: &Entry) -> bool {
    let cleared = before.job.state.is_terminal() && after.job.checkpoint.is_none();
    let work = |entry: &Entry| {
        let Job { state, tries, continuations, rows, bytes, owner, failure, receipt, .. } = entry.job.clone();
        (state, tries, continuations, rows, bytes, owner, failure, receipt, entry.lease_until)
    };
    work(before) != work(after) || (before.job.checkpoint != after.job.checkpoint && !cleared)
}
