//! Logs in to the database as the worker's own role.
//!
//! <https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html>

use std::time::SystemTime;

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::config::Credentials;
use aws_sdk_secretsmanager::error::BoxError;
use downpipe_core::error_chain::error_chain;
use downpipe_core::login::{Account, Credential, Freshness, Login, LoginError, LoginSource};
use percent_encoding::utf8_percent_encode;

use super::{CannotSign, Signer, signed};
use crate::percent::RESERVED;
use crate::secrets::SecretLogin;

const SERVICE: &str = "rds-db";

/// Logins with a token of IAM.
#[derive(Debug)]
pub struct IamLogin {
    accounts: Accounts,
    signer: Signer,
}

/// Where the account is named.
#[derive(Debug)]
enum Accounts {
    Secret(SecretLogin),
    Known(Account),
}

impl IamLogin {
    /// Returns logins as the account that a secret names. A password in the secret is ignored.
    ///
    /// # Errors
    /// When the settings have no region or no credentials.
    pub fn of_secret(config: &SdkConfig, secret: impl Into<String>) -> Result<Self, CannotSign> {
        let accounts = Accounts::Secret(SecretLogin::new(config, secret));
        Ok(Self { accounts, signer: Signer::new(config)? })
    }

    /// Returns logins as this account.
    ///
    /// # Errors
    /// When the settings have no region or no credentials.
    pub fn of_account(config: &SdkConfig, account: Account) -> Result<Self, CannotSign> {
        Ok(Self { accounts: Accounts::Known(account), signer: Signer::new(config)? })
    }
}

impl LoginSource for IamLogin {
    async fn login(&self, freshness: Freshness) -> Result<Login, LoginError> {
        let account = match &self.accounts {
            Accounts::Secret(secret) => secret.account(freshness).await?,
            Accounts::Known(account) => account.clone(),
        };
        let credentials = self.signer.credentials().await.map_err(LoginError::Unavailable)?;
        let token = database_token(&account, credentials, self.signer.region(), SystemTime::now());
        let token = token.map_err(|error| LoginError::Invalid(error_chain(&*error)))?;
        Ok(Login { account, credential: Credential::Token(token) })
    }
}

/// Returns a token for an account, valid for a quarter of an hour from this moment.
///
/// # Errors
/// When a URL cannot have this host.
pub fn database_token(
    account: &Account,
    credentials: Credentials,
    region: &str,
    now: SystemTime,
) -> Result<String, BoxError> {
    let Account { host, port, username, .. } = account;
    let user = utf8_percent_encode(username, RESERVED);
    let address = format!("{}:{port}/?Action=connect&DBUser={user}", host.to_ascii_lowercase());
    signed(SERVICE, address, credentials, region, now)
}
