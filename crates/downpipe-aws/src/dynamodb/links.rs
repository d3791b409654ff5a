//! The items beside a job's own: what is there once, what names the latest job of its kind, and which jobs wait for another.
//!
//! Each changes in the transaction that writes the job, so it says at every moment what the job's item says.

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use downpipe_core::job::{Job, JobId, JobState};
use downpipe_core::ledger::{Entry, Fingerprint, LedgerError};

use super::DynamoJobTable;
use super::clock::ServerTime;
use super::item::{Item, number, text, time, time_to_live};
use super::schema::{TABLE_KEY, TABLE_TIME_TO_LIVE};

/// The attribute of the jobs that wait.
pub(super) const WAITING: &str = "waiting";

/// The attribute of a time that the server's clock had not reached when an item was written.
pub(super) const WRITTEN_BEFORE: &str = "written_before";

/// Into how many items the jobs are divided that wait for one result. An item has at most 400 KB, which is some 9,000 jobs, and two
/// transactions cannot write one item at once.
const FOLLOWER_SHARDS: u32 = 16;

/// Where a job is listed that waits for another.
#[derive(Debug, PartialEq, Eq)]
struct Listing {
    key: String,
    /// Sorts by the age of the job.
    member: String,
}

/// Returns the keys of the items that are there once in the table while an entry is as it is: its active fingerprint, and its lead.
pub(super) fn unique_keys(entry: &Entry) -> Vec<String> {
    active_key(entry).into_iter().chain(entry.lead_fingerprint().map(lead_key)).collect()
}

/// Returns the key of the item that is there once while a job is active.
pub(super) fn active_key(entry: &Entry) -> Option<String> {
    entry.active_fingerprint().map(|fingerprint| format!("active#{fingerprint}"))
}

/// Returns the key of the item that names the job that leads.
pub(super) fn lead_key(shared_fingerprint: &str) -> String {
    format!("lead#{shared_fingerprint}")
}

/// Returns the key of the item that names the latest job that made its file.
pub(super) fn reuse_key(fingerprint: Fingerprint<'_>) -> String {
    match fingerprint {
        Fingerprint::OfRequester(fingerprint) => format!("ready#{fingerprint}"),
        Fingerprint::Shared(fingerprint) => format!("shared-ready#{fingerprint}"),
    }
}

/// Returns the key of the item that names the latest job that led and has a result.
pub(super) fn led_key(shared_fingerprint: &str) -> String {
    format!("led#{shared_fingerprint}")
}

/// Returns the keys of the items that list the jobs that wait for one result.
pub(super) fn followers_keys(shared_fingerprint: &str) -> impl Iterator<Item = String> {
    (0..FOLLOWER_SHARDS).map(move |shard| format!("followers#{shared_fingerprint}#{shard:x}"))
}

/// Returns the job of a member of a list.
pub(super) fn listed_job(member: &str) -> Option<JobId> {
    member.split_once('#')?.1.parse().ok()
}

/// Returns whether a job is ready with a file that it made itself. Jobs that were given another's file do not count: otherwise a file
/// would never grow old while it is asked for.
pub(super) fn has_made_its_file(job: &Job) -> bool {
    job.state == JobState::Ready && job.has_made_its_file()
}

/// Returns whether a job led and has a result for those that follow.
pub(super) fn has_led(entry: &Entry) -> bool {
    entry.leads && matches!(entry.job.state, JobState::Ready | JobState::Failed)
}

/// Returns the keys of the items that name the latest job of their kind, and this job until a later one comes.
fn latest_keys(entry: &Entry) -> Vec<String> {
    let mut keys = Vec::new();
    let shared = entry.shared_fingerprint.as_deref();
    if has_made_its_file(&entry.job) {
        keys.extend(entry.job.fingerprint.as_deref().map(Fingerprint::OfRequester).map(reuse_key));
        keys.extend(shared.map(Fingerprint::Shared).map(reuse_key));
    }
    if has_led(entry) {
        keys.extend(shared.map(led_key));
    }
    keys
}

/// Returns where a job is listed while it is queued and does not lead.
fn listing(entry: &Entry) -> Option<Listing> {
    let Entry { job, shared_fingerprint, leads, .. } = entry;
    let shared_fingerprint =
        shared_fingerprint.as_ref().filter(|_| job.state == JobState::Queued && !leads)?;
    let member = format!("{:016}#{}", job.created_at.as_microsecond(), job.id);
    Some(Listing { key: followers_key(shared_fingerprint, &job.id), member })
}

/// Returns the key of the list of a job. Its id is a digest, so the last digit is as good as any.
fn followers_key(shared_fingerprint: &str, id: &JobId) -> String {
    let digit = id.as_str().chars().last().and_then(|digit| digit.to_digit(16)).unwrap_or_default();
    format!("followers#{shared_fingerprint}#{:x}", digit % FOLLOWER_SHARDS)
}

impl DynamoJobTable {
    /// Returns what has to change beside a job's item in the transaction that inserts the job, replaces or deletes it. What is written
    /// is written at this time.
    pub(super) fn beside(
        &self,
        before: Option<&Entry>,
        after: Option<(&Entry, ServerTime)>,
    ) -> Result<Vec<TransactWriteItem>, LedgerError> {
        let keys =
            |entry: Option<&Entry>, keys: fn(&Entry) -> Vec<String>| entry.map(keys).unwrap_or_default();
        let (had, has) = (keys(before, unique_keys), keys(after.map(|(after, _)| after), unique_keys));
        let mut writes = Vec::new();
        if let Some(before) = before {
            for left in had.iter().filter(|key| !has.contains(key)) {
                writes.push(self.table.delete_named(left.clone(), "job", before.job.id.as_str())?);
            }
        }
        if let Some((after, now)) = after {
            for taken in has.iter().filter(|key| !had.contains(key)) {
                writes.push(self.table.put_new(naming(taken, &after.job.id))?);
            }
            let named = keys(before, latest_keys);
            for latest in latest_keys(after).iter().filter(|key| !named.contains(key)) {
                let mut item = naming(latest, &after.job.id);
                item.insert(WRITTEN_BEFORE.to_owned(), time(now.latest));
                item.extend(self.expiry_of_result(after).map(|at| (TABLE_TIME_TO_LIVE.to_owned(), at)));
                writes.push(self.table.put(item)?);
            }
        }
        writes.extend(self.relisted(before, after.map(|(after, _)| after))?);
        Ok(writes)
    }

    /// Deletes what names a job that is deleted. What stays leads to nothing, and expires by itself.
    pub(super) async fn delete_links(&self, entry: &Entry) {
        let id = &entry.job.id;
        let of_requester = entry.job.fingerprint.as_deref().map(Fingerprint::OfRequester).map(reuse_key);
        let shared = entry.shared_fingerprint.as_deref();
        let named = [of_requester, shared.map(Fingerprint::Shared).map(reuse_key), shared.map(led_key)];
        let named = named.into_iter().flatten().map(|key| self.table.delete_named(key, "job", id.as_str()));
        let list = shared.map(|shared| self.table.delete_without(followers_key(shared, id), WAITING));
        for delete in named.chain(list).flatten() {
            drop(self.table.write(vec![delete]).await);
        }
    }

    /// Returns the change of the lists of jobs that wait.
    fn relisted(
        &self,
        before: Option<&Entry>,
        after: Option<&Entry>,
    ) -> Result<Vec<TransactWriteItem>, LedgerError> {
        let (was, is) = (before.and_then(listing), after.and_then(listing));
        if was == is {
            return Ok(Vec::new());
        }
        let Some(entry) = after.or(before) else { return Ok(Vec::new()) };
        // No list stays for ever. One that is written to stays as long as any job.
        let expires = time_to_live(entry.updated_at, self.retention);
        let mut writes = Vec::new();
        if let Some(Listing { key, member }) = was {
            writes.push(self.table.change_set(key, "DELETE", WAITING, member, expires.clone())?);
        }
        if let Some(Listing { key, member }) = is {
            writes.push(self.table.change_set(key, "ADD", WAITING, member, expires)?);
        }
        Ok(writes)
    }

    /// Returns when what names a job's result is of no use any more.
    fn expiry_of_result(&self, entry: &Entry) -> Option<AttributeValue> {
        let at = entry.job.receipt.as_ref().map(|receipt| number(receipt.expires_at.as_second()));
        at.or_else(|| time_to_live(entry.updated_at, self.retention))
    }
}

/// Returns an item that names a job.
fn naming(item_key: &str, job: &JobId) -> Item {
    Item::from([(TABLE_KEY.to_owned(), text(item_key)), ("job".to_owned(), text(job.as_str()))])
}
