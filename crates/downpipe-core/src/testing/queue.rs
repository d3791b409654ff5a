//! A queue that records what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::sleep;

use super::lock;
use crate::queue::{BatchError, Delivery, Queue, QueueError};

/// The queue's answer to how often it delivers a message.
#[derive(Debug, Clone, Copy)]
enum Limit {
    Known(Option<u32>),
    NoAnswer,
}

/// Records messages that are sent, and delivers those that a test [adds](Self::deliver). Clones are the same queue.
#[derive(Debug, Clone)]
pub struct RecordingQueue {
    max_receives: Limit,
    calls: Arc<Mutex<Calls>>,
}

#[derive(Debug, Default)]
struct Calls {
    sent: Vec<(String, Duration)>,
    visibilities: Vec<(String, Duration)>,
    deleted: Vec<String>,
    deliverable: VecDeque<Delivery>,
    failing_sends: usize,
    failing_receives: usize,
}

impl RecordingQueue {
    /// How often a queue delivers a message, unless a test chooses.
    pub const MAX_RECEIVES: u32 = 5;

    /// Makes an empty queue.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limit(Limit::Known(Some(Self::MAX_RECEIVES)))
    }

    /// Makes a queue that delivers a message so often. `None` for a queue without a limit.
    #[must_use]
    pub fn with_max_receives(max_receives: Option<u32>) -> Self {
        Self::with_limit(Limit::Known(max_receives))
    }

    /// Makes a queue that does not say how often it delivers a message.
    #[must_use]
    pub fn without_answer() -> Self {
        Self::with_limit(Limit::NoAnswer)
    }

    fn with_limit(max_receives: Limit) -> Self {
        Self { max_receives, calls: Arc::default() }
    }

    /// Refuses the next messages that are sent.
    pub fn fail_next(&self, sends: usize) {
        lock(&self.calls).failing_sends = sends;
    }

    /// Fails the next receives.
    pub fn fail_next_receives(&self, receives: usize) {
        lock(&self.calls).failing_receives = receives;
    }

    /// Adds a message that can be received once.
    pub fn deliver(&self, delivery: Delivery) {
        lock(&self.calls).deliverable.push_back(delivery);
    }

    /// Returns the messages that were sent, in order.
    #[must_use]
    pub fn sent(&self) -> Vec<String> {
        lock(&self.calls).sent.iter().map(|(body, _)| body.clone()).collect()
    }

    /// Returns the delays of the messages that were sent, in order.
    #[must_use]
    pub fn delays(&self) -> Vec<Duration> {
        lock(&self.calls).sent.iter().map(|(_, delay)| *delay).collect()
    }

    /// Returns the visibility timeouts that were set, with their receipt handles, in order.
    #[must_use]
    pub fn visibilities(&self) -> Vec<(String, Duration)> {
        lock(&self.calls).visibilities.clone()
    }

    /// Returns the receipt handles of the messages that were deleted, in order.
    #[must_use]
    pub fn deleted(&self) -> Vec<String> {
        lock(&self.calls).deleted.clone()
    }
}

impl Default for RecordingQueue {
    fn default() -> Self {
        Self::new()
    }
}

impl Queue for RecordingQueue {
    async fn send_after(&self, body: &str, delay: Duration) -> Result<String, QueueError> {
        let mut calls = lock(&self.calls);
        if calls.failing_sends > 0 {
            calls.failing_sends -= 1;
            return Err(refused("sending a message"));
        }
        calls.sent.push((body.to_owned(), delay));
        Ok(format!("sent-{}", calls.sent.len()))
    }

    /// A batch is refused as a whole, as one send.
    async fn send_batch(&self, bodies: &[String]) -> Result<(), BatchError> {
        let mut calls = lock(&self.calls);
        if calls.failing_sends > 0 {
            calls.failing_sends -= 1;
            return Err(BatchError { unsent: bodies.len(), source: refused("sending messages") });
        }
        calls.sent.extend(bodies.iter().map(|body| (body.clone(), Duration::ZERO)));
        Ok(())
    }

    async fn receive(&self, wait: Duration, _: Duration) -> Result<Option<Delivery>, QueueError> {
        let received = {
            let mut calls = lock(&self.calls);
            if calls.failing_receives > 0 {
                calls.failing_receives -= 1;
                return Err(refused("receiving a message"));
            }
            calls.deliverable.pop_front()
        };
        if received.is_none() {
            sleep(wait).await;
        }
        Ok(received)
    }

    async fn delete(&self, receipt_handle: &str) -> Result<(), QueueError> {
        lock(&self.calls).deleted.push(receipt_handle.to_owned());
        Ok(())
    }

    async fn change_visibility(&self, receipt_handle: &str, delay: Duration) -> Result<(), QueueError> {
        lock(&self.calls).visibilities.push((receipt_handle.to_owned(), delay));
        Ok(())
    }

    async fn count(&self) -> Result<u64, QueueError> {
        Ok(lock(&self.calls).deliverable.len() as u64)
    }

    async fn max_receives(&self) -> Result<Option<u32>, QueueError> {
        match self.max_receives {
            Limit::Known(max_receives) => Ok(max_receives),
            Limit::NoAnswer => Err(refused("asking for the redrive policy")),
        }
    }
}

fn refused(operation: &'static str) -> QueueError {
    QueueError { operation, source: "the queue was told to fail".into() }
}
