//! How to reach the database. A port, because a password may live in a secrets service.

use std::fmt;

/// Everything needed to log in.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Account.
    pub username: String,
    /// Its password.
    pub password: String,
    /// The schema that unqualified table names mean.
    pub database: Option<String>,
}

impl fmt::Debug for Login {
    /// Without account and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
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
    /// The login.
    ///
    /// # Errors
    /// When it cannot be fetched or read.
    fn login(&self, freshness: Freshness) -> impl Future<Output = Result<Login, LoginError>> + Send;
}

/// No login to be had.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The service that keeps it did not answer; it may answer later.
    #[error("the database secret could not be fetched")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It is not there, not ours to read, or not what it should be.
    #[error("the database secret cannot be used: {0}")]
    Invalid(String),
}
