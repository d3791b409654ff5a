//! The person is told, and told once, whatever happens while telling.

use std::time::Duration;

use downpipe_core::job::JobState;
use downpipe_core::testing::{MemoryLedger, RecordingNotifier};
use downpipe_worker::handle::Outcome;

use crate::bench::{ALICE, Bench, ORDERS, VISIBILITY, alice_knows, delivery, retry_after};
use crate::faulty_ledger::{Fault, FaultyLedger};
use crate::parts::{DeadlyNotifier, FILE, QUOTING, Scripts, query_failed};

#[tokio::test(start_paused = true)]
async fn a_notice_that_is_not_taken_is_sent_again_and_the_export_is_not() {
    let bench = Bench::with_notifier(RecordingNotifier::failing_first(2));
    for (tries, seconds) in [(1, 90), (2, 270)] {
        assert_eq!(bench.handle(&delivery("m-1", ORDERS, tries)).await, retry_after(seconds));
        assert_eq!((bench.job().await.state, bench.job().await.notified_at), (JobState::Ready, None));
        bench.pass(Duration::from_secs(seconds)).await;
    }
    assert_eq!(bench.handle(&delivery("m-1", ORDERS, 3)).await, Outcome::Done);
    assert_eq!(bench.handle(&delivery("m-1", ORDERS, 4)).await, Outcome::Done);
    assert_eq!((bench.told(), bench.worker.source.answered()), (alice_knows(JobState::Ready), 1));
    assert_eq!(bench.file().await, FILE);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_dies_after_telling_causes_one_more_notice_at_most() {
    let bench = Bench::of(MemoryLedger::new(), Scripts::good(), DeadlyNotifier::default());
    bench.handle_and_die(&delivery("m-1", ORDERS, 1), Duration::from_secs(10)).await;
    let published = || bench.worker.notifier.taken.published().len();
    assert_eq!((bench.job().await.state, published()), (JobState::Ready, 1));

    // The right to tell is still the dead worker's, which may be alive for all we know.
    assert_eq!(bench.deliver("m-2", ORDERS).await, Outcome::Done);
    assert_eq!(bench.handle(&delivery("m-1", ORDERS, 2)).await, retry_after(60));
    assert_eq!(published(), 1);
    bench.pass(VISIBILITY).await;
    for receive in 3..5 {
        assert_eq!(bench.handle(&delivery("m-1", ORDERS, receive)).await, Outcome::Done);
        assert_eq!(published(), 2);
    }
}

/// The right that could not be given back is nobody's: a message that went away for it would leave nobody to tell.
#[tokio::test(start_paused = true)]
async fn the_person_is_told_though_notifier_and_ledger_fail_together() {
    let ledger = FaultyLedger::new("release_notice", Fault::CallLost);
    let bench = Bench::of(ledger, Scripts::good(), RecordingNotifier::failing_first(1));
    assert_eq!(bench.deliver("m-1", ORDERS).await, retry_after(90));
    bench.pass(Duration::from_secs(30)).await;
    assert_eq!(bench.deliver("m-2", ORDERS).await, Outcome::Done, "the job's own message is still there");
    assert_eq!(
        bench.handle(&delivery("m-1", ORDERS, 2)).await,
        retry_after(60),
        "the right has not run out yet"
    );
    bench.pass(Duration::from_secs(60)).await;
    assert_eq!(bench.handle(&delivery("m-1", ORDERS, 3)).await, Outcome::Done);
    assert_eq!(bench.told(), [(ALICE.to_owned(), JobState::Ready)]);
}

/// What only the operator can mend, they hear of in an e-mail of their own.
#[tokio::test(start_paused = true)]
async fn the_operator_is_told_what_the_requester_cannot_mend() {
    let bench = Bench::new(Scripts::failing(1, query_failed));
    assert_eq!(bench.deliver("m-1", ORDERS).await, Outcome::Done);
    assert_eq!(bench.handle(&delivery("m-1", ORDERS, 2)).await, Outcome::Done);
    let operator = ("operator".to_owned(), JobState::Failed);
    assert_eq!(bench.told(), [operator.clone(), (ALICE.to_owned(), JobState::Failed)]);
    assert!(bench.worker.notifier.published().iter().all(|notice| !notice.body.contains(QUOTING)));

    let bench = Bench::new(Scripts::failing(1, query_failed));
    let own = ORDERS.replace(ALICE, "Operator");
    assert_eq!(bench.deliver("m-1", &own).await, Outcome::Done);
    assert_eq!(bench.told(), [operator], "once, though they are both");
}

/// Should only one of two notices be taken, the requester's is not the one that is sent again.
#[tokio::test(start_paused = true)]
async fn a_requester_is_told_once_though_the_operators_notice_is_not_taken() {
    let mut bench = Bench::new(Scripts::failing(1, query_failed));
    bench.worker.notifier = RecordingNotifier::failing_first(1);
    assert_eq!(bench.deliver("m-1", ORDERS).await, retry_after(90));
    assert_eq!(bench.told(), []);
    bench.pass(Duration::from_secs(90)).await;
    assert_eq!(bench.handle(&delivery("m-1", ORDERS, 2)).await, Outcome::Done);
    let told: Vec<String> = bench.told().into_iter().map(|(who, _)| who).collect();
    assert_eq!(told, ["operator", ALICE]);
}
