//! `downpipe run`: an export straight from the database.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use downpipe_aws::S3Store;
use downpipe_core::job::JobId;
use downpipe_core::pipeline::{self, Exported, Order};
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
            let (folder, key) = destination(path, &file_name)?;
            export(&source, &FileStore::new(folder), &request, job, key).await?
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

/// The folder to write to and the file's name there: what was named, or the export's own name in the folder that was.
fn destination(path: &Path, file_name: &str) -> Result<(PathBuf, String), CliError> {
    let refused =
        |expected| Err(CliError::Usage(format!("--to: expected {expected}, got {}", path.display())));
    let file = match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => return Ok((path.to_owned(), file_name.to_owned())),
        // The finished file takes the place of what is there. Of what a link leads to, then, and not of the link.
        Ok(found) if found.is_file() && path.is_symlink() => path.canonicalize().map_err(CliError::failed)?,
        Ok(found) if found.is_file() => path.to_owned(),
        Ok(_) => return refused("a file or a folder, or - for standard output"),
        // Better to hear of it now than when the query has run.
        Err(_) if !has_folder(path) => return refused("a file in a folder that exists"),
        Err(_) => path.to_owned(),
    };
    // A key is text, because other files are named after it.
    match (file.parent(), file.file_name().map(OsStr::to_str)) {
        (Some(folder), Some(Some(name))) => Ok((folder.to_owned(), name.to_owned())),
        (_, Some(None)) => refused("a file name in UTF-8"),
        _ => refused("the name of a file"),
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
    let token = WriteToken { job, attempt: 1 };
    let mut order = Order::new(request, key, token, Instant::now() + LONGEST_RUN).in_one_run();
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
        Ok(Exported::Complete(receipt)) => {
            progress.done(&receipt);
            Ok(*receipt)
        }
        Ok(Exported::Paused(_)) => unreachable!("an export of one run is not continued"),
        Err(broken) => {
            progress.clear();
            Err(broken.error.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    #[test]
    fn a_destination_is_a_folder_and_a_name() {
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
    fn a_name_that_is_no_text_is_refused() {
        let refused = destination(Path::new(OsStr::from_bytes(b"caf\xe9.csv")), "orders.csv").unwrap_err();
        assert_eq!(refused.to_string(), "--to: expected a file name in UTF-8, got caf\u{fffd}.csv");
    }
}
