//! The queue, as far as we speak to it ourselves: Lambda receives and deletes.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;

/// SQS hides a message for at most twelve hours.
const LONGEST_DELAY: Duration = Duration::from_secs(12 * 3600);

/// A queue.
#[derive(Debug, Clone)]
pub struct SqsQueue {
    client: Client,
    url: String,
}

/// The queue did not do it.
#[derive(Debug, thiserror::Error)]
#[error("{operation}: the queue could not be reached or refused")]
pub struct QueueError {
    operation: &'static str,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl SqsQueue {
    /// The queue at this URL.
    #[must_use]
    pub fn new(config: &SdkConfig, url: impl Into<String>) -> Self {
        Self { client: Client::new(config), url: url.into() }
    }

    /// Sends a message and returns its id.
    ///
    /// # Errors
    /// When the queue cannot be reached or refuses.
    pub async fn send(&self, body: &str) -> Result<String, QueueError> {
        let sent = self.client.send_message().queue_url(&self.url).message_body(body).send().await;
        let sent =
            sent.map_err(|error| QueueError { operation: "sending a message", source: Box::new(error) })?;
        Ok(sent.message_id().unwrap_or_default().to_owned())
    }

    /// Lets a received message come back after `delay`, instead of when its visibility would have run out. Rounded up to
    /// whole seconds; 12 hours at most.
    ///
    /// # Errors
    /// When the queue cannot be reached or refuses.
    pub async fn retry_after(&self, receipt_handle: &str, delay: Duration) -> Result<(), QueueError> {
        let seconds = delay.min(LONGEST_DELAY).as_millis().div_ceil(1000);
        self.client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(receipt_handle)
            .visibility_timeout(i32::try_from(seconds).unwrap_or(i32::MAX))
            .send()
            .await
            .map(drop)
            .map_err(|error| QueueError { operation: "postponing a message", source: Box::new(error) })
    }
}
