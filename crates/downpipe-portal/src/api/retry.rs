//! `POST jobs/ID/retry`: asks again for what a job was asked for.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use downpipe_app::retry::{self, Retry, RetryError};
use downpipe_core::job::{JobState, Via};
use downpipe_core::message::Message;

use super::click::answer;
use super::exports::allowed;
use super::jobs::own;
use super::refusals::{Conflict, Missing, Refusals, Wrong};
use super::request::check_params;
use super::view::JobView;
use crate::accept::takes_json;
use crate::caller::Caller;
use crate::language::ReaderLanguage;
use crate::portal::{Portal, Ports};
use crate::problem::Problem;

/// Asks again for what a job was asked for that failed, was cancelled, or whose file is deleted: a new job.
#[utoipa::path(
    post,
    path = "/api/v1/jobs/{id}/retry",
    tag = "jobs",
    operation_id = "retry_job",
    params(("id" = String, Path, description = "The job's id.")),
    responses(
        (status = 202, description = "The new job is recorded. Location is its path.", body = JobView),
        (status = 200, description = "The same was asked for before: `repeated` is true.", body = JobView),
        Refusals,
        Missing,
        Conflict,
        Wrong
    ),
    security(("app_token" = []))
)]
pub(crate) async fn retry<P: Ports>(
    State(portal): State<Arc<Portal<P>>>,
    caller: Caller,
    ReaderLanguage(language): ReaderLanguage,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    takes_json(&headers)?;
    let job = own(&portal, &caller, &id).await?;
    let definition = allowed(&portal, &caller, &job.export)?;
    // What is no request is refused below, with the reason why it is none.
    if let Ok(Message::Export(message)) = Message::parse(&job.message) {
        check_params(&caller, definition, &message.params)?;
    }
    let again =
        Retry { via: Via::App, app: Some(&caller.app), jobs_per_person: Some(portal.jobs_per_person) };
    let accepted = retry::retry(&portal.clicks(), &portal.catalog, &job, &again).await?;
    answer(&portal, accepted, language).await
}

impl From<RetryError> for Problem {
    fn from(error: RetryError) -> Self {
        match error {
            RetryError::NotOver(JobState::Ready) => Self::has_file(),
            RetryError::NotOver(_) => Self::has_not_ended(),
            RetryError::Refused(rejections) => rejections.into(),
            RetryError::Click(error) => error.into(),
        }
    }
}
