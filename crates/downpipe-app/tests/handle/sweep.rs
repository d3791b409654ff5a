//! The sweep: finds what was lost, and repairs it once.

use std::time::Duration;

use downpipe_app::config::LEDGER_RETENTION;
use downpipe_app::sweep::{
    LEASE_EXPIRED_AFTER, RepairOutcome, STALE_AFTER, StaleKind, SweepReport, UNNOTIFIED_AFTER,
};
use downpipe_app::worker::{LEASE, Outcome};
use downpipe_core::job::{Checkpoint, JobAttempt, JobId, JobState, NewJob};
use downpipe_core::ledger::Claim;
use downpipe_core::message::Message;
use downpipe_core::store::{NewObject, ObjectStore as _, ResumableStore as _, Upload as _};
use downpipe_core::testing::{MemoryStore, RecordingNotifier, StoreFault};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::parts::{Scripts, query_failed};
use crate::test_worker::{
    ORDERS, RUN, TestWorker, alice_knows, continuation, delivery, operator_and_alice_know, retry_after,
};

const SECOND: Duration = Duration::from_secs(1);

async fn sweep(worker: &TestWorker) -> Vec<(StaleKind, RepairOutcome)> {
    findings(&swept(worker, false).await)
}

async fn swept(worker: &TestWorker, dry_run: bool) -> SweepReport {
    worker.worker.sweep(Instant::now() + RUN, dry_run).await
}

fn findings(swept: &SweepReport) -> Vec<(StaleKind, RepairOutcome)> {
    swept.findings.iter().map(|finding| (finding.kind, finding.outcome)).collect()
}

/// Records a job as queued, without a message.
async fn accepted(worker: &TestWorker, name: &str) -> JobId {
    let body = ORDERS.replace("a-click", name);
    let new = NewJob::of(&Message::parse(&body), name, &body).unwrap();
    worker.worker.ledger.accept(&new).await.unwrap()
}

/// Begins an upload to the folder of a job, and returns a checkpoint in it.
async fn upload(worker: &TestWorker, id: &JobId) -> Checkpoint {
    let object = NewObject::known_by(
        format!("files/orders/2026/01/02/{id}/orders.csv"),
        JobAttempt { job: id.clone(), attempt: 1 },
    );
    let upload = worker.worker.store.begin(&object).await.unwrap();
    serde_json::from_value(serde_json::json!({
        "upload": upload.name(), "object_key": object.key, "attempt": 1, "parts": [], "key": { "integer": 1 }, "rows": 1,
        "rows_in_file": 1, "bytes": 0, "sha256": "", "crc64nvme": 0, "files": [], "changes": [], "columns": [],
        "definition_sha256": "", "as_of": "2026-01-02T03:04:05Z", "seconds": 0,
    }))
    .unwrap()
}

async fn claimed(worker: &TestWorker, id: &JobId) -> downpipe_core::ledger::Lease {
    match worker.worker.ledger.claim(id, "a worker", LEASE).await.unwrap() {
        Claim::Granted(lease, _) => lease,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn sweep_without_anything_stale_finds_nothing() {
    let worker = TestWorker::new(Scripts::good());
    assert_eq!(worker.deliver("m-1", ORDERS).await, Outcome::Done);
    let queued = accepted(&worker, "queued").await;
    let running = accepted(&worker, "running").await;
    claimed(&worker, &running).await;
    worker.pass(LEASE + LEASE_EXPIRED_AFTER - SECOND).await;
    let swept = swept(&worker, false).await;
    assert_eq!((swept.findings.len(), swept.unknown_uploads, swept.is_well()), (0, 0, true), "{swept:?}");
    assert_eq!(worker.worker.queue.sent(), [""; 0]);
    assert_eq!(worker.worker.ledger.find(&queued).await.unwrap().unwrap().state, JobState::Queued);
}

#[tokio::test(start_paused = true)]
async fn notice_that_was_lost_is_sent_once() {
    let worker = TestWorker::with_notifier(RecordingNotifier::failing_first(2));
    assert_eq!(worker.deliver("m-1", ORDERS).await, retry_after(90));
    worker.pass(UNNOTIFIED_AFTER - SECOND).await;
    assert_eq!(sweep(&worker).await, [], "its own message may do it");
    worker.pass(SECOND).await;
    assert_eq!(findings(&swept(&worker, true).await), [(StaleKind::Unnotified, RepairOutcome::NotTried)]);
    assert_eq!(sweep(&worker).await, [(StaleKind::Unnotified, RepairOutcome::Failed)]);
    assert_eq!((sweep(&worker).await, worker.told()), (vec![], vec![]), "others come first now");
    worker.pass(UNNOTIFIED_AFTER).await;
    assert_eq!(sweep(&worker).await, [(StaleKind::Unnotified, RepairOutcome::Done)]);
    worker.pass(UNNOTIFIED_AFTER).await;
    assert_eq!(sweep(&worker).await, []);
    assert_eq!(worker.told(), alice_knows(JobState::Ready));
}

/// The sweep removes what a job left in the store when its worker could not.
#[tokio::test(start_paused = true)]
async fn upload_that_a_cancelled_job_left_is_aborted() {
    let worker = TestWorker::new(Scripts::good());
    let id = accepted(&worker, "left").await;
    let lease = claimed(&worker, &id).await;
    let checkpoint = upload(&worker, &id).await;
    worker.worker.ledger.pause(&lease, &checkpoint).await.unwrap();
    worker.worker.ledger.cancel(&id).await.unwrap();
    worker.pass(UNNOTIFIED_AFTER).await;
    assert_eq!(worker.worker.store.open_uploads(), 1);
    assert_eq!(sweep(&worker).await, [(StaleKind::Unnotified, RepairOutcome::Done)]);
    assert_eq!((worker.worker.store.open_uploads(), worker.told()), (0, alice_knows(JobState::Cancelled)));
    assert_eq!(sweep(&worker).await, []);
}

#[tokio::test(start_paused = true)]
async fn job_whose_worker_and_message_are_lost_resumes() {
    let worker = TestWorker::new(Scripts::thinking(Duration::from_secs(300)));
    worker.handle_and_die(&delivery("m-1", ORDERS, 1), Duration::from_secs(40)).await;
    worker.pass(LEASE + LEASE_EXPIRED_AFTER).await;
    let job = worker.job().await;
    assert_eq!(sweep(&worker).await, [(StaleKind::LeaseExpired, RepairOutcome::Done)]);
    assert_eq!(worker.worker.queue.sent(), [continuation(&job)]);
    let message = delivery("m-2", &continuation(&job), 1);
    let handled = worker.worker.handle(&message, Instant::now() + RUN).await;
    assert_eq!((handled, worker.told()), (Outcome::Done, alice_knows(JobState::Ready)));
    assert_eq!(sweep(&worker).await, []);
}

#[tokio::test(start_paused = true)]
async fn job_without_a_message_is_enqueued_again_once_per_interval() {
    let worker = TestWorker::new(Scripts::good());
    let id = accepted(&worker, "forgotten").await;
    worker.pass(STALE_AFTER - SECOND).await;
    assert_eq!(sweep(&worker).await, []);
    worker.pass(SECOND).await;
    assert_eq!(sweep(&worker).await, [(StaleKind::Idle, RepairOutcome::Done)]);
    assert_eq!(sweep(&worker).await, []);
    assert_eq!(worker.worker.queue.sent(), [Message::Continue(id).to_json()]);
    worker.pass(STALE_AFTER).await;
    worker.worker.queue.fail_next(1);
    assert_eq!(sweep(&worker).await, [(StaleKind::Idle, RepairOutcome::Failed)]);
}

#[tokio::test(start_paused = true)]
async fn file_past_its_retention_is_removed_with_its_receipt() {
    let worker = TestWorker::new(Scripts::good());
    assert_eq!(worker.deliver("m-1", ORDERS).await, Outcome::Done);
    let kept = worker
        .job()
        .await
        .receipt
        .unwrap()
        .expires_at
        .duration_since(worker.worker.ledger.table().entries()[0].updated_at);
    worker.pass(kept.unsigned_abs() - SECOND).await;
    assert_eq!(sweep(&worker).await, []);
    worker.pass(SECOND).await;
    assert_eq!(findings(&swept(&worker, true).await), [(StaleKind::PastRetention, RepairOutcome::NotTried)]);
    assert_eq!(worker.worker.store.keys().len(), 2);
    assert_eq!(sweep(&worker).await, [(StaleKind::PastRetention, RepairOutcome::Done)]);
    assert_eq!((worker.worker.store.keys(), worker.job().await.state), (Vec::new(), JobState::Expired));
    assert_eq!(sweep(&worker).await, []);
    assert_eq!(worker.told(), alice_knows(JobState::Ready), "the requester is not notified of that");
}

#[tokio::test(start_paused = true)]
async fn uploads_that_no_job_resumes_are_aborted() {
    let worker = TestWorker::new(Scripts::failing(1, query_failed));
    assert_eq!(worker.deliver("m-1", ORDERS).await, Outcome::Done);
    let failed = worker.job().await.id;
    let orphan = upload(&worker, &failed).await;
    let running = accepted(&worker, "running").await;
    claimed(&worker, &running).await;
    upload(&worker, &running).await;
    let waiting = accepted(&worker, "waiting").await;
    let forsaken = upload(&worker, &waiting).await;
    let checkpoint = upload(&worker, &waiting).await;
    worker.worker.ledger.pause(&claimed(&worker, &waiting).await, &checkpoint).await.unwrap();
    let queued = accepted(&worker, "queued").await;
    upload(&worker, &queued).await;
    upload(&worker, &"0123456789abcdef01234567".parse().unwrap()).await;
    let stranger = NewObject::known_by("files/elsewhere.csv", JobAttempt { job: failed.clone(), attempt: 1 });
    worker.worker.store.begin(&stranger).await.unwrap();
    // One of the failed job's that is too young, and one that is not below the prefix.
    worker.worker.store.set_clock(Timestamp::now());
    upload(&worker, &failed).await;
    worker.worker.store.set_clock(Timestamp::UNIX_EPOCH);
    let outside = NewObject::known_by(
        format!("other/orders/2026/01/02/{failed}/orders.csv"),
        JobAttempt { job: failed.clone(), attempt: 1 },
    );
    worker.worker.store.begin(&outside).await.unwrap();

    let before = worker.worker.store.open_uploads();
    let swept = swept(&worker, false).await;
    let given_up: Vec<&JobId> = swept.findings.iter().map(|finding| &finding.job).collect();
    assert_eq!(given_up, [&failed, &waiting, &queued], "{swept:?}");
    assert!(swept.findings.iter().all(|finding| finding.kind == StaleKind::OrphanedUpload));
    assert_eq!((swept.unknown_uploads, before - worker.worker.store.open_uploads()), (2, 3));
    for (gone, checkpoint) in [(true, orphan), (true, forsaken), (false, checkpoint)] {
        let object =
            NewObject::known_by(&checkpoint.object_key, JobAttempt { job: failed.clone(), attempt: 1 });
        let name = serde_json::to_value(&checkpoint).unwrap()["upload"].as_str().unwrap().to_owned();
        let found = worker.worker.store.resume_upload(&object, &name, &[]).await.unwrap();
        assert_eq!(found.is_none(), gone, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn repair_that_fails_does_not_stop_the_others() {
    let mut worker = TestWorker::new(Scripts::good());
    assert_eq!(worker.deliver("m-1", ORDERS).await, Outcome::Done);
    worker.pass(Duration::from_secs(400 * 24 * 3600)).await;
    accepted(&worker, "forgotten").await;
    worker.pass(STALE_AFTER).await;
    let working: MemoryStore = worker.worker.store.clone();
    worker.worker.store = working.failing(StoreFault::Clear);
    assert_eq!(
        sweep(&worker).await,
        [(StaleKind::Idle, RepairOutcome::Done), (StaleKind::PastRetention, RepairOutcome::Failed)]
    );
    assert_eq!(worker.worker.ledger.latest(9).await.unwrap()[1].state, JobState::Ready);
    let entries = worker.worker.ledger.table().entries();
    assert_eq!(entries[0].updated_at, entries[1].updated_at, "what failed is looked at last the next time");
    worker.worker.store = working;
    // The first question is not answered.
    worker.worker.ledger.table().fail_next(1);
    let swept = swept(&worker, false).await;
    assert_eq!((&swept.not_looked_for[..], swept.is_well()), (&[StaleKind::Unnotified][..], false));
    assert_eq!(findings(&swept), [(StaleKind::PastRetention, RepairOutcome::Done)]);
}

#[tokio::test(start_paused = true)]
async fn sweep_whose_time_is_up_leaves_the_rest_to_the_next() {
    let worker = TestWorker::new(Scripts::good());
    accepted(&worker, "forgotten").await;
    worker.pass(STALE_AFTER).await;
    let swept = worker.worker.sweep(Instant::now(), false).await;
    assert_eq!(findings(&swept), [(StaleKind::Idle, RepairOutcome::NotTried)]);
    assert_eq!(worker.worker.queue.sent(), [""; 0]);
}

/// The operator hears of it as well, as if it had been told in time.
#[tokio::test(start_paused = true)]
async fn operators_notice_that_was_lost_is_sent() {
    let mut worker = TestWorker::new(Scripts::failing(1, query_failed));
    worker.worker.notifier = RecordingNotifier::failing_first(1);
    assert_eq!(worker.deliver("m-1", ORDERS).await, retry_after(90));
    worker.pass(UNNOTIFIED_AFTER).await;
    assert_eq!(sweep(&worker).await, [(StaleKind::Unnotified, RepairOutcome::Done)]);
    assert_eq!(worker.told(), operator_and_alice_know(JobState::Failed));
}

#[tokio::test(start_paused = true)]
async fn job_past_the_ledgers_retention_is_deleted() {
    let worker = TestWorker::new(Scripts::failing(1, query_failed));
    let failed = ORDERS.replace("a-click", "failed");
    assert_eq!(worker.deliver("m-1", &failed).await, Outcome::Done);
    assert_eq!(worker.deliver("m-2", ORDERS).await, Outcome::Done);
    worker.pass(LEDGER_RETENTION - SECOND).await;
    assert_eq!(sweep(&worker).await, []);
    worker.pass(SECOND).await;
    assert_eq!(
        findings(&swept(&worker, true).await),
        [(StaleKind::PastLedgerRetention, RepairOutcome::NotTried)]
    );
    assert_eq!(worker.worker.ledger.latest(2).await.unwrap().len(), 2);
    assert_eq!(sweep(&worker).await, [(StaleKind::PastLedgerRetention, RepairOutcome::Done)]);
    let ready = worker.job().await;
    assert_eq!(ready.state, JobState::Ready, "a job with a file is remembered");
    worker.pass(Duration::from_secs(400 * 24 * 3600)).await;
    assert_eq!(
        sweep(&worker).await,
        [(StaleKind::PastRetention, RepairOutcome::Done)],
        "first goes the file"
    );
    worker.pass(LEDGER_RETENTION - SECOND).await;
    assert_eq!(sweep(&worker).await, [], "a link still says what became of it");
    worker.pass(SECOND).await;
    assert_eq!(sweep(&worker).await, [(StaleKind::PastLedgerRetention, RepairOutcome::Done)]);
    assert_eq!(worker.worker.ledger.latest(2).await.unwrap(), []);
    // A message for it that comes now finds no job, and is done with.
    let told = worker.told().len();
    let late = delivery("m-3", &continuation(&ready), 1);
    assert_eq!(worker.worker.handle(&late, Instant::now() + RUN).await, Outcome::Done);
    assert_eq!((worker.told().len(), worker.worker.ledger.latest(1).await.unwrap()), (told, vec![]));
    assert_eq!(sweep(&worker).await, []);
}
