//! The database, and whoever tells people.

use std::time::Duration;

use downpipe_core::checkpoint::Checkpoint;
use downpipe_core::job::{Job, JobState};
use downpipe_core::message::OPERATOR;
use downpipe_core::notice::{Notice, Notifier, NotifyError};
use downpipe_core::params::Value;
use downpipe_core::source::{EndOfResult, Query, RowSink, RowSource, SinkState, SourceError};
use downpipe_core::testing::ScriptedSource;
use downpipe_format::{Cell, Column, ColumnKind};
use downpipe_worker::handle::MAX_ATTEMPTS;
use tokio::time::timeout_at;

use crate::exports;
use crate::world::{Fault, Hand, Publish};

/// With what a worker panics that is told to.
pub(crate) const TOLD_TO_PANIC: &str = "the worker was told to panic";

impl RowSource for Hand {
    async fn read<S: RowSink>(&self, query: &Query, sink: &mut S) -> Result<EndOfResult, SourceError> {
        let (export, after) = exports::of_query(&query.sql);
        self.note(format!("reads {} after {after}", export.name));
        let tries = self.me(|me| me.tries);
        if tries > MAX_ATTEMPTS {
            self.world.violated(format!("it is tried for the {tries}. time without progress"));
        }
        if let Some(from) = self.me(|me| me.after.take()) {
            self.goes_on(&from, after);
        }
        self.call("source.connect", async { Ok(()) }, gone).await?;
        let column = |name: &str, kind| Column { name: name.to_owned(), kind };
        let integer = ColumnKind::Integer { bits: 64, unsigned: false, zerofill: 0 };
        let columns = [column("id", integer), column("memo", ColumnKind::Text)];
        sink.accept(&columns)?;
        let wanted = sink.start(&columns, ScriptedSource::AS_OF)?;
        let mut rows = 0;
        for (key, memo) in export.rows().filter(|(key, _)| *key > after) {
            tokio::select! {
                biased;
                () = query.stop.wished() => return Err(SourceError::Stopped),
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
        Ok(EndOfResult { rows, as_of: ScriptedSource::AS_OF })
    }
}

impl Hand {
    /// What was checkpointed is not read again. There is one exception: when the object was completed and its receipt was not
    /// stored, nothing is left to go on with, and the file is made anew.
    fn goes_on(&self, from: &Checkpoint, after: i64) {
        if from.key.to_value() == Value::Integer(after) {
            return;
        }
        // Who has stood still since it knew of its lease cannot know that the job is somebody else's, and changes nothing of theirs.
        let lease = self.me(|me| me.lease.clone());
        let holder = lease.as_ref().and_then(|(id, _)| self.world.entry(id)).map(|entry| entry.job.attempt);
        if holder != lease.map(|(_, attempt)| attempt) {
            return self.world.lock().count("is read again by somebody who was taken for dead");
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

    /// A row on its way.
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

impl Notifier for Hand {
    async fn publish(&self, notice: &Notice) -> Result<(), NotifyError> {
        let publish = async {
            self.published(notice);
            Ok(())
        };
        self.call("notifier.publish", publish, || NotifyError("the notifier was told to fail".into())).await
    }
}

impl Hand {
    /// A notice is out. Was it to be?
    fn published(&self, notice: &Notice) {
        self.note(format!("tells {} that {} is {:?}", notice.recipient, notice.job_id, notice.status));
        let job = notice.job_id.parse().ok().and_then(|id| self.world.entry(&id)).map(|entry| entry.job);
        let besides = |job: &Job| notice.recipient == OPERATOR && job.requested_by != OPERATOR;
        if let Some(job) = job.as_ref().filter(|job| besides(job)) {
            // Beside the requester's, and as often as that.
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
