//! `downpipe redrive`: what could not be recorded is put back, and is the same job.

use downpipe_core::job::JobState;
use downpipe_core::ledger::Ledger as _;
use downpipe_tests::site::Site;
use downpipe_tests::{aws, eventually};
use serde_json::Value;

use super::worker::{DEFINITIONS, NUMBERS};

/// Nobody listens there.
const DEAD: &str = "mysql://user:password@127.0.0.1:1/test";

#[tokio::test]
async fn what_could_not_be_recorded_is_put_back_and_is_the_same_job() {
    let site = Site::new(NUMBERS, &DEFINITIONS).await;
    site.bury_after(1).await;
    let fresh = site.send(r#"{"export":"short","requested_by":"alice@example.com"}"#).await;
    let known = r#"{"export":"short","requested_by":"bob@example.com","request_id":"a-click"}"#;
    site.send("test").await;
    let known_id = site.send(known).await;
    let mut command = site.command(&["worker", "--lease", "0.1"]);
    let worker = downpipe_tests::site::WorkerProcess::start(command.env("DATABASE_URL", DEAD));
    let buried = async || {
        let count = aws::messages_in(&site.config, &site.dead_letters).await;
        (count == 3).then_some(())
    };
    eventually("three dead letters", buried).await;
    drop(worker);
    // LocalStack does not see that nobody waits for the answer to a poll any more, and that spends a receive.
    site.bury_after(5).await;
    // One of them has been recorded by another message since.
    let new =
        downpipe_core::job::NewJob::of(&downpipe_core::message::Message::parse(known), "m", known).unwrap();
    assert_eq!(site.ledger().accept(&new).await.unwrap(), known_id);

    let redrive = |args: &[&str]| {
        let output = site.command(&["redrive", "--json"]).args(args).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        (serde_json::from_slice::<Vec<Value>>(&output.stdout).unwrap(), said)
    };
    let (looked_at, said) = redrive(&["--dry-run"]);
    assert_eq!(said, "3 dead letters would be put back, 1 of them of jobs that the ledger knows\n");
    assert_eq!(aws::messages_in(&site.config, &site.dead_letters).await, 3);
    let (put_back, said) = redrive(&[]);
    assert_eq!(said, "3 dead letters put back, 1 of them of jobs that the ledger knows\n");
    let sorted = |mut letters: Vec<Value>| {
        letters.sort_by_key(|letter| letter["message_id"].to_string());
        letters
    };
    assert_eq!(sorted(put_back.clone()), sorted(looked_at));
    let of =
        |id: &str| put_back.iter().find(|letter| letter["job"] == id).map(|letter| letter["known"].clone());
    assert_eq!((of(fresh.as_str()), of(known_id.as_str())), (Some(false.into()), Some(true.into())));
    assert_eq!(aws::messages_in(&site.config, &site.dead_letters).await, 0);

    let mut worker = site.worker(&["--until-empty"]);
    assert_eq!(worker.ended().await, Some(0), "{}", worker.log());
    for id in [&fresh, &known_id] {
        assert_eq!(site.told(id).await.state, JobState::Ready);
    }
    let jobs = site.ledger().latest(10).await.unwrap();
    assert_eq!(jobs.len(), 3, "{jobs:?}");
    assert_eq!(site.mails().await.len(), 3);
    assert_eq!(redrive(&[]).1, "0 dead letters put back, 0 of them of jobs that the ledger knows\n");
}

#[tokio::test]
async fn a_queue_without_dead_letters_is_said_to_have_none() {
    let site = Site::new("", &DEFINITIONS).await;
    let bare = aws::queue(&site.config).await;
    let mut command = site.command(&["redrive"]);
    let output = command.env("DOWNPIPE_QUEUE_URL", &bare).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    insta::assert_snapshot!(String::from_utf8(output.stderr).unwrap(), @"downpipe: the queue has no dead letters of its own; DOWNPIPE_DEAD_LETTER_QUEUE_URL can name them");
    let mut command = site.command(&["redrive"]);
    command.env("DOWNPIPE_QUEUE_URL", &bare).env("DOWNPIPE_DEAD_LETTER_QUEUE_URL", &site.dead_letters);
    assert!(command.output().unwrap().status.success());
}
