//! `GET jobs/ID/files/N`: a signed download of a file.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use downpipe_core::job::{FileReceipt, Job, JobState, Receipt};
use downpipe_core::ledger::{Download, DownloadVia};
use downpipe_core::store::{DownloadStore as _, SignedUrl};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::jobs::visible;
use super::refusals::{Conflict, Gone, Missing, Refusals};
use crate::accept::asks_for_json;
use crate::caller::Caller;
use crate::portal::{Portal, Ports};
use crate::problem::Problem;
use crate::reply::json;

/// A file, and where it is downloaded from for a while.
#[derive(Serialize, ToSchema)]
#[schema(as = Download)]
pub(crate) struct DownloadView {
    /// A URL that is enough to download the file, and so a secret of the person.
    url: String,
    /// When the URL ends.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// The file's name.
    file_name: String,
    /// Bytes.
    bytes: u64,
    /// SHA-256 in hexadecimal.
    sha256: String,
}

/// Leads to a file, or returns its signed URL where the caller asks for JSON. The portal passes no bytes on.
#[utoipa::path(
    get,
    path = "/api/v1/jobs/{id}/files/{n}",
    tag = "jobs",
    operation_id = "download_file",
    params(
        ("id" = String, Path, description = "The job's id."),
        ("n" = u32, Path, description = "The file's number, from 1.")
    ),
    responses(
        (status = 200, description = "The signed URL, where the header Accept names application/json.", body = DownloadView),
        (status = 303, description = "Location is the signed URL of the file."),
        Refusals,
        Gone,
        Missing,
        Conflict
    ),
    security(("app_token" = []))
)]
pub(crate) async fn download<P: Ports>(
    State(portal): State<Arc<Portal<P>>>,
    caller: Caller,
    Path((id, n)): Path<(String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let number: u32 = n.parse().map_err(|_| Problem::not_found())?;
    let job = visible(&portal, &caller, &id).await?;
    let receipt = receipt_of(&job)?;
    let index = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
    let file = index.and_then(|index| receipt.files.get(index)).ok_or_else(Problem::not_found)?;
    let signed = sign(&portal, receipt, file).await?;
    // Only a person who is given the URL can download the file with it.
    if method == Method::GET {
        portal.ledger.record_download(&record(&job, receipt, number, &caller)).await?;
    }
    if asks_for_json(&headers) {
        return Ok(json(StatusCode::OK, &DownloadView::of(file, signed)));
    }
    let Ok(location) = HeaderValue::from_str(&signed.url) else { return Err(Problem::internal()) };
    Ok((StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response())
}

/// Returns the receipt of a job whose files are there.
fn receipt_of(job: &Job) -> Result<&Receipt, Problem> {
    let receipt = job.receipt.as_ref().ok_or_else(|| Problem::no_file(job.state.is_terminal()))?;
    match job.state {
        JobState::Expired => Err(Problem::file_deleted()),
        JobState::Ready if receipt.expires_at <= Timestamp::now() => Err(Problem::file_deleted()),
        JobState::Ready => Ok(receipt),
        _ => Err(Problem::no_file(job.state.is_terminal())),
    }
}

/// Signs a URL that is good for the configured time, and never longer than the file is kept.
async fn sign<P: Ports>(
    portal: &Portal<P>,
    receipt: &Receipt,
    file: &FileReceipt,
) -> Result<SignedUrl, Problem> {
    let kept = receipt.expires_at.duration_since(Timestamp::now());
    let kept = Duration::try_from(kept).unwrap_or_default().max(Duration::from_secs(1));
    let signed = portal.store.sign_download(file, portal.download_time.min(kept)).await;
    match signed {
        Ok(Some(signed)) => Ok(signed),
        Ok(None) => Err(Problem::unavailable("the file's bucket", &OtherBucket)),
        Err(error) => Err(Problem::unavailable("the store", &error)),
    }
}

/// A file is in another bucket than the portal signs for.
#[derive(Debug, thiserror::Error)]
#[error("the file is not in DOWNPIPE_BUCKET")]
struct OtherBucket;

fn record(job: &Job, receipt: &Receipt, file: u32, caller: &Caller) -> Download {
    Download {
        job: job.id.clone(),
        export: job.export.clone(),
        title: receipt.title.clone(),
        file,
        requester: Some(caller.requester.clone()),
        via: DownloadVia::App,
        app: Some(caller.app.clone()),
        address: caller.address.clone(),
        at: Timestamp::now(),
    }
}

impl DownloadView {
    fn of(file: &FileReceipt, signed: SignedUrl) -> Self {
        Self {
            url: signed.url,
            expires_at: signed.expires_at,
            file_name: file.file_name.clone(),
            bytes: file.bytes,
            sha256: file.sha256.clone(),
        }
    }
}
