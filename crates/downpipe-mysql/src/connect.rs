//! How to connect: with a URL, or with a login that a secrets service keeps.

use std::str::FromStr as _;
use std::time::Duration;

use downpipe_core::login::{Freshness, Login, LoginError, LoginSource};
use sqlx::ConnectOptions as _;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlSslMode};
use tracing::log::LevelFilter;

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
    Login(L),
}

/// Text that is no database URL. Says what is wrong without the password in it.
#[derive(Debug, thiserror::Error)]
#[error("expected mysql://USER:PASSWORD@HOST:PORT/DATABASE, got {0}")]
pub struct InvalidUrl(String);

/// No connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// There is no login to connect with.
    #[error(transparent)]
    Login(#[from] LoginError),
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
        if !url.starts_with("mysql://") {
            let scheme = url.split_once("://").map_or("text without a scheme", |(scheme, _)| scheme);
            return Err(InvalidUrl(format!("{scheme:?}")));
        }
        let options = MySqlConnectOptions::from_str(url).map_err(|error| InvalidUrl(error.to_string()))?;
        Ok(Self { access: Access::Url(Box::new(options)) })
    }

    /// A database whose login is fetched when it is needed. The connection is always encrypted.
    pub fn with_login(login: L) -> Self {
        Self { access: Access::Login(login) }
    }

    /// Connects. A refused login that came from a secret is fetched afresh once: it may have been rotated.
    pub(crate) async fn connect(&self) -> Result<MySqlConnection, ConnectError> {
        let source = match &self.access {
            Access::Url(options) => return open(options).await,
            Access::Login(source) => source,
        };
        match open(&options_of(&source.login(Freshness::Any).await?)).await {
            Err(ConnectError::Refused(_)) => {
                tracing::warn!("the database refused the login; fetching the secret again");
                open(&options_of(&source.login(Freshness::Refetched).await?)).await
            }
            result => result,
        }
    }
}

fn options_of(login: &Login) -> MySqlConnectOptions {
    let options = MySqlConnectOptions::new()
        .host(&login.host)
        .port(login.port)
        .username(&login.username)
        .password(&login.password)
        .ssl_mode(MySqlSslMode::Required);
    match &login.database {
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
        Ok(Err(error)) => Err(ConnectError::Unreachable(error)),
        Err(_) => {
            let text = format!("no answer within {} s", CONNECT_TIMEOUT.as_secs());
            let error = std::io::Error::new(std::io::ErrorKind::TimedOut, text);
            Err(ConnectError::Unreachable(sqlx::Error::Io(error)))
        }
    }
}
