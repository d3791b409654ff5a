//! The worker: what it stands on, and its limits.

use std::time::Duration;

use downpipe_core::cache::JobCache;
use downpipe_core::catalog::Catalog;
use downpipe_core::language::Language;
use downpipe_core::ledger::Ledger;

use crate::link::Links;
use crate::ports::Ports;
use crate::visibility::visibility_beyond;

/// Attempts without [progress](downpipe_core::job::Checkpoint::is_progress) after which a job has failed. It keeps failing for
/// passing causes, or keeps killing its worker. One less than the receives of the template's queue, so that such a job needs one
/// message only.
pub const MAX_ATTEMPTS: u32 = 4;

/// Runs of one job: a day of them, at fifteen minutes each. It ends jobs that never finish. Lambda would stop a function that sends
/// itself messages after 16 runs, and is told not to (`RecursiveLoop` in the template).
pub const MAX_RUNS: u32 = 96;

/// How long a worker holds a job without a heartbeat.
pub const LEASE: Duration = Duration::from_secs(60);

/// A worker with everything it stands on.
pub struct Worker<P: Ports> {
    /// What may be exported.
    pub catalog: Catalog,
    /// Remembers jobs.
    pub ledger: Ledger<P::Table>,
    /// Reads rows.
    pub source: P::Source,
    /// Stores files.
    pub store: P::Store,
    /// Notifies people.
    pub notifier: P::Notifier,
    /// Delivers messages.
    pub queue: P::Queue,
    /// Keeps receipts and progress for a while.
    pub cache: JobCache<P::Cache>,
    /// How long the worker holds a job without a heartbeat. Back-offs and visibility timeouts are multiples of it.
    pub lease: Duration,
    /// How long the ledger remembers a job whose file is gone, or that ended without one.
    pub ledger_retention: Duration,
    /// What the keys of files begin with.
    pub prefix: String,
    /// The language of people whose request names none.
    pub language: Language,
    /// What makes the links of e-mails. `None` without a portal.
    pub links: Option<Links>,
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is handled: delete it.
    Done,
    /// Deliver it again after this time.
    RetryAfter(Duration),
}

impl<P: Ports> Worker<P> {
    /// Returns the pause after so many attempts: 90 s, 4½ min, 13½ min, 40½ min with a lease of a minute. That is short for a person
    /// who waits, long for a fail-over, and longer than the lease of an attempt that could not be released.
    pub(crate) fn back_off(&self, attempts: u32) -> Duration {
        visibility_beyond(self.lease) * 3_u32.pow(attempts.saturating_sub(1).min(3))
    }
}
