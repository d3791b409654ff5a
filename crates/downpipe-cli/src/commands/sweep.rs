//! `downpipe sweep`: what nobody does any more, done now and not at the function's next turn.

use downpipe_worker::config::WorkerConfig;
use downpipe_worker::sweep::{LONGEST, Mended};
use downpipe_worker::{logging, services};
use tokio::time::Instant;

use crate::error::CliError;
use crate::output::{print_json, print_table};

pub(crate) async fn sweep(dry_run: bool, json: bool) -> Result<(), CliError> {
    let config = WorkerConfig::from_env()?;
    logging::init(std::io::stderr);
    let aws = downpipe_aws::load_config().await;
    let worker = services::build(&config, &aws).await.map_err(CliError::failed)?;
    let swept = Box::pin(worker.sweep(Instant::now() + LONGEST, dry_run)).await;
    if json {
        print_json(&swept)?;
    } else if !swept.findings.is_empty() {
        let row = |finding: &downpipe_worker::sweep::Finding| {
            let done = match finding.mended {
                Mended::Done => "done",
                Mended::Failed => "failed",
                Mended::NotTried => "not tried",
            };
            vec![finding.job.to_string(), finding.neglect.as_str().to_owned(), done.to_owned()]
        };
        print_table(&["JOB", "FOUND", "DONE"], &swept.findings.iter().map(row).collect::<Vec<_>>())?;
    }
    if swept.unknown_uploads > 0 {
        eprintln!(
            "{} old uploads of jobs that the ledger does not know are left alone",
            swept.unknown_uploads
        );
    }
    if swept.is_well() {
        return Ok(());
    }
    let (failed, blind) = (swept.count(Mended::Failed), swept.not_looked_for.len());
    let words = format!(
        "{failed} could not be done, and {blind} kinds of things not be looked for: the log says why"
    );
    Err(CliError::Failed(words.into()))
}
