//! Builds what the configuration describes: database, catalog, clients.

mod cache;

pub use self::cache::{CacheSettingsError, cache};

use std::path::Path;
use std::time::Duration;

use downpipe_aws::{
    AnyCache, AnyNotifier, CacheAddress, CacheLimits, CannotSign, CatalogFetchError, DatabaseLogin,
    DynamoJobTable, IamLogin, S3Store, SdkConfig, SecretLogin, SesMailer, SnsTopic, SqsQueue,
};
use downpipe_core::cache::JobCache;
use downpipe_core::catalog::{Catalog, CatalogError, DefinitionFile};
use downpipe_core::ledger::Ledger;
use downpipe_mysql::{
    Database, InvalidAuthorities, InvalidUrl, MySqlJobTable, MySqlSource, RootCertificates, account_at,
};

use crate::config::{
    CatalogLocation, DatabaseConfig, LedgerConfig, LoginConfig, NoticeConfig, PortalLink, WorkerConfig,
};
use crate::kept_secret::{KeptSecret, KeptSecretError};
use crate::ledger_table::LedgerTable;
use crate::link::Links;
use crate::ports::Ports;
use crate::signing::{self, SigningError};
use crate::worker::{LEASE, Worker};

/// The ports in production.
#[derive(Debug)]
pub enum AwsPorts {}

impl Ports for AwsPorts {
    type Table = LedgerTable;
    type Source = MySqlSource<DatabaseLogin>;
    type Store = S3Store;
    type Notifier = AnyNotifier;
    type Queue = SqsQueue;
    type Cache = AnyCache;
}

/// The longest run that Lambda gives, and the default of `downpipe worker --run-seconds`.
const LONGEST_RUN: Duration = Duration::from_secs(900);

/// The worker as it runs in production.
pub type AwsWorker = Worker<AwsPorts>;

/// Why the worker cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The database cannot be connected to with these settings.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// There can be no cache with these settings.
    #[error(transparent)]
    Cache(#[from] CacheSettingsError),
    /// The catalog's folder cannot be read.
    #[error("the catalog folder {folder} cannot be read")]
    Folder {
        /// The folder.
        folder: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The catalog's bucket cannot be read.
    #[error("the catalog cannot be fetched")]
    Fetch(#[from] CatalogFetchError),
    /// A definition is wrong.
    #[error("the catalog has definitions that are wrong:\n{0}")]
    Catalog(CatalogError),
    /// A definition needs a key that is missing.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The keys of links cannot be used.
    #[error(transparent)]
    Link(#[from] KeptSecretError),
    /// The catalog has no definition.
    #[error("the catalog {0} has no definitions (*.toml)")]
    Empty(String),
}

/// Why the database cannot be connected to.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// `DATABASE_URL` is no database URL.
    #[error("DATABASE_URL: {0}")]
    Url(InvalidUrl),
    /// The file with the root certificates cannot be read.
    #[error("DOWNPIPE_DATABASE_CA: the file {file} cannot be read")]
    CaFile {
        /// The file.
        file: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The file has no root certificates.
    #[error("DOWNPIPE_DATABASE_CA: {file}: {source}")]
    Ca {
        /// The file.
        file: String,
        /// What is wrong with it.
        source: InvalidAuthorities,
    },
    /// Tokens cannot be signed.
    #[error("DOWNPIPE_DATABASE_AUTH: {0}")]
    CannotSign(CannotSign),
}

/// Builds the worker. Connects only to S3 for a catalog there, and to Secrets Manager where a definition masks by hash, where
/// there is a cache, or where notices link to a portal.
///
/// Lambda gives the start ten seconds, and a database that is down must not look like a broken function.
///
/// # Errors
/// When the URL or the catalog is wrong, or a key that it needs is missing.
pub async fn build(config: &WorkerConfig, aws: &SdkConfig) -> Result<AwsWorker, ServiceError> {
    let catalog = load_catalog(&config.catalog, aws).await?;
    Ok(Worker {
        catalog: signing::with_mask_key(catalog, config.signing_secret.as_ref(), aws).await?,
        ledger: Ledger::new(ledger_table(&config.ledger, aws, || database(&config.database, aws))?),
        source: MySqlSource::new(database(&config.database, aws)?),
        store: S3Store::new(aws, &config.bucket),
        notifier: notifier(&config.notices, aws),
        queue: SqsQueue::new(aws, &config.queue_url),
        cache: job_cache(config, aws).await?,
        lease: LEASE,
        ledger_retention: config.ledger_retention,
        prefix: config.prefix.clone(),
        language: config.language,
        links: links(config.portal.as_ref(), aws).await?,
    })
}

/// Builds what makes the links of notices, with its keys. Without a portal no keys are fetched.
async fn links(portal: Option<&PortalLink>, aws: &SdkConfig) -> Result<Option<Links>, KeptSecretError> {
    let Some(PortalLink { url, secret }) = portal else { return Ok(None) };
    Ok(Some(Links { portal_url: url.clone(), keys: KeptSecret::open(secret, aws).await? }))
}

fn notifier(config: &NoticeConfig, aws: &SdkConfig) -> AnyNotifier {
    match config {
        NoticeConfig::Sns { topic_arn } => AnyNotifier::Sns(SnsTopic::new(aws, topic_arn)),
        NoticeConfig::Ses { from, operators, topic_arn } => {
            let topic = topic_arn.as_ref().map(|arn| SnsTopic::new(aws, arn));
            AnyNotifier::Ses(SesMailer::new(aws, from, operators.clone(), topic))
        }
    }
}

/// Builds the ledger's table. Builds the database only if the ledger is in it.
///
/// # Errors
/// When the database cannot be built.
pub fn ledger_table<E>(
    config: &LedgerConfig,
    aws: &SdkConfig,
    database: impl FnOnce() -> Result<Database<DatabaseLogin>, E>,
) -> Result<LedgerTable, E> {
    ledger_table_for(1, config, aws, database)
}

/// Builds the ledger's table for so many statements at once. Builds the database only if the ledger is in it.
///
/// # Errors
/// When the database cannot be built.
pub fn ledger_table_for<E>(
    statements: usize,
    config: &LedgerConfig,
    aws: &SdkConfig,
    database: impl FnOnce() -> Result<Database<DatabaseLogin>, E>,
) -> Result<LedgerTable, E> {
    Ok(match config {
        LedgerConfig::MySql => LedgerTable::MySql(MySqlJobTable::with_connections(database()?, statements)),
        LedgerConfig::DynamoDb(config) => LedgerTable::DynamoDb(DynamoJobTable::new(aws, config)),
    })
}

/// Builds the worker's cache, with the keys of its receipts. Without a cache no keys are fetched.
async fn job_cache(config: &WorkerConfig, aws: &SdkConfig) -> Result<JobCache<AnyCache>, ServiceError> {
    let cache = cache(&config.cache, aws, CacheLimits::default())?;
    let keys = match config.cache.address {
        CacheAddress::None => None,
        _ => Some(signing::receipt_keys(config.signing_secret.as_ref(), aws).await?),
    };
    Ok(JobCache::new(cache, keys))
}

/// Builds the database to export from.
///
/// # Errors
/// When the URL is wrong, the root certificates cannot be read, or tokens cannot be signed.
pub fn database(config: &DatabaseConfig, aws: &SdkConfig) -> Result<Database<DatabaseLogin>, DatabaseError> {
    let (DatabaseConfig::Url { ca, .. } | DatabaseConfig::Login { ca, .. }) = config;
    let root_certificates = ca.as_deref().map(read_authorities).transpose()?;
    let login = match config {
        DatabaseConfig::Url { url, .. } => {
            return Database::at_url_trusting(url, root_certificates.as_ref()).map_err(DatabaseError::Url);
        }
        DatabaseConfig::Login { login, .. } => login,
    };
    let login = match login {
        LoginConfig::Secret(secret) => DatabaseLogin::Password(SecretLogin::new(aws, secret)),
        LoginConfig::TokenForSecret(secret) => {
            DatabaseLogin::Token(IamLogin::of_secret(aws, secret).map_err(DatabaseError::CannotSign)?)
        }
        LoginConfig::TokenForUrl(url) => DatabaseLogin::Token(
            IamLogin::of_account(aws, account_at(url).map_err(DatabaseError::Url)?)
                .map_err(DatabaseError::CannotSign)?,
        ),
    };
    Ok(Database::with_login(login, root_certificates.unwrap_or_else(RootCertificates::rds)))
}

fn read_authorities(path: &Path) -> Result<RootCertificates, DatabaseError> {
    let file = path.display().to_string();
    match std::fs::read(path) {
        Ok(pem) => RootCertificates::from_pem(&pem).map_err(|source| DatabaseError::Ca { file, source }),
        Err(source) => Err(DatabaseError::CaFile { file, source }),
    }
}

/// Loads the catalog.
///
/// # Errors
/// When it cannot be read, is empty, or has wrong definitions. Names every wrong one.
pub async fn load_catalog(location: &CatalogLocation, aws: &SdkConfig) -> Result<Catalog, ServiceError> {
    read_catalog(location, aws).await?.complete().map_err(ServiceError::Catalog)
}

/// Reads the catalog, wrong definitions included.
///
/// # Errors
/// When it cannot be read, or is empty.
pub async fn read_catalog(location: &CatalogLocation, aws: &SdkConfig) -> Result<Catalog, ServiceError> {
    let (name, catalog) = match location {
        CatalogLocation::Folder(folder) => {
            let name = folder.display().to_string();
            let catalog = read_folder(folder)
                .map_err(|source| ServiceError::Folder { folder: name.clone(), source })?;
            (name, catalog)
        }
        CatalogLocation::S3 { bucket, prefix } => {
            let files = downpipe_aws::fetch_catalog(aws, bucket, prefix).await?;
            (format!("s3://{bucket}/{prefix}"), Catalog::read(&files))
        }
    };
    if catalog.is_empty() { Err(ServiceError::Empty(name)) } else { Ok(catalog.for_runs_of(LONGEST_RUN)) }
}

/// Reads the catalog of a folder. A file that cannot be read, or is no text, is a wrong definition.
fn read_folder(folder: &Path) -> std::io::Result<Catalog> {
    let mut paths = std::fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let (mut files, mut unreadable) = (Vec::new(), Vec::new());
    for path in paths {
        let file = path.display().to_string();
        match std::fs::read_to_string(&path) {
            Ok(text) => files.push(DefinitionFile { file, text }),
            Err(error) => unreadable.push((file, error)),
        }
    }
    let mut catalog = Catalog::read(&files);
    for (file, error) in unreadable {
        catalog.add_wrong(&file, format!("the file cannot be read: {error}"));
    }
    Ok(catalog)
}
