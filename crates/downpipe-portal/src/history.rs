//! The jobs of the past from which estimates are made. A process reads them from the ledger once a minute for each definition.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use downpipe_app::estimate::HISTORY;
use downpipe_core::catalog::Definition;
use downpipe_core::job::Job;
use downpipe_core::ledger::{JobQueries, Ledger, LedgerError};
use downpipe_core::mutex::lock;
use tokio::time::Instant;

/// How long a history is used before it is read again.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Histories by the version of their definition.
#[derive(Debug, Default)]
pub struct Histories(Mutex<BTreeMap<String, History>>);

#[derive(Debug)]
struct History {
    jobs: Arc<Vec<Job>>,
    read_at: Instant,
}

impl Histories {
    /// Makes histories of which none is read yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the latest jobs that made a file with this definition.
    pub(crate) async fn of<T: JobQueries>(
        &self,
        definition: &Definition,
        ledger: &Ledger<T>,
    ) -> Result<Arc<Vec<Job>>, LedgerError> {
        let version = &definition.sha256;
        if let Some(jobs) = self.fresh(version) {
            return Ok(jobs);
        }
        let jobs = Arc::new(ledger.last_of_definition(version, HISTORY).await?);
        let history = History { jobs: Arc::clone(&jobs), read_at: Instant::now() };
        lock(&self.0).insert(version.clone(), history);
        Ok(jobs)
    }

    fn fresh(&self, version: &str) -> Option<Arc<Vec<Job>>> {
        let histories = lock(&self.0);
        let history = histories.get(version)?;
        (history.read_at.elapsed() < READ_AGAIN_AFTER).then(|| Arc::clone(&history.jobs))
    }
}
