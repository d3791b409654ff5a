//! `downpipe run`: an export straight from the database.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::Duration;

use downpipe_aws::S3Store;
use downpipe_core::job::JobId;
use downpipe_core::pipeline::{self, Order};
use downpipe_core::receipt::Receipt;
use downpipe_core::request::ExportRequest;
use downpipe_core::source::{RowSource, Stop};
use downpipe_core::store::{ObjectStore, WriteToken};
use downpipe_mysql::MySqlSource;
use tokio::time::Instant;

use crate::args::{RunArgs, Target};
use crate::error::CliError;
use crate::local_store::{FileStore, StdoutStore};
use crate::output::print_json;
use crate::progress::ProgressLine;

/// A person who waits at a terminal stops what takes too long; this only keeps a forgotten one from running for ever.
const LONGEST_RUN: Duration = Duration::from_secs(24 * 3600);

pub(crate) async fn run(args: RunArgs, json: bool) -> Result<(), CliError> {
    let needs_aws = matches!(args.to, Target::S3 { .. }) || args.catalog.is_in_s3();
    let aws = super::aws_for_database(needs_aws).await;
    let source = MySqlSource::new(super::database(&aws)?);
    let catalog = super::catalog(&args.catalog, &aws).await?;
    let message = super::message(args.export, None, Some(super::fresh_key()));
    let request = ExportRequest::accept_unrestricted(&message, &catalog)?;
    let job = JobId::of_request(&message, "");
    let file_name = request.file_name();
    let receipt = match &args.to {
        Target::Stdout => export(&source, &StdoutStore, &request, job, file_name).await?,
        Target::Path(path) => {
            let path = destination(path, &file_name)?;
            let key = path.display().to_string();
            export(&source, &FileStore::new(path), &request, job, key).await?
        }
        Target::S3 { bucket, prefix } => {
            let key = request.object_key(prefix, &job, jiff::Timestamp::now());
            export(&source, &S3Store::new(&aws, bucket), &request, job, key).await?
        }
    };
    // With the data itself on standard output, nothing else may go there.
    if json && args.to != Target::Stdout {
        print_json(&receipt)?;
    }
    Ok(())
}

/// The file to write: the one that was named, or the export's own name in the folder that was.
fn destination(path: &Path, file_name: &str) -> Result<PathBuf, CliError> {
    let refused =
        |expected| Err(CliError::Usage(format!("--to: expected {expected}, got {}", path.display())));
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => Ok(path.join(file_name)),
        // The finished file takes the place of what is there. Of what a link leads to, then, and not of the link.
        Ok(found) if found.is_file() && path.is_symlink() => path.canonicalize().map_err(CliError::failed),
        Ok(found) if found.is_file() => Ok(path.to_owned()),
        Ok(_) => refused("a file or a folder, or - for standard output"),
        // Better to hear of it now than when the query has run.
        Err(_) if !has_folder(path) => refused("a file in a folder that exists"),
        Err(_) => Ok(path.to_owned()),
    }
}

/// Whether a file could be made at this path.
fn has_folder(path: &Path) -> bool {
    let named = !path.as_os_str().as_encoded_bytes().ends_with(b"/");
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    named && folder.is_dir()
}

async fn export<R: RowSource, S: ObjectStore>(
    source: &R,
    store: &S,
    request: &ExportRequest<'_>,
    job: JobId,
    key: String,
) -> Result<Receipt, CliError> {
    let mut order = Order::new(request, key, WriteToken { job, attempt: 1 }, Instant::now() + LONGEST_RUN);
    let progress = ProgressLine::begin(&request.definition.name);
    let (stopper, stop) = Stop::new();
    order.query.stop = stop;
    // The query is killed and the file removed as after any failure, so the export itself is not interrupted.
    let interrupted = async {
        drop(tokio::signal::ctrl_c().await);
        stopper.stop();
        std::future::pending::<Infallible>().await
    };
    let exported = tokio::select! {
        exported = pipeline::export(source, store, &progress, &order, request) => exported,
        never = interrupted => match never {},
    };
    match exported {
        Ok(receipt) => {
            progress.done(&receipt);
            Ok(receipt)
        }
        Err(error) => {
            progress.clear();
            Err(error.into())
        }
    }
}
