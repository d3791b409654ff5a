//! The button that apps put on their pages: one script, the same for every portal of this version.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest as _, Sha256};

use crate::portal::{Portal, Ports};
use crate::reply::is_known;

/// Where the button's script is.
const PATH: &str = "/embed/v1/downpipe-button.js";

/// The script. Its digest stands in `docs/embed.md`, for pages that name it.
const SCRIPT: &str = include_str!("../assets/embed/downpipe-button.js");

/// How long a browser uses the script without asking: an hour. Then it asks with the tag, and may use it for a day meanwhile.
const KEPT_FOR: HeaderValue = HeaderValue::from_static("public, max-age=3600, stale-while-revalidate=86400");

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

static TAG: LazyLock<String> =
    LazyLock::new(|| format!("\"{}\"", &hex::encode(Sha256::digest(SCRIPT.as_bytes()))[..32]));

/// Returns the routes of what apps put on their pages.
pub(crate) fn routes<P: Ports>() -> Router<Arc<Portal<P>>> {
    Router::new().route(PATH, get(script))
}

/// Returns the script. Pages of every origin may load it, also those that take only what allows it (COEP): it says nothing of a person.
async fn script(headers: HeaderMap) -> Response {
    let tag = TAG.as_str();
    let allowed = [
        (ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
        (CACHE_CONTROL, KEPT_FOR),
        (RESOURCE_POLICY, HeaderValue::from_static("cross-origin")),
    ];
    if is_known(&headers, tag) {
        return (StatusCode::NOT_MODIFIED, allowed, [(ETAG, tag)]).into_response();
    }
    (allowed, [(ETAG, tag), (CONTENT_TYPE, "text/javascript; charset=utf-8")], SCRIPT).into_response()
}
