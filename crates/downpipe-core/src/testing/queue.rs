//! A queue that remembers what it was told.

use std::sync::Mutex;
use std::time::Duration;

use super::lock;
use crate::queue::{Queue, QueueError};

/// Takes messages and delivers none.
#[derive(Debug, Default)]
pub struct RecordingQueue {
    sent: Mutex<Vec<String>>,
    returns: Mutex<Vec<(String, Duration)>>,
    refusals: Mutex<usize>,
}

impl RecordingQueue {
    /// An empty queue.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Refuses the next messages.
    pub fn fail_next(&self, sends: usize) {
        *lock(&self.refusals) = sends;
    }

    /// The messages that were sent, in order.
    #[must_use]
    pub fn sent(&self) -> Vec<String> {
        lock(&self.sent).clone()
    }

    /// When which message was to come back, in the order in which that was said.
    #[must_use]
    pub fn returns(&self) -> Vec<(String, Duration)> {
        lock(&self.returns).clone()
    }
}

impl Queue for RecordingQueue {
    async fn send(&self, body: &str) -> Result<String, QueueError> {
        let mut refusals = lock(&self.refusals);
        if *refusals > 0 {
            *refusals -= 1;
            let source = "the queue was told to fail".into();
            return Err(QueueError { operation: "sending a message", source });
        }
        let mut sent = lock(&self.sent);
        sent.push(body.to_owned());
        Ok(format!("sent-{}", sent.len()))
    }

    async fn return_after(&self, receipt_handle: &str, delay: Duration) -> Result<(), QueueError> {
        lock(&self.returns).push((receipt_handle.to_owned(), delay));
        Ok(())
    }
}
