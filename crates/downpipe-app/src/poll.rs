//! The worker outside Lambda: a process that receives messages, handles them and deletes them.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use downpipe_core::error_chain::error_chain;
use downpipe_core::queue::{Delivery, Queue as _, QueueError};
use downpipe_core::source::CancellationToken;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout};

use crate::deliver::deliver;
use crate::ports::Ports;
use crate::visibility::visibility_beyond;
use crate::worker::{Outcome, Worker};

/// How long one receive waits for a message: the longest that SQS allows, and so the cheapest.
const LONG_POLL: Duration = Duration::from_secs(20);

/// How long one receive waits where the worker ends when the queue is empty.
const SHORT_POLL: Duration = Duration::from_secs(1);

/// How often in a row the queue must be found empty, because SQS counts approximately.
const EMPTY_TIMES: u32 = 2;

/// The pauses after receives that failed: from one second, doubled each time, to half a minute.
const MIN_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// How a worker outside Lambda works.
#[derive(Debug, Clone)]
pub struct Polling {
    /// Messages that are handled at the same time.
    pub concurrency: usize,
    /// The time of a run, as Lambda gives its function some. An export that needs longer pauses at a checkpoint, and resumes in another
    /// run.
    pub run: Duration,
    /// The time that messages in hand are given when the worker is to stop. What has not ended then is dropped, as if the worker had
    /// crashed: its message comes back soon after its lease, and another worker resumes from the last checkpoint.
    pub grace: Duration,
    /// Whether to end when the queue is empty and no worker has a message of it.
    pub until_empty: bool,
}

/// What a worker did until it ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Polled {
    /// Messages that were handled and deleted.
    pub done: u64,
    /// Messages that were handled and come back.
    pub returned: u64,
}

/// What all slots of a worker share.
struct Shared<P: Ports> {
    worker: Worker<P>,
    polling: Polling,
    stop: CancellationToken,
    done: AtomicU64,
    returned: AtomicU64,
}

/// Receives and handles messages until `stop` is cancelled, or until the queue is empty where that is asked for.
///
/// # Errors
/// When the queue does not answer at the start: its address is wrong, or the worker may not read it. Later errors are logged, and may
/// pass.
pub async fn run<P: Ports>(
    worker: Worker<P>,
    polling: &Polling,
    stop: CancellationToken,
) -> Result<Polled, QueueError> {
    worker.queue.count().await?;
    tracing::info!(concurrency = polling.concurrency, "the worker waits for messages");
    let (done, returned) = (AtomicU64::new(0), AtomicU64::new(0));
    let shared = Arc::new(Shared { worker, polling: polling.clone(), stop: stop.clone(), done, returned });
    let mut slots = JoinSet::new();
    for _ in 0..polling.concurrency {
        slots.spawn(poll(Arc::clone(&shared)));
    }
    let all_ended = async {
        while let Some(ended) = slots.join_next().await {
            report(ended);
        }
    };
    let mut all_ended = pin!(all_ended);
    tokio::select! {
        () = &mut all_ended => {}
        () = stop.cancelled() => {
            tracing::info!(grace = polling.grace.as_secs(), "the worker receives no more messages");
            if timeout(polling.grace, &mut all_ended).await.is_err() {
                tracing::warn!("messages that are not done are left to other workers");
            }
        }
    }
    let [done, returned] = [&shared.done, &shared.returned].map(|count| count.load(Ordering::Relaxed));
    tracing::info!(done, returned, "the worker has ended");
    Ok(Polled { done, returned })
}

/// Handles one message after the other.
async fn poll<P: Ports>(shared: Arc<Shared<P>>) {
    let Shared { worker, polling, stop, .. } = &*shared;
    let wait = if polling.until_empty { SHORT_POLL } else { LONG_POLL };
    // A message is hidden for as long as the heartbeat will hide it, so that it comes back soon if this process dies now. So does one
    // that SQS delivers at the moment of the stop.
    let visibility = visibility_beyond(worker.lease);
    let (mut empty, mut pause) = (0, MIN_PAUSE);
    loop {
        let received = tokio::select! {
            // First, so that no message is received after the stop.
            biased;
            () = stop.cancelled() => return,
            received = worker.queue.receive(wait, visibility) => received,
        };
        match received {
            Ok(Some(delivery)) => {
                (empty, pause) = (0, MIN_PAUSE);
                handle(&shared, &delivery).await;
            }
            Ok(None) => {
                pause = MIN_PAUSE;
                if polling.until_empty {
                    let is_empty = worker.queue.count().await.is_ok_and(|count| count == 0);
                    empty = if is_empty { empty + 1 } else { 0 };
                    if empty >= EMPTY_TIMES {
                        return;
                    }
                }
            }
            Err(error) => {
                tracing::warn!(error = error_chain(&error), "no message could be received");
                tokio::select! {
                    () = sleep(pause) => pause = (pause * 2).min(MAX_PAUSE),
                    () = stop.cancelled() => return,
                }
            }
        }
    }
}

async fn handle<P: Ports>(shared: &Shared<P>, delivery: &Delivery) {
    let Shared { worker, polling, done, returned, .. } = shared;
    match deliver(worker, delivery, Instant::now() + polling.run).await {
        Outcome::Done => {
            done.fetch_add(1, Ordering::Relaxed);
            // A message that stays comes back, and is found to be handled.
            if let Err(error) = worker.queue.delete(&delivery.receipt_handle).await {
                tracing::warn!(
                    message_id = delivery.message_id,
                    error = error_chain(&error),
                    "the message could not be deleted"
                );
            }
        }
        Outcome::RetryAfter(_) => {
            returned.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(error = error_chain(&error), "a slot of the worker has ended");
    }
}
