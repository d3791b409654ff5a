//! The table's clock. DynamoDB has no function for the time, but each of its answers has a `Date` header.
//!
//! The header has whole seconds, and is made at some moment between request and answer. So one answer gives two bounds for the
//! server's time, and several answers together give closer ones. A time that is over is taken from the earlier bound, and a lease runs
//! from the later one. So no lease ends too early, and none ends more than some two seconds late.
//!
//! Between two answers a monotonic clock of this machine counts on, but not for long: a Lambda's environment may have been frozen.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use aws_sdk_dynamodb::config::interceptors::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_smithy_types::DateTime;
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use aws_smithy_types::date_time::Format;
use downpipe_core::mutex::lock;
use jiff::Timestamp;

/// How long an answer's date is good, by either clock of this machine. Workers ask every second, so that this costs nothing.
const TRUSTED_FOR: Duration = Duration::from_secs(10);

const SECOND: i64 = 1_000_000;

/// What the clocks of this machine show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalTime {
    /// A clock that only counts on.
    pub monotonic: Duration,
    /// The time of day, since 1970. It may be wrong, and may jump.
    pub wall: Duration,
}

/// Reads the clocks of this machine.
pub type LocalClock = Arc<dyn Fn() -> LocalTime + Send + Sync>;

/// Returns this machine's own clocks.
pub(super) fn machine_clock() -> LocalClock {
    let began = Instant::now();
    Arc::new(move || LocalTime {
        monotonic: began.elapsed(),
        wall: SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default(),
    })
}

/// The server's time, between two bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ServerTime {
    /// The server's clock shows at least this.
    pub(super) earliest: Timestamp,
    /// The server's clock shows less than this.
    pub(super) latest: Timestamp,
}

/// The clock of a table.
pub(super) struct TableClock {
    local: LocalClock,
    bounds: Mutex<Option<Bounds>>,
}

/// By how much the server's clock is ahead of the monotonic one, in microseconds.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    min: i64,
    max: i64,
    /// When the latest answer came.
    received: LocalTime,
}

impl TableClock {
    pub(super) fn new(local: LocalClock) -> Self {
        Self { local, bounds: Mutex::new(None) }
    }

    /// Returns the server's time, unless its last answer is too long ago.
    pub(super) fn fresh(&self) -> Option<ServerTime> {
        let now = (self.local)();
        let received = lock(&self.bounds).as_ref()?.received;
        let is_fresh = now.monotonic.abs_diff(received.monotonic) <= TRUSTED_FOR
            && now.wall.abs_diff(received.wall) <= TRUSTED_FOR;
        if is_fresh { self.time() } else { None }
    }

    /// Returns the server's time, however long ago its last answer is. `None` before the first.
    pub(super) fn time(&self) -> Option<ServerTime> {
        let now = micros((self.local)().monotonic);
        let Bounds { min, max, .. } = (*lock(&self.bounds))?;
        let at = |offset: i64| Timestamp::from_microsecond(now.saturating_add(offset)).ok();
        Some(ServerTime { earliest: at(min)?, latest: at(max)? })
    }

    /// Learns from an answer that has this date, in seconds since 1970.
    fn learn(&self, date: i64, sent: LocalTime, received: LocalTime) {
        let date = date.saturating_mul(SECOND);
        let min = date.saturating_sub(micros(received.monotonic));
        let max = date.saturating_add(SECOND).saturating_sub(micros(sent.monotonic));
        let mut bounds = lock(&self.bounds);
        // What contradicts the latest answer is out of date: one of the two clocks has stood still or is slow.
        *bounds = match *bounds {
            Some(known) if known.min.max(min) < known.max.min(max) => {
                Some(Bounds { min: known.min.max(min), max: known.max.min(max), received })
            }
            _ => Some(Bounds { min, max, received }),
        };
    }
}

impl fmt::Debug for TableClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableClock").field("bounds", &self.bounds).finish_non_exhaustive()
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

/// Reads the date of every answer, of refusals too.
#[derive(Debug)]
pub(super) struct ReadDate(pub(super) Arc<TableClock>);

/// When a request was sent.
#[derive(Debug)]
struct Sent(LocalTime);

impl Storable for Sent {
    type Storer = StoreReplace<Self>;
}

impl Intercept for ReadDate {
    fn name(&self) -> &'static str {
        "the date of every answer"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        config.interceptor_state().store_put(Sent((self.0.local)()));
        Ok(())
    }

    fn read_after_transmit(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let date = date.and_then(|date| DateTime::from_str(date, Format::HttpDate).ok());
        if let (Some(date), Some(Sent(sent))) = (date, config.load::<Sent>()) {
            self.0.learn(date.secs(), *sent, (self.0.local)());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// When the tests' server begins to count, in seconds since 1970.
    const EPOCH: u64 = 1_767_323_045;

    /// A machine whose clocks a test moves, and a server whose clock is right.
    struct World {
        millis: Arc<AtomicU64>,
        wall: Arc<AtomicU64>,
        clock: TableClock,
    }

    impl World {
        fn new() -> Self {
            let (millis, wall) = (Arc::new(AtomicU64::new(5_300)), Arc::new(AtomicU64::new(0)));
            let local = {
                let (millis, wall) = (Arc::clone(&millis), Arc::clone(&wall));
                move || LocalTime {
                    monotonic: Duration::from_millis(millis.load(Ordering::Relaxed)),
                    wall: Duration::from_millis(
                        millis.load(Ordering::Relaxed) + wall.load(Ordering::Relaxed),
                    ),
                }
            };
            Self { millis, wall, clock: TableClock::new(Arc::new(local)) }
        }

        fn pass(&self, millis: u64) {
            self.millis.fetch_add(millis, Ordering::Relaxed);
        }

        /// The server's clock, in milliseconds since 1970.
        fn server(&self) -> u64 {
            EPOCH * 1000 + self.millis.load(Ordering::Relaxed)
        }

        /// Sends a request that takes so long on its way and so long back.
        fn ask(&self, there: u64, back: u64) {
            let sent = (self.clock.local)();
            self.pass(there);
            let date = i64::try_from(self.server() / 1000).unwrap();
            self.pass(back);
            self.clock.learn(date, sent, (self.clock.local)());
        }

        /// Returns by how many milliseconds the bounds are before and after the server's time.
        fn errors(&self) -> (i64, i64) {
            let ServerTime { earliest, latest } = self.clock.time().unwrap();
            let server = i64::try_from(self.server()).unwrap();
            (server - earliest.as_millisecond(), latest.as_millisecond() - server)
        }
    }

    #[test]
    fn server_time_is_between_the_bounds_which_close_with_every_answer() {
        let world = World::new();
        assert_eq!(world.clock.time(), None);
        let mut widths = Vec::new();
        for step in 0..40 {
            world.ask(step % 7, 3 + step % 5);
            let (before, after) = world.errors();
            assert!(before >= 0 && after > 0, "step {step}: {before} {after}");
            widths.push(before + after);
            world.pass(170);
        }
        assert!(widths[0] <= 1010, "{widths:?}");
        assert!(widths[39] < 200, "{widths:?}");
    }

    #[test]
    fn wall_clock_that_jumps_is_noticed_and_changes_nothing() {
        let world = World::new();
        world.ask(2, 2);
        let before = world.clock.fresh().unwrap();
        world.wall.store(600_000, Ordering::Relaxed);
        assert_eq!(world.clock.fresh(), None, "the machine may have been frozen");
        world.ask(0, 0);
        let after = world.clock.fresh().unwrap();
        assert!(after.earliest >= before.earliest && after.latest <= before.latest, "{before:?} {after:?}");
    }

    #[test]
    fn monotonic_clock_that_stood_still_is_corrected_by_the_next_answer() {
        let world = World::new();
        world.ask(2, 2);
        let sent = (world.clock.local)();
        let date = i64::try_from(world.server() / 1000).unwrap() + 3600;
        world.clock.learn(date, sent, sent);
        let ServerTime { earliest, latest } = world.clock.fresh().unwrap();
        assert_eq!(earliest.as_second(), date);
        assert_eq!((latest - earliest).total(jiff::Unit::Second).unwrap(), 1.0);
    }

    #[test]
    fn answer_of_long_ago_is_not_fresh() {
        let world = World::new();
        world.ask(2, 2);
        world.pass(9_000);
        assert!(world.clock.fresh().is_some());
        world.pass(2_000);
        assert_eq!(world.clock.fresh(), None);
    }
}
