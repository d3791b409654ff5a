//! Every route, and what each request goes through before it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH, LINK, LOCATION, RETRY_AFTER,
};
use axum::http::{HeaderValue, Method, request};
use axum::middleware::from_fn_with_state;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::api;
use crate::embed;
use crate::guard::guard;
use crate::pages;
use crate::portal::{Portal, Ports};
use crate::problem::Problem;

/// How long a browser remembers what a page of another origin may ask.
const PREFLIGHT_AGE: Duration = Duration::from_secs(600);

/// Returns the portal's routes.
pub fn router<P: Ports>(portal: Arc<Portal<P>>) -> Router {
    api::routes::<P>()
        .merge(pages::routes::<P>())
        .fallback(|| async { Problem::not_found() })
        .layer(cors(Arc::clone(&portal)))
        // Pages of every origin load the button's script, so the rule of the apps' origins is not for it.
        .merge(embed::routes::<P>())
        .layer(from_fn_with_state(Arc::clone(&portal), guard::<P>))
        .with_state(portal)
}

/// Lets pages of the apps' origins call the API. They send a token, and never a cookie.
fn cors<P: Ports>(portal: Arc<Portal<P>>) -> CorsLayer {
    let is_listed = move |origin: &HeaderValue, _: &request::Parts| {
        origin.to_str().is_ok_and(|origin| portal.secrets.last_read().lists_origin(origin))
    };
    let idempotency_key = HeaderName::from_static("idempotency-key");
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(is_listed))
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers([ACCEPT, AUTHORIZATION, CONTENT_TYPE, IF_NONE_MATCH, idempotency_key])
        .expose_headers([ETAG, LINK, LOCATION, RETRY_AFTER, HeaderName::from_static("x-request-id")])
        .max_age(PREFLIGHT_AGE)
}
