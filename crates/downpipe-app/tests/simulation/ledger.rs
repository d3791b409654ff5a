//! The table under the ledger: in memory, or in DynamoDB as the stack has it.

use std::time::Duration;

use downpipe_core::job::{Job, JobId, Receipt};
use downpipe_core::ledger::{
    Entry, Fingerprint, Inserted, JobFilter, JobQueries as _, JobStatus, JobTable, LedgerError, Replaced,
    StaleFilter, Stored,
};
use downpipe_core::testing::MemoryJobTable;
use jiff::Timestamp;

use crate::dynamodb::{BlockingTable, DynamoDb};

/// Which table the workers of a scenario share.
pub(crate) enum SharedTable {
    Memory(MemoryJobTable),
    DynamoDb(Box<DynamoDb>),
}

/// The table as one worker reaches it.
pub(crate) enum SimTable<'a> {
    Memory(&'a MemoryJobTable),
    DynamoDb(BlockingTable),
}

impl SharedTable {
    /// Makes an empty table, where `DOWNPIPE_SIMULATION_LEDGER` says.
    pub(crate) fn new() -> Self {
        match std::env::var("DOWNPIPE_SIMULATION_LEDGER").as_deref() {
            Err(_) | Ok("memory") => Self::Memory(MemoryJobTable::new()),
            Ok("dynamodb") => Self::DynamoDb(Box::new(DynamoDb::new())),
            Ok(other) => panic!("DOWNPIPE_SIMULATION_LEDGER: expected memory or dynamodb, got {other}"),
        }
    }

    /// Returns the table as the worker of this number reaches it.
    pub(crate) fn of(&self, worker: usize) -> SimTable<'_> {
        match self {
            Self::Memory(table) => SimTable::Memory(table),
            Self::DynamoDb(table) => SimTable::DynamoDb(table.of(worker)),
        }
    }

    /// Moves the table's clock.
    pub(crate) fn pass(&self, time: Duration) {
        match self {
            Self::Memory(table) => table.pass(time),
            Self::DynamoDb(table) => table.pass(time),
        }
    }
}

/// Calls a method of the table that there is.
macro_rules! delegate {
    ($table:expr, $method:ident($($argument:expr),*)) => {
        match $table {
            SimTable::Memory(table) => table.$method($($argument),*).await,
            SimTable::DynamoDb(table) => table.$method($($argument),*).await,
        }
    };
}

impl SimTable<'_> {
    /// Returns all jobs, the newest first.
    pub(crate) async fn all(&self) -> Result<Vec<Job>, LedgerError> {
        match self {
            SimTable::Memory(table) => table.jobs_of(&JobFilter::default(), None, u32::MAX).await,
            SimTable::DynamoDb(table) => table.all(),
        }
    }
}

impl JobTable for SimTable<'_> {
    async fn insert(&self, entry: &Entry) -> Result<Inserted, LedgerError> {
        delegate!(self, insert(entry))
    }

    async fn get(&self, id: &JobId) -> Result<Option<Stored>, LedgerError> {
        delegate!(self, get(id))
    }

    async fn replace(&self, read: &Stored, entry: &Entry) -> Result<Replaced, LedgerError> {
        delegate!(self, replace(read, entry))
    }

    async fn delete(&self, read: &Stored) -> Result<bool, LedgerError> {
        delegate!(self, delete(read))
    }

    async fn status(&self, id: &JobId) -> Result<Option<JobStatus>, LedgerError> {
        delegate!(self, status(id))
    }

    async fn reusable_receipt(
        &self,
        fingerprint: Fingerprint<'_>,
        max_age: Duration,
    ) -> Result<Option<Receipt>, LedgerError> {
        delegate!(self, reusable_receipt(fingerprint, max_age))
    }

    async fn last_led(&self, shared_fingerprint: &str, since: Timestamp) -> Result<Option<Job>, LedgerError> {
        delegate!(self, last_led(shared_fingerprint, since))
    }

    async fn followers(&self, shared_fingerprint: &str, limit: u32) -> Result<Vec<JobId>, LedgerError> {
        delegate!(self, followers(shared_fingerprint, limit))
    }

    async fn stale(&self, filter: StaleFilter, limit: u32) -> Result<Vec<Job>, LedgerError> {
        delegate!(self, stale(filter, limit))
    }

    async fn forget_access(&self, limit: u32) -> Result<u64, LedgerError> {
        delegate!(self, forget_access(limit))
    }
}
