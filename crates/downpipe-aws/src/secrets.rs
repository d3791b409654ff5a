//! The database login in Secrets Manager: the JSON that RDS keeps there.

use std::fmt;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::Builder;
use downpipe_core::error_chain::error_chain;
use downpipe_core::login::{Account, Credential, Freshness, Login, LoginError, LoginSource};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::errors::is_transient;

/// MySQL's default port, for a secret that names none.
const MYSQL_PORT: u16 = 3306;

/// The time to fetch a secret at start. Lambda gives ten seconds to the whole start.
const AT_START: Duration = Duration::from_secs(5);

/// A secret that holds a database login. It is fetched when first needed, and cached until the database refuses it.
#[derive(Debug)]
pub struct SecretLogin {
    client: Client,
    secret: String,
    fetched: Mutex<Option<Secret>>,
}

/// Why a secret could not be fetched.
#[derive(Debug, thiserror::Error)]
#[error("the secret {name} could not be fetched")]
pub struct SecretFetchError {
    name: String,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// Fetches the text of a secret, by ARN or name.
///
/// # Errors
/// When the secret cannot be reached or read, or is not text.
pub async fn fetch_secret(config: &SdkConfig, name: &str) -> Result<String, SecretFetchError> {
    let failed = |source| SecretFetchError { name: name.to_owned(), source };
    let timeouts = TimeoutConfig::builder().operation_timeout(AT_START).build();
    let fetched = Client::new(config).get_secret_value().secret_id(name).customize();
    let fetched = fetched.config_override(Builder::new().timeout_config(timeouts)).send().await;
    let fetched = fetched.map_err(|error| failed(error.into()))?;
    fetched.secret_string.ok_or_else(|| failed("expected a text, got a binary value".into()))
}

/// The content of the secret.
#[derive(Clone)]
struct Secret {
    account: Account,
    /// A login with a token needs none.
    password: Option<String>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("account", &self.account).finish_non_exhaustive()
    }
}

/// The secret's JSON. <https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html>
#[derive(Deserialize)]
struct DatabaseSecret {
    host: String,
    port: Option<Port>,
    username: String,
    password: Option<String>,
    dbname: Option<String>,
}

/// RDS writes a number; people who write the secret by hand often write a string.
#[derive(Deserialize)]
#[serde(untagged)]
enum Port {
    Number(u16),
    Text(String),
}

impl SecretLogin {
    /// Returns the login in this secret, by ARN or name.
    #[must_use]
    pub fn new(config: &SdkConfig, secret: impl Into<String>) -> Self {
        Self { client: Client::new(config), secret: secret.into(), fetched: Mutex::new(None) }
    }

    /// Returns the account without its password.
    pub(crate) async fn account(&self, freshness: Freshness) -> Result<Account, LoginError> {
        Ok(self.secret(freshness).await?.account)
    }

    async fn secret(&self, freshness: Freshness) -> Result<Secret, LoginError> {
        let mut fetched = self.fetched.lock().await;
        if freshness == Freshness::Refetched {
            *fetched = None;
        }
        if let Some(secret) = &*fetched {
            return Ok(secret.clone());
        }
        let secret = self.fetch().await?;
        *fetched = Some(secret.clone());
        Ok(secret)
    }

    async fn fetch(&self) -> Result<Secret, LoginError> {
        let fetched =
            self.client.get_secret_value().secret_id(&self.secret).send().await.map_err(|error| {
                if is_transient(&error) {
                    LoginError::Unavailable(Box::new(error))
                } else {
                    LoginError::Invalid(error_chain(&error))
                }
            })?;
        let text = fetched
            .secret_string()
            .ok_or_else(|| LoginError::Invalid("expected a JSON text, got a binary value".to_owned()))?;
        parse(text).map_err(LoginError::Invalid)
    }
}

impl LoginSource for SecretLogin {
    async fn login(&self, freshness: Freshness) -> Result<Login, LoginError> {
        let Secret { account, password } = self.secret(freshness).await?;
        let password =
            password.ok_or_else(|| LoginError::Invalid("password: expected one, got none".to_owned()))?;
        Ok(Login { account, credential: Credential::Password(password) })
    }
}

/// Reads the secret. Errors never quote it.
fn parse(text: &str) -> Result<Secret, String> {
    let secret: DatabaseSecret = serde_json::from_str(text).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        format!("expected JSON with host, username and password, port and dbname optional; it is not so at {place}")
    })?;
    let port = match secret.port {
        None => MYSQL_PORT,
        Some(Port::Number(port)) => port,
        Some(Port::Text(text)) => text
            .parse()
            .map_err(|_| "port: expected a number from 1 to 65535, got something else".to_owned())?,
    };
    let account = Account {
        host: secret.host,
        port,
        username: secret.username,
        database: secret.dbname.filter(|name| !name.is_empty()),
    };
    Ok(Secret { account, password: secret.password })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_of_rds_is_read() {
        let secret = parse(
            r#"{"engine":"mysql","host":"db.example","username":"u","password":"p","dbname":"shop","port":3307,
                "dbInstanceIdentifier":"x"}"#,
        );
        let Secret { account, password } = secret.unwrap();
        assert_eq!(
            (account.host.as_str(), account.port, account.database.as_deref(), password.as_deref()),
            ("db.example", 3307, Some("shop"), Some("p"))
        );
        let by_hand = parse(r#"{"host":"h","port":"3308","username":"u","password":"p"}"#).unwrap().account;
        assert_eq!((by_hand.port, by_hand.database), (3308, None));
        let for_tokens = parse(r#"{"host":"h","username":"u"}"#).unwrap();
        assert_eq!(for_tokens.password, None);
    }

    #[test]
    fn error_never_quotes_the_secret() {
        for wrong in [
            r#"{"password":"hunter2"}"#,
            "hunter2",
            r#"{"host":"h","username":"u","password":"p","port":"hunter2"}"#,
        ] {
            let error = parse(wrong).map(|_| ()).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
