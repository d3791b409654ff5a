//! The database login in Secrets Manager: the JSON that RDS keeps there.

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use downpipe_core::login::{Freshness, Login, LoginError, LoginSource};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::errors::is_passing;

/// MySQL's own port, for a secret that names none.
const MYSQL_PORT: u16 = 3306;

/// A secret that holds a database login. Fetched when it is first needed, then kept until the database refuses it.
#[derive(Debug)]
pub struct SecretLogin {
    client: Client,
    secret: String,
    fetched: Mutex<Option<Login>>,
}

/// The secret's JSON. <https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html>
#[derive(Deserialize)]
struct DatabaseSecret {
    host: String,
    port: Option<Port>,
    username: String,
    password: String,
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
    /// The login in this secret, by ARN or name.
    #[must_use]
    pub fn new(config: &SdkConfig, secret: impl Into<String>) -> Self {
        Self { client: Client::new(config), secret: secret.into(), fetched: Mutex::new(None) }
    }

    async fn fetch(&self) -> Result<Login, LoginError> {
        let fetched =
            self.client.get_secret_value().secret_id(&self.secret).send().await.map_err(|error| {
                if is_passing(&error) {
                    LoginError::Unavailable(Box::new(error))
                } else {
                    LoginError::Invalid(downpipe_core::failure::chain(&error))
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
        let mut fetched = self.fetched.lock().await;
        if freshness == Freshness::Refetched {
            *fetched = None;
        }
        if let Some(login) = &*fetched {
            return Ok(login.clone());
        }
        let login = self.fetch().await?;
        *fetched = Some(login.clone());
        Ok(login)
    }
}

/// Reads the secret. What is wrong is said without quoting it: it is a secret.
fn parse(text: &str) -> Result<Login, String> {
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
    Ok(Login {
        host: secret.host,
        port,
        username: secret.username,
        password: secret.password,
        database: secret.dbname.filter(|name| !name.is_empty()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_rds_writes() {
        let login = parse(
            r#"{"engine":"mysql","host":"db.example","username":"u","password":"p","dbname":"shop","port":3307,
                "dbInstanceIdentifier":"x"}"#,
        );
        let login = login.unwrap();
        assert_eq!(
            (login.host.as_str(), login.port, login.database.as_deref()),
            ("db.example", 3307, Some("shop"))
        );
        let by_hand = parse(r#"{"host":"h","port":"3308","username":"u","password":"p"}"#).unwrap();
        assert_eq!((by_hand.port, by_hand.database), (3308, None));
    }

    #[test]
    fn an_error_never_quotes_the_secret() {
        for wrong in [
            r#"{"password":"hunter2"}"#,
            "hunter2",
            r#"{"host":"h","username":"u","password":"p","port":"hunter2"}"#,
        ] {
            let error = parse(wrong).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
