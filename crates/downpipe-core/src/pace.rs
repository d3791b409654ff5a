//! How fast an export may read, so that others get their share of the database.
//!
//! What lives here: the caps on rows and bytes, which need nothing but a clock (`Paced`), and the account of the time that an
//! export was held back ([`Waits`]). What does not: the load of a server, which only the adapter that reads from it can see.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use downpipe_format::{Cell, Column};
use tokio::time::{Instant, sleep_until};

use crate::source::{Query, RowSink, SinkError, SinkState, SourceError, Wanted};

/// What an export may take at once after it was slower than it may be, as the time in which it may take that.
const BURST: Duration = Duration::from_secs(1);

/// The clock is read so often in every second's worth of rows or bytes.
const LOOKS_A_SECOND: u64 = 10;

/// What a value costs that has no text of its own: no binary number, date or time of the protocol is longer.
const FIXED_BYTES: u64 = 8;

/// Where to be slow: `[pace]` in a definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pace {
    /// The most rows in a second, on average.
    pub rows_per_second: Option<NonZeroU64>,
    /// The most bytes of values in a second, on average, as the database sends them and before anything is compressed.
    pub bytes_per_second: Option<NonZeroU64>,
    /// Reading pauses while the server's `Threads_running` is above this. The export's own query is one of them, whether it is
    /// read from or not, and so is the connection that asks.
    pub max_threads_running: Option<u64>,
    /// Reading pauses while the server, a replica, is so many seconds behind its source, or does not know how many.
    pub max_replica_lag: Option<u64>,
}

impl Pace {
    /// The least `max_threads_running` under which anything is ever read: MySQL counts its event scheduler, the connection that
    /// asks, and the export's own query.
    pub(crate) const FEWEST_THREADS: u64 = 3;

    /// Whether the server's load has a say.
    #[must_use]
    pub fn watches_the_server(&self) -> bool {
        self.max_threads_running.is_some() || self.max_replica_lag.is_some()
    }

    /// Whether reading may be slower than the database sends.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        *self != Self::default()
    }
}

/// How long an export was held back so far, and by which key of its definition. Clones share one account.
#[derive(Debug, Clone, Default)]
pub struct Waits(Arc<Mutex<BTreeMap<&'static str, Duration>>>);

/// A time of waiting that lasts until this is dropped.
#[derive(Debug)]
pub struct Wait {
    waits: Waits,
    key: &'static str,
    since: Instant,
}

impl Waits {
    /// Begins to wait because of this key.
    #[must_use]
    pub fn begin(&self, key: &'static str) -> Wait {
        Wait { waits: self.clone(), key, since: Instant::now() }
    }

    /// The key that has held the export back the longest, and for how long.
    #[must_use]
    pub fn longest(&self) -> Option<(&'static str, Duration)> {
        self.lock().iter().max_by_key(|(_, time)| **time).map(|(key, time)| (*key, *time))
    }

    /// An error, but where the deadline was met and the export was held back before, one that says so.
    pub(crate) fn explain(&self, error: SourceError) -> SourceError {
        match (error, self.longest()) {
            (SourceError::TimedOut, Some((key, time))) if time >= Duration::from_secs(1) => {
                SourceError::HeldBack { key, seconds: time.as_secs() }
            }
            (error, _) => error,
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Duration>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        *self.waits.lock().entry(self.key).or_default() += self.since.elapsed();
    }
}

/// A sink that takes rows no faster than it may. Waiting is done where a sink waits anyway, so that the deadline and a stop end
/// it.
pub(crate) struct Paced<'a, S> {
    sink: &'a mut S,
    /// Whether the sink itself wants to be flushed.
    state: SinkState,
    rows: Option<Cap>,
    bytes: Option<Cap>,
    waits: Waits,
}

impl<'a, S> Paced<'a, S> {
    /// A sink at the query's pace. `None` if that has no caps: then nothing need stand between the rows and their sink.
    pub(crate) fn new(sink: &'a mut S, query: &Query) -> Option<Self> {
        let Pace { rows_per_second, bytes_per_second, .. } = query.pace;
        let cap = |key, per_second: Option<NonZeroU64>| per_second.map(|most| Cap::new(key, most.get()));
        let rows = cap("pace.rows_per_second", rows_per_second);
        let bytes = cap("pace.bytes_per_second", bytes_per_second);
        let capped = rows.is_some() || bytes.is_some();
        capped.then(|| Self { sink, state: SinkState::Ready, rows, bytes, waits: query.waits.clone() })
    }

    fn caps(&mut self) -> impl Iterator<Item = &mut Cap> {
        self.rows.iter_mut().chain(&mut self.bytes)
    }
}

impl<S: RowSink> RowSink for Paced<'_, S> {
    fn accept(&self, columns: &[Column]) -> Result<(), SinkError> {
        self.sink.accept(columns)
    }

    fn start(&mut self, columns: &[Column], as_of: jiff::Timestamp) -> Result<Wanted, SinkError> {
        self.sink.start(columns, as_of)
    }

    fn key(&mut self, key: Cell<'_>) -> Result<(), SinkError> {
        self.sink.key(key)
    }

    fn cell(&mut self, cell: Cell<'_>) {
        if let Some(cap) = &mut self.bytes {
            cap.taken += bytes_of(&cell);
        }
        self.sink.cell(cell);
    }

    fn end_row(&mut self) -> Result<SinkState, SinkError> {
        if let Some(cap) = &mut self.rows {
            cap.taken += 1;
        }
        self.state = self.sink.end_row()?;
        let due = self.caps().any(|cap| cap.taken >= cap.step);
        Ok(if due { SinkState::Full } else { self.state })
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        // Not when it is only the clock's turn: what is sent downstream does not depend on the pace.
        if std::mem::replace(&mut self.state, SinkState::Ready) == SinkState::Full {
            self.sink.flush().await?;
        }
        let now = Instant::now();
        let latest = self.caps().map(|cap| (cap.pay(now), cap.key)).max();
        if let Some((until, key)) = latest.filter(|(until, _)| *until > now) {
            let _wait = self.waits.begin(key);
            sleep_until(until).await;
        }
        Ok(())
    }
}

/// A cap on an average: whatever is taken is paid for with time. (The generic cell rate algorithm: a token bucket without the
/// bucket.)
struct Cap {
    key: &'static str,
    per_second: u64,
    /// What may be taken before somebody looks at the clock.
    step: u64,
    /// What was taken since somebody did.
    taken: u64,
    /// When all that was taken before will be paid for. `None` before anything was.
    paid_by: Option<Instant>,
}

impl Cap {
    fn new(key: &'static str, per_second: u64) -> Self {
        Self { key, per_second, step: (per_second / LOOKS_A_SECOND).max(1), taken: 0, paid_by: None }
    }

    /// Pays for what was taken. More may be taken from the moment that this gives.
    fn pay(&mut self, now: Instant) -> Instant {
        // Time in which nothing was taken is lost, but for the burst.
        let from = self.paid_by.map_or(now, |paid_by| paid_by.max(now));
        let price = seconds(std::mem::take(&mut self.taken), self.per_second);
        let paid_by = from + price;
        self.paid_by = Some(paid_by);
        paid_by.checked_sub(BURST).map_or(now, |until| until.max(now))
    }
}

/// The time in which so many are taken. A single row is at most a gigabyte, and a second's worth at least a byte, so it is some
/// decades at most.
fn seconds(taken: u64, per_second: u64) -> Duration {
    let rest = u128::from(taken % per_second) * 1_000_000_000 / u128::from(per_second);
    Duration::new(taken / per_second, u32::try_from(rest).unwrap_or(u32::MAX))
}

fn bytes_of(cell: &Cell<'_>) -> u64 {
    match cell {
        Cell::Null => 0,
        Cell::Decimal(bytes) | Cell::Text(bytes) | Cell::Bytes(bytes) => bytes.len() as u64,
        Cell::Int(_)
        | Cell::UInt(_)
        | Cell::Float(_)
        | Cell::Double(_)
        | Cell::Date(_)
        | Cell::DateTime(..)
        | Cell::Time(_) => FIXED_BYTES,
    }
}
