//! `downpipe send`: puts a request on the queue.

use downpipe_aws::SqsQueue;
use downpipe_core::job::JobId;
use downpipe_core::message::Message;
use downpipe_core::queue::Queue as _;

use crate::args::SendArgs;
use crate::error::CliError;
use crate::output::{print, print_json};

pub(crate) async fn send(args: SendArgs, json: bool) -> Result<(), CliError> {
    let queue_url = super::from_env(|env| env.queue_url())?;
    // With an idempotency key the job's id is known before a worker has the message.
    let request_id = args.request_id.unwrap_or_else(super::new_request_id);
    let message = super::message(args.export, args.requested_by, Some(request_id));
    let body = message.to_json();
    // Otherwise a worker would refuse the message later, and only the requester would hear of it.
    Message::parse(&body)?;
    let aws = downpipe_aws::load_config().await;
    let message_id = SqsQueue::new(&aws, queue_url).send(&body).await.map_err(CliError::failed)?;
    let job = JobId::of_request(&message, &message_id);
    if json {
        return print_json(&serde_json::json!({ "job_id": job, "message_id": message_id }));
    }
    print(&format!("{job}\n"))?;
    eprintln!("queued; to see its state: downpipe status {job}");
    Ok(())
}
