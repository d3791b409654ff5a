//! Tokens of apps: who a person is, as the server of an app that we know has signed.
//!
//! A token names its app (`iss`) and key (`kid`). The key's algorithm is the one that the portal's secret gives, and never the
//! token's. Keys and addresses of keys in a token's header are not looked at.

mod signature;

use std::collections::BTreeMap;

use downpipe_core::requester::Requester;
use jiff::Timestamp;
use jsonwebtoken::dangerous::insecure_decode;
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::secret::PortalSecret;

/// The longest time between a token's `iat` and its `exp`, in seconds.
const MAX_LIFE: u64 = 600;

/// How far the clock of an app's server may be from ours, in seconds.
const CLOCK_SKEW: u64 = 5;

/// What a token that is good says.
#[derive(Debug)]
pub(crate) struct Verified {
    /// The app.
    pub(crate) app: String,
    /// The person.
    pub(crate) requester: Requester,
    /// The exports to which the token is limited, among those of its app.
    pub(crate) exports: Vec<String>,
    /// Parameters that cannot be given otherwise.
    pub(crate) params: BTreeMap<String, Box<RawValue>>,
}

/// Why a token is no good, in words that may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InvalidToken(pub(crate) &'static str);

#[derive(Deserialize)]
struct Claims {
    sub: String,
    iat: u64,
    exp: u64,
    exports: Option<Vec<String>>,
    #[serde(default)]
    params: BTreeMap<String, Box<RawValue>>,
}

/// The claim that chooses the keys. It is believed only when one of them has verified the token.
#[derive(Deserialize)]
struct Issuer {
    iss: String,
}

/// Verifies a token for the portal at this URL.
///
/// # Errors
/// When anything about it is wrong.
pub(crate) fn verify(token: &str, secret: &PortalSecret, url: &str) -> Result<Verified, InvalidToken> {
    signature::install();
    let header = decode_header(token).map_err(|_| InvalidToken("it is no JWT of a known algorithm"))?;
    if header.crit.is_some() {
        return Err(InvalidToken("its header has critical extensions"));
    }
    let issuer = insecure_decode::<Issuer>(token).map_err(|_| InvalidToken("iss is missing"))?.claims.iss;
    let unknown = InvalidToken("iss and kid name no key that is known");
    let app = secret.app(&issuer).ok_or(unknown)?;
    let key = header.kid.as_deref().and_then(|kid| app.key(kid)).ok_or(unknown)?;
    let mut validation = Validation::new(key.algorithm);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.set_audience(&[url]);
    validation.set_issuer(&[&issuer]);
    validation.leeway = CLOCK_SKEW;
    validation.validate_nbf = true;
    let claims = decode::<Claims>(token, &key.key, &validation).map_err(|error| reason(&error))?.claims;
    check_times(&claims, Timestamp::now())?;
    let requester = claims.sub.parse::<Requester>().ok().filter(|requester| !requester.is_operator());
    let requester = requester.ok_or(InvalidToken("sub is no e-mail address"))?;
    let is_granted = |name: &&String| claims.exports.as_ref().is_none_or(|exports| exports.contains(*name));
    let exports = app.exports.iter().filter(is_granted).cloned().collect();
    Ok(Verified { app: issuer, requester, exports, params: claims.params })
}

/// Checks what the library does not: when the token was issued, and for how long.
fn check_times(claims: &Claims, now: Timestamp) -> Result<(), InvalidToken> {
    let now = u64::try_from(now.as_second()).unwrap_or_default();
    let life = claims.exp.checked_sub(claims.iat);
    if claims.iat > now.saturating_add(CLOCK_SKEW) {
        return Err(InvalidToken("iat is in the future"));
    }
    if life.is_none_or(|life| life > MAX_LIFE) {
        return Err(InvalidToken("exp is not within 600 seconds after iat"));
    }
    Ok(())
}

/// Sorts the library's errors. Those that quote a token are not passed on.
fn reason(error: &Error) -> InvalidToken {
    InvalidToken(match error.kind() {
        ErrorKind::ExpiredSignature => "it has expired",
        ErrorKind::ImmatureSignature => "nbf is in the future",
        ErrorKind::InvalidAudience => "aud is not this portal",
        ErrorKind::InvalidAlgorithm => "alg is not that of its key",
        ErrorKind::InvalidSignature => "its signature is wrong",
        ErrorKind::MissingRequiredClaim(_) => "exp, aud or sub is missing",
        _ => "a claim is missing or of another type",
    })
}

#[cfg(test)]
mod tests;
