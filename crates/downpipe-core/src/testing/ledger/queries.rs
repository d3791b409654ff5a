//! Questions to the table in memory, and its records of access.

use jiff::Timestamp;

use super::{MemoryJobTable, State};
use crate::job::{Job, JobId, JobState};
use crate::ledger::{
    AccessRecords, Cursor, DOWNLOAD_RETENTION, Download, Entry, JobFilter, JobQueries, LedgerError,
    MAX_DOWNLOADS,
};
use crate::requester::Requester;

impl State {
    /// Returns the jobs that a condition matches, sorted, at most so many.
    fn select<K: Ord>(
        &self,
        limit: u32,
        matches: impl Fn(&Entry) -> bool,
        key: impl Fn(&Job) -> K,
    ) -> Vec<Job> {
        let entries = self.entries.iter().map(|(entry, _)| entry).filter(|entry| matches(entry));
        let mut jobs: Vec<Job> = entries.map(|entry| entry.job.clone()).collect();
        jobs.sort_by_key(|job| std::cmp::Reverse(key(job)));
        jobs.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        jobs
    }
}

impl JobQueries for MemoryJobTable {
    async fn jobs_of(
        &self,
        filter: &JobFilter<'_>,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Vec<Job>, LedgerError> {
        self.reach(|state| {
            let listed = |entry: &Entry| {
                filter.matches(&entry.job) && after.is_none_or(|after| after.is_before(&entry.job))
            };
            state.select(limit, listed, |job| (job.created_at, job.id.clone()))
        })
    }

    async fn several(&self, ids: &[JobId]) -> Result<Vec<Job>, LedgerError> {
        self.reach(|state| state.select(u32::MAX, |entry| ids.contains(&entry.job.id), |job| job.id.clone()))
    }

    async fn ahead(&self, job: &Job) -> Result<u64, LedgerError> {
        self.reach(|state| {
            let is_ahead = |(entry, _): &&(Entry, u64)| {
                matches!(entry.job.state, JobState::Queued | JobState::Waiting)
                    && entry.job.id != job.id
                    && entry.updated_at < job.queued_at()
            };
            state.entries.iter().filter(is_ahead).count() as u64
        })
    }

    async fn last_of_definition(&self, definition_sha256: &str, limit: u32) -> Result<Vec<Job>, LedgerError> {
        self.reach(|state| {
            let made = |entry: &Entry| {
                entry.job.has_made_its_file()
                    && entry.job.definition_sha256.as_deref() == Some(definition_sha256)
            };
            state.select(limit, made, |job| job.finished_at)
        })
    }

    async fn unended_of(&self, requester: &Requester, limit: u32) -> Result<Vec<Job>, LedgerError> {
        self.reach(|state| {
            let unended =
                |entry: &Entry| entry.job.requested_by == *requester && !entry.job.state.is_terminal();
            state.select(limit, unended, |job| job.created_at)
        })
    }
}

impl AccessRecords for MemoryJobTable {
    async fn record_download(&self, download: &Download) -> Result<(), LedgerError> {
        self.reach(|state| state.downloads.push(download.clone()))
    }

    async fn downloads(&self, job: &JobId) -> Result<Vec<Download>, LedgerError> {
        self.reach(|state| {
            let since = state.now - DOWNLOAD_RETENTION;
            let of_job =
                state.downloads.iter().filter(|download| download.job == *job && download.at > since);
            let mut downloads: Vec<Download> = of_job.cloned().collect();
            downloads.sort_by_key(|download| download.at);
            downloads.split_off(downloads.len().saturating_sub(MAX_DOWNLOADS as usize))
        })
    }

    async fn end_session(&self, digest: &str, until: Timestamp) -> Result<(), LedgerError> {
        self.reach(|state| {
            state.ended_sessions.insert(digest.to_owned(), until);
        })
    }

    async fn is_session_ended(&self, digest: &str) -> Result<bool, LedgerError> {
        self.reach(|state| state.ended_sessions.get(digest).is_some_and(|until| *until > state.now))
    }
}
