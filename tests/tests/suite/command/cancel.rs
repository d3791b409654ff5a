//! Tests `downpipe cancel`: the worker stops, and nothing is left.

use std::time::{Duration, Instant};

use downpipe_core::job::{Job, JobId, JobState, NewJob};
use downpipe_core::message::Message;
use downpipe_tests::test_stack::TestStack;
use downpipe_tests::{aws, eventually, eventually_within};

use super::worker::{DEFINITIONS, LONG, NUMBERS, READING};

/// The documents promise two seconds. A test machine may be busy.
const SOON: Duration = Duration::from_secs(5);

const ALICE: &str = r#"{"export":"short","requested_by":"alice@example.com","request_id":"a-click"}"#;

async fn test_stack() -> TestStack {
    TestStack::new(NUMBERS, &DEFINITIONS).await
}

/// Runs the command, and returns its exit status and its standard error.
fn cancel(test_stack: &TestStack, id: &JobId) -> (Option<i32>, String) {
    let output = test_stack.command(&["cancel", id.as_str()]).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// Checks that the only e-mail says that the job is cancelled.
async fn assert_notified(test_stack: &TestStack, id: &JobId) -> Job {
    let job = test_stack.notified(id).await;
    assert_eq!(job.state, JobState::Cancelled);
    let mails = test_stack.mails().await;
    let [mail] = &mails[..] else { panic!("{mails:?}") };
    assert_eq!(mail.attributes[2..], ["cancelled".to_owned(), id.to_string()]);
    job
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "how fast it was is worth seeing")]
async fn cancel_of_a_running_export_stops_it_within_seconds() {
    let test_stack = test_stack().await;
    let id = test_stack.send(LONG).await;
    let _worker = test_stack.worker(&[]);
    eventually("an upload under way", async || (test_stack.open_uploads().await == 1).then_some(())).await;
    assert_eq!(test_stack.running(READING).await.len(), 1);

    let began = Instant::now();
    let (code, said) = cancel(&test_stack, &id);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("cancelled; its worker stopped within "), "{said}");
    let took = |what: &str| println!("{what} after {:.2} s", began.elapsed().as_secs_f64());
    took("the command is done");
    eventually_within(SOON, "no query", async || test_stack.running(READING).await.is_empty().then_some(()))
        .await;
    took("the query is gone");
    eventually_within(SOON, "no upload", async || (test_stack.open_uploads().await == 0).then_some(())).await;
    took("the upload is gone");
    let job = assert_notified(&test_stack, &id).await;
    took("the requester is notified");
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert_eq!((job.attempt, test_stack.keys().await.len()), (1, 0));
    test_stack.queue_is_empty().await;
}

#[tokio::test]
async fn cancel_of_a_queued_job_is_notified_by_the_next_worker() {
    let test_stack = test_stack().await;
    let new = NewJob::of(&Message::parse(ALICE), "m-1", ALICE).unwrap();
    let id = test_stack.ledger().accept(&new).await.unwrap();
    let (code, said) = cancel(&test_stack, &id);
    assert_eq!(
        (code, said.as_str()),
        (Some(0), "cancelled; a worker deletes its objects and notifies alice@example.com\n")
    );
    assert_eq!(aws::messages_in(&test_stack.config, &test_stack.queue).await, 1);
    let mut worker = test_stack.worker(&["--until-empty"]);
    assert_eq!(worker.exit_code().await, Some(0));
    assert_notified(&test_stack, &id).await;
    // A second cancel changes nothing.
    let (code, said) = cancel(&test_stack, &id);
    assert_eq!((code, said.as_str()), (Some(0), ""));
}

#[tokio::test]
async fn cancel_of_a_waiting_job_aborts_its_upload() {
    let test_stack = test_stack().await;
    let id = test_stack.send(LONG).await;
    let mut worker = test_stack.worker(&["--run-seconds", "5", "--grace", "30"]);
    eventually("an upload under way", async || (test_stack.open_uploads().await == 1).then_some(())).await;
    worker.terminate();
    assert_eq!(worker.exit_code().await, Some(0), "{}", worker.log());
    assert_eq!(test_stack.job_in_state(&id, JobState::Waiting).await.resume_count, 1);
    assert_eq!(test_stack.open_uploads().await, 1);

    let mut command = test_stack.command(&["cancel", id.as_str()]);
    let output = command.env_remove("DOWNPIPE_QUEUE_URL").output().unwrap();
    insta::assert_snapshot!(String::from_utf8(output.stderr).unwrap(), @"cancelled; the next sweep deletes its objects and notifies alice@example.com (with DOWNPIPE_QUEUE_URL, a worker does so at once)");
    // The continuation message is still in the queue, and leads a worker to the job.
    let mut worker = test_stack.worker(&["--until-empty"]);
    assert_eq!(worker.exit_code().await, Some(0));
    let job = assert_notified(&test_stack, &id).await;
    assert_eq!(
        (job.checkpoint, test_stack.open_uploads().await, test_stack.keys().await.len()),
        (None, 0, 0)
    );
}

#[tokio::test]
async fn cancel_of_an_ended_or_unknown_job_fails() {
    let test_stack = test_stack().await;
    let id = test_stack.send(ALICE).await;
    let mut worker = test_stack.worker(&["--until-empty"]);
    assert_eq!(worker.exit_code().await, Some(0));
    let (code, said) = cancel(&test_stack, &id);
    assert_eq!((code, said), (Some(1), format!("downpipe: job {id} had ended before: it is ready\n")));
    assert_eq!(test_stack.job_in_state(&id, JobState::Ready).await.rows, 3);
    let (code, said) = cancel(&test_stack, &"0123456789abcdef01234567".parse().unwrap());
    assert_eq!(code, Some(1));
    insta::assert_snapshot!(said, @"downpipe: no job 0123456789abcdef01234567 in the ledger; a job that is still in the queue cannot be cancelled yet");
}

/// A killed worker does not see the cancellation. The next worker of the job does.
#[tokio::test]
async fn cancel_after_a_worker_died_is_completed_by_the_next() {
    let test_stack = test_stack().await;
    let id = test_stack.send(LONG).await;
    let mut worker = test_stack.worker(&["--lease", "1"]);
    let ledger = test_stack.ledger();
    eventually("a checkpoint", async || ledger.find(&id).await.unwrap()?.checkpoint).await;
    worker.kill();
    let mut cancelling = test_stack.command(&["cancel", id.as_str()]).spawn().unwrap();
    let mut next = test_stack.worker(&["--lease", "1", "--until-empty"]);
    assert_eq!(next.exit_code().await, Some(0), "{}", next.log());
    assert_notified(&test_stack, &id).await;
    assert!(cancelling.wait().unwrap().success());
    assert_eq!((test_stack.open_uploads().await, test_stack.keys().await.len()), (0, 0));
}

/// A query that sends nothing does not notice its worker's death, and would run until its time
/// limit.
#[tokio::test]
async fn cancel_after_a_worker_died_kills_its_query() {
    let silent = r#"title = "Silent"
sql = "SELECT COUNT(*) FROM numbers AS a, numbers AS b, numbers AS c WHERE SHA2(CONCAT(a.id, b.id, c.id), 256) = ''"
"#;
    let test_stack = TestStack::new(NUMBERS, &[("silent", silent)]).await;
    let id = test_stack.send(r#"{"export":"silent","requested_by":"alice@example.com"}"#).await;
    let mut worker = test_stack.worker(&[]);
    eventually("the query runs", async || (test_stack.running(id.as_str()).await.len() == 1).then_some(()))
        .await;
    worker.kill();
    let (code, said) = cancel(&test_stack, &id);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("killed 1 of its queries, which were still running"), "{said}");
    assert!(said.contains("its worker has not stopped within 10 s: it may have died"), "{said}");
    eventually("no query", async || test_stack.running(id.as_str()).await.is_empty().then_some(())).await;
}
