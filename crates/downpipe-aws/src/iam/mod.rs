//! Logs in with tokens of IAM in place of passwords: to databases and to caches.
//!
//! A token is a URL that is signed here, without a call to AWS, and never fetched. A connection can begin with it for a quarter of an
//! hour and then live on. Every connection gets a new token, so there is nothing to rotate.

mod cache;
mod database;

pub(crate) use self::cache::CacheTokens;
pub use self::cache::cache_token;
pub use self::database::{IamLogin, database_token};

use std::time::{Duration, SystemTime};

use aws_config::{Region, SdkConfig};
use aws_sdk_secretsmanager::config::{Credentials, ProvideCredentials as _, SharedCredentialsProvider};
use aws_sdk_secretsmanager::error::BoxError;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningParams, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use percent_encoding::utf8_percent_encode;

use crate::percent::RESERVED;

/// The longest lifetime that RDS and ElastiCache take.
const TOKEN_LIFETIME: Duration = Duration::from_secs(900);

/// AWS settings that cannot sign a token.
#[derive(Debug, thiserror::Error)]
#[error("expected AWS settings with {0}, got none: tokens cannot be signed")]
pub struct CannotSign(&'static str);

/// The credentials and the region that sign tokens.
#[derive(Debug)]
struct Signer {
    credentials: SharedCredentialsProvider,
    region: Region,
}

impl Signer {
    fn new(config: &SdkConfig) -> Result<Self, CannotSign> {
        let region = config.region().cloned().ok_or(CannotSign("a region"))?;
        let credentials = config.credentials_provider().ok_or(CannotSign("credentials"))?;
        Ok(Self { credentials, region })
    }

    async fn credentials(&self) -> Result<Credentials, BoxError> {
        Ok(self.credentials.provide_credentials().await?)
    }

    fn region(&self) -> &str {
        self.region.as_ref()
    }
}

/// Signs a token for a service.
///
/// `address` is a URL with a query and without a scheme, and so is the token.
fn signed(
    service: &str,
    address: String,
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
        .name(service)
        .time(now)
        .settings(settings)
        .build()?;
    // The signature does not cover the scheme.
    let url = format!("https://{address}");
    let request = SignableRequest::new("GET", url, std::iter::empty(), SignableBody::Bytes(&[]))?;
    let (instructions, _signature) = sign(request, &SigningParams::from(params))?.into_parts();
    let mut token = address;
    for (name, value) in instructions.params() {
        token.extend(["&", name, "="]);
        token.extend(utf8_percent_encode(value, RESERVED));
    }
    Ok(token)
}
