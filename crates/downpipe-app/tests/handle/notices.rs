//! The requester is notified, and once, whatever happens meanwhile.

use std::time::Duration;

use downpipe_app::worker::Outcome;
use downpipe_core::job::JobState;
use downpipe_core::testing::{MemoryJobTable, RecordingNotifier};

use crate::faulty_table::{Fault, FaultyJobTable};
use crate::parts::{DeadlyNotifier, FILE, QUOTING, Scripts, query_failed};
use crate::test_worker::{ALICE, ORDERS, TestWorker, VISIBILITY, alice_knows, delivery, retry_after};

#[tokio::test(start_paused = true)]
async fn notice_that_is_not_taken_is_sent_again_without_another_export() {
    let worker = TestWorker::with_notifier(RecordingNotifier::failing_first(2));
    for (attempts, seconds) in [(1, 90), (2, 270)] {
        assert_eq!(worker.handle(&delivery("m-1", ORDERS, attempts)).await, retry_after(seconds));
        assert_eq!((worker.job().await.state, worker.job().await.notified_at), (JobState::Ready, None));
        worker.pass(Duration::from_secs(seconds)).await;
    }
    assert_eq!(worker.handle(&delivery("m-1", ORDERS, 3)).await, Outcome::Done);
    assert_eq!(worker.handle(&delivery("m-1", ORDERS, 4)).await, Outcome::Done);
    assert_eq!((worker.told(), worker.worker.source.answered()), (alice_knows(JobState::Ready), 1));
    assert_eq!(worker.file().await, FILE);
}

#[tokio::test(start_paused = true)]
async fn worker_that_dies_after_publishing_causes_one_more_notice_at_most() {
    let worker = TestWorker::of(MemoryJobTable::new(), Scripts::good(), DeadlyNotifier::default());
    worker.handle_and_die(&delivery("m-1", ORDERS, 1), Duration::from_secs(10)).await;
    let published = || worker.worker.notifier.taken.published().len();
    assert_eq!((worker.job().await.state, published()), (JobState::Ready, 1));

    // The notify lease is still the dead worker's, which may be alive.
    assert_eq!(worker.deliver("m-2", ORDERS).await, Outcome::Done);
    assert_eq!(worker.handle(&delivery("m-1", ORDERS, 2)).await, retry_after(60));
    assert_eq!(published(), 1);
    worker.pass(VISIBILITY).await;
    for receive in 3..5 {
        assert_eq!(worker.handle(&delivery("m-1", ORDERS, receive)).await, Outcome::Done);
        assert_eq!(published(), 2);
    }
}

/// The notify lease could not be released. The job's own message waits until it runs out.
#[tokio::test(start_paused = true)]
async fn requester_is_notified_after_notifier_and_ledger_fail_together() {
    let ledger = FaultyJobTable::new("release_notification", Fault::CallLost);
    let worker = TestWorker::of(ledger, Scripts::good(), RecordingNotifier::failing_first(1));
    assert_eq!(worker.deliver("m-1", ORDERS).await, retry_after(90));
    worker.pass(Duration::from_secs(30)).await;
    assert_eq!(worker.deliver("m-2", ORDERS).await, Outcome::Done, "the job's own message is still there");
    assert_eq!(
        worker.handle(&delivery("m-1", ORDERS, 2)).await,
        retry_after(60),
        "the right has not run out yet"
    );
    worker.pass(Duration::from_secs(60)).await;
    assert_eq!(worker.handle(&delivery("m-1", ORDERS, 3)).await, Outcome::Done);
    assert_eq!(worker.told(), [(ALICE.to_owned(), JobState::Ready)]);
}

/// The operator gets an e-mail of their own about what only they can fix.
#[tokio::test(start_paused = true)]
async fn operator_is_notified_of_what_the_requester_cannot_fix() {
    let worker = TestWorker::new(Scripts::failing(1, query_failed));
    assert_eq!(worker.deliver("m-1", ORDERS).await, Outcome::Done);
    assert_eq!(worker.handle(&delivery("m-1", ORDERS, 2)).await, Outcome::Done);
    let operator = ("operator".to_owned(), JobState::Failed);
    assert_eq!(worker.told(), [operator.clone(), (ALICE.to_owned(), JobState::Failed)]);
    assert!(worker.worker.notifier.published().iter().all(|notice| !notice.body.contains(QUOTING)));

    let worker = TestWorker::new(Scripts::failing(1, query_failed));
    let own = ORDERS.replace(ALICE, "Operator");
    assert_eq!(worker.deliver("m-1", &own).await, Outcome::Done);
    assert_eq!(worker.told(), [operator], "once, though they are both");
}

/// If only one of two notices is taken, the requester's is not the one that is sent again.
#[tokio::test(start_paused = true)]
async fn requester_is_notified_once_when_the_operators_notice_fails() {
    let mut worker = TestWorker::new(Scripts::failing(1, query_failed));
    worker.worker.notifier = RecordingNotifier::failing_first(1);
    assert_eq!(worker.deliver("m-1", ORDERS).await, retry_after(90));
    assert_eq!(worker.told(), []);
    worker.pass(Duration::from_secs(90)).await;
    assert_eq!(worker.handle(&delivery("m-1", ORDERS, 2)).await, Outcome::Done);
    let told: Vec<String> = worker.told().into_iter().map(|(who, _)| who).collect();
    assert_eq!(told, ["operator", ALICE]);
}

/// A notice refused for its content would be refused at every delivery, and at every sweep after those.
#[tokio::test(start_paused = true)]
async fn notice_refused_for_good_is_replaced_by_a_short_one() {
    let worker =
        TestWorker::with_notifier(RecordingNotifier::refusing(|notice| notice.body.contains("SHA-256")));
    assert_eq!(worker.deliver("m-1", ORDERS).await, Outcome::Done);
    assert!(worker.job().await.notified_at.is_some(), "it comes up in no sweep");
    let operator = ("operator".to_owned(), JobState::Ready);
    assert_eq!(worker.told(), [(ALICE.to_owned(), JobState::Ready), operator]);
    let published = worker.worker.notifier.published();
    assert!(published[1].subject.ends_with("has an e-mail that was refused"), "{}", published[1].subject);
    assert!(published[0].body.contains("could not be sent"), "{}", published[0].body);
    assert_eq!(worker.handle(&delivery("m-1", ORDERS, 2)).await, Outcome::Done);
    assert_eq!(worker.worker.notifier.published().len(), 2);

    // The operator's own.
    let worker =
        TestWorker::with_notifier(RecordingNotifier::refusing(|notice| notice.body.contains("SHA-256")));
    assert_eq!(worker.deliver("m-1", &ORDERS.replace(ALICE, "operator")).await, Outcome::Done);
    assert_eq!(worker.told(), [("operator".to_owned(), JobState::Ready)]);
}

/// Then the fault is not in the notice but in the topic or the address. The operator would read of it at every attempt.
#[tokio::test(start_paused = true)]
async fn notice_refused_even_in_short_is_sent_again() {
    let worker =
        TestWorker::with_notifier(RecordingNotifier::refusing(|notice| notice.recipient.as_str() == ALICE));
    assert_eq!(worker.deliver("m-1", ORDERS).await, retry_after(90));
    assert_eq!(worker.job().await.notified_at, None);
    assert_eq!(worker.told(), []);
}
