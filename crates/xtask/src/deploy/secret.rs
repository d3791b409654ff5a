//! The database's login in Secrets Manager, in the form that RDS writes it.

use anyhow::{Context, Result};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use url::Url;

use crate::aws_cli::AwsCli;

const DEFAULT_PORT: u16 = 3306;

/// Creates or updates the secret and returns its ARN.
pub(super) fn put(aws: AwsCli<'_>, name: &str, database_url: &str) -> Result<String> {
    let login = login(database_url)?.to_string();
    let value = ["--secret-string", "file:///dev/stdin", "--query", "ARN", "--output", "text"];
    let create = [&["secretsmanager", "create-secret", "--name", name], &value[..]].concat();
    let arn = aws.text_with_input(&create, &login).or_else(|err| {
        if !err.to_string().contains("ResourceExistsException") {
            return Err(err);
        }
        let update = [&["secretsmanager", "put-secret-value", "--secret-id", name], &value[..]].concat();
        aws.text_with_input(&update, &login)
    })?;
    Ok(arn.trim().to_owned())
}

/// Removes the secret at once; the name is free for the next deployment.
pub(super) fn delete(aws: AwsCli<'_>, name: &str) -> Result<()> {
    let args = ["secretsmanager", "delete-secret", "--secret-id", name, "--force-delete-without-recovery"];
    aws.text(&args).map(drop)
}

/// The RDS-style JSON for a `mysql://` URL. Errors do not repeat the URL: it holds a password.
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
    fn a_url_becomes_what_rds_would_write() {
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
