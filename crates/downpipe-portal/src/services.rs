//! Builds the portal that the configuration describes.

use downpipe_app::config::Login;
use downpipe_app::kept_secret::{KeptSecret, KeptSecretError};
use downpipe_app::ledger_table::LedgerTable;
use downpipe_app::services::{
    CacheSettingsError, DatabaseError, ServiceError, cache, database, ledger_table_for, load_catalog,
};
use downpipe_app::signing::{SigningError, with_mask_key};
use downpipe_aws::{AnyCache, CacheLimits, S3Store, SdkConfig, SqsQueue, while_a_person_waits};
use downpipe_core::cache::JobCache;
use downpipe_core::catalog::{Catalog, LinkAccess};
use downpipe_core::ledger::Ledger;

use crate::config::PortalConfig;
use crate::history::Histories;
use crate::limits::{REQUESTS_PER_SECOND, RequestLimits};
use crate::portal::{Portal, Ports};
use crate::secret::SecretStore;
use crate::watch::Watched;

/// The most statements that a portal's process sends to MySQL at once. Each takes a millisecond or two, so that four connections
/// serve more requests than a process answers, and twenty processes take 80 connections of a server's usual 151.
const LEDGER_CONNECTIONS: usize = 4;

/// The ports in production.
#[derive(Debug)]
pub enum AwsPorts {}

impl Ports for AwsPorts {
    type Table = LedgerTable;
    type Queue = SqsQueue;
    type Store = S3Store;
    type Cache = AnyCache;
}

/// Why the portal cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The catalog cannot be loaded.
    #[error(transparent)]
    Catalog(#[from] ServiceError),
    /// The key of masks cannot be read.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The database of the ledger cannot be connected to with these settings.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// There can be no cache with these settings.
    #[error(transparent)]
    Cache(#[from] CacheSettingsError),
    /// A secret cannot be read, or is wrong.
    #[error(transparent)]
    Secret(#[from] KeptSecretError),
    /// Links of these definitions ask for a login, and there is none.
    #[error(
        "access.link: expected \"holder\" in every definition, because of DOWNPIPE_LOGIN=none, got \"requester\" in {0}"
    )]
    LinksAskForLogin(String),
}

/// Builds the portal. Connects only to Secrets Manager, and to S3 for a catalog there.
///
/// # Errors
/// When the catalog or the secret is wrong, or a setting cannot be used.
pub async fn build(config: &PortalConfig, aws: &SdkConfig) -> Result<Portal<AwsPorts>, BuildError> {
    let catalog = load_catalog(&config.catalog, aws).await?;
    let catalog = match &config.signing_secret {
        Some(secret) => with_mask_key(catalog, Some(secret), aws).await?,
        None => catalog,
    };
    let secrets = SecretStore::open(&config.secret, aws).await?;
    let asking: Vec<String> = asking_for_login(&catalog).map(str::to_owned).collect();
    if config.login == Login::None && !asking.is_empty() {
        return Err(BuildError::LinksAskForLogin(asking.join(", ")));
    }
    let database = || match &config.database {
        Some(config) => database(config, aws),
        None => unreachable!("the configuration has a database where the ledger is in MySQL"),
    };
    let aws = &while_a_person_waits(aws);
    Ok(Portal {
        catalog,
        ledger: Ledger::new(ledger_table_for(LEDGER_CONNECTIONS, &config.ledger, aws, database)?),
        queue: SqsQueue::new(aws, &config.queue_url),
        store: S3Store::new(aws, &config.bucket),
        cache: JobCache::new(cache(&config.cache, aws, CacheLimits::default())?, None),
        secrets,
        links: KeptSecret::open(&config.link_secret, aws).await?,
        url: config.url.clone(),
        operators: config.operators.clone(),
        jobs_per_person: config.jobs_per_person,
        download_time: config.download_time,
        limits: RequestLimits::new(REQUESTS_PER_SECOND),
        histories: Histories::new(),
        watched: Watched::new(),
    })
}

/// Returns the names of the definitions whose links ask for a login.
fn asking_for_login(catalog: &Catalog) -> impl Iterator<Item = &str> {
    let asks = |name: &&str| {
        catalog.get(name).is_some_and(|definition| definition.access.link() == LinkAccess::Requester)
    };
    catalog.names().filter(asks)
}
