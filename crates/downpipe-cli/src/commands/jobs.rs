//! `downpipe status` and `downpipe list`: show jobs of the ledger.

use downpipe_app::ledger_table::LedgerTable;
use downpipe_app::services;
use downpipe_aws::{CacheAddress, CacheLimits, SdkConfig};
use downpipe_core::cache::JobCache;
use downpipe_core::error_chain::error_chain;
use downpipe_core::job::{JobId, JobState};
use downpipe_core::ledger::{JobFilter, Ledger};

use crate::args::ListArgs;
use crate::error::CliError;
use crate::output::{
    RunningJob, ShownJob, job_json, job_row, print_job, print_job_json, print_json, print_progress,
    print_table,
};

pub(crate) async fn status(id: &JobId, json: bool) -> Result<(), CliError> {
    if let Some(progress) = live_progress(id).await? {
        return if json { print_json(&progress) } else { print_progress(&progress) };
    }
    let ledger = ledger().await?;
    let Some(job) = ledger.find(id).await.map_err(CliError::failed)? else {
        return Err(CliError::Failed(
            format!("no job {id} in the ledger; it may still be in the queue").into(),
        ));
    };
    let ahead = match job.state {
        JobState::Queued => Some(ledger.ahead(&job).await.map_err(CliError::failed)?),
        _ => None,
    };
    let downloads = ledger.downloads(&job.id).await.map_err(CliError::failed)?;
    let job = ShownJob { job, ahead, downloads };
    if json { print_job_json(&job) } else { print_job(&job) }
}

pub(crate) async fn list(args: &ListArgs, json: bool) -> Result<(), CliError> {
    let filter = JobFilter {
        requester: args.requested_by.as_ref(),
        state: args.state,
        export: args.export.as_deref(),
        since: args.since,
    };
    let page = ledger().await?.jobs_of(&filter, None, args.limit).await;
    let jobs = page.map_err(CliError::failed)?.jobs;
    if json {
        return print_json(&jobs.iter().map(job_json).collect::<Result<Vec<_>, _>>()?);
    }
    let rows: Vec<Vec<String>> = jobs.iter().map(job_row).collect();
    print_table(&["JOB", "STATE", "EXPORT", "REQUESTED BY", "ROWS", "SIZE", "CREATED"], &rows)
}

/// Returns how far a job is that runs, if there is a cache and a worker has written it there. Then the database is not asked.
async fn live_progress(id: &JobId) -> Result<Option<RunningJob>, CliError> {
    let config = super::from_env(|env| env.cache())?;
    let aws = match config.address {
        CacheAddress::None => return Ok(None),
        CacheAddress::Valkey(_) => downpipe_aws::load_config().await,
        CacheAddress::Memcached(_) => SdkConfig::builder().build(),
    };
    let cache = services::cache(&config, &aws, CacheLimits::default())
        .map_err(|error| CliError::Usage(error_chain(&error)))?;
    let progress = JobCache::new(cache, None).progress(id).await;
    Ok(progress.map(|progress| RunningJob { id: id.clone(), state: JobState::Running, progress }))
}

async fn ledger() -> Result<Ledger<LedgerTable>, CliError> {
    let aws = super::aws_for_ledger(false).await;
    super::ledger(&aws)
}
