//! What the sweep may have to do about a job, and since when: the keys of the index `due`.
//!
//! The index finds too much rather than too little. The ledger's own rule decides, on the item as it is.

use std::time::Duration;

use downpipe_core::job::{Job, JobId, JobState};
use downpipe_core::ledger::{Entry, StaleFilter};
use jiff::Timestamp;

/// How many partitions each kind has in an index, so that many writes do not meet in one.
pub(super) const SHARDS: u8 = 8;

/// What the sweep would have to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DueKind {
    /// Resume a job whose lease has run out.
    Lease,
    /// Resume a job that waits for a message.
    Idle,
    /// Send the message of a job that no queue has taken.
    Unsent,
    /// Notify the requester of a job that has ended, or clean up.
    Notice,
    /// Expire a file.
    Retention,
    /// Delete a job that is over.
    Deletion,
}

/// What the sweep would have to do, and when at the earliest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) kind: DueKind,
    pub(super) at: Timestamp,
}

impl DueKind {
    /// Returns the partition of a shard.
    pub(super) fn partition(self, shard: &str) -> String {
        let kind = match self {
            Self::Lease => "lease",
            Self::Idle => "idle",
            Self::Unsent => "unsent",
            Self::Notice => "notice",
            Self::Retention => "retention",
            Self::Deletion => "deletion",
        };
        format!("{kind}#{shard}")
    }

    /// Returns whether nothing is left to do about such a job but to delete it.
    pub(super) fn is_over(self) -> bool {
        self == Self::Deletion
    }
}

/// Returns the shard of a job: its id is a digest, so the last digit is as good as any.
pub(super) fn shard(id: &JobId) -> String {
    let digit = id.as_str().chars().last().and_then(|digit| digit.to_digit(16)).unwrap_or_default();
    (digit % u32::from(SHARDS)).to_string()
}

/// Returns what the sweep would have to do about a job.
///
/// A job that the sweep could not repair is written to, and then comes after all others: no time is before that of the last write.
pub(super) fn due(entry: &Entry) -> Due {
    let Job { state, notified_at, checkpoint, receipt, .. } = &entry.job;
    let is_left = notified_at.is_none() || checkpoint.is_some();
    let (kind, at) = match state {
        JobState::Queued if entry.job.is_unsent() => (DueKind::Unsent, None),
        JobState::Queued | JobState::Waiting => (DueKind::Idle, None),
        JobState::Running => (DueKind::Lease, entry.lease_until),
        JobState::Ready | JobState::Failed | JobState::Cancelled if is_left => (DueKind::Notice, None),
        JobState::Ready => (DueKind::Retention, receipt.as_ref().map(|receipt| receipt.expires_at)),
        JobState::Failed | JobState::Cancelled | JobState::Expired => (DueKind::Deletion, None),
    };
    Due { kind, at: at.unwrap_or(entry.updated_at).max(entry.updated_at) }
}

/// Returns the kinds among which a filter finds its jobs, and the time until which they are due.
pub(super) fn search(filter: StaleFilter, now: Timestamp) -> (&'static [DueKind], Timestamp) {
    let before = |time: Duration| now.saturating_sub(time).unwrap_or(Timestamp::UNIX_EPOCH);
    match filter {
        StaleFilter::Unnotified(time) => (&[DueKind::Notice], before(time)),
        StaleFilter::LeaseExpired(_) => (&[DueKind::Lease], now),
        StaleFilter::Unsent(time) => (&[DueKind::Unsent], before(time)),
        StaleFilter::Idle(time) => (&[DueKind::Idle, DueKind::Unsent], before(time)),
        // The file of a job whose requester is not notified expires as well.
        StaleFilter::PastRetention => (&[DueKind::Retention, DueKind::Notice], now),
        StaleFilter::PastLedgerRetention(time) => (&[DueKind::Deletion], before(time)),
    }
}
