//! The queue. Lambda receives and deletes by itself; a worker outside it does both with what is here.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName, QueueAttributeName};
use downpipe_core::queue::{Queue, QueueError};

/// SQS hides a message for at most twelve hours.
const LONGEST_DELAY: Duration = Duration::from_secs(12 * 3600);

/// The longest that SQS lets somebody wait for a message.
const LONGEST_POLL: Duration = Duration::from_secs(20);

/// What SQS counts of a queue: messages that can be received, that somebody has, that are not there yet.
const COUNTS: [QueueAttributeName; 3] = [
    QueueAttributeName::ApproximateNumberOfMessages,
    QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
    QueueAttributeName::ApproximateNumberOfMessagesDelayed,
];

/// A queue.
#[derive(Debug, Clone)]
pub struct SqsQueue {
    client: Client,
    url: String,
}

impl SqsQueue {
    /// The queue at this URL.
    #[must_use]
    pub fn new(config: &SdkConfig, url: impl Into<String>) -> Self {
        Self { client: Client::new(config), url: url.into() }
    }

    /// Waits up to `wait` (20 s at most) for a message, and hides it from others for `hide`.
    ///
    /// # Errors
    /// When the queue does not answer, or refuses.
    pub async fn receive(&self, wait: Duration, hide: Duration) -> Result<Option<Received>, QueueError> {
        let received = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(1)
            .wait_time_seconds(whole_seconds(wait.min(LONGEST_POLL)))
            .visibility_timeout(whole_seconds(hide.min(LONGEST_DELAY)))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .send()
            .await
            .map_err(|error| QueueError { operation: "receiving a message", source: Box::new(error) })?;
        Ok(received.messages.and_then(|mut messages| messages.pop()).map(Received::from))
    }

    /// Removes a message that was received.
    ///
    /// # Errors
    /// When the queue does not answer, or refuses.
    pub async fn delete(&self, receipt_handle: &str) -> Result<(), QueueError> {
        let deleted =
            self.client.delete_message().queue_url(&self.url).receipt_handle(receipt_handle).send().await;
        deleted
            .map(drop)
            .map_err(|error| QueueError { operation: "deleting a message", source: Box::new(error) })
    }

    /// The queue to which messages go that were received too often, if there is one.
    ///
    /// # Errors
    /// When the queue does not answer, or refuses.
    pub async fn dead_letters(&self) -> Result<Option<Self>, QueueError> {
        const OPERATION: &str = "looking for the dead letters";
        let policy = QueueAttributeName::RedrivePolicy;
        let asked = self.client.get_queue_attributes().queue_url(&self.url).attribute_names(policy.clone());
        let answer = asked
            .send()
            .await
            .map_err(|error| QueueError { operation: OPERATION, source: Box::new(error) })?;
        let policy = answer.attributes().and_then(|attributes| attributes.get(&policy));
        let Some((account, name)) = policy.and_then(|policy| dead_letter_queue(policy)) else {
            return Ok(None);
        };
        let found =
            self.client.get_queue_url().queue_name(name).queue_owner_aws_account_id(account).send().await;
        let found = found.map_err(|error| QueueError { operation: OPERATION, source: Box::new(error) })?;
        Ok(found.queue_url.map(|url| Self { client: self.client.clone(), url }))
    }

    /// How many messages are in the queue, those included that somebody has or that are delayed: about so many, SQS says.
    ///
    /// # Errors
    /// When the queue does not answer, or refuses.
    pub async fn count(&self) -> Result<u64, QueueError> {
        let asked = self
            .client
            .get_queue_attributes()
            .queue_url(&self.url)
            .set_attribute_names(Some(COUNTS.into()))
            .send()
            .await;
        let answer = asked
            .map_err(|error| QueueError { operation: "counting the messages", source: Box::new(error) })?;
        let attributes = answer.attributes.unwrap_or_default();
        Ok(COUNTS.iter().filter_map(|name| attributes.get(name)?.parse::<u64>().ok()).sum())
    }
}

/// A message that was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The queue's id of the message, the same at every delivery.
    pub message_id: String,
    /// What the queue wants to hear when we speak of this delivery.
    pub receipt_handle: String,
    /// The message.
    pub body: String,
    /// How often it was delivered, this time included.
    pub receive_count: u32,
}

impl From<Message> for Received {
    fn from(message: Message) -> Self {
        let count = message.attributes.as_ref().and_then(|attributes| {
            attributes.get(&MessageSystemAttributeName::ApproximateReceiveCount)?.parse().ok()
        });
        Self {
            message_id: message.message_id.unwrap_or_default(),
            receipt_handle: message.receipt_handle.unwrap_or_default(),
            body: message.body.unwrap_or_default(),
            receive_count: count.unwrap_or(1),
        }
    }
}

impl Queue for SqsQueue {
    async fn send(&self, body: &str) -> Result<String, QueueError> {
        let sent = self.client.send_message().queue_url(&self.url).message_body(body).send().await;
        let sent =
            sent.map_err(|error| QueueError { operation: "sending a message", source: Box::new(error) })?;
        Ok(sent.message_id().unwrap_or_default().to_owned())
    }

    /// Rounded up to whole seconds; 12 hours at most.
    async fn return_after(&self, receipt_handle: &str, delay: Duration) -> Result<(), QueueError> {
        self.client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(receipt_handle)
            .visibility_timeout(whole_seconds(delay.min(LONGEST_DELAY)))
            .send()
            .await
            .map(drop)
            .map_err(|error| QueueError { operation: "postponing a message", source: Box::new(error) })
    }
}

/// Rounded up: somebody who waits a little too long comes to no harm.
fn whole_seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis().div_ceil(1000)).unwrap_or(i32::MAX)
}

/// Account and name in `{"deadLetterTargetArn":"arn:aws:sqs:REGION:ACCOUNT:NAME","maxReceiveCount":5}`.
fn dead_letter_queue(policy: &str) -> Option<(String, String)> {
    let policy: serde_json::Value = serde_json::from_str(policy).ok()?;
    let mut arn = policy["deadLetterTargetArn"].as_str()?.rsplit(':');
    let (name, account) = (arn.next()?, arn.next()?);
    Some((account.to_owned(), name.to_owned()))
}
