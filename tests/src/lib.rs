//! What the tests stand on: a database, a bucket, a queue or a topic of one's own, on the local stack.
//!
//! Every test makes what it needs under a name nobody else has, so all of them run at once. Nothing sleeps for a fixed
//! time: [`eventually`] waits for a condition.

#![expect(clippy::unwrap_used, reason = "in a test, what does not work must stop it at once")]

pub mod aws;
pub mod database;
pub mod deployment;
pub mod export;
pub mod faults;
pub mod generate;
pub mod inbox;
pub mod readers;
pub mod rows;
pub mod site;
pub mod tls;
pub mod zoo;

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use xtask::stack::{Paths, StackEnv};

/// The local stack. Started by `cargo xtask test`.
pub static STACK: LazyLock<StackEnv> = LazyLock::new(|| StackEnv::load(&Paths::of_workspace()).unwrap());

/// A name that nobody else uses, in this run or in an earlier one: letters, digits and `-`.
pub fn unique(what: &str) -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let millis = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    format!("{what}-{millis:x}-{:x}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Waits until the condition gives something.
///
/// # Panics
/// When it has not within a minute.
pub async fn eventually<T>(what: &str, condition: impl AsyncFn() -> Option<T>) -> T {
    eventually_within(Duration::from_secs(60), what, condition).await
}

/// As [`eventually`], within another time.
///
/// # Panics
/// When the condition gives nothing within that time.
pub async fn eventually_within<T>(most: Duration, what: &str, condition: impl AsyncFn() -> Option<T>) -> T {
    let began = tokio::time::Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(began.elapsed() < most, "waited {} s in vain: {what}", most.as_secs());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
