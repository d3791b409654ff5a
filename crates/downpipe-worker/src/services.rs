//! The configuration turned into things that work: database, catalog, clients.

use std::path::Path;

use downpipe_aws::{CatalogFetchError, S3Store, SdkConfig, SecretLogin, SnsTopic};
use downpipe_core::catalog::{Catalog, CatalogError, DefinitionFile};
use downpipe_mysql::{Database, InvalidUrl, MySqlLedger, MySqlSource};

use crate::config::{CatalogLocation, DatabaseConfig, WorkerConfig};
use crate::handle::Worker;

/// The worker as it runs in production.
pub type AwsWorker = Worker<MySqlLedger<SecretLogin>, MySqlSource<SecretLogin>, S3Store, SnsTopic>;

/// Why there is nothing to work with.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// `DATABASE_URL` is no database URL.
    #[error("DATABASE_URL: {0}")]
    Url(#[from] InvalidUrl),
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
    Catalog(#[from] CatalogError),
    /// There is not one definition.
    #[error("the catalog {0} has no definitions (*.toml)")]
    Empty(String),
}

/// Builds the worker. Connects to nothing but, for a catalog in S3, to S3: Lambda gives the start ten seconds, and a
/// database that is down must not look like a broken function.
///
/// # Errors
/// When the URL or the catalog is wrong.
pub async fn build(config: &WorkerConfig, aws: &SdkConfig) -> Result<AwsWorker, ServiceError> {
    Ok(Worker {
        catalog: load_catalog(&config.catalog, aws).await?,
        ledger: MySqlLedger::new(database(&config.database, aws)?),
        source: MySqlSource::new(database(&config.database, aws)?),
        store: S3Store::new(aws, &config.bucket),
        notifier: SnsTopic::new(aws, &config.topic_arn),
        prefix: config.prefix.clone(),
        portal_url: config.portal_url.clone(),
    })
}

/// The database to export from.
///
/// # Errors
/// When the URL is none.
pub fn database(config: &DatabaseConfig, aws: &SdkConfig) -> Result<Database<SecretLogin>, InvalidUrl> {
    match config {
        DatabaseConfig::Url(url) => Database::at_url(url),
        DatabaseConfig::Secret(secret) => Ok(Database::with_login(SecretLogin::new(aws, secret))),
    }
}

/// The catalog.
///
/// # Errors
/// When it cannot be read, is empty, or a definition is wrong: every wrong one is named.
pub async fn load_catalog(location: &CatalogLocation, aws: &SdkConfig) -> Result<Catalog, ServiceError> {
    let (name, files) = match location {
        CatalogLocation::Folder(folder) => {
            let name = folder.display().to_string();
            let files = read_folder(folder)
                .map_err(|source| ServiceError::Folder { folder: name.clone(), source })?;
            (name, files)
        }
        CatalogLocation::S3 { bucket, prefix } => {
            (format!("s3://{bucket}/{prefix}"), downpipe_aws::fetch_catalog(aws, bucket, prefix).await?)
        }
    };
    let catalog = Catalog::parse(&files)?;
    if catalog.is_empty() { Err(ServiceError::Empty(name)) } else { Ok(catalog) }
}

fn read_folder(folder: &Path) -> std::io::Result<Vec<DefinitionFile>> {
    let mut paths = std::fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let read = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(&path)?;
        Ok(DefinitionFile { file: path.display().to_string(), text })
    };
    paths.into_iter().map(read).collect()
}
