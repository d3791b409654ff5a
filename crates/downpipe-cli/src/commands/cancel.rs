//! `downpipe cancel`: cancels a job, whether or not a worker holds it.

use std::time::Duration;

use downpipe_app::ledger_table::LedgerTable;
use downpipe_aws::{SdkConfig, SqsQueue};
use downpipe_core::error_chain::error_chain;
use downpipe_core::job::{Job, JobId, JobState};
use downpipe_core::ledger::{CancelOutcome, Ledger};
use downpipe_core::message::Message;
use downpipe_core::queue::Queue as _;
use downpipe_mysql::kill_queries;
use tokio::time::{Instant, sleep};

use crate::error::CliError;
use crate::output::{job_json, print_json};

/// A worker learns of the cancellation within a second, and then deletes what it has written.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(10);

/// How often the ledger is polled until the job has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

pub(crate) async fn cancel(id: &JobId, json: bool) -> Result<(), CliError> {
    let queue_url = super::is_set("DOWNPIPE_QUEUE_URL");
    let aws = super::aws_for_ledger(queue_url).await;
    let ledger = super::ledger(&aws)?;
    let job = match ledger.cancel(id).await.map_err(CliError::failed)? {
        CancelOutcome::Unknown => {
            let words = format!(
                "no job {id} in the ledger; a job that is still in the queue cannot be cancelled yet"
            );
            return Err(CliError::Failed(words.into()));
        }
        CancelOutcome::Ended(job) => *job,
        CancelOutcome::Requested => match ended(&ledger, id).await? {
            Some(job) => job,
            None => {
                kill_left(&aws, id).await?;
                return Err(CliError::Failed(not_stopped(id).into()));
            }
        },
        CancelOutcome::Done(job) => {
            kill_left(&aws, &job.id).await?;
            if queue_url {
                let queue = SqsQueue::new(&aws, super::from_env(|env| env.queue_url())?);
                let message = Message::Continue(job.id.clone()).to_json();
                // The job is cancelled in any case. If the message is lost, the sweep does the rest.
                queue.send(&message).await.map_err(CliError::failed)?;
                eprintln!("cancelled; a worker deletes its objects and notifies {}", job.requested_by);
            } else {
                eprintln!(
                    "cancelled; the next sweep deletes its objects and notifies {} (with DOWNPIPE_QUEUE_URL, a worker does so at once)",
                    job.requested_by
                );
            }
            *job
        }
    };
    if job.state != JobState::Cancelled {
        return Err(CliError::Failed(
            format!("job {} had ended before: it is {}", job.id, job.state.as_str()).into(),
        ));
    }
    if json { print_json(&job_json(&job)?) } else { crate::output::print(&format!("{}\n", job.id)) }
}

/// Waits until the worker that holds the job has stopped. Returns `None` when it has not in time.
async fn ended(ledger: &Ledger<LedgerTable>, id: &JobId) -> Result<Option<Job>, CliError> {
    let began = Instant::now();
    while began.elapsed() < CANCEL_TIMEOUT {
        let job = ledger.find(id).await.map_err(CliError::failed)?;
        if let Some(job) = job.filter(|job| job.state.is_terminal()) {
            if job.state == JobState::Cancelled {
                eprintln!("cancelled; its worker stopped within {:.1} s", began.elapsed().as_secs_f64());
            }
            return Ok(Some(job));
        }
        sleep(POLL_INTERVAL).await;
    }
    Ok(None)
}

/// Kills queries that dead workers left running. Otherwise they run until their time limit, or until the next attempt.
///
/// With the ledger in DynamoDB, the environment need not name the database. Then the queries stay.
async fn kill_left(aws: &SdkConfig, id: &JobId) -> Result<(), CliError> {
    if !super::has_database() {
        eprintln!(
            "its queries, if a dead worker left any, run until their time limit (with DATABASE_URL or DOWNPIPE_DATABASE_SECRET, \
             this command kills them)"
        );
        return Ok(());
    }
    let database = super::database(aws)?;
    // Boxed, because the nested future is too deep for the compiler.
    match Box::pin(kill_queries(&database, id)).await {
        Ok(0) => {}
        Ok(queries) => eprintln!("killed {queries} of its queries, which were still running"),
        Err(error) => eprintln!("its queries could not be listed: {}", error_chain(&error)),
    }
    Ok(())
}

fn not_stopped(id: &JobId) -> String {
    format!(
        "cancellation of job {id} is requested, but its worker has not stopped within {} s: it may have died. The next worker that \
         gets the job cancels it; the sweep re-enqueues the job for that",
        CANCEL_TIMEOUT.as_secs()
    )
}
