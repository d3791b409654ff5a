//! `GET jobs/ID/files/N`: a signed download of a file.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use downpipe_core::job::{FileReceipt, Job, Receipt};
use downpipe_core::ledger::{Download, DownloadVia};
use downpipe_core::store::SignedUrl;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::jobs::visible;
use super::refusals::{Conflict, Gone, Missing, Refusals};
use crate::accept::asks_for_json;
use crate::caller::Caller;
use crate::files::{file_of, receipt_of, record_of, sign};
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
    let file = file_of(receipt, number)?;
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

fn record(job: &Job, receipt: &Receipt, file: u32, caller: &Caller) -> Download {
    Download {
        requester: Some(caller.requester.clone()),
        via: DownloadVia::App,
        app: Some(caller.app.clone()),
        address: caller.address.clone(),
        ..record_of(job, receipt, file)
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
