//! Leases: how long a worker has a job, which messages wait meanwhile, and what becomes of a worker that lost its lease.

use std::time::Duration;

use downpipe_app::worker::Outcome;
use downpipe_core::failure;
use downpipe_core::job::{Job, JobState};
use downpipe_core::ledger::{CancelOutcome, Claim, Lease, Ledger};
use downpipe_core::store::is_receipt;
use downpipe_core::testing::MemoryJobTable;
use tokio::time::Instant;

use crate::parts::{FILE, Scripts};
use crate::test_worker::{
    ORDERS, RUN, TestWorker, VISIBILITY, alice_knows, continuation, delivery, retry_after,
};

const LEASE: Duration = Duration::from_secs(60);

/// Takes the job over, as a second worker would after the first one's lease has run out.
async fn take_over(ledger: &Ledger<MemoryJobTable>, job: &Job) -> Lease {
    ledger.table().pass(LEASE);
    let claim = ledger.claim(&job.id, "another worker", LEASE).await.unwrap();
    let Claim::Granted(lease, _) = claim else { panic!("{claim:?}") };
    lease
}

#[tokio::test(start_paused = true)]
async fn message_of_a_busy_job_is_kept_only_if_it_is_the_owners() {
    let worker = TestWorker::new(Scripts::thinking(Duration::from_secs(30)));
    let others = async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        let job = worker.job().await;
        assert_eq!(job.state, JobState::Running);
        // It brings the job back should the worker die.
        assert_eq!(worker.handle(&delivery("m-1", ORDERS, 2)).await, retry_after(300));
        assert_eq!(worker.deliver("m-2", ORDERS).await, Outcome::Done);
        assert_eq!(worker.deliver("m-3", &continuation(&job)).await, Outcome::Done);
    };
    let (outcome, ()) = tokio::join!(worker.deliver("m-1", ORDERS), others);
    assert_eq!(outcome, Outcome::Done);
    assert_eq!((worker.worker.source.answered(), worker.told()), (1, alice_knows(JobState::Ready)));
}

#[tokio::test(start_paused = true)]
async fn heartbeat_of_a_long_export_keeps_its_lease() {
    let worker = TestWorker::new(Scripts::thinking(Duration::from_secs(600)));
    let rivals = async {
        for _ in 0..11 {
            tokio::time::sleep(Duration::from_secs(50)).await;
            let claim = worker.worker.ledger.claim(&worker.job().await.id, "a rival", LEASE).await.unwrap();
            assert!(matches!(claim, Claim::Busy(_, left) if left >= LEASE / 2), "{claim:?}");
        }
    };
    let (outcome, ()) = tokio::join!(worker.deliver("m-1", ORDERS), rivals);
    assert_eq!((outcome, worker.job().await.attempt), (Outcome::Done, 1));
    assert_eq!(worker.file().await, FILE);
}

#[tokio::test(start_paused = true)]
async fn heartbeat_that_fails_twice_does_not_stop_the_export() {
    let worker = TestWorker::new(Scripts::thinking(Duration::from_secs(100)));
    let outage = async {
        tokio::time::sleep(Duration::from_secs(20)).await;
        worker.worker.ledger.table().fail_next(2);
    };
    let (outcome, ()) = tokio::join!(worker.deliver("m-1", ORDERS), outage);
    assert_eq!((outcome, worker.told()), (Outcome::Done, alice_knows(JobState::Ready)));
    assert_eq!(worker.file().await, FILE);
}

/// A heartbeat sees it before the file is complete.
#[tokio::test(start_paused = true)]
async fn worker_that_lost_its_lease_stores_nothing_and_notifies_no_one() {
    let worker = TestWorker::new(Scripts::thinking(Duration::from_secs(40)));
    let rival = async {
        tokio::time::sleep(Duration::from_secs(20)).await;
        take_over(&worker.worker.ledger, &worker.job().await).await;
    };
    let (outcome, ()) = tokio::join!(worker.deliver("m-1", ORDERS), rival);
    assert_eq!(outcome, retry_after(300));
    let job = worker.job().await;
    assert_eq!((job.state, job.attempt, job.failure), (JobState::Running, 2, None), "the rival has it");
    assert_eq!((worker.worker.store.keys(), worker.told()), (Vec::new(), Vec::new()));
}

/// No heartbeat follows, so only the ledger can refuse the end.
#[tokio::test(start_paused = true)]
async fn worker_that_lost_its_lease_at_the_end_records_nothing() {
    let worker = TestWorker::new(Scripts::thinking(Duration::from_secs(10)));
    let rival = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        take_over(&worker.worker.ledger, &worker.job().await).await;
    };
    let (outcome, ()) = tokio::join!(worker.deliver("m-1", ORDERS), rival);
    assert_eq!(outcome, retry_after(300));
    let job = worker.job().await;
    assert_eq!((job.state, job.attempt, job.receipt), (JobState::Running, 2, None), "the rival has it");
    assert_eq!(worker.told(), []);

    // The rival dies. The next attempt removes the file that was never recorded, and writes its own.
    worker.pass(LEASE).await;
    assert_eq!(worker.handle(&delivery("m-1", ORDERS, 2)).await, Outcome::Done);
    assert_eq!((worker.job().await.attempt, worker.file().await.as_str()), (3, FILE));
    assert_eq!(worker.told(), alice_knows(JobState::Ready));
}

#[tokio::test(start_paused = true)]
async fn reading_before_the_deadline_ends_in_time_to_notify() {
    // A short deadline keeps most of its time; a long one gives half a minute.
    for (time, reading) in
        [(RUN, Duration::from_secs(870)), (Duration::from_secs(40), Duration::from_secs(30))]
    {
        let worker = TestWorker::new(Scripts::thinking(Duration::from_secs(3600)));
        let begun = Instant::now();
        let outcome = worker.worker.handle(&delivery("m-1", ORDERS, 1), begun + time).await;
        assert_eq!((outcome, begun.elapsed()), (Outcome::Done, reading));
        assert_eq!(worker.job().await.failure.unwrap().code, "timed_out");
        assert_eq!(worker.told(), alice_knows(JobState::Failed));
    }
}

#[tokio::test(start_paused = true)]
async fn message_delivered_at_the_deadline_is_recorded() {
    let worker = TestWorker::new(Scripts::thinking(Duration::from_secs(1)));
    let outcome = worker.worker.handle(&delivery("m-1", ORDERS, 1), Instant::now()).await;
    assert_eq!((outcome, worker.told()), (Outcome::Done, alice_knows(JobState::Failed)));
}

/// Otherwise a short job would be ready before its worker sees the request to cancel.
#[tokio::test(start_paused = true)]
async fn job_to_be_cancelled_whose_worker_died_is_not_started_again() {
    let worker = TestWorker::new(Scripts::thinking(Duration::from_secs(30)));
    worker.handle_and_die(&delivery("m-1", ORDERS, 1), Duration::from_secs(10)).await;
    assert_eq!(worker.worker.ledger.cancel(&worker.job().await.id).await.unwrap(), CancelOutcome::Requested);
    worker.pass(VISIBILITY).await;
    assert_eq!(worker.handle(&delivery("m-1", ORDERS, 2)).await, Outcome::Done);
    assert_eq!((worker.job().await.state, worker.job().await.attempt), (JobState::Cancelled, 1));
    assert_eq!((worker.told(), worker.worker.source.answered()), (alice_knows(JobState::Cancelled), 1));
}

/// The job's message may be gone. Then no later delivery would remove the file.
#[tokio::test(start_paused = true)]
async fn worker_that_lost_its_lease_removes_its_file_if_the_job_failed() {
    let worker = TestWorker::new(Scripts::thinking(Duration::from_millis(10_500)));
    let rival = async {
        // Between two polls of the ledger.
        tokio::time::sleep(Duration::from_millis(10_200)).await;
        let job = worker.job().await;
        let lease = take_over(&worker.worker.ledger, &job).await;
        worker.worker.ledger.fail(&lease, &failure::of_crash()).await.unwrap();
    };
    let (outcome, ()) = tokio::join!(worker.deliver("m-1", ORDERS), rival);
    assert_eq!((outcome, worker.job().await.state), (retry_after(300), JobState::Failed));
    assert_eq!(worker.worker.store.keys().iter().filter(|key| !is_receipt(key)).count(), 0);
}
