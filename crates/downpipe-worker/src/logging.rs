//! Logs as JSON lines, one an event, each with the job it belongs to.

use std::str::FromStr as _;

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Libraries stay at `warn`: what they say below that may quote SQL or addresses.
const DEFAULT_LEVELS: &str = "warn,downpipe=info,bootstrap=info";

/// Sends this process's logs to standard output. `RUST_LOG` sets the levels, as `warn,downpipe=debug`.
pub fn init() {
    let levels = std::env::var("RUST_LOG").ok().filter(|levels| !levels.is_empty());
    let levels = Targets::from_str(levels.as_deref().unwrap_or(DEFAULT_LEVELS))
        .unwrap_or_else(|_| Targets::new().with_default(LevelFilter::WARN));
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_filter(levels);
    // A second call finds the first one's subscriber in place, which is as good.
    drop(tracing_subscriber::registry().with(lines).try_init());
}
