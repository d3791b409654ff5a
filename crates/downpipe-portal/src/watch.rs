//! Jobs that pages watch: all polls of one second are answered from one question to the ledger.

use std::collections::BTreeMap;
use std::time::Duration;

use downpipe_core::job::{Job, JobId};
use downpipe_core::ledger::{JobQueries, Ledger, LedgerError};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How old an answer may be.
const MAX_AGE: Duration = Duration::from_secs(1);

/// How long a job is read with the others after a page asked for it. Pages ask every ten seconds at least.
const WATCHED_FOR: Duration = Duration::from_secs(15);

/// The most ids of one question.
const MAX_IDS: usize = 100;

/// The jobs that pages have asked for lately.
#[derive(Debug, Default)]
pub struct Watched(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// When each job was last asked for by a page.
    asked: BTreeMap<JobId, Instant>,
    /// The jobs as they were read. An id without a job is of none.
    read: BTreeMap<JobId, Option<Job>>,
    read_at: Option<Instant>,
}

impl Watched {
    /// Makes one that no page has asked.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the jobs of these ids as they were within the last second. Leaves out those that there are not.
    pub(crate) async fn several<T: JobQueries>(
        &self,
        ids: &[JobId],
        ledger: &Ledger<T>,
    ) -> Result<Vec<Job>, LedgerError> {
        let now = Instant::now();
        // Held while the ledger is asked, so that others wait for the same answer.
        let mut state = self.0.lock().await;
        state.asked.extend(ids.iter().map(|id| (id.clone(), now)));
        state.asked.retain(|_, asked_at| now.duration_since(*asked_at) < WATCHED_FOR);
        let is_fresh = state.read_at.is_some_and(|at| at.elapsed() < MAX_AGE);
        let missing: Vec<JobId> =
            state.asked.keys().filter(|id| !is_fresh || !state.read.contains_key(id)).cloned().collect();
        if !is_fresh {
            state.read.clear();
            state.read_at = Some(now);
        }
        for ids in missing.chunks(MAX_IDS) {
            let jobs = ledger.several(ids).await.inspect_err(|_| state.read_at = None)?;
            state.read.extend(ids.iter().map(|id| (id.clone(), None)));
            state.read.extend(jobs.into_iter().map(|job| (job.id.clone(), Some(job))));
        }
        // What is no job costs one question. Otherwise one page with made-up ids would slow down all that watch.
        let State { asked, read, .. } = &mut *state;
        asked.retain(|id, _| !matches!(read.get(id), Some(None)));
        Ok(ids.iter().filter_map(|id| state.read.get(id).cloned().flatten()).collect())
    }
}

#[cfg(test)]
mod tests {
    use downpipe_core::job::NewJob;
    use downpipe_core::message::Message;
    use downpipe_core::testing::MemoryJobTable;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ids_of_no_job_are_not_read_again_with_the_others() {
        let ledger = Ledger::new(MemoryJobTable::new());
        let body = r#"{"export":"orders"}"#;
        let job = NewJob::of(&Message::parse(body), "message", body).unwrap();
        ledger.accept(&job).await.unwrap();
        let unknown = (0..99).map(|n| format!("{n:024x}").parse().unwrap());
        let ids: Vec<JobId> = unknown.chain([job.id.clone()]).collect();
        let watched = Watched::new();
        let found = watched.several(&ids, &ledger).await.unwrap();
        assert_eq!(found.iter().map(|job| &job.id).collect::<Vec<_>>(), [&job.id]);
        assert_eq!(watched.0.lock().await.asked.keys().collect::<Vec<_>>(), [&job.id]);
        // Within the second the ledger is not asked again, whether there is a job or not.
        ledger.table().fail_next(1);
        assert_eq!(watched.several(&ids, &ledger).await.unwrap().len(), 1);
    }
}
