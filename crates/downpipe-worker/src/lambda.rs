//! How Lambda brings messages, and how it hears what became of them.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, SystemTime};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use downpipe_aws::SqsQueue;
use downpipe_core::failure::chain;
use futures_util::FutureExt as _;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use tokio::time::Instant;

use crate::handle::{Delivery, Outcome};
use crate::services::AwsWorker;

/// What Lambda calls the count of receives in a message's attributes.
const RECEIVE_COUNT: &str = "ApproximateReceiveCount";

/// How long a message stays away after a panic: longer than the lease, which nobody has given back.
const AFTER_PANIC: Duration = Duration::from_secs(90);

/// Takes messages until Lambda ends the process.
///
/// # Errors
/// When the Runtime API cannot be reached.
pub async fn run(worker: &AwsWorker, queue: &SqsQueue) -> Result<(), Error> {
    lambda_runtime::run(service_fn(|event: LambdaEvent<SqsEvent>| async move {
        let deadline = instant_of(event.context.deadline());
        let mut response = SqsBatchResponse::default();
        for message in event.payload.records {
            let delivery = delivery(message)?;
            if let Outcome::RetryAfter(delay) = handle_or_panic(worker, &delivery, deadline).await {
                postpone(queue, &delivery, delay).await;
                response.add_failure(delivery.message_id);
            }
        }
        Ok::<_, Error>(response)
    }))
    .await
}

/// A message without an id could be neither retried nor told apart: Lambda then retries the whole batch.
fn delivery(message: SqsMessage) -> Result<Delivery, Error> {
    let message_id = message.message_id.filter(|id| !id.is_empty()).ok_or("the message has no messageId")?;
    let receive_count = message.attributes.get(RECEIVE_COUNT).and_then(|count| count.parse().ok());
    Ok(Delivery {
        message_id,
        receipt_handle: message.receipt_handle,
        body: message.body.unwrap_or_default(),
        receive_count: receive_count.unwrap_or(1),
    })
}

/// The runtime would catch a panic too, but report the whole invocation as failed, and the message would stay hidden for
/// its whole visibility timeout.
async fn handle_or_panic(worker: &AwsWorker, delivery: &Delivery, deadline: Instant) -> Outcome {
    // Boxed: the state machine of a whole export is too deep for the compiler to lay out within another one.
    match AssertUnwindSafe(Box::pin(worker.handle(delivery, deadline))).catch_unwind().await {
        Ok(outcome) => outcome,
        Err(_) => {
            tracing::error!(message_id = delivery.message_id, "handling the message panicked");
            Outcome::RetryAfter(AFTER_PANIC)
        }
    }
}

/// Without this the message would come back only after its whole visibility timeout, an hour and a half.
async fn postpone(queue: &SqsQueue, delivery: &Delivery, delay: Duration) {
    let Some(receipt_handle) = &delivery.receipt_handle else { return };
    if let Err(error) = queue.retry_after(receipt_handle, delay).await {
        tracing::warn!(
            message_id = delivery.message_id,
            error = chain(&error),
            "the message's return could not be hastened"
        );
    }
}

fn instant_of(deadline: SystemTime) -> Instant {
    Instant::now() + deadline.duration_since(SystemTime::now()).unwrap_or_default()
}
