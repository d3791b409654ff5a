//! The queue of messages, as workers and commands see it. A port.

use std::error::Error;
use std::time::Duration;

/// A message as the queue delivered it, perhaps not for the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The queue's id of the message, the same at every delivery.
    pub message_id: String,
    /// The queue's name for this delivery of the message.
    pub receipt_handle: String,
    /// The message.
    pub body: String,
    /// How often the message was delivered, this time included.
    pub receive_count: u32,
}

/// A queue of messages.
///
/// A message that was received is hidden from others for its visibility timeout, and delivered again unless it is deleted before.
pub trait Queue: Send + Sync {
    /// Sends a message that can be received at once, and returns the queue's id of it.
    ///
    /// # Errors
    /// When the queue did not take it.
    fn send(&self, body: &str) -> impl Future<Output = Result<String, QueueError>> + Send {
        self.send_after(body, Duration::ZERO)
    }

    /// Sends a message that can be received only after `delay`, and returns the queue's id of it. A queue may shorten a delay that
    /// it cannot keep: SQS keeps 15 minutes.
    ///
    /// # Errors
    /// When the queue did not take it.
    fn send_after(
        &self,
        body: &str,
        delay: Duration,
    ) -> impl Future<Output = Result<String, QueueError>> + Send;

    /// Sends short messages that can be received at once, several in a call. SQS takes ten in a call, and 256 KiB of them.
    ///
    /// # Errors
    /// When the queue did not take all of them. The error says how many; the others are sent.
    fn send_batch(&self, bodies: &[String]) -> impl Future<Output = Result<(), BatchError>> + Send;

    /// Receives a message and hides it from others for `visibility`. Waits for one for up to `wait`; a queue may wait less: SQS
    /// waits 20 s.
    ///
    /// # Errors
    /// When the queue does not answer, or refuses.
    fn receive(
        &self,
        wait: Duration,
        visibility: Duration,
    ) -> impl Future<Output = Result<Option<Delivery>, QueueError>> + Send;

    /// Deletes a message that was received.
    ///
    /// # Errors
    /// When the queue does not answer, or refuses.
    fn delete(&self, receipt_handle: &str) -> impl Future<Output = Result<(), QueueError>> + Send;

    /// Makes a message that was received visible again after `delay`, sooner or later than it would have been.
    ///
    /// # Errors
    /// When the queue does not answer, or refuses.
    fn change_visibility(
        &self,
        receipt_handle: &str,
        delay: Duration,
    ) -> impl Future<Output = Result<(), QueueError>> + Send;

    /// Counts the messages, those included that are hidden or delayed. A queue may count approximately, as SQS does.
    ///
    /// # Errors
    /// When the queue does not answer, or refuses.
    fn count(&self) -> impl Future<Output = Result<u64, QueueError>> + Send;

    /// Returns how often the queue delivers a message before it moves it to the dead letters. `None` for a queue that never does.
    ///
    /// # Errors
    /// When the queue does not say.
    fn max_receives(&self) -> impl Future<Output = Result<Option<u32>, QueueError>> + Send;
}

/// The queue did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[error("{operation}: the queue could not be reached or refused")]
pub struct QueueError {
    /// What was asked, such as `receiving a message`.
    pub operation: &'static str,
    /// What the client says.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}

/// The queue did not take all messages of a batch.
#[derive(Debug, thiserror::Error)]
#[error("{unsent} messages were not sent")]
pub struct BatchError {
    /// How many the queue did not take, as far as is known: it may have taken some whose answer was lost.
    pub unsent: usize,
    /// Why, for the last of them.
    #[source]
    pub source: QueueError,
}
