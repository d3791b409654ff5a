//! The same handler outside Lambda: a process that asks the queue for messages, handles them and deletes them.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use downpipe_aws::Received;
use downpipe_core::failure::chain;
use downpipe_core::queue::QueueError;
use downpipe_core::source::Stop;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout};

use crate::deliver::deliver;
use crate::handle::{Delivery, Outcome};
use crate::services::AwsWorker;

/// How long one question to the queue waits for a message: the longest that SQS allows, and so the cheapest.
const LONG_POLL: Duration = Duration::from_secs(20);

/// The same for a worker that ends when nothing is left to do, and is not to wait for that.
const SHORT_POLL: Duration = Duration::from_secs(1);

/// How often in a row the queue must be found empty before it is taken to be: what SQS counts is approximate.
const EMPTY_TIMES: u32 = 2;

/// The pauses after a question that the queue did not answer: from a second, twice as long each time, to half a minute.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How a worker outside Lambda works.
#[derive(Debug, Clone)]
pub struct Polling {
    /// Messages at a time.
    pub concurrency: usize,
    /// A run's time, as Lambda gives its function some: an export that needs longer pauses at a checkpoint, and goes on in
    /// another run.
    pub run: Duration,
    /// What messages that are being handled get when the worker is to stop. Whatever has not ended then is dropped, like that of a
    /// worker that died: its message comes back soon after its lease is over, and another worker goes on from the last checkpoint.
    pub grace: Duration,
    /// Whether to end when the queue is empty, and nobody has a message of it.
    pub until_empty: bool,
}

/// What a worker did until it ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Polled {
    /// Messages that were handled and deleted.
    pub done: u64,
    /// Messages that were handled and are to come back.
    pub returned: u64,
}

#[derive(Debug, Default)]
struct Tally {
    done: AtomicU64,
    returned: AtomicU64,
}

/// Takes messages until it is to stop.
///
/// # Errors
/// When the queue does not answer the first question: its address is wrong, or nobody may read it. Whatever happens later is
/// logged, and passes or not.
pub async fn run(worker: AwsWorker, polling: &Polling, stop: Stop) -> Result<Polled, QueueError> {
    worker.queue.count().await?;
    tracing::info!(concurrency = polling.concurrency, "the worker waits for messages");
    let (worker, tally) = (Arc::new(worker), Arc::new(Tally::default()));
    let mut slots = JoinSet::new();
    for _ in 0..polling.concurrency {
        slots.spawn(work(Arc::clone(&worker), polling.clone(), stop.clone(), Arc::clone(&tally)));
    }
    let all_ended = async {
        while let Some(ended) = slots.join_next().await {
            report(ended);
        }
    };
    let mut all_ended = pin!(all_ended);
    tokio::select! {
        () = &mut all_ended => {}
        () = stop.wished() => {
            tracing::info!(grace = polling.grace.as_secs(), "the worker takes no more messages");
            if timeout(polling.grace, &mut all_ended).await.is_err() {
                tracing::warn!("messages that are not done are left to other workers");
            }
        }
    }
    let polled =
        Polled { done: tally.done.load(Ordering::Relaxed), returned: tally.returned.load(Ordering::Relaxed) };
    tracing::info!(done = polled.done, returned = polled.returned, "the worker has ended");
    Ok(polled)
}

/// One message after the other.
async fn work(worker: Arc<AwsWorker>, polling: Polling, stop: Stop, tally: Arc<Tally>) {
    let wait = if polling.until_empty { SHORT_POLL } else { LONG_POLL };
    let (mut empty, mut pause) = (0, PAUSE);
    loop {
        // Until the pulse of its job holds it, the message is hidden for as long as the pulse would do it: were this process to
        // die now, another would soon have it. (One that SQS hands out at the moment in which we stop comes back then, too.)
        let received = tokio::select! {
            received = worker.queue.receive(wait, worker.lease * 3 / 2) => received,
            () = stop.wished() => return,
        };
        match received {
            Ok(Some(received)) => {
                (empty, pause) = (0, PAUSE);
                handle(&worker, received, polling.run, &tally).await;
            }
            Ok(None) => {
                pause = PAUSE;
                if polling.until_empty {
                    let is_empty = worker.queue.count().await.is_ok_and(|count| count == 0);
                    empty = if is_empty { empty + 1 } else { 0 };
                    if empty >= EMPTY_TIMES {
                        return;
                    }
                }
            }
            Err(error) => {
                tracing::warn!(error = chain(&error), "no message could be received");
                tokio::select! {
                    () = sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                    () = stop.wished() => return,
                }
            }
        }
    }
}

async fn handle(worker: &AwsWorker, received: Received, run: Duration, tally: &Tally) {
    let Received { message_id, receipt_handle, body, receive_count } = received;
    let delivery = Delivery { message_id, receipt_handle: Some(receipt_handle.clone()), body, receive_count };
    match deliver(worker, &delivery, Instant::now() + run).await {
        Outcome::Done => {
            tally.done.fetch_add(1, Ordering::Relaxed);
            // It comes back then, and is found to be done with.
            if let Err(error) = worker.queue.delete(&receipt_handle).await {
                tracing::warn!(
                    message_id = delivery.message_id,
                    error = chain(&error),
                    "the message could not be deleted"
                );
            }
        }
        Outcome::RetryAfter(_) => {
            tally.returned.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(error = chain(&error), "a slot of the worker has ended");
    }
}
