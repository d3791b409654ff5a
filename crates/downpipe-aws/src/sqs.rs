//! The queue in SQS. Lambda receives and deletes by itself; a worker outside it does both through this port.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    Message, MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry,
};
use downpipe_core::queue::{BatchError, Delivery, Queue, QueueError};
use tokio::sync::OnceCell;

/// The longest time for which SQS hides a message.
const MAX_VISIBILITY: Duration = Duration::from_secs(12 * 3600);

/// The longest time for which SQS delays a message that is sent.
const MAX_SEND_DELAY: Duration = Duration::from_secs(15 * 60);

/// Messages that SQS takes in one call.
const MAX_BATCH: usize = 10;

/// The longest time for which SQS waits for a message.
const MAX_POLL: Duration = Duration::from_secs(20);

/// What SQS counts of a queue: messages that are visible, hidden and delayed.
const COUNTS: [QueueAttributeName; 3] = [
    QueueAttributeName::ApproximateNumberOfMessages,
    QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
    QueueAttributeName::ApproximateNumberOfMessagesDelayed,
];

/// A queue in SQS.
#[derive(Debug, Clone)]
pub struct SqsQueue {
    client: Client,
    url: String,
    /// `maxReceiveCount`, once SQS has returned it.
    max_receives: Arc<OnceCell<Option<u32>>>,
}

impl SqsQueue {
    /// Makes the queue at this URL.
    #[must_use]
    pub fn new(config: &SdkConfig, url: impl Into<String>) -> Self {
        Self::at(Client::new(config), url.into())
    }

    fn at(client: Client, url: String) -> Self {
        Self { client, url, max_receives: Arc::default() }
    }

    /// Returns the queue of the dead letters, if there is one.
    ///
    /// # Errors
    /// When the queue does not answer, or refuses.
    pub async fn dead_letters(&self) -> Result<Option<Self>, QueueError> {
        const OPERATION: &str = "looking for the dead letters";
        let policy = self.redrive_policy(OPERATION).await?;
        let Some((account, name)) = policy.and_then(|policy| policy.dead_letter_queue()) else {
            return Ok(None);
        };
        let found =
            self.client.get_queue_url().queue_name(name).queue_owner_aws_account_id(account).send().await;
        let found = found.map_err(|error| QueueError { operation: OPERATION, source: Box::new(error) })?;
        Ok(found.queue_url.map(|url| Self::at(self.client.clone(), url)))
    }

    /// Reads the queue's redrive policy. `None` for a queue without one.
    async fn redrive_policy(&self, operation: &'static str) -> Result<Option<RedrivePolicy>, QueueError> {
        let name = QueueAttributeName::RedrivePolicy;
        let asked = self.client.get_queue_attributes().queue_url(&self.url).attribute_names(name.clone());
        let answer = asked.send().await.map_err(|error| QueueError { operation, source: Box::new(error) })?;
        let policy = answer.attributes().and_then(|attributes| attributes.get(&name));
        policy.map(|policy| RedrivePolicy::parse(policy, operation)).transpose()
    }
}

/// A message of a batch that SQS did not take, and the code of its reason.
struct Unsent<'a> {
    body: &'a str,
    code: String,
}

impl SqsQueue {
    /// Sends up to ten messages, and returns those that SQS did not take.
    async fn send_ten<'a>(&self, bodies: &[&'a str]) -> Result<Vec<Unsent<'a>>, QueueError> {
        let entry = |(id, body): (usize, &&str)| {
            SendMessageBatchRequestEntry::builder().id(id.to_string()).message_body(*body).build()
        };
        let entries = bodies.iter().enumerate().map(entry).collect::<Result<Vec<_>, _>>();
        let entries = entries.map_err(|error| batch_failed(error.into()))?;
        let sent = self.client.send_message_batch().queue_url(&self.url).set_entries(Some(entries));
        let answer = sent.send().await.map_err(|error| batch_failed(error.into()))?;
        let unsent = answer.failed.into_iter().filter_map(|failed| {
            let body = *bodies.get(failed.id.parse::<usize>().ok()?)?;
            Some(Unsent { body, code: failed.code })
        });
        Ok(unsent.collect())
    }
}

fn batch_failed(source: Box<dyn Error + Send + Sync>) -> QueueError {
    QueueError { operation: "sending messages", source }
}

/// Returns the delivery of a message.
fn delivery(message: Message) -> Delivery {
    let count = message.attributes.as_ref().and_then(|attributes| {
        attributes.get(&MessageSystemAttributeName::ApproximateReceiveCount)?.parse().ok()
    });
    Delivery {
        message_id: message.message_id.unwrap_or_default(),
        receipt_handle: message.receipt_handle.unwrap_or_default(),
        body: message.body.unwrap_or_default(),
        receive_count: count.unwrap_or(1),
    }
}

impl Queue for SqsQueue {
    /// Rounded up to whole seconds; 15 minutes at most.
    async fn send_after(&self, body: &str, delay: Duration) -> Result<String, QueueError> {
        let message = self.client.send_message().queue_url(&self.url).message_body(body);
        // Without a delay of its own, a message gets the queue's.
        let seconds = Some(whole_seconds(delay.min(MAX_SEND_DELAY))).filter(|seconds| *seconds > 0);
        let sent = message.set_delay_seconds(seconds).send().await;
        let sent =
            sent.map_err(|error| QueueError { operation: "sending a message", source: Box::new(error) })?;
        Ok(sent.message_id().unwrap_or_default().to_owned())
    }

    /// What SQS does not take of a call is sent once more: it may have been too busy for some of ten messages.
    async fn send_batch(&self, bodies: &[String]) -> Result<(), BatchError> {
        let mut left: Vec<&str> = bodies.iter().map(String::as_str).collect();
        let mut code = String::new();
        for _ in 0..2 {
            let mut unsent = Vec::new();
            for (number, ten) in left.chunks(MAX_BATCH).enumerate() {
                match self.send_ten(ten).await {
                    Ok(more) => unsent.extend(more),
                    Err(source) => {
                        let unsent = unsent.len() + left.len() - number * MAX_BATCH;
                        return Err(BatchError { unsent, source });
                    }
                }
            }
            let Some(last) = unsent.last() else { return Ok(()) };
            code.clone_from(&last.code);
            left = unsent.into_iter().map(|unsent| unsent.body).collect();
        }
        Err(BatchError { unsent: left.len(), source: batch_failed(code.into()) })
    }

    /// Waits 20 s at most.
    async fn receive(&self, wait: Duration, visibility: Duration) -> Result<Option<Delivery>, QueueError> {
        let received = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(1)
            .wait_time_seconds(whole_seconds(wait.min(MAX_POLL)))
            .visibility_timeout(whole_seconds(visibility.min(MAX_VISIBILITY)))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .send()
            .await
            .map_err(|error| QueueError { operation: "receiving a message", source: Box::new(error) })?;
        Ok(received.messages.and_then(|mut messages| messages.pop()).map(delivery))
    }

    async fn delete(&self, receipt_handle: &str) -> Result<(), QueueError> {
        let deleted =
            self.client.delete_message().queue_url(&self.url).receipt_handle(receipt_handle).send().await;
        deleted
            .map(drop)
            .map_err(|error| QueueError { operation: "deleting a message", source: Box::new(error) })
    }

    async fn count(&self) -> Result<u64, QueueError> {
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

    /// Asks SQS once. A later change of the policy is seen by the next process.
    async fn max_receives(&self) -> Result<Option<u32>, QueueError> {
        let asked = self.max_receives.get_or_try_init(async || {
            let policy = self.redrive_policy("asking for the redrive policy").await?;
            Ok(policy.map(|policy| policy.max_receives))
        });
        asked.await.copied()
    }

    /// Rounded up to whole seconds; 12 hours at most.
    async fn change_visibility(&self, receipt_handle: &str, delay: Duration) -> Result<(), QueueError> {
        self.client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(receipt_handle)
            .visibility_timeout(whole_seconds(delay.min(MAX_VISIBILITY)))
            .send()
            .await
            .map(drop)
            .map_err(|error| QueueError { operation: "postponing a message", source: Box::new(error) })
    }
}

/// Rounds up to whole seconds: waiting a little longer does no harm.
fn whole_seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis().div_ceil(1000)).unwrap_or(i32::MAX)
}

/// `{"deadLetterTargetArn":"arn:aws:sqs:REGION:ACCOUNT:NAME","maxReceiveCount":5}`, or `"maxReceiveCount":"5"`: SQS returns the
/// form that was set.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
struct RedrivePolicy {
    #[serde(rename = "deadLetterTargetArn", default)]
    dead_letters: String,
    #[serde(rename = "maxReceiveCount", deserialize_with = "number_or_text")]
    max_receives: u32,
}

impl RedrivePolicy {
    fn parse(policy: &str, operation: &'static str) -> Result<Self, QueueError> {
        serde_json::from_str(policy).map_err(|error| QueueError { operation, source: Box::new(error) })
    }

    /// Returns account and name of the queue of the dead letters.
    fn dead_letter_queue(&self) -> Option<(String, String)> {
        let mut arn = self.dead_letters.rsplit(':');
        let (name, account) = (arn.next()?, arn.next()?);
        Some((account.to_owned(), name.to_owned()))
    }
}

fn number_or_text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Form {
        Number(u32),
        Text(String),
    }
    match serde::Deserialize::deserialize(deserializer)? {
        Form::Number(number) => Ok(number),
        Form::Text(text) => text.parse().map_err(serde::de::Error::custom),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redrive_policy_in_either_form_says_limit_and_dead_letters() {
        for count in ["5", "\"5\""] {
            let json = format!(
                r#"{{"deadLetterTargetArn":"arn:aws:sqs:eu-central-1:000000000000:dead","maxReceiveCount":{count}}}"#
            );
            let policy = RedrivePolicy::parse(&json, "test").unwrap();
            assert_eq!(policy.max_receives, 5);
            let dead_letters = policy.dead_letter_queue();
            assert_eq!(dead_letters, Some(("000000000000".to_owned(), "dead".to_owned())));
        }
        assert!(RedrivePolicy::parse("{}", "test").is_err());
    }
}
