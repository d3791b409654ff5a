//! Every call of the ledger's table, tried with every accident. After one accident, within the receives that the queue allows, there is
//! one file and the requester is notified.

use std::time::Duration;

use downpipe_app::worker::Outcome;
use downpipe_core::job::JobState;
use downpipe_core::testing::RecordingNotifier;

use crate::faulty_table::{Fault, FaultyJobTable};
use crate::parts::{FILE, Scripts, disconnected, query_failed};
use crate::test_worker::{ALICE, ORDERS, TestWorker, VISIBILITY, delivery};

const FAULTS: [Fault; 4] = [Fault::CallLost, Fault::AnswerLost, Fault::DeathBefore, Fault::DeathAfter];

/// How often the queue delivers a message before it goes to the dead-letter queue.
const RECEIVES: u32 = 5;

/// Delivers the message as the queue would until it is done. Returns the worker, and how many notices went out.
async fn run(scripts: Scripts, call: &'static str, fault: Fault) -> (TestWorker<FaultyJobTable>, usize) {
    let worker = TestWorker::of(FaultyJobTable::new(call, fault), scripts, RecordingNotifier::new());
    for receive in 1..=RECEIVES {
        let delivery = delivery("m-1", ORDERS, receive);
        let wait = match tokio::time::timeout(Duration::from_secs(890), worker.handle(&delivery)).await {
            Ok(Outcome::Done) => {
                assert!(!worker.worker.ledger.table().is_untouched(), "{call} was never called");
                let notices = worker.told().iter().filter(|(who, _)| who == ALICE).count();
                return (worker, notices);
            }
            Ok(Outcome::RetryAfter(wait)) => wait,
            Err(_) => VISIBILITY,
        };
        worker.pass(wait).await;
    }
    panic!("{call}, {fault:?}: the message is in the dead-letter queue");
}

/// Returns how many notices go out. One that went out before the accident cannot be taken back.
fn notices_after(call: &str, fault: Fault) -> usize {
    let unrecorded = call == "notified" && matches!(fault, Fault::CallLost | Fault::DeathBefore);
    if unrecorded { 2 } else { 1 }
}

#[tokio::test(start_paused = true)]
async fn export_with_an_accident_at_any_call_ends_ready_with_one_file() {
    for call in ["insert", "status", "ready", "notified"] {
        for fault in FAULTS {
            let (worker, notices) = run(Scripts::good(), call, fault).await;
            assert_eq!(worker.job().await.state, JobState::Ready, "{call}, {fault:?}");
            assert_eq!(worker.file().await, FILE, "{call}, {fault:?}");
            assert_eq!(notices, notices_after(call, fault), "{call}, {fault:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn failure_with_an_accident_at_any_call_is_recorded_and_notified() {
    for call in ["insert", "fail", "get", "claim_notification", "notified"] {
        for fault in FAULTS {
            let (worker, notices) = run(Scripts::failing(9, query_failed), call, fault).await;
            let job = worker.job().await;
            assert_eq!((job.state, job.failure.unwrap().code.as_str()), (JobState::Failed, "query_failed"));
            assert_eq!(worker.worker.store.keys(), [""; 0], "{call}, {fault:?}");
            assert_eq!(notices, notices_after(call, fault), "{call}, {fault:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn retry_with_an_accident_at_any_call_ends_ready() {
    for fault in FAULTS {
        let (worker, notices) = run(Scripts::failing(1, disconnected), "release", fault).await;
        assert_eq!((worker.job().await.state, notices), (JobState::Ready, 1), "{fault:?}");
        assert_eq!(worker.file().await, FILE, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn claim_of_a_known_job_with_an_accident_at_any_call_ends_ready() {
    for call in ["get", "claim"] {
        for fault in FAULTS {
            let (worker, notices) = run(Scripts::failing(1, disconnected), call, fault).await;
            assert_eq!((worker.job().await.state, notices), (JobState::Ready, 1), "{call}, {fault:?}");
            assert_eq!(worker.file().await, FILE, "{call}, {fault:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn heartbeat_with_an_accident_at_any_call_ends_ready() {
    for fault in FAULTS {
        let (worker, notices) = run(Scripts::thinking(Duration::from_secs(100)), "advance", fault).await;
        assert_eq!((worker.job().await.state, notices), (JobState::Ready, 1), "{fault:?}");
        assert_eq!(worker.file().await, FILE, "{fault:?}");
    }
}
