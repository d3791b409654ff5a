//! What becomes of a message, as the queue is told it.

use std::time::Duration;

use downpipe_core::job::JobState;
use downpipe_core::source::{EndOfResult, Query, RowSink, RowSource, SourceError};
use downpipe_core::testing::{MemoryLedger, RecordingNotifier};
use downpipe_worker::deliver::deliver;
use downpipe_worker::handle::{Delivery, Outcome};
use tokio::time::Instant;

use crate::bench::{Bench, ORDERS, RUN, delivery, retry_after};
use crate::parts::Scripts;

/// A database whose driver has a bug.
struct Panicking;

impl RowSource for Panicking {
    async fn read<S: RowSink>(&self, _: &Query, _: &mut S) -> Result<EndOfResult, SourceError> {
        panic!("index out of bounds")
    }
}

fn received() -> Delivery {
    Delivery { receipt_handle: Some("handle".to_owned()), ..delivery("m-1", ORDERS, 1) }
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_survived_and_the_message_comes_back_when_the_lease_is_over() {
    let bench = Bench::of(MemoryLedger::new(), Panicking, RecordingNotifier::new());
    let outcome = deliver(&bench.worker, &received(), Instant::now() + RUN).await;
    assert_eq!(outcome, retry_after(90));
    let returns = bench.worker.queue.returns();
    assert_eq!(returns.last(), Some(&("handle".to_owned(), Duration::from_secs(90))), "{returns:?}");
    assert_eq!(bench.job().await.state, JobState::Running, "nobody has given the lease back");
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_told_when_a_message_is_to_come_back() {
    let bench = Bench::new(Scripts::good());
    bench.worker.ledger.fail_next(1);
    assert_eq!(deliver(&bench.worker, &received(), Instant::now() + RUN).await, retry_after(90));
    assert_eq!(bench.worker.queue.returns(), [("handle".to_owned(), Duration::from_secs(90))]);
    assert_eq!(deliver(&bench.worker, &received(), Instant::now() + RUN).await, Outcome::Done);
    let told = bench.worker.queue.returns();
    assert!(told[1..].iter().all(|(_, delay)| *delay == Duration::from_secs(90)), "only the pulse: {told:?}");
}
