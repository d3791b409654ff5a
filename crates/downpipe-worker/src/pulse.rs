//! The pulse of a job: what its worker says of it while it works, and what it hears.

use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use downpipe_core::checkpoint::Checkpoint;
use downpipe_core::failure::chain;
use downpipe_core::ledger::{Lease, Ledger, LedgerError, Watch};
use downpipe_core::pipeline::Progress;
use downpipe_core::queue::Queue;
use downpipe_core::source::{Stop, Stopper};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// How often the ledger is asked whether the job is to stop: whoever cancels it sees that within two seconds.
const WATCH: Duration = Duration::from_secs(1);

/// Renewals in the time of a lease, so that a few may fail.
const BEATS_A_LEASE: u32 = 4;

/// Renews the lease on a job, and with it the time for which its message stays away from others; and stops the job when it is
/// cancelled, or somebody else's.
pub(crate) struct Pulse<'a, L> {
    ledger: &'a L,
    lease: &'a Lease,
    message: Option<&'a str>,
    rows: AtomicU64,
    bytes: AtomicU64,
    /// The last checkpoint that the ledger has not got yet, and when there was one.
    reached: Mutex<Option<Checkpoint>>,
    reached_at: Mutex<Instant>,
    heard: Mutex<Watch>,
    stopper: Stopper,
}

impl<'a, L: Ledger> Pulse<'a, L> {
    /// Of the job under this lease, which a message brought that the queue knows by this handle. What it gives besides is the
    /// wish that the export stop.
    pub(crate) fn new(ledger: &'a L, lease: &'a Lease, message: Option<&'a str>) -> (Self, Stop) {
        let (stopper, stop) = Stop::new();
        let pulse = Self {
            ledger,
            lease,
            message,
            rows: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            reached: Mutex::new(None),
            reached_at: Mutex::new(Instant::now()),
            heard: Mutex::new(Watch::GoOn),
            stopper,
        };
        (pulse, stop)
    }

    /// Beats for as long as it is polled.
    pub(crate) async fn beat<Q: Queue>(&self, queue: &Q) -> Infallible {
        self.hold_message(queue).await;
        let mut beats = ticks(self.heartbeat());
        let mut watches = ticks(WATCH.min(self.heartbeat()));
        loop {
            tokio::select! {
                // As above: not by chance.
                biased;
                _ = beats.tick() => {
                    self.renew().await;
                    self.hold_message(queue).await;
                }
                _ = watches.tick() => self.watch().await,
            }
        }
    }

    /// What was heard last.
    pub(crate) fn heard(&self) -> Watch {
        *lock(&self.heard)
    }

    fn heartbeat(&self) -> Duration {
        self.lease.duration / BEATS_A_LEASE
    }

    async fn renew(&self) {
        let reached = lock(&self.reached).take();
        let renewed = match &reached {
            Some(checkpoint) => self.ledger.checkpoint(self.lease, checkpoint).await,
            None => {
                let (rows, bytes) = (self.rows.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed));
                self.ledger.advance(self.lease, rows, bytes).await
            }
        };
        match renewed {
            Ok(()) => {}
            Err(LedgerError::LeaseLost { .. }) => self.hear(Watch::Lost),
            Err(error) => {
                // The lease outlasts a few missed beats, and the next one brings a later checkpoint, or this one.
                tracing::warn!(error = chain(&error), "the lease could not be renewed");
                let mut waiting = lock(&self.reached);
                *waiting = waiting.take().or(reached);
            }
        }
    }

    async fn watch(&self) {
        match self.ledger.watch(self.lease).await {
            Ok(Watch::GoOn) => {}
            Ok(news) => self.hear(news),
            Err(error) => tracing::debug!(error = chain(&error), "the ledger does not say whether to stop"),
        }
    }

    fn hear(&self, news: Watch) {
        *lock(&self.heard) = news;
        self.stopper.stop();
    }

    /// Were this worker to die, its message would come back soon after its lease is over, and not after the queue's hour and a
    /// half.
    async fn hold_message<Q: Queue>(&self, queue: &Q) {
        let Some(message) = self.message.filter(|_| self.heard() != Watch::Lost) else { return };
        if let Err(error) = queue.return_after(message, self.lease.duration * 3 / 2).await {
            tracing::warn!(error = chain(&error), "the message could not be kept away from others");
        }
    }
}

impl<L: Ledger> Progress for Pulse<'_, L> {
    async fn advanced(&self, rows: u64, bytes: u64) -> Result<(), LedgerError> {
        self.rows.store(rows, Ordering::Relaxed);
        self.bytes.store(bytes, Ordering::Relaxed);
        if self.heard() == Watch::Lost { Err(LedgerError::lost(self.lease)) } else { Ok(()) }
    }

    async fn confirmed(&self) -> Result<(), LedgerError> {
        match self.ledger.watch(self.lease).await? {
            Watch::GoOn | Watch::Cancel => Ok(()),
            Watch::Lost => {
                self.hear(Watch::Lost);
                Err(LedgerError::lost(self.lease))
            }
        }
    }

    fn wants_checkpoint(&self) -> bool {
        lock(&self.reached_at).elapsed() >= WATCH.min(self.heartbeat())
    }

    fn reached(&self, checkpoint: Checkpoint) {
        *lock(&self.reached_at) = Instant::now();
        *lock(&self.reached) = Some(checkpoint);
    }
}

fn ticks(period: Duration) -> tokio::time::Interval {
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// What is behind these locks is replaced as a whole: a thread that panicked while it held one has left nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
