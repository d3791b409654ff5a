//! How messages end without any fault around: with a file, or with a reason.

use std::time::Duration;

use downpipe_app::worker::Outcome;
use downpipe_core::job::JobState;
use downpipe_core::language::Language;
use downpipe_core::ledger::CancelOutcome;
use downpipe_core::link::LINK_RETENTION;
use downpipe_core::store::is_receipt;
use downpipe_core::testing::{MemoryStore, RecordingNotifier, StoreFault};

use crate::faulty_table::{Fault, FaultyJobTable};
use crate::parts::{FILE, Scripts, disconnected, query_failed};
use crate::test_worker::{
    ALICE, ORDERS, TestWorker, alice_knows, continuation, delivery, link_keys, operator_and_alice_know,
    retry_after,
};

#[tokio::test(start_paused = true)]
async fn message_becomes_a_file_a_receipt_and_a_notice() {
    let worker = TestWorker::new(Scripts::good());
    assert_eq!(worker.deliver("m-1", ORDERS).await, Outcome::Done);
    assert_eq!(worker.file().await, FILE);

    let job = worker.job().await;
    assert_eq!((job.state, job.attempt, job.rows, job.bytes), (JobState::Ready, 1, 2, FILE.len() as u64));
    assert!(job.notified_at.is_some());
    let receipt = job.receipt.unwrap();
    let key = format!("memory://files/orders/2026/01/02/{}/orders-Trondheim.csv", job.id);
    assert_eq!(receipt.files[0].address, key, "the day is the one on which the job was accepted");
    assert_eq!((receipt.job_id.as_str(), receipt.requested_by.as_str()), (job.id.as_str(), ALICE));

    let notice = worker.worker.notifier.published().remove(0);
    assert_eq!((notice.recipient.as_str(), notice.job_id.as_str()), (ALICE, job.id.as_str()));
    assert_eq!(notice.subject, "Export orders is ready");
    let token =
        notice.body.split_once("https://portal.example/l/").expect("a link").1.split_whitespace().next();
    let link = token.and_then(|token| link_keys().verify(token)).expect("a link that the worker signed");
    // A token has whole seconds.
    let until = (receipt.expires_at + LINK_RETENTION).as_second();
    assert_eq!((link.job, link.until.as_second()), (job.id, until));
    assert_eq!(worker.told(), alice_knows(JobState::Ready));
}

#[tokio::test(start_paused = true)]
async fn request_delivered_again_after_its_end_changes_nothing() {
    let worker = TestWorker::new(Scripts::good());
    worker.deliver("m-1", ORDERS).await;
    let job = worker.job().await;
    assert_eq!(worker.handle(&delivery("m-1", ORDERS, 2)).await, Outcome::Done);
    assert_eq!(worker.deliver("m-2", ORDERS).await, Outcome::Done);
    assert_eq!(worker.job().await, job);
    assert_eq!((worker.worker.source.answered(), worker.told().len()), (1, 1), "one export, one notice");
}

#[tokio::test(start_paused = true)]
async fn message_without_a_key_is_one_request_however_often_delivered() {
    let worker = TestWorker::new(Scripts::good());
    let body = ORDERS.replace(r#","request_id":"a-click""#, "");
    for message_id in ["m-1", "m-1", "m-2"] {
        assert_eq!(worker.deliver(message_id, &body).await, Outcome::Done);
    }
    assert_eq!((worker.worker.source.answered(), worker.told().len()), (2, 2));
    assert_eq!(worker.worker.store.keys().len(), 4, "two files and their receipts");
}

#[tokio::test(start_paused = true)]
async fn message_that_is_wrong_is_recorded_and_notified_and_not_retried() {
    let mut seen = Vec::new();
    for body in [
        "test",
        "",
        r#"{"export":"alice@example.com"}"#,
        r#"{"export":"orders","params":{"region":7},"requested_by":"alice@example.com"}"#,
        r#"{"export":"restricted","requested_by":"eve@example.org"}"#,
        r#"{"continue":"the Trondheim one"}"#,
    ] {
        let worker = TestWorker::new(Scripts::good());
        assert_eq!(worker.deliver("m-1", body).await, Outcome::Done, "{body}");
        let job = worker.job().await;
        assert_eq!(job.state, JobState::Failed, "{body}");
        assert_eq!(worker.told(), [(job.requested_by.to_string(), JobState::Failed)], "{body}");
        assert_eq!(worker.handle(&delivery("m-1", body, 2)).await, Outcome::Done, "{body}");
        assert_eq!((worker.told().len(), worker.worker.source.answered()), (1, 0), "{body}");
        assert_eq!(worker.worker.store.keys(), [""; 0], "{body}");
        let failure = job.failure.unwrap();
        seen.push(format!("{}, {}: {}", job.requested_by, failure.code, failure.words(Language::En).message));
    }
    insta::assert_snapshot!(seen.join("\n"), @r#"
    operator, rejected: The request was refused: message: expected a JSON object, got "test", which is not JSON (expected ident at line 1 column 2).
    operator, rejected: The request was refused: message: expected a JSON object, got an empty body.
    operator, rejected: The request was refused: export: expected one of all, orders, got "alice@example.com".
    alice@example.com, rejected: The request was refused: params.region: expected a string, got 7.
    eve@example.org, rejected: The request was refused: requested_by: expected a requester who may ask for "restricted", got eve@example.org.
    operator, rejected: The request was refused: continue: expected a job id of 24 hexadecimal digits, got "the Trondheim one".
    "#);
}

#[tokio::test(start_paused = true)]
async fn query_refused_by_the_database_ends_the_job_at_once() {
    let worker = TestWorker::new(Scripts::failing(1, query_failed));
    assert_eq!(worker.deliver("m-1", ORDERS).await, Outcome::Done);
    let job = worker.job().await;
    assert_eq!((job.state, job.failure.unwrap().code.as_str()), (JobState::Failed, "query_failed"));
    assert_eq!(worker.told(), operator_and_alice_know(JobState::Failed));
    assert_eq!(worker.worker.store.keys(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn continuation_of_an_unknown_or_ended_job_changes_nothing() {
    let worker = TestWorker::new(Scripts::good());
    assert_eq!(worker.deliver("m-0", r#"{"continue":"0123456789abcdef01234567"}"#).await, Outcome::Done);
    assert_eq!(worker.worker.ledger.latest(1).await.unwrap(), [], "it is no job");

    worker.deliver("m-1", ORDERS).await;
    let job = worker.job().await;
    assert_eq!(worker.deliver("m-2", &continuation(&job)).await, Outcome::Done);
    assert_eq!(worker.job().await, job);
    assert_eq!((worker.worker.source.answered(), worker.told().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn continuation_of_a_queued_job_resumes_it() {
    let worker = TestWorker::new(Scripts::failing(1, disconnected));
    assert_eq!(worker.deliver("m-1", ORDERS).await, retry_after(90));
    let job = worker.job().await;
    assert_eq!(job.state, JobState::Queued);
    assert_eq!(worker.deliver("m-2", &continuation(&job)).await, Outcome::Done);
    assert_eq!(worker.file().await, FILE);
    // The message that is still on its way back finds nothing left to do.
    assert_eq!(worker.handle(&delivery("m-1", ORDERS, 2)).await, Outcome::Done);
    assert_eq!((worker.worker.source.answered(), worker.told()), (2, alice_knows(JobState::Ready)));
}

/// The attempt that completed the file could not record it, and then the job was cancelled.
#[tokio::test(start_paused = true)]
async fn file_that_the_ledger_never_recorded_is_removed_with_its_job() {
    let ledger = FaultyJobTable::new("ready", Fault::CallLost);
    let mut worker = TestWorker::of(ledger, Scripts::good(), RecordingNotifier::new());
    let files = |store: &MemoryStore| store.keys().iter().filter(|key| !is_receipt(key)).count();
    assert_eq!(worker.deliver("m-1", ORDERS).await, retry_after(90));
    let store = worker.worker.store.clone();
    let cancel = worker.worker.ledger.cancel(&worker.job().await.id).await.unwrap();
    assert_eq!((cancel, files(&store)), (CancelOutcome::Requested, 1));
    worker.pass(Duration::from_secs(90)).await;

    // The requester does not wait until it can be removed.
    worker.worker.store = store.failing(StoreFault::Clear);
    assert_eq!(worker.handle(&delivery("m-1", ORDERS, 2)).await, retry_after(270));
    assert_eq!((worker.told(), files(&store)), (alice_knows(JobState::Cancelled), 1));
    worker.pass(Duration::from_secs(270)).await;
    worker.worker.store = store.clone();
    assert_eq!(worker.handle(&delivery("m-1", ORDERS, 3)).await, Outcome::Done);
    assert_eq!((worker.told(), files(&store)), (alice_knows(JobState::Cancelled), 0));
}
