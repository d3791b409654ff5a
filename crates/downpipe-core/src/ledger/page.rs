//! Pages of jobs: what to list, and where a page ends.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::job::{Job, JobId, JobState};
use crate::requester::Requester;

/// Which jobs are listed. The default is all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JobFilter<'a> {
    /// Those of this requester only.
    pub requester: Option<&'a Requester>,
    /// Those in this state only.
    pub state: Option<JobState>,
    /// Those of this definition only, by its name.
    pub export: Option<&'a str>,
    /// Those accepted at this time or later.
    pub since: Option<Timestamp>,
}

impl JobFilter<'_> {
    /// Returns whether the filter matches a job.
    #[must_use]
    pub fn matches(&self, job: &Job) -> bool {
        self.requester.is_none_or(|requester| job.requested_by == *requester)
            && self.state.is_none_or(|state| job.state == state)
            && self.export.is_none_or(|export| job.export == export)
            && self.since.is_none_or(|since| job.created_at >= since)
    }
}

/// A page of jobs, the newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The jobs.
    pub jobs: Vec<Job>,
    /// Where the next page begins. `None` on the last one.
    pub next: Option<Cursor>,
}

/// A place among all jobs, newest first: by when they were accepted, and by id. New jobs do not move it.
///
/// It is a text of 40 hexadecimal digits, whose form is no promise.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    created_at: Timestamp,
    id: JobId,
}

/// A text that is no [`Cursor`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cursor that an earlier page ended with")]
pub struct InvalidCursor;

impl Cursor {
    const TIME_DIGITS: usize = 16;

    /// Returns the place of a job.
    #[must_use]
    pub fn at(job: &Job) -> Self {
        Self { created_at: job.created_at, id: job.id.clone() }
    }

    /// Returns when the job was accepted.
    #[must_use]
    pub fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// Returns the job's id.
    #[must_use]
    pub fn id(&self) -> &JobId {
        &self.id
    }

    /// Returns whether a job comes after this place.
    #[must_use]
    pub fn is_before(&self, job: &Job) -> bool {
        (job.created_at, &job.id) < (self.created_at, &self.id)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{}", self.created_at.as_microsecond(), self.id)
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (time, id) = text.split_at_checked(Self::TIME_DIGITS).ok_or(InvalidCursor)?;
        let is_lower_case = time.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        let time = i64::from_str_radix(time, 16).ok().filter(|_| is_lower_case).ok_or(InvalidCursor)?;
        let created_at = Timestamp::from_microsecond(time).map_err(|_| InvalidCursor)?;
        Ok(Self { created_at, id: id.parse().map_err(|_| InvalidCursor)? })
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursor_reads_back_equal_and_refuses_any_other_text() {
        let text = "0006476c5c0e2b40ee3d9164b6b5f6e99a42f5a3";
        let cursor: Cursor = text.parse().unwrap();
        assert_eq!(cursor.to_string(), text);
        for wrong in [
            "",
            "0006476c5c0e2b40",
            "0006476c5c0e2b40ee3d9164b6b5f6e99a42f5a",
            "0006476c5c0e2b40ee3d9164b6b5f6e99a42f5a3a",
            "0006476C5C0E2B40ee3d9164b6b5f6e99a42f5a3",
            "+006476c5c0e2b40ee3d9164b6b5f6e99a42f5a3",
            "ffffffffffffffffee3d9164b6b5f6e99a42f5a3",
            "7fffffffffffffffee3d9164b6b5f6e99a42f5a3",
            "花花花花花花花花花花花花花花",
        ] {
            assert_eq!(wrong.parse::<Cursor>(), Err(InvalidCursor), "{wrong}");
        }
    }
}
