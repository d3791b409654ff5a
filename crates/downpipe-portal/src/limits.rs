//! How many requests a person may make, how large and how slow they may be.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};

/// The most bytes of a request's body, as of a message on the queue.
pub(crate) const MAX_BODY_BYTES: usize = downpipe_core::message::MAX_BODY_BYTES;

/// The time after which a request is given up.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Requests a second of one person: ten.
pub const REQUESTS_PER_SECOND: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);

/// The most persons that are remembered before those are forgotten who are well below their limit.
const MAX_REMEMBERED: usize = 10_000;

/// Counts the requests of each person, and of each address where a request has no person.
#[derive(Debug)]
pub struct RequestLimits {
    limiter: DefaultKeyedRateLimiter<String>,
    clock: DefaultClock,
}

impl RequestLimits {
    /// Allows each so many requests a second, and as many at once.
    #[must_use]
    pub fn new(per_second: NonZeroU32) -> Self {
        let limiter = DefaultKeyedRateLimiter::keyed(Quota::per_second(per_second));
        Self { limiter, clock: DefaultClock::default() }
    }

    /// Counts a request. Returns how long the person has to wait if there were too many.
    pub(crate) fn count(&self, whose: &str) -> Result<(), Duration> {
        if self.limiter.len() > MAX_REMEMBERED {
            self.limiter.retain_recent();
        }
        let refused = self.limiter.check_key(&whose.to_owned());
        refused.map(drop).map_err(|until| until.wait_time_from(self.clock.now()))
    }
}
