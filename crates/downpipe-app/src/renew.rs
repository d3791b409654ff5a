//! Fresh messages for jobs whose messages are used up.
//!
//! A queue delivers a message a number of times and then moves it to the dead letters. An attempt spends a receive. So does a delivery
//! without one: another worker holds the lease, the ledger is away, a worker dies before it begins. So receives end no job. Attempts
//! without progress do, and the ledger counts those. A message on its last receive is replaced by one that continues the job. The
//! fresh one is sent before the old one is deleted, so that a crash in between leaves one too many and never none.

use std::time::Duration;

use downpipe_core::error_chain::error_chain;
use downpipe_core::job::JobId;
use downpipe_core::ledger::Lease;
use downpipe_core::message::Message;
use downpipe_core::queue::{Delivery, Queue as _};

use crate::ports::Ports;
use crate::visibility::visibility_beyond;
use crate::worker::{Outcome, Worker};

impl<P: Ports> Worker<P> {
    /// Hands a job to a fresh message before an attempt whose message would not come back after a crash. Returns whether the old message
    /// can be deleted.
    ///
    /// On a queue that delivers a message only once, every message is on its last receive, and a fresh one would be no better.
    pub(crate) async fn hand_to_fresh_message(&self, lease: &Lease, delivery: &Delivery) -> bool {
        if delivery.receive_count < 2 || !self.is_last_receive(delivery).await {
            return false;
        }
        // If this worker dies before it gives the lease back, the fresh message comes when the lease has run out.
        if !self.send_continuation(lease.job(), visibility_beyond(self.lease)).await {
            return false;
        }
        tracing::info!("the message is on its last receive; a fresh one continues the job");
        if let Err(error) = self.ledger.hand_over(lease).await {
            tracing::warn!(
                error = error_chain(&error),
                "the lease could not be given back, and will run out"
            );
        }
        true
    }

    /// Brings the job back after `delay`: by this message, or by a fresh one if this message would go to the dead letters.
    pub(crate) async fn retry(&self, id: &JobId, delivery: &Delivery, delay: Duration) -> Outcome {
        let is_replaced = self.is_last_receive(delivery).await && self.send_continuation(id, delay).await;
        if is_replaced { Outcome::Done } else { Outcome::RetryAfter(delay) }
    }

    /// Sends the message that resumes a paused job. If the queue does not take it, this message comes back and resumes the job.
    pub(crate) async fn enqueue_continuation(&self, id: &JobId) -> Outcome {
        let is_sent = self.send_continuation(id, Duration::ZERO).await;
        if is_sent { Outcome::Done } else { Outcome::RetryAfter(self.lease / 4) }
    }

    /// Returns whether the queue delivers this message no more. Assumes so of a queue that does not say: a fresh message too many does
    /// no harm.
    pub(crate) async fn is_last_receive(&self, delivery: &Delivery) -> bool {
        match self.queue.max_receives().await {
            Ok(Some(limit)) => delivery.receive_count >= limit,
            Ok(None) => false,
            Err(error) => {
                tracing::warn!(
                    error = error_chain(&error),
                    "the queue does not say how often it delivers a message"
                );
                true
            }
        }
    }

    /// Sends a message that continues the job, and returns whether the queue took it.
    pub(crate) async fn send_continuation(&self, id: &JobId, delay: Duration) -> bool {
        match self.queue.send_after(&Message::Continue(id.clone()).to_json(), delay).await {
            Ok(_) => true,
            Err(error) => {
                tracing::warn!(error = error_chain(&error), "the job's next run could not be requested");
                false
            }
        }
    }
}
