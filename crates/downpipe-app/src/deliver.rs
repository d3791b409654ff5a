//! Handles a delivery, whatever happens: for Lambda and for the polling worker.

use std::panic::AssertUnwindSafe;

use downpipe_core::error_chain::error_chain;
use downpipe_core::queue::{Delivery, Queue as _};
use futures_util::FutureExt as _;
use tokio::time::Instant;

use crate::ports::Ports;
use crate::visibility::visibility_beyond;
use crate::worker::{Outcome, Worker};

/// Handles a delivery, survives a panic, and makes the message visible again when it is to come back. The caller, which received the
/// message, deletes it when it is [done](Outcome::Done).
pub async fn deliver<P: Ports>(worker: &Worker<P>, delivery: &Delivery, deadline: Instant) -> Outcome {
    let outcome = handle_or_panic(worker, delivery, deadline).await;
    if let Outcome::RetryAfter(delay) = outcome {
        // Without this the message would come back only after its whole visibility timeout, an hour and a half.
        if let Err(error) = worker.queue.change_visibility(&delivery.receipt_handle, delay).await {
            tracing::warn!(
                message_id = delivery.message_id,
                error = error_chain(&error),
                "the message could not be made visible again sooner"
            );
        }
    }
    outcome
}

/// Lambda's runtime would catch a panic too. But it would report the whole invocation as failed, and the message would stay hidden
/// for its whole visibility timeout.
async fn handle_or_panic<P: Ports>(worker: &Worker<P>, delivery: &Delivery, deadline: Instant) -> Outcome {
    // Boxed: the state machine of a whole export is too deep for the compiler to lay out within another one.
    match AssertUnwindSafe(Box::pin(worker.handle(delivery, deadline))).catch_unwind().await {
        Ok(outcome) => outcome,
        Err(_) => {
            tracing::error!(message_id = delivery.message_id, "handling the message panicked");
            // The panic has left the lease to run out.
            Outcome::RetryAfter(visibility_beyond(worker.lease))
        }
    }
}
