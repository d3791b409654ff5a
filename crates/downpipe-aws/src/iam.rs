//! Logging in to the database as the worker's own role: a token in place of a password.
//!
//! A token is a URL that is signed and never fetched. It is made here, without a call to AWS, and is good for the quarter of an
//! hour in which a connection begins with it; how long the connection lives has nothing to do with it. So every connection
//! gets a fresh one, and there is nothing to rotate.
//! <https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html>

use std::time::{Duration, SystemTime};

use aws_config::{Region, SdkConfig};
use aws_sdk_secretsmanager::config::{Credentials, ProvideCredentials as _, SharedCredentialsProvider};
use aws_sdk_secretsmanager::error::BoxError;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningParams, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use downpipe_core::login::{Account, Credential, Freshness, Login, LoginError, LoginSource};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::secrets::SecretLogin;

/// The longest that RDS takes.
const TOKEN_LIFETIME: Duration = Duration::from_secs(900);
const SERVICE: &str = "rds-db";

/// What a query string leaves as it is: the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Logins with a token of IAM's.
#[derive(Debug)]
pub struct IamLogin {
    accounts: Accounts,
    credentials: SharedCredentialsProvider,
    region: Region,
}

/// Where it says which account.
#[derive(Debug)]
enum Accounts {
    Secret(SecretLogin),
    Known(Account),
}

/// AWS settings with which nothing can be signed.
#[derive(Debug, thiserror::Error)]
#[error("expected AWS settings with {0}, got none: a token for the database cannot be signed")]
pub struct CannotSign(&'static str);

impl IamLogin {
    /// As the account that a secret names. A password in it is of no account.
    ///
    /// # Errors
    /// When the settings have no region or no credentials.
    pub fn of_secret(config: &SdkConfig, secret: impl Into<String>) -> Result<Self, CannotSign> {
        Self::new(config, Accounts::Secret(SecretLogin::new(config, secret)))
    }

    /// As this account.
    ///
    /// # Errors
    /// As [`Self::of_secret`].
    pub fn of_account(config: &SdkConfig, account: Account) -> Result<Self, CannotSign> {
        Self::new(config, Accounts::Known(account))
    }

    fn new(config: &SdkConfig, accounts: Accounts) -> Result<Self, CannotSign> {
        let region = config.region().cloned().ok_or(CannotSign("a region"))?;
        let credentials = config.credentials_provider().ok_or(CannotSign("credentials"))?;
        Ok(Self { accounts, credentials, region })
    }
}

impl LoginSource for IamLogin {
    async fn login(&self, freshness: Freshness) -> Result<Login, LoginError> {
        let account = match &self.accounts {
            Accounts::Secret(secret) => secret.account(freshness).await?,
            Accounts::Known(account) => account.clone(),
        };
        let unavailable = |error: BoxError| LoginError::Unavailable(error);
        let credentials =
            self.credentials.provide_credentials().await.map_err(|error| unavailable(error.into()))?;
        let token = database_token(&account, credentials, self.region.as_ref(), SystemTime::now());
        let token = token.map_err(|error| LoginError::Invalid(downpipe_core::failure::chain(&*error)))?;
        Ok(Login { account, credential: Credential::Token(token) })
    }
}

/// A token for an account, good for a quarter of an hour from this moment.
///
/// # Errors
/// When the host is none that a URL can have.
pub fn database_token(
    account: &Account,
    credentials: Credentials,
    region: &str,
    now: SystemTime,
) -> Result<String, BoxError> {
    let mut settings = SigningSettings::default();
    settings.expires_in = Some(TOKEN_LIFETIME);
    settings.signature_location = SignatureLocation::QueryParams;
    let identity = Identity::from(credentials);
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(SERVICE)
        .time(now)
        .settings(settings)
        .build()?;
    let Account { host, port, username, .. } = account;
    let user = utf8_percent_encode(username, RESERVED);
    let mut token = format!("{}:{port}/?Action=connect&DBUser={user}", host.to_ascii_lowercase());
    let url = format!("https://{token}");
    let request = SignableRequest::new("GET", url, std::iter::empty(), SignableBody::Bytes(&[]))?;
    let (instructions, _signature) = sign(request, &SigningParams::from(params))?.into_parts();
    for (name, value) in instructions.params() {
        token.extend(["&", name, "="]);
        token.extend(utf8_percent_encode(value, RESERVED));
    }
    Ok(token)
}
