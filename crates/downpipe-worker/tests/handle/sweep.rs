//! The sweep: whatever was lost, it finds, and does once.

use std::time::Duration;

use downpipe_core::checkpoint::Checkpoint;
use downpipe_core::job::{JobId, JobState, NewJob};
use downpipe_core::ledger::{Claim, Ledger as _};
use downpipe_core::message::Message;
use downpipe_core::store::{NewObject, ObjectStore as _, Upload as _, WriteToken};
use downpipe_core::testing::{MemoryStore, RecordingNotifier, StoreFault};
use downpipe_worker::handle::{LEASE, Outcome};
use downpipe_worker::sweep::{IDLE_FOR, LEASE_OVER_FOR, Mended, Neglect, Swept, UNTOLD_FOR};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::bench::{
    Bench, ORDERS, RUN, alice_knows, continuation, delivery, operator_and_alice_know, retry_after,
};
use crate::parts::{Scripts, query_failed};

const SECOND: Duration = Duration::from_secs(1);

async fn sweep(bench: &Bench) -> Vec<(Neglect, Mended)> {
    findings(&swept(bench, false).await)
}

async fn swept(bench: &Bench, dry_run: bool) -> Swept {
    bench.worker.sweep(Instant::now() + RUN, dry_run).await
}

fn findings(swept: &Swept) -> Vec<(Neglect, Mended)> {
    swept.findings.iter().map(|finding| (finding.neglect, finding.mended)).collect()
}

/// A job that is queued, and of which no message is left.
async fn accepted(bench: &Bench, name: &str) -> JobId {
    let body = ORDERS.replace("a-click", name);
    let new = NewJob::of(&Message::parse(&body), name, &body).unwrap();
    bench.worker.ledger.accept(&new).await.unwrap()
}

/// An upload to the folder of a job, and the job's checkpoint in it.
async fn upload(bench: &Bench, id: &JobId) -> Checkpoint {
    let object = NewObject::known_by(
        format!("files/orders/2026/01/02/{id}/orders.csv"),
        WriteToken { job: id.clone(), attempt: 1 },
    );
    let upload = bench.worker.store.begin(&object).await.unwrap();
    serde_json::from_value(serde_json::json!({
        "upload": upload.name(), "object_key": object.key, "attempt": 1, "parts": [], "key": { "integer": 1 }, "rows": 1,
        "rows_in_file": 1, "bytes": 0, "sha256": "", "crc64nvme": 0, "files": [], "changes": [], "columns": [],
        "definition_sha256": "", "as_of": "2026-01-02T03:04:05Z", "seconds": 0,
    }))
    .unwrap()
}

async fn claimed(bench: &Bench, id: &JobId) -> downpipe_core::ledger::Lease {
    match bench.worker.ledger.claim(id, "a worker", LEASE).await.unwrap() {
        Claim::Granted(lease, _) => lease,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn where_nothing_is_wrong_nothing_is_found() {
    let bench = Bench::new(Scripts::good());
    assert_eq!(bench.deliver("m-1", ORDERS).await, Outcome::Done);
    let queued = accepted(&bench, "queued").await;
    let running = accepted(&bench, "running").await;
    claimed(&bench, &running).await;
    bench.pass(LEASE + LEASE_OVER_FOR - SECOND).await;
    let swept = swept(&bench, false).await;
    assert_eq!((swept.findings.len(), swept.unknown_uploads, swept.is_well()), (0, 0, true), "{swept:?}");
    assert_eq!(bench.worker.queue.sent(), [""; 0]);
    assert_eq!(bench.worker.ledger.find(&queued).await.unwrap().unwrap().state, JobState::Queued);
}

#[tokio::test(start_paused = true)]
async fn a_notice_that_was_lost_is_sent_once() {
    let bench = Bench::with_notifier(RecordingNotifier::failing_first(2));
    assert_eq!(bench.deliver("m-1", ORDERS).await, retry_after(90));
    bench.pass(UNTOLD_FOR - SECOND).await;
    assert_eq!(sweep(&bench).await, [], "its own message may do it");
    bench.pass(SECOND).await;
    assert_eq!(findings(&swept(&bench, true).await), [(Neglect::Untold, Mended::NotTried)]);
    assert_eq!(sweep(&bench).await, [(Neglect::Untold, Mended::Failed)]);
    assert_eq!((sweep(&bench).await, bench.told()), (vec![], vec![]), "others come first now");
    bench.pass(UNTOLD_FOR).await;
    assert_eq!(sweep(&bench).await, [(Neglect::Untold, Mended::Done)]);
    bench.pass(UNTOLD_FOR).await;
    assert_eq!(sweep(&bench).await, []);
    assert_eq!(bench.told(), alice_knows(JobState::Ready));
}

/// What a failed job left in the store is cleared away late as well, when that was not possible in time.
#[tokio::test(start_paused = true)]
async fn what_a_job_left_is_cleared_away() {
    let bench = Bench::new(Scripts::good());
    let id = accepted(&bench, "left").await;
    let lease = claimed(&bench, &id).await;
    let checkpoint = upload(&bench, &id).await;
    bench.worker.ledger.pause(&lease, &checkpoint).await.unwrap();
    bench.worker.ledger.cancel(&id).await.unwrap();
    bench.pass(UNTOLD_FOR).await;
    assert_eq!(bench.worker.store.open_uploads(), 1);
    assert_eq!(sweep(&bench).await, [(Neglect::Untold, Mended::Done)]);
    assert_eq!((bench.worker.store.open_uploads(), bench.told()), (0, alice_knows(JobState::Cancelled)));
    assert_eq!(sweep(&bench).await, []);
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_worker_and_message_are_lost_goes_on() {
    let bench = Bench::new(Scripts::thinking(Duration::from_secs(300)));
    bench.handle_and_die(&delivery("m-1", ORDERS, 1), Duration::from_secs(40)).await;
    bench.pass(LEASE + LEASE_OVER_FOR).await;
    let job = bench.job().await;
    assert_eq!(sweep(&bench).await, [(Neglect::LeaseOver, Mended::Done)]);
    assert_eq!(bench.worker.queue.sent(), [continuation(&job)]);
    let message = delivery("m-2", &continuation(&job), 1);
    let handled = bench.worker.handle(&message, Instant::now() + RUN).await;
    assert_eq!((handled, bench.told()), (Outcome::Done, alice_knows(JobState::Ready)));
    assert_eq!(sweep(&bench).await, []);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_the_queue_has_forgotten_is_sent_again_and_not_too_often() {
    let bench = Bench::new(Scripts::good());
    let id = accepted(&bench, "forgotten").await;
    bench.pass(IDLE_FOR - SECOND).await;
    assert_eq!(sweep(&bench).await, []);
    bench.pass(SECOND).await;
    assert_eq!(sweep(&bench).await, [(Neglect::Idle, Mended::Done)]);
    assert_eq!(sweep(&bench).await, []);
    assert_eq!(bench.worker.queue.sent(), [Message::Continue(id).to_json()]);
    bench.pass(IDLE_FOR).await;
    bench.worker.queue.fail_next(1);
    assert_eq!(sweep(&bench).await, [(Neglect::Idle, Mended::Failed)]);
}

#[tokio::test(start_paused = true)]
async fn a_file_past_its_retention_is_removed_with_its_receipt() {
    let bench = Bench::new(Scripts::good());
    assert_eq!(bench.deliver("m-1", ORDERS).await, Outcome::Done);
    let kept = bench
        .job()
        .await
        .receipt
        .unwrap()
        .expires_at
        .duration_since(bench.worker.ledger.entries()[0].updated_at);
    bench.pass(kept.unsigned_abs() - SECOND).await;
    assert_eq!(sweep(&bench).await, []);
    bench.pass(SECOND).await;
    assert_eq!(findings(&swept(&bench, true).await), [(Neglect::PastRetention, Mended::NotTried)]);
    assert_eq!(bench.worker.store.keys().len(), 2);
    assert_eq!(sweep(&bench).await, [(Neglect::PastRetention, Mended::Done)]);
    assert_eq!((bench.worker.store.keys(), bench.job().await.state), (Vec::new(), JobState::Expired));
    assert_eq!(sweep(&bench).await, []);
    assert_eq!(bench.told(), alice_knows(JobState::Ready), "of that nobody is told again");
}

#[tokio::test(start_paused = true)]
async fn only_uploads_that_no_job_goes_on_with_are_given_up() {
    let bench = Bench::new(Scripts::failing(1, query_failed));
    assert_eq!(bench.deliver("m-1", ORDERS).await, Outcome::Done);
    let failed = bench.job().await.id;
    let orphan = upload(&bench, &failed).await;
    let running = accepted(&bench, "running").await;
    claimed(&bench, &running).await;
    upload(&bench, &running).await;
    let waiting = accepted(&bench, "waiting").await;
    let forsaken = upload(&bench, &waiting).await;
    let checkpoint = upload(&bench, &waiting).await;
    bench.worker.ledger.pause(&claimed(&bench, &waiting).await, &checkpoint).await.unwrap();
    let queued = accepted(&bench, "queued").await;
    upload(&bench, &queued).await;
    upload(&bench, &"0123456789abcdef01234567".parse().unwrap()).await;
    let stranger = NewObject::known_by("files/elsewhere.csv", WriteToken { job: failed.clone(), attempt: 1 });
    bench.worker.store.begin(&stranger).await.unwrap();
    // One of the failed job's that is too young, and one that is not below the prefix.
    bench.worker.store.set_clock(Timestamp::now());
    upload(&bench, &failed).await;
    bench.worker.store.set_clock(Timestamp::UNIX_EPOCH);
    let outside = NewObject::known_by(
        format!("other/orders/2026/01/02/{failed}/orders.csv"),
        WriteToken { job: failed.clone(), attempt: 1 },
    );
    bench.worker.store.begin(&outside).await.unwrap();

    let before = bench.worker.store.open_uploads();
    let swept = swept(&bench, false).await;
    let given_up: Vec<&JobId> = swept.findings.iter().map(|finding| &finding.job).collect();
    assert_eq!(given_up, [&failed, &waiting, &queued], "{swept:?}");
    assert!(swept.findings.iter().all(|finding| finding.neglect == Neglect::OrphanedUpload));
    assert_eq!((swept.unknown_uploads, before - bench.worker.store.open_uploads()), (2, 3));
    for (gone, checkpoint) in [(true, orphan), (true, forsaken), (false, checkpoint)] {
        let object =
            NewObject::known_by(&checkpoint.object_key, WriteToken { job: failed.clone(), attempt: 1 });
        let name = serde_json::to_value(&checkpoint).unwrap()["upload"].as_str().unwrap().to_owned();
        let found = bench.worker.store.go_on(&object, &name, &[]).await.unwrap();
        assert_eq!(found.is_none(), gone, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_fails_stops_nothing_else() {
    let mut bench = Bench::new(Scripts::good());
    assert_eq!(bench.deliver("m-1", ORDERS).await, Outcome::Done);
    bench.pass(Duration::from_secs(400 * 24 * 3600)).await;
    accepted(&bench, "forgotten").await;
    bench.pass(IDLE_FOR).await;
    let working: MemoryStore = bench.worker.store.clone();
    bench.worker.store = working.failing(StoreFault::Clear);
    assert_eq!(
        sweep(&bench).await,
        [(Neglect::Idle, Mended::Done), (Neglect::PastRetention, Mended::Failed)]
    );
    assert_eq!(bench.worker.ledger.latest(9).await.unwrap()[1].state, JobState::Ready);
    let entries = bench.worker.ledger.entries();
    assert_eq!(entries[0].updated_at, entries[1].updated_at, "what failed is looked at last the next time");
    bench.worker.store = working;
    // The first question is not answered.
    bench.worker.ledger.fail_next(1);
    let swept = swept(&bench, false).await;
    assert_eq!((&swept.not_looked_for[..], swept.is_well()), (&[Neglect::Untold][..], false));
    assert_eq!(findings(&swept), [(Neglect::PastRetention, Mended::Done)]);
}

#[tokio::test(start_paused = true)]
async fn a_sweep_whose_time_is_up_leaves_the_rest_to_the_next() {
    let bench = Bench::new(Scripts::good());
    accepted(&bench, "forgotten").await;
    bench.pass(IDLE_FOR).await;
    let swept = bench.worker.sweep(Instant::now(), false).await;
    assert_eq!(findings(&swept), [(Neglect::Idle, Mended::NotTried)]);
    assert_eq!(bench.worker.queue.sent(), [""; 0]);
}

/// The operator hears of it as well, as if it had been told in time.
#[tokio::test(start_paused = true)]
async fn the_operators_notice_is_made_good_too() {
    let mut bench = Bench::new(Scripts::failing(1, query_failed));
    bench.worker.notifier = RecordingNotifier::failing_first(1);
    assert_eq!(bench.deliver("m-1", ORDERS).await, retry_after(90));
    bench.pass(UNTOLD_FOR).await;
    assert_eq!(sweep(&bench).await, [(Neglect::Untold, Mended::Done)]);
    assert_eq!(bench.told(), operator_and_alice_know(JobState::Failed));
}
