//! `downpipe run`: exports directly from the database.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use downpipe_app::config::SecretLocation;
use downpipe_app::services::ServiceError;
use downpipe_app::signing;
use downpipe_aws::{S3Address, S3Store};
use downpipe_core::error_chain::error_chain;
use downpipe_core::export as pipeline;
use downpipe_core::export::{ExportError, ExportOutcome, ExportPlan};
use downpipe_core::job::{JobAttempt, JobId, Receipt};
use downpipe_core::request::ExportRequest;
use downpipe_core::source::{CancellationToken, RowSource};
use downpipe_core::store::{ObjectStore, ResumableStore};
use downpipe_mysql::MySqlSource;
use tokio::time::Instant;

use crate::args::{RunArgs, Target};
use crate::error::CliError;
use crate::local_store::{FileStore, StdoutStore};
use crate::output::print_json;
use crate::progress::ProgressLine;

/// The longest export. The person at the terminal can stop it earlier; this ends a forgotten one.
const LONGEST_RUN: Duration = Duration::from_secs(24 * 3600);

pub(crate) async fn run(args: RunArgs, json: bool) -> Result<(), CliError> {
    let signing_secret = super::from_env(|env| env.signing_secret())?;
    let needs_aws = matches!(args.to, Target::S3(_))
        || args.catalog.is_in_s3()
        || matches!(signing_secret, Some(SecretLocation::Named(_)));
    let aws = super::aws_for_database(needs_aws).await;
    let source = MySqlSource::new(super::database(&aws)?);
    let catalog = super::catalog(&args.catalog, &aws).await?;
    catalog
        .verify(&args.export.name)
        .map_err(|error| CliError::Usage(ServiceError::Catalog(error).to_string()))?;
    // Definitions that are not exported need no mask key.
    let catalog = match catalog.get(&args.export.name) {
        Some(definition) if definition.layout.needs_mask_key() => {
            let keyed = signing::with_mask_key(catalog, signing_secret.as_ref(), &aws).await;
            keyed.map_err(|error| CliError::Usage(error_chain(&error)))?
        }
        _ => catalog,
    };
    let message = super::message(args.export, None, Some(super::new_request_id()));
    let request = ExportRequest::accept_unrestricted(&message, &catalog)?;
    let job = JobId::of_request(&message, "");
    let file_name = request.file_name();
    let receipt = match &args.to {
        Target::Stdout => export_once(&source, &StdoutStore, &request, job, file_name).await?,
        Target::Path(path) => {
            let (folder, key) = destination(path, &file_name)?;
            export_once(&source, &FileStore::new(folder), &request, job, key).await?
        }
        Target::S3(S3Address { bucket, prefix }) => {
            let key = request.object_key(prefix, &job, jiff::Timestamp::now());
            export_with_receipt(&source, &S3Store::new(&aws, bucket), &request, job, key).await?
        }
    };
    // Standard output has the data, so nothing else may go there.
    if json && args.to != Target::Stdout {
        print_json(&receipt)?;
    }
    Ok(())
}

/// Returns the folder and the name of the file. A folder that was named gets a file of the export's own name.
fn destination(path: &Path, file_name: &str) -> Result<(PathBuf, String), CliError> {
    let refused =
        |expected| Err(CliError::Usage(format!("--to: expected {expected}, got {}", path.display())));
    let file = match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => return Ok((path.to_owned(), file_name.to_owned())),
        // The finished file replaces the target of a link, and not the link.
        Ok(found) if found.is_file() && path.is_symlink() => path.canonicalize().map_err(CliError::failed)?,
        Ok(found) if found.is_file() => path.to_owned(),
        Ok(_) => return refused("a file or a folder, or - for standard output"),
        // Refused before the query runs.
        Err(_) if !has_folder(path) => return refused("a file in a folder that exists"),
        Err(_) => path.to_owned(),
    };
    // A key is text, because names of other files are derived from it.
    match (file.parent(), file.file_name().map(OsStr::to_str)) {
        (Some(folder), Some(Some(name))) => Ok((folder.to_owned(), name.to_owned())),
        (_, Some(None)) => refused("a file name in UTF-8"),
        _ => refused("the name of a file"),
    }
}

/// Returns whether a file could be created at this path.
fn has_folder(path: &Path) -> bool {
    let named = !path.as_os_str().as_encoded_bytes().ends_with(b"/");
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    named && folder.is_dir()
}

/// Exports into a store that keeps no receipt: the command prints it.
async fn export_once<R: RowSource, S: ObjectStore>(
    source: &R,
    store: &S,
    request: &ExportRequest<'_>,
    job: JobId,
    key: String,
) -> Result<Receipt, CliError> {
    with_progress(request, job, key, async |plan, progress| {
        pipeline::export_once(source, store, progress, plan).await
    })
    .await
}

/// Exports into a store that keeps the receipt beside the file.
async fn export_with_receipt<R: RowSource, S: ResumableStore>(
    source: &R,
    store: &S,
    request: &ExportRequest<'_>,
    job: JobId,
    key: String,
) -> Result<Receipt, CliError> {
    with_progress(request, job, key, async |plan, progress| {
        match pipeline::export(source, store, progress, &plan.without_resume()).await {
            Ok(ExportOutcome::Completed(receipt)) => Ok(*receipt),
            Ok(ExportOutcome::Paused(_)) => unreachable!("an export without resume is never paused"),
            Err(failed) => Err(failed.error),
        }
    })
    .await
}

/// Plans the export, shows its progress, and cancels it at Ctrl-C.
async fn with_progress<'a>(
    request: &'a ExportRequest<'a>,
    job: JobId,
    key: String,
    export: impl AsyncFnOnce(ExportPlan<'a>, &ProgressLine) -> Result<Receipt, ExportError>,
) -> Result<Receipt, CliError> {
    let cancellation = CancellationToken::new();
    let (token, deadline) = (JobAttempt { job, attempt: 1 }, Instant::now() + LONGEST_RUN);
    let plan = ExportPlan::new(request, key, token, deadline, cancellation.clone());
    let progress = ProgressLine::begin(&request.definition.name);
    let exported = cancel_on_interrupt(export(plan, &progress), &cancellation).await;
    match &exported {
        Ok(receipt) => progress.done(receipt),
        Err(_) => progress.clear(),
    }
    Ok(exported?)
}

/// Runs an export and cancels it at Ctrl-C. The query is then killed and the file removed as after any failure, so the export
/// itself is not interrupted.
async fn cancel_on_interrupt<T>(exporting: impl Future<Output = T>, cancellation: &CancellationToken) -> T {
    let interrupt = async {
        drop(tokio::signal::ctrl_c().await);
        cancellation.cancel();
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        exported = exporting => exported,
        never = interrupt => match never {},
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    #[test]
    fn destination_is_a_folder_and_a_name() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("old.csv"), "").unwrap();
        std::os::unix::fs::symlink("old.csv", at("link.csv")).unwrap();
        let of = |path: &Path| destination(path, "orders.csv").unwrap();
        let here = folder.path().to_owned();
        assert_eq!(of(&here), (here.clone(), "orders.csv".to_owned()));
        assert_eq!(of(&at("new.csv")), (here.clone(), "new.csv".to_owned()));
        assert_eq!(of(&at("old.csv")), (here.clone(), "old.csv".to_owned()));
        assert_eq!(of(&at("link.csv")), (here.canonicalize().unwrap(), "old.csv".to_owned()));
        assert_eq!(of(Path::new("new.csv")), (PathBuf::new(), "new.csv".to_owned()));
    }

    #[test]
    fn destination_that_is_no_text_is_refused() {
        let refused = destination(Path::new(OsStr::from_bytes(b"caf\xe9.csv")), "orders.csv").unwrap_err();
        assert_eq!(refused.to_string(), "--to: expected a file name in UTF-8, got caf\u{fffd}.csv");
    }
}
