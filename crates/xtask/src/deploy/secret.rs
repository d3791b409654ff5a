//! Secrets in Secrets Manager: the database's login in the form that RDS writes it, and the keys that sign cached receipts.

use anyhow::{Context, Result};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use url::Url;

use crate::aws_cli::AwsCli;

const DEFAULT_PORT: u16 = 3306;

/// Creates or updates the secret with a database's login, and returns its ARN.
pub(super) fn put_login(aws: AwsCli<'_>, name: &str, database_url: &str) -> Result<String> {
    put(aws, name, &login(database_url)?)
}

/// Creates or updates the secret with a new random key for receipts, and returns its ARN.
pub fn put_signing_key(aws: AwsCli<'_>, name: &str) -> Result<String> {
    let mut key = [0; 32];
    fastrand::fill(&mut key);
    put(aws, name, &json!({ "receipts": BASE64_STANDARD.encode(key) }))
}

/// Creates or updates a secret and returns its ARN.
pub(super) fn put(aws: AwsCli<'_>, name: &str, secret: &Value) -> Result<String> {
    let secret = secret.to_string();
    let value = ["--secret-string", "file:///dev/stdin", "--query", "ARN", "--output", "text"];
    let create = [&["secretsmanager", "create-secret", "--name", name], &value[..]].concat();
    let arn = aws.text_with_input(&create, &secret).or_else(|err| {
        if !err.to_string().contains("ResourceExistsException") {
            return Err(err);
        }
        let update = [&["secretsmanager", "put-secret-value", "--secret-id", name], &value[..]].concat();
        aws.text_with_input(&update, &secret)
    })?;
    Ok(arn.trim().to_owned())
}

/// Removes the secret at once; the name is free for the next deployment.
pub(super) fn delete(aws: AwsCli<'_>, name: &str) -> Result<()> {
    let args = ["secretsmanager", "delete-secret", "--secret-id", name, "--force-delete-without-recovery"];
    aws.text(&args).map(drop)
}

/// Returns the RDS-style JSON for a `mysql://` URL. Errors do not repeat the URL: it holds a password.
fn login(database_url: &str) -> Result<Value> {
    let url = Url::parse(database_url).context("the database's URL cannot be read")?;
    let decoded = |text: &str| -> Result<String> {
        let text = percent_decode_str(text).decode_utf8().context("the database's URL is not UTF-8")?;
        Ok(text.into_owned())
    };
    Ok(json!({
        "engine": "mysql",
        "host": url.host_str().context("the database's URL names no host")?,
        "port": url.port().unwrap_or(DEFAULT_PORT),
        "username": decoded(url.username())?,
        "password": decoded(url.password().unwrap_or_default())?,
        "dbname": decoded(url.path().trim_start_matches('/'))?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_of_a_url_has_the_form_of_rds() {
        assert_eq!(
            login("mysql://alice:p%40ss%22@db.example.com:3307/shop?ssl-mode=DISABLED").unwrap(),
            json!({"engine": "mysql", "host": "db.example.com", "port": 3307, "username": "alice",
                   "password": "p@ss\"", "dbname": "shop"})
        );
        assert_eq!(login("mysql://u@h/d").unwrap()["port"], 3306);
    }

    #[test]
    fn errors_do_not_show_the_password() {
        for url in ["mysql:u:hunter2@h/d", "mysql://u:hunter2@h:x/d", "mysql://u:hunter2%ff@h/d"] {
            assert!(!format!("{:#}", login(url).unwrap_err()).contains("hunter2"));
        }
    }
}
