//! How to connect: with a URL, or with a login that a secrets service keeps.

use std::str::FromStr as _;
use std::time::Duration;

use downpipe_core::login::{Account, Credential, Freshness, Login, LoginError, LoginSource};
use sqlx::ConnectOptions as _;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlSslMode};
use tracing::log::LevelFilter;
use url::Url;

use crate::authorities::{Authorities, distrust};
use crate::errors::is_login_refused;

/// A server that does not answer within this time is taken for unreachable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A database that can be connected to.
#[derive(Debug, Clone)]
pub struct Database<L> {
    access: Access<L>,
}

#[derive(Debug, Clone)]
enum Access<L> {
    Url(Box<MySqlConnectOptions>),
    Login { source: L, authorities: Authorities },
}

/// Text that is no database URL. Says what is wrong without the password in it.
#[derive(Debug, thiserror::Error)]
#[error("expected mysql://{expected}@HOST:PORT/DATABASE, got {got}")]
pub struct InvalidUrl {
    expected: &'static str,
    got: String,
}

/// No connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// There is no login to connect with.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// The server has not proven who it is. It was sent no login.
    #[error("the database did not prove that it is the right one: {0}")]
    Untrusted(&'static str),
    /// The server refused the login.
    #[error("the database refused the login")]
    Refused(#[source] sqlx::Error),
    /// The server could not be reached, or broke off.
    #[error("the database could not be reached")]
    Unreachable(#[source] sqlx::Error),
}

impl<L: LoginSource> Database<L> {
    /// A database at a URL: `mysql://user:password@host:port/database`, with sqlx's options (`?ssl-mode=…`).
    ///
    /// # Errors
    /// When it is no such URL.
    pub fn at_url(url: &str) -> Result<Self, InvalidUrl> {
        let options = options_at(url, "USER:PASSWORD")?;
        Ok(Self { access: Access::Url(Box::new(options)) })
    }

    /// A database whose login is fetched when it is needed. It goes only to a server that has a certificate for its host
    /// name from one of these authorities.
    pub fn with_login(source: L, authorities: Authorities) -> Self {
        Self { access: Access::Login { source, authorities } }
    }

    /// Connects. A refused login that came from a secret is fetched afresh once: it may have been rotated.
    pub(crate) async fn connect(&self) -> Result<MySqlConnection, ConnectError> {
        let (source, authorities) = match &self.access {
            Access::Url(options) => return open(options).await,
            Access::Login { source, authorities } => (source, authorities),
        };
        match open(&options_of(&source.login(Freshness::Any).await?, authorities)).await {
            Err(ConnectError::Refused(_)) => {
                tracing::warn!("the database refused the login; fetching it again");
                open(&options_of(&source.login(Freshness::Refetched).await?, authorities)).await
            }
            result => result,
        }
    }
}

/// The account at a URL for which tokens are made: `mysql://user@host:port/database`.
///
/// # Errors
/// When it is no such URL, or has more in it: a password or an option would be of no effect.
pub fn account_at(url: &str) -> Result<Account, InvalidUrl> {
    const EXPECTED: &str = "USER";
    let options = options_at(url, EXPECTED)?;
    let invalid = |got: &str| InvalidUrl { expected: EXPECTED, got: got.to_owned() };
    let url = Url::parse(url).map_err(|error| invalid(&error.to_string()))?;
    // sqlx has a default for each, and none of them is right here.
    match (url.username().is_empty(), url.password(), url.query()) {
        (true, _, _) => return Err(invalid("no user")),
        (_, Some(_), _) => return Err(invalid("a password")),
        (_, _, Some(_)) => return Err(invalid("options")),
        (false, None, None) => {}
    }
    Ok(Account {
        host: options.get_host().to_owned(),
        port: options.get_port(),
        username: options.get_username().to_owned(),
        database: options.get_database().map(str::to_owned),
    })
}

fn options_at(url: &str, expected: &'static str) -> Result<MySqlConnectOptions, InvalidUrl> {
    let invalid = |got: String| InvalidUrl { expected, got };
    if !url.starts_with("mysql://") {
        let scheme = url.split_once("://").map_or("text without a scheme", |(scheme, _)| scheme);
        return Err(invalid(format!("{scheme:?}")));
    }
    MySqlConnectOptions::from_str(url).map_err(|error| invalid(error.to_string()))
}

fn options_of(login: &Login, authorities: &Authorities) -> MySqlConnectOptions {
    let Login { account, credential } = login;
    let options = MySqlConnectOptions::new()
        // A URL has brackets around an IPv6 address, a certificate has none.
        .host(account.host.trim_matches(['[', ']']))
        .port(account.port)
        .username(&account.username)
        // Before anything of the login is sent: whoever can pretend to be the database can ask for the password in clear.
        .ssl_mode(MySqlSslMode::VerifyIdentity)
        .ssl_ca_from_pem(authorities.pem());
    let options = match credential {
        Credential::Password(password) => options.password(password),
        Credential::Token(token) => options.password(token).enable_cleartext_plugin(true),
    };
    match &account.database {
        Some(database) => options.database(database),
        None => options,
    }
}

async fn open(options: &MySqlConnectOptions) -> Result<MySqlConnection, ConnectError> {
    let options = options
        .clone()
        // The definition's author writes MySQL; `||` stays what the server says it is.
        .pipes_as_concat(false)
        .no_engine_substitution(false)
        // What the server sends is UTF-8, whatever a URL says: the files are.
        .charset("utf8mb4")
        .set_names(true)
        // Timestamps leave in UTC, whatever the server's own zone is.
        .timezone(Some("+00:00".to_owned()))
        // For the ledger, which repeats a few statements, and for an export's own, which is looked at before it runs.
        .statement_cache_capacity(8)
        // sqlx logs slow statements with their text, which is not ours to log.
        .log_statements(LevelFilter::Off)
        .log_slow_statements(LevelFilter::Off, Duration::ZERO);
    match tokio::time::timeout(CONNECT_TIMEOUT, options.connect()).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) if is_login_refused(&error) => Err(ConnectError::Refused(error)),
        Ok(Err(error)) => Err(match distrust(&error) {
            Some(reason) => ConnectError::Untrusted(reason),
            None => ConnectError::Unreachable(error),
        }),
        Err(_) => {
            let text = format!("no answer within {} s", CONNECT_TIMEOUT.as_secs());
            let error = std::io::Error::new(std::io::ErrorKind::TimedOut, text);
            Err(ConnectError::Unreachable(sqlx::Error::Io(error)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_for_tokens_has_an_account_and_nothing_else() {
        let account = account_at("mysql://ex%40port@db.example:3307/shop").unwrap();
        assert_eq!((account.host.as_str(), account.port), ("db.example", 3307));
        assert_eq!((account.username.as_str(), account.database.as_deref()), ("ex@port", Some("shop")));
        for (url, got) in [
            ("mysql://export:hunter2@db.example/shop", "a password"),
            ("mysql://export@db.example/shop?ssl-mode=DISABLED", "options"),
            ("mysql://db.example/shop", "no user"),
            ("postgres://export@db.example/shop", "\"postgres\""),
        ] {
            let error = account_at(url).unwrap_err().to_string();
            assert_eq!(error, format!("expected mysql://USER@HOST:PORT/DATABASE, got {got}"));
        }
    }

    #[test]
    fn a_login_goes_to_a_server_that_has_proven_itself_and_to_no_other() {
        let account = account_at("mysql://export@[::1]/shop").unwrap();
        for credential in [Credential::Password("p".to_owned()), Credential::Token("t".to_owned())] {
            let login = Login { account: account.clone(), credential };
            let options = options_of(&login, &Authorities::rds());
            assert!(matches!(options.get_ssl_mode(), MySqlSslMode::VerifyIdentity));
            assert_eq!(options.get_host(), "::1");
        }
    }
}
