//! Clicks: requests that are recorded before their messages are sent.

use std::time::Duration;

use downpipe_app::click::{Accepted, Click, ClickError, Clicks};
use downpipe_app::delete::{Deletion, delete_file};
use downpipe_app::retry::{Retry, RetryError, retry};
use downpipe_app::sweep::{RepairOutcome, StaleKind, UNSENT_AFTER};
use downpipe_app::worker::Outcome;
use downpipe_core::job::{JobId, JobState, Via};
use downpipe_core::ledger::LedgerError;
use downpipe_core::message::Message;
use downpipe_core::request::ExportRequest;
use downpipe_core::store::ResumableStore as _;
use tokio::time::Instant;

use crate::parts::{FILE, Scripts, query_failed};
use crate::runs::ALL;
use crate::test_worker::{ORDERS, RUN, TestWorker, alice_knows, continuation};

/// Clicks on the portal's page, as a person who may have two jobs.
async fn click(worker: &TestWorker, body: &str) -> Result<Accepted, ClickError> {
    let Ok(Message::Export(message)) = Message::parse(body) else { panic!("{body}") };
    let worker = &worker.worker;
    let request = ExportRequest::accept(&message, &worker.catalog).unwrap();
    let click = Click {
        request: &request,
        message: &message,
        via: Via::Page,
        app: Some("shop"),
        expected_rows: Some(7),
        jobs_per_person: Some(2),
    };
    Clicks { ledger: &worker.ledger, queue: &worker.queue, store: &worker.store }.accept(&click).await
}

/// Clicks, and expects the job that was there before.
async fn repeated(worker: &TestWorker, body: &str) -> JobId {
    let Accepted { job, repeated } = click(worker, body).await.unwrap();
    assert!(repeated, "{job:?}");
    job.id
}

/// Clicks, and expects a new job.
async fn new(worker: &TestWorker, body: &str) -> JobId {
    let Accepted { job, repeated } = click(worker, body).await.unwrap();
    assert!(!repeated, "{job:?}");
    job.id
}

/// Asks for the orders of another region by another key.
fn orders_of(region: &str) -> String {
    ORDERS.replace("Trondheim", region).replace("a-click", region)
}

/// Asks without a key.
fn without_key(body: &str) -> String {
    body.replace(r#","request_id":"a-click""#, "")
}

#[tokio::test(start_paused = true)]
async fn click_is_recorded_and_its_message_brings_a_worker() {
    let worker = TestWorker::new(Scripts::good());
    let Accepted { job, repeated } = click(&worker, ORDERS).await.unwrap();
    assert_eq!((repeated, job.state, job.attempt), (false, JobState::Queued, 0));
    assert_eq!((job.via, job.app.as_deref(), job.expected_rows), (Via::Page, Some("shop"), Some(7)));
    assert_eq!(job.definition_sha256, Some(worker.worker.catalog.get("orders").unwrap().sha256.clone()));
    assert!(job.sent_at.is_some(), "the queue has its message");
    assert_eq!(worker.job().await, job);
    assert_eq!(worker.worker.queue.sent(), [continuation(&job)], "which names no person");
    assert_eq!(worker.deliver("m-1", &continuation(&job)).await, Outcome::Done);
    assert_eq!(worker.file().await, FILE);
    assert_eq!(worker.told(), alice_knows(JobState::Ready));
}

#[tokio::test(start_paused = true)]
async fn click_while_the_queue_is_away_is_accepted_and_sent_by_the_next_same_click() {
    let worker = TestWorker::new(Scripts::good());
    worker.worker.queue.fail_next(1);
    let id = new(&worker, ORDERS).await;
    assert_eq!((worker.job().await.sent_at, worker.worker.queue.sent()), (None, vec![]));
    assert_eq!(repeated(&worker, &without_key(ORDERS)).await, id);
    let job = worker.job().await;
    assert!(job.sent_at.is_some());
    assert_eq!(worker.worker.queue.sent(), [continuation(&job)]);
    assert_eq!(repeated(&worker, ORDERS).await, id);
    assert_eq!(worker.worker.queue.sent().len(), 1, "a message that the queue has is not sent again");
}

#[tokio::test(start_paused = true)]
async fn click_while_the_queue_is_away_is_sent_by_the_sweep() {
    let worker = TestWorker::new(Scripts::good());
    worker.worker.queue.fail_next(1);
    new(&worker, ORDERS).await;
    let sweep = async || {
        let swept = worker.worker.sweep(Instant::now() + RUN, false).await;
        swept.findings.iter().map(|finding| (finding.kind, finding.outcome)).collect::<Vec<_>>()
    };
    worker.pass(UNSENT_AFTER - Duration::from_secs(1)).await;
    assert_eq!(sweep().await, []);
    worker.pass(Duration::from_secs(1)).await;
    worker.worker.queue.fail_next(1);
    assert_eq!(sweep().await, [(StaleKind::Unsent, RepairOutcome::Failed)]);
    worker.pass(UNSENT_AFTER).await;
    assert_eq!(sweep().await, [(StaleKind::Unsent, RepairOutcome::Done)]);
    let job = worker.job().await;
    assert_eq!((job.sent_at.is_some(), worker.worker.queue.sent()), (true, vec![continuation(&job)]));
    worker.pass(UNSENT_AFTER).await;
    assert_eq!(sweep().await, []);
}

#[tokio::test(start_paused = true)]
async fn click_while_the_ledger_is_away_is_an_error_and_sends_nothing() {
    let worker = TestWorker::new(Scripts::good());
    worker.worker.ledger.table().fail_next(1);
    let error = click(&worker, ORDERS).await.unwrap_err();
    assert!(matches!(error, ClickError::Ledger(LedgerError::Unavailable(_))), "{error:?}");
    assert_eq!(worker.worker.queue.sent(), [""; 0]);
    new(&worker, ORDERS).await;
}

#[tokio::test(start_paused = true)]
async fn click_within_reuse_is_the_job_that_made_the_file() {
    let worker = TestWorker::new(Scripts::good());
    let id = new(&worker, &without_key(ALL)).await;
    let job = worker.job().await;
    assert_eq!(repeated(&worker, &without_key(ALL)).await, id, "while it has not ended");
    assert_eq!(worker.deliver("m-1", &continuation(&job)).await, Outcome::Done);
    assert_eq!(repeated(&worker, &without_key(ALL)).await, id, "while its file may be reused");
    assert_eq!(worker.worker.queue.sent().len(), 1);
    worker.worker.store.remove(&worker.job().await.receipt.unwrap()).await.unwrap();
    assert_ne!(new(&worker, &without_key(ALL)).await, id, "a file that is gone is not promised");
    worker.pass(Duration::from_secs(601)).await;
    assert_ne!(repeated(&worker, &without_key(ALL)).await, id);
}

#[tokio::test(start_paused = true)]
async fn click_on_a_shared_file_of_another_is_a_job_of_its_own_with_that_file() {
    let worker = TestWorker::new(Scripts::good());
    let popular = |who: &str| format!(r#"{{"export":"popular","requested_by":"{who}@example.com"}}"#);
    new(&worker, &popular("alice")).await;
    let alice = worker.job().await;
    assert_eq!(worker.deliver("m-1", &continuation(&alice)).await, Outcome::Done);
    let Accepted { job: bob, repeated } = click(&worker, &popular("bob")).await.unwrap();
    assert_eq!((repeated, bob.state, bob.requested_by.as_str()), (false, JobState::Ready, "bob@example.com"));
    assert_eq!(worker.worker.queue.sent()[1..], [continuation(&bob)]);
    assert_eq!(worker.deliver("m-2", &continuation(&bob)).await, Outcome::Done);
    assert_eq!(worker.told()[1..], [("bob@example.com".to_owned(), JobState::Ready)]);
    assert_eq!(worker.worker.source.answered(), 1);
}

#[tokio::test(start_paused = true)]
async fn key_is_of_one_request_of_one_requester() {
    let worker = TestWorker::new(Scripts::good());
    let id = new(&worker, ORDERS).await;
    let other_words = r#"{"requested_by":"alice@example.com","language":"ja","params":{"region":"Trondheim"},
        "request_id":"a-click","export":"orders"}"#;
    assert_eq!(repeated(&worker, other_words).await, id);
    let error = click(&worker, &ORDERS.replace("Trondheim", "Oslo")).await.unwrap_err();
    let ClickError::KeyTaken { job } = &error else { panic!("{error:?}") };
    assert_eq!(*job, id);
    insta::assert_snapshot!(error.to_string().replace(id.as_str(), "ID"), @"the idempotency key: expected a new one, got that of another request, which is job ID");
    assert_ne!(new(&worker, &ORDERS.replace("alice", "bob")).await, id);
    assert_eq!(worker.deliver("m-1", &worker.worker.queue.sent()[0]).await, Outcome::Done);
    assert_eq!(repeated(&worker, ORDERS).await, id, "a key is used up, whatever came of its job");
    assert_eq!(worker.worker.queue.sent().len(), 2);
    assert_ne!(new(&worker, &without_key(ORDERS)).await, id, "without the key it is another job");
}

#[tokio::test(start_paused = true)]
async fn click_beyond_the_jobs_of_a_person_is_refused() {
    let worker = TestWorker::new(Scripts::good());
    let oslo = new(&worker, &orders_of("Oslo")).await;
    new(&worker, &orders_of("Bergen")).await;
    let error = click(&worker, &orders_of("Narvik")).await.unwrap_err();
    assert!(matches!(error, ClickError::TooMany { limit: 2 }), "{error:?}");
    insta::assert_snapshot!(error, @"jobs that have not ended: expected fewer than 2 of one requester, got one more request");
    assert_eq!(
        repeated(&worker, &without_key(&orders_of("Oslo")).replace(r#","request_id":"Oslo""#, "")).await,
        oslo
    );
    new(&worker, &orders_of("Narvik").replace("alice", "bob")).await;
    worker.worker.ledger.cancel(&oslo).await.unwrap();
    new(&worker, &orders_of("Narvik")).await;
}

async fn retried(worker: &TestWorker) -> Result<Accepted, RetryError> {
    let worker = &worker.worker;
    let job = worker.ledger.latest(1).await.unwrap().remove(0);
    let clicks = Clicks { ledger: &worker.ledger, queue: &worker.queue, store: &worker.store };
    let how = Retry { via: Via::Page, app: None, jobs_per_person: Some(1) };
    retry(&clicks, &worker.catalog, &job, &how).await
}

#[tokio::test(start_paused = true)]
async fn retry_of_a_job_that_is_over_is_a_new_job_of_the_same_request() {
    let worker = TestWorker::new(Scripts::failing(1, query_failed));
    let first = new(&worker, ORDERS).await;
    let error = retried(&worker).await.unwrap_err();
    assert!(matches!(error, RetryError::NotOver(JobState::Queued)), "{error:?}");
    assert_eq!(worker.deliver("m-1", &worker.worker.queue.sent()[0]).await, Outcome::Done);
    assert_eq!(worker.job().await.state, JobState::Failed);
    let Accepted { job, repeated } = retried(&worker).await.unwrap();
    assert_eq!(
        (repeated, job.state, job.requested_by.as_str()),
        (false, JobState::Queued, "alice@example.com")
    );
    assert_ne!(job.id, first);
    assert_eq!(worker.deliver("m-2", &continuation(&job)).await, Outcome::Done);
    let job = worker.worker.ledger.find(&job.id).await.unwrap().unwrap();
    assert_eq!(job.state, JobState::Ready);
}

#[tokio::test(start_paused = true)]
async fn retry_of_a_message_that_was_refused_is_refused_again() {
    let worker = TestWorker::new(Scripts::good());
    let body = r#"{"export":"nothing","requested_by":"alice@example.com"}"#;
    assert_eq!(worker.deliver("m-1", body).await, Outcome::Done);
    let error = retried(&worker).await.unwrap_err();
    assert!(matches!(error, RetryError::Refused(_)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn file_deleted_before_its_time_is_gone_and_its_job_expired() {
    let worker = TestWorker::new(Scripts::good());
    let id = new(&worker, ORDERS).await;
    let delete =
        async |id: &JobId| delete_file(&worker.worker.ledger, &worker.worker.store, id).await.unwrap();
    assert!(matches!(delete(&id).await, Deletion::NoFile(job) if job.state == JobState::Queued));
    assert_eq!(worker.deliver("m-1", &worker.worker.queue.sent()[0]).await, Outcome::Done);
    for _ in 0..2 {
        assert!(matches!(delete(&id).await, Deletion::Deleted(job) if job.state == JobState::Expired));
        assert_eq!(worker.worker.store.keys(), [""; 0]);
        assert_eq!(worker.job().await.state, JobState::Expired);
    }
    assert_eq!(delete(&"0".repeat(24).parse().unwrap()).await, Deletion::Unknown);
}

#[tokio::test(start_paused = true)]
async fn file_that_another_job_has_too_stays_until_the_last_is_deleted() {
    let worker = TestWorker::new(Scripts::good());
    let popular = |who: &str| format!(r#"{{"export":"popular","requested_by":"{who}@example.com"}}"#);
    let mut ids = Vec::new();
    for who in ["alice", "bob"] {
        ids.push(new(&worker, &popular(who)).await);
        let sent = worker.worker.queue.sent().pop().unwrap();
        assert_eq!(worker.deliver(who, &sent).await, Outcome::Done);
    }
    let delete =
        async |id: &JobId| delete_file(&worker.worker.ledger, &worker.worker.store, id).await.unwrap();
    assert!(matches!(delete(&ids[0]).await, Deletion::Kept(_)));
    assert_eq!(worker.worker.store.keys().len(), 2, "the file and its receipt");
    assert!(matches!(delete(&ids[1]).await, Deletion::Deleted(_)));
    assert_eq!(worker.worker.store.keys(), [""; 0]);
}
