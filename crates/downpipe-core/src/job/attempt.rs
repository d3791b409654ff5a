//! The fencing token: an attempt at a job.

use super::id::JobId;

/// An attempt at a job: the fencing token in the ledger, in objects and in SQL comments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobAttempt {
    /// The job.
    pub job: JobId,
    /// The attempt, from 1.
    pub attempt: u32,
}

impl JobAttempt {
    /// Returns whether this attempt, or an earlier one at the same job, wrote the object that carries the token. An attempt never
    /// touches a later one's object: its own worker was presumed dead.
    #[must_use]
    pub fn covers(&self, object: &Self) -> bool {
        self.job == object.job && object.attempt <= self.attempt
    }
}
