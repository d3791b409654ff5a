//! A ledger in memory, with a clock that tests move.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;

use super::lock;
use crate::entry::Entry;
use crate::job::{Job, JobId, JobState};
use crate::ledger::{Due, Inserted, JobTable, LedgerError, Stored};
use crate::receipt::Receipt;

/// Keeps jobs in memory. Its clock stands still until [`pass`](Self::pass) moves it.
#[derive(Debug)]
pub struct MemoryLedger {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    now: Timestamp,
    /// The newest last, each with its version.
    entries: Vec<(Entry, u64)>,
    other_names: BTreeMap<JobId, JobId>,
    /// How many of the next calls do not reach the ledger.
    outages: usize,
}

impl MemoryLedger {
    /// When the clock of a new ledger begins.
    pub const BEGINNING: Timestamp = Timestamp::constant(1_767_323_045, 0);

    /// An empty ledger.
    #[must_use]
    pub fn new() -> Self {
        let state =
            State { now: Self::BEGINNING, entries: Vec::new(), other_names: BTreeMap::new(), outages: 0 };
        Self { state: Mutex::new(state) }
    }

    /// Lets time pass.
    pub fn pass(&self, time: Duration) {
        lock(&self.state).now += time;
    }

    /// Makes the next calls fail with [`LedgerError::Unavailable`].
    pub fn fail_next(&self, calls: usize) {
        lock(&self.state).outages = calls;
    }

    /// Every entry, the newest last.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        lock(&self.state).entries.iter().map(|(entry, _)| entry.clone()).collect()
    }

    /// Does something with the ledger's state, unless it is out of reach.
    fn reach<T>(&self, act: impl FnOnce(&mut State) -> T) -> Result<T, LedgerError> {
        let mut state = lock(&self.state);
        if state.outages > 0 {
            state.outages -= 1;
            return Err(LedgerError::Unavailable("the ledger was told to fail".into()));
        }
        Ok(act(&mut state))
    }
}

impl Default for MemoryLedger {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    fn find(&self, id: &JobId) -> Option<&(Entry, u64)> {
        let id = self.other_names.get(id).unwrap_or(id);
        self.entries.iter().find(|(entry, _)| entry.job.id == *id)
    }
}

impl JobTable for MemoryLedger {
    async fn now(&self) -> Result<Timestamp, LedgerError> {
        self.reach(|state| state.now)
    }

    async fn insert(&self, entry: &Entry) -> Result<Inserted, LedgerError> {
        self.reach(|state| {
            let id = &entry.job.id;
            if let Some(other) = state.other_names.get(id) {
                return Inserted::SameAs(other.clone());
            }
            if state.find(id).is_some() {
                return Inserted::Known;
            }
            let same = |(other, _): &&(Entry, u64)| {
                other.exclusive().is_some() && other.exclusive() == entry.exclusive()
            };
            if let Some((other, _)) = state.entries.iter().find(same) {
                let other = other.job.id.clone();
                state.other_names.insert(id.clone(), other.clone());
                return Inserted::SameAs(other);
            }
            state.entries.push((entry.clone(), 0));
            Inserted::New
        })
    }

    async fn get(&self, id: &JobId) -> Result<Option<Stored>, LedgerError> {
        self.reach(|state| {
            let now = state.now;
            state.find(id).map(|(entry, version)| Stored { entry: entry.clone(), version: *version, now })
        })
    }

    async fn replace(&self, entry: &Entry, version: u64) -> Result<bool, LedgerError> {
        self.reach(|state| {
            let id = &entry.job.id;
            let found = state.entries.iter_mut().find(|(old, at)| old.job.id == *id && *at == version);
            let replaced = found.is_some();
            if let Some(old) = found {
                *old = (entry.clone(), version + 1);
            }
            replaced
        })
    }

    async fn peek(&self, id: &JobId) -> Result<Option<(JobState, u32, bool)>, LedgerError> {
        self.reach(|state| {
            state.find(id).map(|(entry, _)| (entry.job.state, entry.job.attempt, entry.cancel_wanted))
        })
    }

    async fn ready_since(&self, sameness: &str, since: Timestamp) -> Result<Option<Receipt>, LedgerError> {
        self.reach(|state| {
            let fresh = |job: &&Job| {
                job.state == JobState::Ready
                    && job.attempt > 0
                    && job.sameness.as_deref() == Some(sameness)
                    && job.finished_at.is_some_and(|at| at >= since)
            };
            let jobs = state.entries.iter().map(|(entry, _)| &entry.job).filter(fresh);
            jobs.max_by_key(|job| job.finished_at).and_then(|job| job.receipt.clone())
        })
    }

    async fn newest(&self, limit: u32) -> Result<Vec<Job>, LedgerError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        self.reach(|state| {
            state.entries.iter().rev().take(limit).map(|(entry, _)| entry.job.clone()).collect()
        })
    }

    async fn neglected(&self, due: Due, limit: u32) -> Result<Vec<Job>, LedgerError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        self.reach(|state| {
            let now = state.now;
            let mut due: Vec<&Entry> =
                state.entries.iter().map(|(entry, _)| entry).filter(|entry| entry.is_due(due, now)).collect();
            due.sort_by_key(|entry| entry.updated_at);
            due.into_iter().take(limit).map(|entry| entry.job.clone()).collect()
        })
    }
}
