//! `POST exports/NAME/jobs`: asks for an export.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use downpipe_app::click::{Accepted, Click, ClickError};
use downpipe_app::estimate::estimate;
use downpipe_core::error_chain::error_chain;
use downpipe_core::job::Via;
use downpipe_core::language::Language;
use downpipe_core::request::ExportRequest;
use serde::Deserialize;
use utoipa::ToSchema;

use super::exports::allowed;
use super::jobs;
use super::refusals::{BadBody, Missing, Refusals, Wrong};
use super::request::{accept, idempotency_key};
use super::view::JobView;
use crate::accept::takes_json;
use crate::body;
use crate::caller::Caller;
use crate::language::ReaderLanguage;
use crate::portal::{Portal, Ports};
use crate::problem::Problem;
use crate::reply::json;

/// What is asked for. Fields that are left out are the definition's. Who asks is who the token names.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewJob)]
#[expect(dead_code, reason = "only the document has it; the body is read as a message is")]
pub(crate) struct NewJobBody {
    /// The parameters' values, by name: strings, numbers and booleans.
    #[schema(value_type = Option<Object>)]
    params: Option<serde_json::Value>,
    /// How text files are written.
    profile: Option<String>,
    /// The format.
    format: Option<String>,
    /// The compression.
    compression: Option<String>,
    /// The language of the e-mails about it: `en` or `ja`.
    #[schema(pattern = "^(en|ja)$")]
    language: Option<String>,
}

/// Asks for an export. The same request, while one is under way or its file may be reused, is the same job.
#[utoipa::path(
    post,
    path = "/api/v1/exports/{name}/jobs",
    tag = "jobs",
    operation_id = "create_job",
    params(
        ("name" = String, Path, description = "The export's name."),
        (
            "Idempotency-Key" = Option<String>,
            Header,
            description = "1 to 128 visible characters that stand for this request: sent again, the answer is the same job."
        )
    ),
    request_body(content = NewJobBody, description = "64 KiB at most."),
    responses(
        (status = 202, description = "The job is recorded. Location is its path.", body = JobView),
        (status = 200, description = "The job was asked for before: `repeated` is true.", body = JobView),
        Refusals,
        BadBody,
        Missing,
        Wrong
    ),
    security(("app_token" = []))
)]
pub(crate) async fn ask<P: Ports>(
    State(portal): State<Arc<Portal<P>>>,
    caller: Caller,
    ReaderLanguage(language): ReaderLanguage,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    takes_json(&headers)?;
    let definition = allowed(&portal, &caller, &name)?;
    let fields = body::object(&headers, body).await?;
    let key = idempotency_key(&headers)?;
    let (message, request) = accept(&caller, definition, &portal.catalog, fields, key.as_deref())?;
    let click = Click {
        request: &request,
        message: &message,
        via: Via::App,
        app: Some(&caller.app),
        expected_rows: expected_rows(&portal, &request).await,
        jobs_per_person: Some(portal.jobs_per_person),
    };
    let accepted = portal.clicks().accept(&click).await?;
    answer(&portal, accepted, language).await
}

/// Answers with the job of a click.
pub(super) async fn answer<P: Ports>(
    portal: &Portal<P>,
    accepted: Accepted,
    language: Language,
) -> Result<Response, Problem> {
    let Accepted { job, repeated } = accepted;
    let view = jobs::view(portal, &job, repeated, language).await?;
    let mut response = json(if repeated { StatusCode::OK } else { StatusCode::ACCEPTED }, &view);
    jobs::add_retry_after(&mut response, &view);
    if let Ok(location) = HeaderValue::from_str(&format!("/api/v1/jobs/{}", job.id)) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// Returns how many rows the file will have, as far as earlier jobs tell. A click is not refused for want of an estimate.
async fn expected_rows<P: Ports>(portal: &Portal<P>, request: &ExportRequest<'_>) -> Option<u64> {
    match portal.histories.of(request.definition, &portal.ledger).await {
        Ok(history) => estimate(request, &history).map(|estimate| estimate.rows.likely),
        Err(error) => {
            tracing::warn!(error = error_chain(&error), "a job is not estimated");
            None
        }
    }
}

impl From<ClickError> for Problem {
    fn from(error: ClickError) -> Self {
        match error {
            ClickError::Ledger(error) => error.into(),
            ClickError::KeyTaken { .. } => Self::key_used(),
            ClickError::TooMany { limit } => Self::too_many_jobs(limit),
        }
    }
}
