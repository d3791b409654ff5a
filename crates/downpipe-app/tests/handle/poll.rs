//! The worker that polls its queue.

use std::time::Duration;

use downpipe_app::poll::{self, Polled, Polling};
use downpipe_core::queue::{Delivery, Queue as _};
use downpipe_core::source::CancellationToken;
use tokio::time::{Instant, sleep};

use crate::parts::{Scripts, disconnected};
use crate::test_worker::{ORDERS, RUN, TestWorker, delivery};

const SECOND: Duration = Duration::from_secs(1);

fn polling(concurrency: usize) -> Polling {
    Polling { concurrency, run: RUN, grace: 60 * SECOND, until_empty: true }
}

/// Makes a message with a request of its own.
fn message(name: &str) -> Delivery {
    delivery(name, &ORDERS.replace("a-click", name).replace("Trondheim", name), 1)
}

fn worker(scripts: Scripts, messages: &[&str]) -> TestWorker {
    let worker = TestWorker::new(scripts);
    messages.iter().for_each(|name| worker.worker.queue.deliver(message(name)));
    worker
}

async fn run_until_empty(worker: TestWorker, concurrency: usize) -> Polled {
    poll::run(worker.worker, &polling(concurrency), CancellationToken::new()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn message_that_is_done_is_deleted() {
    let worker = worker(Scripts::good(), &["m-1", "m-2"]);
    let queue = worker.worker.queue.clone();
    assert_eq!(run_until_empty(worker, 1).await, Polled { done: 2, returned: 0 });
    assert_eq!(queue.deleted(), ["handle of m-1", "handle of m-2"]);
}

#[tokio::test(start_paused = true)]
async fn message_to_be_retried_is_made_visible_again_and_not_deleted() {
    let worker = worker(Scripts::failing(1, disconnected), &["m-1"]);
    let queue = worker.worker.queue.clone();
    assert_eq!(run_until_empty(worker, 1).await, Polled { done: 0, returned: 1 });
    assert_eq!(queue.deleted(), [""; 0]);
    let last = queue.visibilities().pop();
    assert_eq!(last, Some(("handle of m-1".to_owned(), 90 * SECOND)));
}

#[tokio::test(start_paused = true)]
async fn messages_are_handled_as_many_at_a_time_as_configured() {
    for (concurrency, seconds) in [(1, 80), (2, 40), (4, 20), (9, 20)] {
        let worker = worker(Scripts::thinking(20 * SECOND), &["m-1", "m-2", "m-3", "m-4"]);
        let began = Instant::now();
        assert_eq!(run_until_empty(worker, concurrency).await, Polled { done: 4, returned: 0 });
        // Two receives that find nothing, of a second each, end the worker.
        let expected = (seconds + 1) * SECOND..=(seconds + 3) * SECOND;
        assert!(expected.contains(&began.elapsed()), "{concurrency}: {:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn worker_that_is_stopped_ends_its_message_and_receives_no_other() {
    let worker = worker(Scripts::thinking(20 * SECOND), &["m-1", "m-2"]);
    let (queue, stop) = (worker.worker.queue.clone(), CancellationToken::new());
    let polling = polling(1);
    let stopping = async {
        sleep(5 * SECOND).await;
        stop.cancel();
    };
    let (polled, ()) = tokio::join!(poll::run(worker.worker, &polling, stop.clone()), stopping);
    assert_eq!(polled.unwrap(), Polled { done: 1, returned: 0 });
    assert_eq!((queue.deleted(), queue.count().await.unwrap()), (vec!["handle of m-1".to_owned()], 1));
}

#[tokio::test(start_paused = true)]
async fn worker_that_is_stopped_while_it_waits_ends_at_once() {
    let worker = worker(Scripts::good(), &[]);
    let (began, stop) = (Instant::now(), CancellationToken::new());
    let polling = Polling { until_empty: false, ..polling(2) };
    let stopping = async {
        sleep(5 * SECOND).await;
        stop.cancel();
    };
    let (polled, ()) = tokio::join!(poll::run(worker.worker, &polling, stop.clone()), stopping);
    assert_eq!((polled.unwrap(), began.elapsed()), (Polled::default(), 5 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn message_that_outlasts_the_grace_is_left_to_other_workers() {
    let worker = worker(Scripts::thinking(300 * SECOND), &["m-1"]);
    let (queue, began, stop) = (worker.worker.queue.clone(), Instant::now(), CancellationToken::new());
    let polling = polling(1);
    let stopping = async {
        sleep(5 * SECOND).await;
        stop.cancel();
    };
    let (polled, ()) = tokio::join!(poll::run(worker.worker, &polling, stop.clone()), stopping);
    assert_eq!((polled.unwrap(), began.elapsed()), (Polled::default(), 65 * SECOND));
    assert_eq!(queue.deleted(), [""; 0]);
    // It comes back soon after its lease.
    let hidden = queue.visibilities();
    assert!(hidden.iter().all(|(_, visibility)| *visibility == 90 * SECOND), "{hidden:?}");
}

#[tokio::test(start_paused = true)]
async fn receive_that_fails_is_repeated_after_a_pause() {
    let worker = worker(Scripts::good(), &["m-1"]);
    worker.worker.queue.fail_next_receives(3);
    let began = Instant::now();
    assert_eq!(run_until_empty(worker, 1).await, Polled { done: 1, returned: 0 });
    // Pauses of one, two and four seconds.
    assert!(began.elapsed() >= 7 * SECOND, "{:?}", began.elapsed());
}
