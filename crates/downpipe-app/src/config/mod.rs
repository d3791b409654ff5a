//! Reads the environment, once.
//!
//! | Variable | What it is |
//! |---|---|
//! | `DATABASE_URL` | `mysql://USER:PASSWORD@HOST:PORT/DATABASE`; or |
//! | `DOWNPIPE_DATABASE_SECRET` | ARN or name of an RDS-style JSON secret in Secrets Manager |
//! | `DOWNPIPE_DATABASE_AUTH` | `password` (default), or `iam`: a token for each connection, and no password |
//! | `DOWNPIPE_DATABASE_CA` | a PEM file: the root certificates of a database that is not RDS's |
//! | `DOWNPIPE_LEDGER` | `mysql` (default): the ledger's tables are in the same database; or `dynamodb:TABLE`: a table in DynamoDB, with long documents in `DOWNPIPE_BUCKET` |
//! | `DOWNPIPE_LEDGER_RETENTION` | how long the ledger remembers a job whose file is gone, or that ended without one: `90d` (default), at least `30d` |
//! | `DOWNPIPE_CACHE` | `none` (default), `valkey://USER@HOST:PORT/CACHE-NAME[?serverless]` or `memcached://HOST:PORT` |
//! | `DOWNPIPE_CACHE_CA` | a PEM file: the root certificates of a Valkey that is not ElastiCache's |
//! | `DOWNPIPE_CATALOG` | a folder, or `s3://BUCKET/PREFIX` |
//! | `DOWNPIPE_BUCKET` | where finished files go |
//! | `DOWNPIPE_PREFIX` | what their keys begin with (default: nothing) |
//! | `DOWNPIPE_QUEUE_URL` | the queue the messages come from |
//! | `DOWNPIPE_DEAD_LETTER_QUEUE_URL` | for `downpipe redrive`: where its dead letters are (default: where the queue itself says) |
//! | `DOWNPIPE_NOTICE` | `sns` (default): people subscribe to the topic; or `ses`: they get mail |
//! | `DOWNPIPE_TOPIC_ARN` | the topic of the notices. With `ses` it may be missing; where it is set, programs get the jobs there |
//! | `DOWNPIPE_MAIL_FROM` | with `ses`: the sender, an address or `Name <address>`, which SES has verified |
//! | `DOWNPIPE_LANGUAGE` | `en` (default) or `ja`: the language of people whose request names none, and of the operator |
//! | `DOWNPIPE_PORTAL_URL` | what e-mails link to; without it they say how to fetch the file from S3 |
//! | `DOWNPIPE_LINK_SECRET` | with `DOWNPIPE_PORTAL_URL`: a secret in Secrets Manager, by name or ARN, or `file:PATH`: the keys of the links in e-mails, see [`link`](crate::link) |
//! | `DOWNPIPE_SIGNING_SECRET` | a secret in Secrets Manager, by name or ARN, or `file:PATH`: the key of masks, see [`signing`](crate::signing). Needed where a definition masks by hash |
//! | `DOWNPIPE_PORTAL_SECRET` | for the portal: a secret in Secrets Manager, by name or ARN, or `file:PATH`: the apps that may send people, with their keys |
//! | `DOWNPIPE_LOGIN` | for the portal: how people log in. `none`: apps send them |
//! | `DOWNPIPE_OPERATORS` | addresses, separated by commas, who see and cancel every job in the portal, and with `ses` get what is for the operator |
//! | `DOWNPIPE_JOBS_PER_PERSON` | for the portal: how many jobs a person may have under way (default 5) |
//! | `DOWNPIPE_DOWNLOAD_SECONDS` | for the portal: how long a signed download is valid: 60 to 3600 (default 300) |
//! | `RUST_LOG` | how much is logged; read by [`logging`](crate::logging) |
//!
//! Region, credentials and endpoints are the AWS SDK's own settings. A relative folder or file is relative to
//! `LAMBDA_TASK_ROOT`, where Lambda unpacks the package.
//!
//! A password goes to another machine only when that is verified: with the root certificates of RDS, which are built in, or with those of
//! `DOWNPIPE_DATABASE_CA`. A `DATABASE_URL` may choose otherwise: `?ssl-mode=REQUIRED`, or `?ssl-mode=VERIFY_IDENTITY&ssl-ca=FILE`. A
//! URL for `iam` is `mysql://USER@HOST:PORT/DATABASE` and nothing more.

mod environment;
mod notices;
mod places;
mod portal;

pub use self::environment::{ConfigError, Environment, LEDGER_RETENTION};
pub use self::notices::NoticeConfig;
pub use self::places::{
    CacheConfig, CatalogLocation, DatabaseConfig, LedgerConfig, LoginConfig, PortalLink, SecretLocation,
};
pub use self::portal::Login;

use std::time::Duration;

use downpipe_core::language::Language;

/// Everything the worker needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerConfig {
    /// The database to export from.
    pub database: DatabaseConfig,
    /// Where the ledger is.
    pub ledger: LedgerConfig,
    /// The cache in front of the ledger.
    pub cache: CacheConfig,
    /// Where the definitions are.
    pub catalog: CatalogLocation,
    /// Where finished files go.
    pub bucket: String,
    /// What their keys begin with.
    pub prefix: String,
    /// The queue the messages come from.
    pub queue_url: String,
    /// How people are notified.
    pub notices: NoticeConfig,
    /// The language of people whose request names none.
    pub language: Language,
    /// What e-mails link to.
    pub portal: Option<PortalLink>,
    /// How long the ledger remembers a job whose file is gone, or that ended without one.
    pub ledger_retention: Duration,
    /// Where the keys are.
    pub signing_secret: Option<SecretLocation>,
}

impl WorkerConfig {
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
        let config = Self {
            database: env.database(),
            ledger: env.ledger(),
            cache: env.cache(),
            catalog: env.catalog(),
            bucket: env.bucket(),
            prefix: env.prefix(),
            queue_url: env.queue_url(),
            notices: env.notices(),
            language: env.language(),
            portal: env.portal_link(),
            ledger_retention: env.ledger_retention(),
            signing_secret: env.signing_secret(),
        };
        env.complete(config)
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use downpipe_aws::DynamoLedgerConfig;

    use super::environment::DAY;
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<WorkerConfig, ConfigError> {
        WorkerConfig::read(&|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn environment_with_variables_missing_is_refused_naming_all() {
        let error = read(&[
            ("DOWNPIPE_DATABASE_AUTH", "kerberos"),
            ("DOWNPIPE_LEDGER", "dynamodb:my jobs"),
            ("DOWNPIPE_CACHE", "redis://cache:6379"),
            ("DOWNPIPE_TOPIC_ARN", "downpipe"),
            ("DOWNPIPE_PREFIX", "a\u{ffff}"),
        ])
        .unwrap_err();
        insta::assert_snapshot!(error.to_string().replace("; ", ";\n"), @r#"
        the environment is not complete: DOWNPIPE_DATABASE_AUTH: expected password or iam, got "kerberos";
        DATABASE_URL or DOWNPIPE_DATABASE_SECRET: expected one of them, got neither;
        DOWNPIPE_LEDGER: expected mysql, or dynamodb:TABLE with the name of a table, got "dynamodb:my jobs";
        DOWNPIPE_CACHE: expected none, valkey://USER@HOST:PORT/CACHE-NAME[?serverless] or memcached://HOST:PORT, got "redis://cache:6379";
        DOWNPIPE_CATALOG: expected a folder or s3://BUCKET/PREFIX, got nothing;
        DOWNPIPE_BUCKET: expected the name of a bucket, got nothing;
        DOWNPIPE_PREFIX: expected no invisible characters, got "a\u{ffff}";
        DOWNPIPE_QUEUE_URL: expected the URL of an SQS queue, got nothing;
        DOWNPIPE_TOPIC_ARN: expected the ARN of an SNS topic, got "downpipe"
        "#);
    }

    #[test]
    fn environment_that_is_complete_is_read() {
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
        assert_eq!((config.prefix.as_str(), config.portal), ("", None));
        assert_eq!(config.ledger, LedgerConfig::MySql);
        assert_eq!(config.ledger_retention, LEDGER_RETENTION);
        assert_eq!(config.signing_secret, None);
        let topic_arn = "arn:aws:sns:eu-central-1:1:t".to_owned();
        assert_eq!((config.notices, config.language), (NoticeConfig::Sns { topic_arn }, Language::En));
    }

    #[test]
    fn cache_with_own_root_certificates_is_read() {
        let address = "valkey://downpipe@cache.example:6379/popular?serverless";
        let cache = |variables: &[(&str, &str)]| {
            let variable = |name: &str| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            };
            Environment::new(&variable).cache()
        };
        assert_eq!(cache(&[]), CacheConfig::default());
        let config = cache(&[
            ("DOWNPIPE_CACHE", address),
            ("DOWNPIPE_CACHE_CA", "ca.pem"),
            ("LAMBDA_TASK_ROOT", "/var/task"),
        ]);
        assert_eq!(config.address, address.parse().unwrap());
        assert_eq!(config.ca, Some(PathBuf::from("/var/task/ca.pem")));
    }

    #[test]
    fn ledger_in_dynamodb_has_table_bucket_prefix_and_retention() {
        let read = |variables: &[(&str, &str)]| {
            let variable = |name: &str| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            };
            let mut env = Environment::new(&variable);
            let ledger = env.ledger();
            env.complete(ledger).map_err(|error| error.to_string())
        };
        let table = ("DOWNPIPE_LEDGER", "dynamodb:downpipe-Table-1A.b_c");
        let ledger = read(&[table, ("DOWNPIPE_BUCKET", "files"), ("DOWNPIPE_LEDGER_RETENTION", "30d")]);
        let expected = DynamoLedgerConfig {
            table: "downpipe-Table-1A.b_c".to_owned(),
            bucket: "files".to_owned(),
            prefix: String::new(),
            retention: DAY * 30,
        };
        assert_eq!(ledger, Ok(LedgerConfig::DynamoDb(expected)));
        assert!(
            read(&[table])
                .unwrap_err()
                .contains("DOWNPIPE_BUCKET: expected the name of a bucket, got nothing")
        );
        for wrong in ["MySQL", "dynamodb", "dynamodb:", "dynamodb:ab", "dynamodb:a/b/c", "postgres"] {
            assert!(read(&[("DOWNPIPE_LEDGER", wrong)]).unwrap_err().contains(&format!("got {wrong:?}")));
        }
    }

    #[test]
    fn ledger_retention_shorter_than_links_is_refused() {
        let read = |value: &str| {
            let text = value.to_owned();
            let variable = move |name: &str| (name == "DOWNPIPE_LEDGER_RETENTION").then(|| text.clone());
            let mut env = Environment::new(&variable);
            let retention = env.ledger_retention();
            env.complete(retention).map_err(|error| error.to_string())
        };
        assert_eq!(read(""), Ok(DAY * 90));
        assert_eq!((read("30d"), read("720h"), read("3660d")), (Ok(DAY * 30), Ok(DAY * 30), Ok(DAY * 3660)));
        for (value, words) in [
            (
                "29d",
                "DOWNPIPE_LEDGER_RETENTION: expected at least 30d, because links to a file end 30 days after it",
            ),
            ("3661d", "and at most 3660d, got \"3661d\""),
            (
                "90",
                "DOWNPIPE_LEDGER_RETENTION: expected a time such as \"30s\", \"10m\", \"2h\" or \"1d\", got \"90\"",
            ),
        ] {
            let error = read(value).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn signing_secret_is_a_name_or_a_file() {
        let read = |value: &str| {
            let variable = |name: &str| (name == "DOWNPIPE_SIGNING_SECRET").then(|| value.to_owned());
            Environment::new(&variable).signing_secret()
        };
        let named = SecretLocation::Named("downpipe/signing".to_owned());
        assert_eq!(read("downpipe/signing"), Some(named));
        assert_eq!(read("file:keys.json"), Some(SecretLocation::File("keys.json".into())));
        assert_eq!(read(""), None);
    }

    #[test]
    fn catalog_location_in_s3_has_bucket_and_prefix() {
        let location = CatalogLocation::parse("s3://bucket/a/b/", Path::new("/var/task"));
        assert_eq!(
            location,
            Ok(CatalogLocation::S3 { bucket: "bucket".to_owned(), prefix: "a/b".to_owned() })
        );
        assert!(CatalogLocation::parse("s3:///a", Path::new("")).is_err());
    }

    #[test]
    fn database_with_own_root_certificates_and_token_is_read() {
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
        let with_password = ("DATABASE_URL", "mysql://u:p@h/d");
        let expected =
            DatabaseConfig::Url { url: with_password.1.to_owned(), ca: Some(PathBuf::from("ca.pem")) };
        assert!(database(&[with_password, ca]) == Ok(expected));
        let says = ("DATABASE_URL", "mysql://u:p@h/d?ssl-mode=REQUIRED");
        let error = database(&[says, ca]).map(drop).unwrap_err().to_string();
        assert!(error.contains("DOWNPIPE_DATABASE_CA: expected it with a DATABASE_URL that says"), "{error}");
    }

    #[test]
    fn database_in_debug_form_hides_its_password() {
        let config = DatabaseConfig::Url { url: "mysql://u:hunter2@h/d".to_owned(), ca: None };
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
