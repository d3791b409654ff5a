//! `downpipe cancel`: whoever works on a job hears of it, and nothing is left.

use std::time::{Duration, Instant};

use downpipe_core::job::{Job, JobId, JobState, NewJob};
use downpipe_core::ledger::Ledger as _;
use downpipe_core::message::Message;
use downpipe_tests::site::Site;
use downpipe_tests::{aws, eventually, eventually_within};

use super::worker::{DEFINITIONS, LONG, NUMBERS, READING};

/// What is promised is two seconds. This is a busy machine.
const SOON: Duration = Duration::from_secs(5);

const ALICE: &str = r#"{"export":"short","requested_by":"alice@example.com","request_id":"a-click"}"#;

async fn site() -> Site {
    Site::new(NUMBERS, &DEFINITIONS).await
}

/// What the command did: its exit status and what it said.
fn cancel(site: &Site, id: &JobId) -> (Option<i32>, String) {
    let output = site.command(&["cancel", id.as_str()]).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// The only e-mail says that the job is cancelled.
async fn is_told(site: &Site, id: &JobId) -> Job {
    let job = site.told(id).await;
    assert_eq!(job.state, JobState::Cancelled);
    let mails = site.mails().await;
    let [mail] = &mails[..] else { panic!("{mails:?}") };
    assert_eq!(mail.attributes[2..], ["cancelled".to_owned(), id.to_string()]);
    job
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "how fast it was is worth seeing")]
async fn a_running_export_stops_within_two_seconds() {
    let site = site().await;
    let id = site.send(LONG).await;
    let _worker = site.worker(&[]);
    eventually("an upload under way", async || (site.open_uploads().await == 1).then_some(())).await;
    assert_eq!(site.running(READING).await.len(), 1);

    let began = Instant::now();
    let (code, said) = cancel(&site, &id);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("cancelled; its worker stopped within "), "{said}");
    let took = |what: &str| println!("{what} after {:.2} s", began.elapsed().as_secs_f64());
    took("the command is done");
    eventually_within(SOON, "no query", async || site.running(READING).await.is_empty().then_some(())).await;
    took("the query is gone");
    eventually_within(SOON, "no upload", async || (site.open_uploads().await == 0).then_some(())).await;
    took("the upload is gone");
    let job = is_told(&site, &id).await;
    took("the person is told");
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert_eq!((job.attempt, site.keys().await.len()), (1, 0));
    site.queue_is_empty().await;
}

#[tokio::test]
async fn a_job_that_nobody_works_on_is_cancelled_at_once_and_told_by_the_next_worker() {
    let site = site().await;
    let new = NewJob::of(&Message::parse(ALICE), "m-1", ALICE).unwrap();
    let id = site.ledger().accept(&new).await.unwrap();
    let (code, said) = cancel(&site, &id);
    assert_eq!(
        (code, said.as_str()),
        (Some(0), "cancelled; a worker clears away what it left and tells alice@example.com\n")
    );
    assert_eq!(aws::messages_in(&site.config, &site.queue).await, 1);
    let mut worker = site.worker(&["--until-empty"]);
    assert_eq!(worker.ended().await, Some(0));
    is_told(&site, &id).await;
    // Once more does no harm.
    let (code, said) = cancel(&site, &id);
    assert_eq!((code, said.as_str()), (Some(0), ""));
}

#[tokio::test]
async fn the_upload_of_a_job_that_waits_for_its_next_run_is_aborted() {
    let site = site().await;
    let id = site.send(LONG).await;
    let mut worker = site.worker(&["--run-seconds", "5", "--grace", "30"]);
    eventually("an upload under way", async || (site.open_uploads().await == 1).then_some(())).await;
    worker.terminate();
    assert_eq!(worker.ended().await, Some(0), "{}", worker.log());
    assert_eq!(site.job_in_state(&id, JobState::Waiting).await.continuations, 1);
    assert_eq!(site.open_uploads().await, 1);

    let mut command = site.command(&["cancel", id.as_str()]);
    let output = command.env_remove("DOWNPIPE_QUEUE_URL").output().unwrap();
    insta::assert_snapshot!(String::from_utf8(output.stderr).unwrap(), @"cancelled; the next sweep clears away what it left and tells alice@example.com (with DOWNPIPE_QUEUE_URL, a worker does at once)");
    // The message by which the job was to go on is still there, and does as well.
    let mut worker = site.worker(&["--until-empty"]);
    assert_eq!(worker.ended().await, Some(0));
    let job = is_told(&site, &id).await;
    assert_eq!((job.checkpoint, site.open_uploads().await, site.keys().await.len()), (None, 0, 0));
}

#[tokio::test]
async fn what_has_ended_and_what_is_not_there_is_not_cancelled() {
    let site = site().await;
    let id = site.send(ALICE).await;
    let mut worker = site.worker(&["--until-empty"]);
    assert_eq!(worker.ended().await, Some(0));
    let (code, said) = cancel(&site, &id);
    assert_eq!((code, said), (Some(1), format!("downpipe: job {id} had ended before: it is ready\n")));
    assert_eq!(site.job_in_state(&id, JobState::Ready).await.rows, 3);
    let (code, said) = cancel(&site, &"0123456789abcdef01234567".parse().unwrap());
    assert_eq!(code, Some(1));
    insta::assert_snapshot!(said, @"downpipe: no job 0123456789abcdef01234567 in the ledger; if it is still in the queue, it cannot be cancelled yet");
}

/// A worker that was killed does not hear. Whoever has the job next does.
#[tokio::test]
async fn a_job_whose_worker_died_is_cancelled_by_the_next() {
    let site = site().await;
    let id = site.send(LONG).await;
    let mut worker = site.worker(&["--lease", "1"]);
    let ledger = site.ledger();
    eventually("a checkpoint", async || ledger.find(&id).await.unwrap()?.checkpoint).await;
    worker.kill();
    let mut cancelling = site.command(&["cancel", id.as_str()]).spawn().unwrap();
    let mut next = site.worker(&["--lease", "1", "--until-empty"]);
    assert_eq!(next.ended().await, Some(0), "{}", next.log());
    is_told(&site, &id).await;
    assert!(cancelling.wait().unwrap().success());
    assert_eq!((site.open_uploads().await, site.keys().await.len()), (0, 0));
}

/// A query that sends nothing does not notice that its worker has died, and would go on until its time is up.
#[tokio::test]
async fn the_query_of_a_worker_that_died_is_killed() {
    let silent = r#"title = "Silent"
sql = "SELECT COUNT(*) FROM numbers AS a, numbers AS b, numbers AS c WHERE SHA2(CONCAT(a.id, b.id, c.id), 256) = ''"
"#;
    let site = Site::new(NUMBERS, &[("silent", silent)]).await;
    let id = site.send(r#"{"export":"silent","requested_by":"alice@example.com"}"#).await;
    let mut worker = site.worker(&[]);
    eventually("the query runs", async || (site.running(id.as_str()).await.len() == 1).then_some(())).await;
    worker.kill();
    let (code, said) = cancel(&site, &id);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("1 of its queries were still running, and have been killed"), "{said}");
    assert!(said.contains("its worker has not stopped within 10 s: it may have died"), "{said}");
    eventually("no query", async || site.running(id.as_str()).await.is_empty().then_some(())).await;
}
