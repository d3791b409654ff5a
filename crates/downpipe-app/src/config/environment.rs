//! Reads one variable after the other, and collects what is wrong with them.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use downpipe_aws::{CacheAddress, DynamoLedgerConfig, InvalidCacheAddress};
use downpipe_core::catalog::parse_time;
use downpipe_core::untrusted_text::is_hidden;

use super::places::{
    CacheConfig, CatalogLocation, DatabaseConfig, LedgerConfig, LoginConfig, PortalLink, SecretLocation,
};

pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);

/// How long the ledger remembers a job whose file is gone, or that ended without one, unless `DOWNPIPE_LEDGER_RETENTION` says.
pub const LEDGER_RETENTION: Duration = DAY.saturating_mul(90);

/// The shortest retention: a link to a file ends so long after the file, and until then the ledger has to know what became of it.
const MIN_LEDGER_RETENTION: Duration = DAY.saturating_mul(30);

/// The longest retention. A longer one is a mistake in the unit.
const MAX_LEDGER_RETENTION: Duration = DAY.saturating_mul(3660);

/// Everything that is missing or wrong, in one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(Vec<String>);

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the environment is not complete: {}", self.0.join("; "))
    }
}

/// Reads variables, and collects what is wrong with them.
pub struct Environment<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    wrong: Vec<String>,
}

impl<'a> Environment<'a> {
    /// Makes an environment whose variables this function returns.
    #[must_use]
    pub fn new(variable: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { variable, wrong: Vec::new() }
    }

    /// Returns the configuration if nothing is wrong.
    ///
    /// # Errors
    /// With everything that was found wrong.
    pub fn complete<T>(mut self, config: T) -> Result<T, ConfigError> {
        // Two settings may need the same variable.
        let mut seen = BTreeSet::new();
        self.wrong.retain(|wrong| seen.insert(wrong.clone()));
        if self.wrong.is_empty() { Ok(config) } else { Err(ConfigError(self.wrong)) }
    }

    /// Reads `DATABASE_URL` or `DOWNPIPE_DATABASE_SECRET`, and how to log in.
    pub fn database(&mut self) -> DatabaseConfig {
        let by_token = self.database_auth_is_iam();
        let ca = self.optional("DOWNPIPE_DATABASE_CA").map(|file| self.in_package(&file));
        let login = |login| DatabaseConfig::Login { login, ca: ca.clone() };
        match (self.optional("DATABASE_URL"), self.optional("DOWNPIPE_DATABASE_SECRET")) {
            (Some(url), None) if by_token => login(LoginConfig::TokenForUrl(url)),
            (Some(url), None) => {
                let says =
                    |name: &str| url.split_once('?').is_some_and(|(_, options)| options.contains(name));
                if ca.is_some() && (says("ssl-") || says("sslmode") || says("sslca")) {
                    self.wrong.push(
                        "DOWNPIPE_DATABASE_CA: expected it with a DATABASE_URL that says nothing of ssl-mode and ssl-ca, got it \
                         with one that does"
                            .to_owned(),
                    );
                }
                DatabaseConfig::Url { url, ca }
            }
            (None, Some(secret)) if by_token => login(LoginConfig::TokenForSecret(secret)),
            (None, Some(secret)) => login(LoginConfig::Secret(secret)),
            (Some(_), Some(_)) => {
                self.wrong.push(
                    "DATABASE_URL, DOWNPIPE_DATABASE_SECRET: expected one of them, got both".to_owned(),
                );
                DatabaseConfig::NONE
            }
            (None, None) => {
                self.wrong.push(
                    "DATABASE_URL or DOWNPIPE_DATABASE_SECRET: expected one of them, got neither".to_owned(),
                );
                DatabaseConfig::NONE
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

    /// Returns a path, which is in the package if it is relative.
    fn in_package(&self, path: &str) -> PathBuf {
        Path::new(&self.optional("LAMBDA_TASK_ROOT").unwrap_or_default()).join(path)
    }

    /// Reads `DOWNPIPE_LEDGER`, and what a ledger in DynamoDB needs besides.
    pub fn ledger(&mut self) -> LedgerConfig {
        const NAME: &str = "DOWNPIPE_LEDGER";
        let place = self.optional(NAME).unwrap_or_else(|| "mysql".to_owned());
        if place == "mysql" {
            return LedgerConfig::MySql;
        }
        match place.strip_prefix("dynamodb:").filter(|table| is_table_name(table)) {
            Some(table) => LedgerConfig::DynamoDb(DynamoLedgerConfig {
                table: table.to_owned(),
                bucket: self.bucket(),
                prefix: self.prefix(),
                retention: self.ledger_retention(),
            }),
            None => {
                self.wrong.push(format!(
                    "{NAME}: expected mysql, or dynamodb:TABLE with the name of a table, got {place:?}"
                ));
                LedgerConfig::MySql
            }
        }
    }

    /// Reads `DOWNPIPE_BUCKET`.
    pub fn bucket(&mut self) -> String {
        self.required("DOWNPIPE_BUCKET", "the name of a bucket")
    }

    /// Reads `DOWNPIPE_CATALOG`.
    pub fn catalog(&mut self) -> CatalogLocation {
        let location = self.required("DOWNPIPE_CATALOG", "a folder or s3://BUCKET/PREFIX");
        CatalogLocation::parse(&location, &self.in_package("")).unwrap_or_else(|reason| {
            self.wrong.push(format!("DOWNPIPE_CATALOG: {reason}"));
            CatalogLocation::Folder(PathBuf::new())
        })
    }

    /// Reads `DOWNPIPE_CACHE` and `DOWNPIPE_CACHE_CA`.
    pub fn cache(&mut self) -> CacheConfig {
        let address = self.optional("DOWNPIPE_CACHE").unwrap_or_else(|| "none".to_owned());
        let address = address.parse().unwrap_or_else(|expected: InvalidCacheAddress| {
            self.wrong.push(format!("DOWNPIPE_CACHE: {expected}"));
            CacheAddress::None
        });
        CacheConfig { address, ca: self.optional("DOWNPIPE_CACHE_CA").map(|file| self.in_package(&file)) }
    }

    /// Reads `DOWNPIPE_PREFIX`. S3 cannot list keys with some characters.
    pub(super) fn prefix(&mut self) -> String {
        let prefix = self.optional("DOWNPIPE_PREFIX").unwrap_or_default();
        if prefix.contains(is_hidden) {
            self.wrong.push(format!("DOWNPIPE_PREFIX: expected no invisible characters, got {prefix:?}"));
        }
        prefix
    }

    /// Reads `DOWNPIPE_SIGNING_SECRET`.
    pub fn signing_secret(&mut self) -> Option<SecretLocation> {
        let name = self.optional("DOWNPIPE_SIGNING_SECRET")?;
        Some(self.secret_at(name))
    }

    /// Reads `DOWNPIPE_LINK_SECRET`, which a program needs that makes or takes the links of a portal.
    pub fn required_link_secret(&mut self) -> SecretLocation {
        let name = self.required(
            "DOWNPIPE_LINK_SECRET",
            "the name or ARN of a secret, or file:PATH, because of DOWNPIPE_PORTAL_URL",
        );
        self.secret_at(name)
    }

    /// Returns the location of a secret: a name or an ARN, or `file:PATH`.
    pub(super) fn secret_at(&self, name: String) -> SecretLocation {
        match name.strip_prefix("file:") {
            Some(path) => SecretLocation::File(self.in_package(path)),
            None => SecretLocation::Named(name),
        }
    }

    /// Reads `DOWNPIPE_QUEUE_URL`.
    pub fn queue_url(&mut self) -> String {
        self.checked("DOWNPIPE_QUEUE_URL", "the URL of an SQS queue", is_http)
    }

    /// Reads `DOWNPIPE_DEAD_LETTER_QUEUE_URL`.
    pub fn dead_letter_queue_url(&mut self) -> Option<String> {
        self.optional("DOWNPIPE_DEAD_LETTER_QUEUE_URL")?;
        Some(self.checked("DOWNPIPE_DEAD_LETTER_QUEUE_URL", "the URL of an SQS queue", is_http))
    }

    /// Reads `DOWNPIPE_TOPIC_ARN`.
    pub fn topic_arn(&mut self) -> String {
        self.checked("DOWNPIPE_TOPIC_ARN", "the ARN of an SNS topic", |arn| arn.starts_with("arn:"))
    }

    /// Reads `DOWNPIPE_PORTAL_URL` where it is set, and the secret that its links then need.
    pub(super) fn portal_link(&mut self) -> Option<PortalLink> {
        self.optional("DOWNPIPE_PORTAL_URL")?;
        Some(PortalLink { url: self.required_portal_url(), secret: self.required_link_secret() })
    }

    pub(super) fn ledger_retention(&mut self) -> Duration {
        const NAME: &str = "DOWNPIPE_LEDGER_RETENTION";
        let Some(text) = self.optional(NAME) else { return LEDGER_RETENTION };
        let range = MIN_LEDGER_RETENTION..=MAX_LEDGER_RETENTION;
        match parse_time(&text) {
            Ok(time) if range.contains(&time) => time,
            Ok(_) => {
                self.wrong.push(format!(
                    "{NAME}: expected at least 30d, because links to a file end 30 days after it, and at most 3660d, got {text:?}"
                ));
                LEDGER_RETENTION
            }
            Err(reason) => {
                self.wrong.push(format!("{NAME}: {reason}"));
                LEDGER_RETENTION
            }
        }
    }

    /// Adds what is wrong.
    pub(super) fn refuse(&mut self, reason: String) {
        self.wrong.push(reason);
    }

    /// Returns a variable that is set and not empty.
    pub(super) fn optional(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }

    pub(super) fn required(&mut self, name: &str, expected: &str) -> String {
        self.optional(name).unwrap_or_else(|| {
            self.wrong.push(format!("{name}: expected {expected}, got nothing"));
            String::new()
        })
    }

    pub(super) fn checked(&mut self, name: &str, expected: &str, is_right: fn(&str) -> bool) -> String {
        let value = self.required(name, expected);
        if !value.is_empty() && !is_right(&value) {
            self.wrong.push(format!("{name}: expected {expected}, got {value:?}"));
        }
        value
    }
}

/// Returns whether DynamoDB takes this as the name of a table.
fn is_table_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    (3..=255).contains(&name.len()) && name.bytes().all(allowed)
}

fn is_http(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}
