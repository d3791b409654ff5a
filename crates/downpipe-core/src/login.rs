//! How to reach the database. A port, because what proves who we are may live in a secrets service, or for minutes only.

use std::fmt;

/// Where the database is, and who we are there.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Account.
    pub username: String,
    /// The schema that unqualified table names mean.
    pub database: Option<String>,
}

/// Everything needed to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// Where, and as whom.
    pub account: Account,
    /// What proves it.
    pub credential: Credential,
}

/// What proves who we are.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// The account's password.
    Password(String),
    /// A token in place of a password. The server cannot compare it with anything, so it is sent as it is: to a server that
    /// has proven who it is, and to no other.
    Token(String),
}

impl fmt::Debug for Account {
    /// Without the account's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl fmt::Debug for Credential {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password(_) => "Password",
            Self::Token(_) => "Token",
        })
    }
}

/// Which login to use: the one in hand, or a fresh one because the database has just refused that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// The one fetched before, if there is one.
    Any,
    /// Fetched now: the password may have been rotated.
    Refetched,
}

/// Where logins come from.
pub trait LoginSource: Send + Sync {
    /// The login. Asked for at every connect, so it may be one that lives for minutes.
    ///
    /// # Errors
    /// When it cannot be fetched or read.
    fn login(&self, freshness: Freshness) -> impl Future<Output = Result<Login, LoginError>> + Send;
}

/// No login to be had.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The service that keeps it did not answer; it may answer later.
    #[error("the database login could not be fetched")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It is not there, not ours to read, or not what it should be.
    #[error("the database login cannot be used: {0}")]
    Invalid(String),
}
