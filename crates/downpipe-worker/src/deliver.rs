//! A delivery handled, whatever happens: what Lambda and the polling worker have in common.

use std::panic::AssertUnwindSafe;

use downpipe_core::failure::chain;
use downpipe_core::ledger::Ledger;
use downpipe_core::notice::Notifier;
use downpipe_core::queue::Queue;
use downpipe_core::source::RowSource;
use downpipe_core::store::ObjectStore;
use futures_util::FutureExt as _;
use tokio::time::Instant;

use crate::handle::{Delivery, Outcome, Worker};

/// Handles a delivery, survives a panic, and tells the queue when the message is to come back if it is. To delete it when it is
/// not is left to whoever received it.
pub async fn deliver<L: Ledger, R: RowSource, S: ObjectStore, N: Notifier, Q: Queue>(
    worker: &Worker<L, R, S, N, Q>,
    delivery: &Delivery,
    deadline: Instant,
) -> Outcome {
    let outcome = handle_or_panic(worker, delivery, deadline).await;
    if let (Outcome::RetryAfter(delay), Some(receipt_handle)) = (outcome, &delivery.receipt_handle) {
        // Without this the message would come back only after its whole visibility timeout, an hour and a half.
        if let Err(error) = worker.queue.return_after(receipt_handle, delay).await {
            tracing::warn!(
                message_id = delivery.message_id,
                error = chain(&error),
                "the message's return could not be hastened"
            );
        }
    }
    outcome
}

/// Lambda's runtime would catch a panic too, but report the whole invocation as failed, and the message would stay hidden for
/// its whole visibility timeout.
async fn handle_or_panic<L: Ledger, R: RowSource, S: ObjectStore, N: Notifier, Q: Queue>(
    worker: &Worker<L, R, S, N, Q>,
    delivery: &Delivery,
    deadline: Instant,
) -> Outcome {
    // Boxed: the state machine of a whole export is too deep for the compiler to lay out within another one.
    match AssertUnwindSafe(Box::pin(worker.handle(delivery, deadline))).catch_unwind().await {
        Ok(outcome) => outcome,
        Err(_) => {
            tracing::error!(message_id = delivery.message_id, "handling the message panicked");
            // Longer than the lease, which nobody has given back.
            Outcome::RetryAfter(worker.lease * 3 / 2)
        }
    }
}
