//! What the ledger stores of a job. Knows none of the rules by which it changes.

use std::time::Duration;

use jiff::Timestamp;

use crate::job::Job;

/// Stands for the time of the write: the table puts its own clock in its place. No job ever has such a time.
pub(crate) const AT_WRITE: Timestamp = Timestamp::constant(221_845_392_000, 0);

/// A job, with what only the ledger needs to know of it. A table stores and reads its fields as they are.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The job.
    pub job: Job,
    /// The digest of the request without its requester, where requesters share results. It never changes.
    pub shared_fingerprint: Option<String>,
    /// Whether the job has taken the lead: while it is active, it alone works for all requests of its shared fingerprint.
    pub leads: bool,
    /// When the lease runs out, while the job runs.
    pub lease_until: Option<Timestamp>,
    /// Until when one worker alone may notify the requester.
    pub notify_lease_until: Option<Timestamp>,
    /// Whether the job is to be cancelled.
    pub cancel_requested: bool,
    /// When the entry was last written.
    pub updated_at: Timestamp,
}

/// An entry as it stands in the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// The entry.
    pub entry: Entry,
    /// The entry's version, which grows by one with every write.
    pub version: u64,
    /// The ledger's clock when the entry was read or written.
    pub now: Timestamp,
}

/// A time as a table writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteTime {
    /// A time that is known.
    At(Timestamp),
    /// So long after the moment of the write, by the table's own clock.
    AfterWrite(Duration),
}

impl From<Timestamp> for WriteTime {
    fn from(time: Timestamp) -> Self {
        if time < AT_WRITE {
            Self::At(time)
        } else {
            Self::AfterWrite(time.duration_since(AT_WRITE).unsigned_abs())
        }
    }
}

impl Entry {
    /// Returns the key that no other job may have before this one has ended or is to be cancelled: a request after a cancellation
    /// wants a file of its own.
    #[must_use]
    pub fn active_fingerprint(&self) -> Option<&str> {
        self.job.fingerprint.as_deref().filter(|_| self.is_active())
    }

    /// Returns the key that no other job may have while this one leads. A leader that is to be cancelled keeps none waiting.
    #[must_use]
    pub fn lead_fingerprint(&self) -> Option<&str> {
        self.shared_fingerprint.as_deref().filter(|_| self.leads && self.is_active())
    }

    /// Returns whether the job has not ended and is not to be cancelled.
    pub(super) fn is_active(&self) -> bool {
        !self.job.state.is_terminal() && !self.cancel_requested
    }

    /// Returns the entry as it stands in the table after a write at this moment: see [`WriteTime`].
    #[must_use]
    pub fn written_at(mut self, now: Timestamp) -> Self {
        let resolve = |time: &mut Timestamp| {
            if let WriteTime::AfterWrite(delay) = WriteTime::from(*time) {
                *time = now + delay;
            }
        };
        let Self { job, lease_until, notify_lease_until, updated_at, .. } = &mut self;
        resolve(&mut job.created_at);
        resolve(updated_at);
        let optional = [
            &mut job.started_at,
            &mut job.finished_at,
            &mut job.notified_at,
            &mut job.sent_at,
            lease_until,
            notify_lease_until,
        ];
        optional.into_iter().flatten().for_each(resolve);
        self
    }
}
