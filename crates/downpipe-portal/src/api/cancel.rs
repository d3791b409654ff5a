//! `POST jobs/ID/cancel`: stops a job.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use downpipe_core::error_chain::error_chain;
use downpipe_core::job::Job;
use downpipe_core::ledger::CancelOutcome;
use downpipe_core::message::Message;
use downpipe_core::queue::Queue as _;

use super::jobs;
use super::refusals::{Conflict, Missing, Refusals};
use super::view::JobView;
use crate::accept::takes_json;
use crate::caller::Caller;
use crate::language::ReaderLanguage;
use crate::portal::{Portal, Ports};
use crate::problem::Problem;
use crate::reply::json;

/// Cancels a job that has not ended.
#[utoipa::path(
    post,
    path = "/api/v1/jobs/{id}/cancel",
    tag = "jobs",
    operation_id = "cancel_job",
    params(("id" = String, Path, description = "The job's id.")),
    responses(
        (status = 200, description = "The job is cancelled.", body = JobView),
        (status = 202, description = "Its worker has been asked to stop, and does so within seconds.", body = JobView),
        Refusals,
        Missing,
        Conflict
    ),
    security(("app_token" = []))
)]
pub(crate) async fn cancel<P: Ports>(
    State(portal): State<Arc<Portal<P>>>,
    caller: Caller,
    ReaderLanguage(language): ReaderLanguage,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    takes_json(&headers)?;
    let job = jobs::visible(&portal, &caller, &id).await?;
    let (status, job) = match portal.ledger.cancel(&job.id).await? {
        CancelOutcome::Done(job) => {
            ask_to_clean_up(&portal, &job).await;
            (StatusCode::OK, *job)
        }
        CancelOutcome::Requested => (StatusCode::ACCEPTED, job),
        CancelOutcome::Ended(_) => return Err(Problem::has_ended()),
        CancelOutcome::Unknown => return Err(Problem::not_found()),
    };
    let view = jobs::view(&portal, &job, false, language).await?;
    let mut response = json(status, &view);
    jobs::add_retry_after(&mut response, &view);
    Ok(response)
}

/// Sends a message by which a worker deletes what the job left, and notifies its requester. If it is lost, the sweep does so.
async fn ask_to_clean_up<P: Ports>(portal: &Portal<P>, job: &Job) {
    let message = Message::Continue(job.id.clone()).to_json();
    if let Err(error) = portal.queue.send(&message).await {
        tracing::warn!(job_id = %job.id, error = error_chain(&error), "the sweep cleans up after a cancelled job");
    }
}
