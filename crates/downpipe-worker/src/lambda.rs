//! How Lambda brings messages, and how it hears what became of them; and how it says that it is time to sweep.

use std::time::{Duration, SystemTime};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::Deserialize;
use tokio::time::Instant;

use crate::deliver::deliver;
use crate::handle::{Delivery, Outcome};
use crate::services::AwsWorker;
use crate::sweep;

/// What the last thing that a sweep begins may take.
const AFTER_SWEEP: Duration = Duration::from_secs(60);

/// What Lambda calls the count of receives in a message's attributes.
const RECEIVE_COUNT: &str = "ApproximateReceiveCount";

/// What Lambda brings.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Event {
    /// Messages of the queue.
    Messages(SqsEvent),
    /// What somebody else wants of the function.
    Order(Order),
}

/// What the function does besides.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Order {
    /// `{"sweep":{}}`, as the template's schedule says it.
    Sweep {},
}

/// Takes messages, and sweeps when it is told to, until Lambda ends the process.
///
/// # Errors
/// When the Runtime API cannot be reached.
pub async fn run(worker: &AwsWorker) -> Result<(), Error> {
    lambda_runtime::run(service_fn(|event: LambdaEvent<Event>| async move {
        let deadline = instant_of(event.context.deadline());
        match event.payload {
            Event::Messages(messages) => {
                Ok(serde_json::to_value(Box::pin(handle(worker, messages, deadline)).await?)?)
            }
            Event::Order(Order::Sweep {}) => {
                // What failed is logged, and the next sweep is near: Lambda is not to try again.
                let until = (deadline - AFTER_SWEEP).min(Instant::now() + sweep::LONGEST);
                Ok::<_, Error>(serde_json::to_value(Box::pin(worker.sweep(until, false)).await)?)
            }
        }
    }))
    .await
}

/// What must be tried again is named in the answer.
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

fn instant_of(deadline: SystemTime) -> Instant {
    Instant::now() + deadline.duration_since(SystemTime::now()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_told_apart_by_their_shape() {
        let parse = |json: &str| serde_json::from_str::<Event>(json);
        let messages = r#"{"Records":[{"messageId":"m","body":"{\"sweep\":{}}","attributes":{"ApproximateReceiveCount":"3"}}]}"#;
        let Ok(Event::Messages(messages)) = parse(messages) else { panic!("{messages}") };
        let delivery = delivery(messages.records.into_iter().next().unwrap()).unwrap();
        assert_eq!((delivery.message_id.as_str(), delivery.receive_count), ("m", 3));
        assert!(matches!(parse(r#"{"sweep":{}}"#), Ok(Event::Order(Order::Sweep {}))));
        for other in ["{}", r#"{"sweep":true}"#, "null", r#"{"source":"aws.events"}"#] {
            assert!(parse(other).is_err(), "{other}");
        }
    }
}
