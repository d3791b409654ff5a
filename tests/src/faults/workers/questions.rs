//! Questions about the jobs of a kill loop, wherever their ledger is.

use downpipe_app::worker::MAX_ATTEMPTS;
use downpipe_core::job::{Job, JobId, JobState};

use crate::test_stack::TestStack;

/// What is asked about the jobs.
#[derive(Debug, Clone, Copy)]
pub(super) enum Question {
    /// Which have ended.
    Ended,
    /// Which run for the last time without progress.
    OnLastAttempt,
    /// Whose requester is not notified.
    Unnotified,
}

impl Question {
    /// Returns the question as a condition of SQL.
    fn sql(self) -> String {
        match self {
            Self::Ended => "state IN ('ready', 'failed', 'cancelled')".to_owned(),
            Self::OnLastAttempt => format!(
                "state = 'running' AND export = 'throttled' AND attempts_since_progress >= {MAX_ATTEMPTS}"
            ),
            Self::Unnotified => "notified_at IS NULL".to_owned(),
        }
    }

    fn matches(self, job: &Job) -> bool {
        match self {
            Self::Ended => job.state.is_terminal(),
            Self::OnLastAttempt => {
                job.state == JobState::Running
                    && job.export == "throttled"
                    && job.attempts_since_progress >= MAX_ATTEMPTS
            }
            Self::Unnotified => job.notified_at.is_none(),
        }
    }

    /// Counts those of these jobs that are in the ledger and answer the question.
    pub(super) async fn count(self, test_stack: &TestStack, jobs: &[JobId]) -> usize {
        if !test_stack.has_ledger_in_dynamodb() {
            // On a connection of its own, which ends here: one that stays might be killed with those of the workers.
            let ids: Vec<String> = jobs.iter().map(|id| format!("'{id}'")).collect();
            let (ids, condition) = (ids.join(", "), self.sql());
            let sql = format!("SELECT id FROM downpipe_jobs WHERE id IN ({ids}) AND {condition}");
            return test_stack.database.query(&sql).await.len();
        }
        let ledger = test_stack.ledger();
        let mut count = 0;
        for id in jobs {
            let job = ledger.find(id).await.unwrap();
            count += usize::from(job.is_some_and(|job| self.matches(&job)));
        }
        count
    }
}
