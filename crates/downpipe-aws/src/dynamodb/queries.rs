//! Questions about many jobs.
//!
//! An index has keys only. So a filter by what is not a key is applied to the items, page by page, until there are as many as asked
//! or the index ends. What an index has not yet seen is not found.

use std::cmp::Reverse;
use std::time::Duration;

use downpipe_core::job::{Job, JobId};
use downpipe_core::ledger::{Cursor, JobFilter, JobQueries, LedgerError};
use downpipe_core::requester::Requester;
use jiff::Timestamp;

use super::DynamoJobTable;
use super::due::{DueKind, SHARDS};
use super::item::{Item, job_key, key, time};
use super::jobs::PAGE;
use super::schema::{DUE, EXPORT, MADE, NEWEST, REQUESTER, TableIndex};
use super::table::{Order, Search};

/// How old a job is at most that is looked for because it has not ended. No queue keeps a message for longer.
const UNENDED_FOR: Duration = Duration::from_secs(14 * 24 * 3600);

impl JobQueries for DynamoJobTable {
    async fn jobs_of(
        &self,
        filter: &JobFilter<'_>,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Vec<Job>, LedgerError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let (index, hashes) = partitions(filter);
        let mut jobs = Vec::new();
        for hash in &hashes {
            jobs.extend(Box::pin(self.jobs_in(index, hash, filter, after, limit)).await?);
        }
        sort_newest_first(&mut jobs);
        jobs.truncate(limit);
        Ok(jobs)
    }

    async fn several(&self, ids: &[JobId]) -> Result<Vec<Job>, LedgerError> {
        let keys: Vec<Item> = ids.iter().map(|id| key(job_key(id))).collect();
        let entries = Box::pin(self.entries(&keys)).await?;
        Ok(entries.into_iter().map(|entry| entry.job).collect())
    }

    async fn ahead(&self, job: &Job) -> Result<u64, LedgerError> {
        let before = Timestamp::from_microsecond(job.queued_at().as_microsecond() - 1).unwrap_or_default();
        let mut ahead = 0;
        for shard in 0..SHARDS {
            for kind in [DueKind::Idle, DueKind::Unsent] {
                let hash = kind.partition(&shard.to_string());
                let search =
                    Search { until: Some(time(before)), ..Search::all(DUE, &hash, Order::Ascending) };
                ahead += Box::pin(self.table.count(&search)).await?;
            }
        }
        Ok(ahead)
    }

    async fn last_of_definition(&self, definition_sha256: &str, limit: u32) -> Result<Vec<Job>, LedgerError> {
        let search = Search::all(MADE, definition_sha256, Order::Descending);
        let made = |job: &Job| {
            job.has_made_its_file() && job.definition_sha256.as_deref() == Some(definition_sha256)
        };
        let mut jobs = Box::pin(self.first_of(&search, limit, made)).await?;
        jobs.sort_by_key(|job| Reverse(job.finished_at));
        Ok(jobs)
    }

    async fn unended_of(&self, requester: &Requester, limit: u32) -> Result<Vec<Job>, LedgerError> {
        let now = self.table.time().await?.earliest;
        let since = now.saturating_sub(UNENDED_FOR).unwrap_or(Timestamp::UNIX_EPOCH);
        let search = Search {
            since: Some(time(since)),
            ..Search::all(REQUESTER, requester.as_str(), Order::Descending)
        };
        Box::pin(self.first_of(&search, limit, |job| !job.state.is_terminal())).await
    }
}

impl DynamoJobTable {
    /// Returns the first jobs of a search that a condition matches.
    async fn first_of(
        &self,
        search: &Search<'_>,
        limit: u32,
        matches: impl Fn(&Job) -> bool,
    ) -> Result<Vec<Job>, LedgerError> {
        let page = page_size(limit);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let (mut start, mut jobs) = (None, Vec::new());
        while jobs.len() < limit {
            let found;
            (found, start) = self.table.search(search, start, page).await?;
            let mut of_page: Vec<Job> =
                self.entries(&found).await?.into_iter().map(|entry| entry.job).filter(&matches).collect();
            sort_newest_first(&mut of_page);
            jobs.extend(of_page);
            if start.is_none() {
                break;
            }
        }
        jobs.truncate(limit);
        Ok(jobs)
    }

    /// Returns the newest jobs of a partition that a filter matches, after a place. There may be more of them than asked.
    async fn jobs_in(
        &self,
        index: TableIndex,
        hash: &str,
        filter: &JobFilter<'_>,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Vec<Job>, LedgerError> {
        let (since, until) = (filter.since, after.map(Cursor::created_at));
        if limit == 0 || since.zip(until).is_some_and(|(since, until)| since > until) {
            return Ok(Vec::new());
        }
        let search = Search {
            since: since.map(time),
            until: until.map(time),
            ..Search::all(index, hash, Order::Descending)
        };
        let page = page_size(u32::try_from(limit).unwrap_or(u32::MAX).saturating_add(1));
        let (mut start, mut jobs) = (None, Vec::new());
        loop {
            let found;
            (found, start) = self.table.search(&search, start, page).await?;
            let entries = self.entries(&found).await?.into_iter().map(|entry| entry.job);
            let is_listed = |job: &Job| filter.matches(job) && after.is_none_or(|after| after.is_before(job));
            jobs.extend(entries.filter(is_listed));
            sort_newest_first(&mut jobs);
            // The index has jobs of the same time in any order. So all of them are read before the page is full.
            let is_full = jobs.get(limit - 1).is_some_and(|last| {
                let oldest = found.last().and_then(|oldest| oldest.get(index.range));
                oldest
                    .and_then(|at| at.as_n().ok()?.parse().ok())
                    .is_some_and(|oldest: i64| oldest < last.created_at.as_microsecond())
            });
            if start.is_none() || is_full {
                return Ok(jobs);
            }
        }
    }
}

/// Returns the index that a filter is read from, and its partitions.
fn partitions(filter: &JobFilter<'_>) -> (TableIndex, Vec<String>) {
    match (filter.requester, filter.export) {
        (Some(requester), _) => (REQUESTER, vec![requester.to_string()]),
        // An index has no empty text.
        (None, Some(export)) if !export.is_empty() => (EXPORT, vec![export.to_owned()]),
        (None, _) => (NEWEST, (0..SHARDS).map(|shard| shard.to_string()).collect()),
    }
}

fn page_size(limit: u32) -> i32 {
    i32::try_from(limit).unwrap_or(PAGE).clamp(1, PAGE)
}

fn sort_newest_first(jobs: &mut [Job]) {
    jobs.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
}
