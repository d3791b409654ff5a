//! `[throttle]`: caps that slow an export down.

use std::num::NonZeroU64;

use serde::Deserialize;
use toml::Spanned;

use crate::catalog::definition::DefinitionError;
use crate::catalog::definition::source_text::Source;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawThrottle {
    rows_per_second: Option<std::num::NonZeroU64>,
    bytes_per_second: Option<std::num::NonZeroU64>,
    max_threads_running: Option<Spanned<u64>>,
    max_replica_lag: Option<u64>,
}

/// Reads `[throttle]`.
pub(crate) fn read_throttle(source: &Source<'_>, raw: RawThrottle) -> Result<Throttle, DefinitionError> {
    if let Some(few) = raw.max_threads_running.as_ref().filter(|most| *most.get_ref() < Throttle::MIN_THREADS)
    {
        let (fewest, few, span) = (Throttle::MIN_THREADS, few.get_ref(), few.span());
        let reason = format!(
            "throttle.max_threads_running: expected at least {fewest}, because an export's own are among them, got {few}"
        );
        return Err(source.wrong(span, reason));
    }
    Ok(Throttle {
        rows_per_second: raw.rows_per_second,
        bytes_per_second: raw.bytes_per_second,
        max_threads_running: raw.max_threads_running.map(Spanned::into_inner),
        max_replica_lag: raw.max_replica_lag,
    })
}

/// The caps of a definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Throttle {
    /// The most rows in a second, on average.
    pub rows_per_second: Option<NonZeroU64>,
    /// The most bytes of values in a second, on average, as the database sends them and before anything is compressed.
    pub bytes_per_second: Option<NonZeroU64>,
    /// Reading pauses while the server's `Threads_running` is above this. The export's own query and the connection that asks are
    /// among these threads, even while reading pauses.
    pub max_threads_running: Option<u64>,
    /// Reading pauses while the server, a replica, is so many seconds behind its source, or does not know how many.
    pub max_replica_lag: Option<u64>,
}

impl Throttle {
    /// The least `max_threads_running` with which an export can read: MySQL counts its event scheduler, the connection that asks, and
    /// the export's own query.
    pub(crate) const MIN_THREADS: u64 = 3;

    /// Returns whether the server's load can pause reading.
    #[must_use]
    pub fn watches_the_server(&self) -> bool {
        self.max_threads_running.is_some() || self.max_replica_lag.is_some()
    }

    /// Returns whether there is any cap.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        *self != Self::default()
    }
}
