//! The pages, for people: what a link of an e-mail leads to, and what a browser is shown when a request is refused.
//!
//! They need no script, and nothing from elsewhere. Their headers are [`guard`](crate::guard)'s, but for the policy of content.

mod link;
mod words;

use std::sync::{Arc, LazyLock};

use askama::Template;
use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use sha2::{Digest as _, Sha256};

use self::words::Words;
use crate::language::language_of;
use crate::portal::{Portal, Ports};
use crate::problem::Problem;

const STYLE: &str = include_str!("../../assets/portal.css");

/// The style's path has its digest, so that a browser may keep it.
static STYLE_PATH: LazyLock<String> =
    LazyLock::new(|| format!("/assets/portal-{}.css", &hex::encode(Sha256::digest(STYLE))[..16]));

/// Returns the path of the pages' style.
pub(crate) fn style_path() -> &'static str {
    &STYLE_PATH
}

/// Returns the routes of the pages.
pub(crate) fn routes<P: Ports>() -> Router<Arc<Portal<P>>> {
    Router::new()
        .route("/l/{token}", get(link::show::<P>).post(link::download::<P>))
        .route("/l/{token}/retry", post(link::retry::<P>))
        .route(style_path(), get(style))
}

async fn style() -> Response {
    let headers = [(CONTENT_TYPE, "text/css"), (CACHE_CONTROL, "public, max-age=31536000, immutable")];
    (headers, STYLE).into_response()
}

/// A page that only says something.
#[derive(Template)]
#[template(path = "message.html")]
struct MessagePage<'a> {
    words: &'static Words,
    title: &'a str,
    advice: &'a str,
    request_number: Option<&'a str>,
}

/// Returns a page that only says this.
fn message(status: StatusCode, words: &'static Words, title: &str, advice: &str) -> Response {
    page(status, &MessagePage { words, title, advice, request_number: None }, None)
}

/// Returns the page of a problem, in the browser's language.
pub(crate) fn problem_page(problem: &Problem, request_id: &str, headers: &HeaderMap) -> Response {
    let words = Words::of(language_of(None, headers));
    let title = words.something_is_wrong;
    page(
        problem.status(),
        &MessagePage { words, title, advice: problem.detail(), request_number: Some(request_id) },
        None,
    )
}

/// Returns a page. Its forms lead to the portal, and by a redirect to `form_target`, which is an origin.
fn page(status: StatusCode, template: &impl Template, form_target: Option<&str>) -> Response {
    let html = match template.render() {
        Ok(html) => html,
        Err(error) => {
            tracing::error!(%error, "a page could not be written");
            return Problem::internal().into_response();
        }
    };
    let policy = format!(
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self' {}; frame-ancestors 'none'; base-uri 'none'",
        form_target.unwrap_or_default()
    );
    let mut response = (status, Html(html)).into_response();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}
