//! The table of the ledger, wherever the configuration has it.

use std::time::Duration;

use downpipe_aws::{DatabaseLogin, DynamoJobTable};
use downpipe_core::job::{Job, JobId, Receipt};
use downpipe_core::ledger::{
    AccessRecords, Cursor, Download, Entry, Fingerprint, Inserted, JobFilter, JobQueries, JobStatus,
    JobTable, LedgerError, Replaced, StaleFilter, Stored,
};
use downpipe_core::requester::Requester;
use downpipe_mysql::MySqlJobTable;
use jiff::Timestamp;

/// The table of the ledger in MySQL or in DynamoDB.
#[derive(Debug)]
pub enum LedgerTable {
    /// In MySQL.
    MySql(MySqlJobTable<DatabaseLogin>),
    /// In DynamoDB.
    DynamoDb(DynamoJobTable),
}

impl LedgerTable {
    /// Checks that the ledger answers and is as this version needs it. Returns what was done, in words.
    ///
    /// # Errors
    /// When it is missing or different, refuses, or does not answer.
    pub async fn check(&self) -> Result<String, LedgerError> {
        match self {
            Self::MySql(table) => {
                table.jobs_of(&JobFilter::default(), None, 1).await?;
                Ok("Success: Fetched the latest job from the ledger in MySQL".to_owned())
            }
            Self::DynamoDb(table) => {
                let value = table.probe().await?;
                Ok(format!("Success: Inserted {value}. Fetched {value} from the ledger in DynamoDB"))
            }
        }
    }
}

/// Calls a method of the table that there is.
macro_rules! delegate {
    ($table:expr, $method:ident($($argument:expr),*)) => {
        match $table {
            LedgerTable::MySql(table) => table.$method($($argument),*).await,
            LedgerTable::DynamoDb(table) => table.$method($($argument),*).await,
        }
    };
}

impl JobTable for LedgerTable {
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

impl JobQueries for LedgerTable {
    async fn jobs_of(
        &self,
        filter: &JobFilter<'_>,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Vec<Job>, LedgerError> {
        delegate!(self, jobs_of(filter, after, limit))
    }

    async fn several(&self, ids: &[JobId]) -> Result<Vec<Job>, LedgerError> {
        delegate!(self, several(ids))
    }

    async fn ahead(&self, job: &Job) -> Result<u64, LedgerError> {
        delegate!(self, ahead(job))
    }

    async fn last_of_definition(&self, definition_sha256: &str, limit: u32) -> Result<Vec<Job>, LedgerError> {
        delegate!(self, last_of_definition(definition_sha256, limit))
    }

    async fn unended_of(&self, requester: &Requester, limit: u32) -> Result<Vec<Job>, LedgerError> {
        delegate!(self, unended_of(requester, limit))
    }
}

impl AccessRecords for LedgerTable {
    async fn record_download(&self, download: &Download) -> Result<(), LedgerError> {
        delegate!(self, record_download(download))
    }

    async fn downloads(&self, job: &JobId) -> Result<Vec<Download>, LedgerError> {
        delegate!(self, downloads(job))
    }

    async fn end_session(&self, digest: &str, until: Timestamp) -> Result<(), LedgerError> {
        delegate!(self, end_session(digest, until))
    }

    async fn is_session_ended(&self, digest: &str) -> Result<bool, LedgerError> {
        delegate!(self, is_session_ended(digest))
    }
}
