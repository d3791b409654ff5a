//! The body of a request: JSON, small and uncompressed.

use std::collections::BTreeMap;
use std::error::Error;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::value::RawValue;

use crate::limits::MAX_BODY_BYTES;
use crate::problem::Problem;

/// The fields of an object, each value as it was sent: a number keeps its digits.
pub(crate) type Fields = BTreeMap<String, Box<RawValue>>;

/// Reads a body that is an object. One without a byte is an object without fields.
///
/// # Errors
/// When it is too large, of another kind, or no object.
pub(crate) async fn object(headers: &HeaderMap, body: Body) -> Result<Fields, Problem> {
    let bytes = bytes(body).await?;
    if bytes.is_empty() {
        return Ok(Fields::new());
    }
    if !is_json(headers) {
        return Err(Problem::unsupported_media_type());
    }
    serde_json::from_slice(&bytes)
        .map_err(|_| Problem::malformed("The body cannot be read: expected a JSON object."))
}

async fn bytes(body: Body) -> Result<Bytes, Problem> {
    match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if is_too_large(error.as_ref()) => Err(Problem::too_large(MAX_BODY_BYTES)),
        Err(_) => Err(Problem::malformed("The body broke off.")),
    }
}

fn is_too_large(error: &(dyn Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |error: &&(dyn Error + 'static)| (*error).source());
    causes.any(|cause| cause.is::<LengthLimitError>())
}

fn is_json(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let kind = text(CONTENT_TYPE).unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let encoding = text(CONTENT_ENCODING).unwrap_or("identity");
    kind.eq_ignore_ascii_case("application/json") && encoding.eq_ignore_ascii_case("identity")
}
