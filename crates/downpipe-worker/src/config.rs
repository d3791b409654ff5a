//! The environment, read once.
//!
//! | Variable | What it is |
//! |---|---|
//! | `DATABASE_URL` | `mysql://USER:PASSWORD@HOST:PORT/DATABASE`; or |
//! | `DOWNPIPE_DATABASE_SECRET` | ARN or name of an RDS-style JSON secret in Secrets Manager |
//! | `DOWNPIPE_DATABASE_AUTH` | `password` (default), or `iam`: a token for each connection, and no password |
//! | `DOWNPIPE_DATABASE_CA` | a PEM file: the certificate authorities of a database that is not RDS's |
//! | `DOWNPIPE_LEDGER` | `mysql` (default): the ledger's tables are in the same database |
//! | `DOWNPIPE_CACHE` | `none` (default) |
//! | `DOWNPIPE_CATALOG` | a folder, or `s3://BUCKET/PREFIX` |
//! | `DOWNPIPE_BUCKET` | where finished files go |
//! | `DOWNPIPE_PREFIX` | what their keys begin with (default: nothing) |
//! | `DOWNPIPE_QUEUE_URL` | the queue the messages come from |
//! | `DOWNPIPE_DEAD_LETTER_QUEUE_URL` | for `downpipe redrive`: where its dead letters are (default: where the queue itself says) |
//! | `DOWNPIPE_TOPIC_ARN` | the topic of the e-mails |
//! | `DOWNPIPE_PORTAL_URL` | what e-mails link to; without it they say how to fetch the file from S3 |
//! | `RUST_LOG` | how much is logged; read by [`logging`](crate::logging) |
//!
//! Region, credentials and endpoints are the AWS SDK's own settings. A relative folder or file is meant from
//! `LAMBDA_TASK_ROOT`, where Lambda unpacks the package.
//!
//! A `DATABASE_URL` with a password says itself how the connection is encrypted and verified:
//! `?ssl-mode=VERIFY_IDENTITY&ssl-ca=FILE`. A login from a secret, or with a token, goes only to a server that is verified:
//! with the authorities of RDS, which are built in, or with those of `DOWNPIPE_DATABASE_CA`. A URL for `iam` is
//! `mysql://USER@HOST:PORT/DATABASE` and nothing more.

use std::fmt;
use std::path::{Path, PathBuf};

/// Everything the worker needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerConfig {
    /// The database to export from, which also holds the ledger.
    pub database: DatabaseConfig,
    /// Where the definitions are.
    pub catalog: CatalogLocation,
    /// Where finished files go.
    pub bucket: String,
    /// What their keys begin with.
    pub prefix: String,
    /// The queue the messages come from.
    pub queue_url: String,
    /// The topic of the e-mails.
    pub topic_arn: String,
    /// What e-mails link to.
    pub portal_url: Option<String>,
}

/// How to reach the database.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseConfig {
    /// `DATABASE_URL`, with a password in it.
    Url(String),
    /// A login that goes only to a server that is verified.
    Login {
        /// Where it is had.
        login: LoginConfig,
        /// `DOWNPIPE_DATABASE_CA`; RDS's without it.
        ca: Option<PathBuf>,
    },
}

/// Where the login is had.
#[derive(Clone, PartialEq, Eq)]
pub enum LoginConfig {
    /// `DOWNPIPE_DATABASE_SECRET`, password and all.
    Secret(String),
    /// A token for the account in `DOWNPIPE_DATABASE_SECRET`.
    TokenForSecret(String),
    /// A token for the account in `DATABASE_URL`.
    TokenForUrl(String),
}

impl fmt::Debug for DatabaseConfig {
    /// Without the URL, which has a password in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Url(_) => "Url",
            Self::Login { .. } => "Login",
        })
    }
}

/// Where the definitions are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CatalogLocation {
    /// A folder of `*.toml`.
    Folder(PathBuf),
    /// `s3://bucket/prefix`
    S3 {
        /// The bucket.
        bucket: String,
        /// The prefix, possibly empty.
        prefix: String,
    },
}

/// Everything that is missing or wrong, in one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(Vec<String>);

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the environment is not complete: {}", self.0.join("; "))
    }
}

/// Reads variables and collects what is wrong with them.
pub struct Environment<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    wrong: Vec<String>,
}

impl WorkerConfig {
    /// Reads the environment of this process.
    ///
    /// # Errors
    /// Everything missing or wrong, at once.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::read(&|name| std::env::var(name).ok())
    }

    /// Reads variables from anywhere.
    ///
    /// # Errors
    /// As [`Self::from_env`].
    pub fn read(variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut env = Environment::new(variable);
        let config = Self {
            database: env.database(),
            catalog: env.catalog(),
            bucket: env.required("DOWNPIPE_BUCKET", "the name of a bucket"),
            prefix: env.optional("DOWNPIPE_PREFIX").unwrap_or_default(),
            queue_url: env.queue_url(),
            topic_arn: env.topic_arn(),
            portal_url: env.portal_url(),
        };
        env.only("DOWNPIPE_LEDGER", "mysql");
        env.only("DOWNPIPE_CACHE", "none");
        env.complete(config)
    }
}

impl<'a> Environment<'a> {
    /// Reads from this function.
    #[must_use]
    pub fn new(variable: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { variable, wrong: Vec::new() }
    }

    /// The configuration, if nothing is wrong.
    ///
    /// # Errors
    /// Everything that was found wrong on the way.
    pub fn complete<T>(self, config: T) -> Result<T, ConfigError> {
        if self.wrong.is_empty() { Ok(config) } else { Err(ConfigError(self.wrong)) }
    }

    /// `DATABASE_URL` or `DOWNPIPE_DATABASE_SECRET`, and how to log in there.
    pub fn database(&mut self) -> DatabaseConfig {
        let by_token = self.database_auth_is_iam();
        let ca = self.optional("DOWNPIPE_DATABASE_CA").map(|file| self.in_package(&file));
        let login = |login| DatabaseConfig::Login { login, ca: ca.clone() };
        match (self.optional("DATABASE_URL"), self.optional("DOWNPIPE_DATABASE_SECRET")) {
            (Some(url), None) if by_token => login(LoginConfig::TokenForUrl(url)),
            (Some(url), None) => {
                if ca.is_some() {
                    self.wrong.push(
                        "DOWNPIPE_DATABASE_CA: expected it with DOWNPIPE_DATABASE_SECRET or iam, got it with a DATABASE_URL, \
                         which has ?ssl-mode=VERIFY_IDENTITY&ssl-ca=FILE of its own"
                            .to_owned(),
                    );
                }
                DatabaseConfig::Url(url)
            }
            (None, Some(secret)) if by_token => login(LoginConfig::TokenForSecret(secret)),
            (None, Some(secret)) => login(LoginConfig::Secret(secret)),
            (Some(_), Some(_)) => {
                self.wrong.push(
                    "DATABASE_URL, DOWNPIPE_DATABASE_SECRET: expected one of them, got both".to_owned(),
                );
                DatabaseConfig::Url(String::new())
            }
            (None, None) => {
                self.wrong.push(
                    "DATABASE_URL or DOWNPIPE_DATABASE_SECRET: expected one of them, got neither".to_owned(),
                );
                DatabaseConfig::Url(String::new())
            }
        }
    }

    fn database_auth_is_iam(&mut self) -> bool {
        let auth = self.optional("DOWNPIPE_DATABASE_AUTH").unwrap_or_default();
        if !["", "password", "iam"].contains(&auth.as_str()) {
            self.wrong.push(format!("DOWNPIPE_DATABASE_AUTH: expected password or iam, got {auth:?}"));
        }
        auth == "iam"
    }

    /// A path in the package, when it is relative.
    fn in_package(&self, path: &str) -> PathBuf {
        Path::new(&self.optional("LAMBDA_TASK_ROOT").unwrap_or_default()).join(path)
    }

    /// `DOWNPIPE_CATALOG`.
    pub fn catalog(&mut self) -> CatalogLocation {
        let location = self.required("DOWNPIPE_CATALOG", "a folder or s3://BUCKET/PREFIX");
        CatalogLocation::parse(&location, &self.in_package("")).unwrap_or_else(|reason| {
            self.wrong.push(format!("DOWNPIPE_CATALOG: {reason}"));
            CatalogLocation::Folder(PathBuf::new())
        })
    }

    /// `DOWNPIPE_QUEUE_URL`.
    pub fn queue_url(&mut self) -> String {
        self.checked("DOWNPIPE_QUEUE_URL", "the URL of an SQS queue", is_http)
    }

    /// `DOWNPIPE_DEAD_LETTER_QUEUE_URL`.
    pub fn dead_letter_queue_url(&mut self) -> Option<String> {
        self.optional("DOWNPIPE_DEAD_LETTER_QUEUE_URL")?;
        Some(self.checked("DOWNPIPE_DEAD_LETTER_QUEUE_URL", "the URL of an SQS queue", is_http))
    }

    /// `DOWNPIPE_TOPIC_ARN`.
    pub fn topic_arn(&mut self) -> String {
        self.checked("DOWNPIPE_TOPIC_ARN", "the ARN of an SNS topic", |arn| arn.starts_with("arn:"))
    }

    fn portal_url(&mut self) -> Option<String> {
        self.optional("DOWNPIPE_PORTAL_URL")?;
        Some(self.checked("DOWNPIPE_PORTAL_URL", "an http(s) URL", is_http))
    }

    /// A variable that is set and not empty.
    fn optional(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }

    fn required(&mut self, name: &str, expected: &str) -> String {
        self.optional(name).unwrap_or_else(|| {
            self.wrong.push(format!("{name}: expected {expected}, got nothing"));
            String::new()
        })
    }

    fn checked(&mut self, name: &str, expected: &str, is_right: fn(&str) -> bool) -> String {
        let value = self.required(name, expected);
        if !value.is_empty() && !is_right(&value) {
            self.wrong.push(format!("{name}: expected {expected}, got {value:?}"));
        }
        value
    }

    /// A choice that has, so far, one answer.
    fn only(&mut self, name: &str, value: &str) {
        if let Some(other) = self.optional(name).filter(|other| other != value) {
            self.wrong.push(format!("{name}: expected {value}, got {other:?}"));
        }
    }
}

impl CatalogLocation {
    /// Reads a location. A relative folder is meant from `root`.
    ///
    /// # Errors
    /// When an `s3://` address names no bucket.
    pub fn parse(location: &str, root: &Path) -> Result<Self, String> {
        let Some(address) = location.strip_prefix("s3://") else {
            return Ok(Self::Folder(root.join(location)));
        };
        let (bucket, prefix) = address.split_once('/').unwrap_or((address, ""));
        if bucket.is_empty() {
            return Err(format!("expected s3://BUCKET/PREFIX, got {location:?}"));
        }
        Ok(Self::S3 { bucket: bucket.to_owned(), prefix: prefix.trim_matches('/').to_owned() })
    }
}

fn is_http(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<WorkerConfig, ConfigError> {
        WorkerConfig::read(&|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn everything_missing_is_named_at_once() {
        let error = read(&[
            ("DOWNPIPE_DATABASE_AUTH", "kerberos"),
            ("DOWNPIPE_LEDGER", "dynamodb:jobs"),
            ("DOWNPIPE_TOPIC_ARN", "downpipe"),
        ])
        .unwrap_err();
        insta::assert_snapshot!(error.to_string().replace("; ", ";\n"), @r#"
        the environment is not complete: DOWNPIPE_DATABASE_AUTH: expected password or iam, got "kerberos";
        DATABASE_URL or DOWNPIPE_DATABASE_SECRET: expected one of them, got neither;
        DOWNPIPE_CATALOG: expected a folder or s3://BUCKET/PREFIX, got nothing;
        DOWNPIPE_BUCKET: expected the name of a bucket, got nothing;
        DOWNPIPE_QUEUE_URL: expected the URL of an SQS queue, got nothing;
        DOWNPIPE_TOPIC_ARN: expected the ARN of an SNS topic, got "downpipe";
        DOWNPIPE_LEDGER: expected mysql, got "dynamodb:jobs"
        "#);
    }

    #[test]
    fn a_whole_environment_is_read() {
        let config = read(&[
            ("DOWNPIPE_DATABASE_SECRET", "arn:secret"),
            ("DOWNPIPE_CATALOG", "exports"),
            ("LAMBDA_TASK_ROOT", "/var/task"),
            ("DOWNPIPE_BUCKET", "files"),
            ("DOWNPIPE_QUEUE_URL", "https://sqs.example/1/q"),
            ("DOWNPIPE_TOPIC_ARN", "arn:aws:sns:eu-central-1:1:t"),
            ("DOWNPIPE_PORTAL_URL", ""),
        ])
        .unwrap();
        assert!(
            config.database
                == DatabaseConfig::Login { login: LoginConfig::Secret("arn:secret".to_owned()), ca: None }
        );
        assert_eq!(config.catalog, CatalogLocation::Folder("/var/task/exports".into()));
        assert_eq!((config.prefix.as_str(), config.portal_url), ("", None));
    }

    #[test]
    fn a_catalog_can_be_in_s3() {
        let location = CatalogLocation::parse("s3://bucket/a/b/", Path::new("/var/task"));
        assert_eq!(
            location,
            Ok(CatalogLocation::S3 { bucket: "bucket".to_owned(), prefix: "a/b".to_owned() })
        );
        assert!(CatalogLocation::parse("s3:///a", Path::new("")).is_err());
    }

    #[test]
    fn the_database_is_verified_with_a_file_of_ones_own_and_logged_in_to_with_a_token() {
        let database = |variables: &[(&str, &str)]| {
            let variable = |name: &str| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            };
            let mut env = Environment::new(&variable);
            let database = env.database();
            env.complete(database)
        };
        let (secret, iam) = (("DOWNPIPE_DATABASE_SECRET", "s"), ("DOWNPIPE_DATABASE_AUTH", "iam"));
        let (url, ca) = (("DATABASE_URL", "mysql://u@h/d"), ("DOWNPIPE_DATABASE_CA", "ca.pem"));
        let expect = |variables: &[(&str, &str)], login, ca: Option<&str>| {
            let expected = DatabaseConfig::Login { login, ca: ca.map(PathBuf::from) };
            assert!(database(variables) == Ok(expected), "{variables:?}");
        };
        expect(&[secret, ca], LoginConfig::Secret("s".to_owned()), Some("ca.pem"));
        let root = ("LAMBDA_TASK_ROOT", "/var/task");
        expect(&[secret, ca, root], LoginConfig::Secret("s".to_owned()), Some("/var/task/ca.pem"));
        expect(&[secret, iam], LoginConfig::TokenForSecret("s".to_owned()), None);
        expect(&[url, iam, ca], LoginConfig::TokenForUrl("mysql://u@h/d".to_owned()), Some("ca.pem"));
        let error = database(&[url, ca]).map(drop).unwrap_err().to_string();
        assert!(
            error.contains("DOWNPIPE_DATABASE_CA: expected it with DOWNPIPE_DATABASE_SECRET or iam"),
            "{error}"
        );
    }

    #[test]
    fn a_debug_form_never_shows_the_password() {
        let config = DatabaseConfig::Url("mysql://u:hunter2@h/d".to_owned());
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
