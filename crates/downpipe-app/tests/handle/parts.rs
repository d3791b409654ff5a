//! Ports that behave as no fake of the core's does: slow, changing, or deadly.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use downpipe_core::notice::{Notice, Notifier, NotifyError};
use downpipe_core::source::{EndOfResult, Query, RowSink, RowSource, SourceError};
use downpipe_core::testing::{MemoryJobTable, RecordingNotifier, ScriptedSource};
use downpipe_format::{Column, ColumnKind};

/// The content of every good file. The memo is in no log.
pub(crate) const FILE: &str = "id,memo\n1,Hemmelighet\n2,\n";

/// An error message of a database that quotes the data. It is in no log.
pub(crate) const QUOTING: &str = "Incorrect value: 'Hemmelighet' for column 'memo'";

/// A database: it answers the first query with the first script and so on, and all that follow with the last.
pub(crate) struct Scripts {
    scripts: Vec<Script>,
    answered: AtomicUsize,
}

struct Script {
    thinking: Duration,
    source: ScriptedSource,
}

impl Scripts {
    /// Two rows, at once.
    pub(crate) fn good() -> Self {
        Self::thinking(Duration::ZERO)
    }

    /// Two rows, after a time. A query that meets its deadline before is stopped.
    pub(crate) fn thinking(thinking: Duration) -> Self {
        Self { scripts: vec![Script { thinking, source: good() }], answered: AtomicUsize::new(0) }
    }

    /// Fails after a time and the first row, every time.
    pub(crate) fn thinking_and_failing(
        thinking: Duration,
        error: impl Fn() -> SourceError + Send + Sync + Copy + 'static,
    ) -> Self {
        let script = Script { thinking, source: good().failing_after(1, error) };
        Self { scripts: vec![script], answered: AtomicUsize::new(0) }
    }

    /// Fails this many times, after the first row, and then gives two rows.
    pub(crate) fn failing(
        times: usize,
        error: impl Fn() -> SourceError + Send + Sync + Copy + 'static,
    ) -> Self {
        let script = |source| Script { thinking: Duration::ZERO, source };
        let mut scripts: Vec<Script> = (0..times).map(|_| script(good().failing_after(1, error))).collect();
        scripts.push(script(good()));
        Self { scripts, answered: AtomicUsize::new(0) }
    }

    /// How many queries were asked.
    pub(crate) fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }
}

impl RowSource for Scripts {
    async fn read<S: RowSink>(&self, query: &Query, sink: &mut S) -> Result<EndOfResult, SourceError> {
        let turn = self.answered.fetch_add(1, Ordering::Relaxed);
        let Script { thinking, source } = &self.scripts[turn.min(self.scripts.len() - 1)];
        tokio::select! {
            biased;
            () = query.cancellation.cancelled() => return Err(SourceError::Stopped),
            thought = tokio::time::timeout_at(query.deadline, tokio::time::sleep(*thinking)) => {
                thought.map_err(|_| SourceError::TimedOut)?;
            }
        }
        source.read(query, sink).await
    }
}

pub(crate) fn disconnected() -> SourceError {
    SourceError::Disconnected("the server has gone away".into())
}

pub(crate) fn query_failed() -> SourceError {
    SourceError::QueryFailed { code: 1366, message: QUOTING.to_owned() }
}

fn good() -> ScriptedSource {
    let column = |name: &str, kind| Column { name: name.to_owned(), kind };
    let columns = vec![
        column("id", ColumnKind::Integer { bits: 64, unsigned: false, zerofill: 0 }),
        column("memo", ColumnKind::Text),
    ];
    let null = downpipe_core::testing::OwnedCell::Null;
    ScriptedSource::new(columns, vec![vec![1.into(), "Hemmelighet".into()], vec![2.into(), null]])
}

/// A notifier whose worker dies when the first notice is out.
#[derive(Default)]
pub(crate) struct DeadlyNotifier {
    pub(crate) taken: RecordingNotifier,
    spent: AtomicBool,
}

impl Notifier for DeadlyNotifier {
    async fn publish(&self, notice: &Notice) -> Result<(), NotifyError> {
        self.taken.publish(notice).await?;
        if !self.spent.swap(true, Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

/// A port with a clock that the test moves.
pub(crate) trait Clock {
    fn pass(&self, time: Duration);
}

impl Clock for MemoryJobTable {
    fn pass(&self, time: Duration) {
        Self::pass(self, time);
    }
}
