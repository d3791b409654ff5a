//! What is wrong with a request, as RFC 9457 has it.
//!
//! A [`Problem`] becomes the body of an answer in [`guard`](crate::guard), which knows the request's id. Nothing of a problem depends
//! on what the caller may not know: the answer to a job of another person is that to a job that does not exist.

use std::time::Duration;

use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use downpipe_core::error_chain::error_chain;
use downpipe_core::ledger::LedgerError;
use downpipe_core::message::{Rejection, Rejections};
use serde::Serialize;
use utoipa::ToSchema;

/// How long a caller waits where a part of the portal did not answer.
const RETRY_UNAVAILABLE: Duration = Duration::from_secs(5);

/// What is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    errors: Vec<WrongField>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// One thing wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct WrongField {
    /// The field's path, such as `params.from`.
    field: String,
    /// What was expected.
    expected: String,
    /// What came.
    actual: String,
}

/// The body of an answer that says what is wrong with the request: `application/problem+json`, RFC 9457.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody {
    /// `/problems/CODE`: what kind of problem it is.
    #[serde(rename = "type")]
    kind: String,
    /// The status in words.
    title: String,
    /// The status.
    status: u16,
    /// What happened.
    detail: String,
    /// The request's number, by which the operator finds it in the log.
    request_id: String,
    /// Every wrong field.
    errors: Vec<WrongField>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), errors: Vec::new(), headers: Vec::new() }
    }

    /// Returns the problem of an answer that the framework made without saying why.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::not_found(),
            StatusCode::METHOD_NOT_ALLOWED => {
                Self::new(status, "method-not-allowed", "There is no such method here; see the header Allow.")
            }
            StatusCode::BAD_REQUEST => Self::malformed("The request cannot be read."),
            status if status.is_client_error() => Self::new(status, "refused", "The request was refused."),
            _ => Self::internal(),
        }
    }

    /// What cannot be read at all.
    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", detail)
    }

    /// No token.
    pub(crate) fn unauthenticated() -> Self {
        let detail = "The request has no token: expected Authorization: Bearer TOKEN.";
        let problem = Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail);
        problem.with(WWW_AUTHENTICATE, r#"Bearer realm="downpipe""#)
    }

    /// A token that is no good.
    pub(crate) fn invalid_token(reason: &'static str) -> Self {
        let detail = format!("The token is no good: {reason}.");
        let problem = Self::new(StatusCode::UNAUTHORIZED, "invalid-token", detail);
        problem.with(WWW_AUTHENTICATE, r#"Bearer realm="downpipe", error="invalid_token""#)
    }

    /// A token that came from a page of another origin than its app's.
    pub(crate) fn foreign_origin() -> Self {
        let detail = "The page that sent the token is of an origin that the token's app does not list.";
        Self::new(StatusCode::FORBIDDEN, "foreign-origin", detail)
    }

    /// What does not exist, or is not the caller's.
    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "There is nothing of yours here.")
    }

    /// An answer that would be none that the caller takes.
    pub(crate) fn not_acceptable() -> Self {
        let detail = "The answer is application/json, which the header Accept leaves out.";
        Self::new(StatusCode::NOT_ACCEPTABLE, "not-acceptable", detail)
    }

    /// A job that has ended already.
    pub(crate) fn has_ended() -> Self {
        Self::new(StatusCode::CONFLICT, "job-has-ended", "The job has ended already.")
    }

    /// A job that has no file: not yet, or never.
    pub(crate) fn no_file(has_ended: bool) -> Self {
        let detail = if has_ended { "The job ended without a file." } else { "The job has no file yet." };
        Self::new(StatusCode::CONFLICT, "no-file", detail)
    }

    /// A job that has not ended, and is not asked for again.
    pub(crate) fn has_not_ended() -> Self {
        Self::new(StatusCode::CONFLICT, "job-has-not-ended", "The job has not ended yet.")
    }

    /// A job whose file is there, and is not asked for again.
    pub(crate) fn has_file() -> Self {
        Self::new(StatusCode::CONFLICT, "file-is-there", "The job's file is there.")
    }

    /// A file that was deleted as planned.
    pub(crate) fn file_deleted() -> Self {
        let detail = "The file was deleted after its retention. The export can be prepared again.";
        Self::new(StatusCode::GONE, "file-deleted", detail)
    }

    /// A body that is too large.
    pub(crate) fn too_large(most: usize) -> Self {
        let detail = format!("The body is too large: expected at most {most} bytes.");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail)
    }

    /// A body of another kind.
    pub(crate) fn unsupported_media_type() -> Self {
        let detail = "The body is of another kind: expected Content-Type: application/json, uncompressed.";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail)
    }

    /// Values that are wrong, each named.
    pub(crate) fn wrong_values(errors: Vec<Rejection>) -> Self {
        let problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "wrong-values", "Some values are wrong.");
        Self { errors: errors.into_iter().map(WrongField::from).collect(), ..problem }
    }

    /// An idempotency key that stands for another request already.
    pub(crate) fn key_used() -> Self {
        let detail = "The Idempotency-Key was used for another request before.";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "key-used", detail)
    }

    /// Too many requests.
    pub(crate) fn too_many_requests(wait: Duration) -> Self {
        let detail = "There were too many requests within a second.";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", detail).after(wait)
    }

    /// Too many jobs under way.
    pub(crate) fn too_many_jobs(most: u32) -> Self {
        let detail = format!("There are {most} exports under way already. Wait until one of them has ended.");
        let wait = Duration::from_secs(30);
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-jobs", detail).after(wait)
    }

    /// A part that did not answer. The cause goes to the log.
    pub(crate) fn unavailable(what: &'static str, error: &dyn std::error::Error) -> Self {
        tracing::error!(error = error_chain(error), "{what} could not be used");
        let detail = "A part of the portal did not answer. Nothing is lost; try again.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail).after(RETRY_UNAVAILABLE)
    }

    /// A request that took too long.
    pub(crate) fn timed_out() -> Self {
        let detail = "The answer took too long. Try again.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "timed-out", detail).after(RETRY_UNAVAILABLE)
    }

    /// A mistake of the portal.
    pub(crate) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The portal has made a mistake.")
    }

    /// Returns the status.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns what happened, in words that may be shown.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// Returns the body for a request of this number.
    pub(crate) fn body(&self, request_id: &str) -> ProblemBody {
        ProblemBody {
            kind: format!("/problems/{}", self.code),
            title: self.status.canonical_reason().unwrap_or_default().to_owned(),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            request_id: request_id.to_owned(),
            errors: self.errors.clone(),
        }
    }

    fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.push((name, HeaderValue::from_static(value)));
        self
    }

    /// Says after how many seconds to try again.
    fn after(mut self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.headers.push((RETRY_AFTER, seconds.max(1).into()));
        self
    }
}

impl From<Rejection> for WrongField {
    fn from(Rejection { field, expected, actual }: Rejection) -> Self {
        Self { field, expected, actual }
    }
}

impl From<Rejections> for Problem {
    fn from(rejections: Rejections) -> Self {
        Self::wrong_values(rejections.shown().cloned().collect())
    }
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        Self::unavailable("the ledger", &error)
    }
}

impl IntoResponse for Problem {
    /// Leaves the problem in the answer's extensions, where [`guard`](crate::guard) finds it.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        for (name, value) in &self.headers {
            response.headers_mut().insert(name, value.clone());
        }
        response.extensions_mut().insert(self);
        response
    }
}
