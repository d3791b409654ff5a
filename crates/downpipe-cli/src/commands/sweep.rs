//! `downpipe sweep`: runs the sweep now, as the function does every five minutes.

use downpipe_app::config::WorkerConfig;
use downpipe_app::sweep::{MAX_DURATION, RepairOutcome};
use downpipe_app::{logging, services};
use tokio::time::Instant;

use crate::error::CliError;
use crate::output::{print_json, print_table};

pub(crate) async fn sweep(dry_run: bool, json: bool) -> Result<(), CliError> {
    let config = WorkerConfig::from_env()?;
    logging::init(std::io::stderr);
    let aws = downpipe_aws::load_config().await;
    let worker = services::build(&config, &aws).await.map_err(CliError::failed)?;
    let swept = Box::pin(worker.sweep(Instant::now() + MAX_DURATION, dry_run)).await;
    if json {
        print_json(&swept)?;
    } else if !swept.findings.is_empty() {
        let row = |finding: &downpipe_app::sweep::Finding| {
            let done = match finding.outcome {
                RepairOutcome::Done => "done",
                RepairOutcome::Failed => "failed",
                RepairOutcome::NotTried => "not tried",
            };
            vec![finding.job.to_string(), finding.kind.as_str().to_owned(), done.to_owned()]
        };
        print_table(&["JOB", "FOUND", "DONE"], &swept.findings.iter().map(row).collect::<Vec<_>>())?;
    }
    if swept.unknown_uploads > 0 {
        eprintln!(
            "{} old uploads of jobs that the ledger does not know were left as they are",
            swept.unknown_uploads
        );
    }
    if swept.is_well() {
        return Ok(());
    }
    let (failed, blind) = (swept.count(RepairOutcome::Failed), swept.not_looked_for.len());
    let words = format!(
        "{failed} repairs failed, and {blind} kinds of stale jobs could not be listed: the log says why"
    );
    Err(CliError::Failed(words.into()))
}
