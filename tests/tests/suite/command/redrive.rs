//! Tests `downpipe redrive`: messages that could not be recorded go back to the queue, as the same
//! jobs.

use downpipe_core::job::JobState;
use downpipe_tests::test_stack::TestStack;
use downpipe_tests::{aws, eventually};
use serde_json::Value;

use super::worker::{DEFINITIONS, NUMBERS};

/// The address of a database on which no server listens.
const UNREACHABLE: &str = "mysql://user:password@127.0.0.1:1/test";

#[tokio::test]
async fn redrive_of_dead_letters_restores_the_same_jobs() {
    let test_stack = TestStack::new(NUMBERS, &DEFINITIONS).await;
    test_stack.set_max_receives(1).await;
    let fresh = test_stack.send(r#"{"export":"short","requested_by":"alice@example.com"}"#).await;
    let known = r#"{"export":"short","requested_by":"bob@example.com","request_id":"a-click"}"#;
    test_stack.send("test").await;
    let known_id = test_stack.send(known).await;
    let mut command = test_stack.command(&["worker", "--lease", "0.1"]);
    let worker = downpipe_tests::test_stack::WorkerProcess::start(command.env("DATABASE_URL", UNREACHABLE));
    let all_dead = async || {
        let count = aws::messages_in(&test_stack.config, &test_stack.dead_letters).await;
        (count == 3).then_some(())
    };
    eventually("three dead letters", all_dead).await;
    drop(worker);
    // LocalStack does not notice that the poll's client is gone, which costs a receive.
    test_stack.set_max_receives(5).await;
    // Another message has since recorded one of the jobs.
    let new =
        downpipe_core::job::NewJob::of(&downpipe_core::message::Message::parse(known), "m", known).unwrap();
    assert_eq!(test_stack.ledger().accept(&new).await.unwrap(), known_id);

    let redrive = |args: &[&str]| {
        let output = test_stack.command(&["redrive", "--json"]).args(args).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        (serde_json::from_slice::<Vec<Value>>(&output.stdout).unwrap(), said)
    };
    let (listed, said) = redrive(&["--dry-run"]);
    assert_eq!(said, "3 dead letters would be put back, 1 of them of jobs that the ledger knows\n");
    assert_eq!(aws::messages_in(&test_stack.config, &test_stack.dead_letters).await, 3);
    let (put_back, said) = redrive(&[]);
    assert_eq!(said, "3 dead letters put back, 1 of them of jobs that the ledger knows\n");
    let sorted = |mut letters: Vec<Value>| {
        letters.sort_by_key(|letter| letter["message_id"].to_string());
        letters
    };
    assert_eq!(sorted(put_back.clone()), sorted(listed));
    let of =
        |id: &str| put_back.iter().find(|letter| letter["job"] == id).map(|letter| letter["known"].clone());
    assert_eq!((of(fresh.as_str()), of(known_id.as_str())), (Some(false.into()), Some(true.into())));
    assert_eq!(aws::messages_in(&test_stack.config, &test_stack.dead_letters).await, 0);

    let mut worker = test_stack.worker(&["--until-empty"]);
    assert_eq!(worker.exit_code().await, Some(0), "{}", worker.log());
    for id in [&fresh, &known_id] {
        assert_eq!(test_stack.notified(id).await.state, JobState::Ready);
    }
    let jobs = test_stack.ledger().latest(10).await.unwrap();
    assert_eq!(jobs.len(), 3, "{jobs:?}");
    assert_eq!(test_stack.mails().await.len(), 3);
    assert_eq!(redrive(&[]).1, "0 dead letters put back, 0 of them of jobs that the ledger knows\n");
}

#[tokio::test]
async fn redrive_of_a_queue_without_dead_letters_is_refused() {
    let test_stack = TestStack::new("", &DEFINITIONS).await;
    let bare = aws::queue(&test_stack.config).await;
    let mut command = test_stack.command(&["redrive"]);
    let output = command.env("DOWNPIPE_QUEUE_URL", &bare).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    insta::assert_snapshot!(String::from_utf8(output.stderr).unwrap(), @"downpipe: the queue's redrive policy names no queue of dead letters; DOWNPIPE_DEAD_LETTER_QUEUE_URL can name one");
    let mut command = test_stack.command(&["redrive"]);
    command.env("DOWNPIPE_QUEUE_URL", &bare).env("DOWNPIPE_DEAD_LETTER_QUEUE_URL", &test_stack.dead_letters);
    assert!(command.output().unwrap().status.success());
}
