//! Reading jobs: the item, and the documents that are not in it.

use std::collections::BTreeSet;

use downpipe_core::job::{Job, JobId};
use downpipe_core::ledger::{Entry, LedgerError, StaleFilter, Stored};
use jiff::Timestamp;

use super::DynamoJobTable;
use super::documents::Place;
use super::due::{SHARDS, search};
use super::errors::failed;
use super::item::{self, DOCUMENTS, Item, job_key, named_job, time};
use super::schema::{DUE, RELATED, TABLE_KEY};
use super::table::{Order, Search};

/// How often an item is read again whose document is gone: another write has replaced both meanwhile.
const MAX_READS: u32 = 5;

/// The most keys in a page of an index.
pub(super) const PAGE: i32 = 100;

impl DynamoJobTable {
    /// Reads the item of a job or of an alias.
    pub(super) async fn item(&self, id: &JobId) -> Result<Option<Item>, LedgerError> {
        self.table.read(&job_key(id), &[]).await
    }

    /// Reads a job, which this id may be an alias of.
    pub(super) async fn stored(&self, id: &JobId) -> Result<Option<Stored>, LedgerError> {
        let Some(mut item) = self.item(id).await? else { return Ok(None) };
        let mut id = id.clone();
        if let Some(job) = named_job(&item, "alias_of")? {
            let Some(of_job) = self.item(&job).await? else { return Ok(None) };
            (item, id) = (of_job, job);
        }
        let now = self.table.time_of_answer()?.earliest;
        for _ in 0..MAX_READS {
            let version = item::version(&item)?;
            if let Some(entry) = self.entry(item).await? {
                return Ok(Some(Stored { entry, version, now }));
            }
            match self.item(&id).await? {
                Some(newer) => item = newer,
                None => return Ok(None),
            }
        }
        Err(failed(format!("documents of job {id} are gone from the ledger's folder in the bucket")))
    }

    /// Reads an entry with its documents. `None` when one of them is gone.
    async fn entry(&self, mut item: Item) -> Result<Option<Entry>, LedgerError> {
        for document in DOCUMENTS {
            let Some(place) = item.get(document).and_then(Place::of) else { continue };
            let Some(job) = item::id_in(&item) else { continue };
            match self.documents.read(&job, &place).await? {
                Some(text) => item.insert(document.to_owned(), item::text(text)),
                None => return Ok(None),
            };
        }
        item::entry(&item).map(Some)
    }

    /// Reads the items whose keys an index has. Those that are gone meanwhile are left out.
    pub(super) async fn items(&self, found: &[Item]) -> Result<Vec<Item>, LedgerError> {
        // An index that is a moment behind may have a key twice. DynamoDB refuses a batch that has.
        let keys: BTreeSet<&String> =
            found.iter().filter_map(|found| found.get(TABLE_KEY)?.as_s().ok()).collect();
        let keys: Vec<Item> = keys.into_iter().map(item::key).collect();
        self.table.read_all(&keys).await
    }

    /// Reads entries whose keys an index has. Those that are gone meanwhile are left out, and aliases.
    pub(super) async fn entries(&self, found: &[Item]) -> Result<Vec<Entry>, LedgerError> {
        let mut entries = Vec::new();
        for item in self.items(found).await? {
            if item.contains_key("alias_of") {
                continue;
            }
            let id = item::id_in(&item);
            match (self.entry(item).await?, id) {
                (Some(entry), _) => entries.push(entry),
                (None, Some(id)) => entries.extend(self.stored(&id).await?.map(|stored| stored.entry)),
                (None, None) => {}
            }
        }
        Ok(entries)
    }

    /// See [`JobTable::stale`](downpipe_core::ledger::JobTable::stale).
    pub(super) async fn stale_jobs(&self, filter: StaleFilter, limit: u32) -> Result<Vec<Job>, LedgerError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let server = self.table.time().await?;
        let (kinds, until) = search(filter, server.latest);
        let mut stale = Vec::new();
        for shard in 0..SHARDS {
            for kind in kinds {
                let hash = kind.partition(&shard.to_string());
                stale.extend(self.stale_in(&hash, until, filter, limit).await?);
            }
        }
        stale.sort_by(|a, b| (a.updated_at, &a.job.id).cmp(&(b.updated_at, &b.job.id)));
        // A job that changes meanwhile may be in two partitions.
        let mut seen = BTreeSet::new();
        stale.retain(|entry| seen.insert(entry.job.id.clone()));
        Ok(stale.into_iter().take(limit).map(|entry| entry.job).collect())
    }

    /// Returns the jobs of one partition that a filter matches, as the table has them now.
    async fn stale_in(
        &self,
        hash: &str,
        until: Timestamp,
        filter: StaleFilter,
        limit: usize,
    ) -> Result<Vec<Entry>, LedgerError> {
        let search = Search { until: Some(time(until)), ..Search::all(DUE, hash, Order::Ascending) };
        let (mut start, mut stale) = (None, Vec::new());
        while stale.len() < limit {
            let found;
            (found, start) = self.table.search(&search, start, PAGE).await?;
            let entries = self.entries(&found).await?;
            let now = self.table.time_of_answer()?.earliest;
            stale.extend(entries.into_iter().filter(|entry| entry.is_stale(filter, now)));
            if start.is_none() {
                break;
            }
        }
        stale.sort_by_key(|entry| entry.updated_at);
        stale.truncate(limit);
        Ok(stale)
    }

    /// Returns the aliases of a job.
    pub(super) async fn aliases(&self, job: &JobId) -> Result<Vec<JobId>, LedgerError> {
        let related = related_aliases(job);
        let search = Search::all(RELATED, &related, Order::Ascending);
        let (mut start, mut aliases) = (None, Vec::new());
        loop {
            let found;
            (found, start) = self.table.search(&search, start, PAGE).await?;
            aliases.extend(found.iter().filter_map(item::id_in));
            if start.is_none() {
                return Ok(aliases);
            }
        }
    }
}

/// Returns what the aliases of a job have in the index `related`.
pub(super) fn related_aliases(job: &JobId) -> String {
    format!("alias#{job}")
}
