//! Deliveries: what the queue is asked to do with the message.

use std::time::Duration;

use downpipe_app::deliver::deliver;
use downpipe_app::worker::Outcome;
use downpipe_core::job::JobState;
use downpipe_core::queue::Delivery;
use downpipe_core::source::{EndOfResult, Query, RowSink, RowSource, SourceError};
use downpipe_core::testing::{MemoryJobTable, RecordingNotifier};
use tokio::time::Instant;

use crate::parts::Scripts;
use crate::test_worker::{ORDERS, RUN, TestWorker, delivery, retry_after};

/// A database whose driver has a bug.
struct Panicking;

impl RowSource for Panicking {
    async fn read<S: RowSink>(&self, _: &Query, _: &mut S) -> Result<EndOfResult, SourceError> {
        panic!("index out of bounds")
    }
}

fn received() -> Delivery {
    Delivery { receipt_handle: "handle".to_owned(), ..delivery("m-1", ORDERS, 1) }
}

#[tokio::test(start_paused = true)]
async fn message_whose_handling_panics_comes_back_after_the_lease() {
    let worker = TestWorker::of(MemoryJobTable::new(), Panicking, RecordingNotifier::new());
    let outcome = deliver(&worker.worker, &received(), Instant::now() + RUN).await;
    assert_eq!(outcome, retry_after(90));
    let returns = worker.worker.queue.visibilities();
    assert_eq!(returns.last(), Some(&("handle".to_owned(), Duration::from_secs(90))), "{returns:?}");
    assert_eq!(worker.job().await.state, JobState::Running, "the lease runs out by itself");
}

#[tokio::test(start_paused = true)]
async fn message_to_be_retried_gets_a_new_visibility_timeout() {
    let worker = TestWorker::new(Scripts::good());
    worker.worker.ledger.table().fail_next(1);
    assert_eq!(deliver(&worker.worker, &received(), Instant::now() + RUN).await, retry_after(90));
    assert_eq!(worker.worker.queue.visibilities(), [("handle".to_owned(), Duration::from_secs(90))]);
    assert_eq!(deliver(&worker.worker, &received(), Instant::now() + RUN).await, Outcome::Done);
    let told = worker.worker.queue.visibilities();
    assert!(
        told[1..].iter().all(|(_, delay)| *delay == Duration::from_secs(90)),
        "only the heartbeat: {told:?}"
    );
}
