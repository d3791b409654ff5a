//! A ledger's table that fails at a call of a test's choice.

use std::sync::Mutex;
use std::time::Duration;

use downpipe_core::job::{Job, JobId, JobState, Receipt};
use downpipe_core::ledger::{
    Cursor, Entry, Fingerprint, Inserted, JobFilter, JobQueries, JobStatus, JobTable, LedgerError, Replaced,
    StaleFilter, Stored,
};
use downpipe_core::requester::Requester;
use downpipe_core::testing::MemoryJobTable;
use jiff::Timestamp;

use crate::parts::Clock;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The call does not reach the table.
    CallLost,
    /// The table does it, and its answer is lost.
    AnswerLost,
    /// The worker dies before the call.
    DeathBefore,
    /// The table does it, and the worker dies.
    DeathAfter,
}

/// A table with one fault, in the first call of this name. A write is named after the ledger's method: see [`name_of`].
pub(crate) struct FaultyJobTable {
    inner: MemoryJobTable,
    fault: Mutex<Option<(&'static str, Fault)>>,
}

impl FaultyJobTable {
    pub(crate) fn new(call: &'static str, fault: Fault) -> Self {
        Self { inner: MemoryJobTable::new(), fault: Mutex::new(Some((call, fault))) }
    }

    /// Plans another fault in place of the one before.
    pub(crate) fn plan(&self, call: &'static str, fault: Fault) {
        *self.fault.lock().unwrap() = Some((call, fault));
    }

    /// Returns whether the fault is still to come.
    pub(crate) fn is_untouched(&self) -> bool {
        self.fault.lock().unwrap().is_some()
    }

    async fn call<T>(
        &self,
        name: &str,
        act: impl Future<Output = Result<T, LedgerError>>,
    ) -> Result<T, LedgerError> {
        let fault = self.fault.lock().unwrap().take_if(|(call, _)| *call == name);
        match fault.map(|(_, fault)| fault) {
            None => return act.await,
            Some(Fault::CallLost) => {}
            Some(Fault::AnswerLost) => drop(act.await?),
            Some(Fault::DeathBefore) => std::future::pending().await,
            Some(Fault::DeathAfter) => {
                act.await?;
                std::future::pending().await
            }
        }
        Err(LedgerError::Unavailable("the line is dead".into()))
    }
}

impl Clock for FaultyJobTable {
    fn pass(&self, time: Duration) {
        self.inner.pass(time);
    }
}

impl JobTable for FaultyJobTable {
    async fn insert(&self, entry: &Entry) -> Result<Inserted, LedgerError> {
        self.call("insert", self.inner.insert(entry)).await
    }

    async fn get(&self, id: &JobId) -> Result<Option<Stored>, LedgerError> {
        self.call("get", self.inner.get(id)).await
    }

    async fn replace(&self, read: &Stored, entry: &Entry) -> Result<Replaced, LedgerError> {
        self.call(name_of(&read.entry, entry), self.inner.replace(read, entry)).await
    }

    async fn delete(&self, read: &Stored) -> Result<bool, LedgerError> {
        self.call("delete", self.inner.delete(read)).await
    }

    async fn status(&self, id: &JobId) -> Result<Option<JobStatus>, LedgerError> {
        self.call("status", self.inner.status(id)).await
    }

    async fn reusable_receipt(
        &self,
        fingerprint: Fingerprint<'_>,
        max_age: Duration,
    ) -> Result<Option<Receipt>, LedgerError> {
        self.call("reusable_receipt", self.inner.reusable_receipt(fingerprint, max_age)).await
    }

    async fn last_led(&self, shared_fingerprint: &str, since: Timestamp) -> Result<Option<Job>, LedgerError> {
        self.call("last_led", self.inner.last_led(shared_fingerprint, since)).await
    }

    async fn followers(&self, shared_fingerprint: &str, limit: u32) -> Result<Vec<JobId>, LedgerError> {
        self.call("followers", self.inner.followers(shared_fingerprint, limit)).await
    }

    async fn stale(&self, filter: StaleFilter, limit: u32) -> Result<Vec<Job>, LedgerError> {
        self.call("stale", self.inner.stale(filter, limit)).await
    }

    async fn forget_access(&self, limit: u32) -> Result<u64, LedgerError> {
        self.call("forget_access", self.inner.forget_access(limit)).await
    }
}

impl JobQueries for FaultyJobTable {
    async fn jobs_of(
        &self,
        filter: &JobFilter<'_>,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Vec<Job>, LedgerError> {
        self.inner.jobs_of(filter, after, limit).await
    }

    async fn several(&self, ids: &[JobId]) -> Result<Vec<Job>, LedgerError> {
        self.inner.several(ids).await
    }

    async fn ahead(&self, job: &Job) -> Result<u64, LedgerError> {
        self.inner.ahead(job).await
    }

    async fn last_of_definition(&self, definition_sha256: &str, limit: u32) -> Result<Vec<Job>, LedgerError> {
        self.inner.last_of_definition(definition_sha256, limit).await
    }

    async fn unended_of(&self, requester: &Requester, limit: u32) -> Result<Vec<Job>, LedgerError> {
        self.inner.unended_of(requester, limit).await
    }
}

/// Names a write after the ledger's method that makes such a change.
fn name_of(before: &Entry, after: &Entry) -> &'static str {
    let notify_lease = (before.notify_lease_until.is_some(), after.notify_lease_until.is_some());
    match (before.job.state, after.job.state) {
        _ if before.job.attempt != after.job.attempt => "claim",
        (JobState::Running, JobState::Ready) => "ready",
        (JobState::Running, JobState::Failed) => "fail",
        (JobState::Running, JobState::Queued) => "release",
        (JobState::Running, JobState::Running) => "advance",
        _ if before.job.notified_at != after.job.notified_at => "notified",
        _ if notify_lease == (false, true) => "claim_notification",
        _ if notify_lease == (true, false) => "release_notification",
        _ => "another write",
    }
}
