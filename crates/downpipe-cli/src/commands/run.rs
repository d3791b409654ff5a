//! `downpipe run`: an export straight from the database.

use std::time::Duration;

use downpipe_aws::S3Store;
use downpipe_core::job::JobId;
use downpipe_core::pipeline::{self, Order};
use downpipe_core::receipt::Receipt;
use downpipe_core::request::ExportRequest;
use downpipe_core::source::RowSource;
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
    let aws = downpipe_aws::load_config().await;
    let source = MySqlSource::new(super::database(&aws)?);
    let catalog = super::catalog(&args.catalog, &aws).await?;
    let message = super::message(args.export, None, Some(super::fresh_key()));
    let request = ExportRequest::accept_unrestricted(&message, &catalog)?;
    let job = JobId::of_request(&message, "");
    let file_name = request.file_name();
    let receipt = match &args.to {
        Target::Stdout => export(&source, &StdoutStore, &request, job, file_name).await?,
        Target::Path(path) => {
            let path = if path.is_dir() { path.join(file_name) } else { path.clone() };
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
        print_json(&receipt);
    }
    Ok(())
}

async fn export<R: RowSource, S: ObjectStore>(
    source: &R,
    store: &S,
    request: &ExportRequest<'_>,
    job: JobId,
    key: String,
) -> Result<Receipt, CliError> {
    let order = Order::new(request, key, WriteToken { job, attempt: 1 }, Instant::now() + LONGEST_RUN);
    let progress = ProgressLine::begin(&request.definition.name);
    match pipeline::export(source, store, &progress, &order, request).await {
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
