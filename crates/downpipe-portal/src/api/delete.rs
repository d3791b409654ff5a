//! `DELETE jobs/ID`: deletes a job's file before its time.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use downpipe_app::delete::{DeleteError, Deletion, delete_file};

use super::jobs::own;
use super::refusals::{Conflict, Missing, Refusals};
use crate::caller::Caller;
use crate::portal::{Portal, Ports};
use crate::problem::Problem;

/// Deletes a job's file now. The job is expired, and stays in the list.
#[utoipa::path(
    delete,
    path = "/api/v1/jobs/{id}",
    tag = "jobs",
    operation_id = "delete_job",
    params(("id" = String, Path, description = "The job's id.")),
    responses(
        (status = 204, description = "The job has no file any more. Where another job has the same file, that one keeps it."),
        Refusals,
        Missing,
        Conflict
    ),
    security(("app_token" = []))
)]
pub(crate) async fn delete<P: Ports>(
    State(portal): State<Arc<Portal<P>>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let job = own(&portal, &caller, &id).await?;
    match delete_file(&portal.ledger, &portal.store, &job.id).await? {
        Deletion::Deleted(_) | Deletion::Kept(_) => Ok(StatusCode::NO_CONTENT.into_response()),
        Deletion::NoFile(job) => Err(Problem::no_file(job.state.is_terminal())),
        Deletion::Unknown => Err(Problem::not_found()),
    }
}

impl From<DeleteError> for Problem {
    fn from(error: DeleteError) -> Self {
        match error {
            DeleteError::Ledger(error) => error.into(),
            DeleteError::Store(error) => Self::unavailable("the store", &error),
        }
    }
}
