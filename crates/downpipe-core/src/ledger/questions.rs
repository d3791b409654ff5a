//! What the portal and the commands ask the ledger: lists, places in the queue, histories, downloads, sessions.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Ledger;
use super::access::{AccessRecords, Download};
use super::error::LedgerError;
use super::page::{Cursor, JobFilter, Page};
use super::storage::JobQueries;
use crate::job::{Job, JobId, JobState};
use crate::requester::Requester;

impl<T: JobQueries> Ledger<T> {
    /// Returns the jobs that a filter matches, newest first, at most `limit`: those after a place, or the first ones.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn jobs_of(
        &self,
        filter: &JobFilter<'_>,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page, LedgerError> {
        let mut jobs = self.0.jobs_of(filter, after, limit.saturating_add(1)).await?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = jobs.len() > limit;
        jobs.truncate(limit);
        let next = jobs.last().filter(|_| has_more).map(Cursor::at);
        Ok(Page { jobs, next })
    }

    /// Returns the latest jobs, newest first, at most `limit`.
    ///
    /// # Errors
    /// See [`LedgerError`].
    #[cfg(any(test, feature = "testing"))]
    pub async fn latest(&self, limit: u32) -> Result<Vec<Job>, LedgerError> {
        Ok(self.jobs_of(&JobFilter::default(), None, limit).await?.jobs)
    }

    /// Returns the jobs of these ids, in this order. Leaves out those that there are not, and follows no alias.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn several(&self, ids: &[JobId]) -> Result<Vec<Job>, LedgerError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.0.several(ids).await?;
        let mut found: BTreeMap<JobId, Job> = found.into_iter().map(|job| (job.id.clone(), job)).collect();
        Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
    }

    /// Returns how many jobs are ahead of this one in the queue, and 0 for one that is not queued. See [`JobQueries::ahead`].
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn ahead(&self, job: &Job) -> Result<u64, LedgerError> {
        match job.state {
            JobState::Queued => self.0.ahead(job).await,
            _ => Ok(0),
        }
    }

    /// Returns the latest jobs that made a file with this version of a definition, newest first, at most `limit`: what estimates are
    /// made from. Their files may be gone. Jobs that were given another's file tell nothing of the time that one takes.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn last_of_definition(
        &self,
        definition_sha256: &str,
        limit: u32,
    ) -> Result<Vec<Job>, LedgerError> {
        self.0.last_of_definition(definition_sha256, limit).await
    }

    /// Returns a requester's jobs that have not ended, at most `limit`, in any order.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn unended_of(&self, requester: &Requester, limit: u32) -> Result<Vec<Job>, LedgerError> {
        self.0.unended_of(requester, limit).await
    }
}

impl<T: AccessRecords> Ledger<T> {
    /// Records a download.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn record_download(&self, download: &Download) -> Result<(), LedgerError> {
        self.0.record_download(download).await
    }

    /// Returns the downloads of a job's files within a year, the oldest first: the latest
    /// [`MAX_DOWNLOADS`](super::MAX_DOWNLOADS).
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn downloads(&self, job: &JobId) -> Result<Vec<Download>, LedgerError> {
        self.0.downloads(job).await
    }

    /// Records that a session has ended, for as long as its cookie would be good.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn end_session(&self, digest: &str, until: Timestamp) -> Result<(), LedgerError> {
        self.0.end_session(digest, until).await
    }

    /// Returns whether a session has ended.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn is_session_ended(&self, digest: &str) -> Result<bool, LedgerError> {
        self.0.is_session_ended(digest).await
    }
}
