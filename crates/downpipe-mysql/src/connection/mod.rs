//! Connects to a database: with a URL, or with a login from a [`LoginSource`].

pub(crate) mod error;
mod server_errors;
pub(crate) mod timeouts;
mod tls;
mod url;

pub use self::error::ConnectError;
pub use self::tls::{InvalidAuthorities, RootCertificates};
pub use self::url::{InvalidUrl, account_at};

use std::time::Duration;

use downpipe_core::login::{Credential, Freshness, Login, LoginSource};
use sqlx::ConnectOptions as _;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlSslMode};
use tracing::log::LevelFilter;

use self::error::is_login_refused;
use self::tls::tls_failure_reason;
use self::url::options_trusting;

/// A server that does not answer within this time is unreachable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Settings of every session, the ledger's included. They override the server's, those of `init_connect` and those of a URL.
///
/// The server sends UTF-8, because files are, and timestamps in UTC. Without a `sql_select_limit`, results are complete. With
/// `autocommit`, a statement that writes has written. Without `sql_safe_updates`, none is refused for the index that it uses.
const SETTINGS: &str = "SET NAMES utf8mb4, SESSION time_zone = '+00:00', SESSION autocommit = 1, \
    SESSION sql_select_limit = 18446744073709551615, SESSION sql_safe_updates = 0";

/// The hint for a server that failed a verification which the URL did not ask for.
const SSL_MODE_HINT: &str = "a DATABASE_URL with a password and without an ssl-mode goes to a verified server only \
                              (ssl-mode=REQUIRED would encrypt and verify nothing)";

/// A database, and how to connect to it.
#[derive(Debug, Clone)]
pub struct Database<L> {
    access: Access<L>,
}

#[derive(Debug, Clone)]
enum Access<L> {
    Url {
        options: Box<MySqlConnectOptions>,
        /// Whether the server is verified although the URL does not ask for it.
        verified_by_default: bool,
    },
    Login {
        source: L,
        root_certificates: RootCertificates,
    },
}

impl<L: LoginSource> Database<L> {
    /// A database at a URL: `mysql://user:password@host:port/database`, with sqlx's options (`?ssl-mode=…`).
    ///
    /// Unless the URL has an `ssl-mode`, a password goes to another machine only when it has a certificate for its host name from one
    /// of RDS's root certificates.
    ///
    /// # Errors
    /// When it is no such URL.
    pub fn at_url(url: &str) -> Result<Self, InvalidUrl> {
        Self::at_url_trusting(url, None)
    }

    /// A database at a URL, verified by these root certificates. With some, a server on this machine is verified, too.
    ///
    /// # Errors
    /// When it is no such URL.
    pub fn at_url_trusting(
        url: &str,
        root_certificates: Option<&RootCertificates>,
    ) -> Result<Self, InvalidUrl> {
        let (options, verified_by_default) = options_trusting(url, root_certificates)?;
        Ok(Self { access: Access::Url { options: Box::new(options), verified_by_default } })
    }

    /// A database whose login is fetched for every connection. The login goes only to a server with a certificate for its host name
    /// from one of these root certificates.
    pub fn with_login(source: L, root_certificates: RootCertificates) -> Self {
        Self { access: Access::Login { source, root_certificates } }
    }

    /// Connects. Fetches a refused login once more, because its secret may have been rotated.
    pub(crate) async fn connect(&self) -> Result<MySqlConnection, ConnectError> {
        let (source, root_certificates) = match &self.access {
            Access::Url { options, verified_by_default } => {
                return open(options).await.map_err(|error| match error {
                    ConnectError::Untrusted(reason) if *verified_by_default => {
                        ConnectError::Untrusted(format!("{reason}; {SSL_MODE_HINT}").into())
                    }
                    error => error,
                });
            }
            Access::Login { source, root_certificates } => (source, root_certificates),
        };
        match open(&options_of(&source.login(Freshness::Any).await?, root_certificates)).await {
            Err(ConnectError::Refused(_)) => {
                tracing::warn!("the database refused the login; fetching it again");
                open(&options_of(&source.login(Freshness::Refetched).await?, root_certificates)).await
            }
            result => result,
        }
    }
}

fn options_of(login: &Login, root_certificates: &RootCertificates) -> MySqlConnectOptions {
    let Login { account, credential } = login;
    let options = MySqlConnectOptions::new()
        // A URL has brackets around an IPv6 address, a certificate has none.
        .host(account.host.trim_matches(['[', ']']))
        .port(account.port)
        .username(&account.username)
        // A server that only pretends to be the database could ask for the password in clear.
        .ssl_mode(MySqlSslMode::VerifyIdentity)
        .ssl_ca_from_pem(root_certificates.pem());
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
        // The definition's author writes for the server, so its `||` stays as it is.
        .pipes_as_concat(false)
        .no_engine_substitution(false)
        // SETTINGS has both. sqlx would send a statement of its own.
        .set_names(false)
        .timezone(None)
        // For the ledger, which repeats a few statements, and for an export's query, which is prepared before it runs.
        .statement_cache_capacity(8)
        // sqlx logs slow statements with their text, and no SQL belongs in a log.
        .log_statements(LevelFilter::Off)
        .log_slow_statements(LevelFilter::Off, Duration::ZERO);
    match tokio::time::timeout(CONNECT_TIMEOUT, connect(&options)).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) if is_login_refused(&error) => Err(ConnectError::Refused(error)),
        Ok(Err(error)) => Err(match tls_failure_reason(&error) {
            Some(reason) => ConnectError::Untrusted(reason.into()),
            None => ConnectError::Unreachable(error),
        }),
        Err(_) => {
            let text = format!("no answer within {} s", CONNECT_TIMEOUT.as_secs());
            let error = std::io::Error::new(std::io::ErrorKind::TimedOut, text);
            Err(ConnectError::Unreachable(sqlx::Error::Io(error)))
        }
    }
}

async fn connect(options: &MySqlConnectOptions) -> Result<MySqlConnection, sqlx::Error> {
    let mut connection = options.connect().await?;
    sqlx::raw_sql(SETTINGS).execute(&mut connection).await?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn login_of_any_credential_goes_to_verified_server_only() {
        let account = account_at("mysql://export@[::1]/shop").unwrap();
        for credential in [Credential::Password("p".to_owned()), Credential::Token("t".to_owned())] {
            let login = Login { account: account.clone(), credential };
            let options = options_of(&login, &RootCertificates::rds());
            assert!(matches!(options.get_ssl_mode(), MySqlSslMode::VerifyIdentity));
            assert_eq!(options.get_host(), "::1");
        }
    }
}
