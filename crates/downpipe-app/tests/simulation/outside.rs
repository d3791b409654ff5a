//! The database and the notifier.

use std::time::Duration;

use downpipe_app::worker::MAX_ATTEMPTS;
use downpipe_core::catalog::Value;
use downpipe_core::job::{Checkpoint, Job, JobState};
use downpipe_core::notice::{Notice, Notifier, NotifyError};
use downpipe_core::source::{EndOfResult, Query, RowSink, RowSource, SinkState, SourceError};
use downpipe_core::testing::ScriptedSource;
use downpipe_format::{Cell, Column, ColumnKind};
use tokio::time::timeout_at;

use crate::exports;
use crate::world::{Fault, FaultyPorts, Publish};

/// The payload of a panic that the scenario asks for.
pub(crate) const TOLD_TO_PANIC: &str = "the worker was told to panic";

impl RowSource for FaultyPorts {
    async fn read<S: RowSink>(&self, query: &Query, sink: &mut S) -> Result<EndOfResult, SourceError> {
        let (export, after) = exports::of_query(&query.sql);
        self.note(format!("reads {} after {after}", export.name));
        let attempts = self.me(|me| me.attempts_since_progress);
        if attempts > MAX_ATTEMPTS {
            self.world.violated(format!("it is tried for the {attempts}. time without progress"));
        }
        if let Some(from) = self.me(|me| me.after.take()) {
            self.goes_on(&from, after);
        }
        self.call("source.connect", async { Ok(()) }, gone).await?;
        let column = |name: &str, kind| Column { name: name.to_owned(), kind };
        let integer = ColumnKind::Integer { bits: 64, unsigned: false, zerofill: 0 };
        let columns = [column("id", integer), column("memo", ColumnKind::Text)];
        sink.accept(&columns)?;
        let wanted = sink.start(&columns, &ScriptedSource::snapshot())?;
        let mut rows = 0;
        for (key, memo) in export.rows().filter(|(key, _)| *key > after) {
            tokio::select! {
                biased;
                () = query.cancellation.cancelled() => return Err(SourceError::Stopped),
                waited = timeout_at(query.deadline, self.row()) => waited.map_err(|_| SourceError::TimedOut)??,
            }
            let cells = [Cell::Int(key), memo.map_or(Cell::Null, Cell::Text)];
            wanted.cells.iter().for_each(|index| sink.cell(cells[*index]));
            if let Some(index) = wanted.key {
                sink.key(cells[index])?;
            }
            if sink.end_row()? == SinkState::Full {
                sink.flush().await?;
            }
            rows += 1;
        }
        Ok(EndOfResult { rows, snapshot: ScriptedSource::snapshot() })
    }
}

impl FaultyPorts {
    /// Checks that rows up to a checkpoint are not read again. There is one exception: when the object was completed and its receipt was
    /// not stored, nothing is left to resume, and the file is made anew.
    fn goes_on(&self, from: &Checkpoint, after: i64) {
        if from.key.to_value() == Value::Integer(after) {
            return;
        }
        // A worker that was frozen may not know that another has the job. It changes nothing of that one's.
        let lease = self.me(|me| me.lease.clone());
        let holder = lease.as_ref().and_then(|(id, _)| self.world.entry(id)).map(|entry| entry.job.attempt);
        if holder != lease.map(|(_, attempt)| attempt) {
            return self.world.lock().count("is read again by a worker presumed dead");
        }
        let upload = from.upload.clone().unwrap_or_default();
        let completed = self.world.lock().uploads.get(&upload).is_some_and(|begun| begun.completed);
        if completed {
            self.world.lock().count("is made anew, though it was complete");
        } else {
            let (id, key) = (self.me(|me| me.lease.clone()), &from.key);
            self.world
                .violated(format!("{id:?} goes on after {key:?}, and reads again what comes after {after}"));
        }
    }

    /// Takes the time of a row, or fails.
    async fn row(&self) -> Result<(), SourceError> {
        let time = self.world.lock().row_time;
        self.nap(self.draw(time / 2 + 1..=time + 1)).await;
        let (panics, fault) = {
            let mut state = self.world.lock();
            let panics = state.panics > 0;
            state.panics -= u32::from(panics);
            if panics {
                state.trouble(self.number);
            }
            (panics, state.fault(self.number, "source.row"))
        };
        if panics {
            self.note("panics");
            std::panic::resume_unwind(Box::new(TOLD_TO_PANIC));
        }
        match fault {
            None => Ok(()),
            Some(fault) => {
                self.note(format!("source.row: {fault:?}"));
                match fault {
                    Fault::CallLost => Err(gone()),
                    Fault::AnswerLost => {
                        Err(SourceError::QueryFailed { code: 1366, message: "no such luck".to_owned() })
                    }
                    Fault::Slow => {
                        self.nap(60_000).await;
                        Ok(())
                    }
                    Fault::Freeze => {
                        self.freeze(Duration::from_secs(100));
                        self.nap(0).await;
                        Ok(())
                    }
                    Fault::DeathBefore | Fault::DeathAfter => self.die().await,
                }
            }
        }
    }
}

fn gone() -> SourceError {
    SourceError::Disconnected("the server has gone away".into())
}

impl Notifier for FaultyPorts {
    async fn publish(&self, notice: &Notice) -> Result<(), NotifyError> {
        let publish = async {
            self.published(notice);
            Ok(())
        };
        self.call("notifier.publish", publish, || {
            NotifyError::Unavailable("the notifier was told to fail".into())
        })
        .await
    }
}

impl FaultyPorts {
    /// Checks that a notice may go out.
    fn published(&self, notice: &Notice) {
        self.note(format!("tells {} that {} is {:?}", notice.recipient, notice.job_id, notice.status));
        let job = notice.job_id.parse().ok().and_then(|id| self.world.entry(&id)).map(|entry| entry.job);
        let besides = |job: &Job| notice.recipient.is_operator() && !job.requested_by.is_operator();
        if let Some(job) = job.as_ref().filter(|job| besides(job)) {
            // The operator is notified as often as the requester.
            let theirs = job.failure.as_ref().is_some_and(|failure| failure.for_operator);
            if job.state != JobState::Failed || !theirs {
                self.world.violated(format!("{}: the operator was told what is not theirs", notice.job_id));
            }
            return self.world.lock().count("the operator is told besides");
        }
        if !job.is_some_and(|job| job.state == notice.status && job.requested_by == notice.recipient) {
            self.world.violated(format!("{}: {} was told a lie", notice.job_id, notice.recipient));
        }
        let mut state = self.world.lock();
        let me = &state.invocations[self.number];
        let excused = me.troubles > me.troubles_at_notice;
        let before =
            state.publishes.iter().filter(|publish| publish.job == notice.job_id && !publish.excused).count();
        let publish = Publish { job: notice.job_id.clone(), by: self.number, recorded: false, excused };
        state.publishes.push(publish);
        state.count("told");
        drop(state);
        if before > 0 && !excused {
            self.world
                .violated(format!("{}: told again, and nothing had gone wrong in between", notice.job_id));
        }
    }
}
