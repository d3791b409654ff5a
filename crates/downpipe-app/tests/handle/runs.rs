//! Jobs of several runs, jobs that are cancelled, and requests that come twice.

use std::sync::Mutex;
use std::time::Duration;

use downpipe_app::worker::{LEASE, Outcome};
use downpipe_core::catalog::{SqlPiece, Value};
use downpipe_core::job::JobState;
use downpipe_core::ledger::CancelOutcome;
use downpipe_core::message::Message;
use downpipe_core::queue::Delivery;
use downpipe_core::source::{EndOfResult, Query, RowSink, RowSource, SinkState, SourceError};
use downpipe_core::testing::{MemoryJobTable, RecordingNotifier, ScriptedSource};
use downpipe_format::{Cell, Column, ColumnKind};
use tokio::time::{Instant, sleep, timeout_at};

use crate::test_worker::{TestWorker, alice_knows, continuation, delivery, retry_after};

/// Asks for all of a table that takes longer than one run.
pub(crate) const ALL: &str = r#"{"export":"all","requested_by":"alice@example.com","request_id":"a-click"}"#;

/// Asks for all of the table under another idempotency key.
const AGAIN: &str = r#"{"export":"all","requested_by":"alice@example.com","request_id":"another-click"}"#;

/// Rows of three to a part, one every twenty seconds.
struct Slow {
    rows: i64,
    memo: Vec<u8>,
    /// The keys after which was read.
    read_after: Mutex<Vec<i64>>,
}

const A_ROW: Duration = Duration::from_secs(20);

impl Slow {
    fn new(rows: i64) -> Self {
        Self { rows, memo: vec![b'x'; 3 << 20], read_after: Mutex::default() }
    }

    async fn give<S: RowSink>(&self, after: i64, sink: &mut S) -> Result<EndOfResult, SourceError> {
        let column = |name: &str, kind| Column { name: name.to_owned(), kind };
        let integer = ColumnKind::Integer { bits: 64, unsigned: false, zerofill: 0 };
        let wanted = sink
            .start(&[column("id", integer), column("memo", ColumnKind::Text)], &ScriptedSource::snapshot())?;
        for id in after + 1..=self.rows {
            sleep(A_ROW).await;
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

impl RowSource for Slow {
    async fn read<S: RowSink>(&self, query: &Query, sink: &mut S) -> Result<EndOfResult, SourceError> {
        let after = after(query);
        self.read_after.lock().unwrap().push(after);
        tokio::select! {
            read = timeout_at(query.deadline, self.give(after, sink)) => read.unwrap_or(Err(SourceError::TimedOut)),
            () = query.cancellation.cancelled() => Err(SourceError::Stopped),
        }
    }
}

/// The key after which a query reads.
pub(crate) fn after(query: &Query) -> i64 {
    let key = |piece: &SqlPiece| match piece {
        SqlPiece::Value(Value::Integer(key)) => Some(*key),
        _ => None,
    };
    query.sql.iter().find_map(key).unwrap_or_default()
}

fn worker(rows: i64) -> TestWorker<MemoryJobTable, Slow> {
    TestWorker::of(MemoryJobTable::new(), Slow::new(rows), RecordingNotifier::new())
}

pub(crate) fn file_of(rows: i64) -> String {
    let memo = "x".repeat(3 << 20);
    (1..=rows).fold("id,memo\n".to_owned(), |file, id| file + &format!("{id},{memo}\n"))
}

#[tokio::test(start_paused = true)]
async fn export_longer_than_a_run_resumes_in_the_next() {
    // A run reads for 870 seconds, which are 43 rows, of which three make a part.
    let worker = worker(100);
    assert_eq!(worker.deliver("m-1", ALL).await, Outcome::Done);
    let job = worker.job().await;
    assert_eq!((job.state, job.rows, job.resume_count), (JobState::Waiting, 42, 1));
    let sent = worker.worker.queue.sent();
    assert_eq!(sent, [continuation(&job)]);
    assert_eq!(worker.told(), [], "the requester is not notified before the end");

    assert_eq!(worker.deliver("m-2", &sent[0]).await, Outcome::Done);
    assert_eq!(worker.job().await.state, JobState::Waiting);
    assert_eq!(worker.deliver("m-3", &sent[0]).await, Outcome::Done);
    let job = worker.job().await;
    assert_eq!((job.state, job.rows, job.attempt, job.attempts_since_progress), (JobState::Ready, 100, 3, 1));
    assert_eq!(*worker.worker.source.read_after.lock().unwrap(), [0, 42, 84], "nothing is read again");
    let receipt = job.receipt.unwrap();
    let key = receipt.files[0].address.strip_prefix("memory://").unwrap();
    assert!(worker.worker.store.get(key).unwrap() == file_of(100).as_bytes());
    assert!(receipt.continued);
    let notice = worker.worker.notifier.published().remove(0);
    assert!(notice.body.contains(", in several runs"), "{}", notice.body);
    assert_eq!(worker.told(), alice_knows(JobState::Ready));
    assert_eq!((worker.worker.store.open_uploads(), worker.worker.store.orphaned_parts()), (0, 0));

    // Of its messages one may still come.
    assert_eq!(worker.deliver("m-4", &sent[0]).await, Outcome::Done);
    assert_eq!(worker.told(), alice_knows(JobState::Ready));
}

#[tokio::test(start_paused = true)]
async fn job_whose_continuation_was_not_sent_resumes_by_its_own_message() {
    let worker = worker(60);
    worker.worker.queue.fail_next(1);
    assert_eq!(worker.deliver("m-1", ALL).await, retry_after(15));
    assert_eq!((worker.job().await.state, worker.worker.queue.sent().len()), (JobState::Waiting, 0));
    assert_eq!(worker.handle(&delivery("m-1", ALL, 2)).await, Outcome::Done);
    assert_eq!((worker.job().await.state, worker.told()), (JobState::Ready, alice_knows(JobState::Ready)));
    assert_eq!(*worker.worker.source.read_after.lock().unwrap(), [0, 42]);
}

#[tokio::test(start_paused = true)]
async fn job_whose_worker_crashed_resumes_from_its_last_checkpoint() {
    let worker = worker(30);
    worker.handle_and_die(&delivery("m-1", ALL, 1), Duration::from_secs(400)).await;
    assert_eq!(worker.job().await.state, JobState::Running);
    worker.pass(LEASE).await;
    assert_eq!(worker.handle(&delivery("m-1", ALL, 2)).await, Outcome::Done);
    let read_after = worker.worker.source.read_after.lock().unwrap().clone();
    // 400 seconds are 20 rows, which are six parts; the ledger hears of the last one a heartbeat later.
    assert!(read_after[1] >= 15, "{read_after:?}");
    assert_eq!((worker.job().await.attempt, worker.told()), (2, alice_knows(JobState::Ready)));
    let job = worker.job().await;
    let key = job.receipt.unwrap().files[0].address.clone();
    assert!(
        worker.worker.store.get(key.strip_prefix("memory://").unwrap()).unwrap() == file_of(30).as_bytes()
    );
    assert_eq!(worker.worker.store.open_uploads(), 0);
}

/// A message whose worker dies comes back soon after the lease, not after the queue's hour and a half.
#[tokio::test(start_paused = true)]
async fn message_is_hidden_while_its_job_runs() {
    let worker = worker(10);
    let held = Delivery { receipt_handle: "handle".to_owned(), ..delivery("m-1", ALL, 1) };
    assert_eq!(worker.handle(&held).await, Outcome::Done);
    let returns = worker.worker.queue.visibilities();
    assert!(
        returns.iter().all(|held| *held == ("handle".to_owned(), Duration::from_secs(90))),
        "{returns:?}"
    );
    // At once, and with every heartbeat of the 200 seconds.
    assert_eq!(returns.len(), 1 + 200 / 15);
}

#[tokio::test(start_paused = true)]
async fn job_running_is_cancelled_within_two_seconds() {
    let worker = worker(100);
    let cancelling = async {
        sleep(Duration::from_secs(300)).await;
        let job = worker.job().await;
        assert_eq!(worker.worker.ledger.cancel(&job.id).await.unwrap(), CancelOutcome::Requested);
        Instant::now()
    };
    let (outcome, wished) = tokio::join!(worker.deliver("m-1", ALL), cancelling);
    assert!(wished.elapsed() <= Duration::from_secs(2), "{:?}", wished.elapsed());
    assert_eq!(outcome, Outcome::Done);
    assert_eq!(
        (worker.job().await.state, worker.told()),
        (JobState::Cancelled, alice_knows(JobState::Cancelled))
    );
    let store = &worker.worker.store;
    assert_eq!((store.keys(), store.open_uploads(), store.orphaned_parts()), (Vec::new(), 0, 0));
}

#[tokio::test(start_paused = true)]
async fn job_cancelled_while_waiting_leaves_no_upload() {
    let worker = worker(100);
    worker.deliver("m-1", ALL).await;
    let job = worker.job().await;
    assert!(matches!(worker.worker.ledger.cancel(&job.id).await.unwrap(), CancelOutcome::Done(_)));
    assert_eq!(worker.worker.store.open_uploads(), 1);
    assert_eq!(worker.deliver("m-2", &continuation(&job)).await, Outcome::Done);
    assert_eq!((worker.worker.store.open_uploads(), worker.worker.store.orphaned_parts()), (0, 0));
    let job = worker.job().await;
    assert_eq!(
        (job.state, job.checkpoint, worker.told()),
        (JobState::Cancelled, None, alice_knows(JobState::Cancelled))
    );
}

#[tokio::test(start_paused = true)]
async fn double_click_is_one_job_and_one_notice() {
    let worker = worker(10);
    let again = async {
        sleep(Duration::from_secs(30)).await;
        assert_eq!(worker.deliver("m-2", AGAIN).await, Outcome::Done, "the first message has the job");
    };
    let (outcome, ()) = tokio::join!(worker.deliver("m-1", ALL), again);
    assert_eq!(outcome, Outcome::Done);
    let Ok(Message::Export(message)) = Message::parse(AGAIN) else { panic!() };
    let other_name = downpipe_core::job::JobId::of_request(&message, "m-2");
    let job = worker.job().await;
    assert_eq!(worker.worker.ledger.find(&other_name).await.unwrap().unwrap().id, job.id);
    assert_eq!(
        (worker.told(), worker.worker.source.read_after.lock().unwrap().len()),
        (alice_knows(JobState::Ready), 1)
    );
    // Delivered once more, it is still the same.
    assert_eq!(worker.handle(&delivery("m-2", AGAIN, 2)).await, Outcome::Done);
    assert_eq!(worker.told(), alice_knows(JobState::Ready));
}

#[tokio::test(start_paused = true)]
async fn same_request_of_another_requester_is_another_job() {
    let worker = worker(1);
    let bob = ALL.replace("alice", "bob");
    tokio::join!(worker.deliver("m-1", ALL), worker.deliver("m-2", &bob));
    let jobs = worker.worker.ledger.latest(10).await.unwrap();
    assert_eq!(jobs.len(), 2);
    assert!(
        jobs.iter().all(
            |job| job.state == JobState::Ready && job.receipt.as_ref().unwrap().job_id == job.id.as_str()
        )
    );
}

#[tokio::test(start_paused = true)]
async fn file_is_reused_while_it_is_fresh() {
    let worker = worker(2);
    worker.deliver("m-1", ALL).await;
    worker.pass(Duration::from_secs(300)).await;
    assert_eq!(worker.deliver("m-2", AGAIN).await, Outcome::Done);
    let jobs = worker.worker.ledger.latest(10).await.unwrap();
    assert_eq!((jobs.len(), &jobs[0].receipt), (2, &jobs[1].receipt), "the same file");
    assert_eq!(
        (worker.told().len(), worker.worker.source.read_after.lock().unwrap().len()),
        (2, 1),
        "and who asked is told"
    );
    worker.pass(Duration::from_secs(400)).await;
    assert_eq!(worker.deliver("m-3", &AGAIN.replace("another", "a-third")).await, Outcome::Done);
    assert_eq!(worker.worker.source.read_after.lock().unwrap().len(), 2, "ten minutes are over");
}
