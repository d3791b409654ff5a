//! Logs as JSON lines, one an event, each with the job it belongs to.

use std::panic::PanicHookInfo;
use std::str::FromStr as _;

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Libraries stay at `warn`: what they say below that may quote SQL or addresses.
const DEFAULT_LEVELS: &str = "warn,downpipe=info,bootstrap=info";

/// Sends this process's logs, and word of its panics, to standard output or wherever. `RUST_LOG` sets the levels, as
/// `warn,downpipe=debug`.
pub fn init<W>(writer: W)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let levels = std::env::var("RUST_LOG").ok();
    // A second call finds the first one's subscriber in place, which is as good.
    drop(subscriber(levels.as_deref(), writer).try_init());
    std::panic::set_hook(Box::new(report_panic));
}

/// Writes the lines, at these levels or the default ones.
pub fn subscriber<W>(levels: Option<&str>, writer: W) -> impl tracing::Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let levels = Targets::from_str(levels.filter(|levels| !levels.is_empty()).unwrap_or(DEFAULT_LEVELS))
        .unwrap_or_else(|_| Targets::new().with_default(LevelFilter::WARN));
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_writer(writer)
        .with_filter(levels);
    tracing_subscriber::registry().with(lines)
}

/// Logs where a panic happened, with the job it happened in, and not what it says: the words for an index inside a
/// character, for one, quote the whole text.
pub fn report_panic(panic: &PanicHookInfo<'_>) {
    match panic.location() {
        Some(place) => tracing::error!(%place, "panicked"),
        None => tracing::error!("panicked"),
    }
}
