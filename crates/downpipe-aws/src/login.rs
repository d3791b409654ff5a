//! The database login, by password or by token.

use downpipe_core::login::{Freshness, Login, LoginError, LoginSource};

use crate::iam::IamLogin;
use crate::secrets::SecretLogin;

/// A password from a secret, or a token that is signed for every connection.
#[derive(Debug)]
pub enum DatabaseLogin {
    /// The password in a secret.
    Password(SecretLogin),
    /// A token of IAM.
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
