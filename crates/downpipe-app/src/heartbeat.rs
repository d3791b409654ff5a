//! The heartbeat of a job: renews its lease, and sees when the export has to stop.

use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use downpipe_core::cache::{Cache, JobCache, LiveProgress};
use downpipe_core::error_chain::error_chain;
use downpipe_core::export::Progress;
use downpipe_core::job::{Checkpoint, Job};
use downpipe_core::ledger::{JobTable, Lease, LeaseStatus, Ledger, LedgerError};
use downpipe_core::mutex::lock;
use downpipe_core::queue::Queue;
use downpipe_core::source::CancellationToken;
use jiff::Timestamp;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::visibility::visibility_beyond;

/// How often the ledger is asked whether the job is to be cancelled, so that an export stops within two seconds. The first question
/// comes after this time: a shorter job asks none.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How often the progress is shown in the cache.
pub(crate) const SHOW_INTERVAL: Duration = Duration::from_secs(2);

/// Renewals in the time of a lease, so that a few may fail.
const RENEWALS_PER_LEASE: u32 = 4;

/// Renews the lease on a job, and with it the time for which its message is hidden. Cancels the export when the job is to be
/// cancelled, or another worker has it.
pub(crate) struct Heartbeat<'a, T> {
    ledger: &'a Ledger<T>,
    lease: &'a Lease,
    receipt_handle: &'a str,
    rows: AtomicU64,
    bytes: AtomicU64,
    /// The last checkpoint, until the ledger has it.
    unsaved: Mutex<Option<Checkpoint>>,
    last_checkpoint_at: Mutex<Instant>,
    status: Mutex<LeaseStatus>,
    shown: Mutex<Shown>,
    cancellation: CancellationToken,
}

/// How far the job was when its progress was last shown, or when it began.
struct Shown {
    at: Instant,
    rows: u64,
}

impl<'a, T: JobTable> Heartbeat<'a, T> {
    /// Makes the heartbeat of a job under this lease, and the token by which it cancels the export.
    pub(crate) fn new(
        ledger: &'a Ledger<T>,
        lease: &'a Lease,
        job: &Job,
        receipt_handle: &'a str,
    ) -> (Self, CancellationToken) {
        let cancellation = CancellationToken::new();
        let heartbeat = Self {
            ledger,
            lease,
            receipt_handle,
            // A resumed job has these before its first new row.
            rows: AtomicU64::new(job.rows),
            bytes: AtomicU64::new(job.bytes),
            unsaved: Mutex::new(None),
            last_checkpoint_at: Mutex::new(Instant::now()),
            status: Mutex::new(LeaseStatus::Held),
            shown: Mutex::new(Shown { at: Instant::now(), rows: job.rows }),
            cancellation: cancellation.clone(),
        };
        (heartbeat, cancellation)
    }

    /// Runs for as long as it is polled.
    pub(crate) async fn run<Q: Queue, C: Cache>(&self, queue: &Q, cache: &JobCache<C>) -> Infallible {
        self.hide_message(queue).await;
        let mut shows = ticks(SHOW_INTERVAL);
        let mut renewals = ticks(self.renewal_interval());
        let mut polls = ticks(self.poll_interval());
        loop {
            tokio::select! {
                // In this order, so that a scenario of the simulation goes the same way every time.
                biased;
                _ = renewals.tick() => {
                    self.renew().await;
                    self.hide_message(queue).await;
                }
                _ = polls.tick() => self.poll_status().await,
                _ = shows.tick() => self.show(cache).await,
            }
        }
    }

    /// Shows in the cache how far the job is, so that watching it costs the database nothing.
    async fn show<C: Cache>(&self, cache: &JobCache<C>) {
        let (rows, bytes) = (self.rows.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed));
        let since = std::mem::replace(&mut *lock(&self.shown), Shown { at: Instant::now(), rows });
        let milliseconds = u64::try_from(since.at.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        let rows_per_second = rows.saturating_sub(since.rows).saturating_mul(1000) / milliseconds;
        let progress = LiveProgress { rows, bytes, rows_per_second, at: Timestamp::now() };
        cache.keep_progress(self.lease.job(), &progress, self.lease.duration()).await;
    }

    /// Returns the status of the lease as it was last seen.
    pub(crate) fn status(&self) -> LeaseStatus {
        *lock(&self.status)
    }

    fn renewal_interval(&self) -> Duration {
        self.lease.duration() / RENEWALS_PER_LEASE
    }

    fn poll_interval(&self) -> Duration {
        POLL_INTERVAL.min(self.renewal_interval())
    }

    async fn renew(&self) {
        let unsaved = lock(&self.unsaved).take();
        let renewed = match &unsaved {
            Some(checkpoint) => self.ledger.checkpoint(self.lease, checkpoint).await,
            None => {
                let (rows, bytes) = (self.rows.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed));
                self.ledger.advance(self.lease, rows, bytes).await
            }
        };
        match renewed {
            Ok(_) => {}
            Err(LedgerError::LeaseLost { .. }) => self.stop(LeaseStatus::Lost),
            Err(error) => {
                // The lease outlasts a few failed renewals. The next one saves a later checkpoint, or this one.
                tracing::warn!(error = error_chain(&error), "the lease could not be renewed");
                let mut waiting = lock(&self.unsaved);
                *waiting = waiting.take().or(unsaved);
            }
        }
    }

    async fn poll_status(&self) {
        match self.ledger.lease_status(self.lease).await {
            Ok(LeaseStatus::Held) => {}
            Ok(status) => self.stop(status),
            Err(error) => {
                tracing::debug!(error = error_chain(&error), "the ledger does not say whether to stop")
            }
        }
    }

    fn stop(&self, status: LeaseStatus) {
        *lock(&self.status) = status;
        self.cancellation.cancel();
    }

    /// Extends the visibility timeout to 1.5 leases, so that a crashed worker's message is redelivered in seconds instead of 90
    /// minutes.
    async fn hide_message<Q: Queue>(&self, queue: &Q) {
        if self.status() == LeaseStatus::Lost {
            return;
        }
        let visibility = visibility_beyond(self.lease.duration());
        if let Err(error) = queue.change_visibility(self.receipt_handle, visibility).await {
            tracing::warn!(error = error_chain(&error), "the message could not be hidden for longer");
        }
    }
}

impl<T: JobTable> Progress for Heartbeat<'_, T> {
    async fn on_progress(&self, rows: u64, bytes: u64) -> Result<(), LedgerError> {
        self.rows.store(rows, Ordering::Relaxed);
        self.bytes.store(bytes, Ordering::Relaxed);
        if self.status() == LeaseStatus::Lost { Err(LedgerError::lost(self.lease)) } else { Ok(()) }
    }

    async fn ensure_lease_held(&self) -> Result<(), LedgerError> {
        match self.ledger.lease_status(self.lease).await? {
            LeaseStatus::Held | LeaseStatus::CancelRequested => Ok(()),
            LeaseStatus::Lost => {
                self.stop(LeaseStatus::Lost);
                Err(LedgerError::lost(self.lease))
            }
        }
    }

    fn wants_checkpoint(&self) -> bool {
        lock(&self.last_checkpoint_at).elapsed() >= self.poll_interval()
    }

    fn save_checkpoint(&self, checkpoint: Checkpoint) {
        *lock(&self.last_checkpoint_at) = Instant::now();
        *lock(&self.unsaved) = Some(checkpoint);
    }
}

fn ticks(period: Duration) -> tokio::time::Interval {
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

#[cfg(test)]
mod tests {
    use downpipe_core::job::NewJob;
    use downpipe_core::ledger::Claim;
    use downpipe_core::message::Message;
    use downpipe_core::testing::MemoryJobTable;

    use super::*;

    #[tokio::test]
    async fn renewal_before_the_first_row_keeps_the_rows_of_a_resumed_job() {
        let ledger = Ledger::new(MemoryJobTable::new());
        let body = r#"{"export":"orders"}"#;
        let new = NewJob::of(&Message::parse(body), "message", body).unwrap();
        let id = ledger.accept(&new).await.unwrap();
        let claim = ledger.claim(&id, "message", Duration::from_secs(60)).await.unwrap();
        let Claim::Granted(lease, mut job) = claim else { panic!("{claim:?}") };
        (job.rows, job.bytes) = (7, 70);
        let (heartbeat, _) = Heartbeat::new(&ledger, &lease, &job, "handle");
        heartbeat.renew().await;
        let job = ledger.find(&id).await.unwrap().unwrap();
        assert_eq!((job.rows, job.bytes), (7, 70));
    }
}
