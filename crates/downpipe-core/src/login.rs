//! How to log in to the database. A port, because a password may live in a secrets service, and a token only for minutes.

use std::fmt;

/// Where the database is, and the account that is used there.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The account's name.
    pub username: String,
    /// The schema that unqualified table names mean.
    pub database: Option<String>,
}

/// Everything that is needed to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The database and the account.
    pub account: Account,
    /// What proves the account.
    pub credential: Credential,
}

/// A proof of the account.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// The account's password.
    Password(String),
    /// A token in place of a password. It is sent in clear text, so only to a server that has proven its identity.
    Token(String),
}

impl fmt::Debug for Account {
    /// Leaves out the account's name, which is personal data in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl fmt::Debug for Credential {
    /// Leaves out the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password(_) => "Password",
            Self::Token(_) => "Token",
        })
    }
}

/// Which login to use: the cached one, or a new one because the database has just refused the cached one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// The cached login, if there is one.
    Any,
    /// A newly fetched login: the password may have been rotated.
    Refetched,
}

/// Where logins come from.
pub trait LoginSource: Send + Sync {
    /// Returns the login. It is asked for at every connect, so a login that lives for minutes is enough.
    ///
    /// # Errors
    /// When the login cannot be fetched or read.
    fn login(&self, freshness: Freshness) -> impl Future<Output = Result<Login, LoginError>> + Send;
}

/// Why there is no login.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The service that keeps the login did not answer. It may answer later.
    #[error("the database login could not be fetched")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The login is absent, cannot be read with this role, or is malformed.
    #[error("the database login cannot be used: {0}")]
    Invalid(String),
}
