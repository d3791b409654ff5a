//! Passing faults: the job is attempted again, later each time, and a limited number of times.

use std::collections::BTreeMap;
use std::time::Duration;

use crc_fast::{CrcAlgorithm, checksum};
use downpipe_app::worker::{MAX_ATTEMPTS, Outcome};
use downpipe_core::job::{JobAttempt, JobState, ObjectDigest};
use downpipe_core::store::{NewObject, ObjectStore as _, Retention};
use downpipe_core::testing::{MemoryJobTable, RecordingNotifier};

use crate::parts::{FILE, Scripts, disconnected};
use crate::test_worker::{
    ORDERS, TestWorker, VISIBILITY, alice_knows, continuation, delivery, operator_and_alice_know, retry_after,
};

#[tokio::test(start_paused = true)]
async fn job_with_a_passing_fault_fails_after_four_attempts() {
    let worker = TestWorker::new(Scripts::failing(9, disconnected));
    for (attempts, seconds) in [(1, 90), (2, 270), (3, 810)] {
        assert_eq!(worker.handle(&delivery("m-1", ORDERS, attempts)).await, retry_after(seconds));
        let job = worker.job().await;
        assert_eq!((job.state, job.attempt), (JobState::Queued, attempts));
        assert_eq!(job.failure.unwrap().code, "database_unavailable");
        assert_eq!(worker.told(), [], "the requester is not notified of a failure that may pass");
        worker.pass(Duration::from_secs(seconds)).await;
    }
    assert_eq!(worker.handle(&delivery("m-1", ORDERS, 4)).await, Outcome::Done);
    let job = worker.job().await;
    let failure = job.failure.unwrap();
    assert_eq!((job.state, job.attempt), (JobState::Failed, MAX_ATTEMPTS));
    assert_eq!(
        failure.words(downpipe_core::language::Language::En).message,
        "The database could not be reached. It was tried 4 times."
    );
    assert_eq!(worker.told(), alice_knows(JobState::Failed));
    assert_eq!((worker.worker.source.answered(), worker.worker.store.keys()), (4, Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn job_ready_at_the_second_attempt_forgets_the_first_failure() {
    let worker = TestWorker::new(Scripts::failing(1, disconnected));
    assert_eq!(worker.deliver("m-1", ORDERS).await, retry_after(90));
    assert_eq!(worker.handle(&delivery("m-1", ORDERS, 2)).await, Outcome::Done);
    let job = worker.job().await;
    assert_eq!((job.state, job.attempt, job.failure), (JobState::Ready, 2, None));
    assert_eq!(worker.file().await, FILE);
    assert_eq!(worker.told(), alice_knows(JobState::Ready));
}

#[tokio::test(start_paused = true)]
async fn job_whose_worker_died_four_times_fails_as_crashed() {
    let worker = TestWorker::new(Scripts::thinking(Duration::from_secs(300)));
    for attempts in 1..=MAX_ATTEMPTS {
        worker.handle_and_die(&delivery("m-1", ORDERS, attempts), Duration::from_secs(40)).await;
        assert_eq!((worker.job().await.state, worker.job().await.attempt), (JobState::Running, attempts));
        worker.pass(VISIBILITY).await;
    }
    // The last of them had got as far as the first of several files.
    let job = worker.job().await;
    let day = job.created_at.strftime("%Y/%m/%d");
    let left = NewObject {
        key: format!("files/orders/{day}/{}/orders-1-of-2.csv", job.id),
        file_name: "orders-1-of-2.csv".to_owned(),
        content_type: "text/csv".to_owned(),
        token: JobAttempt { job: job.id.clone(), attempt: MAX_ATTEMPTS },
        retention: Retention::default(),
        metadata: BTreeMap::new(),
    };
    let total = ObjectDigest { bytes: 1, crc64nvme: checksum(CrcAlgorithm::Crc64Nvme, b"x") };
    worker.worker.store.put(&left, "x".into(), total).await.unwrap();
    assert_eq!(worker.handle(&delivery("m-1", ORDERS, 5)).await, Outcome::Done);
    assert_eq!(worker.worker.store.keys(), [""; 0], "nothing is left of it");
    let job = worker.job().await;
    assert_eq!((job.state, job.failure.unwrap().code.as_str()), (JobState::Failed, "crashed"));
    assert_eq!(worker.told(), operator_and_alice_know(JobState::Failed));
    assert_eq!(worker.worker.source.answered(), 4, "it was not begun a fifth time");
}

#[tokio::test(start_paused = true)]
async fn message_waits_while_the_ledger_is_down() {
    let worker = TestWorker::of(MemoryJobTable::new(), Scripts::good(), RecordingNotifier::new());
    for (attempts, seconds) in [(1, 90), (2, 270), (3, 810), (4, 2430)] {
        worker.worker.ledger.table().fail_next(1);
        assert_eq!(worker.handle(&delivery("m-1", ORDERS, attempts)).await, retry_after(seconds));
    }
    assert_eq!(worker.worker.ledger.latest(1).await.unwrap(), []);
    assert_eq!((worker.worker.source.answered(), worker.told().len()), (0, 0));
    // All receives but the last were spent without an attempt. They do not count.
    assert_eq!(worker.handle(&delivery("m-1", ORDERS, 5)).await, Outcome::Done);
    let job = worker.job().await;
    assert_eq!((job.attempts_since_progress, worker.worker.queue.sent()), (0, vec![continuation(&job)]));
    assert_eq!(worker.deliver("m-2", &continuation(&job)).await, Outcome::Done);
    assert_eq!(worker.file().await, FILE);
    assert_eq!(worker.told(), alice_knows(JobState::Ready));
}
