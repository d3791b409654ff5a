//! The configuration turned into things that work: database, catalog, clients.

use std::path::Path;

use downpipe_aws::{
    CannotSign, CatalogFetchError, DatabaseLogin, IamLogin, S3Store, SdkConfig, SecretLogin, SnsTopic,
    SqsQueue,
};
use downpipe_core::catalog::{Catalog, CatalogError, DefinitionFile};
use downpipe_mysql::{
    Authorities, Database, InvalidAuthorities, InvalidUrl, MySqlLedger, MySqlSource, account_at,
};

use crate::config::{CatalogLocation, DatabaseConfig, LoginConfig, WorkerConfig};
use crate::handle::{LEASE, Worker};

/// The worker as it runs in production.
pub type AwsWorker =
    Worker<MySqlLedger<DatabaseLogin>, MySqlSource<DatabaseLogin>, S3Store, SnsTopic, SqsQueue>;

/// Why there is nothing to work with.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The database cannot be connected to with these settings.
    #[error(transparent)]
    Database(#[from] DatabaseError),
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

/// Why the database cannot be connected to.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// `DATABASE_URL` is no database URL.
    #[error("DATABASE_URL: {0}")]
    Url(#[from] InvalidUrl),
    /// The file with the certificate authorities cannot be read.
    #[error("DOWNPIPE_DATABASE_CA: the file {file} cannot be read")]
    CaFile {
        /// The file.
        file: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// There are no certificate authorities in it.
    #[error("DOWNPIPE_DATABASE_CA: {file}: {source}")]
    Ca {
        /// The file.
        file: String,
        /// What it is not.
        source: InvalidAuthorities,
    },
    /// There is nothing to sign tokens with.
    #[error("DOWNPIPE_DATABASE_AUTH: {0}")]
    CannotSign(#[from] CannotSign),
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
        queue: SqsQueue::new(aws, &config.queue_url),
        lease: LEASE,
        prefix: config.prefix.clone(),
        portal_url: config.portal_url.clone(),
    })
}

/// The database to export from.
///
/// # Errors
/// When the URL is none, the certificate authorities cannot be read, or tokens cannot be signed.
pub fn database(config: &DatabaseConfig, aws: &SdkConfig) -> Result<Database<DatabaseLogin>, DatabaseError> {
    let (login, ca) = match config {
        DatabaseConfig::Url(url) => return Ok(Database::at_url(url)?),
        DatabaseConfig::Login { login, ca } => (login, ca),
    };
    let login = match login {
        LoginConfig::Secret(secret) => DatabaseLogin::Password(SecretLogin::new(aws, secret)),
        LoginConfig::TokenForSecret(secret) => DatabaseLogin::Token(IamLogin::of_secret(aws, secret)?),
        LoginConfig::TokenForUrl(url) => DatabaseLogin::Token(IamLogin::of_account(aws, account_at(url)?)?),
    };
    let authorities = ca.as_deref().map_or_else(|| Ok(Authorities::rds()), read_authorities)?;
    Ok(Database::with_login(login, authorities))
}

fn read_authorities(path: &Path) -> Result<Authorities, DatabaseError> {
    let file = path.display().to_string();
    match std::fs::read(path) {
        Ok(pem) => Authorities::from_pem(&pem).map_err(|source| DatabaseError::Ca { file, source }),
        Err(source) => Err(DatabaseError::CaFile { file, source }),
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
