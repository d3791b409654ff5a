//! A job's files: which there is, its signed URL, and the record of its download.

use std::time::Duration;

use downpipe_core::job::{FileReceipt, Job, JobState, Receipt};
use downpipe_core::ledger::{Download, DownloadVia};
use downpipe_core::store::{DownloadStore as _, SignedUrl};
use jiff::Timestamp;

use crate::portal::{Portal, Ports};
use crate::problem::Problem;

/// Returns the receipt of a job whose files are there.
///
/// # Errors
/// When there are no files, or no longer.
pub(crate) fn receipt_of(job: &Job) -> Result<&Receipt, Problem> {
    let receipt = job.receipt.as_ref().ok_or_else(|| Problem::no_file(job.state.is_terminal()))?;
    match job.state {
        JobState::Expired => Err(Problem::file_deleted()),
        JobState::Ready if receipt.expires_at <= Timestamp::now() => Err(Problem::file_deleted()),
        JobState::Ready => Ok(receipt),
        _ => Err(Problem::no_file(job.state.is_terminal())),
    }
}

/// Returns the file of this number, from 1.
///
/// # Errors
/// When there is none.
pub(crate) fn file_of(receipt: &Receipt, number: u32) -> Result<&FileReceipt, Problem> {
    let index = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
    index.and_then(|index| receipt.files.get(index)).ok_or_else(Problem::not_found)
}

/// Signs a URL that is good for the configured time, and never longer than the file is kept.
///
/// # Errors
/// When it cannot be signed.
pub(crate) async fn sign<P: Ports>(
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

/// Returns the record of a download now, by whom and how still to be said.
pub(crate) fn record_of(job: &Job, receipt: &Receipt, file: u32) -> Download {
    Download {
        job: job.id.clone(),
        export: job.export.clone(),
        title: receipt.title.clone(),
        file,
        requester: None,
        via: DownloadVia::Api,
        app: None,
        address: None,
        at: Timestamp::now(),
    }
}
