//! A ledger that fails at one call of one's choice.

use std::sync::Mutex;
use std::time::Duration;

use downpipe_core::checkpoint::Checkpoint;
use downpipe_core::job::{Failure, Job, JobId, NewJob};
use downpipe_core::ledger::{Cancel, Claim, Due, Lease, Ledger, LedgerError, Watch};
use downpipe_core::receipt::Receipt;
use downpipe_core::testing::MemoryLedger;

use crate::parts::Clock;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The call does not reach the ledger.
    CallLost,
    /// The ledger does it, and its answer is lost.
    AnswerLost,
    /// The worker dies before the call.
    DeathBefore,
    /// The ledger does it, and the worker dies.
    DeathAfter,
}

/// A ledger with one fault, in the first call of this name.
pub(crate) struct FaultyLedger {
    pub(crate) inner: MemoryLedger,
    fault: Mutex<Option<(&'static str, Fault)>>,
}

impl FaultyLedger {
    pub(crate) fn new(call: &'static str, fault: Fault) -> Self {
        Self { inner: MemoryLedger::new(), fault: Mutex::new(Some((call, fault))) }
    }

    /// Whether the fault is still to come.
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

impl Clock for FaultyLedger {
    fn pass(&self, time: Duration) {
        self.inner.pass(time);
    }
}

impl Ledger for FaultyLedger {
    async fn accept(&self, job: &NewJob) -> Result<JobId, LedgerError> {
        self.call("accept", self.inner.accept(job)).await
    }

    async fn claim(&self, id: &JobId, owner: &str, duration: Duration) -> Result<Claim, LedgerError> {
        self.call("claim", self.inner.claim(id, owner, duration)).await
    }

    async fn advance(&self, lease: &Lease, rows: u64, bytes: u64) -> Result<(), LedgerError> {
        self.call("advance", self.inner.advance(lease, rows, bytes)).await
    }

    async fn checkpoint(&self, lease: &Lease, checkpoint: &Checkpoint) -> Result<(), LedgerError> {
        self.call("checkpoint", self.inner.checkpoint(lease, checkpoint)).await
    }

    async fn watch(&self, lease: &Lease) -> Result<Watch, LedgerError> {
        self.call("watch", self.inner.watch(lease)).await
    }

    async fn pause(&self, lease: &Lease, checkpoint: &Checkpoint) -> Result<(), LedgerError> {
        self.call("pause", self.inner.pause(lease, checkpoint)).await
    }

    async fn ready(&self, lease: &Lease, receipt: &Receipt) -> Result<(), LedgerError> {
        self.call("ready", self.inner.ready(lease, receipt)).await
    }

    async fn fail(&self, lease: &Lease, failure: &Failure) -> Result<(), LedgerError> {
        self.call("fail", self.inner.fail(lease, failure)).await
    }

    async fn release(&self, lease: &Lease, failure: &Failure) -> Result<(), LedgerError> {
        self.call("release", self.inner.release(lease, failure)).await
    }

    async fn cancel(&self, id: &JobId) -> Result<Cancel, LedgerError> {
        self.call("cancel", self.inner.cancel(id)).await
    }

    async fn cancelled(&self, lease: &Lease) -> Result<(), LedgerError> {
        self.call("cancelled", self.inner.cancelled(lease)).await
    }

    async fn cleared(&self, id: &JobId) -> Result<(), LedgerError> {
        self.call("cleared", self.inner.cleared(id)).await
    }

    async fn claim_notice(&self, id: &JobId) -> Result<bool, LedgerError> {
        self.call("claim_notice", self.inner.claim_notice(id)).await
    }

    async fn notified(&self, id: &JobId) -> Result<(), LedgerError> {
        self.call("notified", self.inner.notified(id)).await
    }

    async fn release_notice(&self, id: &JobId) -> Result<(), LedgerError> {
        self.call("release_notice", self.inner.release_notice(id)).await
    }

    async fn expire(&self, id: &JobId) -> Result<(), LedgerError> {
        self.call("expire", self.inner.expire(id)).await
    }

    async fn touch(&self, id: &JobId) -> Result<(), LedgerError> {
        self.call("touch", self.inner.touch(id)).await
    }

    async fn find(&self, id: &JobId) -> Result<Option<Job>, LedgerError> {
        self.call("find", self.inner.find(id)).await
    }

    async fn latest(&self, limit: u32) -> Result<Vec<Job>, LedgerError> {
        self.inner.latest(limit).await
    }

    async fn due(&self, due: Due, limit: u32) -> Result<Vec<Job>, LedgerError> {
        self.call("due", self.inner.due(due, limit)).await
    }
}
