//! How long a cache may take, and how long a connection lives.

use std::time::{Duration, SystemTime};

/// How long a cache may take, and how long a connection lives. Production has the default.
#[derive(Debug, Clone, Copy)]
pub struct CacheLimits {
    /// The time to connect and log in. It passes once, while the worker has other things to do.
    pub connect: Duration,
    /// The time of an operation. A connection on which one takes longer is closed.
    pub operation: Duration,
    /// The age at which a connection is replaced. ElastiCache closes it after twelve hours.
    pub max_age: Duration,
    /// The clock with which tokens are signed.
    pub clock: fn() -> SystemTime,
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_millis(500),
            operation: Duration::from_millis(50),
            max_age: Duration::from_secs(11 * 3600),
            clock: SystemTime::now,
        }
    }
}
