//! One worker a job: how long it has the job, who waits meanwhile, and what becomes of a worker that lost it.

use std::time::Duration;

use downpipe_core::failure;
use downpipe_core::job::{Job, JobState};
use downpipe_core::ledger::{Cancel, Claim, Lease, Ledger as _};
use downpipe_core::store::is_receipt;
use downpipe_core::testing::MemoryLedger;
use downpipe_worker::handle::Outcome;
use tokio::time::Instant;

use crate::bench::{Bench, ORDERS, RUN, VISIBILITY, alice_knows, continuation, delivery, retry_after};
use crate::parts::{FILE, Scripts};

const LEASE: Duration = Duration::from_secs(60);

/// Takes the job away from whoever has it, as a second worker would that thinks the first one dead.
async fn take_over(ledger: &MemoryLedger, job: &Job) {
    ledger.pass(LEASE);
    let claim = ledger.claim(&job.id, "another worker", LEASE).await.unwrap();
    assert!(matches!(claim, Claim::Granted(..)), "{claim:?}");
}

#[tokio::test(start_paused = true)]
async fn only_the_jobs_own_message_waits_for_its_end() {
    let bench = Bench::new(Scripts::thinking(Duration::from_secs(30)));
    let others = async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        let job = bench.job().await;
        assert_eq!(job.state, JobState::Running);
        // It brings the job back should the worker die.
        assert_eq!(bench.handle(&delivery("m-1", ORDERS, 2)).await, retry_after(300));
        assert_eq!(bench.deliver("m-2", ORDERS).await, Outcome::Done);
        assert_eq!(bench.deliver("m-3", &continuation(&job)).await, Outcome::Done);
    };
    let (outcome, ()) = tokio::join!(bench.deliver("m-1", ORDERS), others);
    assert_eq!(outcome, Outcome::Done);
    assert_eq!((bench.worker.source.answered(), bench.told()), (1, alice_knows(JobState::Ready)));
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_keeps_a_long_export_its_job() {
    let bench = Bench::new(Scripts::thinking(Duration::from_secs(600)));
    let rivals = async {
        for _ in 0..11 {
            tokio::time::sleep(Duration::from_secs(50)).await;
            let claim = bench.worker.ledger.claim(&bench.job().await.id, "a rival", LEASE).await.unwrap();
            assert!(matches!(claim, Claim::Busy(_, left) if left >= LEASE / 2), "{claim:?}");
        }
    };
    let (outcome, ()) = tokio::join!(bench.deliver("m-1", ORDERS), rivals);
    assert_eq!((outcome, bench.job().await.attempt), (Outcome::Done, 1));
    assert_eq!(bench.file().await, FILE);
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_that_does_not_get_through_is_no_reason_to_stop() {
    let bench = Bench::new(Scripts::thinking(Duration::from_secs(100)));
    let outage = async {
        tokio::time::sleep(Duration::from_secs(20)).await;
        bench.worker.ledger.fail_next(2);
    };
    let (outcome, ()) = tokio::join!(bench.deliver("m-1", ORDERS), outage);
    assert_eq!((outcome, bench.told()), (Outcome::Done, alice_knows(JobState::Ready)));
    assert_eq!(bench.file().await, FILE);
}

/// A heartbeat hears of it before the file is complete.
#[tokio::test(start_paused = true)]
async fn a_worker_that_lost_its_job_stores_nothing_and_tells_nobody() {
    let bench = Bench::new(Scripts::thinking(Duration::from_secs(40)));
    let rival = async {
        tokio::time::sleep(Duration::from_secs(20)).await;
        take_over(&bench.worker.ledger, &bench.job().await).await;
    };
    let (outcome, ()) = tokio::join!(bench.deliver("m-1", ORDERS), rival);
    assert_eq!(outcome, retry_after(300));
    let job = bench.job().await;
    assert_eq!((job.state, job.attempt, job.failure), (JobState::Running, 2, None), "the rival has it");
    assert_eq!((bench.worker.store.keys(), bench.told()), (Vec::new(), Vec::new()));
}

/// No heartbeat is due any more: only the ledger itself can refuse the end.
#[tokio::test(start_paused = true)]
async fn a_worker_that_lost_its_job_in_the_last_moment_records_nothing_and_tells_nobody() {
    let bench = Bench::new(Scripts::thinking(Duration::from_secs(10)));
    let rival = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        take_over(&bench.worker.ledger, &bench.job().await).await;
    };
    let (outcome, ()) = tokio::join!(bench.deliver("m-1", ORDERS), rival);
    assert_eq!(outcome, retry_after(300));
    let job = bench.job().await;
    assert_eq!((job.state, job.attempt, job.receipt), (JobState::Running, 2, None), "the rival has it");
    assert_eq!(bench.told(), []);

    // The rival dies. Whoever comes next clears away the file that was never recorded, and makes its own.
    bench.pass(LEASE).await;
    assert_eq!(bench.handle(&delivery("m-1", ORDERS, 2)).await, Outcome::Done);
    assert_eq!((bench.job().await.attempt, bench.file().await.as_str()), (3, FILE));
    assert_eq!(bench.told(), alice_knows(JobState::Ready));
}

#[tokio::test(start_paused = true)]
async fn reading_ends_early_enough_to_tell_the_person_why() {
    // A short deadline keeps most of its time; a long one gives half a minute.
    for (time, reading) in
        [(RUN, Duration::from_secs(870)), (Duration::from_secs(40), Duration::from_secs(30))]
    {
        let bench = Bench::new(Scripts::thinking(Duration::from_secs(3600)));
        let begun = Instant::now();
        let outcome = bench.worker.handle(&delivery("m-1", ORDERS, 1), begun + time).await;
        assert_eq!((outcome, begun.elapsed()), (Outcome::Done, reading));
        assert_eq!(bench.job().await.failure.unwrap().code, "timed_out");
        assert_eq!(bench.told(), alice_knows(JobState::Failed));
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_comes_when_no_time_is_left_is_still_recorded() {
    let bench = Bench::new(Scripts::thinking(Duration::from_secs(1)));
    let outcome = bench.worker.handle(&delivery("m-1", ORDERS, 1), Instant::now()).await;
    assert_eq!((outcome, bench.told()), (Outcome::Done, alice_knows(JobState::Failed)));
}

/// Nobody begins a job only to hear that it is not wanted: a short one would be done before it hears.
#[tokio::test(start_paused = true)]
async fn a_job_whose_worker_died_before_it_heard_that_it_is_cancelled_is_not_begun_again() {
    let bench = Bench::new(Scripts::thinking(Duration::from_secs(30)));
    bench.handle_and_die(&delivery("m-1", ORDERS, 1), Duration::from_secs(10)).await;
    assert_eq!(bench.worker.ledger.cancel(&bench.job().await.id).await.unwrap(), Cancel::Wanted);
    bench.pass(VISIBILITY).await;
    assert_eq!(bench.handle(&delivery("m-1", ORDERS, 2)).await, Outcome::Done);
    assert_eq!((bench.job().await.state, bench.job().await.attempt), (JobState::Cancelled, 1));
    assert_eq!((bench.told(), bench.worker.source.answered()), (alice_knows(JobState::Cancelled), 1));
}

/// Its message may be gone, and then nobody would ever look for the file again.
#[tokio::test(start_paused = true)]
async fn a_worker_that_lost_its_job_takes_its_file_away_if_the_job_has_failed_meanwhile() {
    let bench = Bench::new(Scripts::thinking(Duration::from_millis(10_500)));
    let rival = async {
        // Between two looks at the ledger.
        tokio::time::sleep(Duration::from_millis(10_200)).await;
        let job = bench.job().await;
        take_over(&bench.worker.ledger, &job).await;
        let lease = Lease { job: job.id, attempt: 2, duration: LEASE };
        bench.worker.ledger.fail(&lease, &failure::of_crash()).await.unwrap();
    };
    let (outcome, ()) = tokio::join!(bench.deliver("m-1", ORDERS), rival);
    assert_eq!((outcome, bench.job().await.state), (retry_after(300), JobState::Failed));
    assert_eq!(bench.worker.store.keys().iter().filter(|key| !is_receipt(key)).count(), 0);
}
