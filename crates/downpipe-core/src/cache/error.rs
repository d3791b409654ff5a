//! Why a cache did not do what it was asked.

use std::error::Error;

/// Why a cache did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[error("the cache {}", fault.message())]
pub struct CacheError {
    /// What kind of fault it is.
    pub fault: CacheFault,
    /// The client's error.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}

/// What is wrong with a cache, as far as its client can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheFault {
    /// Its host name has no address.
    Name,
    /// No connection came about, or it broke.
    Connection,
    /// It did not answer in time.
    Timeout,
    /// Its certificate is not one for this host from an authority that is trusted.
    Tls,
    /// It refused the user or the token.
    Login,
    /// The user may not use this command or this key.
    Permission,
    /// It refused for another reason: it is full, or the key has a value of another type.
    Refused,
}

impl CacheFault {
    /// Returns the kind's name, for logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Connection => "connection",
            Self::Timeout => "timeout",
            Self::Tls => "tls",
            Self::Login => "login",
            Self::Permission => "permission",
            Self::Refused => "refused",
        }
    }

    /// Returns what is wrong, in words that follow "the cache".
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::Name => "has a host name without an address",
            Self::Connection => "could not be reached, or the connection broke",
            Self::Timeout => "did not answer in time",
            Self::Tls => "has a certificate that cannot be verified",
            Self::Login => "refused the user or the token",
            Self::Permission => "does not allow the user this command or this key",
            Self::Refused => "refused the command",
        }
    }
}
