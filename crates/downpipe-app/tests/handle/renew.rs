//! Jobs outlive their messages: progress and unused attempts keep a job going, by a fresh message if need be.

use std::time::Duration;

use downpipe_app::worker::{LEASE, MAX_ATTEMPTS, Outcome};
use downpipe_core::job::JobState;
use downpipe_core::ledger::Claim;
use downpipe_core::source::{EndOfResult, Query, RowSink, RowSource, SinkState, SourceError};
use downpipe_core::testing::{MemoryJobTable, RecordingNotifier, RecordingQueue, ScriptedSource};
use downpipe_format::{Cell, Column, ColumnKind};

use crate::parts::{FILE, Scripts, disconnected};
use crate::runs::{ALL, after, file_of};
use crate::test_worker::{ORDERS, TestWorker, alice_knows, continuation, delivery, retry_after};

/// A database that breaks every connection after so many rows, of which three fill a part.
struct Breaking {
    rows: i64,
    memo: Vec<u8>,
    breaks_after: i64,
}

impl RowSource for Breaking {
    async fn read<S: RowSink>(&self, query: &Query, sink: &mut S) -> Result<EndOfResult, SourceError> {
        let after = after(query);
        let column = |name: &str, kind| Column { name: name.to_owned(), kind };
        let integer = ColumnKind::Integer { bits: 64, unsigned: false, zerofill: 0 };
        let columns = [column("id", integer), column("memo", ColumnKind::Text)];
        let wanted = sink.start(&columns, &ScriptedSource::snapshot())?;
        for id in after + 1..=self.rows {
            if id > after + self.breaks_after {
                return Err(disconnected());
            }
            // Time for a heartbeat now and then.
            tokio::time::sleep(Duration::from_secs(10)).await;
            sink.cell(Cell::Int(id));
            sink.cell(Cell::Text(&self.memo));
            if wanted.key.is_some() {
                sink.key(Cell::Int(id))?;
            }
            if sink.end_row()? == SinkState::Full {
                sink.flush().await?;
            }
        }
        let rows = u64::try_from((self.rows - after).max(0)).unwrap();
        Ok(EndOfResult { rows, snapshot: ScriptedSource::snapshot() })
    }
}

fn breaking(rows: i64, breaks_after: i64) -> TestWorker<MemoryJobTable, Breaking> {
    let source = Breaking { rows, memo: vec![b'x'; 3 << 20], breaks_after };
    TestWorker::of(MemoryJobTable::new(), source, RecordingNotifier::new())
}

/// Delivers a message, and whatever is sent in its place, until the queue has none left. Returns how many messages there were.
async fn run_queue(worker: &TestWorker<MemoryJobTable, Breaking>, body: &str, max_receives: u32) -> usize {
    let (mut message, mut body, mut receives) = (1, body.to_owned(), 0);
    for _ in 0..100 {
        receives += 1;
        assert!(receives <= max_receives, "message {message} is in the dead letters");
        match worker.handle(&delivery(&format!("m-{message}"), &body, receives)).await {
            Outcome::RetryAfter(delay) => worker.pass(delay).await,
            Outcome::Done => {
                let sent = worker.worker.queue.sent();
                let Some(next) = sent.get(message - 1) else { return message };
                worker.pass(worker.worker.queue.delays()[message - 1]).await;
                (message, body, receives) = (message + 1, next.clone(), 0);
            }
        }
    }
    panic!("the queue does not come to rest")
}

#[tokio::test(start_paused = true)]
async fn job_with_progress_in_every_attempt_ends_ready_however_many_it_takes() {
    // An attempt keeps two parts, six rows.
    let worker = breaking(60, 7);
    let messages = run_queue(&worker, ALL, RecordingQueue::MAX_RECEIVES).await;
    let job = worker.job().await;
    assert_eq!(
        (job.state, job.attempts_since_progress, worker.told()),
        (JobState::Ready, 1, alice_knows(JobState::Ready))
    );
    assert!(
        job.attempt > 2 * MAX_ATTEMPTS && messages > 1,
        "attempts: {}, messages: {messages}",
        job.attempt
    );
    let receipt = job.receipt.unwrap();
    let key = receipt.files[0].address.strip_prefix("memory://").unwrap();
    assert!(worker.worker.store.get(key).unwrap() == file_of(60).as_bytes());
    assert_eq!((worker.worker.store.open_uploads(), worker.worker.store.orphaned_parts()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn job_with_progress_on_a_queue_with_any_limit_ends_ready() {
    for limit in [None, Some(1), Some(2), Some(3)] {
        let mut worker = breaking(15, 7);
        worker.worker.queue = RecordingQueue::with_max_receives(limit);
        run_queue(&worker, ALL, limit.unwrap_or(u32::MAX)).await;
        assert_eq!(worker.job().await.state, JobState::Ready, "{limit:?}");
        let sent = worker.worker.queue.sent().len();
        assert_eq!(sent == 0, limit.is_none(), "{limit:?}: {sent} fresh messages");
    }
}

#[tokio::test(start_paused = true)]
async fn job_without_progress_fails_after_its_attempts_on_a_queue_with_any_limit() {
    for limit in [None, Some(1), Some(2), Some(3), Some(5)] {
        // Two rows are no part.
        let mut worker = breaking(30, 2);
        worker.worker.queue = RecordingQueue::with_max_receives(limit);
        run_queue(&worker, ALL, limit.unwrap_or(u32::MAX)).await;
        let job = worker.job().await;
        assert_eq!((job.state, job.attempts_since_progress), (JobState::Failed, MAX_ATTEMPTS), "{limit:?}");
        assert_eq!(job.failure.unwrap().code, "database_unavailable");
    }
}

/// The first receives were spent while another worker held the lease, or the ledger was away.
#[tokio::test(start_paused = true)]
async fn message_on_its_last_receive_is_replaced_and_counts_no_attempt() {
    let worker = TestWorker::new(Scripts::failing(2, disconnected));
    assert_eq!(worker.handle(&delivery("m-1", ORDERS, 4)).await, retry_after(90));
    worker.pass(Duration::from_secs(90)).await;
    assert_eq!(worker.handle(&delivery("m-1", ORDERS, 5)).await, Outcome::Done);
    let job = worker.job().await;
    assert_eq!(
        (job.state, job.attempts_since_progress, worker.worker.source.answered()),
        (JobState::Queued, 1, 1)
    );
    assert_eq!(worker.worker.queue.sent(), [continuation(&job)]);
    assert_eq!(
        worker.worker.queue.delays(),
        [LEASE * 3 / 2],
        "later than the lease of a worker that dies now"
    );
    assert_eq!(worker.handle(&delivery("m-2", &continuation(&job), 1)).await, retry_after(270));
    assert_eq!(worker.handle(&delivery("m-2", &continuation(&job), 2)).await, Outcome::Done);
    assert_eq!((worker.file().await.as_str(), worker.told()), (FILE, alice_knows(JobState::Ready)));
}

#[tokio::test(start_paused = true)]
async fn message_that_cannot_be_replaced_is_worked_on() {
    let worker = TestWorker::new(Scripts::good());
    worker.worker.queue.fail_next(1);
    assert_eq!(worker.handle(&delivery("m-1", ORDERS, 5)).await, Outcome::Done);
    assert_eq!((worker.file().await.as_str(), worker.worker.queue.sent().len()), (FILE, 0));
}

#[tokio::test(start_paused = true)]
async fn queue_that_does_not_say_its_limit_is_treated_as_at_it() {
    let mut worker = TestWorker::new(Scripts::failing(1, disconnected));
    worker.worker.queue = RecordingQueue::without_answer();
    assert_eq!(worker.deliver("m-1", ORDERS).await, Outcome::Done);
    let job = worker.job().await;
    assert_eq!((job.state, worker.worker.queue.sent()), (JobState::Queued, vec![continuation(&job)]));
    assert_eq!(worker.worker.queue.delays(), [Duration::from_secs(90)], "the pause before the next attempt");
    assert_eq!(worker.deliver("m-2", &continuation(&job)).await, Outcome::Done);
    assert_eq!(worker.file().await, FILE);
}

/// The worker dies before it gives the lease back: the fresh message comes when the lease is over.
#[tokio::test(start_paused = true)]
async fn job_whose_lease_was_not_given_back_resumes_by_its_fresh_message() {
    let worker = TestWorker::new(Scripts::good());
    let body = ORDERS;
    assert_eq!(worker.worker.ledger.latest(1).await.unwrap(), []);
    assert_eq!(worker.handle(&delivery("m-1", body, 5)).await, Outcome::Done);
    let job = worker.job().await;
    let claim = worker.worker.ledger.claim(&job.id, "m-1", LEASE).await.unwrap();
    assert!(matches!(claim, Claim::Granted(..)), "{claim:?}");
    worker.pass(worker.worker.queue.delays()[0]).await;
    assert_eq!(worker.deliver("m-2", &continuation(&job)).await, Outcome::Done);
    assert_eq!(worker.file().await, FILE);
}

/// While its worker lives, a job's own message comes again and again. On its last receive it is not left to the dead letters.
#[tokio::test(start_paused = true)]
async fn own_message_of_a_busy_job_is_replaced_on_its_last_receive() {
    let worker = TestWorker::new(Scripts::thinking(Duration::from_secs(30)));
    let again = async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(worker.handle(&delivery("m-1", ORDERS, 4)).await, retry_after(300));
        assert_eq!(worker.handle(&delivery("m-1", ORDERS, 5)).await, Outcome::Done);
        assert_eq!(worker.worker.queue.delays(), [Duration::from_secs(300)]);
    };
    let (outcome, ()) = tokio::join!(worker.deliver("m-1", ORDERS), again);
    assert_eq!((outcome, worker.told()), (Outcome::Done, alice_knows(JobState::Ready)));
}
