//! `downpipe retry` and `downpipe delete`: a job's request made again, and a job's file deleted before its time.

use downpipe_app::click::{Accepted, Clicks};
use downpipe_app::config::WorkerConfig;
use downpipe_app::delete::{Deletion, delete_file};
use downpipe_app::retry::{self, Retry, RetryError};
use downpipe_app::services::{self, AwsWorker};
use downpipe_core::job::{JobId, Via};

use crate::error::CliError;
use crate::output::{job_json, print, print_json};

pub(crate) async fn retry(id: &JobId, json: bool) -> Result<(), CliError> {
    let worker = worker().await?;
    let Some(job) = worker.ledger.find(id).await.map_err(CliError::failed)? else { return Err(unknown(id)) };
    let clicks = Clicks { ledger: &worker.ledger, queue: &worker.queue, store: &worker.store };
    let how = Retry { via: Via::Api, app: None, jobs_per_person: None };
    let retried = Box::pin(retry::retry(&clicks, &worker.catalog, &job, &how)).await;
    let Accepted { job, repeated } = retried.map_err(|error| match error {
        RetryError::Refused(rejections) => CliError::from(rejections),
        error => CliError::failed(error),
    })?;
    if json {
        return print_json(&job_json(&job)?);
    }
    print(&format!("{}\n", job.id))?;
    match (repeated, job.is_unsent()) {
        (true, _) => eprintln!("the same request has a job already, which is {}", job.state.as_str()),
        (false, true) => eprintln!("recorded; the queue did not take its message, and the sweep sends it"),
        (false, false) => eprintln!("queued; to see its state: downpipe status {}", job.id),
    }
    Ok(())
}

pub(crate) async fn delete(id: &JobId, json: bool) -> Result<(), CliError> {
    let worker = worker().await?;
    let deletion = Box::pin(delete_file(&worker.ledger, &worker.store, id)).await;
    let job = match deletion.map_err(CliError::failed)? {
        Deletion::Deleted(job) => job,
        Deletion::Kept(job) => {
            eprintln!("another job has the same file, so the file stays until its retention is over");
            job
        }
        Deletion::NoFile(job) => {
            let words = format!("job {} has no file: it is {}", job.id, job.state.as_str());
            return Err(CliError::Failed(words.into()));
        }
        Deletion::Unknown => return Err(unknown(id)),
    };
    if json { print_json(&job_json(&job)?) } else { print(&format!("{}\n", job.id)) }
}

async fn worker() -> Result<AwsWorker, CliError> {
    let config = WorkerConfig::from_env()?;
    let aws = downpipe_aws::load_config().await;
    services::build(&config, &aws).await.map_err(CliError::failed)
}

fn unknown(id: &JobId) -> CliError {
    CliError::Failed(format!("no job {id} in the ledger; it may still be in the queue").into())
}
