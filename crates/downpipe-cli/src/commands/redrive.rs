//! `downpipe redrive`: puts dead letters back on their queue.

use downpipe_app::redrive::{self, Redriven};
use downpipe_aws::SqsQueue;

use crate::error::CliError;
use crate::output::{print_json, print_table};

pub(crate) async fn redrive(dry_run: bool, json: bool) -> Result<(), CliError> {
    let queue_url = super::from_env(|env| env.queue_url())?;
    let named = super::from_env(|env| env.dead_letter_queue_url())?;
    let aws = downpipe_aws::load_config().await;
    let ledger = super::ledger(&aws)?;
    let queue = SqsQueue::new(&aws, queue_url);
    let dead_letters = match named {
        Some(url) => SqsQueue::new(&aws, url),
        None => queue.dead_letters().await.map_err(CliError::failed)?.ok_or_else(|| {
            CliError::Usage(
                "the queue's redrive policy names no queue of dead letters; DOWNPIPE_DEAD_LETTER_QUEUE_URL can name one"
                    .to_owned(),
            )
        })?,
    };
    let redriven =
        redrive::redrive(&ledger, &queue, &dead_letters, dry_run).await.map_err(CliError::failed)?;
    let known = redriven.iter().filter(|redriven| redriven.known).count();
    if json {
        print_json(&redriven)?;
    } else if !redriven.is_empty() {
        let row = |Redriven { message_id, job, known }: &Redriven| {
            let what = if *known { "goes on" } else { "sent again" };
            vec![message_id.clone(), job.to_string(), what.to_owned()]
        };
        print_table(&["MESSAGE", "JOB", "PUT BACK"], &redriven.iter().map(row).collect::<Vec<_>>())?;
    }
    let were = if dry_run { "would be put back" } else { "put back" };
    eprintln!("{} dead letters {were}, {known} of them of jobs that the ledger knows", redriven.len());
    Ok(())
}
