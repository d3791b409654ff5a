//! The states of a job.

use std::str::FromStr;

use serde::{Serialize, Serializer};

/// The state of a job: `queued -> running -> (waiting -> running)* -> ready | failed | cancelled -> expired`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// Accepted and not begun, or queued again after a passing fault.
    Queued,
    /// A worker holds, or held, a lease on it.
    Running,
    /// Stopped at a checkpoint, to be resumed.
    Waiting,
    /// The file is complete at its key.
    Ready,
    /// Ended without a file.
    Failed,
    /// Ended by its requester.
    Cancelled,
    /// The file has been deleted after its retention.
    Expired,
}

impl JobState {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Queued,
        Self::Running,
        Self::Waiting,
        Self::Ready,
        Self::Failed,
        Self::Cancelled,
        Self::Expired,
    ];

    /// Returns the state's name, in the ledger and for people and programs alike.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Ready => "ready",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// Returns whether the job has ended.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Ready | Self::Failed | Self::Cancelled | Self::Expired)
    }
}

impl Serialize for JobState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl FromStr for JobState {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let state = Self::ALL.into_iter().find(|state| state.as_str() == name);
        state.ok_or_else(|| format!("expected a job state, got {name:?}"))
    }
}
