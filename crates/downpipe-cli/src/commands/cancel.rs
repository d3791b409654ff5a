//! `downpipe cancel`: a job stopped, whether somebody works on it or not.

use std::time::Duration;

use downpipe_aws::{DatabaseLogin, SqsQueue};
use downpipe_core::failure::chain;
use downpipe_core::job::{Job, JobId, JobState};
use downpipe_core::ledger::{Cancel, Ledger as _};
use downpipe_core::message::Message;
use downpipe_core::queue::Queue as _;
use downpipe_mysql::{Database, MySqlLedger, kill_queries};
use tokio::time::{Instant, sleep};

use crate::error::CliError;
use crate::output::print_json;

/// A worker hears within a second that its job is to stop, and then removes what it has written.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often the ledger is asked meanwhile.
const LOOK: Duration = Duration::from_millis(100);

pub(crate) async fn cancel(id: &JobId, json: bool) -> Result<(), CliError> {
    let queue_url = super::is_set("DOWNPIPE_QUEUE_URL");
    let aws = super::aws_for_database(queue_url).await;
    let ledger = MySqlLedger::new(super::database(&aws)?);
    let job = match ledger.cancel(id).await.map_err(CliError::failed)? {
        Cancel::Unknown => {
            let words =
                format!("no job {id} in the ledger; if it is still in the queue, it cannot be cancelled yet");
            return Err(CliError::Failed(words.into()));
        }
        Cancel::Ended(job) => *job,
        Cancel::Wanted => match ended(&ledger, id).await? {
            Some(job) => job,
            None => {
                kill_left(&super::database(&aws)?, id).await;
                return Err(CliError::Failed(not_stopped(id).into()));
            }
        },
        Cancel::Done(job) => {
            kill_left(&super::database(&aws)?, &job.id).await;
            if queue_url {
                let queue = SqsQueue::new(&aws, super::from_env(|env| env.queue_url())?);
                let message = Message::Continue(job.id.clone()).to_json();
                // It is cancelled, whatever comes of this. Without the message the sweep does the rest.
                queue.send(&message).await.map_err(CliError::failed)?;
                eprintln!("cancelled; a worker clears away what it left and tells {}", job.requested_by);
            } else {
                eprintln!(
                    "cancelled; the next sweep clears away what it left and tells {} (with DOWNPIPE_QUEUE_URL, a worker does at once)",
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
    if json { print_json(&job) } else { crate::output::print(&format!("{}\n", job.id)) }
}

/// Waits until the worker that has the job has stopped.
async fn ended(ledger: &MySqlLedger<DatabaseLogin>, id: &JobId) -> Result<Option<Job>, CliError> {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let job = ledger.find(id).await.map_err(CliError::failed)?;
        if let Some(job) = job.filter(|job| job.state.is_terminal()) {
            if job.state == JobState::Cancelled {
                eprintln!("cancelled; its worker stopped within {:.1} s", began.elapsed().as_secs_f64());
            }
            return Ok(Some(job));
        }
        sleep(LOOK).await;
    }
    Ok(None)
}

/// Ends queries of workers that have died: nobody else would before their time is up, or the job is begun again.
async fn kill_left(database: &Database<DatabaseLogin>, id: &JobId) {
    match kill_queries(database, id).await {
        Ok(0) => {}
        Ok(queries) => eprintln!("{queries} of its queries were still running, and have been killed"),
        Err(error) => eprintln!("its queries could not be looked for: {}", chain(&error)),
    }
}

fn not_stopped(id: &JobId) -> String {
    format!(
        "job {id} is to be cancelled, but its worker has not stopped within {} s: it may have died. Whichever worker has the job next \
         cancels it; the sweep sees to it that one does",
        PATIENCE.as_secs()
    )
}
