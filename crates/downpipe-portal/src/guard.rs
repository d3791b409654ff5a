//! What every answer goes through: its number, its time limit, its headers, the body of a problem, and one line in the log.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use tokio::time::{Instant, timeout};
use tracing::Instrument as _;

use crate::accept::asks_for_html;
use crate::limits::REQUEST_TIMEOUT;
use crate::pages::problem_page;
use crate::portal::{Portal, Ports};
use crate::problem::Problem;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// Headers of every answer that does not say otherwise. An answer is of one person, and no page.
const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        ),
    ),
    (OPENER_POLICY, HeaderValue::from_static("same-origin")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
];

/// Answers a request. Whatever goes wrong on the way is a problem with a body.
///
/// The log has the route and never the path or the query, which have ids and values.
pub(crate) async fn guard<P: Ports>(
    State(portal): State<Arc<Portal<P>>>,
    request: Request,
    next: Next,
) -> Response {
    let id = format!("{:016x}", fastrand::u64(..));
    let began = Instant::now();
    let method = request.method().clone();
    let is_page = !request.uri().path().starts_with("/api/") && asks_for_html(request.headers());
    let page_headers = is_page.then(|| request.headers().clone());
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let span = tracing::info_span!("request", request_id = id);
    async {
        let answer = AssertUnwindSafe(timeout(REQUEST_TIMEOUT, next.run(request))).catch_unwind().await;
        let mut response = match answer {
            Ok(Ok(response)) => response,
            Ok(Err(_)) => Problem::timed_out().into_response(),
            Err(_) => Problem::internal().into_response(),
        };
        explain(&mut response, &id, page_headers.as_ref());
        add_headers(response.headers_mut(), &id, portal.url.starts_with("https://"));
        tracing::info!(
            method = method.as_str(),
            route = route.as_deref().unwrap_or("none"),
            status = response.status().as_u16(),
            milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            "answered"
        );
        response
    }
    .instrument(span)
    .await
}

/// Gives an answer that is a problem its body: a page for a browser, which sent these headers.
fn explain(response: &mut Response, id: &str, page_headers: Option<&HeaderMap>) {
    let status = response.status();
    let problem = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem,
        // A page of ours says itself what is wrong.
        None if response.headers().contains_key(CONTENT_SECURITY_POLICY) => return,
        None if status.is_client_error() || status.is_server_error() => Problem::of_status(status),
        None => return,
    };
    response.headers_mut().remove(CONTENT_LENGTH);
    if let Some(asked) = page_headers {
        let (page, body) = problem_page(&problem, id, asked).into_parts();
        *response.body_mut() = body;
        response.headers_mut().extend(page.headers);
        return;
    }
    let body = serde_json::to_vec(&problem.body(id)).unwrap_or_default();
    *response.body_mut() = Body::from(body);
    let kind = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
}

fn add_headers(headers: &mut HeaderMap, id: &str, is_encrypted: bool) {
    for (name, value) in HEADERS {
        // A page has a policy of its own, and a style may be kept.
        headers.entry(name).or_insert(value);
    }
    if is_encrypted {
        let a_year = HeaderValue::from_static("max-age=31536000");
        headers.insert(STRICT_TRANSPORT_SECURITY, a_year);
    }
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(X_REQUEST_ID, id);
    }
}
