//! The queue, as far as a worker speaks to it. A port. (Who receives messages and deletes them, Lambda or a loop, is not its
//! business.)

use std::error::Error;
use std::time::Duration;

/// A queue of messages.
pub trait Queue: Send + Sync {
    /// Sends a message, and gives the queue's id of it.
    ///
    /// # Errors
    /// When it was not taken.
    fn send(&self, body: &str) -> impl Future<Output = Result<String, QueueError>> + Send;

    /// Lets a message that was received, and that is not deleted before, come back after `delay`: sooner or later than it would
    /// have.
    ///
    /// # Errors
    /// When the queue does not do it.
    fn return_after(
        &self,
        receipt_handle: &str,
        delay: Duration,
    ) -> impl Future<Output = Result<(), QueueError>> + Send;
}

/// The queue did not do it.
#[derive(Debug, thiserror::Error)]
#[error("{operation}: the queue could not be reached or refused")]
pub struct QueueError {
    /// What was being done.
    pub operation: &'static str,
    /// What the client says.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}
