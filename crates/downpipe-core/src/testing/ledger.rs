//! A table of jobs in memory, with a clock that tests move.

mod queries;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;

use super::lock;
use crate::job::{Job, JobId, JobState, Receipt};
use crate::ledger::{
    DOWNLOAD_RETENTION, Download, Entry, Fingerprint, Inserted, JobStatus, JobTable, LedgerError, Replaced,
    StaleFilter, Stored,
};

/// Keeps jobs in memory. Its clock stands still until [`pass`](Self::pass) moves it.
#[derive(Debug)]
pub struct MemoryJobTable {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    now: Timestamp,
    /// The newest last, each with its version.
    entries: Vec<(Entry, u64)>,
    aliases: BTreeMap<JobId, JobId>,
    downloads: Vec<Download>,
    /// Digests of sessions, and until when each would be good.
    ended_sessions: BTreeMap<String, Timestamp>,
    /// How many of the next calls do not reach the table.
    outages: usize,
}

impl MemoryJobTable {
    /// When the clock of a new table begins.
    pub const BEGINNING: Timestamp = Timestamp::constant(1_767_323_045, 0);

    /// Makes an empty table.
    #[must_use]
    pub fn new() -> Self {
        let state = State {
            now: Self::BEGINNING,
            entries: Vec::new(),
            aliases: BTreeMap::new(),
            downloads: Vec::new(),
            ended_sessions: BTreeMap::new(),
            outages: 0,
        };
        Self { state: Mutex::new(state) }
    }

    /// Moves the clock.
    pub fn pass(&self, time: Duration) {
        lock(&self.state).now += time;
    }

    /// Makes the next calls fail with [`LedgerError::Unavailable`].
    pub fn fail_next(&self, calls: usize) {
        lock(&self.state).outages = calls;
    }

    /// Returns every entry, the newest last.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        lock(&self.state).entries.iter().map(|(entry, _)| entry.clone()).collect()
    }

    fn reach<T>(&self, act: impl FnOnce(&mut State) -> T) -> Result<T, LedgerError> {
        let mut state = lock(&self.state);
        if state.outages > 0 {
            state.outages -= 1;
            return Err(LedgerError::Unavailable("the ledger was told to fail".into()));
        }
        Ok(act(&mut state))
    }
}

impl Default for MemoryJobTable {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    fn find(&self, id: &JobId) -> Option<&(Entry, u64)> {
        let id = self.aliases.get(id).unwrap_or(id);
        self.entries.iter().find(|(entry, _)| entry.job.id == *id)
    }

    /// Returns whether another entry leads for the requests for which this one wants to.
    fn is_led_by_another(&self, entry: &Entry) -> bool {
        let lead = entry.lead_fingerprint();
        let mut others = self.entries.iter().map(|(other, _)| other);
        lead.is_some() && others.any(|other| other.job.id != entry.job.id && other.lead_fingerprint() == lead)
    }

    /// Returns the place of the entry that was read, if it still has that version.
    fn place_of(&self, read: &Stored) -> Option<usize> {
        let is_read = |(entry, at): &(Entry, u64)| entry.job.id == read.entry.job.id && *at == read.version;
        self.entries.iter().position(is_read)
    }
}

impl JobTable for MemoryJobTable {
    async fn insert(&self, entry: &Entry) -> Result<Inserted, LedgerError> {
        self.reach(|state| {
            let id = &entry.job.id;
            if let Some(other) = state.aliases.get(id) {
                return Inserted::SameAs(other.clone());
            }
            if state.find(id).is_some() {
                return Inserted::Known;
            }
            let same = |(other, _): &&(Entry, u64)| {
                other.active_fingerprint().is_some()
                    && other.active_fingerprint() == entry.active_fingerprint()
            };
            if let Some((other, _)) = state.entries.iter().find(same) {
                let other = other.job.id.clone();
                state.aliases.insert(id.clone(), other.clone());
                return Inserted::SameAs(other);
            }
            if state.is_led_by_another(entry) {
                return Inserted::LeadTaken;
            }
            state.entries.push((entry.clone().written_at(state.now), 0));
            Inserted::New(state.now)
        })
    }

    async fn get(&self, id: &JobId) -> Result<Option<Stored>, LedgerError> {
        self.reach(|state| {
            let now = state.now;
            state.find(id).map(|(entry, version)| Stored { entry: entry.clone(), version: *version, now })
        })
    }

    async fn replace(&self, read: &Stored, entry: &Entry) -> Result<Replaced, LedgerError> {
        self.reach(|state| {
            let Some(place) = state.place_of(read) else { return Replaced::Outdated };
            if state.is_led_by_another(entry) {
                return Replaced::LeadTaken;
            }
            state.entries[place] = (entry.clone().written_at(state.now), read.version + 1);
            Replaced::At(state.now)
        })
    }

    async fn delete(&self, read: &Stored) -> Result<bool, LedgerError> {
        self.reach(|state| {
            let place = state.place_of(read);
            if let Some(place) = place {
                state.entries.remove(place);
                state.aliases.retain(|_, job| *job != read.entry.job.id);
            }
            place.is_some()
        })
    }

    async fn status(&self, id: &JobId) -> Result<Option<JobStatus>, LedgerError> {
        self.reach(|state| {
            state.find(id).map(|(entry, _)| JobStatus {
                state: entry.job.state,
                attempt: entry.job.attempt,
                cancel_requested: entry.cancel_requested,
            })
        })
    }

    async fn reusable_receipt(
        &self,
        fingerprint: Fingerprint<'_>,
        max_age: Duration,
    ) -> Result<Option<Receipt>, LedgerError> {
        self.reach(|state| {
            let fresh = |entry: &&Entry| {
                let job = &entry.job;
                let is_own = |receipt: &Receipt| receipt.job_id == job.id.as_str();
                job.state == JobState::Ready
                    && job.receipt.as_ref().is_some_and(is_own)
                    && has(entry, fingerprint)
                    && job.finished_at.is_some_and(|at| at >= state.now - max_age)
            };
            let entries = state.entries.iter().map(|(entry, _)| entry).filter(fresh);
            let latest = entries.max_by_key(|entry| entry.job.finished_at)?;
            latest.job.receipt.clone().filter(|receipt| receipt.expires_at > state.now)
        })
    }

    async fn last_led(&self, shared_fingerprint: &str, since: Timestamp) -> Result<Option<Job>, LedgerError> {
        self.reach(|state| {
            let led = |entry: &&Entry| {
                entry.leads
                    && has(entry, Fingerprint::Shared(shared_fingerprint))
                    && matches!(entry.job.state, JobState::Ready | JobState::Failed)
                    && entry.job.finished_at.is_some_and(|at| at >= since)
            };
            let led = state.entries.iter().map(|(entry, _)| entry).filter(led);
            led.max_by_key(|entry| entry.job.finished_at).map(|entry| entry.job.clone())
        })
    }

    async fn followers(&self, shared_fingerprint: &str, limit: u32) -> Result<Vec<JobId>, LedgerError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        self.reach(|state| {
            let follows = |entry: &&Entry| {
                !entry.leads
                    && has(entry, Fingerprint::Shared(shared_fingerprint))
                    && entry.job.state == JobState::Queued
            };
            let followers = state.entries.iter().map(|(entry, _)| entry).filter(follows);
            followers.take(limit).map(|entry| entry.job.id.clone()).collect()
        })
    }

    async fn stale(&self, filter: StaleFilter, limit: u32) -> Result<Vec<Job>, LedgerError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        self.reach(|state| {
            let now = state.now;
            let entries = state.entries.iter().map(|(entry, _)| entry);
            let mut stale: Vec<&Entry> = entries.filter(|entry| entry.is_stale(filter, now)).collect();
            stale.sort_by_key(|entry| entry.updated_at);
            stale.into_iter().take(limit).map(|entry| entry.job.clone()).collect()
        })
    }

    async fn forget_access(&self, _: u32) -> Result<u64, LedgerError> {
        self.reach(|state| {
            let count = |state: &State| state.downloads.len() + state.ended_sessions.len();
            let before = count(state);
            let (now, since) = (state.now, state.now - DOWNLOAD_RETENTION);
            state.downloads.retain(|download| download.at > since);
            state.ended_sessions.retain(|_, until| *until > now);
            (before - count(state)) as u64
        })
    }
}

fn has(entry: &Entry, fingerprint: Fingerprint<'_>) -> bool {
    match fingerprint {
        Fingerprint::OfRequester(fingerprint) => entry.job.fingerprint.as_deref() == Some(fingerprint),
        Fingerprint::Shared(fingerprint) => entry.shared_fingerprint.as_deref() == Some(fingerprint),
    }
}
