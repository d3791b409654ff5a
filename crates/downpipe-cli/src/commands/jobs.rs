//! `downpipe status` and `downpipe list`: a look into the ledger.

use downpipe_aws::DatabaseLogin;
use downpipe_core::job::JobId;
use downpipe_core::ledger::Ledger as _;
use downpipe_mysql::MySqlLedger;

use crate::error::CliError;
use crate::output::{job_row, print_job, print_json, print_table};

pub(crate) async fn status(id: &JobId, json: bool) -> Result<(), CliError> {
    let Some(job) = ledger().await?.find(id).await.map_err(CliError::failed)? else {
        return Err(CliError::Failed(
            format!("no job {id} in the ledger; it may still be in the queue").into(),
        ));
    };
    if json { print_json(&job) } else { print_job(&job) }
}

pub(crate) async fn list(limit: u32, json: bool) -> Result<(), CliError> {
    let jobs = ledger().await?.latest(limit).await.map_err(CliError::failed)?;
    if json {
        return print_json(&jobs);
    }
    let rows: Vec<Vec<String>> = jobs.iter().map(job_row).collect();
    print_table(&["JOB", "STATE", "EXPORT", "REQUESTED BY", "ROWS", "SIZE", "CREATED"], &rows)
}

async fn ledger() -> Result<MySqlLedger<DatabaseLogin>, CliError> {
    let aws = super::aws_for_database(false).await;
    Ok(MySqlLedger::new(super::database(&aws)?))
}
