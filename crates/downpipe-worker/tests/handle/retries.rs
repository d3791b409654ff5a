//! What passes is tried again, later each time, and not for ever.

use std::collections::BTreeMap;
use std::time::Duration;

use crc_fast::{CrcAlgorithm, checksum};
use downpipe_core::definition::Retention;
use downpipe_core::job::JobState;
use downpipe_core::ledger::Ledger as _;
use downpipe_core::store::{NewObject, ObjectStore as _, Total, WriteToken};
use downpipe_core::testing::{MemoryLedger, RecordingNotifier};
use downpipe_worker::handle::{MAX_ATTEMPTS, MAX_RECEIVES, Outcome};

use crate::bench::{Bench, ORDERS, VISIBILITY, alice_knows, delivery, operator_and_alice_know, retry_after};
use crate::parts::{FILE, Scripts, disconnected};

/// Receives can run out before attempts do: some were spent while somebody else had the job, or the ledger was away. The
/// next one would go to the dead letters and leave a job that nobody ends.
#[tokio::test(start_paused = true)]
async fn the_last_receive_is_the_last_attempt() {
    let bench = Bench::new(Scripts::failing(9, disconnected));
    assert_eq!(bench.handle(&delivery("m-1", ORDERS, 4)).await, retry_after(90));
    bench.pass(Duration::from_secs(90)).await;
    assert_eq!(bench.handle(&delivery("m-1", ORDERS, MAX_RECEIVES)).await, Outcome::Done);
    let job = bench.job().await;
    assert_eq!((job.state, job.attempt), (JobState::Failed, 2));
    assert_eq!(job.failure.unwrap().message, "The database could not be reached. It was tried 2 times.");
    assert_eq!(bench.told(), alice_knows(JobState::Failed));
}

#[tokio::test(start_paused = true)]
async fn what_passes_is_tried_four_times_and_then_has_failed() {
    let bench = Bench::new(Scripts::failing(9, disconnected));
    for (tries, seconds) in [(1, 90), (2, 270), (3, 810)] {
        assert_eq!(bench.handle(&delivery("m-1", ORDERS, tries)).await, retry_after(seconds));
        let job = bench.job().await;
        assert_eq!((job.state, job.attempt), (JobState::Queued, tries));
        assert_eq!(job.failure.unwrap().code, "database_unavailable");
        assert_eq!(bench.told(), [], "nobody is told of what may yet work");
        bench.pass(Duration::from_secs(seconds)).await;
    }
    assert_eq!(bench.handle(&delivery("m-1", ORDERS, 4)).await, Outcome::Done);
    let job = bench.job().await;
    let failure = job.failure.unwrap();
    assert_eq!((job.state, job.attempt), (JobState::Failed, MAX_ATTEMPTS));
    assert_eq!(failure.message, "The database could not be reached. It was tried 4 times.");
    assert_eq!(bench.told(), alice_knows(JobState::Failed));
    assert_eq!((bench.worker.source.answered(), bench.worker.store.keys()), (4, Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn a_second_attempt_that_works_forgets_the_first() {
    let bench = Bench::new(Scripts::failing(1, disconnected));
    assert_eq!(bench.deliver("m-1", ORDERS).await, retry_after(90));
    assert_eq!(bench.handle(&delivery("m-1", ORDERS, 2)).await, Outcome::Done);
    let job = bench.job().await;
    assert_eq!((job.state, job.attempt, job.failure), (JobState::Ready, 2, None));
    assert_eq!(bench.file().await, FILE);
    assert_eq!(bench.told(), alice_knows(JobState::Ready));
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_worker_died_four_times_has_crashed() {
    let bench = Bench::new(Scripts::thinking(Duration::from_secs(300)));
    for tries in 1..=MAX_ATTEMPTS {
        bench.handle_and_die(&delivery("m-1", ORDERS, tries), Duration::from_secs(40)).await;
        assert_eq!((bench.job().await.state, bench.job().await.attempt), (JobState::Running, tries));
        bench.pass(VISIBILITY).await;
    }
    // The last of them had got as far as the first of several files.
    let job = bench.job().await;
    let day = job.created_at.strftime("%Y/%m/%d");
    let left = NewObject {
        key: format!("files/orders/{day}/{}/orders-1-of-2.csv", job.id),
        file_name: "orders-1-of-2.csv".to_owned(),
        content_type: "text/csv".to_owned(),
        token: WriteToken { job: job.id.clone(), attempt: MAX_ATTEMPTS },
        retention: Retention::default(),
        metadata: BTreeMap::new(),
    };
    let total = Total { bytes: 1, crc64nvme: checksum(CrcAlgorithm::Crc64Nvme, b"x") };
    bench.worker.store.put(&left, "x".into(), total).await.unwrap();
    assert_eq!(bench.handle(&delivery("m-1", ORDERS, 5)).await, Outcome::Done);
    assert_eq!(bench.worker.store.keys(), [""; 0], "nothing is left of it");
    let job = bench.job().await;
    assert_eq!((job.state, job.failure.unwrap().code.as_str()), (JobState::Failed, "crashed"));
    assert_eq!(bench.told(), operator_and_alice_know(JobState::Failed));
    assert_eq!(bench.worker.source.answered(), 4, "it was not begun a fifth time");
}

#[tokio::test(start_paused = true)]
async fn while_the_ledger_is_down_a_message_waits_and_nothing_is_begun() {
    let bench = Bench::of(MemoryLedger::new(), Scripts::good(), RecordingNotifier::new());
    for (tries, seconds) in [(1, 90), (2, 270), (3, 810), (4, 2430)] {
        bench.worker.ledger.fail_next(1);
        assert_eq!(bench.handle(&delivery("m-1", ORDERS, tries)).await, retry_after(seconds));
    }
    assert_eq!(bench.worker.ledger.latest(1).await.unwrap(), []);
    assert_eq!((bench.worker.source.answered(), bench.told().len()), (0, 0));
    assert_eq!(bench.handle(&delivery("m-1", ORDERS, 5)).await, Outcome::Done);
    assert_eq!(bench.file().await, FILE);
    assert_eq!(bench.told(), alice_knows(JobState::Ready));
}
