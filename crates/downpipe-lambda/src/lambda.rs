//! Answers Lambda's events: messages of the queue, and actions.

use std::time::{Duration, SystemTime};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use downpipe_app::check::check_worker;
use downpipe_app::config::WorkerConfig;
use downpipe_app::deliver::deliver;
use downpipe_app::services::AwsWorker;
use downpipe_app::sweep;
use downpipe_app::worker::Outcome;
use downpipe_aws::SdkConfig;
use downpipe_core::queue::Delivery;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;
use tokio::time::Instant;

use crate::event::{Action, Event};

/// The time that is left for the last repair of a sweep.
const AFTER_SWEEP: Duration = Duration::from_secs(60);

/// The name of the count of receives among a message's attributes.
const RECEIVE_COUNT: &str = "ApproximateReceiveCount";

/// The function: a worker, and the configuration that it was built from.
pub(crate) struct Function {
    pub(crate) worker: AwsWorker,
    pub(crate) config: WorkerConfig,
    pub(crate) aws: SdkConfig,
}

/// Handles messages, and does what the schedule or an operator asks for, until Lambda ends the process.
///
/// # Errors
/// When the Runtime API cannot be reached.
pub(crate) async fn run(function: &Function) -> Result<(), Error> {
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| async move {
        let deadline = instant_of(event.context.deadline());
        Ok::<_, Error>(match Event::read(event.payload)? {
            Event::Messages(messages) => {
                serde_json::to_value(Box::pin(handle(&function.worker, messages, deadline)).await?)?
            }
            Event::Action(Action::Sweep(_)) => {
                // Failures are logged, and the next sweep is near, so Lambda need not try again.
                let until = (deadline - AFTER_SWEEP).min(Instant::now() + sweep::MAX_DURATION);
                serde_json::to_value(Box::pin(function.worker.sweep(until, false)).await)?
            }
            // What is wrong is the answer, and no failure of the function.
            Event::Action(Action::Check(_)) => {
                serde_json::to_value(Box::pin(check_worker(&function.config, &function.aws)).await)?
            }
        })
    }))
    .await
}

/// Handles messages, and names in the answer those that come back.
async fn handle(
    worker: &AwsWorker,
    messages: SqsEvent,
    deadline: Instant,
) -> Result<SqsBatchResponse, Error> {
    let mut response = SqsBatchResponse::default();
    for message in messages.records {
        let delivery = delivery(message)?;
        if let Outcome::RetryAfter(_) = deliver(worker, &delivery, deadline).await {
            response.add_failure(delivery.message_id);
        }
    }
    Ok(response)
}

/// Returns the delivery of a message. Without an id it could not be named in the answer, so Lambda then retries the whole batch.
fn delivery(message: SqsMessage) -> Result<Delivery, Error> {
    let message_id = message.message_id.filter(|id| !id.is_empty()).ok_or("the message has no messageId")?;
    let receive_count = message.attributes.get(RECEIVE_COUNT).and_then(|count| count.parse().ok());
    Ok(Delivery {
        message_id,
        receipt_handle: message.receipt_handle.unwrap_or_default(),
        body: message.body.unwrap_or_default(),
        receive_count: receive_count.unwrap_or(1),
    })
}

fn instant_of(deadline: SystemTime) -> Instant {
    Instant::now() + deadline.duration_since(SystemTime::now()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delivery_has_the_id_and_the_count_of_receives() {
        let attributes = serde_json::json!({ "ApproximateReceiveCount": "3" });
        let message = serde_json::json!({ "messageId": "m", "body": "{}", "attributes": attributes });
        let delivery = delivery(serde_json::from_value(message).unwrap()).unwrap();
        assert_eq!((delivery.message_id.as_str(), delivery.receive_count), ("m", 3));
    }
}
