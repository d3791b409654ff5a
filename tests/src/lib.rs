//! Provides what the tests need: their own databases, buckets, queues and topics on the local
//! stack.
//!
//! Every test creates its resources under unique names, so that all tests run at once. No test
//! sleeps for a fixed time: [`eventually`] waits for a condition.

#![expect(clippy::unwrap_used, reason = "in a test, what does not work must stop it at once")]

pub mod all_types;
pub mod aws;
pub mod caches;
pub mod database;
pub mod deployment;
pub mod dynamodb;
pub mod enforced;
pub mod export;
pub mod faults;
pub mod generate;
pub mod inbox;
pub mod mailbox;
pub mod private_server;
pub mod readers;
pub mod rows;
pub mod secret_user;
pub mod sha256;
pub mod test_stack;
pub mod time_zones;
pub mod tls;
pub mod tokens;
pub mod worker_cache;

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use xtask::stack::{Paths, StackEnv};

/// The local stack, which `cargo xtask test` starts.
pub static STACK: LazyLock<StackEnv> = LazyLock::new(|| StackEnv::load(&Paths::of_workspace()).unwrap());

/// Returns LocalStack's address.
pub fn localstack_url() -> &'static str {
    STACK.localstack_endpoint_url().expect("`cargo xtask stack up` starts LocalStack, too")
}

/// Returns Moto's address.
pub fn moto_url() -> &'static str {
    STACK.moto_endpoint_url().expect("`cargo xtask stack up` starts Moto, too")
}

/// Returns a name that no other test and no earlier run uses: letters, digits and `-`.
pub fn unique(what: &str) -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let millis = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    format!("{what}-{millis:x}-{:x}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Waits until the condition returns a value, and returns it.
///
/// When a minute has passed.
pub async fn eventually<T>(what: &str, condition: impl AsyncFn() -> Option<T>) -> T {
    eventually_within(Duration::from_secs(60), what, condition).await
}

/// Waits like [`eventually`], within another time limit.
///
/// When the time limit has passed.
pub async fn eventually_within<T>(limit: Duration, what: &str, condition: impl AsyncFn() -> Option<T>) -> T {
    let began = tokio::time::Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(began.elapsed() < limit, "waited {} s in vain: {what}", limit.as_secs());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
