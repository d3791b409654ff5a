//! The cache: what it answers, and that nothing wrong with it changes the file.

use std::time::Duration;

use bytes::Bytes;
use downpipe_app::worker::Outcome;
use downpipe_core::cache::{Cache as _, CacheFault, FIRST_OPERATION_LIMIT, OPERATION_LIMIT};
use downpipe_core::catalog::{Catalog, DefinitionFile};
use downpipe_core::job::{Job, JobState, Receipt};
use downpipe_core::store::ResumableStore as _;
use downpipe_core::testing::{MemoryCache, RecordingNotifier};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::faulty_table::{Fault, FaultyJobTable};
use crate::parts::Scripts;
use crate::test_worker::TestWorker;

/// As long as the definitions here reuse a file.
const REUSE: Duration = Duration::from_secs(600);

const DAY: Duration = Duration::from_secs(24 * 3600);

/// What was changed, and how.
type Change<T> = (&'static str, fn(&mut T));

/// Asks for an export by a click of this number.
fn click(export: &str, who: &str, number: u32) -> String {
    format!(r#"{{"export":"{export}","requested_by":"{who}@example.com","request_id":"{number}"}}"#)
}

/// Makes a worker with a file in the cache, and with a ledger in which that is too old to be reused.
async fn with_cached_file() -> TestWorker {
    let worker = TestWorker::new(Scripts::good());
    assert_eq!(worker.deliver("m-1", &click("all", "alice", 1)).await, Outcome::Done);
    assert_eq!(cache(&worker).keys().len(), 1);
    worker.worker.ledger.table().pass(REUSE * 2);
    worker
}

fn cache(worker: &TestWorker) -> &MemoryCache {
    worker.worker.cache.inner()
}

/// Clicks again, and returns the job.
async fn click_again(worker: &TestWorker) -> Job {
    assert_eq!(worker.deliver("m-2", &click("all", "alice", 2)).await, Outcome::Done);
    latest(worker).await
}

/// Returns the job that was recorded last. Two may have the same time, because the ledger's clock stands still.
async fn latest(worker: &TestWorker) -> Job {
    worker.worker.ledger.table().entries().pop().unwrap().job
}

/// The cached file is not used: a second click makes one anew, and its receipt takes the place of the old one.
async fn assert_is_made_anew(worker: &TestWorker, why: &str) {
    let job = click_again(worker).await;
    assert_eq!(job.receipt.unwrap().job_id, job.id.to_string(), "{why}");
    assert_eq!((job.state, worker.worker.source.answered()), (JobState::Ready, 2), "{why}");
    assert_eq!(worker.deliver("m-3", &click("all", "alice", 3)).await, Outcome::Done, "{why}");
    let third = latest(worker).await.receipt.unwrap();
    assert_eq!((third.job_id, worker.worker.source.answered()), (job.id.to_string(), 2), "{why}");
}

#[tokio::test(start_paused = true)]
async fn second_click_is_answered_from_the_cache_in_one_write() {
    let table = FaultyJobTable::new("no call", Fault::CallLost);
    let worker = TestWorker::of(table, Scripts::good(), RecordingNotifier::new());
    worker.deliver("m-1", &click("all", "alice", 1)).await;
    let first = worker.worker.ledger.latest(1).await.unwrap().remove(0);
    worker.pass(Duration::from_secs(1)).await;
    worker.worker.ledger.table().plan("reusable_receipt", Fault::CallLost);
    assert_eq!(worker.deliver("m-2", &click("all", "alice", 2)).await, Outcome::Done);
    assert!(worker.worker.ledger.table().is_untouched(), "the ledger is not asked for a file");
    let second = worker.worker.ledger.latest(1).await.unwrap().remove(0);
    assert_eq!((second.state, second.attempt, &second.receipt), (JobState::Ready, 0, &first.receipt));
    assert_ne!(second.id, first.id);
    assert_eq!((worker.worker.source.answered(), worker.told().len()), (1, 2), "one query, two notices");
}

#[tokio::test(start_paused = true)]
async fn file_that_the_cache_forgot_is_found_in_the_ledger() {
    let worker = TestWorker::new(Scripts::good());
    worker.deliver("m-1", &click("all", "alice", 1)).await;
    cache(&worker).forget_all();
    let job = click_again(&worker).await;
    assert_eq!((job.state, job.attempt, worker.worker.source.answered()), (JobState::Ready, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn cached_file_is_kept_no_longer_than_it_may_be_reused() {
    let worker = with_cached_file().await;
    tokio::time::advance(REUSE - Duration::from_secs(1)).await;
    assert_eq!(cache(&worker).keys().len(), 1);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(cache(&worker).keys().len(), 0);
    assert_is_made_anew(&worker, "expired").await;
}

#[tokio::test(start_paused = true)]
async fn file_of_one_requester_is_not_given_to_another_unless_it_is_shared() {
    for (export, queries) in [("all", 2), ("popular", 1)] {
        let worker = TestWorker::new(Scripts::good());
        worker.deliver("m-1", &click(export, "alice", 1)).await;
        worker.deliver("m-2", &click(export, "bob", 1)).await;
        let job = latest(&worker).await;
        let receipt = job.receipt.unwrap();
        assert_eq!(receipt.requested_by, "bob@example.com", "{export}");
        assert_eq!((job.state, worker.worker.source.answered()), (JobState::Ready, queries), "{export}");
    }
}

#[tokio::test(start_paused = true)]
async fn click_after_access_was_revoked_is_refused() {
    let mut worker = TestWorker::new(Scripts::good());
    worker.deliver("m-1", &click("popular", "alice", 1)).await;
    let text = "title = \"Popular\"\nsql = \"SELECT id, memo FROM orders\"\noutput = { reuse = \"10m\" }\n\
                access = { requesters = [\"bob@example.com\"], shared = true }";
    let file = DefinitionFile { file: "popular.toml".to_owned(), text: text.to_owned() };
    worker.worker.catalog = Catalog::parse(&[file]).unwrap();
    worker.deliver("m-2", &click("popular", "alice", 2)).await;
    let job = latest(&worker).await;
    assert_eq!(
        (job.state, job.receipt, job.failure.unwrap().code),
        (JobState::Failed, None, "rejected".into())
    );
}

#[tokio::test(start_paused = true)]
async fn cached_entry_that_was_changed_is_not_used() {
    let kinds: [Change<Vec<u8>>; 4] = [
        ("another version", |entry| entry[0] += 1),
        ("a forged signature", |entry| entry[1] ^= 1),
        ("a forged receipt", |entry| *entry.last_mut().unwrap() = b' '),
        ("nothing", Vec::clear),
    ];
    for (kind, change) in kinds {
        let worker = with_cached_file().await;
        let key = cache(&worker).keys().remove(0);
        let mut entry = cache(&worker).get(&key).await.unwrap().unwrap().to_vec();
        change(&mut entry);
        cache(&worker).set(&key, entry.into(), DAY).await.unwrap();
        assert_is_made_anew(&worker, kind).await;
    }
}

#[tokio::test(start_paused = true)]
async fn cached_entry_of_another_request_is_not_used() {
    let worker = with_cached_file().await;
    let alices = cache(&worker).keys().remove(0);
    worker.deliver("m-2", &click("all", "bob", 1)).await;
    let bobs = cache(&worker).keys().into_iter().find(|key| *key != alices).unwrap();
    let entry: Bytes = cache(&worker).get(&bobs).await.unwrap().unwrap();
    cache(&worker).set(&alices, entry, DAY).await.unwrap();
    let job = click_again(&worker).await;
    assert_eq!((job.receipt.unwrap().job_id, worker.worker.source.answered()), (job.id.to_string(), 3));
}

#[tokio::test(start_paused = true)]
async fn cached_file_that_is_gone_is_made_anew() {
    let worker = with_cached_file().await;
    let receipt = latest(&worker).await.receipt.unwrap();
    worker.worker.store.remove(&receipt).await.unwrap();
    assert_is_made_anew(&worker, "gone").await;
    // The ledger promises no file that is gone, either.
    let worker = TestWorker::new(Scripts::good());
    worker.deliver("m-1", &click("all", "alice", 1)).await;
    worker.worker.store.remove(&latest(&worker).await.receipt.unwrap()).await.unwrap();
    let job = click_again(&worker).await;
    assert_eq!((job.receipt.unwrap().job_id, worker.worker.source.answered()), (job.id.to_string(), 2));
}

/// The clock of the worker that wrote it, or of the one that reads it, is off by a day; or the file is past its time.
#[tokio::test(start_paused = true)]
async fn cached_file_of_another_day_is_made_anew() {
    let changes: [Change<Receipt>; 3] = [
        ("from tomorrow", |receipt| receipt.completed_at += DAY),
        ("from yesterday", |receipt| receipt.completed_at -= DAY),
        ("past its retention", |receipt| receipt.expires_at = Timestamp::now()),
    ];
    for (kind, change) in changes {
        let worker = with_cached_file().await;
        let key = cache(&worker).keys().remove(0);
        let mut receipt = latest(&worker).await.receipt.unwrap();
        change(&mut receipt);
        let fingerprint = key.strip_prefix("receipt:").unwrap();
        worker.worker.cache.keep_receipt(fingerprint, &receipt, DAY).await;
        assert_is_made_anew(&worker, kind).await;
    }
}

#[tokio::test(start_paused = true)]
async fn cache_that_fails_costs_no_time_and_changes_no_file() {
    for fault in [CacheFault::Connection, CacheFault::Login, CacheFault::Refused] {
        let worker = TestWorker::new(Scripts::good());
        cache(&worker).fail_with(fault);
        let begun = Instant::now();
        for number in 1..=5 {
            worker.worker.ledger.table().pass(REUSE * 2);
            assert_eq!(worker.deliver("m", &click("all", "alice", number)).await, Outcome::Done);
            assert_eq!(latest(&worker).await.state, JobState::Ready);
        }
        assert_eq!((worker.worker.source.answered(), begun.elapsed()), (5, Duration::ZERO), "{fault:?}");
        assert_eq!(cache(&worker).operations(), 3, "after three faults it is not asked for a minute");
    }
}

#[tokio::test(start_paused = true)]
async fn cache_that_is_slow_costs_no_more_than_its_limits() {
    let worker = TestWorker::new(Scripts::good());
    cache(&worker).delay_by(Duration::from_secs(5));
    let begun = Instant::now();
    assert_eq!(worker.deliver("m-1", &click("all", "alice", 1)).await, Outcome::Done);
    assert_eq!(
        begun.elapsed(),
        FIRST_OPERATION_LIMIT + OPERATION_LIMIT,
        "one question and one answer to keep"
    );
    let begun = Instant::now();
    let job = click_again(&worker).await;
    assert_eq!((job.state, begun.elapsed()), (JobState::Ready, OPERATION_LIMIT));
}

#[tokio::test(start_paused = true)]
async fn progress_of_a_job_is_in_the_cache_while_it_runs() {
    let worker = TestWorker::new(Scripts::thinking(Duration::from_secs(30)));
    let watch = async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        let id = latest(&worker).await.id;
        assert_eq!(cache(&worker).keys(), [format!("progress:{id}")]);
        let progress = worker.worker.cache.progress(&id).await.unwrap();
        assert_eq!((progress.rows, progress.rows_per_second), (0, 0));
        cache(&worker).fail_with(CacheFault::Timeout);
        tokio::time::sleep(Duration::from_secs(8)).await;
        cache(&worker).fail_with(None);
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    let body = r#"{"export":"shared","requested_by":"alice@example.com"}"#;
    let (outcome, ()) = tokio::join!(worker.deliver("m-1", body), watch);
    assert_eq!((outcome, latest(&worker).await.state), (Outcome::Done, JobState::Ready));
    assert_eq!(worker.worker.cache.progress(&latest(&worker).await.id).await, None);
}
