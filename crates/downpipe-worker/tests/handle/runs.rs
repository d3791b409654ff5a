//! Jobs of several runs, jobs that are cancelled, and jobs that are asked for twice.

use std::sync::Mutex;
use std::time::Duration;

use downpipe_core::job::JobState;
use downpipe_core::ledger::{Cancel, Ledger as _};
use downpipe_core::message::Message;
use downpipe_core::params::Value;
use downpipe_core::source::{EndOfResult, Query, RowSink, RowSource, SinkState, SourceError};
use downpipe_core::sql::SqlPiece;
use downpipe_core::testing::{MemoryLedger, RecordingNotifier, ScriptedSource};
use downpipe_format::{Cell, Column, ColumnKind};
use downpipe_worker::handle::{Delivery, LEASE, Outcome};
use tokio::time::{Instant, sleep, timeout_at};

use crate::bench::{Bench, alice_knows, continuation, delivery, retry_after};

/// Asks for all of a table that takes longer than one run.
const ALL: &str = r#"{"export":"all","requested_by":"alice@example.com","request_id":"a-click"}"#;

/// The same, asked for again.
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
        let wanted =
            sink.start(&[column("id", integer), column("memo", ColumnKind::Text)], ScriptedSource::AS_OF)?;
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
        Ok(EndOfResult { rows, as_of: ScriptedSource::AS_OF })
    }
}

impl RowSource for Slow {
    async fn read<S: RowSink>(&self, query: &Query, sink: &mut S) -> Result<EndOfResult, SourceError> {
        let key = |piece: &SqlPiece| match piece {
            SqlPiece::Value(Value::Integer(key)) => Some(*key),
            _ => None,
        };
        let after = query.sql.iter().find_map(key).unwrap_or_default();
        self.read_after.lock().unwrap().push(after);
        tokio::select! {
            read = timeout_at(query.deadline, self.give(after, sink)) => read.unwrap_or(Err(SourceError::TimedOut)),
            () = query.stop.wished() => Err(SourceError::Stopped),
        }
    }
}

fn bench(rows: i64) -> Bench<MemoryLedger, Slow> {
    Bench::of(MemoryLedger::new(), Slow::new(rows), RecordingNotifier::new())
}

fn file_of(rows: i64) -> String {
    let memo = "x".repeat(3 << 20);
    (1..=rows).fold("id,memo\n".to_owned(), |file, id| file + &format!("{id},{memo}\n"))
}

#[tokio::test(start_paused = true)]
async fn what_takes_longer_than_a_run_goes_on_in_the_next() {
    // A run reads for 870 seconds, which are 43 rows, of which three make a part.
    let bench = bench(100);
    assert_eq!(bench.deliver("m-1", ALL).await, Outcome::Done);
    let job = bench.job().await;
    assert_eq!((job.state, job.rows, job.continuations), (JobState::Waiting, 42, 1));
    let sent = bench.worker.queue.sent();
    assert_eq!(sent, [continuation(&job)]);
    assert_eq!(bench.told(), [], "nobody is told before the end");

    assert_eq!(bench.deliver("m-2", &sent[0]).await, Outcome::Done);
    assert_eq!(bench.job().await.state, JobState::Waiting);
    assert_eq!(bench.deliver("m-3", &sent[0]).await, Outcome::Done);
    let job = bench.job().await;
    assert_eq!((job.state, job.rows, job.attempt, job.tries), (JobState::Ready, 100, 3, 1));
    assert_eq!(*bench.worker.source.read_after.lock().unwrap(), [0, 42, 84], "nothing is read again");
    let receipt = job.receipt.unwrap();
    let key = receipt.files[0].address.strip_prefix("memory://").unwrap();
    assert!(bench.worker.store.get(key).unwrap() == file_of(100).as_bytes());
    assert!(receipt.continued);
    let notice = bench.worker.notifier.published().remove(0);
    assert!(notice.body.contains("read in several runs until"), "{}", notice.body);
    assert_eq!(bench.told(), alice_knows(JobState::Ready));
    assert_eq!((bench.worker.store.open_uploads(), bench.worker.store.orphaned_parts()), (0, 0));

    // Of its messages one may still come.
    assert_eq!(bench.deliver("m-4", &sent[0]).await, Outcome::Done);
    assert_eq!(bench.told(), alice_knows(JobState::Ready));
}

#[tokio::test(start_paused = true)]
async fn a_next_run_that_could_not_be_asked_for_is_this_messages_next_delivery() {
    let bench = bench(60);
    bench.worker.queue.fail_next(1);
    assert_eq!(bench.deliver("m-1", ALL).await, retry_after(15));
    assert_eq!((bench.job().await.state, bench.worker.queue.sent().len()), (JobState::Waiting, 0));
    assert_eq!(bench.handle(&delivery("m-1", ALL, 2)).await, Outcome::Done);
    assert_eq!((bench.job().await.state, bench.told()), (JobState::Ready, alice_knows(JobState::Ready)));
    assert_eq!(*bench.worker.source.read_after.lock().unwrap(), [0, 42]);
}

#[tokio::test(start_paused = true)]
async fn after_a_crash_the_job_goes_on_from_its_last_checkpoint() {
    let bench = bench(30);
    bench.handle_and_die(&delivery("m-1", ALL, 1), Duration::from_secs(400)).await;
    assert_eq!(bench.job().await.state, JobState::Running);
    bench.pass(LEASE).await;
    assert_eq!(bench.handle(&delivery("m-1", ALL, 2)).await, Outcome::Done);
    let read_after = bench.worker.source.read_after.lock().unwrap().clone();
    // 400 seconds are 20 rows, which are six parts; the ledger hears of the last one a heartbeat later.
    assert!(read_after[1] >= 15, "{read_after:?}");
    assert_eq!((bench.job().await.attempt, bench.told()), (2, alice_knows(JobState::Ready)));
    let job = bench.job().await;
    let key = job.receipt.unwrap().files[0].address.clone();
    assert!(
        bench.worker.store.get(key.strip_prefix("memory://").unwrap()).unwrap() == file_of(30).as_bytes()
    );
    assert_eq!(bench.worker.store.open_uploads(), 0);
}

/// A message whose worker dies comes back soon after the lease, not after the queue's hour and a half.
#[tokio::test(start_paused = true)]
async fn a_message_is_held_as_long_as_its_job_is_worked_on() {
    let bench = bench(10);
    let held = Delivery { receipt_handle: Some("handle".to_owned()), ..delivery("m-1", ALL, 1) };
    assert_eq!(bench.handle(&held).await, Outcome::Done);
    let returns = bench.worker.queue.returns();
    assert!(
        returns.iter().all(|held| *held == ("handle".to_owned(), Duration::from_secs(90))),
        "{returns:?}"
    );
    // At once, and with every heartbeat of the 200 seconds.
    assert_eq!(returns.len(), 1 + 200 / 15);
}

#[tokio::test(start_paused = true)]
async fn a_running_job_is_cancelled_within_two_seconds() {
    let bench = bench(100);
    let cancelling = async {
        sleep(Duration::from_secs(300)).await;
        let job = bench.job().await;
        assert_eq!(bench.worker.ledger.cancel(&job.id).await.unwrap(), Cancel::Wanted);
        Instant::now()
    };
    let (outcome, wished) = tokio::join!(bench.deliver("m-1", ALL), cancelling);
    assert!(wished.elapsed() <= Duration::from_secs(2), "{:?}", wished.elapsed());
    assert_eq!(outcome, Outcome::Done);
    assert_eq!(
        (bench.job().await.state, bench.told()),
        (JobState::Cancelled, alice_knows(JobState::Cancelled))
    );
    let store = &bench.worker.store;
    assert_eq!((store.keys(), store.open_uploads(), store.orphaned_parts()), (Vec::new(), 0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_a_waiting_job_has_written_goes_when_it_is_cancelled() {
    let bench = bench(100);
    bench.deliver("m-1", ALL).await;
    let job = bench.job().await;
    assert!(matches!(bench.worker.ledger.cancel(&job.id).await.unwrap(), Cancel::Done(_)));
    assert_eq!(bench.worker.store.open_uploads(), 1);
    assert_eq!(bench.deliver("m-2", &continuation(&job)).await, Outcome::Done);
    assert_eq!((bench.worker.store.open_uploads(), bench.worker.store.orphaned_parts()), (0, 0));
    let job = bench.job().await;
    assert_eq!(
        (job.state, job.checkpoint, bench.told()),
        (JobState::Cancelled, None, alice_knows(JobState::Cancelled))
    );
}

#[tokio::test(start_paused = true)]
async fn a_double_click_is_one_job_and_one_notice() {
    let bench = bench(10);
    let again = async {
        sleep(Duration::from_secs(30)).await;
        assert_eq!(bench.deliver("m-2", AGAIN).await, Outcome::Done, "the first message has the job");
    };
    let (outcome, ()) = tokio::join!(bench.deliver("m-1", ALL), again);
    assert_eq!(outcome, Outcome::Done);
    let Ok(Message::Export(message)) = Message::parse(AGAIN) else { panic!() };
    let other_name = downpipe_core::job::JobId::of_request(&message, "m-2");
    let job = bench.job().await;
    assert_eq!(bench.worker.ledger.find(&other_name).await.unwrap().unwrap().id, job.id);
    assert_eq!(
        (bench.told(), bench.worker.source.read_after.lock().unwrap().len()),
        (alice_knows(JobState::Ready), 1)
    );
    // Delivered once more, it is still the same.
    assert_eq!(bench.handle(&delivery("m-2", AGAIN, 2)).await, Outcome::Done);
    assert_eq!(bench.told(), alice_knows(JobState::Ready));
}

#[tokio::test(start_paused = true)]
async fn another_person_has_a_job_of_their_own() {
    let bench = bench(1);
    let bob = ALL.replace("alice", "bob");
    tokio::join!(bench.deliver("m-1", ALL), bench.deliver("m-2", &bob));
    let jobs = bench.worker.ledger.latest(10).await.unwrap();
    assert_eq!(jobs.len(), 2);
    assert!(
        jobs.iter().all(
            |job| job.state == JobState::Ready && job.receipt.as_ref().unwrap().job_id == job.id.as_str()
        )
    );
}

#[tokio::test(start_paused = true)]
async fn a_fresh_file_serves_again_and_an_old_one_does_not() {
    let bench = bench(2);
    bench.deliver("m-1", ALL).await;
    bench.pass(Duration::from_secs(300)).await;
    assert_eq!(bench.deliver("m-2", AGAIN).await, Outcome::Done);
    let jobs = bench.worker.ledger.latest(10).await.unwrap();
    assert_eq!((jobs.len(), &jobs[0].receipt), (2, &jobs[1].receipt), "the same file");
    assert_eq!(
        (bench.told().len(), bench.worker.source.read_after.lock().unwrap().len()),
        (2, 1),
        "and who asked is told"
    );
    bench.pass(Duration::from_secs(400)).await;
    assert_eq!(bench.deliver("m-3", &AGAIN.replace("another", "a-third")).await, Outcome::Done);
    assert_eq!(bench.worker.source.read_after.lock().unwrap().len(), 2, "ten minutes are over");
}
