//! Holding rows to the rates of the definition's `[throttle]`.

use std::num::NonZeroU64;
use std::time::Duration;

use downpipe_format::{Cell, Column};
use tokio::time::{Instant, sleep_until};

use crate::catalog::Throttle;
use crate::source::{Query, RowSink, SinkError, SinkState, Snapshot, ThrottleTime, Wanted};

/// The burst after an export was slower than its rate, as the time in which it may take so much.
const BURST: Duration = Duration::from_secs(1);

/// Readings of the clock in every second's worth of rows or bytes.
const CLOCK_READS_PER_SECOND: u64 = 10;

/// The bytes charged for a value that is no text: no binary number, date or time of the protocol is longer.
const FIXED_BYTES: u64 = 8;

/// A sink that takes rows no faster than its rates. It waits where a sink waits anyway, so that deadline and cancellation end the
/// wait.
pub(crate) struct ThrottledSink<'a, S> {
    sink: &'a mut S,
    /// Whether the sink behind it is full.
    state: SinkState,
    rows: Option<RateLimiter>,
    bytes: Option<RateLimiter>,
    waits: ThrottleTime,
}

impl<'a, S> ThrottledSink<'a, S> {
    /// A sink at the rates of the query's throttle. `None` if that has none: then rows go to their sink directly.
    pub(crate) fn new(sink: &'a mut S, query: &Query) -> Option<Self> {
        let Throttle { rows_per_second, bytes_per_second, .. } = query.throttle;
        let cap =
            |key, per_second: Option<NonZeroU64>| per_second.map(|max| RateLimiter::new(key, max.get()));
        let rows = cap("throttle.rows_per_second", rows_per_second);
        let bytes = cap("throttle.bytes_per_second", bytes_per_second);
        let capped = rows.is_some() || bytes.is_some();
        capped.then(|| Self { sink, state: SinkState::Ready, rows, bytes, waits: query.waits.clone() })
    }

    fn caps(&mut self) -> impl Iterator<Item = &mut RateLimiter> {
        self.rows.iter_mut().chain(&mut self.bytes)
    }
}

impl<S: RowSink> RowSink for ThrottledSink<'_, S> {
    fn accept(&self, columns: &[Column]) -> Result<(), SinkError> {
        self.sink.accept(columns)
    }

    fn start(&mut self, columns: &[Column], snapshot: &Snapshot) -> Result<Wanted, SinkError> {
        self.sink.start(columns, snapshot)
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
        // Not when only the clock is to be read: the parts that are sent do not depend on the throttle.
        if std::mem::replace(&mut self.state, SinkState::Ready) == SinkState::Full {
            self.sink.flush().await?;
        }
        let now = Instant::now();
        let latest = self.caps().map(|cap| (cap.charge(now), cap.key)).max();
        if let Some((until, key)) = latest.filter(|(until, _)| *until > now) {
            let _guard = self.waits.begin(key);
            sleep_until(until).await;
        }
        Ok(())
    }
}

/// Limits an average rate: every row or byte is charged as time. (The generic cell rate algorithm: a token bucket without the
/// bucket.)
struct RateLimiter {
    key: &'static str,
    per_second: u64,
    /// What may be taken before the clock is read again.
    step: u64,
    /// What was taken since the clock was read.
    taken: u64,
    /// When all that was charged is within the rate. `None` before anything was charged.
    paid_by: Option<Instant>,
}

impl RateLimiter {
    fn new(key: &'static str, per_second: u64) -> Self {
        Self { key, per_second, step: (per_second / CLOCK_READS_PER_SECOND).max(1), taken: 0, paid_by: None }
    }

    /// Charges what was taken, and returns the moment from which more may be taken.
    fn charge(&mut self, now: Instant) -> Instant {
        // Time in which nothing was taken is not saved up, but for the burst.
        let from = self.paid_by.map_or(now, |paid_by| paid_by.max(now));
        let price = seconds(std::mem::take(&mut self.taken), self.per_second);
        let paid_by = from + price;
        self.paid_by = Some(paid_by);
        paid_by.checked_sub(BURST).map_or(now, |until| until.max(now))
    }
}

/// Returns the time in which so many may be taken. A single row is at most a gigabyte, and a second's worth at least a byte, so it is
/// some decades at most.
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
