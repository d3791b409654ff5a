//! Questions about jobs of one fingerprint: which of them leads, which wait, and what they came to.

use std::collections::BTreeSet;
use std::time::Duration;

use downpipe_core::job::{Job, JobId, Receipt};
use downpipe_core::ledger::{Entry, Fingerprint, LedgerError, Stored};
use jiff::Timestamp;

use super::DynamoJobTable;
use super::item::{self, Item, follows, job_key, key, named_job, time_in};
use super::links::{
    WAITING, WRITTEN_BEFORE, followers_keys, has_led, has_made_its_file, lead_key, led_key, listed_job,
    reuse_key,
};
use super::table::MAX_BATCH;

impl DynamoJobTable {
    /// Returns whether another job leads for the requests for which this one wants to.
    pub(super) async fn is_led_by_another(&self, entry: &Entry) -> Result<bool, LedgerError> {
        let Some(lead_fingerprint) = entry.lead_fingerprint() else { return Ok(false) };
        let lead = self.table.read(&lead_key(lead_fingerprint), &["job"]).await?;
        let leader = lead.as_ref().map(|lead| named_job(lead, "job")).transpose()?.flatten();
        Ok(leader.is_some_and(|leader| leader != entry.job.id))
    }

    /// See [`JobTable::reusable_receipt`](downpipe_core::ledger::JobTable::reusable_receipt).
    pub(super) async fn receipt_of(
        &self,
        fingerprint: Fingerprint<'_>,
        max_age: Duration,
    ) -> Result<Option<Receipt>, LedgerError> {
        let Some((_, Stored { entry, .. })) = self.latest(&reuse_key(fingerprint)).await? else {
            return Ok(None);
        };
        let of_job = match fingerprint {
            Fingerprint::OfRequester(_) => entry.job.fingerprint.as_deref().map(Fingerprint::OfRequester),
            Fingerprint::Shared(_) => entry.shared_fingerprint.as_deref().map(Fingerprint::Shared),
        };
        // By the later bound: a file is rather too old than too young.
        let now = self.table.time_of_answer()?.latest;
        let since = now.saturating_sub(max_age).unwrap_or(Timestamp::MIN);
        let is_fresh = has_made_its_file(&entry.job)
            && of_job == Some(fingerprint)
            && entry.job.finished_at.is_some_and(|at| at >= since);
        Ok(entry.job.receipt.filter(|receipt| is_fresh && receipt.expires_at > now))
    }

    /// See [`JobTable::last_led`](downpipe_core::ledger::JobTable::last_led).
    pub(super) async fn led_since(
        &self,
        shared_fingerprint: &str,
        since: Timestamp,
    ) -> Result<Option<Job>, LedgerError> {
        let Some((led, Stored { entry, .. })) = self.latest(&led_key(shared_fingerprint)).await? else {
            return Ok(None);
        };
        // By the later bound of the end: otherwise a follower that was there just before would work itself.
        let is_result = has_led(&entry)
            && entry.shared_fingerprint.as_deref() == Some(shared_fingerprint)
            && time_in(&led, WRITTEN_BEFORE)?.is_some_and(|end| end >= since);
        Ok(Some(entry.job).filter(|_| is_result))
    }

    /// See [`JobTable::followers`](downpipe_core::ledger::JobTable::followers).
    ///
    /// Every read is consistent: the sweep alone would find a job that is missed here, minutes later.
    pub(super) async fn queued_behind(
        &self,
        shared_fingerprint: &str,
        limit: u32,
    ) -> Result<Vec<JobId>, LedgerError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let keys: Vec<_> = followers_keys(shared_fingerprint).map(key).collect();
        let lists = self.table.read_all(&keys).await?;
        let waiting = lists.iter().filter_map(|list| list.get(WAITING)?.as_ss().ok());
        let mut members: Vec<&String> = waiting.flatten().collect();
        members.sort();
        let listed: Vec<JobId> = members.into_iter().filter_map(|member| listed_job(member)).collect();
        let mut followers = Vec::new();
        for listed in listed.chunks(MAX_BATCH) {
            let keys: Vec<_> = listed.iter().map(|id| key(job_key(id))).collect();
            let items = self.table.read_all(&keys).await?;
            let following = items.iter().filter(|item| follows(item, shared_fingerprint));
            let following: BTreeSet<JobId> = following.filter_map(item::id_in).collect();
            followers.extend(listed.iter().filter(|id| following.contains(id)).cloned());
            if followers.len() >= limit {
                break;
            }
        }
        followers.truncate(limit);
        Ok(followers)
    }

    /// Reads an item that names the latest job of its kind, and that job, which may have changed since.
    async fn latest(&self, item_key: &str) -> Result<Option<(Item, Stored)>, LedgerError> {
        let Some(latest) = self.table.read(item_key, &[]).await? else { return Ok(None) };
        match named_job(&latest, "job")? {
            Some(job) => Ok(self.stored(&job).await?.map(|stored| (latest, stored))),
            None => Ok(None),
        }
    }
}
