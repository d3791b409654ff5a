//! Every step of a message's way, tried with every accident. Whatever happens once, within the receives that the queue
//! allows there is one file, and the person knows.

use std::time::Duration;

use downpipe_core::job::JobState;
use downpipe_core::testing::RecordingNotifier;
use downpipe_worker::handle::Outcome;

use crate::bench::{ALICE, Bench, ORDERS, VISIBILITY, delivery};
use crate::faulty_ledger::{Fault, FaultyLedger};
use crate::parts::{FILE, Scripts, disconnected, query_failed};

const FAULTS: [Fault; 4] = [Fault::CallLost, Fault::AnswerLost, Fault::DeathBefore, Fault::DeathAfter];

/// How often the queue delivers a message before it goes to the dead-letter queue.
const RECEIVES: u32 = 5;

/// Delivers the message as the queue would until it is done, and says how it ended and how many notices went out.
async fn run(scripts: Scripts, call: &'static str, fault: Fault) -> (Bench<FaultyLedger>, usize) {
    let bench = Bench::of(FaultyLedger::new(call, fault), scripts, RecordingNotifier::new());
    for receive in 1..=RECEIVES {
        let delivery = delivery("m-1", ORDERS, receive);
        let wait = match tokio::time::timeout(Duration::from_secs(890), bench.handle(&delivery)).await {
            Ok(Outcome::Done) => {
                assert!(!bench.worker.ledger.is_untouched(), "{call} was never called");
                let notices = bench.told().iter().filter(|(who, _)| who == ALICE).count();
                return (bench, notices);
            }
            Ok(Outcome::RetryAfter(wait)) => wait,
            Err(_) => VISIBILITY,
        };
        bench.pass(wait).await;
    }
    panic!("{call}, {fault:?}: the message is in the dead-letter queue");
}

/// Notices that went out before the accident cannot be taken back.
fn notices_after(call: &str, fault: Fault) -> usize {
    let unrecorded = call == "notified" && matches!(fault, Fault::CallLost | Fault::DeathBefore);
    if unrecorded { 2 } else { 1 }
}

#[tokio::test(start_paused = true)]
async fn an_export_survives_every_accident() {
    for call in ["accept", "claim", "ready", "find", "claim_notice", "notified"] {
        for fault in FAULTS {
            let (bench, notices) = run(Scripts::good(), call, fault).await;
            assert_eq!(bench.job().await.state, JobState::Ready, "{call}, {fault:?}");
            assert_eq!(bench.file().await, FILE, "{call}, {fault:?}");
            assert_eq!(notices, notices_after(call, fault), "{call}, {fault:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_survives_every_accident() {
    for call in ["accept", "claim", "fail", "find", "claim_notice", "notified"] {
        for fault in FAULTS {
            let (bench, notices) = run(Scripts::failing(9, query_failed), call, fault).await;
            let job = bench.job().await;
            assert_eq!((job.state, job.failure.unwrap().code.as_str()), (JobState::Failed, "query_failed"));
            assert_eq!(bench.worker.store.keys(), [""; 0], "{call}, {fault:?}");
            assert_eq!(notices, notices_after(call, fault), "{call}, {fault:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_survives_every_accident() {
    for fault in FAULTS {
        let (bench, notices) = run(Scripts::failing(1, disconnected), "release", fault).await;
        assert_eq!((bench.job().await.state, notices), (JobState::Ready, 1), "{fault:?}");
        assert_eq!(bench.file().await, FILE, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_survives_every_accident() {
    for fault in FAULTS {
        let (bench, notices) = run(Scripts::thinking(Duration::from_secs(100)), "advance", fault).await;
        assert_eq!((bench.job().await.state, notices), (JobState::Ready, 1), "{fault:?}");
        assert_eq!(bench.file().await, FILE, "{fault:?}");
    }
}
