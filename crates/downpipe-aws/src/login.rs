//! The database login, whichever way it is had.

use downpipe_core::login::{Freshness, Login, LoginError, LoginSource};

use crate::iam::IamLogin;
use crate::secrets::SecretLogin;

/// A password from a secret, or a token that is made at every connect.
#[derive(Debug)]
pub enum DatabaseLogin {
    /// The password in a secret.
    Password(SecretLogin),
    /// A token of IAM's.
    Token(IamLogin),
}

impl LoginSource for DatabaseLogin {
    async fn login(&self, freshness: Freshness) -> Result<Login, LoginError> {
        match self {
            Self::Password(secret) => secret.login(freshness).await,
            Self::Token(iam) => iam.login(freshness).await,
        }
    }
}
