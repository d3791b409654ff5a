//! The portal: what it stands on, and its limits.

use std::time::Duration;

use downpipe_app::click::Clicks;
use downpipe_app::kept_secret::KeptSecret;
use downpipe_core::cache::{Cache, JobCache};
use downpipe_core::catalog::Catalog;
use downpipe_core::ledger::{AccessRecords, JobQueries, JobTable, Ledger};
use downpipe_core::link::LinkKeys;
use downpipe_core::queue::Queue;
use downpipe_core::requester::Requester;
use downpipe_core::store::{DownloadStore, ResumableStore};

use crate::history::Histories;
use crate::limits::RequestLimits;
use crate::secret::SecretStore;
use crate::watch::Watched;

/// One implementation of every port of the portal. A type that implements it has no values: it only names them.
pub trait Ports: 'static {
    /// Keeps jobs, under the rules of the [`Ledger`], and downloads.
    type Table: JobTable + JobQueries + AccessRecords + 'static;
    /// Takes messages to workers.
    type Queue: Queue + 'static;
    /// Has the files, and signs downloads.
    type Store: ResumableStore + DownloadStore + 'static;
    /// Has the progress of jobs that run.
    type Cache: Cache + 'static;
}

/// A portal with everything it stands on.
pub struct Portal<P: Ports> {
    /// What may be exported.
    pub catalog: Catalog,
    /// Remembers jobs.
    pub ledger: Ledger<P::Table>,
    /// Takes messages to workers.
    pub queue: P::Queue,
    /// Has the files, and signs downloads.
    pub store: P::Store,
    /// Has the progress of jobs that run.
    pub cache: JobCache<P::Cache>,
    /// The apps that may send people, with their keys.
    pub secrets: SecretStore,
    /// The keys of the links in e-mails.
    pub links: KeptSecret<LinkKeys>,
    /// Where the portal is, without a slash at its end: the audience of tokens.
    pub url: String,
    /// Who sees and cancels every job.
    pub operators: Vec<Requester>,
    /// How many jobs a person may have under way.
    pub jobs_per_person: u32,
    /// How long a signed download is valid.
    pub download_time: Duration,
    /// How many requests a person may make.
    pub limits: RequestLimits,
    /// The jobs from which estimates are made.
    pub histories: Histories,
    /// The jobs that pages watch.
    pub watched: Watched,
}

impl<P: Ports> Portal<P> {
    /// Returns what accepts clicks.
    pub(crate) fn clicks(&self) -> Clicks<'_, P::Table, P::Queue, P::Store> {
        Clicks { ledger: &self.ledger, queue: &self.queue, store: &self.store }
    }
}
