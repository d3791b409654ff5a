//! What a worker keeps in the cache: receipts that answer popular requests, and the progress of jobs that run.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Cache;
use super::entry::{InvalidEntry, ReceiptKeys};
use super::guarded::{GuardedCache, Lookup};
use crate::job::{JobId, Receipt};

/// The age up to which progress is shown. A worker writes it every two seconds, so that older progress is of one that has stopped.
const MAX_PROGRESS_AGE: Duration = Duration::from_secs(10);

/// How far a job is that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveProgress {
    /// Rows written.
    pub rows: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Rows a second, lately.
    pub rows_per_second: u64,
    /// When that was, by the worker's clock.
    pub at: Timestamp,
}

/// A cache of receipts and progress. Whatever is wrong with it is a miss.
#[derive(Debug)]
pub struct JobCache<C> {
    cache: GuardedCache<C>,
    keys: Option<ReceiptKeys>,
}

impl<C: Cache> JobCache<C> {
    /// Makes a cache. Without keys it keeps no receipts, because it could not tell them from forged ones.
    pub fn new(cache: C, keys: Option<ReceiptKeys>) -> Self {
        Self { cache: GuardedCache::new(cache), keys }
    }

    /// Returns the cache itself, which a test may break.
    pub fn inner(&self) -> &C {
        self.cache.inner()
    }

    /// Returns the receipt of a fingerprint, if it was signed by a key that is known. Deletes an entry that was not.
    ///
    /// The file may be gone or too old: the caller looks.
    pub async fn receipt(&self, fingerprint: &str) -> Option<Receipt> {
        let keys = self.keys.as_ref()?;
        let key = receipt_key(fingerprint);
        let (answer, receipt) = match self.cache.get(&key).await {
            Lookup::Hit(entry) => match keys.verify(&key, &entry) {
                Ok(receipt) => ("hit", Some(receipt)),
                Err(InvalidEntry::OtherVersion) => ("other version", None),
                Err(InvalidEntry::Forged) => ("forged", None),
                Err(InvalidEntry::Unreadable) => ("unreadable", None),
            },
            Lookup::Miss => ("miss", None),
            Lookup::Fault => ("fault", None),
            Lookup::Paused => ("paused", None),
        };
        tracing::info!(cache = answer, "the cache was asked for a file");
        if matches!(answer, "forged" | "unreadable") {
            self.cache.delete(&key).await;
        }
        receipt
    }

    /// Keeps the receipt of a fingerprint for at most this time.
    pub async fn keep_receipt(&self, fingerprint: &str, receipt: &Receipt, ttl: Duration) {
        if let Some(keys) = &self.keys
            && ttl >= Duration::from_secs(1)
        {
            let key = receipt_key(fingerprint);
            let entry = keys.sign(&key, receipt);
            self.cache.set(&key, entry, ttl).await;
        }
    }

    /// Forgets the receipt of a fingerprint, whose file is of no use any more.
    pub async fn forget_receipt(&self, fingerprint: &str) {
        self.cache.delete(&receipt_key(fingerprint)).await;
    }

    /// Returns how far a job is, if a worker has said so within the last seconds.
    pub async fn progress(&self, job: &JobId) -> Option<LiveProgress> {
        let Lookup::Hit(entry) = self.cache.get(&progress_key(job)).await else { return None };
        let progress: LiveProgress = serde_json::from_slice(&entry).ok()?;
        let age = Timestamp::now().duration_since(progress.at).unsigned_abs();
        (age <= MAX_PROGRESS_AGE).then_some(progress)
    }

    /// Keeps how far a job is for this time.
    pub async fn keep_progress(&self, job: &JobId, progress: &LiveProgress, ttl: Duration) {
        let entry = serde_json::to_vec(progress)
            .unwrap_or_else(|error| unreachable!("progress has nothing that JSON cannot say: {error}"));
        self.cache.set(&progress_key(job), Bytes::from(entry), ttl).await;
    }

    /// Forgets how far a job was, which runs no more.
    pub async fn forget_progress(&self, job: &JobId) {
        self.cache.delete(&progress_key(job)).await;
    }
}

fn receipt_key(fingerprint: &str) -> String {
    format!("receipt:{fingerprint}")
}

fn progress_key(job: &JobId) -> String {
    format!("progress:{job}")
}
