//! Logs JSON lines, one for an event, each with its job.

use std::panic::PanicHookInfo;
use std::str::FromStr as _;

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

const DEFAULT_LEVELS: &str = "warn,downpipe=info,bootstrap=info";

/// What Downpipe's own targets begin with. The second is the program for Lambda.
const OUR_TARGETS: [&str; 2] = ["downpipe", "bootstrap"];

/// Writes this process's logs and panics to `writer`. `RUST_LOG` sets the levels, as in `warn,downpipe=debug`.
///
/// It opens no library below `warn`, where SDKs and drivers quote SQL, logins, addresses and cells.
pub fn init<W>(writer: W)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let levels = std::env::var("RUST_LOG").ok();
    // After the first call its subscriber is in place, which is as good.
    drop(subscriber(levels.as_deref(), writer).try_init());
    std::panic::set_hook(Box::new(report_panic));
}

/// Returns the subscriber that writes the lines, at these levels or the default ones.
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
        .with_filter(levels.and(ours_or_warnings()));
    tracing_subscriber::registry().with(lines)
}

/// Lets through all of Downpipe's own events, and warnings and errors of libraries.
fn ours_or_warnings() -> Targets {
    let ours = OUR_TARGETS.map(|target| (target, LevelFilter::TRACE));
    Targets::new().with_default(LevelFilter::WARN).with_targets(ours)
}

/// Logs where a panic happened and in which job, without its message. Some messages quote data: an index inside a character quotes
/// the whole text.
pub fn report_panic(panic: &PanicHookInfo<'_>) {
    match panic.location() {
        Some(place) => tracing::error!(%place, "panicked"),
        None => tracing::error!("panicked"),
    }
}
