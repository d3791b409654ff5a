//! Asking again for what a job did not bring, or no longer has.

use downpipe_core::catalog::Catalog;
use downpipe_core::job::{Job, JobState, Receipt, Via};
use downpipe_core::ledger::{JobQueries, JobTable};
use downpipe_core::message::{ExportMessage, Message, Rejections};
use downpipe_core::queue::Queue;
use downpipe_core::request::ExportRequest;
use downpipe_core::store::ResumableStore;

use crate::click::{Accepted, Click, ClickError, Clicks};

/// Who asks again, and how.
#[derive(Debug, Clone, Copy)]
pub struct Retry<'a> {
    /// How the wish came.
    pub via: Via,
    /// The app whose token brought it.
    pub app: Option<&'a str>,
    /// The most jobs of the requester that have not ended. `None`: any number.
    pub jobs_per_person: Option<u32>,
}

/// Why a job's request was not made again.
#[derive(Debug, thiserror::Error)]
pub enum RetryError {
    /// The job has not ended, or its file is there.
    #[error("expected a job that is failed, cancelled or expired, got one that is {}", .0.as_str())]
    NotOver(JobState),
    /// The request is refused: it was wrong before, or its definition has changed since.
    #[error(transparent)]
    Refused(#[from] Rejections),
    /// The request could not be accepted.
    #[error(transparent)]
    Click(#[from] ClickError),
}

/// Makes the request of a job again, as a new job of the same requester. The catalog and the access are those of now.
///
/// # Errors
/// See [`RetryError`].
pub async fn retry<T: JobTable + JobQueries, Q: Queue, S: ResumableStore>(
    clicks: &Clicks<'_, T, Q, S>,
    catalog: &Catalog,
    job: &Job,
    retry: &Retry<'_>,
) -> Result<Accepted, RetryError> {
    if !is_over(job) {
        return Err(RetryError::NotOver(job.state));
    }
    let message = match Message::parse(&job.message)? {
        Message::Export(message) => ExportMessage { request_id: None, ..message },
        Message::Continue(_) => unreachable!("a message that continues a job is never recorded as one"),
    };
    let request = ExportRequest::accept(&message, catalog)?;
    let Retry { via, app, jobs_per_person } = *retry;
    let expected_rows = job.expected_rows;
    let click = Click { request: &request, message: &message, via, app, expected_rows, jobs_per_person };
    Ok(clicks.accept(&click).await?)
}

/// Returns whether a job has brought nothing, or has its file no longer. The sweep expires a job some time after its file's end.
fn is_over(job: &Job) -> bool {
    let is_past = |receipt: &Receipt| receipt.expires_at <= jiff::Timestamp::now();
    match job.state {
        JobState::Failed | JobState::Cancelled | JobState::Expired => true,
        JobState::Ready => job.receipt.as_ref().is_some_and(is_past),
        _ => false,
    }
}
