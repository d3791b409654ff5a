//! What the portal needs to know, read from the environment once.
//!
//! The variables are listed in [`downpipe_app::config`]. The portal reads `DOWNPIPE_PORTAL_URL`, `DOWNPIPE_PORTAL_SECRET`,
//! `DOWNPIPE_LINK_SECRET`,
//! `DOWNPIPE_LOGIN`, `DOWNPIPE_OPERATORS`, `DOWNPIPE_JOBS_PER_PERSON` and `DOWNPIPE_DOWNLOAD_SECONDS`, and those that the worker
//! reads for the catalog, the ledger, the queue, the bucket and the cache. It reads no login of the database where the ledger is in
//! DynamoDB.

use std::time::Duration;

use downpipe_app::config::{
    CacheConfig, CatalogLocation, ConfigError, DatabaseConfig, Environment, LedgerConfig, Login,
    SecretLocation,
};
use downpipe_core::requester::Requester;

/// Everything the portal needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortalConfig {
    /// Where the portal is, as people and apps name it: the audience of tokens.
    pub url: String,
    /// Where the apps and their keys are.
    pub secret: SecretLocation,
    /// Where the keys of the links in e-mails are.
    pub link_secret: SecretLocation,
    /// How people log in.
    pub login: Login,
    /// Who sees and cancels every job.
    pub operators: Vec<Requester>,
    /// How many jobs a person may have under way.
    pub jobs_per_person: u32,
    /// How long a signed download is valid.
    pub download_time: Duration,
    /// Where the definitions are.
    pub catalog: CatalogLocation,
    /// Where the key of masks is. Without it, a masked export that was sent to the queue is not the same as one asked for here.
    pub signing_secret: Option<SecretLocation>,
    /// Where the ledger is.
    pub ledger: LedgerConfig,
    /// The database of a ledger in MySQL.
    pub database: Option<DatabaseConfig>,
    /// The cache, in which workers keep the progress of jobs.
    pub cache: CacheConfig,
    /// Where the files are.
    pub bucket: String,
    /// The queue of the workers.
    pub queue_url: String,
}

impl PortalConfig {
    /// Reads the environment of this process.
    ///
    /// # Errors
    /// With everything missing or wrong, at once.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::read(&|name| std::env::var(name).ok())
    }

    /// Reads the variables that this function returns.
    ///
    /// # Errors
    /// With everything missing or wrong, at once.
    pub fn read(variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut env = Environment::new(variable);
        let ledger = env.ledger();
        let config = Self {
            url: env.required_portal_url(),
            secret: env.portal_secret(),
            link_secret: env.required_link_secret(),
            login: env.login(),
            operators: env.operators(),
            jobs_per_person: env.jobs_per_person(),
            download_time: env.download_time(),
            catalog: env.catalog(),
            signing_secret: env.signing_secret(),
            database: (ledger == LedgerConfig::MySql).then(|| env.database()),
            ledger,
            cache: env.cache(),
            bucket: env.bucket(),
            queue_url: env.queue_url(),
        };
        env.complete(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<PortalConfig, ConfigError> {
        PortalConfig::read(&|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn environment_with_variables_missing_is_refused_naming_all() {
        let error = read(&[("DOWNPIPE_LOGIN", "oidc"), ("DOWNPIPE_DOWNLOAD_SECONDS", "5")]).unwrap_err();
        insta::assert_snapshot!(error.to_string().replace("; ", ";\n"), @r#"
        the environment is not complete: DOWNPIPE_PORTAL_URL: expected an http(s) URL without ? and #, got nothing;
        DOWNPIPE_PORTAL_SECRET: expected the name or ARN of a secret, or file:PATH, got nothing;
        DOWNPIPE_LINK_SECRET: expected the name or ARN of a secret, or file:PATH, because of DOWNPIPE_PORTAL_URL, got nothing;
        DOWNPIPE_LOGIN: expected none, got "oidc", which this version does not have;
        DOWNPIPE_DOWNLOAD_SECONDS: expected a whole number from 60 to 3600, got "5";
        DOWNPIPE_CATALOG: expected a folder or s3://BUCKET/PREFIX, got nothing;
        DATABASE_URL or DOWNPIPE_DATABASE_SECRET: expected one of them, got neither;
        DOWNPIPE_BUCKET: expected the name of a bucket, got nothing;
        DOWNPIPE_QUEUE_URL: expected the URL of an SQS queue, got nothing
        "#);
    }

    #[test]
    fn ledger_in_dynamodb_needs_no_database() {
        let config = read(&[
            ("DOWNPIPE_PORTAL_URL", "https://exports.example.com/"),
            ("DOWNPIPE_PORTAL_SECRET", "file:/etc/portal.json"),
            ("DOWNPIPE_LINK_SECRET", "file:/etc/links.json"),
            ("DOWNPIPE_LOGIN", "none"),
            ("DOWNPIPE_CATALOG", "exports"),
            ("DOWNPIPE_LEDGER", "dynamodb:jobs"),
            ("DOWNPIPE_BUCKET", "files"),
            ("DOWNPIPE_QUEUE_URL", "https://sqs.example/1/q"),
        ])
        .unwrap();
        assert_eq!((config.url.as_str(), config.database), ("https://exports.example.com", None));
        assert_eq!(config.secret, SecretLocation::File("/etc/portal.json".into()));
    }
}
